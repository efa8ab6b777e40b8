//! Distinguished names as text, and host names as certificates and SNI write them.

use rustls::pki_types::DnsName;
use std::fmt::Write as _;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

/// RFC 4514 text: the most specific part first, special and control characters escaped, so that
/// it can neither pose as another name nor break a header. `(empty)` for a name without parts.
#[must_use]
pub fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for relative in name.iter_rdn() {
        let mut part = String::new();
        for (i, attribute) in relative.iter().enumerate() {
            let oid = attribute.attr_type();
            let label = oid2abbrev(oid, oid_registry()).map_or(oid.to_id_string(), str::to_owned);
            let separator = if i == 0 { "" } else { "+" };
            let _ = write!(part, "{separator}{label}=");
            match value(attribute.attr_value()) {
                Some(value) => escape(&value, &mut part),
                None => in_hex(attribute.as_slice(), &mut part),
            }
        }
        parts.push(part);
    }
    parts.reverse();
    if parts.is_empty() { "(empty)".to_owned() } else { parts.join(",") }
}

/// The first common name.
#[must_use]
pub fn common_name(name: &X509Name<'_>) -> Option<String> {
    value(name.iter_common_name().next()?.attr_value())
}

/// The text of an attribute in whichever of the string types of RFC 5280, section 4.1.2.4.
fn value(any: &x509_parser::der_parser::asn1_rs::Any<'_>) -> Option<String> {
    match any.tag() {
        Tag::BmpString => {
            let units = any.data.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]]));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
        }
        Tag::T61String => Some(any.data.iter().map(|b| char::from(*b)).collect()),
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(any.data).ok().map(str::to_owned)
        }
        _ => None,
    }
}

fn in_hex(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        let _ = write!(to, "\\{byte:02X}");
    }
}

fn escape(value: &str, to: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        let edge = (c == ' ' && (i == 0 || i == last)) || (c == '#' && i == 0);
        if c.is_control() {
            in_hex(c.encode_utf8(&mut [0; 4]).as_bytes(), to);
            continue;
        }
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            to.push('\\');
        }
        to.push(c);
    }
}

/// A host name as it is compared: lower case, without the last dot; a wildcard keeps its `*.`.
/// `None` when it is no host name.
#[must_use]
pub fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = name.strip_prefix("*.").unwrap_or(name);
    // A wildcard over a top-level name (`*.com`) would be for everybody.
    if plain.len() != name.len() && !plain.contains('.') {
        return None;
    }
    DnsName::try_from(plain).ok()?;
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer;

    fn read(parts: &[(u8, u8, &[u8])]) -> String {
        let mut names = Vec::new();
        for (attribute, tag, value) in parts {
            let length = value.len() as u8;
            let mut set = vec![0x31, length + 9, 0x30, length + 7, 6, 3, 0x55, 4, *attribute, *tag];
            set.push(length);
            set.extend_from_slice(value);
            names.extend(set);
        }
        let mut der = vec![0x30, names.len() as u8];
        der.extend(names);
        text(&X509Name::from_der(&der).unwrap().1)
    }

    #[test]
    fn a_name_cannot_pose_as_another_nor_break_a_line() {
        assert_eq!(read(&[]), "(empty)");
        assert_eq!(read(&[(6, 0x13, b"DE"), (3, 0x0c, b"a.example")]), "CN=a.example,C=DE");
        assert_eq!(read(&[(3, 0x0c, b"a,O=Bank\r\nX: y")]), "CN=a\\,O=Bank\\0D\\0AX: y");
        assert_eq!(read(&[(3, 0x0c, b" #a+b ")]), "CN=\\ #a\\+b\\ ");
        assert_eq!(read(&[(3, 0x1e, b"\0a\x20\xac")]), "CN=a\u{20ac}");
        assert_eq!(read(&[(3, 0x03, b"\0\x01")]), "CN=\\00\\01");
    }

    #[test]
    fn hosts_are_compared_in_one_form() {
        assert_eq!(host("WWW.Example.COM.").as_deref(), Some("www.example.com"));
        assert_eq!(host("*.Example.com").as_deref(), Some("*.example.com"));
        for bad in ["", ".", "*", "*.com", "a b", "a..b", "*.*.example.com", "w*.example.com"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
