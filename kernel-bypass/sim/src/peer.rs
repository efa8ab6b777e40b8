//! A TCP endpoint, just good enough to tell whether a byte stream arrives whole: handshake,
//! cumulative acknowledgement, go-back-N on a timer, both sides closed by FIN.

use crate::frames::End;
use conn::Tick;
use wire::TcpFlags;

/// Payload of one segment.
const SEGMENT: usize = 536;

/// Segments in flight.
const WINDOW: usize = 4;

/// Ticks until what is not acknowledged is sent again.
const REPEAT: Tick = 30;

/// One segment on its way; addresses are the endpoint's own view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sender.
    pub from: End,
    /// Receiver.
    pub to: End,
    /// Flags.
    pub flags: TcpFlags,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Data.
    pub payload: Vec<u8>,
}

/// See the module. Positions in the stream: 0 is the SYN, data begins at 1, the FIN comes last.
pub struct Peer {
    local: End,
    remote: End,
    first_seq: u32,
    outgoing: Vec<u8>,
    closing: bool,
    acknowledged: usize,
    sent: usize,
    sent_at: Tick,
    remote_first: Option<u32>,
    received: Vec<u8>,
    remote_closed: bool,
    owes_ack: bool,
    /// A reset came.
    pub reset: bool,
}

impl Peer {
    /// Connects and sends `outgoing`, then closes its side.
    pub fn client(local: End, remote: End, seq: u32, outgoing: Vec<u8>, now: Tick) -> Self {
        Self { outgoing, closing: true, ..Self::new(local, remote, seq, now) }
    }

    /// Waits for a connection.
    pub fn server(local: End, remote: End, seq: u32, now: Tick) -> Self {
        Self::new(local, remote, seq, now)
    }

    fn new(local: End, remote: End, first_seq: u32, now: Tick) -> Self {
        Self {
            local,
            remote,
            first_seq,
            outgoing: Vec::new(),
            closing: false,
            acknowledged: 0,
            sent: 0,
            sent_at: now.wrapping_sub(REPEAT),
            remote_first: None,
            received: Vec::new(),
            remote_closed: false,
            owes_ack: false,
            reset: false,
        }
    }

    /// Sends this and closes its side.
    pub fn answer(&mut self, outgoing: Vec<u8>) {
        (self.outgoing, self.closing) = (outgoing, true);
    }

    /// What has come, once the other side has closed.
    pub fn request(&self) -> Option<&[u8]> {
        self.remote_closed.then_some(&self.received)
    }

    /// Whether it has closed its side, or is about to.
    pub const fn answered(&self) -> bool {
        self.closing
    }

    /// Whether both streams are through.
    pub fn done(&self) -> bool {
        self.remote_closed && self.closing && self.acknowledged == self.end()
    }

    /// A segment has come.
    pub fn receive(&mut self, segment: &Segment, now: Tick) {
        if segment.flags.contains(TcpFlags::RST) {
            self.reset = true;
            return;
        }
        if segment.flags.contains(TcpFlags::SYN) {
            self.remote_first.get_or_insert(segment.seq);
            self.owes_ack = true;
        }
        let Some(first) = self.remote_first else { return };
        if segment.flags.contains(TcpFlags::ACK) {
            let position = segment.ack.wrapping_sub(self.first_seq) as usize;
            if position > self.acknowledged && position <= self.end() {
                self.acknowledged = position;
                self.sent = self.sent.max(position);
                self.sent_at = now;
            }
        }
        let position = segment.seq.wrapping_sub(first) as usize;
        let wanted = self.received.len() + 1;
        if position == wanted && !self.remote_closed {
            self.received.extend_from_slice(&segment.payload);
            self.remote_closed = segment.flags.contains(TcpFlags::FIN);
        }
        self.owes_ack |= !segment.payload.is_empty() || segment.flags.contains(TcpFlags::FIN);
    }

    /// What it sends now.
    pub fn poll(&mut self, now: Tick) -> Vec<Segment> {
        let passive = self.remote_first.is_none() && !self.closing;
        if passive || self.reset {
            return Vec::new();
        }
        if now.wrapping_sub(self.sent_at) >= REPEAT {
            self.sent = self.acknowledged;
        }
        let mut segments = Vec::new();
        while segments.len() < WINDOW && self.sent < self.limit() {
            segments.push(self.next());
            self.sent_at = now;
        }
        if self.owes_ack && segments.is_empty() {
            segments.push(self.segment(self.sent, TcpFlags::ACK, Vec::new()));
        }
        self.owes_ack = false;
        segments
    }

    fn next(&mut self) -> Segment {
        let at = self.sent;
        if at == 0 {
            self.sent = 1;
            return self.segment(0, TcpFlags::SYN, Vec::new());
        }
        let data = &self.outgoing[(at - 1).min(self.outgoing.len())..];
        let data = data[..data.len().min(SEGMENT)].to_vec();
        self.sent += data.len();
        let mut flags = TcpFlags::ACK;
        if self.closing && self.sent == self.end() - 1 {
            self.sent += 1;
            flags |= TcpFlags::FIN;
        }
        self.segment(at, flags, data)
    }

    /// Position after everything there is to send.
    fn end(&self) -> usize {
        1 + self.outgoing.len() + usize::from(self.closing)
    }

    /// Nothing goes out before the handshake is through, and no more than a window.
    fn limit(&self) -> usize {
        if self.remote_first.is_none() || self.acknowledged == 0 {
            return 1;
        }
        self.end().min(self.acknowledged + WINDOW * SEGMENT)
    }

    fn segment(&self, at: usize, flags: TcpFlags, payload: Vec<u8>) -> Segment {
        let ack = match self.remote_first {
            Some(first) => {
                let position = 1 + self.received.len() + usize::from(self.remote_closed);
                first.wrapping_add(position as u32)
            }
            None => 0,
        };
        let acked = if self.remote_first.is_some() { TcpFlags::ACK } else { TcpFlags::empty() };
        let flags = if at == 0 { TcpFlags::SYN | acked } else { flags };
        let seq = self.first_seq.wrapping_add(at as u32);
        Segment { from: self.local, to: self.remote, flags, seq, ack, payload }
    }
}
