//! A value in a file, with a checksum over it: one line that names format and SHA-256, then JSON
//! that an operator can read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt::Write;

const FORMAT: &str = "fulcrum-state 1 sha256:";

/// Why a file is not what was once written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it does not begin with \"{FORMAT}\"")]
    Header,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("its checksum is right, but it is not what belongs here: {0}")]
    Content(String),
}

/// The file's bytes.
pub(crate) fn seal<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(value)?;
    let mut bytes = format!("{FORMAT}{}\n", sha256(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The value, if the bytes are what [`seal`] once gave.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    let rest = bytes.strip_prefix(FORMAT.as_bytes()).ok_or(Damage::Header)?;
    let end = rest.iter().position(|&byte| byte == b'\n').ok_or(Damage::Header)?;
    let (sum, body) = (&rest[..end], &rest[end + 1..]);
    if sum != sha256(body).as_bytes() {
        return Err(Damage::Checksum);
    }
    serde_json::from_slice(body).map_err(|e| Damage::Content(e.to_string()))
}

/// SHA-256 in lower-case hexadecimal (FIPS 180-4), as [`Revision::sha256`](crate::Revision).
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let value = vec!["one".to_owned(), "two".to_owned()];
        let sealed = seal(&value).unwrap();
        assert_eq!(unseal::<Vec<String>>(&sealed), Ok(value));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x20;
            assert!(unseal::<Vec<String>>(&changed).is_err(), "byte {at}");
            assert!(unseal::<Vec<String>>(&sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_kind_of_value_is_refused() {
        let sealed = seal(&7).unwrap();
        assert!(matches!(unseal::<Vec<String>>(&sealed), Err(Damage::Content(_))));
    }
}
