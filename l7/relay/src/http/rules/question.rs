//! What rules may ask of a request.

use http1::{Fields, RequestHead};
use l7_api::{Condition, Prefix, Subject, Test};
use std::borrow::Cow;
use std::net::IpAddr;

/// A request, and who sent it how.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    head: &'a RequestHead,
    bytes: &'a [u8],
    client: IpAddr,
    secure: bool,
}

impl<'a> Question<'a> {
    /// `bytes` are those that the head was parsed from; `secure`: it came over TLS.
    pub fn new(head: &'a RequestHead, bytes: &'a [u8], client: IpAddr, secure: bool) -> Self {
        Self { head, bytes, client: client.to_canonical(), secure }
    }

    /// Whether the request meets a condition.
    pub fn meets(&self, condition: &Condition) -> bool {
        self.passes(&condition.subject, &condition.test) != condition.not
    }

    /// The path as it was sent.
    pub fn path(&self) -> &'a [u8] {
        self.head.path(self.bytes)
    }

    /// The query, without the question mark.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.head.query(self.bytes)
    }

    /// Name or address of the host and, with its colon, the port.
    pub fn host(&self) -> (&'a [u8], &'a [u8]) {
        let authority = self.head.authority(self.bytes);
        let from = authority.iter().position(|&byte| byte == b']').unwrap_or(0);
        let colon = authority.iter().skip(from).position(|&byte| byte == b':');
        authority.split_at(colon.map_or(authority.len(), |at| from + at))
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static [u8] {
        if self.secure { b"https" } else { b"http" }
    }

    /// Whether it came over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The request's fields.
    pub fn fields(&self) -> &'a Fields {
        self.head.fields()
    }

    /// What the head was parsed from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn passes(&self, subject: &Subject, test: &Test) -> bool {
        let one = |value: &[u8]| passes(test, value);
        match subject {
            Subject::Path => one(&plain_path(self.path())),
            Subject::Host => one(&self.host().0.to_ascii_lowercase()),
            Subject::Method => one(self.head.method_name(self.bytes)),
            Subject::Scheme => one(self.scheme()),
            Subject::Query => self.query().is_some_and(one),
            Subject::Parameter(name) => self.parameters(name).any(one),
            Subject::Field(name) => self.fields().values(self.bytes, name.as_bytes()).any(one),
            Subject::Cookie(name) => self.head.cookie(self.bytes, name.as_bytes()).is_some_and(one),
            Subject::Source => match test {
                Test::Within(prefixes) => prefixes.iter().any(|p| is_within(self.client, *p)),
                _ => true,
            },
        }
    }

    fn parameters(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let pairs = self.query().unwrap_or_default().split(|&byte| byte == b'&');
        pairs.filter_map(move |pair| match pair.strip_prefix(name.as_bytes())? {
            [] => Some(&b""[..]),
            [b'=', value @ ..] => Some(value),
            _ => None,
        })
    }
}

fn passes(test: &Test, value: &[u8]) -> bool {
    let any = |words: &[String], fits: fn(&[u8], &[u8]) -> bool| {
        words.iter().any(|word| fits(value, word.as_bytes()))
    };
    match test {
        Test::Present => true,
        Test::Is(words) => any(words, |value, word| value == word),
        Test::Begins(words) => any(words, <[u8]>::starts_with),
        Test::Ends(words) => any(words, <[u8]>::ends_with),
        Test::Contains(words) => any(words, |value, word| {
            word.is_empty() || value.windows(word.len()).any(|part| part == word)
        }),
        Test::Within(_) => false,
    }
}

/// Bits of an address of this family.
pub fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(address: IpAddr, prefix: Prefix) -> bool {
    let differ = match (address, prefix.address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    differ.leading_zeros() >= u32::from(prefix.length)
}

/// The path as servers understand it that follow RFC 3986 section 6.2.2 and are lenient besides:
/// percent codes decoded once, dot segments resolved, repeated slashes taken for one, a
/// backslash for a slash. A rule that denies a path is not passed by writing it in another way.
pub fn plain_path(path: &[u8]) -> Cow<'_, [u8]> {
    let odd = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    let is_plain = !path.iter().any(|byte| b"%\\".contains(byte)) && !path.windows(2).any(odd);
    if is_plain {
        return Cow::Borrowed(path);
    }
    let decoded = decoded(path);
    let mut plain: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = decoded.split(|byte| b"/\\".contains(byte)).collect();
    let last = segments.last().copied().unwrap_or_default();
    for segment in segments {
        match segment {
            b"" | b"." => {}
            b".." => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    let mut path = Vec::with_capacity(decoded.len());
    for segment in &plain {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    if plain.is_empty() || matches!(last, b"" | b"." | b"..") {
        path.push(b'/');
    }
    Cow::Owned(path)
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (mut out, mut rest) = (Vec::with_capacity(path.len()), path);
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = behind;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*byte),
        }
    }
    out
}
