//! Cookies of persistence: found, set, taken out (RFC 6265).

use std::fmt::Write;

use crate::edit::{FieldValue, NotAField};
use crate::fields::Fields;
use crate::name::Known;
use crate::request::RequestHead;
use crate::response::ResponseHead;
use crate::token::{is_token, trimmed};

impl RequestHead {
    /// The value of the first cookie of this name; `bytes` are those that were parsed.
    pub fn cookie<'b>(&self, bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
        let fields = self.fields.of_kind(Known::Cookie);
        fields.flat_map(|field| pairs(field.value.of(bytes))).find_map(|pair| value(pair, name))
    }
}

impl ResponseHead {
    /// The value that a cookie of this name is given, the last one if there are several; `bytes`
    /// are those that were parsed.
    pub fn set_cookie<'b>(&self, bytes: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
        let set = self.fields.values(bytes, b"set-cookie");
        set.filter_map(|text| value(pairs(text).next()?, name)).last().map(trimmed)
    }
}

fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(trimmed).filter(|pair| !pair.is_empty())
}

fn value<'b>(pair: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let rest = pair.strip_prefix(name)?;
    rest.strip_prefix(b"=")
}

/// Is a cookie of this name among them?
pub(crate) fn is_present(fields: &Fields, bytes: &[u8], name: &[u8]) -> bool {
    let mut cookies = fields.of_kind(Known::Cookie);
    cookies.any(|field| pairs(field.value.of(bytes)).any(|pair| value(pair, name).is_some()))
}

/// Appends all cookies but those of this name, as one field; nothing if no other is left.
pub(crate) fn write_others(fields: &Fields, bytes: &[u8], name: &[u8], out: &mut Vec<u8>) {
    let cookies = fields.of_kind(Known::Cookie).filter(|field| !field.named);
    let all = cookies.flat_map(|field| pairs(field.value.of(bytes)));
    let mut written = false;
    for pair in all.filter(|pair| value(pair, name).is_none()) {
        out.extend_from_slice(if written { b"; " } else { b"Cookie: " });
        out.extend_from_slice(pair);
        written = true;
    }
    if written {
        out.extend_from_slice(b"\r\n");
    }
}

/// A cookie that the proxy sets, so that the client comes back to the same real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name, a token.
    pub name: &'a str,
    /// Its value: no space, quote, comma, semicolon or backslash.
    pub value: &'a str,
    /// How long the client keeps it; none, as long as it runs.
    pub max_age_seconds: Option<u64>,
    /// Sent back over TLS only.
    pub secure: bool,
    /// Hidden from scripts.
    pub http_only: bool,
}

impl SetCookie<'_> {
    /// The value of a Set-Cookie field, for [`crate::Change::Add`].
    ///
    /// # Errors
    /// Name or value do not fit in a cookie.
    pub fn field_value(&self) -> Result<FieldValue<'static>, NotAField> {
        if !is_token(self.name.as_bytes()) {
            return Err(NotAField::Name);
        }
        if !self.value.bytes().all(is_cookie_byte) {
            return Err(NotAField::Value);
        }
        let mut text = format!("{}={}; Path=/", self.name, self.value);
        if let Some(seconds) = self.max_age_seconds {
            // Writing to a string does not fail.
            let _ = write!(text, "; Max-Age={seconds}");
        }
        if self.secure {
            text.push_str("; Secure");
        }
        if self.http_only {
            text.push_str("; HttpOnly");
        }
        FieldValue::new(text)
    }
}

fn is_cookie_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exchange, Limits, RequestEdits};

    const COOKIE: SetCookie = SetCookie {
        name: "SRV",
        value: "web1",
        max_age_seconds: None,
        secure: false,
        http_only: true,
    };

    #[test]
    fn a_cookie_with_and_without_attributes() {
        assert_eq!(COOKIE.field_value().unwrap().as_bytes(), b"SRV=web1; Path=/; HttpOnly");
        let all = SetCookie { max_age_seconds: Some(60), secure: true, ..COOKIE };
        let text = b"SRV=web1; Path=/; Max-Age=60; Secure; HttpOnly";
        assert_eq!(all.field_value().unwrap().as_bytes(), text);
    }

    #[test]
    fn what_a_response_sets_is_found() {
        let value = |fields: &str| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            let (mut head, mut request) = (ResponseHead::default(), RequestHead::default());
            let mut exchange = Exchange::new(Limits::default());
            let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            exchange.client(asked, &mut request, &mut Vec::new()).unwrap();
            exchange.forward_request(&request, asked, &RequestEdits::default(), &mut Vec::new());
            exchange.server(text.as_bytes(), &mut head, &mut Vec::new()).unwrap();
            let value = head.set_cookie(text.as_bytes(), b"SID");
            value.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        for (fields, found) in [
            ("Set-Cookie: SID=abc; Path=/\r\n", Some("abc")),
            ("Set-Cookie: SID=abc\r\n", Some("abc")),
            ("set-cookie: SID=\"a b\" ; Secure\r\n", Some("\"a b\"")),
            ("Set-Cookie: A=1\r\nSet-Cookie: SID=x\r\nSet-Cookie: SID=y\r\n", Some("y")),
            ("Set-Cookie: SID=; Max-Age=0\r\n", Some("")),
            ("Set-Cookie: A=1; SID=x\r\n", None),
            ("Set-Cookie: XSID=x\r\n", None),
            ("", None),
        ] {
            assert_eq!(value(fields).as_deref(), found, "{fields}");
        }
    }

    #[test]
    fn a_cookie_cannot_bring_another_attribute_or_line() {
        for value in ["a;b", "a b", "a\r\nb", "\"a\"", "a,b", "ä"] {
            let cookie = SetCookie { value, ..COOKIE };
            assert_eq!(cookie.field_value(), Err(NotAField::Value), "{value}");
        }
        let cookie = SetCookie { name: "a=b", ..COOKIE };
        assert_eq!(cookie.field_value(), Err(NotAField::Name));
    }
}
