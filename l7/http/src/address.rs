//! A client's address, in words.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The longest text of an IPv6 address.
const MAX_TEXT: usize = 45;

/// A client's address as text, made once per connection and written with every request of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressText {
    text: [u8; MAX_TEXT],
    len: u8,
    is_v6: bool,
}

impl AddressText {
    /// An IPv4 address that came mapped into IPv6 is written as IPv4.
    pub fn new(address: IpAddr) -> AddressText {
        let address = address.to_canonical();
        let mut text = [0; MAX_TEXT];
        let mut rest = &mut text[..];
        // No address is longer than the space; a cut one could still do no harm in a field.
        let _ = write!(rest, "{address}");
        let len = (MAX_TEXT - rest.len()) as u8;
        AddressText { text, len, is_v6: address.is_ipv6() }
    }

    /// As in X-Forwarded-For: without brackets.
    pub fn plain(&self) -> &[u8] {
        self.text.get(..self.len.into()).unwrap_or_default()
    }

    /// Appends it as a node of Forwarded (RFC 7239 section 6): IPv6 in brackets and quotes.
    pub(crate) fn write_node(&self, out: &mut Vec<u8>) {
        let (before, after): (&[u8], &[u8]) =
            if self.is_v6 { (b"\"[", b"]\"") } else { (b"", b"") };
        for part in [before, self.plain(), after] {
            out.extend_from_slice(part);
        }
    }
}

impl From<SocketAddr> for AddressText {
    fn from(address: SocketAddr) -> Self {
        AddressText::new(address.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(address: &str) -> (String, String) {
        let text = AddressText::new(address.parse().unwrap());
        let mut node = Vec::new();
        text.write_node(&mut node);
        let plain = String::from_utf8(text.plain().to_vec()).unwrap();
        (plain, String::from_utf8(node).unwrap())
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(both("192.0.2.7"), ("192.0.2.7".into(), "192.0.2.7".into()));
        assert_eq!(both("2001:db8::1"), ("2001:db8::1".into(), "\"[2001:db8::1]\"".into()));
        assert_eq!(both("::ffff:192.0.2.7"), ("192.0.2.7".into(), "192.0.2.7".into()));
        let longest = "2001:1db8:1111:2222:3333:4444:5555:6666";
        assert_eq!(both(longest).0, longest);
    }
}
