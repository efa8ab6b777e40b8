//! Whatever comes before a connection's first byte: an answer, no panic, within bounds, and the
//! same one however the bytes were cut. `FULCRUM_FUZZ_SECONDS` lengthens the targets; under
//! `cargo bolero` they are guided.

use proxyproto::{SIGNATURE, decode};
use std::time::Duration;

const LIMIT: usize = 600;

/// How long each target runs: `FULCRUM_FUZZ_SECONDS`, else a moment.
fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

fn judge(bytes: &[u8]) {
    let whole = decode(bytes, LIMIT);
    if let Ok(Some((header, length))) = &whole {
        assert!(*length <= bytes.len() && *length <= LIMIT);
        assert!(header.tlvs.iter().map(|tlv| tlv.value.len() + 3).sum::<usize>() <= *length);
    }
    if whole == Ok(None) {
        assert!(bytes.len() < LIMIT);
    }
    // Byte by byte, the first answer is the answer.
    let first = (0..=bytes.len()).map(|end| decode(&bytes[..end], LIMIT)).find(|d| *d != Ok(None));
    assert_eq!(first.unwrap_or(Ok(None)), whole);
}

#[test]
fn fuzz_any_bytes() {
    bolero::check!().with_test_time(time()).with_max_len(700).for_each(|bytes: &[u8]| judge(bytes));
}

#[test]
fn fuzz_lines() {
    const PARTS: [&str; 14] = [
        "PROXY",
        " ",
        "TCP4",
        "TCP6",
        "UNKNOWN",
        "192.0.2.1",
        "2001:db8::1",
        "443",
        "0",
        "65536",
        "\r\n",
        "\r",
        "\n",
        "\u{0}",
    ];
    bolero::check!().with_test_time(time()).with_type::<Vec<u8>>().for_each(|picks| {
        let line: String = picks.iter().map(|pick| PARTS[usize::from(*pick) % 14]).collect();
        judge(format!("PROXY {line}").as_bytes());
    });
}

#[test]
fn fuzz_fields() {
    bolero::check!().with_test_time(time()).with_type::<(bool, bool, u8, u16, Vec<u8>)>().for_each(
        |(usual, whole, family, length, rest)| {
            let family = if *usual { 0x11 } else { *family };
            let length = if *whole { rest.len() as u16 } else { *length };
            let fixed = [&[0x21, family][..], &length.to_be_bytes()].concat();
            judge(&[&SIGNATURE[..], &fixed, rest].concat());
        },
    );
}
