//! What the caller is told.

use std::ops::Range;

use crate::code::Code;
use crate::flaw::Flaw;
use crate::stream::StreamId;

/// What [`crate::Connection::receive`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A request head (server role), or a response head, interim ones (1xx) among them (client
    /// role); it is in the [`crate::Head`] that was passed.
    Head {
        /// Its stream; new in the server role.
        stream: StreamId,
        /// No body and no trailers follow.
        end: bool,
    },
    /// A piece of a body. Nothing was copied: it is `data` of the octets that were passed, and
    /// its window opens again by [`crate::Connection::give_back`].
    Data {
        /// Its stream.
        stream: StreamId,
        /// Where it lies in the octets that were passed; empty perhaps at the end.
        data: Range<usize>,
        /// No more of the body follows, and no trailers.
        end: bool,
    },
    /// Trailers, in the [`crate::Head`] that was passed. They end the stream.
    Trailers {
        /// Their stream.
        stream: StreamId,
    },
    /// The stream is gone: whatever it caused is to be stopped.
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: Code,
        /// Who ended it.
        by: By,
    },
    /// What could not be sent for want of window can be sent now.
    Room {
        /// On this stream; on any, if none is named.
        stream: Option<StreamId>,
    },
    /// The peer opens no more streams (client role: takes no more; those above `last` follow as
    /// [`Event::Reset`] with REFUSED_STREAM, and may be sent again elsewhere).
    GoAway {
        /// The last stream of ours that it has seen.
        last: u32,
        /// Why.
        code: Code,
    },
    /// The peer's SETTINGS: what it allows may have changed.
    Settings,
    /// The peer answered our [`crate::Connection::ping`].
    Pong,
}

/// Who ended a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The peer, by RST_STREAM or GOAWAY.
    Peer,
    /// We, because of what the peer did; a malformed message says what is wrong with it.
    Us(Option<Flaw>),
}

/// What one call of [`crate::Connection::receive`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// So many of the octets are done with. The rest are to be passed again.
    pub taken: usize,
    /// What happened. None: all octets are taken, or the output is full.
    pub event: Option<Event>,
}
