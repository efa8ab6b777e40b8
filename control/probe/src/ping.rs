//! An ICMP echo (RFC 792; RFC 4443, section 4).

use crate::patience::Patience;
use crate::{Failure, Target, socket};
use std::io;
use std::net::IpAddr;

const PAYLOAD: usize = 32;
const HEADER: usize = 8;
const IPV4_REPLY: u8 = 0;
const IPV4_REQUEST: u8 = 8;
const IPV6_REQUEST: u8 = 128;
const IPV6_REPLY: u8 = 129;

/// Whether an echo request is answered.
pub async fn probe(target: &Target, patience: &Patience) -> Result<(), Failure> {
    let whom = target.address.ip();
    let mut payload = [0; PAYLOAD];
    // What comes back is ours if it has this: identifiers are short, and one kind of socket gets
    // all replies of the host.
    rustix::rand::getrandom(&mut payload, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Failure::ours(whom, e))?;
    let socket = socket::icmp(target)?;
    let answer = async {
        // Longer replies are cut; they are not ours.
        let mut packet = [0; 256];
        loop {
            let length = socket.recv(&mut packet).await?;
            if is_reply(whom, &packet[..length], &payload) {
                return io::Result::Ok(());
            }
        }
    };
    match socket::insist(&socket, &request(whom, &payload), answer, patience).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(Failure::of_socket(whom, &e, || format!("no ping reaches {whom}: {e}"))),
        Err(_) => {
            let whole = patience.whole();
            Err(Failure::theirs(format!("{whom} answered no ping within {whole}")))
        }
    }
}

fn request(whom: IpAddr, payload: &[u8; PAYLOAD]) -> [u8; HEADER + PAYLOAD] {
    let mut packet = [0; HEADER + PAYLOAD];
    packet[0] = if whom.is_ipv4() { IPV4_REQUEST } else { IPV6_REQUEST };
    // Identifier (which an unprivileged socket replaces) and sequence number.
    packet[4..6].copy_from_slice(&payload[..2]);
    packet[7] = 1;
    packet[HEADER..].copy_from_slice(payload);
    if whom.is_ipv4() {
        // For IPv6 the kernel does it.
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum + (sum >> 16)) as u16)
}

/// Whether `packet` is the echo of `payload`. A raw IPv4 socket shows the IP header as well.
fn is_reply(whom: IpAddr, packet: &[u8], payload: &[u8]) -> bool {
    let (kind, message) = match (whom, packet.first()) {
        (IpAddr::V4(_), Some(first)) if first >> 4 == 4 => {
            (IPV4_REPLY, packet.get(usize::from(first & 15) * 4..))
        }
        (IpAddr::V4(_), _) => (IPV4_REPLY, Some(packet)),
        (IpAddr::V6(_), _) => (IPV6_REPLY, Some(packet)),
    };
    let Some(message) = message else { return false };
    message.get(..2) == Some(&[kind, 0]) && message.get(HEADER..) == Some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn a_request_has_a_right_checksum() {
        let packet = request(V4, &[0xa5; PAYLOAD]);
        assert_eq!(packet[..2], [8, 0]);
        assert_eq!(checksum(&packet), 0);
        assert_ne!(packet[2..4], [0, 0]);
        // RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(request(V6, &[0xa5; PAYLOAD])[..4], [128, 0, 0, 0]);
    }

    #[test]
    fn only_the_echo_of_the_payload_is_a_reply() {
        let payload = [7; PAYLOAD];
        let mut echo = request(V4, &payload);
        assert!(!is_reply(V4, &echo, &payload), "the request itself");
        echo[0] = 0;
        assert!(is_reply(V4, &echo, &payload));
        assert!(!is_reply(V4, &echo, &[8; PAYLOAD]), "another's");
        assert!(!is_reply(V6, &echo, &payload), "of the other family");
        let raw = |first: u8, options: usize| {
            let mut packet = vec![0; 20 + options];
            packet[0] = first;
            packet.extend_from_slice(&echo);
            packet
        };
        assert!(is_reply(V4, &raw(0x45, 0), &payload));
        assert!(is_reply(V4, &raw(0x46, 4), &payload));
        let mut six = request(V6, &payload);
        assert!(!is_reply(V6, &six, &payload), "the request itself");
        six[0] = 129;
        assert!(is_reply(V6, &six, &payload));
        for cut in 0..echo.len() {
            assert!(!is_reply(V4, &echo[..cut], &payload), "{cut} bytes");
        }
        assert!(!is_reply(V4, &[0x4f; 30], &payload), "a header longer than the packet");
    }
}
