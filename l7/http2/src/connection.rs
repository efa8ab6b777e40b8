//! One connection, of either role.

mod frames;
mod receive;
mod sections;
mod send;

pub use send::{Gone, NotOpened, Request};

use crate::budget::Budget;
use crate::code::Code;
use crate::flaw::Flaw;
use crate::frame;
use crate::hpack::{Decoder, Encoder};
use crate::reason::{Broken, Counts, Reason};
use crate::settings::{Allowed, DEFAULT_WINDOW, Settings};
use crate::stream::{ConnectionWindow, Recent, Stream, StreamId, Streams};
use receive::Phase;
use sections::Section;

/// The last stream id there is.
const MAX_ID: u32 = (1 << 31) - 1;
/// What the PING behind a first GOAWAY carries.
const CLOSING_PING: [u8; 8] = *b"closing\0";
/// What a PING of the caller's carries.
const OWN_PING: [u8; 8] = *b"are you?";

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// How far we are in closing the connection (section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// The peer was asked to open no more streams.
    Asked,
    /// Streams above the last one are refused.
    Final,
}

/// An HTTP/2 connection.
///
/// There are four kinds of methods: [`Connection::receive`] takes what the peer sent; those that
/// say something to the peer ([`Connection::respond`], [`Connection::send_data`] and so on) write
/// it into [`Connection::output`]; [`Connection::give_back`] opens windows; the rest tell.
///
/// The output is the caller's to drain. When it is full, `receive` takes nothing and `send_data`
/// accepts nothing until it was drained: a peer that does not read does not make us hold more.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    settings: Settings,
    allowed: Allowed,
    phase: Phase,
    /// The peer's first SETTINGS have come.
    greeted: bool,
    /// The payload of a frame that comes in pieces.
    gathered: Vec<u8>,
    /// A field section that comes in several frames, and its octets so far.
    section: Option<Section>,
    block: Vec<u8>,
    output: Vec<u8>,
    decoder: Decoder,
    encoder: Encoder,
    streams: Streams,
    /// The last stream that the peer opened.
    last_theirs: u32,
    /// The next stream to open (client role).
    next_own: u32,
    finished: Recent,
    reset: Recent,
    send_window: i64,
    window: ConnectionWindow,
    /// DATA could not be sent for want of the connection's window.
    starved: bool,
    /// [`crate::Event::Room`] is owed, for all streams.
    owes_room: bool,
    /// The peer has acknowledged our SETTINGS.
    settled: bool,
    closing: Closing,
    /// The peer has sent GOAWAY.
    goes_away: bool,
    /// The peer takes none of our streams above this one.
    their_last: u32,
    budget: Budget,
    counts: Counts,
    last_flaw: Option<Flaw>,
    broken: Option<Broken>,
}

impl Connection {
    /// The end that answers. SETTINGS are in the output.
    pub fn server(settings: Settings) -> Connection {
        let phase = Phase::Preface { seen: 0 };
        let mut connection = Connection::new(Role::Server, settings, phase);
        connection.settings.write(false, &mut connection.output);
        connection
    }

    /// The end that asks. The preface and SETTINGS are in the output.
    pub fn client(settings: Settings) -> Connection {
        let mut connection = Connection::new(Role::Client, settings, Phase::FRAME);
        connection.output.extend_from_slice(frame::PREFACE);
        connection.settings.write(true, &mut connection.output);
        connection
    }

    fn new(role: Role, settings: Settings, phase: Phase) -> Connection {
        let settings = settings.clamped();
        Connection {
            role,
            settings,
            allowed: Allowed::default(),
            phase,
            greeted: false,
            gathered: Vec::new(),
            section: None,
            block: Vec::new(),
            output: Vec::new(),
            decoder: Decoder::new(settings.table),
            encoder: Encoder::default(),
            streams: Streams::default(),
            last_theirs: 0,
            next_own: 1,
            finished: Recent::default(),
            reset: Recent::default(),
            send_window: DEFAULT_WINDOW.into(),
            window: ConnectionWindow::new(settings.connection_window),
            starved: false,
            owes_room: false,
            settled: false,
            closing: Closing::Open,
            goes_away: false,
            their_last: MAX_ID,
            budget: Budget::default(),
            counts: Counts::default(),
            last_flaw: None,
            broken: None,
        }
    }

