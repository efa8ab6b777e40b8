//! What we allow a peer, and what a peer allows us (RFC 9113 section 6.5).

use crate::frame;
use crate::hpack::DEFAULT_TABLE;
use crate::reason::Reason;

/// The window of a stream and of a connection until somebody says otherwise.
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;
pub(crate) const MAX_WINDOW: u32 = (1 << 31) - 1;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// What we allow the peer of a connection, fixed when it starts. Each bounds the memory that it
/// can make us, or our caller, hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Streams that are open at once: the client's, whichever role is ours.
    pub streams: u32,
    /// Octets of DATA on one stream that were not given back; at most 2^31 - 1.
    pub stream_window: u32,
    /// The same of the whole connection; at least 65,535, at most 2^31 - 1.
    pub connection_window: u32,
    /// Octets of a head, 32 for each field among them.
    pub head: u32,
    /// Fields of a head, pseudo-fields among them.
    pub fields: u16,
    /// The table for the peer's heads, in octets; it takes memory with the first entry.
    pub table: u32,
    /// May a client send an extended CONNECT (RFC 8441)? Server role only.
    pub extended_connect: bool,
    /// Octets of output beyond which nothing is taken in, and no DATA taken over.
    pub output: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            streams: 128,
            stream_window: DEFAULT_WINDOW,
            connection_window: 1 << 20,
            head: 16_384,
            fields: 100,
            table: DEFAULT_TABLE,
            extended_connect: false,
            output: 65_536,
        }
    }
}

impl Settings {
    /// Within what the protocol allows.
    pub(crate) fn clamped(self) -> Settings {
        Settings {
            stream_window: self.stream_window.min(MAX_WINDOW),
            connection_window: self.connection_window.clamp(DEFAULT_WINDOW, MAX_WINDOW),
            ..self
        }
    }

    /// Appends SETTINGS and the connection's window.
    pub(crate) fn write(&self, is_client: bool, out: &mut Vec<u8>) {
        let values = [
            (HEADER_TABLE_SIZE, self.table, DEFAULT_TABLE),
            (ENABLE_PUSH, u32::from(!is_client), 1),
            (MAX_CONCURRENT_STREAMS, if is_client { 0 } else { self.streams }, 0),
            (INITIAL_WINDOW_SIZE, self.stream_window, DEFAULT_WINDOW),
            (MAX_HEADER_LIST_SIZE, self.head, u32::MAX),
            (ENABLE_CONNECT_PROTOCOL, u32::from(self.extended_connect && !is_client), 0),
        ];
        let said = values.iter().filter(|(_, value, default)| value != default);
        frame::header(out, said.clone().count() * 6, frame::SETTINGS, 0, 0);
        for (id, value, _) in said {
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
        if self.connection_window > DEFAULT_WINDOW {
            frame::window_update(out, 0, self.connection_window - DEFAULT_WINDOW);
        }
    }
}

/// What the peer allows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) table: u32,
    pub(crate) streams: u32,
    pub(crate) window: u32,
    pub(crate) frame: u32,
    pub(crate) extended_connect: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Allowed {
            table: DEFAULT_TABLE,
            streams: u32::MAX,
            window: DEFAULT_WINDOW,
            frame: frame::MIN_MAX_LEN as u32,
            extended_connect: false,
        }
    }
}

impl Allowed {
    /// Takes in one SETTINGS frame; `from_client`: who sent it.
    pub(crate) fn read(&mut self, payload: &[u8], from_client: bool) -> Result<(), Reason> {
        for setting in payload.chunks_exact(6) {
            let [a, b, value @ ..] = setting else { continue };
            let value = value.iter().fold(0u32, |value, &octet| value << 8 | u32::from(octet));
            self.set(u16::from_be_bytes([*a, *b]), value, from_client)?;
        }
        Ok(())
    }

    fn set(&mut self, id: u16, value: u32, from_client: bool) -> Result<(), Reason> {
        match id {
            HEADER_TABLE_SIZE => self.table = value,
            // A server cannot enable what only a client may receive.
            ENABLE_PUSH if value > u32::from(from_client) => return Err(Reason::Setting),
            MAX_CONCURRENT_STREAMS => self.streams = value,
            INITIAL_WINDOW_SIZE if value > MAX_WINDOW => return Err(Reason::SettingWindow),
            INITIAL_WINDOW_SIZE => self.window = value,
            MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => return Err(Reason::Setting),
            MAX_FRAME_SIZE => self.frame = value,
            ENABLE_CONNECT_PROTOCOL if value > 1 || (self.extended_connect && value == 0) => {
                return Err(Reason::Setting);
            }
            ENABLE_CONNECT_PROTOCOL => self.extended_connect = value == 1,
            _ => {}
        }
        Ok(())
    }
}
