//! A peer made of octets, and two connections joined.
#![allow(dead_code, reason = "each test program uses a part")]

use http2::{Broken, Connection, Event, Head, Settings};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const HAS_PRIORITY: u8 = 32;

/// `GET http://a/`, in static entries and one literal.
pub const GET: &[u8] = b"\x82\x86\x84\x01\x01a";
/// The same by POST.
pub const POST: &[u8] = b"\x83\x86\x84\x01\x01a";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field section of literals without indexing.
pub fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for part in [name, value] {
            assert!(part.len() < 127 + 128);
            match part.len() {
                len @ 0..127 => block.push(len as u8),
                len => block.extend([127, (len - 127) as u8]),
            }
            block.extend(part.as_bytes());
        }
    }
    block
}

/// A frame as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// All frames of an output.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let [a, b, c, kind, flags, stream @ ..] = *header;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, rest) = rest.split_at(len);
        let stream = u32::from_be_bytes(stream);
        frames.push(Frame { kind, flags, stream, payload: payload.to_vec() });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a frame is cut");
    frames
}

/// What a server told of some octets.
#[derive(Debug, Default)]
pub struct Heard {
    pub events: Vec<Event>,
    pub broken: Option<Broken>,
    /// Octets of DATA, in the order they came.
    pub data: Vec<u8>,
}

/// A server, and what it writes.
pub struct Server {
    pub connection: Connection,
    pub head: Head,
}

impl Server {
    /// After the preface and SETTINGS of both sides; the output is empty.
    pub fn greeted(settings: Settings) -> Server {
        let mut server = Server::new(settings);
        server.hear(PREFACE);
        server.hear(&frame(SETTINGS, 0, 0, &[]));
        let heard = server.hear(&frame(SETTINGS, ACK, 0, &[]));
        assert_eq!(heard.broken, None);
        server.connection.output().clear();
        server
    }

    pub fn new(settings: Settings) -> Server {
        Server { connection: Connection::server(settings), head: Head::default() }
    }

    /// Hears all octets, gives nothing back.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        hear(&mut self.connection, &mut self.head, bytes)
    }

    /// The frames written since the last time.
    pub fn said(&mut self) -> Vec<Frame> {
        frames(&std::mem::take(self.connection.output()))
    }
}

pub fn hear(connection: &mut Connection, head: &mut Head, bytes: &[u8]) -> Heard {
    let (mut heard, mut rest) = (Heard::default(), bytes);
    loop {
        match connection.receive(rest, head) {
            Err(broken) => {
                heard.broken = Some(broken);
                return heard;
            }
            Ok(step) => {
                if let Some(Event::Data { data, .. }) = &step.event {
                    heard.data.extend(&rest[data.clone()]);
                }
                rest = &rest[step.taken..];
                match step.event {
                    Some(event) => heard.events.push(event),
                    None => return heard,
                }
            }
        }
    }
}
