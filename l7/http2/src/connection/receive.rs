//! Octets as they come: the preface, frame headers, payloads.

use super::{Connection, Role};
use crate::event::{Event, Step};
use crate::frame::{self, END_STREAM, HEADER_LEN, Header, PADDED, PREFACE};
use crate::head::Head;
use crate::reason::{Broken, Reason};
use crate::stream::StreamId;

/// DATA of fewer octets earns nothing: a peer could pay for floods with it.
const WORTHWHILE: u32 = 256;

/// What the next octet is part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// The client's preface.
    Preface { seen: u8 },
    /// A frame's header.
    Header { seen: u8, octets: [u8; HEADER_LEN] },
    /// The payload of a frame other than DATA that was not whole when it began.
    Payload(Header),
    /// The length of a DATA frame's padding; `left` octets of payload follow it.
    PadLength { stream: u32, left: u32, end: bool },
    /// The payload of a DATA frame: `left` octets of data and `pad` of padding. On stream 0 if
    /// nobody wants it.
    Data { stream: u32, left: u32, pad: u32, end: bool },
}

/// How many octets were used, and what they meant. None: there are too few.
type Advance = Option<(usize, Option<Event>)>;

impl Phase {
    /// Between two frames.
    pub(super) const FRAME: Phase = Phase::Header { seen: 0, octets: [0; HEADER_LEN] };

    pub(super) fn is_amid_head(&self) -> bool {
        match self {
            Phase::Preface { .. } => true,
            Phase::Payload(header) => header.kind == frame::HEADERS,
            _ => false,
        }
    }
}

