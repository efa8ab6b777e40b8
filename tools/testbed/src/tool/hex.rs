//! Octets as words.

use anyhow::{Context, Result};

/// Two digits each; `-` is none.
pub fn write(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "-".to_owned();
    }
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Of what [`write()`] made.
pub fn read(word: &str) -> Result<Vec<u8>> {
    if word == "-" {
        return Ok(Vec::new());
    }
    let octet = |at| word.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let octets: Option<Vec<u8>> = (0..word.len()).step_by(2).map(octet).collect();
    octets.context("not hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for octets in [&b""[..], b"\0", b"\xff\x00GET"] {
            assert_eq!(read(&write(octets)).ok().as_deref(), Some(octets));
        }
        assert!(read("0").is_err() && read("0g").is_err());
    }
}
