//! What a session says, read back: the HTTP/1.1 that our own writers wrote, for a stream of HTTP/2.
//!
//! [`http1`] has judged the message already and written it anew in one form, so this reads that
//! form and no other: no folding, no blanks around names, one framing field.

use http1::Limits;
use http1::chunked::{Decoder, Element};
use std::ops::Range;

/// A message on its way to a stream. It holds no octet of it.
#[derive(Debug)]
pub struct Message {
    rest: Rest,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    /// To a request whose method was HEAD, or not: if it was, no body follows, whatever the head
    /// says.
    Answer {
        to_head: bool,
    },
    /// To a request for another protocol.
    Consent,
}

#[derive(Debug, Default)]
enum Rest {
    #[default]
    Head,
    Length(u64),
    Chunked(Decoder),
    UntilEnd,
    Done,
}

/// What is next in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing that is complete yet.
    More,
    /// An interim or final head of this status, or a request's, which has none: 0. `ends`: no body
    /// follows.
    Head { status: u16, take: usize, ends: bool },
    /// A range of the body, possibly empty; what is before it frames it. `ends`: it is the last.
    Data { data: Range<usize>, ends: bool },
    /// The fields behind a body; the end.
    Trailers { fields: Range<usize>, take: usize },
    /// It is over.
    Done,
}

/// That it is not what our writers write: a defect of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct Garbled;

impl Message {
    /// The answer to a request.
    pub fn answer(to_head: bool) -> Self {
        Self { rest: Rest::Head, kind: Kind::Answer { to_head } }
    }

    /// The answer to a request for another protocol: behind a head with status 101 everything is
    /// the tunnel's.
    pub fn consent() -> Self {
        Self { rest: Rest::Head, kind: Kind::Consent }
    }

    /// A request. One without a framing field has no body.
    pub fn request() -> Self {
        Self { rest: Rest::Head, kind: Kind::Request }
    }

    /// Whether nothing more follows.
    pub fn is_done(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    /// What is at the start of `bytes`. `finished`: no more will come behind them. Of data, the
    /// caller may take less than it is offered: see [`Self::pass`].
    pub fn next(&mut self, bytes: &[u8], finished: bool) -> Result<Part, Garbled> {
        match &mut self.rest {
            Rest::Done => Ok(Part::Done),
            Rest::Head => self.head(bytes),
            Rest::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                if count == 0 {
                    return Ok(Part::More);
                }
                Ok(Part::Data { data: 0..count, ends: count as u64 == *left })
            }
            Rest::UntilEnd if bytes.is_empty() && !finished => Ok(Part::More),
            Rest::UntilEnd => Ok(Part::Data { data: 0..bytes.len(), ends: finished }),
            Rest::Chunked(decoder) => chunked(decoder, bytes),
        }
    }

    /// Data of so many octets has been taken.
    pub fn pass(&mut self, octets: usize, ends: bool) {
        match &mut self.rest {
            _ if ends => self.rest = Rest::Done,
            Rest::Length(left) => *left = left.saturating_sub(octets as u64),
            Rest::Chunked(decoder) if octets > 0 => {
                // It was offered, so it may be taken.
                let _ = decoder.take(Element::Data { len: octets }, &Limits::default());
            }
            _ => {}
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Part, Garbled> {
        let Some(take) = head_end(bytes) else { return Ok(Part::More) };
        if self.kind == Kind::Request {
            self.rest = match framing(bytes.get(..take).ok_or(Garbled)?)? {
                Rest::UntilEnd => Rest::Done,
                rest => rest,
            };
            return Ok(Part::Head { status: 0, take, ends: self.is_done() });
        }
        let digits = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        let status = digits.and_then(|digits| digits.parse().ok()).ok_or(Garbled)?;
        if status < 200 {
            let fits = status != 101 || self.kind == Kind::Consent;
            if status == 101 {
                self.rest = Rest::UntilEnd;
            }
            return fits.then_some(Part::Head { status, take, ends: false }).ok_or(Garbled);
        }
        self.rest = if self.kind == (Kind::Answer { to_head: true }) || matches!(status, 204 | 304)
        {
            Rest::Done
        } else {
            framing(bytes.get(..take).ok_or(Garbled)?)?
        };
        Ok(Part::Head { status, take, ends: self.is_done() })
    }
}

/// Method and target of a request's head, which are its first line but for the version.
pub fn request_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let mut words = line.splitn(3, |&byte| byte == b' ');
    Some((words.next()?, words.next()?))
}

/// The fields of a head, or of a trailer section if this does not begin with a first line.
pub fn behind_first_line(head: &[u8]) -> &[u8] {
    let end = head.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    head.get(end..).unwrap_or_default()
}

/// The fields of a trailer section, or of a head behind its first line, in order.
pub fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let value = line.get(colon + 1..)?;
        Some((line.get(..colon)?, value.strip_prefix(b" ").unwrap_or(value)))
    })
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        at += end + 1;
        if end <= 1 {
            return Some(at);
        }
    }
}

fn framing(head: &[u8]) -> Result<Rest, Garbled> {
    for (name, value) in fields(behind_first_line(head)) {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(Rest::Chunked(Decoder::default()));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            return match length.ok_or(Garbled)? {
                0 => Ok(Rest::Done),
                length => Ok(Rest::Length(length)),
            };
        }
    }
    Ok(Rest::UntilEnd)
}

