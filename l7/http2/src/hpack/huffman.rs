//! The Huffman code of strings (RFC 7541 section 5.2, appendix B).
//!
//! All tables are made by the compiler from the code's lengths.

use super::code_lengths::LENGTHS;

/// Codes up to so many bits are found by one look-up: all of printable ASCII but five octets.
const FAST_BITS: u32 = 11;
const END_OF_STRING: usize = 256;
const MAX_BITS: usize = 30;

/// What the next bits stand for: the octet, and the length of its code, or 0 for a longer one.
static FAST: [(u8, u8); 1 << FAST_BITS] = fast();
static CODES: [u32; 257] = codes();
static CANON: Canon = canon();

/// The code by length: which codes have it, and where their symbols stand in order.
struct Canon {
    first: [u32; MAX_BITS + 1],
    count: [u16; MAX_BITS + 1],
    offset: [u16; MAX_BITS + 1],
    symbols: [u16; 257],
}

const fn canon() -> Canon {
    let mut canon = Canon {
        first: [0; MAX_BITS + 1],
        count: [0; MAX_BITS + 1],
        offset: [0; MAX_BITS + 1],
        symbols: [0; 257],
    };
    let (mut code, mut placed, mut bits) = (0u32, 0u16, 1);
    while bits <= MAX_BITS {
        code <<= 1;
        canon.first[bits] = code;
        canon.offset[bits] = placed;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == bits {
                canon.symbols[placed as usize] = symbol as u16;
                placed += 1;
                code += 1;
            }
            symbol += 1;
        }
        canon.count[bits] = placed - canon.offset[bits];
        bits += 1;
    }
    canon
}

const fn codes() -> [u32; 257] {
    let canon = canon();
    let mut codes = [0; 257];
    let mut bits = 1;
    while bits <= MAX_BITS {
        let mut nth = 0;
        while nth < canon.count[bits] {
            codes[canon.symbols[(canon.offset[bits] + nth) as usize] as usize] =
                canon.first[bits] + nth as u32;
            nth += 1;
        }
        bits += 1;
    }
    codes
}

const fn fast() -> [(u8, u8); 1 << FAST_BITS] {
    let codes = codes();
    let mut fast = [(0, 0); 1 << FAST_BITS];
    let mut symbol = 0;
    while symbol < 256 {
        let bits = LENGTHS[symbol] as u32;
        if bits <= FAST_BITS {
            let from = codes[symbol] << (FAST_BITS - bits);
            let mut nth = 0;
            while nth < 1 << (FAST_BITS - bits) {
                fast[(from + nth) as usize] = (symbol as u8, bits as u8);
                nth += 1;
            }
        }
        symbol += 1;
    }
    fast
}

/// A string that is no Huffman code, holds the end of string, or is padded otherwise than with
/// fewer than eight ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotCoded;

/// Appends what `coded` stands for.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), NotCoded> {
    out.reserve(coded.len() * 8 / 5 + 1);
    let (mut window, mut held) = (0u64, 0u32);
    let mut rest = coded;
    loop {
        if held <= 32 {
            if let Some((four, after)) = rest.split_first_chunk::<4>() {
                window |= u64::from(u32::from_be_bytes(*four)) << (32 - held);
                held += 32;
                rest = after;
            } else {
                while let (Some((&octet, after)), true) = (rest.split_first(), held <= 56) {
                    window |= u64::from(octet) << (56 - held);
                    held += 8;
                    rest = after;
                }
            }
        }
        let (octet, bits) = FAST[(window >> (64 - FAST_BITS)) as usize];
        let (octet, bits) = match u32::from(bits) {
            0 => long(window).filter(|&(_, bits)| bits <= held).ok_or(NotCoded),
            bits if bits <= held => Ok((octet, bits)),
            _ => Err(NotCoded),
        }
        .or_else(|wrong| if is_padding(window, held) { Ok((0, 0)) } else { Err(wrong) })?;
        if bits == 0 {
            return Ok(());
        }
        out.push(octet);
        window <<= bits;
        held -= bits;
    }
}

/// Fewer than eight bits are left, and all are ones.
fn is_padding(window: u64, held: u32) -> bool {
    held < 8 && window == !(u64::MAX >> held)
}

/// A code of more than [`FAST_BITS`].
#[cold]
fn long(window: u64) -> Option<(u8, u32)> {
    for bits in FAST_BITS as usize + 1..=MAX_BITS {
        let nth = ((window >> (64 - bits)) as u32).wrapping_sub(CANON.first[bits]);
        if nth < u32::from(CANON.count[bits]) {
            let symbol = CANON.symbols[usize::from(CANON.offset[bits]) + nth as usize];
            return u8::try_from(symbol).ok().map(|octet| (octet, bits as u32));
        }
    }
    None
}

/// How many octets [`encode`] will append.
pub(super) fn encoded_len(plain: &[u8]) -> usize {
    let bits: usize = plain.iter().map(|&octet| usize::from(LENGTHS[usize::from(octet)])).sum();
    bits.div_ceil(8)
}

/// Appends the code of `plain`.
pub(super) fn encode(plain: &[u8], out: &mut Vec<u8>) {
    let (mut window, mut held) = (0u64, 0u32);
    for &octet in plain {
        let bits = u32::from(LENGTHS[usize::from(octet)]);
        window = window << bits | u64::from(CODES[usize::from(octet)]);
        held += bits;
        while held >= 8 {
            held -= 8;
            out.push((window >> held) as u8);
        }
    }
    if held > 0 {
        // Padded with the first bits of the end of string, which are ones.
        out.push((window << (8 - held)) as u8 | 0xff >> held);
    }
}

const _: () = assert!(LENGTHS[END_OF_STRING] as usize == MAX_BITS);

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, NotCoded> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn the_code_is_complete() {
        let sum: u64 = LENGTHS.iter().map(|&bits| 1u64 << (32 - u32::from(bits))).sum();
        assert_eq!(sum, 1 << 32);
        // Three codes of appendix B, far apart.
        assert_eq!(CODES[usize::from(b'0')], 0);
        assert_eq!(CODES[usize::from(b'\\')], 0x7fff0);
        assert_eq!(CODES[END_OF_STRING], 0x3fff_ffff);
        // All of them, each with its place: the codes as the appendix lists them sum up to this.
        let sum = (1u32..)
            .zip(CODES)
            .fold(0u32, |sum, (nth, code)| sum.wrapping_add(nth.wrapping_mul(code)));
        assert_eq!(sum, 2_693_137_461);
    }

    #[test]
    fn every_octet_comes_back_in_every_place() {
        for first in 0..=255u8 {
            for second in (0..=255u8).step_by(5) {
                let plain = [first, second, b'a', first];
                let mut coded = Vec::new();
                encode(&plain, &mut coded);
                assert_eq!(coded.len(), encoded_len(&plain));
                assert_eq!(decoded(&coded).as_deref(), Ok(&plain[..]));
            }
        }
        assert_eq!(decoded(b""), Ok(vec![]));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        // Padding of eight ones; the end of string; zeros as padding; a cut long code.
        for wrong in [&[0xff][..], &[0x3f, 0xff, 0xff, 0xff], &[0x18], &[0xff, 0xff], &[0x07, 0xff]]
        {
            assert_eq!(decoded(wrong), Err(NotCoded), "{wrong:x?}");
        }
        assert_eq!(decoded(&[0x1f]), Ok(b"a".to_vec()));
    }
}
