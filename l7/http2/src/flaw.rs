//! What makes a field, or a whole head, malformed (RFC 9113 section 8.1.1).

use std::fmt;

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// Why a message is malformed: its stream is reset with PROTOCOL_ERROR.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Flaw {
            $($(#[$doc])* $name,)+
        }

        impl Flaw {
            /// What is wrong, in words fit for a log.
            pub fn text(self) -> &'static str {
                match self {
                    $(Flaw::$name => $text,)+
                }
            }
        }
    };
}

flaws! {
    /// A name that is no lower-case token.
    Name "a field name that is no lower-case token",
    /// A value with a control character, or white space around it.
    Value "a control character in a field value, or white space around it",
    /// A pseudo-field that is unknown, or belongs to the other direction, or to no trailers.
    UnknownPseudo "a pseudo-field that does not belong here",
    /// A pseudo-field twice.
    PseudoRepeated "a repeated pseudo-field",
    /// A pseudo-field behind an ordinary one.
    PseudoLate "a pseudo-field behind an ordinary field",
    /// A required pseudo-field is missing, or one is there that the method forbids.
    PseudoMissing "a pseudo-field is missing, or must not be there",
    /// `:method` is no token.
    Method "malformed :method",
    /// `:scheme` is neither http nor https.
    Scheme ":scheme is neither http nor https",
    /// `:path` is no origin form (and no asterisk of OPTIONS).
    Path "malformed :path",
    /// `:authority` or Host is not `host [":" port]`.
    Authority "malformed :authority or Host",
    /// Host is repeated, or differs from `:authority`, or neither is there.
    Host "Host is repeated, or is not :authority, or both are missing",
    /// `:status` is not three digits from 100 to 599, or is 101.
    Status "malformed :status",
    /// `:protocol` is no token, or comes with another method than CONNECT.
    Protocol "malformed :protocol",
    /// A connection-specific field.
    ConnectionSpecific "a connection-specific field",
    /// TE says something other than trailers.
    Te "TE other than trailers",
    /// Content-Length is no number, or there are several.
    ContentLength "malformed or repeated Content-Length",
    /// DATA of another length than Content-Length said.
    Length "DATA is longer or shorter than Content-Length",
    /// A field in trailers that frames or routes a message.
    Trailer "a field in trailers that belongs into a head",
    /// A second head without END_STREAM.
    TrailersOpen "trailers that do not end the stream",
    /// An interim response (1xx) that ends the stream.
    InterimEnd "an interim response that ends the stream",
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
