//! Response heads (RFC 9112 section 4).

use std::mem::MaybeUninit;

use crate::connection::Options;
use crate::fields::{Fields, MAX_FIELDS, Span};
use crate::framing::{BodyFraming, Declared};
use crate::limits::Limits;
use crate::line::{self, Scan};
use crate::name::Known;
use crate::refusal::{Fault, Reason};
use crate::request::{Parsed, Version};
use crate::token::members;

/// `HTTP/1.1 200`
const CODE_END: usize = 12;

/// A response head, as spans of the bytes it was parsed from. One value serves many responses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResponseHead {
    pub(crate) len: usize,
    pub(crate) status: u16,
    pub(crate) reason: Span,
    pub(crate) version: Version,
    pub(crate) options: Options,
    pub(crate) declared: Declared,
    pub(crate) framing: BodyFraming,
    pub(crate) fields: Fields,
}

impl ResponseHead {
    /// The status code, 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Is it an interim response (1xx but 101), after which the final one comes?
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// The version the real server speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How its body ends, the request's method considered.
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// All fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// May the server's connection serve another request, as far as the server is concerned?
    pub(crate) fn persists(&self) -> bool {
        let says = match self.version {
            Version::Http11 => !self.options.close,
            Version::Http10 => self.options.keep_alive && !self.options.close,
        };
        says && self.framing != BodyFraming::UntilClose && !self.announces_too_much()
    }

    /// A length for a status that cannot have a body: will the server send it all the same?
    pub(crate) fn announces_too_much(&self) -> bool {
        let bodiless = matches!(self.status, 100..=199 | 204);
        bodiless && (self.declared.chunked || self.declared.length.is_some_and(|n| n > 0))
    }

    /// Is it a change to `protocol`, and to nothing else?
    pub(crate) fn upgrades_to(&self, bytes: &[u8], protocol: &[u8]) -> bool {
        let upgrades = self.fields.of_kind(Known::Upgrade);
        let mut protocols = upgrades.flat_map(|field| members(field.value.of(bytes)));
        let matches = protocols.next().is_some_and(|first| first.eq_ignore_ascii_case(protocol));
        matches && protocols.next().is_none() && self.options.upgrade
    }

    /// Parses the head at the start of `bytes`. `to_head`: the request's method was HEAD.
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        to_head: bool,
        scan: &mut Scan,
        limits: &Limits,
    ) -> Result<Parsed, Reason> {
        if matches!(bytes.first(), Some(first) if *first != b'H') {
            return Err(Reason::StatusLine);
        }
        if scan.has_begun() && !scan.advance(bytes, 0, limits)? {
            return Ok(Parsed::More);
        }
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let slots = slots.get_mut(..limits.fields()).unwrap_or_default();
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut response, bytes, slots) {
            Ok(httparse::Status::Complete(len)) => {
                self.len = len;
                if len > limits.head.into() {
                    return Err(Reason::HeadTooLarge);
                }
                self.fields.fill(bytes, len, response.headers)?;
                self.first_line(&response)?;
                self.interpret(bytes, to_head)?;
                Ok(Parsed::Head(len))
            }
            Ok(httparse::Status::Partial) if scan.has_begun() => Err(Reason::LineEnd),
            Ok(httparse::Status::Partial) => {
                scan.advance(bytes, 0, limits)?;
                Ok(Parsed::More)
            }
            Err(error) => Err(line::reason(error, Reason::StatusLine, line::is_folded(bytes))),
        }
    }

    fn first_line(&mut self, response: &httparse::Response) -> Result<(), Reason> {
        self.status = response.code.unwrap_or(0);
        if !matches!(self.status, 100..=599) {
            return Err(Reason::StatusLine);
        }
        let old = response.version == Some(0);
        self.version = if old { Version::Http10 } else { Version::Http11 };
        let next = self.fields.as_slice().first().map(|field| field.name.start());
        let end = next.unwrap_or(self.len - 2) - 2;
        self.reason = Span::new((CODE_END + 1).min(end), end);
        Ok(())
    }

    fn interpret(&mut self, bytes: &[u8], to_head: bool) -> Result<(), Reason> {
        self.options = Options::read(&mut self.fields, bytes, Fault::Server)?;
        self.declared = Declared::read(&self.fields, bytes, self.version)?;
        self.framing = self.declared.of_response(self.status, to_head);
        Ok(())
    }
}
