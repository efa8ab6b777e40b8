//! Tokens, lists and numbers of RFC 9110 section 5.6.

const fn class(more: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < more.len() {
        table[more[at] as usize] = true;
        at += 1;
    }
    table
}

static TOKEN: [bool; 256] = class(b"!#$%&'*+-.^_`|~");
static HOST_NAME: [bool; 256] = class(b"-._~");

/// At least one octet, all of them token characters.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// How many octets at the start may stand in the name of a host.
#[inline]
pub(crate) fn host_name_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !HOST_NAME[usize::from(byte)]).unwrap_or(bytes.len())
}

/// May it stand in a field value: visible, space, tab, or opaque (above ASCII)?
pub(crate) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// Without the spaces and tabs around it.
pub(crate) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, without the empty ones (RFC 9110 section
/// 5.6.1.2). Not for lists whose members hold quoted strings.
pub(crate) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trimmed).filter(|member| !member.is_empty())
}

/// Decimal digits and nothing else, at most 2^63 - 1: beyond that, servers which keep sizes in
/// signed numbers would read another.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    (value <= i64::MAX as u64).then_some(value)
}

/// A number's decimal or hexadecimal digits, without a heap allocation.
pub(crate) struct Digits {
    text: [u8; 20],
    from: usize,
}

impl Digits {
    pub(crate) fn new(mut number: u64, base: u64) -> Digits {
        let mut digits = Digits { text: [b'0'; 20], from: 20 };
        loop {
            digits.from -= 1;
            let digit = (number % base) as u8;
            digits.text[digits.from] = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            number /= base;
            if number == 0 {
                return digits;
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_only_and_fit_a_signed_word() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"9223372036854775807"), Some(i64::MAX as u64));
        for wrong in
            ["", "+1", "-1", "1 ", " 1", "0x1", "1,1", "1.0", "9223372036854775808", "१", "1\0"]
        {
            assert_eq!(decimal(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(decimal("9".repeat(40).as_bytes()), None);
    }

    #[test]
    fn members_are_trimmed_and_never_empty() {
        let list: Vec<_> = members(b" a ,\t,b,, c\t").collect();
        assert_eq!(list, [b"a", b"b", b"c"]);
        assert_eq!(members(b" , ").count(), 0);
    }

    #[test]
    fn digits_of_the_extremes() {
        assert_eq!(Digits::new(0, 10).as_bytes(), b"0");
        assert_eq!(Digits::new(u64::MAX, 10).as_bytes(), b"18446744073709551615");
        assert_eq!(Digits::new(u64::MAX, 16).as_bytes(), b"ffffffffffffffff");
        assert_eq!(Digits::new(0x1a0, 16).as_bytes(), b"1a0");
    }
}
