//! Why a message is not forwarded, and what its sender is told.

use std::fmt;

/// Who sent what is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client: answered with the reason's own status.
    Client,
    /// The real server: the client is answered 502.
    Server,
}

/// A message that is not forwarded. Its connection is closed: where the next message would begin
/// is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is wrong.
    pub reason: Reason,
}

impl Refusal {
    /// The status to answer the client with, if no response has begun.
    pub fn status(self) -> u16 {
        match self.fault {
            Fault::Client => self.reason.status(),
            Fault::Server => 502,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sender = match self.fault {
            Fault::Client => "client",
            Fault::Server => "real server",
        };
        write!(f, "{sender}: {}", self.reason)
    }
}

impl std::error::Error for Refusal {}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $status:literal $text:literal,)+) => {
        /// What is wrong with a message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// The status for a client that sent it.
            pub fn status(self) -> u16 {
                match self {
                    $(Reason::$name => $status,)+
                }
            }

            /// What is wrong, in words fit for a log.
            pub fn text(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// Not `method SP target SP version CRLF` (RFC 9112 section 3).
    RequestLine 400 "malformed request line",
    /// Not `version SP code SP reason CRLF`, or a code outside 100 to 599 (section 4).
    StatusLine 400 "malformed status line",
    /// A CR without LF, an LF without CR, or a control character (section 2.2).
    LineEnd 400 "bare CR or LF, or a control character",
    /// A field name that is no token: also a space before the colon (section 5.1).
    FieldName 400 "malformed field name, or a space before the colon",
    /// A line that begins with white space (section 5.2).
    Fold 400 "a field folded over several lines",
    /// An octet that a field value cannot hold (RFC 9110 section 5.5).
    FieldValue 400 "malformed field value",
    /// A known field written with an underscore, which many servers read as a hyphen.
    Lookalike 400 "a field name that imitates another by an underscore",
    /// More fields than [`crate::Limits::fields`].
    TooManyFields 431 "too many fields",
    /// More octets than [`crate::Limits::head`].
    HeadTooLarge 431 "head too large",
    /// More octets than [`crate::Limits::target`].
    TargetTooLong 414 "request target too long",
    /// The request target has none of the four forms (RFC 9112 section 3.2).
    Target 400 "malformed request target",
    /// Not `HTTP/` and two digits.
    Version 400 "malformed HTTP version",
    /// A version other than 1.0 and 1.1.
    UnsupportedVersion 505 "HTTP version other than 1.0 and 1.1",
    /// CONNECT or TRACE.
    UnsupportedMethod 501 "method not supported by a reverse proxy",
    /// A method that differs from a registered one by case, and so is read in two ways.
    MethodCase 400 "a method in the wrong case",
    /// HTTP/1.1 without Host (RFC 9112 section 3.2).
    HostMissing 400 "no Host field",
    /// More than one Host.
    HostRepeated 400 "more than one Host field",
    /// Host, or the authority of the target, is not `host [":" port]`.
    Host 400 "malformed Host or authority",
    /// Host differs from the authority of an absolute target.
    HostMismatch 400 "Host is not the authority of the target",
    /// Not a decimal number, or more than 2^63 - 1.
    ContentLength 400 "malformed Content-Length",
    /// Several lengths, equal or not.
    ContentLengthRepeated 400 "more than one Content-Length",
    /// Content-Length beside Transfer-Encoding (RFC 9112 section 6.1).
    LengthAndEncoding 400 "Content-Length beside Transfer-Encoding",
    /// Chunked is not the last coding, is applied twice, or the field is no list of codings.
    TransferEncoding 400 "malformed Transfer-Encoding, or chunked is not its only last coding",
    /// More than one Transfer-Encoding.
    TransferEncodingRepeated 400 "more than one Transfer-Encoding",
    /// A coding beneath chunked.
    UnsupportedCoding 501 "transfer coding other than chunked",
    /// Transfer-Encoding in a message of HTTP/1.0.
    EncodingInOldVersion 400 "Transfer-Encoding in HTTP/1.0",
    /// An expectation other than 100-continue.
    Expectation 417 "expectation other than 100-continue",
    /// Connection is no list of tokens, is too long, or names a field that every hop needs.
    Connection 400 "malformed Connection, or one that names an end-to-end field",
    /// Not a decimal number.
    MaxForwards 400 "malformed or repeated Max-Forwards",
    /// Max-Forwards: 0. The proxy answers in the server's place (RFC 9110 section 7.6.2).
    LastForward 200 "Max-Forwards is used up",
    /// A chunk size that is no hexadecimal number, or more than 2^63 - 1 (RFC 9112 section 7.1).
    ChunkSize 400 "malformed chunk size",
    /// A chunk extension with a control character.
    ChunkExtension 400 "malformed chunk extension",
    /// A chunk-size line longer than [`crate::Limits::chunk_line`].
    ChunkLineTooLong 400 "chunk-size line too long",
    /// More extensions than [`crate::Limits::chunk_extensions`].
    ChunkExtensionsTooLong 400 "too many chunk extensions",
    /// Chunk data that does not end where its size says.
    ChunkEnd 400 "chunk longer or shorter than its size",
    /// A trailer section longer than [`crate::Limits::trailers`].
    TrailersTooLarge 431 "trailer section too large",
    /// 101 that was not asked for, or to another protocol (RFC 9110 section 7.8).
    Upgrade 400 "a change of protocol that was not asked for",
    /// More interim responses than [`crate::Limits::interim`].
    TooManyInterim 400 "too many interim responses",
    /// Octets of a response before there was a request.
    Unasked 400 "a response without a request",
}

impl Reason {
    /// A refusal of a request.
    pub(crate) fn by_client(self) -> Refusal {
        Refusal { fault: Fault::Client, reason: self }
    }

    /// A refusal of a response.
    pub(crate) fn by_server(self) -> Refusal {
        Refusal { fault: Fault::Server, reason: self }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
