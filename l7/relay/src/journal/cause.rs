//! Why a request or a connection ended, and how far it was: the two letters that HAProxy's users
//! know, and a word that tells one cause from another.

/// How far a request or a connection was when its end was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It came to its end.
    #[default]
    Over,
    /// The request, or what goes before it, was to come.
    Request,
    /// It waited for a place.
    Queue,
    /// The connection to a real server was made.
    Connect,
    /// The head of the response was to come.
    Headers,
    /// Bytes were on their way.
    Data,
    /// The last bytes for the client were.
    Last,
}

impl Stage {
    /// The second letter.
    pub fn letter(self) -> u8 {
        match self {
            Self::Over => b'-',
            Self::Request => b'R',
            Self::Queue => b'Q',
            Self::Connect => b'C',
            Self::Headers => b'H',
            Self::Data => b'D',
            Self::Last => b'L',
        }
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident $letter:literal $word:literal,)+) => {
        /// Why a request or a connection ended.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Cause {
            /// As it should.
            #[default]
            Done,
            $($(#[$doc])* $name,)+
        }

        impl Cause {
            /// The first letter.
            pub fn letter(self) -> u8 {
                match self {
                    Self::Done => b'-',
                    $(Self::$name => $letter,)+
                }
            }

            /// The reason.
            pub fn word(self) -> &'static str {
                match self {
                    Self::Done => "done",
                    $(Self::$name => $word,)+
                }
            }

            /// All of them.
            #[cfg(test)]
            const ALL: &[Self] = &[Self::Done, $(Self::$name,)+];
        }
    };
}

causes! {
    /// The client ended its connection before it was served.
    ClientClosed b'C' "client-closed",
    /// The client reset its connection.
    ClientReset b'C' "client-reset",
    /// Nothing came from the client, or it took nothing, for too long.
    ClientTimeout b'c' "client-timeout",
    /// The request's head took too long.
    HeadTimeout b'c' "head-timeout",
    /// Header and handshake of the client took too long.
    HandshakeTimeout b'c' "handshake-timeout",
    /// Nothing passed through a tunnel for too long.
    TunnelTimeout b'c' "tunnel-timeout",
    /// The TLS handshake with the client failed.
    ClientTls b'P' "client-tls",
    /// The forwarder did not say who its client is.
    ProxyHeader b'P' "proxy-header",
    /// The request is none that can be forwarded.
    BadRequest b'P' "bad-request",
    /// The request's body is too long.
    BodyLimit b'P' "body-limit",
    /// A rule answered in a server's place.
    Answered b'L' "answered-here",
    /// As many as allowed wait already.
    QueueFull b'P' "queue-full",
    /// The wait for a place took too long.
    QueueTimeout b's' "queue-timeout",
    /// No real server takes clients.
    NoServer b'S' "no-server",
    /// The last real server that was tried refused the connection, or cannot be reached.
    ServerRefused b'S' "server-refused",
    /// The last real server that was tried did not answer.
    ConnectTimeout b's' "connect-timeout",
    /// The TLS handshake with a real server failed.
    ServerTls b'S' "server-tls",
    /// The TLS handshake with a real server took too long.
    ServerTlsTimeout b's' "server-tls-timeout",
    /// The real server ended its connection before its time.
    ServerClosed b'S' "server-closed",
    /// The real server reset its connection.
    ServerReset b'S' "server-reset",
    /// The real server's end came without TLS's word for it.
    ServerTruncated b'S' "server-truncated",
    /// Nothing came from the real server, or it took nothing, for too long.
    ServerTimeout b's' "server-timeout",
    /// The response is none that can be forwarded.
    BadResponse b'P' "bad-response",
    /// We were out of descriptors, ports or memory.
    OurShortage b'R' "our-shortage",
    /// Descriptors were scarce, and it had asked for nothing whole for longer than others.
    Shed b'R' "shed",
    /// It was cut because what it belongs to was removed or halted.
    Cut b'K' "cut",
    /// It was cut because its real server went down.
    ServerDown b'D' "server-down",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_word_of_its_own() {
        let words: std::collections::HashSet<_> = Cause::ALL.iter().map(|c| c.word()).collect();
        assert_eq!(words.len(), Cause::ALL.len());
    }

    #[test]
    fn the_reference_tells_of_every_cause() {
        let reference = include_str!("../../../../docs/access-log.md");
        for cause in Cause::ALL {
            let row = format!("| `{}` | `{}` | ", cause.letter() as char, cause.word());
            assert!(reference.contains(&row), "{row}");
        }
    }
}
