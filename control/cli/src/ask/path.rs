//! Paths of the API.

use std::fmt::Write;

/// The path that asks a state of a real server.
pub fn real_server(service: &str, real_server: &str, state: &str) -> String {
    let (service, real_server) = (encoded(service), encoded(real_server));
    format!("/api/v1/services/{service}/real-servers/{real_server}/{state}")
}

/// The path of the clients that a service remembers.
pub fn persistence(service: &str) -> String {
    format!("/api/v1/services/{}/persistence", encoded(service))
}

/// Percent-encoded as one segment (RFC 3986, section 2.1): only unreserved characters stay.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Uri;
    use proptest::prelude::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(
            real_server("ICA WEB/1", "a?b#c%d é", "drain"),
            "/api/v1/services/ICA%20WEB%2F1/real-servers/a%3Fb%23c%25d%20%C3%A9/drain"
        );
        assert_eq!(encoded("ICA_WEB-1.~"), "ICA_WEB-1.~");
    }

    proptest! {
        #[test]
        fn every_name_is_a_path_that_decodes_to_it(name in "\\PC{1,40}|[\\x00-\\x7f]{1,20}") {
            let path = real_server(&name, "x", "halt");
            let uri: Uri = path.parse().unwrap();
            prop_assert_eq!(uri.path(), path.as_str());
            let segments: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(segments.len(), 8);
            prop_assert_eq!(decoded(segments[4]), name.into_bytes());
        }
    }

    fn decoded(text: &str) -> Vec<u8> {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            out.push(u8::from_str_radix(&part[..2], 16).unwrap());
            out.extend(part[2..].bytes());
        }
        out
    }
}
