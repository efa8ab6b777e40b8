//! The cookie of an RDP client: a line in its X.224 connection request (MS-RDPBCGR section
//! 2.2.1.1), which is a TPKT (RFC 1006 section 6) of at most 259 octets.
//!
//! ```text
//! 03 00 <length, 2> | <length indicator> E0 <references, 4> <class> | Cookie: mstshash=USER CR LF …
//! ```

use super::Seen;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The largest connection request: a TPKT header and a length indicator of 254.
pub const LONGEST: usize = 259;
/// TPKT header, length indicator, and the fixed part of a connection request.
const HEADERS: usize = 11;
/// The code of a connection request; its low half is a credit.
const CONNECTION_REQUEST: u8 = 0xe0;

/// What the cookie says, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// `USER` of `mstshash=USER`, or all of `msts=TOKEN`.
    pub text: &'a [u8],
    /// The real server that a token says.
    pub server: Option<SocketAddrV4>,
}

/// Looks for the cookie in the first octets of a connection.
pub fn cookie(bytes: &[u8]) -> Seen<Cookie<'_>> {
    let length = match length(bytes) {
        Seen::Said(length) => length,
        Seen::More => return Seen::More,
        Seen::Other => return Seen::Other,
    };
    let Some(request) = bytes.get(..length) else { return Seen::More };
    let line = request.get(HEADERS..).and_then(|rest| rest.strip_prefix(b"Cookie: "));
    let end = line.and_then(|line| line.windows(2).position(|pair| pair == b"\r\n"));
    match line.zip(end).and_then(|(line, end)| value(line.get(..end)?)) {
        Some(cookie) => Seen::Said(cookie),
        None => Seen::Other,
    }
}

/// Octets of the connection request, as far as what came can be one.
fn length(bytes: &[u8]) -> Seen<usize> {
    let fits = |at: usize, is: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| is(*byte));
    let begins = fits(0, |version| version == 3) && fits(1, |reserved| reserved == 0);
    if !begins || !fits(5, |code| code & 0xf0 == CONNECTION_REQUEST) {
        return Seen::Other;
    }
    let [_, _, high, low, indicator, _, ..] = bytes else { return Seen::More };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let is_one = length == usize::from(*indicator) + 5 && (HEADERS..=LONGEST).contains(&length);
    if is_one { Seen::Said(length) } else { Seen::Other }
}

fn value(line: &[u8]) -> Option<Cookie<'_>> {
    if let Some(text) = line.strip_prefix(b"mstshash=") {
        return (!text.is_empty()).then_some(Cookie { text, server: None });
    }
    let token = line.strip_prefix(b"msts=").filter(|token| !token.is_empty())?;
    Some(Cookie { text: line, server: server(token) })
}

/// The address and port of `msts=ADDRESS.PORT.0000`: decimal numbers, each with its octets turned
/// round.
fn server(token: &[u8]) -> Option<SocketAddrV4> {
    let mut parts = str::from_utf8(token).ok()?.split('.');
    let address: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address.to_le_bytes()), port.swap_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A connection request with this behind its fixed part.
    fn request(rest: &[u8]) -> Vec<u8> {
        let length = HEADERS + rest.len();
        let head = [3, 0, (length >> 8) as u8, length as u8, (length - 5) as u8, 0xe0];
        [&head[..], &[0; 5], rest].concat()
    }

    const NEGOTIATION: &[u8] = &[1, 0, 8, 0, 3, 0, 0, 0];

    fn text(line: &[u8]) -> Option<String> {
        match cookie(&request(&[line, NEGOTIATION].concat())) {
            Seen::Said(cookie) => Some(String::from_utf8_lossy(cookie.text).into_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_user_or_a_token_is_found() {
        for (line, found) in [
            (&b"Cookie: mstshash=alice\r\n"[..], Some("alice")),
            (b"Cookie: mstshash=CORP\\bob\r\n", Some("CORP\\bob")),
            (b"Cookie: msts=3640205228.15629.0000\r\n", Some("msts=3640205228.15629.0000")),
            (b"Cookie: mstshash=\r\n", None),
            (b"Cookie: msts=\r\n", None),
            (b"Cookie: other=alice\r\n", None),
            (b"Cookie: mstshash=alice", None),
            (b"", None),
        ] {
            assert_eq!(text(line).as_deref(), found, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_token_says_a_real_server() {
        let server = |token: &[u8]| super::server(token).map(|server| server.to_string());
        // The example of MS-RDPBCGR section 3.2.5.3.1 has 172.31.249.216 and port 3389.
        assert_eq!(server(b"3640205228.15629.0000").as_deref(), Some("172.31.249.216:3389"));
        for token in
            [&b"3640205228"[..], b"4294967296.15629.0000", b"1.65536.0000", b"a.b.c", b"\xff"]
        {
            assert_eq!(server(token), None, "{}", token.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_connection_request_is_known_at_once() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"GET / HTTP/1.1\r\n",
            b"\x03\x01",
            b"\x03\0\0\x13\x0e\xd0\0\0",
            b"\x03\0\0\x13\x0f\xe0\0\0",
            b"\x03\0\0\x06\x01\xe0\0\0",
            b"\x03\0\xff\xff\xff\xe0\0\0",
        ] {
            assert_eq!(cookie(bytes), Seen::Other, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_longest_one_is_read_and_no_longer_one() {
        let name = [b'u'; LONGEST - HEADERS - 19];
        let line = [b"Cookie: mstshash=", &name[..], b"\r\n"].concat();
        assert_eq!(request(&line).len(), LONGEST);
        assert!(matches!(cookie(&request(&line)), Seen::Said(cookie) if cookie.text == name));
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_the_same(user in "[a-z]{1,20}", rest in prop::collection::vec(any::<u8>(), 0..40)) {
            let line = format!("Cookie: mstshash={user}\r\n");
            let whole = request(&[line.as_bytes(), &rest].concat());
            for end in 0..whole.len() {
                prop_assert_eq!(cookie(&whole[..end]), Seen::More);
            }
            prop_assert_eq!(cookie(&whole), Seen::Said(Cookie { text: user.as_bytes(), server: None }));
        }

        #[test]
        fn nothing_makes_it_panic_or_ask_for_more_than_it_may(
            begin in prop::sample::select(vec![&b""[..], b"\x03\0", b"\x03\0\x01\x03\xfe\xe0"]),
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let all = [begin, &bytes].concat();
            let seen = cookie(&all);
            prop_assert!(all.len() < LONGEST || seen != Seen::More);
        }
    }
}
