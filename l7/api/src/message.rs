//! Messages on the socket between control and proxy: a header of eight bytes (`FL7`, the
//! contract's version, the body's length as little-endian u32), then the body in postcard.
//! Control asks, the proxy answers each request once, in order.

use crate::{
    Counters, MAX_FRAME_BYTES, PersistenceKey, PersistenceRow, ServerId, ServiceId, Snapshot,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::SocketAddr;

/// Version of the contract. It changes whenever a message's encoding does.
pub const VERSION: u8 = 9;

/// Bytes before each body.
pub const HEADER_BYTES: usize = 8;

const MAGIC: [u8; 3] = *b"FL7";

/// What control may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you and what do you run? Answered with [`Reply::Hello`].
    Hello,
    /// Work by this from now on. Answered with [`Reply::Applied`] once every worker does, or
    /// [`Reply::Refused`].
    Apply(Box<Snapshot>),
    /// Answered with [`Reply::Status`].
    Status,
    /// Answered with [`Reply::Counters`].
    Counters,
    /// The persistence table of a service: entries changed after change number `after`, at most
    /// `limit` of them (and never more than 10,000). Answered with [`Reply::Persistence`].
    Persistence {
        /// Which service.
        service: ServiceId,
        /// 0 at first, then what the last answer said.
        after: u64,
        /// Rows wanted.
        limit: u32,
    },
    /// Forget clients of this service's persistence table. Answered with [`Reply::Cleared`].
    ClearPersistence {
        /// Which service.
        service: ServiceId,
        /// This one, and those that count as one with it; `None`: all.
        client: Option<PersistenceKey>,
    },
    /// Clients' connections from place `cursor` on, at most `limit` of them (and never more than
    /// 10,000). Answered with [`Reply::Connections`].
    Connections {
        /// 0 at first, then what the last answer said.
        cursor: u64,
        /// Rows wanted.
        limit: u32,
    },
    /// A successor asks for the listening sockets. Answered with [`Reply::Handover`], after
    /// which the descriptors follow.
    Handover,
    /// The successor accepts by itself now: stop accepting, finish what is open, end. Answered
    /// with [`Reply::Done`].
    Retire {
        /// Milliseconds after which what is still open is cut; 0 is "never".
        cut_after_ms: u32,
    },
}

/// What the proxy answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// See [`Request::Hello`].
    Hello {
        /// Process number.
        pid: u32,
        /// The snapshot in force, if there is one.
        snapshot: Option<Box<Snapshot>>,
    },
    /// Every worker works by this generation: the acknowledgement.
    Applied {
        /// Its number.
        generation: u64,
        /// What of it cannot be served; all else is.
        problems: Vec<Problem>,
    },
    /// The snapshot contradicts itself; the old one stays in force.
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// See [`Request::Status`].
    Status(Status),
    /// See [`Request::Counters`].
    Counters(Box<Counters>),
    /// See [`Request::Persistence`].
    Persistence {
        /// The rows, by change number.
        rows: Vec<PersistenceRow>,
        /// Number of the table's last change. Rows up to the last one sent are complete.
        newest: u64,
    },
    /// See [`Request::ClearPersistence`].
    Cleared {
        /// Clients that were remembered, and are no longer.
        clients: u32,
    },
    /// See [`Request::Connections`].
    Connections {
        /// The rows.
        rows: Vec<ConnectionRow>,
        /// Where to go on; `None` at the end.
        next: Option<u64>,
    },
    /// See [`Request::Handover`]. The descriptors of `sockets`, in this order, follow as
    /// `SCM_RIGHTS` of single bytes, at most 128 with each.
    Handover {
        /// The snapshot in force, if there is one.
        snapshot: Option<Box<Snapshot>>,
        /// What the descriptors are.
        sockets: Vec<SocketKey>,
        /// Clients remembered, of all services.
        persistence: Vec<(ServiceId, PersistenceRow)>,
    },
    /// It was done.
    Done,
}

/// Something in a snapshot that cannot be served now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The service it is about.
    pub service: ServiceId,
    /// The address and port that could not be listened on; `None`: it is about the service.
    pub listener: Option<SocketAddr>,
    /// Why, and what to do.
    pub reason: String,
}

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SocketKey {
    /// Where it listens.
    pub address: SocketAddr,
    /// Which worker accepts from it.
    pub worker: u32,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spoken {
    /// Whatever it likes: its bytes are not looked at. A tunnel through HTTP too.
    Tcp,
    /// HTTP/1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One client's connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// The client.
    pub client: SocketAddr,
    /// Where it came to.
    pub vip: SocketAddr,
    /// Which service.
    pub service: ServiceId,
    /// The real server that serves it now, and its address. None between two requests, and of a
    /// connection of HTTP/2, whose streams may have one each.
    pub server: Option<(ServerId, SocketAddr)>,
    /// Our own end towards the real server.
    pub source: Option<SocketAddr>,
    /// What it speaks.
    pub protocol: Spoken,
    /// Whether it is encrypted.
    pub is_secure: bool,
    /// HTTP/2: open streams.
    pub streams: u32,
    /// How far it is, in a word.
    pub state: String,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Milliseconds since a byte last came from the client, or went to it.
    pub idle_ms: u64,
    /// Milliseconds until it, or what it is doing, is given up if nothing comes; `None`: never.
    pub expires_ms: Option<u64>,
    /// Bytes from the client on its socket, encrypted ones as such.
    pub bytes_in: u64,
    /// Bytes to it, likewise.
    pub bytes_out: u64,
}

/// The proxy's own state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Generation that every worker has acknowledged; 0 before the first.
    pub generation: u64,
    /// Number of workers.
    pub workers: u32,
    /// Open client connections.
    pub connections: u64,
    /// Listening sockets.
    pub listeners: u32,
    /// Whether a successor has taken over.
    pub retiring: bool,
    /// Seconds since start.
    pub uptime_s: u64,
}

/// A frame that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Whoever speaks does not speak this protocol.
    #[error("the peer does not speak the proxy's protocol: the header begins with {0:02x?}")]
    NotOurs([u8; 3]),
    /// Another version of the contract.
    #[error(
        "the peer speaks version {0} of the contract, this is version {VERSION}: run both from one release"
    )]
    Version(u8),
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("frame of {0} bytes, at most {MAX_FRAME_BYTES} are accepted")]
    TooLong(usize),
    /// Not what the contract says.
    #[error("frame does not decode: {0}")]
    Malformed(String),
}

/// Header and body, ready to be written.
///
/// # Errors
/// [`FrameError::TooLong`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let body = postcard::to_stdvec(message).map_err(|e| FrameError::Malformed(e.to_string()))?;
    if body.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(body.len()));
    }
    let mut frame = Vec::with_capacity(HEADER_BYTES + body.len());
    frame.extend_from_slice(&MAGIC);
    frame.push(VERSION);
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The body's length from the header before it.
///
/// # Errors
/// [`FrameError::NotOurs`], [`FrameError::Version`], [`FrameError::TooLong`].
pub fn read_header(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
    let [a, b, c, version, len @ ..] = header;
    if [a, b, c] != MAGIC {
        return Err(FrameError::NotOurs([a, b, c]));
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_FRAME_BYTES { Err(FrameError::TooLong(len)) } else { Ok(len) }
}

/// A message from a frame's body. Bytes left over are an error.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(FrameError::Malformed(format!("{} bytes left over", rest.len()))),
        Err(e) => Err(FrameError::Malformed(e.to_string())),
    }
}