    /// What is to be written to the peer. The caller removes what it has written, or takes the
    /// whole and leaves another empty buffer.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Opens the stream's and the connection's window again for octets of DATA that were passed
    /// on. Until then the peer can send no more than the windows.
    pub fn give_back(&mut self, stream: StreamId, octets: usize) {
        let Some(found) = self.streams.find(stream.0) else { return };
        let octets = found.held.min(u32::try_from(octets).unwrap_or(u32::MAX));
        found.held -= octets;
        self.open_stream(stream.0, octets);
        self.give_back_connection(octets);
    }

    /// Tells the peer when half of the window is free: seldom enough, and before it is used up.
    fn open_stream(&mut self, id: u32, octets: u32) {
        let Some(stream) = self.streams.find(id) else { return };
        stream.untold += octets;
        if stream.untold >= self.settings.stream_window.div_ceil(2) && !stream.remote_ended {
            frame::window_update(&mut self.output, id, stream.untold);
            stream.receive_window += stream.untold;
            stream.untold = 0;
        }
    }

    fn give_back_connection(&mut self, octets: u32) {
        let window = &mut self.window;
        window.untold += octets;
        if window.untold >= window.whole / 2 {
            frame::window_update(&mut self.output, 0, window.untold);
            window.left += window.untold;
            window.untold = 0;
        }
    }

    /// Ends a stream at once, both ways; no event follows. Nothing happens if it is closed.
    pub fn reset(&mut self, stream: StreamId, code: Code) {
        if self.streams.get(stream.0).is_some() {
            self.abandon(stream.0, code);
        }
    }

    /// Asks the peer to open no more streams. What is open goes on; what the peer opens before it
    /// knows is still served, later streams are refused (section 6.8).
    pub fn go_away(&mut self) {
        if self.closing != Closing::Open || self.broken.is_some() {
            return;
        }
        if self.role == Role::Client {
            self.closing = Closing::Final;
            return frame::go_away(&mut self.output, 0, Code::NO_ERROR);
        }
        self.closing = Closing::Asked;
        frame::go_away(&mut self.output, MAX_ID, Code::NO_ERROR);
        frame::ping(&mut self.output, 0, &CLOSING_PING);
    }

    /// Refuses later streams now, without waiting until the peer knows.
    pub fn go_away_now(&mut self) {
        if self.closing != Closing::Final && self.broken.is_none() {
            self.closing = Closing::Final;
            frame::go_away(&mut self.output, self.last_theirs, Code::NO_ERROR);
        }
    }

    /// Asks the peer for a sign of life: [`crate::Event::Pong`].
    pub fn ping(&mut self) {
        frame::ping(&mut self.output, 0, &OWN_PING);
    }

    /// Ends the connection because of what the peer did: GOAWAY is in the output.
    pub fn abort(&mut self, reason: Reason) -> Broken {
        let broken = Broken { reason };
        if self.broken.is_none() {
            self.counts.add(reason);
            self.broken = Some(broken);
            frame::go_away(&mut self.output, self.last_theirs, reason.code());
        }
        self.broken.unwrap_or(broken)
    }

    /// Says that about a second has passed: the peer may send some more frames that do nothing,
    /// such as a PING now and then. Whoever never says it closes connections that are pinged a
    /// thousand times without a request.
    pub fn refill(&mut self) {
        self.budget.refill();
    }

