//! Messages on the socket between control and data plane: a four-byte little-endian length, then
//! that many bytes of postcard. Control asks, the data plane answers each request once, in order.

use crate::{Counters, MAX_FRAME_BYTES, ServiceId, Snapshot};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::IpAddr;

/// What control may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you and what do you run? Answered with [`Reply::Hello`].
    Hello,
    /// Forward by this from now on. Answered with [`Reply::Applied`] once every worker does, or
    /// [`Reply::Refused`].
    Apply(Box<Snapshot>),
    /// Answered with [`Reply::Status`].
    Status,
    /// Answered with [`Reply::Counters`].
    Counters,
    /// Connections from table position `cursor` on, at most `limit` of them (and never more than
    /// 10,000). Answered with [`Reply::Connections`].
    Connections {
        /// 0 at first, then what the last answer said.
        cursor: u32,
        /// Rows wanted.
        limit: u32,
    },
    /// Clients that a service remembers, from table position `cursor` on, `limit` of them or one
    /// more (and never more than 10,001). Answered with [`Reply::Persistence`].
    Persistence {
        /// The service.
        service: ServiceId,
        /// 0 at first, then what the last answer said.
        cursor: u32,
        /// Rows wanted.
        limit: u32,
    },
    /// Forget clients that a service remembers, from table position `cursor` on. Connections go on;
    /// only where the clients' next ones go is open again. Answered with [`Reply::Forgotten`].
    Forget {
        /// The service.
        service: ServiceId,
        /// This client (and those that count as one with it); all without it.
        client: Option<IpAddr>,
        /// 0 at first, then what the last answer said.
        cursor: u32,
    },
}

/// What the data plane answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// See [`Request::Hello`].
    Hello {
        /// Process number.
        pid: u32,
        /// The snapshot all workers forward by, if there is one (also one that was found beside
        /// the connection table that this process took over).
        snapshot: Option<Box<Snapshot>>,
        /// Ports in [`crate::PortId`] order.
        ports: Vec<PortStatus>,
    },
    /// Every worker forwards by this generation.
    Applied {
        /// Its number.
        generation: u64,
    },
    /// The snapshot cannot be applied; the old one stays.
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// See [`Request::Status`].
    Status(Status),
    /// See [`Request::Counters`].
    Counters(Box<Counters>),
    /// See [`Request::Connections`].
    Connections {
        /// The rows.
        rows: Vec<ConnectionRow>,
        /// Where to go on; `None` at the end of the table.
        next: Option<u32>,
    },
    /// See [`Request::Persistence`]. A part of the table is looked at, so that there may be fewer
    /// rows than wanted, or none, and more to come.
    Persistence {
        /// The rows.
        rows: Vec<PersistenceRow>,
        /// Where to go on; `None` at the end of the table.
        next: Option<u32>,
    },
    /// See [`Request::Forget`]. A part of the table is looked at.
    Forgotten {
        /// Clients forgotten.
        clients: u32,
        /// Where to go on; `None` at the end of the table.
        next: Option<u32>,
    },
}

/// The data plane's own state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Generation that every worker has acknowledged; 0 before the first.
    pub generation: u64,
    /// Generation that was published last.
    pub published: u64,
    /// Number of workers.
    pub workers: u32,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Ports.
    pub ports: Vec<PortStatus>,
}

/// One port as it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Companion interface.
    pub name: String,
    /// Device as configured.
    pub device: String,
    /// DPDK driver name.
    pub driver: String,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Link state.
    pub link_up: bool,
    /// Whether there is a companion interface in the kernel.
    pub companion: bool,
    /// Whether the device was taken out of the machine since; the data plane has to be started
    /// again for another one in its place.
    pub removed: bool,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// 6 or 17.
    pub protocol: u8,
    /// The client.
    pub client: (IpAddr, u16),
    /// The virtual service.
    pub vip: (IpAddr, u16),
    /// The real server, as connected to.
    pub backend_address: (IpAddr, u16),
    /// SNAT: our own end towards the real server.
    pub source: Option<(IpAddr, u16)>,
    /// Service number.
    pub service: u16,
    /// Backend number.
    pub backend: u32,
    /// TCP state in words; `udp` for UDP.
    pub state: String,
    /// Seconds since the last packet.
    pub idle_s: u32,
    /// Seconds until it expires if it stays idle.
    pub expires_s: u32,
}

/// A client, or a network of clients, that stays with its backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistenceRow {
    /// The client's address under the service's mask.
    pub client: IpAddr,
    /// Backend number.
    pub backend: u32,
    /// Seconds since the client's last new connection.
    pub idle_s: u32,
    /// Seconds until it is forgotten if none comes.
    pub expires_s: u32,
}

/// A frame that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("frame of {0} bytes, at most {MAX_FRAME_BYTES} are accepted")]
    TooLong(usize),
    /// Not what the contract says.
    #[error("frame does not decode: {0}")]
    Malformed(String),
}

/// Length and body, ready to be written.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let body = postcard::to_stdvec(message).map_err(|e| FrameError::Malformed(e.to_string()))?;
    if body.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(body.len()));
    }
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The body's length from the four bytes before it.
pub fn read_frame_len(header: [u8; 4]) -> Result<usize, FrameError> {
    let len = u32::from_le_bytes(header) as usize;
    if len > MAX_FRAME_BYTES { Err(FrameError::TooLong(len)) } else { Ok(len) }
}

/// A message from a frame's body. Bytes left over are an error.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(FrameError::Malformed(format!("{} bytes left over", rest.len()))),
        Err(e) => Err(FrameError::Malformed(e.to_string())),
    }
}
