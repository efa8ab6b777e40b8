//! Is it a request, a response, or trailers? RFC 9113 sections 8.1, 8.3 and 8.5.

use std::net::Ipv6Addr;

use super::{Head, Span, pseudo_slot};
use crate::flaw::Flaw;
use crate::hpack::Kind;
use crate::text::{host_name_len, is_token};

impl Head {
    /// A request head; `extended`: our settings allow `:protocol` (RFC 8441).
    pub(crate) fn check_request(&self, extended: bool) -> Result<(), Flaw> {
        self.flaw.map_or(Ok(()), Err)?;
        if self.has(Kind::Status) || (self.has(Kind::Protocol) && !extended) {
            return Err(Flaw::UnknownPseudo);
        }
        check_method(self.pseudo(Kind::Method).ok_or(Flaw::PseudoMissing)?)?;
        self.check_authority()?;
        let is_connect = self.method() == b"CONNECT";
        match self.protocol() {
            Some(protocol) if !is_connect || !is_token(protocol) => return Err(Flaw::Protocol),
            None if is_connect => return self.check_connect(),
            _ => {}
        }
        let scheme = self.pseudo(Kind::Scheme).ok_or(Flaw::PseudoMissing)?;
        if scheme != b"https" && scheme != b"http" {
            return Err(Flaw::Scheme);
        }
        check_path(self.pseudo(Kind::Path).ok_or(Flaw::PseudoMissing)?, self.method())
    }

    /// A response head.
    pub(crate) fn check_response(&self) -> Result<(), Flaw> {
        self.flaw.map_or(Ok(()), Err)?;
        let requests = [Kind::Method, Kind::Scheme, Kind::Authority, Kind::Path, Kind::Protocol];
        if requests.into_iter().any(|kind| self.has(kind)) {
            return Err(Flaw::UnknownPseudo);
        }
        match self.pseudo(Kind::Status).ok_or(Flaw::PseudoMissing)? {
            b"101" => Err(Flaw::Status),
            [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => Ok(()),
            _ => Err(Flaw::Status),
        }
    }

    /// A trailer section: nothing that frames or routes, it comes too late for that.
    pub(crate) fn check_trailers(&self) -> Result<(), Flaw> {
        self.flaw.map_or(Ok(()), Err)?;
        if self.pseudo.iter().any(|span| span.name_len != 0) {
            return Err(Flaw::UnknownPseudo);
        }
        let late = |span: &Span| matches!(span.kind, Kind::ContentLength | Kind::Host | Kind::Te);
        if self.fields.iter().any(late) { Err(Flaw::Trailer) } else { Ok(()) }
    }

    fn has(&self, kind: Kind) -> bool {
        pseudo_slot(kind).and_then(|slot| self.pseudo.get(slot)).is_some_and(|s| s.name_len != 0)
    }

    /// `:authority` and Host say the same, and one of them is there.
    fn check_authority(&self) -> Result<(), Flaw> {
        let host = self.host.map(|span| self.value(span));
        let authority = match (self.pseudo(Kind::Authority), host) {
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                return Err(Flaw::Host);
            }
            (Some(authority), _) => authority,
            (None, Some(host)) => host,
            (None, None) => return Err(Flaw::Host),
        };
        if is_authority(authority) { Ok(()) } else { Err(Flaw::Authority) }
    }

    /// CONNECT has an authority alone (RFC 9113 section 8.5).
    fn check_connect(&self) -> Result<(), Flaw> {
        let bare = !self.has(Kind::Scheme) && !self.has(Kind::Path) && self.has(Kind::Authority);
        if bare { Ok(()) } else { Err(Flaw::PseudoMissing) }
    }
}

/// A token; one that differs from a registered method by case is read in two ways.
fn check_method(method: &[u8]) -> Result<(), Flaw> {
    let registered: [&[u8]; 9] =
        [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"];
    if registered.contains(&method) {
        return Ok(());
    }
    let miswritten = registered.iter().any(|known| known.eq_ignore_ascii_case(method));
    if miswritten || !is_token(method) { Err(Flaw::Method) } else { Ok(()) }
}

/// Origin form, or the asterisk of OPTIONS. No fragment; octets above ASCII are read in as many
/// ways as there are servers.
fn check_path(path: &[u8], method: &[u8]) -> Result<(), Flaw> {
    let is_bad = |octet: u8| (octet == b'#') | (octet <= b' ') | (octet >= 0x7f);
    let bad = path.iter().fold(false, |bad, &octet| bad | is_bad(octet));
    let is_form = path.first() == Some(&b'/') || (path == b"*" && method == b"OPTIONS");
    if is_form && !bad { Ok(()) } else { Err(Flaw::Path) }
}

/// `host [":" port]` without user information. Narrower than RFC 3986: a registered name is made
/// of letters, digits, `-`, `.`, `_` and `~`, and a colon is followed by a port.
fn is_authority(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(close) = rest.iter().position(|&octet| octet == b']') else { return false };
        let (address, port) = rest.split_at(close);
        let address = str::from_utf8(address).ok();
        let is_v6 = address.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
        return is_v6 && is_port(port.get(1..).unwrap_or_default());
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
