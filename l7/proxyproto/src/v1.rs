//! Version 1: a line of text (section 2.1).

use crate::decode::Malformed;
use crate::{Endpoints, Header, MAX_V1_BYTES, Origin, Tlvs};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub(crate) const BEGIN: &[u8] = b"PROXY ";

pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Header<'_>, usize)>, Malformed> {
    let window = bytes.get(..MAX_V1_BYTES).unwrap_or(bytes);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == MAX_V1_BYTES { Err(Malformed::Endless) } else { Ok(None) };
    };
    let line = window.get(BEGIN.len()..end).ok_or(Malformed::NoHeader)?;
    let origin = origin(line)?;
    Ok(Some((Header { origin, tlvs: Tlvs::default() }, end + 2)))
}

/// What follows `PROXY `.
fn origin(line: &[u8]) -> Result<Origin, Malformed> {
    let mut parts = line.split(|byte| *byte == b' ');
    let mut next = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let endpoints = match next() {
        // Whatever else is in the line is to be ignored.
        Some("UNKNOWN") => return Ok(Origin::Unknown),
        Some("TCP4") => endpoints::<Ipv4Addr>(next)?,
        Some("TCP6") => endpoints::<Ipv6Addr>(next)?,
        _ => return Err(Malformed::Line("protocol")),
    };
    match parts.next() {
        None => Ok(Origin::Tcp(endpoints)),
        Some(_) => Err(Malformed::Line("end")),
    }
}

fn endpoints<'a, A: FromStr + Into<IpAddr>>(
    mut next: impl FnMut() -> Option<&'a str>,
) -> Result<Endpoints, Malformed> {
    let mut address = |what| {
        let read = next().and_then(|text| text.parse::<A>().ok());
        read.map(Into::into).ok_or(Malformed::Line(what))
    };
    let (source, destination) = (address("source address")?, address("destination address")?);
    let mut port = |what| next().and_then(port).ok_or(Malformed::Line(what));
    Ok(Endpoints {
        source: SocketAddr::new(source, port("source port")?),
        destination: SocketAddr::new(destination, port("destination port")?),
    })
}

/// Decimal, without sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}
