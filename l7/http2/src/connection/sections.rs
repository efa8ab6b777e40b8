//! Field sections: HEADERS and CONTINUATION (RFC 9113 sections 4.3, 6.2, 6.10, 8.1).

use super::{Closing, Connection, Role};
use crate::code::Code;
use crate::event::Event;
use crate::flaw::Flaw;
use crate::frame::{self, END_HEADERS, END_STREAM, HAS_PRIORITY, Header, PADDED};
use crate::head::{Bounds, Head};
use crate::reason::Reason;
use crate::settings::DEFAULT_WINDOW;
use crate::stream::{NO_LENGTH, Stream, StreamId};

/// Frames that one field section may be cut into: more than 16 KiB needs.
const MAX_PIECES: u8 = 8;

/// A field section that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) stream: u32,
    end: bool,
    pieces: u8,
}

impl Connection {
    /// Section 6.2.
    pub(super) fn headers(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Reason> {
        let fragment = fragment(header, payload)?;
        let (stream, end) = (header.stream, header.has(END_STREAM));
        match self.role {
            _ if stream == 0 => return Err(Reason::StreamId),
            Role::Server if stream % 2 == 0 => return Err(Reason::Order),
            Role::Client if !self.is_used(stream) => return Err(Reason::Idle),
            _ => {}
        }
        if header.has(END_HEADERS) {
            return self.section(stream, end, fragment, head);
        }
        self.block.clear();
        self.block.extend_from_slice(fragment);
        self.section = Some(Section { stream, end, pieces: 1 });
        Ok(None)
    }

    /// Section 6.10. What is held is bounded: by twice of what a head may be, so that most of
    /// those that are too large are decoded and answered, and do not cost the connection.
    pub(super) fn continuation(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Reason> {
        let section = self.section.as_mut().ok_or(Reason::Continuation)?;
        section.pieces += 1;
        let (stream, end) = (section.stream, section.end);
        let bound = 2 * frame::MIN_MAX_LEN.max(self.settings.head as usize);
        if section.pieces > MAX_PIECES || self.block.len() + payload.len() > bound {
            return Err(Reason::ContinuationFlood);
        }
        self.block.extend_from_slice(payload);
        if !header.has(END_HEADERS) {
            return Ok(None);
        }
        self.section = None;
        let block = std::mem::take(&mut self.block);
        let event = self.section(stream, end, &block, head);
        self.block = block;
        self.block.clear();
        event
    }

    /// A whole section. It is decoded whatever becomes of it: the tables of both sides depend on
    /// it.
    #[inline]
    fn section(
        &mut self,
        id: u32,
        end: bool,
        block: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Reason> {
        let settings = &self.settings;
        head.begin(Bounds { octets: settings.head as usize, fields: settings.fields.into() });
        self.decoder.decode(block, head).map_err(|_| Reason::Compression)?;
        match self.streams.find(id) {
            Some(stream) if stream.remote_ended => self.stream_error(id, Reason::Closed, None),
            Some(stream) if !stream.headed => self.take_response(id, end, head),
            Some(_) => self.take_trailers(id, end, head),
            None if self.role == Role::Server && id > self.last_theirs => {
                self.take_request(id, end, head)
            }
            // What we have reset: the peer did not know yet.
            None if self.reset.has(id) => self.budget.spend(1, Reason::IgnoredFlood).map(|()| None),
            None if self.role == Role::Client || self.finished.has(id) => Err(Reason::Closed),
            None => Err(Reason::Order),
        }
    }

    #[inline]
    fn take_request(&mut self, id: u32, end: bool, head: &Head) -> Result<Option<Event>, Reason> {
        self.last_theirs = id;
        if self.closing == Closing::Final || self.streams.len() >= self.settings.streams as usize {
            return self.stream_error(id, Reason::Refused, None);
        }
        if head.is_cut() {
            return self.answer_too_large(id);
        }
        if let Err(flaw) = head.check_request(self.settings.extended_connect) {
            return self.stream_error(id, Reason::Malformed, Some(flaw));
        }
        let mut stream = Stream::new(id, self.allowed.window, self.first_window());
        stream.headed = true;
        stream.remote_ended = end;
        stream.body_left = head.content_length().unwrap_or(NO_LENGTH);
        if end && !stream.is_whole() {
            return self.stream_error(id, Reason::Malformed, Some(Flaw::Length));
        }
        self.streams.insert(stream);
        Ok(Some(Event::Head { stream: StreamId(id), end }))
    }

    /// What the peer may send on a new stream. Until it has acknowledged our SETTINGS, it may
    /// still think of the window that all connections begin with.
    pub(super) fn first_window(&self) -> u32 {
        let window = self.settings.stream_window;
        if self.settled { window } else { window.max(DEFAULT_WINDOW) }
    }

    /// 431 in place of a request that nobody else will see.
    fn answer_too_large(&mut self, id: u32) -> Result<Option<Event>, Reason> {
        self.counts.add(Reason::HeadTooLarge);
        let at = self.begin_section(id, true);
        self.encoder.status(431, &mut self.output);
        self.end_section(at, id);
        self.abandon(id, Code::NO_ERROR);
        self.budget.reset()?;
        Ok(None)
    }

    fn take_response(&mut self, id: u32, end: bool, head: &Head) -> Result<Option<Event>, Reason> {
        if head.is_cut() {
            return self.stream_error(id, Reason::HeadTooLarge, None);
        }
        if let Err(flaw) = head.check_response() {
            return self.stream_error(id, Reason::Malformed, Some(flaw));
        }
        let status = head.status();
        if status < 200 {
            self.budget.spend(1, Reason::IgnoredFlood)?;
            if end {
                return self.stream_error(id, Reason::Malformed, Some(Flaw::InterimEnd));
            }
            return Ok(Some(Event::Head { stream: StreamId(id), end }));
        }
        let Some(stream) = self.streams.find(id) else { return Ok(None) };
        stream.headed = true;
        stream.remote_ended = end;
        let bodiless = stream.bodiless || matches!(status, 204 | 304);
        stream.body_left = if bodiless { 0 } else { head.content_length().unwrap_or(NO_LENGTH) };
        if end && !stream.is_whole() {
            return self.stream_error(id, Reason::Malformed, Some(Flaw::Length));
        }
        self.close_if_ended(id);
        Ok(Some(Event::Head { stream: StreamId(id), end }))
    }

    fn take_trailers(&mut self, id: u32, end: bool, head: &Head) -> Result<Option<Event>, Reason> {
        if head.is_cut() {
            return self.stream_error(id, Reason::HeadTooLarge, None);
        }
        let Some(stream) = self.streams.find(id) else { return Ok(None) };
        let flaw = match head.check_trailers() {
            Err(flaw) => Some(flaw),
            Ok(()) if !end => Some(Flaw::TrailersOpen),
            Ok(()) if !stream.is_whole() => Some(Flaw::Length),
            Ok(()) => None,
        };
        if flaw.is_some() {
            return self.stream_error(id, Reason::Malformed, flaw);
        }
        stream.remote_ended = true;
        self.close_if_ended(id);
        Ok(Some(Event::Trailers { stream: StreamId(id) }))
    }
}

/// What is left of a HEADERS frame without its padding and priority.
#[inline]
fn fragment(header: Header, payload: &[u8]) -> Result<&[u8], Reason> {
    let mut rest = payload;
    let mut pad = 0;
    if header.has(PADDED) {
        let (&len, after) = rest.split_first().ok_or(Reason::FrameSize)?;
        (pad, rest) = (usize::from(len), after);
    }
    if header.has(HAS_PRIORITY) {
        let (priority, after) = rest.split_first_chunk::<5>().ok_or(Reason::FrameSize)?;
        if frame::word(priority) & super::MAX_ID == header.stream {
            return Err(Reason::Dependency);
        }
        rest = after;
    }
    let len = rest.len().checked_sub(pad).ok_or(Reason::Padding)?;
    Ok(rest.get(..len).unwrap_or_default())
}
