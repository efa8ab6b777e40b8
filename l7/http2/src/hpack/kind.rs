//! What a field is to the rules of RFC 9113 section 8, told from its name once.

/// Which rule a field name falls under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// No rule of its own.
    #[default]
    Other,
    /// `:method`.
    Method,
    /// `:scheme`.
    Scheme,
    /// `:authority`.
    Authority,
    /// `:path`.
    Path,
    /// `:status`.
    Status,
    /// `:protocol` (RFC 8441).
    Protocol,
    /// A colon and a name that is none of these.
    UnknownPseudo,
    /// Connection-specific (RFC 9113 section 8.2.2): it has no place in HTTP/2.
    Hop,
    /// `te`, which may say `trailers` only.
    Te,
    /// `content-length`.
    ContentLength,
    /// `host`.
    Host,
    /// `cookie`, which may come in several crumbs.
    Cookie,
    /// A credential: never put into a table of ours.
    Secret,
}

impl Kind {
    /// Of a lower-case name.
    pub(crate) fn of(name: &[u8]) -> Kind {
        if name.first() == Some(&b':') {
            return Kind::of_pseudo(name);
        }
        match name {
            b"te" => Kind::Te,
            b"host" => Kind::Host,
            b"cookie" => Kind::Cookie,
            b"content-length" => Kind::ContentLength,
            b"set-cookie" | b"authorization" | b"proxy-authorization" => Kind::Secret,
            b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding"
            | b"upgrade" | b"http2-settings" => Kind::Hop,
            _ => Kind::Other,
        }
    }

    fn of_pseudo(name: &[u8]) -> Kind {
        match name {
            b":method" => Kind::Method,
            b":scheme" => Kind::Scheme,
            b":authority" => Kind::Authority,
            b":path" => Kind::Path,
            b":status" => Kind::Status,
            b":protocol" => Kind::Protocol,
            _ => Kind::UnknownPseudo,
        }
    }
}
