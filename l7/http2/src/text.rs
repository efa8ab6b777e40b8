//! What octets names and values are made of (RFC 9110 section 5, RFC 9113 section 8.2.1).

use crate::flaw::Flaw;

/// Octets of a lower-case token.
static LOWER: [bool; 256] = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz");

/// Octets of a registered name, as far as we take one: no percent codes, no sub-delimiters.
static HOST: [bool; 256] =
    set(b"-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

const fn set(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut nth = 0;
    while nth < marks.len() {
        table[marks[nth] as usize] = true;
        nth += 1;
    }
    table
}

/// A field name is a lower-case token; that of a pseudo-field has a colon before it.
pub(crate) fn name_flaw(name: &[u8]) -> Option<Flaw> {
    let token = name.strip_prefix(b":").unwrap_or(name);
    let good = token.iter().fold(true, |good, &octet| good & LOWER[usize::from(octet)]);
    (token.is_empty() || !good).then_some(Flaw::Name)
}

/// No control character but the tab, and no white space at either end.
pub(crate) fn value_flaw(value: &[u8]) -> Option<Flaw> {
    let is_bad = |octet: u8| ((octet < b' ') & (octet != b'\t')) | (octet == 0x7f);
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let bad = value.iter().fold(false, |bad, &octet| bad | is_bad(octet));
    let padded = value.first().is_some_and(is_blank) || value.last().is_some_and(is_blank);
    (bad || padded).then_some(Flaw::Value)
}

/// How many octets at the start may be a registered name.
pub(crate) fn host_name_len(text: &[u8]) -> usize {
    text.iter().position(|&octet| !HOST[usize::from(octet)]).unwrap_or(text.len())
}

/// A token in any case.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_good = |octet: &u8| LOWER[usize::from(octet.to_ascii_lowercase())];
    !text.is_empty() && text.iter().all(is_good)
}

/// A decimal number below 2^63, digits only.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, &octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    (value <= i64::MAX as u64).then_some(value)
}
