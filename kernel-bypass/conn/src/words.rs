//! A key as the table holds it: what the stages for common packets carry along, made from a
//! header without passing through a [`Key`].

use crate::key::{IS_V4, KEY_WORDS, Key, PORTS, is_mapped};

/// The words of a connection's key. Addresses and ports are in network byte order, as a header has
/// them: the first word is the source's first half, the second one has both ports, the protocol, and
/// what is not in a header, the others are the source's second half and the destination.
///
/// Of IPv4, both addresses are the first word, and the second one says so; the others are not looked
/// at.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub(crate) [u64; KEY_WORDS]);

impl Words {
    /// Of nothing.
    pub const NONE: Self = Self([0; KEY_WORDS]);

    /// Becomes those of IPv4; `addresses` are the source and the destination, `ports` both ports as
    /// little-endian bytes, and above these 32 bits the protocol.
    // In place: a burst of them is kept, and what is not looked at need not be written.
    #[inline]
    pub fn set_v4(&mut self, addresses: [u8; 8], ports: u64) {
        self.0[0] = u64::from_le_bytes(addresses);
        self.0[PORTS] = ports | IS_V4;
    }

    /// The same of IPv6. Mapped IPv4 addresses stand for IPv4 here and must not come from a
    /// header.
    #[inline]
    pub fn set_v6(&mut self, addresses: &[u8; 32], ports: u64) {
        let [first, rest @ ..] = addresses.as_chunks().0 else { return };
        let [a, word, others @ ..] = &mut self.0;
        (*a, *word) = (u64::from_le_bytes(*first), ports);
        for (other, bytes) in others.iter_mut().zip(rest) {
            *other = u64::from_le_bytes(*bytes);
        }
    }

    /// The key that these are the words of.
    #[inline]
    pub fn key(&self) -> Key {
        Key::from_words(&self.0)
    }

    /// Whether both addresses are IPv4.
    #[inline]
    const fn is_v4(&self) -> bool {
        self.0[PORTS] & IS_V4 != 0
    }

    /// Whether any of the addresses is IPv4.
    #[inline]
    pub fn any_v4(&self) -> bool {
        let [a, _, b, c, d] = self.0;
        self.is_v4() || is_mapped([a, b]) || is_mapped([c, d])
    }

    /// The destination and the source of IPv6, each whole: the addresses of packets the other way
    /// round.
    #[inline]
    pub fn reversed(&self) -> [u8; 32] {
        let [a, _, b, c, d] = self.0;
        let mut addresses = [0; 32];
        for (bytes, word) in addresses.as_chunks_mut().0.iter_mut().zip([c, d, a, b]) {
            *bytes = word.to_le_bytes();
        }
        addresses
    }

    /// The ports of packets the other way round, as a header has them.
    #[inline]
    pub const fn ports_reversed(&self) -> [u8; 4] {
        ports_reversed(self.0[PORTS])
    }
}

/// Those of a key's [`PORTS`] word.
#[inline]
pub(crate) const fn ports_reversed(ports: u64) -> [u8; 4] {
    (ports as u32).rotate_left(16).to_le_bytes()
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
        let ports = 17 << 32 | u64::from(u32::from_le_bytes([0x12, 0x34, 0xab, 0xcd]));
        let mut words = Words([7; KEY_WORDS]);
        let v4 = key(mapped(IpAddr::from(src)), mapped(IpAddr::from(dst)));
        words.set_v4([10, 1, 2, 3, 192, 0, 2, 9], ports);
        assert_eq!(words.0[..2], v4.words()[..2]);
        assert_eq!((words.key(), words.is_v4(), words.any_v4()), (v4, true, true));
        assert_eq!(words.ports_reversed(), [0xab, 0xcd, 0x12, 0x34]);

        let (src, dst) = (*b"0123456789abcdef", *b"fedcba9876543210");
        words.set_v6(b"0123456789abcdeffedcba9876543210", ports);
        assert_eq!((words.0, words.is_v4()), (key(src, dst).words(), false));
        assert_eq!(&words.reversed(), b"fedcba98765432100123456789abcdef");
        assert!(!words.any_v4());
        let one = key(src, mapped(IpAddr::from([1, 2, 3, 4])));
        assert_eq!(Key::from_words(&one.words()), one);
        let both = [one.src, one.dst].concat().try_into().unwrap();
        words.set_v6(&both, ports);
        assert!(words.any_v4() && !words.is_v4());
    }
}
