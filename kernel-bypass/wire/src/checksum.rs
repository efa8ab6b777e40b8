//! The Internet checksum (RFC 1071), whole and incremental (RFC 1624).

use crate::bytes::be16;
use crate::parse::{IpVersion, Parsed, proto};

/// A ones' complement sum that has not been folded. Parts may be added in any order, but each
/// must begin at an even offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last one counts as if a zero followed.
    #[inline]
    #[must_use]
    pub fn plus(mut self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(4);
        for word in &mut words {
            self.0 += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        }
        let mut last = [0; 4];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.0 += u64::from(u32::from_be_bytes(last));
        self
    }

    /// Adds one 16-bit word.
    #[must_use]
    pub const fn plus16(mut self, word: u16) -> Self {
        self.0 += word as u64;
        self
    }

    /// The 16-bit ones' complement sum.
    #[inline]
    pub const fn fold(self) -> u16 {
        fold(self.0)
    }

    /// The checksum: the sum's complement.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// Folds 64 bits to 32 and to 16, each time adding the halves' carry by adding them both ways round.
#[inline]
pub(crate) const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// What changed under a checksum: RFC 1624, equation 3 (HC' = ~(~HC + ~m + m')).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change(Sum);

impl Change {
    /// `old` became `new`; both of the same length, a multiple of four, at an even offset.
    #[inline]
    #[must_use]
    pub fn replace(mut self, old: &[u8], new: &[u8]) -> Self {
        debug_assert!(old.len() == new.len() && old.len().is_multiple_of(4));
        let word = |word: &[u8]| u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        for (old, new) in old.chunks_exact(4).zip(new.chunks_exact(4)) {
            // Two words at once: the complement of both is the complement of each.
            self.0.0 += u64::from(!word(old)) + u64::from(word(new));
        }
        self
    }

    /// One 16-bit word.
    #[inline]
    #[must_use]
    pub const fn replace16(self, old: u16, new: u16) -> Self {
        Self(self.0.plus16(!old).plus16(new))
    }

    /// The checksum after the change, given the one before.
    #[inline]
    pub const fn apply(self, checksum: u16) -> u16 {
        self.0.plus16(!checksum).checksum()
    }
}

/// Updates the checksum at an offset.
#[inline]
pub(crate) fn patch(frame: &mut [u8], at: usize, change: Change) {
    patch_with(frame, at, |old| change.apply(old));
}

/// Updates the checksum at an offset by a rule of its own.
#[inline]
pub(crate) fn patch_with(frame: &mut [u8], at: usize, change: impl FnOnce(u16) -> u16) {
    if let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = change(u16::from_be_bytes(*place)).to_be_bytes();
    }
}

/// The pseudo header of a transport checksum (RFC 9293 section 3.1, RFC 8200 section 8.1).
pub fn pseudo_header(parsed: &Parsed, len: usize) -> Sum {
    let (src, dst) = match parsed.version {
        IpVersion::V4 => (&parsed.src[12..], &parsed.dst[12..]),
        IpVersion::V6 => (&parsed.src[..], &parsed.dst[..]),
    };
    let len = (len as u32).to_be_bytes();
    Sum::default().plus(src).plus(dst).plus(&len).plus16(parsed.proto.into())
}

/// Whether a header's own checksum (IPv4) is right.
#[inline]
pub fn header_is_right(header: &[u8]) -> bool {
    match header.as_array::<20>() {
        // Without options, as nearly always: unrolled, and in the order of bytes in memory, on which
        // it does not depend whether a sum is all ones (RFC 1071, section 2 B).
        Some(header) => {
            let words = header.as_chunks::<4>().0.iter();
            fold(words.map(|word| u64::from(u32::from_ne_bytes(*word))).sum()) == 0xffff
        }
        None => Sum::default().plus(header).fold() == 0xffff,
    }
}

/// Whether the transport checksum of a whole packet is right. Over IPv4 a UDP checksum of zero
/// counts as right (RFC 768), over IPv6 it does not. ICMP has no pseudo header, ICMPv6 has.
pub fn transport_is_right(frame: &[u8], parsed: &Parsed) -> bool {
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    let Some(body) = frame.get(usize::from(parsed.l4_off)..end) else { return false };
    let (sum, body) = match (parsed.proto, parsed.version) {
        (proto::ICMP, _) => (Sum::default(), body),
        (proto::UDP, version) => match (be16(body, 4), be16(body, 6)) {
            (Some(_), Some(0)) => return version == IpVersion::V4,
            // What lies behind the datagram in the packet is not summed.
            (Some(len), Some(_)) if usize::from(len) <= body.len() => {
                (pseudo_header(parsed, len.into()), &body[..len.into()])
            }
            _ => return false,
        },
        _ => (pseudo_header(parsed, body.len()), body),
    };
    sum.plus(body).fold() == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// RFC 1071 section 4.1, word by word.
    fn by_words(words: impl IntoIterator<Item = u16>) -> u16 {
        words.into_iter().fold(0u16, |sum, word| {
            let (sum, carry) = sum.overflowing_add(word);
            sum + u16::from(carry)
        })
    }

    fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
        let word = |pair: &[u8]| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        bytes.chunks(2).map(word)
    }

    /// Mostly a word that carries, or nearly does.
    fn word() -> impl Strategy<Value = u16> {
        prop_oneof![Just(0), Just(1), Just(0xfffe), Just(0xffff), any::<u16>()]
    }

    /// Bytes with long runs of zeros and ones, where carries and the two zeros are.
    fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], len)
    }

    proptest! {
        #[test]
        fn folding_is_adding_word_by_word(words in [word(), word(), word(), word()]) {
            let [a, b, c, d] = words.map(u64::from);
            prop_assert_eq!(Sum(a << 48 | b << 32 | c << 16 | d).fold(), by_words(words));
        }

        #[test]
        fn a_sum_is_word_by_word(bytes in bytes(0..90)) {
            prop_assert_eq!(Sum::default().plus(&bytes).fold(), by_words(words(&bytes)));
        }

        /// Four bytes at once are two words one after the other.
        #[test]
        fn a_replacement_is_word_by_word(
            (old, new) in prop_oneof![Just(4), Just(16)]
                .prop_flat_map(|len: usize| (bytes(len), bytes(len))),
            checksum in word(),
        ) {
            let by_words = words(&old).zip(words(&new))
                .fold(Change::default(), |change, (old, new)| change.replace16(old, new));
            let at_once = Change::default().replace(&old, &new);
            prop_assert_eq!(at_once.apply(checksum), by_words.apply(checksum));
        }

        #[test]
        fn a_header_is_right_with_its_own_checksum_only(
            mut header in (5usize..=15).prop_flat_map(|words| bytes(words * 4)),
            wrong in prop_oneof![Just(1), 1..0xffffu16],
        ) {
            header[10..12].fill(0);
            // As a real one: all zeros would be right with either of the two zeros.
            header[0] |= 0x40;
            let right = !by_words(words(&header));
            header[10..12].copy_from_slice(&right.to_be_bytes());
            prop_assert!(header_is_right(&header));
            header[10..12].copy_from_slice(&(right ^ wrong).to_be_bytes());
            prop_assert!(!header_is_right(&header));
        }
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().plus(&bytes).fold(), 0xddf2);
        assert_eq!(Sum::default().plus(&bytes[..7]).fold(), 0xddf2 - 0xf7);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: 0x5555 becomes 0x3285 under the checksum 0xdd2f; the right answer is 0x0000.
        assert_eq!(Change::default().replace16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }
}
