//! Version 2: a fixed part, addresses, fields (section 2.2).

use crate::decode::Malformed;
use crate::tlv::Tlvs;
use crate::{Endpoints, Header, Origin, V2_FIXED_BYTES};
use std::net::{IpAddr, SocketAddr};

pub(crate) const LOCAL: u8 = 0x20;
pub(crate) const PROXY: u8 = 0x21;
pub(crate) const UNSPEC: u8 = 0x00;
pub(crate) const TCP4: u8 = 0x11;
const UDP4: u8 = 0x12;
pub(crate) const TCP6: u8 = 0x21;
const UDP6: u8 = 0x22;
const UNIX_STREAM: u8 = 0x31;
const UNIX_DATAGRAM: u8 = 0x32;

/// Two paths of 108 bytes.
const UNIX_ADDRESSES: usize = 216;

/// `bytes` agree with the signature as far as they go.
pub(crate) fn decode(bytes: &[u8], limit: usize) -> Result<Option<(Header<'_>, usize)>, Malformed> {
    let Some(command) = bytes.get(12).copied() else { return Ok(None) };
    if command != LOCAL && command != PROXY {
        return Err(Malformed::Command(command));
    }
    let Some(family) = bytes.get(13).copied() else { return Ok(None) };
    // Of the forwarder's own connection, the family is to be ignored with all that follows.
    let family = if command == LOCAL { UNSPEC } else { family };
    let addresses = match family {
        UNSPEC => 0,
        TCP4 | UDP4 => 12,
        TCP6 | UDP6 => 36,
        UNIX_STREAM | UNIX_DATAGRAM => UNIX_ADDRESSES,
        other => return Err(Malformed::Family(other)),
    };
    let Some([high, low]) = bytes.get(14..V2_FIXED_BYTES) else { return Ok(None) };
    let rest = u16::from_be_bytes([*high, *low]);
    if usize::from(rest) < addresses {
        return Err(Malformed::Short(rest));
    }
    let length = V2_FIXED_BYTES + usize::from(rest);
    if length > limit {
        return Err(Malformed::TooLong { length, limit });
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    let origin = match (command, family) {
        (LOCAL, _) => Origin::Local,
        (_, TCP4) => Origin::Tcp(endpoints::<4>(header)),
        (_, UDP4) => Origin::Udp(endpoints::<4>(header)),
        (_, TCP6) => Origin::Tcp(endpoints::<16>(header)),
        (_, UDP6) => Origin::Udp(endpoints::<16>(header)),
        _ => Origin::Unknown,
    };
    // Without a family, what follows is of no known shape.
    let tlvs = match family {
        UNSPEC => Tlvs::default(),
        _ => Tlvs::read(header, V2_FIXED_BYTES + addresses)?,
    };
    Ok(Some((Header { origin, tlvs }, length)))
}

/// Source, destination, and their ports. The caller has seen that they are there.
fn endpoints<const N: usize>(header: &[u8]) -> Endpoints
where
    IpAddr: From<[u8; N]>,
{
    let mut rest = header.get(V2_FIXED_BYTES..).unwrap_or_default();
    let source = IpAddr::from(take::<N>(&mut rest));
    let destination = IpAddr::from(take::<N>(&mut rest));
    let source_port = u16::from_be_bytes(take(&mut rest));
    let destination_port = u16::from_be_bytes(take(&mut rest));
    Endpoints {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((first, others)) = rest.split_first_chunk() else { return [0; N] };
    *rest = others;
    *first
}