    /// Gives back memory that an idle connection does not need.
    pub fn rest(&mut self) {
        self.streams.rest();
        for buffer in [&mut self.output, &mut self.gathered, &mut self.block] {
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
        }
    }

    /// Keeps a number of the caller's with a stream, such as the key of what serves it.
    pub fn set_tag(&mut self, stream: StreamId, tag: u64) {
        if let Some(stream) = self.streams.find(stream.0) {
            stream.tag = tag;
        }
    }

    /// The number that was kept, 0 if none was; None if the stream is closed.
    pub fn tag(&self, stream: StreamId) -> Option<u64> {
        self.streams.get(stream.0).map(|stream| stream.tag)
    }

    /// The streams that are open or half closed, with their tags.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, u64)> {
        self.streams.iter().map(|stream| (StreamId(stream.id), stream.tag))
    }

    /// Requests that the peer lets us have open at once (client role): as many as our settings say
    /// until it has said something itself.
    pub fn most_requests(&self) -> usize {
        self.allowed.streams.min(self.settings.streams) as usize
    }

    /// Does neither side's GOAWAY, nor the number of streams there were, keep us from further
    /// requests (client role)?
    pub fn takes_requests(&self) -> bool {
        let closing = self.goes_away || self.closing != Closing::Open || self.broken.is_some();
        !closing && self.role == Role::Client && self.next_own <= MAX_ID
    }

    /// Is no stream open?
    pub fn is_idle(&self) -> bool {
        self.streams.len() == 0
    }

    /// Is the output so full that nothing more is taken in, and no DATA taken over?
    pub fn is_full(&self) -> bool {
        self.output.len() + frame::HEADER_LEN >= self.settings.output
    }

    /// Is there nothing more to come: broken, or closing and without a stream?
    pub fn is_done(&self) -> bool {
        self.broken.is_some() || (self.closing == Closing::Final && self.is_idle())
    }

    /// Does a stream wait for the peer to open a window? With the caller's clock, a peer that
    /// never does can be told from one that reads slowly.
    pub fn is_stalled(&self) -> bool {
        self.starved || self.streams.iter().any(|stream| stream.starved)
    }

    /// Has the peer begun a field section, or a preface, that it has not ended?
    pub fn is_amid_head(&self) -> bool {
        self.section.is_some() || self.phase.is_amid_head()
    }

    /// How often the peer did what it should not.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Octets on the heap.
    pub fn memory(&self) -> usize {
        let buffers = [&self.output, &self.gathered, &self.block];
        let buffers: usize = buffers.iter().map(|buffer| buffer.capacity()).sum();
        buffers + self.streams.memory() + self.decoder.memory() + self.encoder.memory()
    }

    /// What was wrong with the last message that was malformed, for a log.
    pub fn last_flaw(&self) -> Option<Flaw> {
        self.last_flaw
    }

    /// Was the stream's id in use by now? `false`: the stream is idle (section 5.1).
    fn is_used(&self, id: u32) -> bool {
        match self.role {
            Role::Server => id % 2 == 1 && id <= self.last_theirs,
            Role::Client => id % 2 == 1 && id < self.next_own,
        }
    }

    /// Ends a stream by RST_STREAM.
    fn abandon(&mut self, id: u32, code: Code) {
        frame::rst_stream(&mut self.output, id, code);
        self.reset.add(id);
        self.forget(id);
    }

    /// Takes a stream off the list; what it held is the connection's again.
    fn forget(&mut self, id: u32) -> Option<Stream> {
        let stream = self.streams.remove(id)?;
        self.give_back_connection(stream.held);
        Some(stream)
    }

    /// Takes a stream off the list once both sides have ended it.
    #[inline]
    fn close_if_ended(&mut self, id: u32) {
        let ended = |stream: &&mut Stream| stream.remote_ended && stream.local_ended;
        if self.streams.find(id).filter(ended).is_some() {
            self.forget(id);
            self.finished.add(id);
            self.budget.finished();
        }
    }
}