impl Connection {
    /// Takes octets from the peer up to the next event, and decodes a head into `head`.
    ///
    /// To be called until it has no event: then all octets are taken, or the output is full and
    /// the rest is to be passed again once it was drained. No octet needs to be passed twice: what
    /// comes in pieces is kept here, a frame of 16 KiB and a field section at most.
    ///
    /// # Errors
    /// The peer broke the protocol or abused it: GOAWAY is in the output, the connection ends.
    pub fn receive(&mut self, bytes: &[u8], head: &mut Head) -> Result<Step, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let mut step = Step { taken: 0, event: self.owed() };
        while step.event.is_none() && !self.is_full() {
            let rest = bytes.get(step.taken..).unwrap_or_default();
            let advance = self.advance(rest, step.taken, head);
            match advance.map_err(|reason| self.abort(reason))? {
                None => break,
                Some((used, event)) => {
                    step.taken += used;
                    step.event = event;
                }
            }
        }
        Ok(step)
    }

    /// Events that one frame caused beside its own.
    fn owed(&mut self) -> Option<Event> {
        if self.owes_room {
            self.owes_room = false;
            return Some(Event::Room { stream: None });
        }
        self.refused_by_peer()
    }

    /// `at`: where `rest` begins in the caller's octets.
    #[inline]
    fn advance(&mut self, rest: &[u8], at: usize, head: &mut Head) -> Result<Advance, Reason> {
        if rest.is_empty() {
            return Ok(None);
        }
        match self.phase {
            Phase::Header { seen: 0, .. } => match rest.split_first_chunk::<HEADER_LEN>() {
                Some((octets, payload)) => self.whole_header(Header::read(octets), payload, head),
                None => self.part_of_header(0, [0; HEADER_LEN], rest, head),
            },
            Phase::Header { seen, octets } => self.part_of_header(seen.into(), octets, rest, head),
            Phase::Data { stream, left, pad, end } => {
                Ok(Some(self.data(stream, left, pad, end, rest.len(), at)))
            }
            Phase::PadLength { stream, left, end } => {
                let pad = rest.first().copied().unwrap_or(0);
                let event = self.pad_length(stream, left, pad.into(), end)?;
                Ok(Some((1, event)))
            }
            Phase::Payload(header) => self.part_of_payload(header, rest, head),
            Phase::Preface { seen } => self.preface(seen.into(), rest),
        }
    }

    fn preface(&mut self, seen: usize, rest: &[u8]) -> Result<Advance, Reason> {
        let expected = PREFACE.get(seen..).unwrap_or_default();
        let len = expected.len().min(rest.len());
        if expected.get(..len) != rest.get(..len) {
            return Err(Reason::Preface);
        }
        self.phase = match seen + len {
            len if len == PREFACE.len() => Phase::FRAME,
            len => Phase::Preface { seen: len as u8 },
        };
        Ok(Some((len, None)))
    }

    /// A header of which `seen` octets have come before.
    fn part_of_header(
        &mut self,
        seen: usize,
        mut octets: [u8; HEADER_LEN],
        rest: &[u8],
        head: &mut Head,
    ) -> Result<Advance, Reason> {
        let len = rest.len().min(HEADER_LEN - seen);
        for (slot, &octet) in octets.iter_mut().skip(seen).zip(rest) {
            *slot = octet;
        }
        if seen + len < HEADER_LEN {
            self.phase = Phase::Header { seen: (seen + len) as u8, octets };
            return Ok(Some((len, None)));
        }
        let header = Header::read(&octets);
        self.check(header)?;
        if header.kind == frame::DATA {
            return Ok(Some((len, self.data_header(header)?)));
        }
        self.gathered.clear();
        self.phase = Phase::Payload(header);
        if header.len > 0 {
            return Ok(Some((len, None)));
        }
        self.phase = Phase::FRAME;
        Ok(Some((len, self.frame(header, &[], head)?)))
    }

    /// A header in one piece, and perhaps its payload.
    #[inline]
    fn whole_header(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Advance, Reason> {
        self.check(header)?;
        if header.kind == frame::DATA {
            return Ok(Some((HEADER_LEN, self.data_header(header)?)));
        }
        let len = header.len as usize;
        if let Some(payload) = payload.get(..len) {
            self.phase = Phase::FRAME;
            return Ok(Some((HEADER_LEN + len, self.frame(header, payload, head)?)));
        }
        self.gathered.clear();
        self.phase = Phase::Payload(header);
        Ok(Some((HEADER_LEN, None)))
    }

    fn part_of_payload(
        &mut self,
        header: Header,
        rest: &[u8],
        head: &mut Head,
    ) -> Result<Advance, Reason> {
        let missing = (header.len as usize).saturating_sub(self.gathered.len());
        let part = rest.get(..missing.min(rest.len())).unwrap_or_default();
        self.gathered.extend_from_slice(part);
        if part.len() < missing {
            return Ok(Some((part.len(), None)));
        }
        self.phase = Phase::FRAME;
        let payload = std::mem::take(&mut self.gathered);
        let event = self.frame(header, &payload, head)?;
        self.gathered = payload;
        self.gathered.clear();
        Ok(Some((part.len(), event)))
    }

    /// What is known to be wrong before the payload has come.
    #[inline]
    fn check(&self, header: Header) -> Result<(), Reason> {
        if !self.greeted && (header.kind != frame::SETTINGS || header.has(frame::ACK)) {
            return Err(Reason::Preface);
        }
        if header.len as usize > frame::MIN_MAX_LEN {
            return Err(Reason::FrameSize);
        }
        let continues = header.kind == frame::CONTINUATION;
        match &self.section {
            None if continues => Err(Reason::Continuation),
            Some(section) if !continues || section.stream != header.stream => {
                Err(Reason::Continuation)
            }
            _ => Ok(()),
        }
    }

    /// A DATA frame begins (section 6.1). Its whole length counts for the windows (6.9.1).
    fn data_header(&mut self, header: Header) -> Result<Option<Event>, Reason> {
        let (id, len, end) = (header.stream, header.len, header.has(END_STREAM));
        match id {
            0 => return Err(Reason::StreamId),
            id if !self.is_used(id) => return Err(Reason::Idle),
            _ => {}
        }
        self.window.left = self.window.left.checked_sub(len).ok_or(Reason::Window)?;
        let refusal = match self.streams.find(id) {
            None if self.reset.has(id) => None,
            None => Some(Reason::Closed),
            Some(stream) if stream.remote_ended => Some(Reason::Closed),
            Some(stream) if !stream.headed => Some(Reason::Malformed),
            Some(stream) if stream.receive_window < len => Some(Reason::Window),
            Some(stream) => {
                stream.receive_window -= len;
                if !header.has(PADDED) {
                    return self.begin_data(id, len, 0, end);
                }
                let left = len.checked_sub(1).ok_or(Reason::FrameSize)?;
                self.phase = Phase::PadLength { stream: id, left, end };
                return Ok(None);
            }
        };
        self.skip(len);
        match refusal {
            Some(reason) => self.stream_error(id, reason, None),
            None => self.budget.spend(u16::from(len == 0), Reason::EmptyFlood).map(|()| None),
        }
    }

    /// Lets `len` octets pass that nobody wants.
    fn skip(&mut self, len: u32) {
        self.give_back_connection(len);
        let nothing_left = Phase::Data { stream: 0, left: 0, pad: len, end: false };
        self.phase = if len == 0 { Phase::FRAME } else { nothing_left };
    }

    fn pad_length(
        &mut self,
        id: u32,
        left: u32,
        pad: u32,
        end: bool,
    ) -> Result<Option<Event>, Reason> {
        let data = left.checked_sub(pad).ok_or(Reason::Padding)?;
        self.budget.spend(u16::from(pad > data), Reason::EmptyFlood)?;
        if self.streams.find(id).is_none() {
            self.skip(left);
            self.give_back_connection(1);
            return Ok(None);
        }
        self.open_stream(id, pad + 1);
        self.give_back_connection(pad + 1);
        self.begin_data(id, data, pad, end)
    }

    /// What the frame holds is known: so is whether it agrees with Content-Length.
    #[inline]
    fn begin_data(
        &mut self,
        id: u32,
        left: u32,
        pad: u32,
        end: bool,
    ) -> Result<Option<Event>, Reason> {
        let Some(stream) = self.streams.find(id) else { return Ok(None) };
        if !stream.count_body(left) || (end && !stream.is_whole()) {
            self.give_back_connection(left);
            self.phase = after_data(pad + left);
            return self.stream_error(id, Reason::Malformed, Some(crate::Flaw::Length));
        }
        if left > 0 {
            if left >= WORTHWHILE && pad <= left {
                self.budget.data();
            }
            self.phase = Phase::Data { stream: id, left, pad, end };
            return Ok(None);
        }
        self.phase = after_data(pad);
        if end {
            return Ok(Some(self.end_of_data(id, 0..0)));
        }
        self.budget.spend(1, Reason::EmptyFlood).map(|()| None)
    }

    /// A piece of data or padding, `len` octets of which are there.
    #[inline]
    fn data(
        &mut self,
        id: u32,
        left: u32,
        pad: u32,
        end: bool,
        len: usize,
        at: usize,
    ) -> (usize, Option<Event>) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        if left == 0 {
            let len = len.min(pad);
            self.phase = after_data(pad - len);
            return (len as usize, None);
        }
        let len = len.min(left);
        self.phase = if len == left {
            after_data(pad)
        } else {
            Phase::Data { stream: id, left: left - len, pad, end }
        };
        let range = at..at + len as usize;
        let Some(stream) = self.streams.find(id) else {
            self.give_back_connection(len);
            return (len as usize, None);
        };
        stream.held += len;
        if len == left && end {
            return (len as usize, Some(self.end_of_data(id, range)));
        }
        (len as usize, Some(Event::Data { stream: StreamId(id), data: range, end: false }))
    }

    #[inline]
    fn end_of_data(&mut self, id: u32, data: std::ops::Range<usize>) -> Event {
        if let Some(stream) = self.streams.find(id) {
            stream.remote_ended = true;
        }
        self.close_if_ended(id);
        Event::Data { stream: StreamId(id), data, end: true }
    }

    /// In the client role: the next stream that the peer's GOAWAY leaves undone.
    fn refused_by_peer(&mut self) -> Option<Event> {
        if self.role == Role::Server || self.their_last == super::MAX_ID {
            return None;
        }
        let last = self.their_last;
        let id = self.streams.iter().map(|stream| stream.id).find(|&id| id > last)?;
        self.forget(id);
        let code = crate::Code::REFUSED_STREAM;
        Some(Event::Reset { stream: StreamId(id), code, by: crate::By::Peer })
    }
}

/// Behind the data of a frame with so much padding left.
fn after_data(pad: u32) -> Phase {
    match pad {
        0 => Phase::FRAME,
        pad => Phase::Data { stream: 0, left: 0, pad, end: false },
    }
}
