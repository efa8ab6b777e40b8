//! Trailer sections (RFC 9110 section 6.5, RFC 9112 section 7.1.2).

use crate::fields::Fields;
use crate::line;
use crate::name::{Known, is_lookalike};
use crate::refusal::Reason;

/// Fields of a trailer section.
const MAX_TRAILERS: usize = 32;

/// Fields that frame, route, authenticate or describe the content: decided before the content is
/// read, and so without effect, or with a harmful one, behind it (RFC 9110 section 6.5.1).
const FORBIDDEN: [&str; 26] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "date",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "retry-after",
    "set-cookie",
    "status",
    "vary",
    "warning",
    "www-authenticate",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// The trailer fields of one body.
pub(crate) struct TrailerFields<'b> {
    bytes: &'b [u8],
    fields: Fields,
}

impl TrailerFields<'_> {
    /// Appends the fields that may be forwarded, in canonical form, without the empty line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for field in self.fields.as_slice() {
            let (name, value) = (field.name.of(self.bytes), field.value.of(self.bytes));
            if field.known == Known::Other && !is_forbidden(name) {
                for part in [name, b": ", value, b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
        }
    }
}

/// Parses a whole trailer section, which ends in an empty line.
pub(crate) fn parse_trailers(bytes: &[u8]) -> Result<TrailerFields<'_>, Reason> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let mut fields = Fields::default();
    match httparse::parse_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete((len, headers))) if len == bytes.len() => {
            fields.fill_section(bytes, headers)?;
            Ok(TrailerFields { bytes, fields })
        }
        Ok(_) => Err(Reason::LineEnd),
        Err(error) => Err(line::reason(error, Reason::FieldName, line::is_folded(bytes))),
    }
}

/// Any name with an underscore is: it could imitate each of them.
fn is_forbidden(name: &[u8]) -> bool {
    let same = |forbidden: &&str| name.eq_ignore_ascii_case(forbidden.as_bytes());
    is_lookalike(name) || FORBIDDEN.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(section: &str) -> Result<String, Reason> {
        let mut out = Vec::new();
        parse_trailers(section.as_bytes())?.write(&mut out);
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn only_what_may_follow_a_body_is_kept() {
        assert_eq!(filtered("X-Sum:  1 \r\nB: \r\n\r\n").unwrap(), "X-Sum: 1\r\nB: \r\n");
        for forbidden in FORBIDDEN.iter().copied().chain([
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Connection",
            "Cookie",
            "TE",
            "Upgrade",
            "Trailer",
            "Expect",
            "Forwarded",
            "X-Forwarded-For",
            "Content_Type",
            "Proxy",
        ]) {
            let text = format!("{}: a\r\n\r\n", forbidden.to_uppercase());
            assert!(matches!(filtered(&text).as_deref(), Ok("") | Err(Reason::Lookalike)));
        }
    }

    #[test]
    fn a_section_is_as_strict_as_a_head() {
        for (text, reason) in [
            ("A : 1\r\n\r\n", Reason::FieldName),
            ("A: 1\n\r\n", Reason::LineEnd),
            ("A: 1\r\nB: 2\n\r\n", Reason::LineEnd),
            ("A: 1\r\n b\r\n\r\n", Reason::Fold),
            (" A: 1\r\n\r\n", Reason::FieldName),
            ("A: 1\n\nB: 1\r\n\r\n", Reason::LineEnd),
            ("A: \0\r\n\r\n", Reason::FieldValue),
            ("Content_Length: 1\r\n\r\n", Reason::Lookalike),
        ] {
            assert_eq!(filtered(text), Err(reason), "{text:?}");
        }
        let many = "A: 1\r\n".repeat(MAX_TRAILERS + 1) + "\r\n";
        assert_eq!(filtered(&many), Err(Reason::TooManyFields));
    }
}
