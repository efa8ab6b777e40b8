//! What a peer did that it should not have done, and how often.

use std::fmt;

use crate::code::Code;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:ident $text:literal,)+) => {
        /// What a peer did wrong. Each has a counter in [`Counts`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All of them, in the order of their counters.
            pub const ALL: &[Reason] = &[$(Reason::$name,)+];

            /// The code for GOAWAY or RST_STREAM.
            pub fn code(self) -> Code {
                match self {
                    $(Reason::$name => Code::$code,)+
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
    /// The client's first octets are not the preface, or no SETTINGS follow (section 3.4).
    Preface PROTOCOL_ERROR "no HTTP/2 preface",
    /// A frame longer than SETTINGS_MAX_FRAME_SIZE, or of a length its type cannot have.
    FrameSize FRAME_SIZE_ERROR "a frame of a wrong size",
    /// A frame on stream 0 that needs a stream, or the other way round (section 6).
    StreamId PROTOCOL_ERROR "a frame on a stream it cannot be on",
    /// A frame on a stream that nobody has opened (section 5.1).
    Idle PROTOCOL_ERROR "a frame on an idle stream",
    /// An id of the wrong parity, or below one that was used (section 5.1.1).
    Order PROTOCOL_ERROR "a stream id out of order",
    /// Frames on a stream that is closed, or whose sender had ended it (section 5.1).
    Closed STREAM_CLOSED "a frame on a closed stream",
    /// Padding longer than its frame (section 6.1).
    Padding PROTOCOL_ERROR "padding longer than its frame",
    /// A setting with a value it cannot have (section 6.5.2).
    Setting PROTOCOL_ERROR "a setting out of range",
    /// SETTINGS_INITIAL_WINDOW_SIZE beyond 2^31 - 1.
    SettingWindow FLOW_CONTROL_ERROR "an initial window beyond 2^31 - 1",
    /// PUSH_PROMISE, which we forbid.
    Push PROTOCOL_ERROR "PUSH_PROMISE, which was forbidden",
    /// HEADERS and CONTINUATION with another frame between them, or CONTINUATION alone.
    Continuation PROTOCOL_ERROR "a field section that is interrupted, or continued from nowhere",
    /// A field section that is no HPACK (RFC 7541).
    Compression COMPRESSION_ERROR "a field section that cannot be decoded",
    /// A stream that depends on itself (section 5.3.1 of RFC 7540).
    Dependency PROTOCOL_ERROR "a stream that depends on itself",
    /// WINDOW_UPDATE by 0 (section 6.9).
    WindowZero PROTOCOL_ERROR "a window opened by nothing",
    /// A window beyond 2^31 - 1 (section 6.9.1).
    WindowOverflow FLOW_CONTROL_ERROR "a window beyond 2^31 - 1",
    /// More octets than a window allowed.
    Window FLOW_CONTROL_ERROR "more octets than the window allows",
    /// A malformed message (section 8.1.1): see [`crate::Flaw`].
    Malformed PROTOCOL_ERROR "a malformed message",
    /// Streams above SETTINGS_MAX_CONCURRENT_STREAMS (section 5.1.2), or behind our GOAWAY.
    Refused REFUSED_STREAM "more streams than allowed",
    /// A field section larger than SETTINGS_MAX_HEADER_LIST_SIZE, which still was decoded.
    HeadTooLarge ENHANCE_YOUR_CALM "a head larger than allowed",
    /// Too many resets, the peer's own and those it made us send (CVE-2023-44487, CVE-2025-8671).
    Resets ENHANCE_YOUR_CALM "too many streams that were reset",
    /// CONTINUATION without end (CVE-2024-27316).
    ContinuationFlood ENHANCE_YOUR_CALM "a field section in too many pieces, or too large",
    /// Too many SETTINGS.
    SettingsFlood ENHANCE_YOUR_CALM "too many SETTINGS",
    /// Too many PING.
    PingFlood ENHANCE_YOUR_CALM "too many PING",
    /// Too many DATA frames without data, or of padding.
    EmptyFlood ENHANCE_YOUR_CALM "too many empty or padded DATA",
    /// Too many PRIORITY, or frames of unknown types.
    IgnoredFlood ENHANCE_YOUR_CALM "too many frames that do nothing",
    /// Too many WINDOW_UPDATE.
    WindowFlood ENHANCE_YOUR_CALM "too many WINDOW_UPDATE",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The connection is at its end: GOAWAY is in the output, and nothing more is taken from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Broken {
    /// What the peer did.
    pub reason: Reason,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer: {}", self.reason)
    }
}

impl std::error::Error for Broken {}

/// How often each [`Reason`] was met on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts([u16; Reason::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; Reason::ALL.len()])
    }
}

impl Counts {
    pub(crate) fn add(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How often this was met.
    pub fn of(&self, reason: Reason) -> u16 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Each reason that was met, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u16)> {
        Reason::ALL.iter().map(|&reason| (reason, self.of(reason))).filter(|&(_, n)| n != 0)
    }
}
