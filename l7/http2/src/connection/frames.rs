//! Whole frames other than DATA and those with field sections (RFC 9113 section 6).

use super::{CLOSING_PING, Closing, Connection, OWN_PING, Role};
use crate::code::Code;
use crate::event::{By, Event};
use crate::flaw::Flaw;
use crate::frame::{self, ACK, Header};
use crate::head::Head;
use crate::reason::Reason;
use crate::settings::MAX_WINDOW;
use crate::stream::StreamId;

/// What SETTINGS cost: more than other frames, since they may touch each stream.
const SETTINGS_COST: u16 = 16;

impl Connection {
    /// One frame whose header was checked.
    #[inline]
    pub(super) fn frame(
        &mut self,
        header: Header,
        payload: &[u8],
        head: &mut Head,
    ) -> Result<Option<Event>, Reason> {
        match header.kind {
            frame::HEADERS => self.headers(header, payload, head),
            frame::CONTINUATION => self.continuation(header, payload, head),
            frame::WINDOW_UPDATE => self.window_update(header, payload),
            frame::RST_STREAM => self.rst_stream(header, payload),
            frame::SETTINGS => self.take_settings(header, payload),
            frame::PING => self.take_ping(header, payload),
            frame::GOAWAY => self.take_go_away(header, payload),
            frame::PRIORITY => self.priority(header, payload),
            frame::PUSH_PROMISE => Err(Reason::Push),
            // Unknown types are ignored (section 4.1).
            _ => self.budget.spend(1, Reason::IgnoredFlood).map(|()| None),
        }
    }

    /// Section 6.9.
    fn window_update(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        let id = header.stream;
        if payload.len() != 4 {
            return Err(Reason::FrameSize);
        }
        self.budget.spend(1, Reason::WindowFlood)?;
        let octets = i64::from(frame::word(payload) & MAX_WINDOW);
        if id == 0 {
            return self.open_connection(octets);
        }
        let Some(stream) = self.streams.find(id) else {
            return if self.is_used(id) { Ok(None) } else { Err(Reason::Idle) };
        };
        let window = stream.send_window + octets;
        if octets == 0 {
            return self.stream_error(id, Reason::WindowZero, None);
        }
        if window > MAX_WINDOW.into() {
            return self.stream_error(id, Reason::WindowOverflow, None);
        }
        stream.send_window = window;
        let roomy = stream.starved && window > 0;
        stream.starved &= !roomy;
        Ok(roomy.then_some(Event::Room { stream: Some(StreamId(id)) }))
    }

    fn open_connection(&mut self, octets: i64) -> Result<Option<Event>, Reason> {
        self.send_window += octets;
        match octets {
            0 => Err(Reason::WindowZero),
            _ if self.send_window > MAX_WINDOW.into() => Err(Reason::WindowOverflow),
            _ => {
                let starved = std::mem::take(&mut self.starved);
                Ok(starved.then_some(Event::Room { stream: None }))
            }
        }
    }

    /// Section 6.4.
    fn rst_stream(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        let id = header.stream;
        if payload.len() != 4 {
            return Err(Reason::FrameSize);
        }
        if !self.is_used(id) {
            return Err(if id == 0 { Reason::StreamId } else { Reason::Idle });
        }
        if self.forget(id).is_none() {
            return self.budget.spend(1, Reason::IgnoredFlood).map(|()| None);
        }
        self.finished.add(id);
        if self.budget.reset().is_err() {
            return Err(Reason::Resets);
        }
        let code = Code(frame::word(payload));
        Ok(Some(Event::Reset { stream: StreamId(id), code, by: By::Peer }))
    }

    /// Section 6.5.
    fn take_settings(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        if header.stream != 0 {
            return Err(Reason::StreamId);
        }
        if header.has(ACK) {
            self.settled = true;
            let wrong = !payload.is_empty();
            self.budget.spend(1, Reason::SettingsFlood)?;
            return if wrong { Err(Reason::FrameSize) } else { Ok(None) };
        }
        if !payload.len().is_multiple_of(6) {
            return Err(Reason::FrameSize);
        }
        self.budget.spend(SETTINGS_COST, Reason::SettingsFlood)?;
        let before = self.allowed.window;
        self.allowed.read(payload, self.role == Role::Server)?;
        self.encoder.resize(self.allowed.table);
        self.shift_windows(i64::from(self.allowed.window) - i64::from(before))?;
        frame::header(&mut self.output, 0, frame::SETTINGS, ACK, 0);
        self.greeted = true;
        Ok(Some(Event::Settings))
    }

    /// A new initial window changes each stream's (section 6.9.2).
    fn shift_windows(&mut self, by: i64) -> Result<(), Reason> {
        if by == 0 {
            return Ok(());
        }
        for stream in self.streams.iter_mut() {
            stream.send_window += by;
            if stream.send_window > MAX_WINDOW.into() {
                return Err(Reason::WindowOverflow);
            }
            if stream.starved && stream.send_window > 0 {
                stream.starved = false;
                self.owes_room = true;
            }
        }
        Ok(())
    }

    /// Section 6.7.
    fn take_ping(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        if header.stream != 0 {
            return Err(Reason::StreamId);
        }
        if payload.len() != 8 {
            return Err(Reason::FrameSize);
        }
        self.budget.spend(1, Reason::PingFlood)?;
        if !header.has(ACK) {
            frame::ping(&mut self.output, ACK, payload);
            return Ok(None);
        }
        if payload == CLOSING_PING && self.closing == Closing::Asked {
            self.go_away_now();
        }
        Ok((payload == OWN_PING).then_some(Event::Pong))
    }

    /// Section 6.8.
    fn take_go_away(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        if header.stream != 0 {
            return Err(Reason::StreamId);
        }
        let code = payload.get(4..8).ok_or(Reason::FrameSize)?;
        self.budget.spend(1, Reason::IgnoredFlood)?;
        let last = frame::word(payload) & super::MAX_ID;
        self.their_last = self.their_last.min(last);
        self.goes_away = true;
        Ok(Some(Event::GoAway { last, code: Code(frame::word(code)) }))
    }

    /// Section 6.3: nothing is done with it.
    fn priority(&mut self, header: Header, payload: &[u8]) -> Result<Option<Event>, Reason> {
        if header.stream == 0 {
            return Err(Reason::StreamId);
        }
        if payload.len() != 5 {
            return Err(Reason::FrameSize);
        }
        self.budget.spend(1, Reason::IgnoredFlood)?;
        let depends_on = frame::word(payload) & super::MAX_ID;
        if depends_on == header.stream { Err(Reason::Dependency) } else { Ok(None) }
    }

    /// Ends a stream because of what the peer did; the event, if the caller knew it.
    pub(super) fn stream_error(
        &mut self,
        id: u32,
        reason: Reason,
        flaw: Option<Flaw>,
    ) -> Result<Option<Event>, Reason> {
        let known = self.streams.get(id).is_some();
        self.counts.add(reason);
        self.last_flaw = flaw.or(self.last_flaw);
        self.abandon(id, reason.code());
        self.budget.reset()?;
        let event = Event::Reset { stream: StreamId(id), code: reason.code(), by: By::Us(flaw) };
        Ok(known.then_some(event))
    }
}
