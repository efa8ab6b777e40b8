//! Links, addresses and neighbours out of the kernel's messages; what is of no use to us reads as `None`.

use std::net::IpAddr;

use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};

use super::{Address, Link, Names, Neighbour};

pub(super) fn link(message: &LinkMessage) -> Option<Link> {
    let mut name = None;
    let mut mac = None;
    let mut mtu = 0;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = Some(found.clone()),
            LinkAttribute::Address(found) => mac = found.as_slice().try_into().ok(),
            LinkAttribute::Mtu(found) => mtu = *found,
            _ => {}
        }
    }
    Some(Link {
        index: message.header.index,
        name: name?,
        mac,
        mtu,
        up: message.header.flags.contains(LinkFlags::Up),
    })
}

pub(super) fn address(message: &AddressMessage, names: &Names) -> Option<Address> {
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link the other end is the ADDRESS, ours is LOCAL.
            AddressAttribute::Local(found) => address = Some(*found),
            AddressAttribute::Address(found) => address = address.or(Some(*found)),
            _ => {}
        }
    }
    Some(Address {
        interface: names.get(&message.header.index)?.clone(),
        address: address?,
        prefix: message.header.prefix_len,
    })
}

pub(super) fn neighbour(message: &NeighbourMessage, names: &Names) -> Option<Neighbour> {
    if !usable(message.header.state) {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(found) => address = ip(found),
            NeighbourAttribute::LinkLayerAddress(found) => mac = found.as_slice().try_into().ok(),
            _ => {}
        }
    }
    Some(Neighbour {
        interface: names.get(&message.header.ifindex)?.clone(),
        address: address?,
        mac: mac?,
    })
}

/// Whether an entry in `state` has a link address that is still believed in (the kernel's `NUD_VALID`).
fn usable(state: NeighbourState) -> bool {
    use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable, Stale};
    matches!(state, Reachable | Stale | Delay | Probe | Permanent | Noarp)
}

fn ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some(IpAddr::V4(*address)),
        NeighbourAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 3;
        message.header.state = state;
        let address = IpAddr::from([192, 0, 2, 7]);
        let destination = NeighbourAttribute::Destination(address.into());
        let mac = NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 7]);
        message.attributes = vec![destination, mac];
        message
    }

    #[test]
    fn only_usable_neighbours_are_mirrored() {
        use NeighbourState::*;
        let names = Names::from([(3, "eth0".to_owned())]);
        for state in [Reachable, Stale, Delay, Probe, Permanent, Noarp] {
            let read = neighbour(&entry(state), &names).map(|neighbour| neighbour.mac);
            assert_eq!(read, Some([2, 0, 0, 0, 0, 7]), "{state}");
        }
        for state in [Incomplete, Failed, None, Other(3)] {
            assert_eq!(neighbour(&entry(state), &names), Option::None, "{state}");
        }
        assert_eq!(neighbour(&entry(Stale), &Names::new()), Option::None);
    }

    #[test]
    fn of_a_point_to_point_address_ours_is_read() {
        let ours = IpAddr::from([192, 0, 2, 1]);
        let theirs = IpAddr::from([192, 0, 2, 2]);
        let names = Names::from([(3, "ppp0".to_owned())]);
        let mut message = AddressMessage::default();
        message.header.index = 3;
        let both = [AddressAttribute::Address(theirs), AddressAttribute::Local(ours)];
        message.attributes = both.to_vec();
        assert_eq!(address(&message, &names).unwrap().address, ours);
        message.attributes.reverse();
        assert_eq!(address(&message, &names).unwrap().address, ours);
    }
}
