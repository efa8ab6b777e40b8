//! The PROXY protocol header that tells a real server who its client is (haproxy.org,
//! "The PROXY protocol", versions 1 and 2, sections 2.1 and 2.2).

use l7_api::ProxyOut;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_COMMAND: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Writes the header for a client that came to `vip`, and returns its length in bytes: at most
/// 107 (version 1) or 52 (version 2), which `out` must hold.
pub fn write(version: ProxyOut, client: SocketAddr, vip: SocketAddr, mut out: &mut [u8]) -> usize {
    let room = out.len();
    // A slice refuses what does not fit, and everything fits by the lengths above.
    let _ = match version {
        ProxyOut::None => Ok(()),
        ProxyOut::V1 => write_v1(client, vip, &mut out),
        ProxyOut::V2 => write_v2(client, vip, &mut out),
    };
    room - out.len()
}

fn write_v1(client: SocketAddr, vip: SocketAddr, out: &mut &mut [u8]) -> std::io::Result<()> {
    let (from, to) = (client.ip(), vip.ip());
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    write!(out, "PROXY {family} {from} {to} {} {}\r\n", client.port(), vip.port())
}

fn write_v2(client: SocketAddr, vip: SocketAddr, out: &mut &mut [u8]) -> std::io::Result<()> {
    out.write_all(&SIGNATURE)?;
    match (client.ip(), vip.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.write_all(&[VERSION_COMMAND, TCP4, 0, 12])?;
            out.write_all(&from.octets())?;
            out.write_all(&to.octets())?;
        }
        (from, to) => {
            out.write_all(&[VERSION_COMMAND, TCP6, 0, 36])?;
            out.write_all(&octets(from))?;
            out.write_all(&octets(to))?;
        }
    }
    out.write_all(&client.port().to_be_bytes())?;
    out.write_all(&vip.port().to_be_bytes())
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyOut, client: &str, vip: &str) -> Vec<u8> {
        let mut out = [0; 107];
        let len = write(version, client.parse().unwrap(), vip.parse().unwrap(), &mut out);
        out[..len].to_vec()
    }

    #[test]
    fn version_1_is_a_line() {
        assert_eq!(
            header(ProxyOut::V1, "192.0.2.1:56324", "192.0.2.2:443"),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
        );
        assert_eq!(
            header(ProxyOut::V1, "[2001:db8::1]:1", "[2001:db8::2]:443"),
            b"PROXY TCP6 2001:db8::1 2001:db8::2 1 443\r\n"
        );
        let longest = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
        assert!(header(ProxyOut::V1, longest, longest).ends_with(b" 65535 65535\r\n"));
    }

    #[test]
    fn version_2_is_binary() {
        let v4 = header(ProxyOut::V2, "192.0.2.1:258", "192.0.2.2:443");
        let tail = [0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 1, 187];
        assert_eq!(v4, [SIGNATURE.as_slice(), &tail].concat());
        let v6 = header(ProxyOut::V2, "[::1]:1", "[::2]:2");
        assert_eq!((v6.len(), &v6[12..16]), (52, &[0x21, 0x21, 0, 36][..]));
        assert_eq!((v6[31], v6[47], &v6[48..]), (1, 2, &[0, 1, 0, 2][..]));
    }

    #[test]
    fn none_is_nothing() {
        assert_eq!(header(ProxyOut::None, "192.0.2.1:1", "192.0.2.2:2"), b"");
    }
}
