//! Responses of our own: small, plain, and without a word of what we are; or the operator's.

use http1::Version;
use l7_api::ErrorPage;
use std::borrow::Cow;

/// How a response of ours has to be written.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The request's method was HEAD: no body.
    pub to_head: bool,
    /// The client's connection closes behind it.
    pub closes: bool,
    /// The client's version.
    pub version: Version,
}

/// Appends an error page: the operator's own, or ours. `fields` are further lines, each with its
/// CRLF.
pub fn write(status: u16, fields: &[u8], shape: Shape, own: Option<&ErrorPage>, out: &mut Vec<u8>) {
    let (reason, sentence) = words(status);
    let ours = || {
        format!(
            "<!DOCTYPE html>\n<html><head><title>{status} {reason}</title></head>\n\
             <body><h1>{status} {reason}</h1><p>{sentence}</p></body></html>\n"
        )
    };
    let (kind, body) = match own {
        Some(page) => (page.content_type.as_str(), Cow::Borrowed(page.body.as_slice())),
        None => ("text/html", Cow::Owned(ours().into_bytes())),
    };
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    out.extend_from_slice(fields);
    let length = body.len();
    let about =
        format!("Cache-Control: no-store\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    out.extend_from_slice(about.as_bytes());
    if shape.closes {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if shape.version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !shape.to_head {
        out.extend_from_slice(&body);
    }
}

/// The reason phrase, and what it means for who reads it.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        200 => ("OK", "The request was answered here."),
        301 => ("Moved Permanently", "The page has moved."),
        302 => ("Found", "The page is elsewhere for now."),
        303 => ("See Other", "The answer is elsewhere."),
        307 => ("Temporary Redirect", "The page is elsewhere for now."),
        308 => ("Permanent Redirect", "The page has moved."),
        400 => ("Bad Request", "Your browser sent a request that cannot be understood."),
        403 => ("Forbidden", "You may not see this page."),
        404 => ("Not Found", "There is no such page."),
        408 => ("Request Timeout", "Your request took too long to arrive."),
        413 => ("Content Too Large", "What you sent is too large."),
        414 => ("URI Too Long", "The address of the page is too long."),
        417 => ("Expectation Failed", "Your browser expects what cannot be promised."),
        431 => ("Request Header Fields Too Large", "The head of the request is too large."),
        501 => ("Not Implemented", "This kind of request is not supported."),
        502 => ("Bad Gateway", "The server behind gave no proper answer."),
        503 => ("Service Unavailable", "No server can take your request now. Try again later."),
        504 => ("Gateway Timeout", "The server behind did not answer in time."),
        505 => ("HTTP Version Not Supported", "This version of HTTP is not supported."),
        _ => ("Error", "The request was not served."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Exchange, Limits, RequestEdits, RequestHead, ResponseEdits, ResponseHead, Step};

    const SHAPE: Shape = Shape { to_head: false, closes: true, version: Version::Http11 };

    /// What our own reader makes of a page, asked for by this method.
    fn reads(page: &[u8], method: &str) -> bool {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut exchange = Exchange::new(Limits::default());
        let (mut head, mut out) = (RequestHead::default(), Vec::new());
        exchange.client(request.as_bytes(), &mut head, &mut out).unwrap();
        let edits = RequestEdits::default();
        exchange.forward_request(&head, request.as_bytes(), &edits, &mut out);
        let mut head = ResponseHead::default();
        assert_eq!(exchange.server(page, &mut head, &mut out), Ok(Step::Head));
        let edits = ResponseEdits::default();
        let (_, take) = exchange.forward_response(&head, page, &edits, &mut out);
        let _ = exchange.server(&page[take..], &mut head, &mut out);
        exchange.response_is_done()
    }

    #[test]
    fn every_page_is_a_whole_response() {
        for status in [301, 400, 403, 404, 408, 413, 414, 417, 431, 501, 502, 503, 504, 505] {
            let mut page = Vec::new();
            write(status, b"Location: /\r\n", SHAPE, None, &mut page);
            assert!(reads(&page, "GET"), "{status}");
            let text = String::from_utf8(page).unwrap();
            assert!(!text.contains("Error") && !text.to_lowercase().contains("fulcrum"), "{text}");
            assert!(text.contains("\r\nLocation: /\r\n"), "{text}");
        }
    }

    #[test]
    fn a_page_for_head_has_no_body_but_its_length() {
        let mut page = Vec::new();
        write(503, b"", Shape { to_head: true, closes: false, ..SHAPE }, None, &mut page);
        assert!(reads(&page, "HEAD") && page.ends_with(b"\r\n\r\n"));
        assert!(!String::from_utf8(page).unwrap().contains("Content-Length: 0"));
    }

    #[test]
    fn a_page_says_what_becomes_of_the_connection() {
        let says = |closes, version| {
            let mut page = Vec::new();
            write(503, b"", Shape { closes, version, to_head: false }, None, &mut page);
            let text = String::from_utf8(page).unwrap();
            (text.contains("Connection: close"), text.contains("Connection: keep-alive"))
        };
        assert_eq!(says(true, Version::Http11), (true, false));
        assert_eq!(says(false, Version::Http11), (false, false));
        assert_eq!(says(false, Version::Http10), (false, true));
        assert_eq!(says(true, Version::Http10), (true, false));
    }

    #[test]
    fn a_page_of_the_operators_is_as_it_was_given() {
        let content_type = "text/plain; charset=utf-8".to_owned();
        let own = ErrorPage { status: 503, content_type, body: "später\r\n\r\n".into() };
        let mut page = Vec::new();
        write(503, b"", SHAPE, Some(&own), &mut page);
        assert!(reads(&page, "GET") && page.ends_with(&own.body));
        let text = String::from_utf8(page).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{text}");
        let mut page = Vec::new();
        write(503, b"", Shape { to_head: true, ..SHAPE }, Some(&own), &mut page);
        assert!(page.ends_with(b"Connection: close\r\n\r\n"));
    }
}
