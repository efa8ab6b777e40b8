//! What an operator may choose.

use log::LevelFilter;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Where diagnostics go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub server: SocketAddr,
    /// How to reach it.
    pub transport: Transport,
    /// The least severe diagnostics to forward.
    pub level: LevelFilter,
    /// What the messages are filed under.
    pub facility: Facility,
    /// Who speaks.
    pub identity: Identity,
    /// Messages that wait at most; further ones are lost. At least 1.
    pub queue: usize,
    /// Largest message in bytes; longer ones lose their end. Brought into
    /// [`Settings::MESSAGE_BYTES`].
    pub message_bytes: usize,
    /// How long the server may take to accept a connection, or data.
    pub timeout: Duration,
    /// When to try again.
    pub retry: Retry,
}

impl Settings {
    /// What messages can be limited to: room for every header, and small enough for a datagram.
    pub const MESSAGE_BYTES: RangeInclusive<usize> = 1024..=8192;

    /// The usual ones: everything down to `info`, facility `daemon`, 1024 messages of at most
    /// 2048 bytes (which every receiver should take: RFC 5424 section 6.1), 5 seconds of
    /// patience.
    pub fn new(server: SocketAddr, transport: Transport, identity: Identity) -> Self {
        Self {
            server,
            transport,
            level: LevelFilter::Info,
            facility: Facility::Daemon,
            identity,
            queue: 1024,
            message_bytes: 2048,
            timeout: Duration::from_secs(5),
            retry: Retry { first: Duration::from_secs(1), most: Duration::from_secs(60) },
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.message_bytes.clamp(*Self::MESSAGE_BYTES.start(), *Self::MESSAGE_BYTES.end())
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram for each message (RFC 5426).
    Udp,
    /// One connection, each message after its length (RFC 6587 section 3.4.1).
    Tcp,
}

/// Who speaks. Characters that the fields cannot hold become `_`; what is too long is cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The node: its fully qualified name if it has one.
    pub hostname: String,
    /// The program.
    pub app_name: String,
    /// The process's number.
    pub process: u32,
    /// The program's version.
    pub version: String,
}

/// Pauses after failures: each twice as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The first pause.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

/// What a message is filed under (RFC 5424 section 6.2.1): those that are not others' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Facility {
    /// `user`
    User = 1,
    /// `daemon`
    Daemon = 3,
    /// `local0`
    Local0 = 16,
    /// `local1`
    Local1 = 17,
    /// `local2`
    Local2 = 18,
    /// `local3`
    Local3 = 19,
    /// `local4`
    Local4 = 20,
    /// `local5`
    Local5 = 21,
    /// `local6`
    Local6 = 22,
    /// `local7`
    Local7 = 23,
}

impl Facility {
    /// Every facility.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Daemon,
        Self::Local0,
        Self::Local1,
        Self::Local2,
        Self::Local3,
        Self::Local4,
        Self::Local5,
        Self::Local6,
        Self::Local7,
    ];

    /// Its usual name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Daemon => "daemon",
            Self::Local0 => "local0",
            Self::Local1 => "local1",
            Self::Local2 => "local2",
            Self::Local3 => "local3",
            Self::Local4 => "local4",
            Self::Local5 => "local5",
            Self::Local6 => "local6",
            Self::Local7 => "local7",
        }
    }
}
