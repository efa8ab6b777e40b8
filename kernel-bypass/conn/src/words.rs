//! A key as the table holds it: what the stages for common packets carry along, made from a
//! header without passing through a [`Key`].

use crate::key::{KEY_WORDS, Key, MAPPED};

/// The words of a connection's key. Addresses and ports are in network byte order, as a header has
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words(pub(crate) [u64; KEY_WORDS]);

impl Words {
    /// Of IPv4.
    #[inline]
    pub fn v4(src: [u8; 4], dst: [u8; 4], ports: [u8; 4], proto: u8) -> Self {
        let address = |bytes| ((u32::from_le_bytes(bytes) as u64) << 32) | MAPPED;
        Self([0, address(src), 0, address(dst), last(ports, proto)])
    }

    /// Of IPv6. Mapped IPv4 addresses stand for IPv4 here and must not come from a header.
    #[inline]
    pub fn v6(src: &[u8; 16], dst: &[u8; 16], ports: [u8; 4], proto: u8) -> Self {
        let ([a, b], [c, d]) = (halves(src), halves(dst));
        Self([a, b, c, d, last(ports, proto)])
    }

    /// The key that these are the words of.
    #[inline]
    pub fn key(&self) -> Key {
        Key::from_words(self.0)
    }

    /// Whether both addresses are IPv4.
    #[inline]
    pub const fn is_v4(&self) -> bool {
        let [a, b, c, d, _] = self.0;
        a | c | ((b ^ MAPPED) & 0xffff_ffff) | ((d ^ MAPPED) & 0xffff_ffff) == 0
    }

    /// Whether any of the addresses is IPv4.
    #[inline]
    pub fn any_v4(&self) -> bool {
        let v4 = |high: u64, low: u64| high == 0 && low & 0xffff_ffff == MAPPED;
        v4(self.0[0], self.0[1]) || v4(self.0[2], self.0[3])
    }

    /// The source address, if it is IPv4.
    #[inline]
    pub const fn src_v4(&self) -> [u8; 4] {
        ((self.0[1] >> 32) as u32).to_le_bytes()
    }

    /// The destination address, if it is IPv4.
    #[inline]
    pub const fn dst_v4(&self) -> [u8; 4] {
        ((self.0[3] >> 32) as u32).to_le_bytes()
    }

    /// The source address.
    #[inline]
    pub const fn src(&self) -> [u8; 16] {
        whole(self.0[0], self.0[1])
    }

    /// The destination address.
    #[inline]
    pub const fn dst(&self) -> [u8; 16] {
        whole(self.0[2], self.0[3])
    }

    /// The ports of packets the other way round, as a header has them.
    #[inline]
    pub const fn ports_reversed(&self) -> [u8; 4] {
        // The destination port is above the source port in the word.
        (self.0[4] as u32).to_be_bytes()
    }
}

/// Ports, protocol, and kind and zone 0.
#[inline]
const fn last(ports: [u8; 4], proto: u8) -> u64 {
    u32::from_be_bytes(ports).rotate_left(16) as u64 | (proto as u64) << 32
}

#[inline]
const fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

#[inline]
const fn whole(low: u64, high: u64) -> [u8; 16] {
    ((high as u128) << 64 | low as u128).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::mapped;
    use std::net::IpAddr;

    #[test]
    fn words_from_a_header_are_the_keys() {
        let (src, dst) = ([10, 1, 2, 3], [192, 0, 2, 9]);
        let key = |src, dst| Key::connection(17, (src, 0x1234), (dst, 0xabcd));
        let ports = [0x12, 0x34, 0xab, 0xcd];
        let v4 = key(mapped(IpAddr::from(src)), mapped(IpAddr::from(dst)));
        let words = Words::v4(src, dst, ports, 17);
        assert_eq!((words.0, words.key()), (v4.words(), v4));
        assert!(words.is_v4() && words.any_v4());
        assert_eq!((words.src_v4(), words.dst_v4()), (src, dst));
        assert_eq!(words.ports_reversed(), [0xab, 0xcd, 0x12, 0x34]);

        let (src, dst) = (*b"0123456789abcdef", *b"fedcba9876543210");
        let words = Words::v6(&src, &dst, ports, 17);
        assert_eq!(words.0, key(src, dst).words());
        assert!(!words.is_v4() && !words.any_v4());
        assert_eq!((words.src(), words.dst()), (src, dst));
        let one = Words::v6(&src, &mapped(IpAddr::from([1, 2, 3, 4])), ports, 17);
        assert!(!one.is_v4() && one.any_v4());
    }
}
