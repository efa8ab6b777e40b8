//! The fields that a proxy has to know, among all the others.

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// A field whose meaning concerns a proxy.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum Known {
            /// Any other field.
            #[default]
            Other,
            $($(#[$doc])* $name,)+
        }

        impl Known {
            /// The name in lower case; empty for [`Known::Other`].
            pub(crate) fn text(self) -> &'static [u8] {
                match self {
                    Known::Other => b"",
                    $(Known::$name => $text,)+
                }
            }
        }
    };
}

known! {
    /// RFC 9110 section 7.6.1.
    Connection b"connection",
    /// RFC 9110 section 8.6.
    ContentLength b"content-length",
    /// RFC 6265.
    Cookie b"cookie",
    /// RFC 9110 section 10.1.1.
    Expect b"expect",
    /// RFC 7239.
    Forwarded b"forwarded",
    /// RFC 9110 section 7.2.
    Host b"host",
    /// RFC 7540 section 3.2.1: only with an upgrade to h2c, which is never forwarded.
    Http2Settings b"http2-settings",
    /// RFC 2068 section 19.7.1.
    KeepAlive b"keep-alive",
    /// RFC 9110 section 7.6.2.
    MaxForwards b"max-forwards",
    /// No HTTP field: CGI would turn it into the variable `HTTP_PROXY`.
    Proxy b"proxy",
    /// A mistake of old clients for Connection.
    ProxyConnection b"proxy-connection",
    /// RFC 9110 section 10.1.4.
    Te b"te",
    /// RFC 9110 section 6.6.2.
    Trailer b"trailer",
    /// RFC 9112 section 6.1.
    TransferEncoding b"transfer-encoding",
    /// RFC 9110 section 7.8.
    Upgrade b"upgrade",
    /// RFC 9110 section 7.6.3.
    Via b"via",
    /// The client's address and those of the proxies before us.
    XForwardedFor b"x-forwarded-for",
}

impl Known {
    /// Which field a name is, whatever its case. An underscore counts as a hyphen: see
    /// [`is_lookalike`].
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Known {
        let Some(&first) = name.first() else { return Known::Other };
        let candidate = match (name.len(), first | 0x20) {
            (2, b't') => Known::Te,
            (3, b'v') => Known::Via,
            (4, b'h') => Known::Host,
            (5, b'p') => Known::Proxy,
            (6, b'e') => Known::Expect,
            (6, b'c') => Known::Cookie,
            (7, b'u') => Known::Upgrade,
            (7, b't') => Known::Trailer,
            (9, b'f') => Known::Forwarded,
            (10, b'c') => Known::Connection,
            (10, b'k') => Known::KeepAlive,
            (12, b'm') => Known::MaxForwards,
            (14, b'c') => Known::ContentLength,
            (14, b'h') => Known::Http2Settings,
            (15, b'x') => Known::XForwardedFor,
            (16, b'p') => Known::ProxyConnection,
            (17, b't') => Known::TransferEncoding,
            _ => return Known::Other,
        };
        let text = candidate.text();
        if name.eq_ignore_ascii_case(text) || imitates(name, text) {
            candidate
        } else {
            Known::Other
        }
    }

    /// A bit of its own, for sets of them.
    #[inline]
    pub(crate) fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Between two neighbours only, whether Connection names it or not: never forwarded as it
    /// came (RFC 9110 section 7.6.1).
    pub(crate) fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::Http2Settings
                | Known::KeepAlive
                | Known::Proxy
                | Known::ProxyConnection
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade
        )
    }

    /// Needed behind us, or by whoever judges the request there: a Connection field that names it
    /// is an attempt to have it removed on the way.
    pub(crate) fn is_end_to_end(self) -> bool {
        self != Known::Other && !self.is_hop_by_hop() && self != Known::Trailer
    }

    /// Only the writer may set it: it frames the message or belongs to the connection.
    pub(crate) fn is_reserved(self) -> bool {
        self.is_hop_by_hop() && self != Known::Proxy
            || matches!(self, Known::ContentLength | Known::Trailer | Known::Expect)
    }
}

/// Equal but for case, an underscore taken as a hyphen; `lower` is in lower case.
#[cold]
fn imitates(name: &[u8], lower: &[u8]) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == lower.len() && name.iter().zip(lower).all(|(&a, &b)| fold(a) == b)
}

/// A known name spelt with an underscore. Servers that hand fields on as variables (CGI, WSGI)
/// cannot tell it from the real one.
pub(crate) fn is_lookalike(name: &[u8]) -> bool {
    name.contains(&b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_and_their_lookalikes() {
        assert_eq!(Known::of(b"cOnTeNt-LeNgTh"), Known::ContentLength);
        assert_eq!(Known::of(b"Transfer_Encoding"), Known::TransferEncoding);
        assert!(is_lookalike(b"Transfer_Encoding") && !is_lookalike(b"Transfer-Encoding"));
        for other in ["", "Hos", "Hosts", "Accept", "Content-Lengtj", "ContentyLength", "X-Host"] {
            assert_eq!(Known::of(other.as_bytes()), Known::Other, "{other}");
        }
    }

    #[test]
    fn each_known_name_is_found() {
        use Known::*;
        for known in [
            Connection,
            ContentLength,
            Cookie,
            Expect,
            Forwarded,
            Host,
            Http2Settings,
            KeepAlive,
            MaxForwards,
            Proxy,
            ProxyConnection,
            Te,
            Trailer,
            TransferEncoding,
            Upgrade,
            Via,
            XForwardedFor,
        ] {
            assert_eq!(Known::of(&known.text().to_ascii_uppercase()), known);
        }
    }
}
