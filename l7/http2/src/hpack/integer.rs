//! Integers with a prefix (RFC 7541 section 5.1).

/// No more octets than these behind the prefix: values below 2^28 and the prefix.
const MAX_MORE: u32 = 4;

/// Reads an integer whose prefix is the low `bits` of `first`; `rest` moves behind it.
///
/// None: it is cut, or larger than anything that fits a field section.
#[inline]
pub(super) fn read(first: u8, bits: u32, rest: &mut &[u8]) -> Option<usize> {
    let mask = (1u8 << bits) - 1;
    let prefix = first & mask;
    if prefix < mask {
        return Some(prefix.into());
    }
    read_more(usize::from(mask), rest)
}

fn read_more(mut value: usize, rest: &mut &[u8]) -> Option<usize> {
    for nth in 0..MAX_MORE {
        let (&octet, after) = rest.split_first()?;
        *rest = after;
        value += usize::from(octet & 0x7f) << (7 * nth);
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends an integer with a prefix of `bits`, whose other bits are `pattern`.
#[inline]
pub(super) fn write(pattern: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    if value < mask {
        return out.push(pattern | value as u8);
    }
    out.push(pattern | mask as u8);
    let mut left = value - mask;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(bits: u32, value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write(0, bits, value, &mut out);
        let (mut rest, first) = (&out[1..], out[0]);
        assert_eq!(read(first, bits, &mut rest), Some(value));
        assert!(rest.is_empty());
        out
    }

    #[test]
    fn the_examples_of_appendix_c1() {
        assert_eq!(both(5, 10), [10]);
        assert_eq!(both(5, 1337), [31, 154, 10]);
        assert_eq!(both(8 - 1, 42), [42]);
        for value in [30, 31, 32, 158, 159, 16_383, 65_535] {
            both(5, value);
        }
    }

    #[test]
    fn no_integer_is_endless_or_cut() {
        for more in
            [&[][..], &[0x80], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80, 0x80, 0x80, 0x80, 0]]
        {
            assert_eq!(read(31, 5, &mut &*more), None, "{more:x?}");
        }
    }
}
