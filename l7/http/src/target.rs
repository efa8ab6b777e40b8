//! Request targets and authorities (RFC 9112 section 3.2).

use std::net::Ipv6Addr;
use std::ops::Range;

use crate::refusal::Reason;
use crate::request::Method;
use crate::token::host_name_len;

/// A request target, taken apart. Ranges are relative to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The authority of an absolute target.
    pub(crate) authority: Option<Range<usize>>,
    /// Path and query; without a leading slash if the absolute target had no path.
    pub(crate) path: Range<usize>,
}

impl Target {
    pub(crate) fn read(method: Method, target: &[u8]) -> Result<Target, Reason> {
        // A fragment never leaves a client; octets above ASCII are read in as many ways as there
        // are servers.
        // Without an early end, many octets are looked at together.
        let is_bad = |byte: u8| (byte == b'#') | (byte <= b' ') | (byte >= 0x7f);
        if target.iter().fold(false, |bad, &byte| bad | is_bad(byte)) {
            return Err(Reason::Target);
        }
        match target {
            [b'/', ..] => Ok(Target { authority: None, path: 0..target.len() }),
            b"*" if method == Method::Options => Ok(Target { authority: None, path: 0..1 }),
            _ => absolute(target),
        }
    }
}

fn absolute(target: &[u8]) -> Result<Target, Reason> {
    let is_scheme = |scheme: &&[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let schemes: [&[u8]; 2] = [b"http://", b"https://"];
    let scheme = schemes.into_iter().find(is_scheme).ok_or(Reason::Target)?;
    let rest = target.get(scheme.len()..).unwrap_or_default();
    let len = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let end = scheme.len() + len;
    if !is_authority(rest.get(..len).unwrap_or_default()) {
        return Err(Reason::Host);
    }
    Ok(Target { authority: Some(scheme.len()..end), path: end..target.len() })
}

/// `host [":" port]`, without user information. Narrower than RFC 3986: a registered name is
/// made of letters, digits, `-`, `.`, `_` and `~`, and a colon is followed by a port.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(close) = rest.iter().position(|&byte| byte == b']') else { return false };
        let (address, port) = (rest.get(..close), rest.get(close + 1..).unwrap_or_default());
        let address = address.and_then(|text| str::from_utf8(text).ok());
        return address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()) && is_port(port);
    }
    let (name, port) = text.split_at(host_name_len(text));
    !name.is_empty() && is_port(port)
}

/// Nothing, or a colon and a port number.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => {
            let digits_only = digits.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
            digits_only && number.is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for good in ["a", "a.example:80", "10.0.0.1:65535", "[::1]", "[2001:db8::1]:443", "a_b~c"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:65536",
            "a:+1",
            "a b",
            "a,b",
            "u@a",
            "a/b",
            "a?b",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.a]",
            "a:80:80",
            "a%2eb",
            "a\tb",
            "ä",
            "[]",
            "a\\b",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn targets() {
        let read = |text: &str| Target::read(Method::Get, text.as_bytes());
        assert_eq!(read("/a?b"), Ok(Target { authority: None, path: 0..4 }));
        assert_eq!(read("HTTP://h:1/a"), Ok(Target { authority: Some(7..10), path: 10..12 }));
        assert_eq!(read("https://h?q"), Ok(Target { authority: Some(8..9), path: 9..11 }));
        for bad in ["*", "a", "a:80", "ftp://a/", "http:/a", "/a#b", "/ä", "http://a#b", "?a"] {
            assert_eq!(read(bad), Err(Reason::Target), "{bad}");
        }
        for bad in ["http://", "http:///a", "http://u@a/", "http://a:b/", "http://a\\@b/"] {
            assert_eq!(read(bad), Err(Reason::Host), "{bad}");
        }
        assert!(Target::read(Method::Options, b"*").is_ok());
    }
}
