//! Clients that a service remembers: how they are shown, and which one an operator means.

use l7_api::{PersistenceBy, PersistenceKey};
use rest::Problem;
use std::net::IpAddr;

/// A client, whichever plane remembers it.
#[derive(Debug)]
pub struct Remembered {
    pub client: PersistenceKey,
    /// The real server's number.
    pub backend: u32,
    pub idle_s: u32,
    pub expires_s: u32,
}

/// Octets of a cookie that may be seen: who has all of it has the session.
const SEEN: usize = 4;

/// The client as it is shown; `by` is `None` in layer 4.
pub fn shown(by: Option<&PersistenceBy>, client: &PersistenceKey, masks: (u8, u8)) -> String {
    let said = match client {
        PersistenceKey::Address(address) => return network(*address, masks),
        PersistenceKey::Octets(said) => said,
    };
    match by {
        Some(PersistenceBy::Cookie(_)) => {
            let begin: String = said.iter().take(SEEN).map(|&octet| char::from(octet)).collect();
            format!("{}… ({} characters)", begin.escape_default(), said.len())
        }
        Some(PersistenceBy::TlsSession) => hexadecimal(said),
        _ => match str::from_utf8(said) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => format!("0x{}", hexadecimal(said)),
        },
    }
}

/// The client that is meant, as it was [`shown`]; of a cookie its whole value.
///
/// # Errors
/// When it cannot be any.
pub fn meant(by: &PersistenceBy, text: &str) -> Result<PersistenceKey, Problem> {
    match by {
        PersistenceBy::Address => address(text).map(PersistenceKey::Address),
        PersistenceBy::Cookie(_) => Ok(PersistenceKey::said(text.as_bytes())),
        PersistenceBy::TlsSession => {
            let what = || format!("{text:?} is no id of a TLS session in hexadecimal digits");
            let octets = octets(text).ok_or_else(|| Problem::malformed(what()))?;
            Ok(PersistenceKey::said(&octets))
        }
        PersistenceBy::RdpCookie => {
            let written = text.strip_prefix("0x").and_then(octets);
            let said = written.unwrap_or_else(|| text.to_ascii_lowercase().into_bytes());
            Ok(PersistenceKey::said(&said))
        }
    }
}

/// The address that is meant.
///
/// # Errors
/// When it is none.
pub fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| Problem::malformed(format!("{text:?} is not an IP address")))
}

fn network(address: IpAddr, (mask_v4, mask_v6): (u8, u8)) -> String {
    match address {
        IpAddr::V4(address) if mask_v4 < 32 => format!("{address}/{mask_v4}"),
        IpAddr::V6(address) if mask_v6 < 128 => format!("{address}/{mask_v6}"),
        address => address.to_string(),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2) && !digits.is_empty())?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(octets: &[u8], by: &PersistenceBy) -> String {
        shown(Some(by), &PersistenceKey::said(octets), (32, 128))
    }

    #[test]
    fn what_is_shown_can_be_meant() {
        for (by, octets, text) in [
            (PersistenceBy::RdpCookie, &b"corp\\bob"[..], "corp\\bob"),
            (PersistenceBy::RdpCookie, b"a\n\xff", "0x610aff"),
            (PersistenceBy::RdpCookie, b"0xyz", "0xyz"),
            (PersistenceBy::TlsSession, &[0, 0xab], "00ab"),
        ] {
            assert_eq!(all(octets, &by), text);
            assert_eq!(meant(&by, text).ok(), Some(PersistenceKey::said(octets)), "{text}");
        }
        let upper = meant(&PersistenceBy::RdpCookie, "CORP\\Bob");
        assert_eq!(upper.ok(), Some(PersistenceKey::said(b"corp\\bob")));
        let address = PersistenceKey::Address("10.0.0.0".parse().unwrap());
        assert_eq!(shown(None, &address, (24, 128)), "10.0.0.0/24");
        assert_eq!(meant(&PersistenceBy::Address, "10.0.0.0").ok(), Some(address));
    }

    #[test]
    fn nobody_learns_a_session_from_the_table() {
        let by = PersistenceBy::Cookie("SID".into());
        assert_eq!(all(b"0123456789abcdef", &by), "0123… (16 characters)");
        assert_eq!(meant(&by, "0123456789").ok(), Some(PersistenceKey::said(b"0123456789")));
    }

    #[test]
    fn what_cannot_be_a_client_is_refused() {
        assert!(meant(&PersistenceBy::Address, "everybody").is_err());
        for text in ["", "0", "0g", "é"] {
            assert!(meant(&PersistenceBy::TlsSession, text).is_err(), "{text}");
        }
    }
}
