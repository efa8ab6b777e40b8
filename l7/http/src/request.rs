//! Request heads (RFC 9112 section 3, RFC 9110 section 7).

use std::mem::MaybeUninit;

use crate::connection::Options;
use crate::fields::{Fields, MAX_FIELDS, Span};
use crate::framing::{BodyFraming, Declared};
use crate::limits::Limits;
use crate::line::{self, Scan};
use crate::name::Known;
use crate::refusal::{Fault, Reason};
use crate::target::{Target, is_authority};
use crate::token::{decimal, members};

/// Longer than any registered method.
const MAX_METHOD: usize = 32;

/// The version a message was sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// A request method, as far as forwarding depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD: the response has no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// PATCH.
    Patch,
    /// Any other token but CONNECT and TRACE.
    Other,
}

impl Method {
    fn read(name: &[u8]) -> Result<Method, Reason> {
        Ok(match name {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"PATCH" => Method::Patch,
            b"CONNECT" | b"TRACE" => return Err(Reason::UnsupportedMethod),
            _ if name.len() > MAX_METHOD => return Err(Reason::RequestLine),
            _ if is_miswritten(name) => return Err(Reason::MethodCase),
            _ => Method::Other,
        })
    }

    /// No meaning is defined for its content (RFC 9110 section 9.3), and some servers do not
    /// read it: they would take it for the next request.
    fn expects_no_content(self) -> bool {
        matches!(self, Method::Get | Method::Head | Method::Delete | Method::Options)
    }
}

fn is_miswritten(name: &[u8]) -> bool {
    let registered: [&[u8]; 9] =
        [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"];
    registered.iter().any(|method| method.eq_ignore_ascii_case(name))
}

/// What an attempt at a head came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The head is `bytes[..len]`.
    Head(usize),
    /// It is not complete.
    More,
}

/// A request head: what a proxy needs to know, as spans of the bytes it was parsed from.
///
/// One value serves many requests: [`crate::Exchange::client`] fills it anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestHead {
    pub(crate) len: usize,
    pub(crate) method: Method,
    pub(crate) method_name: Span,
    pub(crate) target: Span,
    pub(crate) path: Span,
    pub(crate) authority: Span,
    pub(crate) is_absolute: bool,
    pub(crate) version: Version,
    pub(crate) options: Options,
    pub(crate) framing: BodyFraming,
    pub(crate) expects_continue: bool,
    pub(crate) max_forwards: Option<u64>,
    pub(crate) fields: Fields,
}

