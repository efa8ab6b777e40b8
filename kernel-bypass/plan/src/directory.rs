//! Which service an address, protocol and port belong to.

use crate::{
    Address, PlanError,
    hash::{Map, Set},
};
use api::{PortRange, ServiceId};

/// Services by address and protocol, then by port: single ports by hash, ranges by bisection.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    places: Map<(Address, u8), Ports>,
    addresses: Set<Address>,
}

#[derive(Debug, Default)]
struct Ports {
    single: Map<u16, ServiceId>,
    /// Sorted and disjoint.
    ranges: Vec<(PortRange, ServiceId)>,
}

impl Directory {
    /// `Err` holds the service that has a port of `range` already, and the lowest such port.
    pub fn insert(
        &mut self,
        address: Address,
        protocol: u8,
        range: PortRange,
        service: ServiceId,
    ) -> Result<(), (ServiceId, u16)> {
        self.addresses.insert(address);
        let ports = self.places.entry((address, protocol)).or_default();
        if let Some(conflict) = ports.conflict(range) {
            return Err(conflict);
        }
        if range.first == range.last {
            ports.single.insert(range.first, service);
        } else {
            let at = ports.ranges.partition_point(|(r, _)| r.first < range.first);
            ports.ranges.insert(at, (range, service));
        }
        Ok(())
    }

    pub fn service(&self, address: &Address, protocol: u8, port: u16) -> Option<ServiceId> {
        self.places.get(&(*address, protocol))?.service(port)
    }

    pub fn has_address(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }
}

impl Ports {
    fn service(&self, port: u16) -> Option<ServiceId> {
        if let Some(&service) = self.single.get(&port) {
            return Some(service);
        }
        let after = self.ranges.partition_point(|(range, _)| range.first <= port);
        let (range, service) = self.ranges.get(after.checked_sub(1)?)?;
        range.contains(port).then_some(*service)
    }

    fn conflict(&self, new: PortRange) -> Option<(ServiceId, u16)> {
        if new.first == new.last {
            return self.service(new.first).map(|service| (service, new.first));
        }
        let single = self.single.iter().filter(|(port, _)| new.contains(**port));
        let single = single.map(|(&port, &service)| (service, port));
        let overlaps = |range: &PortRange| range.first <= new.last && new.first <= range.last;
        let ranges = self.ranges.iter().filter(|(range, _)| overlaps(range));
        let ranges = ranges.map(|(range, service)| (*service, range.first.max(new.first)));
        single.chain(ranges).min_by_key(|&(_, port)| port)
    }
}

/// Protocol numbers of a service.
pub(crate) fn protocol_numbers(service: &api::Service) -> Result<Vec<u8>, PlanError> {
    let numbers = [(api::Protocols::TCP, 6), (api::Protocols::UDP, 17)];
    let numbers: Vec<u8> = numbers
        .into_iter()
        .filter(|(p, _)| service.protocols.contains(*p))
        .map(|(_, n)| n)
        .collect();
    if numbers.is_empty() {
        return Err(PlanError::NoProtocol { service: service.name.clone() });
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Address = [1; 16];

    proptest! {
        /// Against 65,536 slots written one by one.
        #[test]
        fn like_an_array_of_ports(ranges in prop::collection::vec((0u16..300, 0u16..40), 1..20)) {
            let mut slow = vec![None; 65536];
            let mut directory = Directory::default();
            for (id, (first, more)) in ranges.into_iter().enumerate() {
                let range = PortRange { first, last: first + more };
                let slots = usize::from(range.first)..=usize::from(range.last);
                let taken = slots.clone().find_map(|p| slow[p].map(|s| (s, p as u16)));
                let result = directory.insert(HERE, 6, range, id as u16);
                prop_assert_eq!(result, taken.map_or(Ok(()), Err));
                if taken.is_none() {
                    slow[slots].fill(Some(id as u16));
                }
            }
            for (port, want) in slow.iter().enumerate() {
                prop_assert_eq!(directory.service(&HERE, 6, port as u16), *want);
                prop_assert_eq!(directory.service(&HERE, 17, port as u16), None);
            }
        }
    }

    #[test]
    fn all_ports_and_the_edges() {
        let mut directory = Directory::default();
        directory.insert(HERE, 17, PortRange::ALL, 7).unwrap();
        assert_eq!(directory.service(&HERE, 17, 0), Some(7));
        assert_eq!(directory.service(&HERE, 17, 65535), Some(7));
        assert_eq!(directory.service(&[2; 16], 17, 1), None);
        assert_eq!(directory.insert(HERE, 17, PortRange::one(9), 8), Err((7, 9)));
        assert!(directory.has_address(&HERE) && !directory.has_address(&[2; 16]));
    }
}