/// The next run of data behind whatever frames it, or the trailers.
fn chunked(decoder: &mut Decoder, bytes: &[u8]) -> Result<Part, Garbled> {
    let limits = Limits::default();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(element) = decoder.next(rest, &limits).map_err(|_| Garbled)? else {
            let nothing = Part::Data { data: at..at, ends: false };
            return Ok(if at > 0 { nothing } else { Part::More });
        };
        let end = at + element.octets();
        match element {
            Element::Data { .. } => {
                return Ok(Part::Data { data: at..end, ends: false });
            }
            Element::Trailers { .. } => return Ok(Part::Trailers { fields: at..end, take: end }),
            Element::Size { .. } | Element::DataEnd => {
                decoder.take(element, &limits).map_err(|_| Garbled)?;
            }
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client is sent, piece by piece as bytes come, each piece `step` octets long.
    fn read(text: &[u8], to_head: bool, step: usize) -> Result<(Vec<u16>, Vec<u8>, bool), Garbled> {
        let mut answer = Message::answer(to_head);
        let (mut heads, mut body, mut trailed) = (Vec::new(), Vec::new(), false);
        let (mut from, mut to) = (0, 0);
        while !answer.is_done() {
            let said = text.get(from..to).unwrap();
            let take = match answer.next(said, to == text.len())? {
                Part::More if to == text.len() => return Err(Garbled),
                Part::More => {
                    to = (to + step).min(text.len());
                    continue;
                }
                Part::Head { status, take, .. } => {
                    heads.push(status);
                    take
                }
                Part::Data { data, ends } => {
                    // The client's window has room for 3 octets at a time.
                    let count = data.len().min(3);
                    body.extend_from_slice(said.get(data.start..data.start + count).unwrap());
                    answer.pass(count, ends && count == data.len());
                    let (starved, take) = (data.is_empty() && !ends, data.start + count);
                    if starved && take == 0 && to < text.len() {
                        to = (to + step).min(text.len());
                    }
                    take
                }
                Part::Trailers { fields: range, take } => {
                    let fields: Vec<_> = fields(said.get(range).unwrap()).collect();
                    trailed = fields == [(&b"Sum"[..], &b"1"[..])];
                    answer.pass(0, true);
                    take
                }
                Part::Done => break,
            };
            from += take;
        }
        Ok((heads, body, trailed))
    }

    #[track_caller]
    fn check(text: &str, to_head: bool, heads: &[u16], body: &str, trailed: bool) {
        for step in [1, 2, 7, 1_000] {
            let (found, octets, trailers) = read(text.as_bytes(), to_head, step).unwrap();
            assert_eq!((found.as_slice(), trailers), (heads, trailed), "{text:?} by {step}");
            assert_eq!(String::from_utf8_lossy(&octets), body, "{text:?} by {step}");
        }
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let head = |fields: &str| format!("HTTP/1.1 200 OK\r\nServer: x\r\n{fields}\r\n");
        check(&(head("Content-Length: 5\r\n") + "hello"), false, &[200], "hello", false);
        check(&head("Content-Length: 0\r\n"), false, &[200], "", false);
        check(&head("Content-Length: 5\r\n"), true, &[200], "", false);
        check(&(head("Connection: close\r\n") + "to the end"), false, &[200], "to the end", false);
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, &[304], "", false);
        check("HTTP/1.1 204 \r\n\r\n", false, &[204], "", false);
    }

    #[test]
    fn chunks_are_taken_apart() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &format!("{head}5\r\nhello\r\n3\r\n, y\r\n0\r\n\r\n"),
            false,
            &[200],
            "hello, y",
            false,
        );
        check(&format!("{head}1\r\na\r\n0\r\nSum: 1\r\n\r\n"), false, &[200], "a", true);
        check(&format!("{head}0\r\n\r\n"), false, &[200], "", false);
    }

    #[test]
    fn interim_heads_come_first() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
        let text = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        check(&text, false, &[100, 103, 200], "ok", false);
    }

    #[test]
    fn behind_a_change_of_protocol_everything_is_the_tunnels() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let mut message = Message::consent();
        let part = Part::Head { status: 101, take: head.len(), ends: false };
        assert_eq!(message.next(head, false), Ok(part));
        assert_eq!(message.next(b"", false), Ok(Part::More));
        assert_eq!(message.next(b"0\r\n\r\n", false), Ok(Part::Data { data: 0..5, ends: false }));
        assert_eq!(message.next(b"", true), Ok(Part::Data { data: 0..0, ends: true }));
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let part = Part::Head { status: 403, take: refusal.len(), ends: true };
        assert_eq!(Message::consent().next(refusal, false), Ok(part));
    }

    #[test]
    fn what_is_cut_off_is_not_whole() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 2",
        ] {
            assert_eq!(read(text.as_bytes(), false, 7), Err(Garbled), "{text:?}");
        }
    }

    #[test]
    fn fields_are_names_and_values() {
        let text = b"HTTP/1.1 200 As: it is\r\nA: b: c\r\nD: \r\nE:f\r\n\r\n";
        let found: Vec<_> = fields(behind_first_line(text)).collect();
        let wanted: [(&[u8], &[u8]); 3] = [(b"A", b"b: c"), (b"D", b""), (b"E", b"f")];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_request_has_a_body_only_if_it_says_so() {
        let line = "PUT /a:b?c HTTP/1.1\r\nHost: x\r\n";
        for (fields, ends) in [
            ("", true),
            ("Content-Length: 0\r\n", true),
            ("Content-Length: 3\r\n", false),
            ("Transfer-Encoding: chunked\r\n", false),
        ] {
            let text = format!("{line}{fields}\r\n");
            let part = Message::request().next(text.as_bytes(), false);
            assert_eq!(part, Ok(Part::Head { status: 0, take: text.len(), ends }), "{text:?}");
            assert_eq!(request_line(text.as_bytes()), Some((&b"PUT"[..], &b"/a:b?c"[..])));
        }
        assert_eq!(Message::request().next(line.as_bytes(), false), Ok(Part::More));
    }
}