impl RequestHead {
    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method's name; `bytes` are those that were parsed, here and below.
    pub fn method_name<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.method_name.of(bytes)
    }

    /// The path, `*` for a request about the server itself; never empty.
    pub fn path<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let path = self.path.of(bytes);
        let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
        if path.is_empty() { b"/" } else { path }
    }

    /// The query, without the question mark.
    pub fn query<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let path = self.path.of(bytes);
        let mark = path.iter().position(|&byte| byte == b'?')?;
        path.get(mark + 1..)
    }

    /// Host and port the client asked for; empty only in HTTP/1.0.
    pub fn authority<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.authority.of(bytes)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How its body ends.
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// All fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Does the client wait for 100 before it sends the body?
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// May the client's connection serve another request, as far as the client is concerned
    /// (RFC 9112 section 9.3)?
    pub fn persists(&self) -> bool {
        match self.version {
            Version::Http11 => !self.options.close,
            Version::Http10 => self.options.keep_alive && !self.options.close,
        }
    }

    /// A body that some servers would not read: the server's connection must not be used again.
    pub(crate) fn has_odd_body(&self) -> bool {
        self.framing != BodyFraming::None && self.method.expects_no_content()
    }

    /// The protocols the client offers to change to. None for a request with a body, which would
    /// have to be read in the old protocol first, and none in HTTP/1.0.
    pub fn upgrades<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let asked = self.options.upgrade
            && self.version == Version::Http11
            && self.framing == BodyFraming::None;
        let fields = if asked { self.fields.as_slice() } else { &[] };
        let upgrades = fields.iter().filter(|field| field.known == Known::Upgrade);
        upgrades.flat_map(|field| members(field.value.of(bytes)))
    }

    /// Parses the head at the start of `bytes`. One empty line before it is passed over (RFC 9112
    /// section 2.2).
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        scan: &mut Scan,
        limits: &Limits,
    ) -> Result<Parsed, Reason> {
        if matches!(bytes, [] | [b'\r']) {
            return Ok(Parsed::More);
        }
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        if matches!(bytes.get(start), Some(b'\r' | b'\n')) {
            return Err(Reason::RequestLine);
        }
        if scan.has_begun() && !scan.advance(bytes, start, limits)? {
            return Ok(Parsed::More);
        }
        self.tokenise(bytes, start, scan, limits)
    }

    fn tokenise(
        &mut self,
        bytes: &[u8],
        start: usize,
        scan: &mut Scan,
        limits: &Limits,
    ) -> Result<Parsed, Reason> {
        let text = bytes.get(start..).unwrap_or_default();
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let slots = slots.get_mut(..limits.fields()).unwrap_or_default();
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(text, slots) {
            Ok(httparse::Status::Complete(len)) => {
                self.len = start + len;
                if self.len > limits.head.into() {
                    return Err(Reason::HeadTooLarge);
                }
                self.first_line(bytes, start, &request, limits)?;
                self.fields.fill(bytes, self.len, request.headers)?;
                self.interpret(bytes)?;
                Ok(Parsed::Head(self.len))
            }
            Ok(httparse::Status::Partial) if scan.has_begun() => Err(Reason::LineEnd),
            Ok(httparse::Status::Partial) => {
                scan.advance(bytes, start, limits)?;
                Ok(Parsed::More)
            }
            Err(httparse::Error::Version) => Err(version_reason(text)),
            Err(error) => Err(line::reason(error, Reason::RequestLine, line::is_folded(text))),
        }
    }

    fn first_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        request: &httparse::Request,
        limits: &Limits,
    ) -> Result<(), Reason> {
        let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
        self.method_name = Span::new(start, start + method.len());
        self.method = Method::read(method.as_bytes())?;
        let from = self.method_name.end() + 1;
        self.target = Span::new(from, from + target.len());
        if target.len() > limits.target.into() {
            return Err(Reason::TargetTooLong);
        }
        let parts = Target::read(self.method, self.target.of(bytes))?;
        self.path = Span::new(from + parts.path.start, from + parts.path.end);
        self.is_absolute = parts.authority.is_some();
        let authority = parts.authority.map(|part| Span::new(from + part.start, from + part.end));
        self.authority = authority.unwrap_or_default();
        let old = request.version == Some(0);
        self.version = if old { Version::Http10 } else { Version::Http11 };
        Ok(())
    }

    /// What the fields say of this hop.
    fn interpret(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        (self.expects_continue, self.max_forwards) = (false, None);
        let mut host = None;
        for field in self.fields.as_slice() {
            let value = field.value.of(bytes);
            match field.known {
                Known::Host if host.is_some() => return Err(Reason::HostRepeated),
                Known::Host => host = Some(field.value),
                Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                    self.expects_continue = self.version == Version::Http11;
                }
                Known::Expect => return Err(Reason::Expectation),
                Known::MaxForwards if self.max_forwards.is_some() => {
                    return Err(Reason::MaxForwards);
                }
                Known::MaxForwards => {
                    self.max_forwards = Some(decimal(value).ok_or(Reason::MaxForwards)?);
                }
                _ => {}
            }
        }
        if self.max_forwards == Some(0) && self.method == Method::Options {
            return Err(Reason::LastForward);
        }
        self.check_host(bytes, host)?;
        self.options = Options::read(&mut self.fields, bytes, Fault::Client)?;
        self.framing = Declared::read(&self.fields, bytes, self.version)?.of_request();
        Ok(())
    }

    /// One Host in HTTP/1.1, well-formed, and the authority of the target if that has one
    /// (RFC 9112 section 3.2).
    fn check_host(&mut self, bytes: &[u8], host: Option<Span>) -> Result<(), Reason> {
        let Some(host) = host else {
            let old = self.version == Version::Http10;
            return if old { Ok(()) } else { Err(Reason::HostMissing) };
        };
        if !is_authority(host.of(bytes)) {
            return Err(Reason::Host);
        }
        if self.is_absolute && !host.of(bytes).eq_ignore_ascii_case(self.authority.of(bytes)) {
            return Err(Reason::HostMismatch);
        }
        self.authority = host;
        Ok(())
    }
}

/// A version of HTTP that we do not speak, or something that is no version.
fn version_reason(text: &[u8]) -> Reason {
    let line = text.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut parts = line.split(|&byte| byte == b' ').skip(2);
    match (parts.next().and_then(|version| version.strip_prefix(b"HTTP/")), parts.next()) {
        (Some([major, b'.', minor]), None) if [major, minor].iter().all(|d| d.is_ascii_digit()) => {
            Reason::UnsupportedVersion
        }
        _ => Reason::Version,
    }
}
