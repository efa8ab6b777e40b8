//! From the server to the sessions: frames become answers of HTTP/1.1 in memory.

use super::{Back, Over};
use crate::core::Core;
use crate::side::Read;
use http2::bridge::{self, Body};
use http2::{By, Code, Event, StreamId};

impl Back {
    /// Takes in what the server has sent; how much of it. The rest waits for room in the output.
    pub(super) fn take(&mut self, core: &mut Core, bytes: &[u8]) -> Result<usize, Over> {
        self.frames.refill(core.now);
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let step =
                self.frames.http2.receive(rest, &mut core.desk.section).map_err(|broken| {
                    let name = &self.server.config.name;
                    log::warn!("real server {name:?} breaks HTTP/2: {}", broken.reason);
                    Over
                })?;
            at += step.taken;
            match step.event {
                Some(event) => self.happens(core, event, rest),
                None => return Ok(at),
            }
        }
    }

    fn happens(&mut self, core: &mut Core, event: Event, bytes: &[u8]) {
        match event {
            Event::Head { stream, end } => self.answered(core, stream, end),
            Event::Data { stream, data, end } => {
                self.body(core, stream, bytes.get(data).unwrap_or_default(), end);
            }
            Event::Trailers { stream } => self.trailers(core, stream),
            Event::Reset { stream, code, by } => self.given_up(core, stream, code, by),
            Event::Room { stream } => self.room(stream),
            Event::GoAway { .. } => core.desk.backs.remove(&self.route, self.key),
            Event::Settings => {
                self.greeted(core);
                // It may allow more streams than before.
                self.room(None);
            }
            Event::Pong => {}
        }
    }

    /// A head, perhaps an interim one.
    fn answered(&mut self, core: &mut Core, id: StreamId, end: bool) {
        let Some(number) = self.number(id) else { return };
        let Some(to_head) = self.ride(number).map(|ride| ride.to_head) else { return };
        let mut text = core.pools.text();
        let body = bridge::write_response(&core.desk.section, end, to_head, &mut text);
        if let Some(stream) = self.stream(core, number) {
            stream.for_session().extend_from_slice(&text);
        }
        core.pools.put_text(text);
        if let Some(ride) = self.ride(number) {
            ride.in_chunks = body == Body::Chunked;
        }
        self.wake(core, number);
    }

    /// A piece of a body.
    fn body(&mut self, core: &mut Core, id: StreamId, data: &[u8], end: bool) {
        let Some(number) = self.number(id) else {
            // Nobody reads it any more; the window is the connection's.
            return self.frames.http2.give_back(id, data.len());
        };
        let in_chunks = self.ride(number).is_some_and(|ride| ride.in_chunks);
        let Some(stream) = self.stream(core, number) else {
            return self.frames.http2.give_back(id, data.len());
        };
        let out = stream.for_session();
        if in_chunks {
            bridge::write_chunk(data, out);
            if end {
                bridge::write_last_chunk(None, out);
            }
        } else {
            out.extend_from_slice(data);
        }
        if let Some(ride) = self.ride(number) {
            ride.owed += data.len();
        }
        self.wake(core, number);
    }

    fn trailers(&mut self, core: &mut Core, id: StreamId) {
        let Some(number) = self.number(id) else { return };
        // Behind a body whose length was said there is no room for them.
        if self.ride(number).is_some_and(|ride| ride.in_chunks) {
            let mut text = core.pools.text();
            bridge::write_last_chunk(Some(&core.desk.section), &mut text);
            if let Some(stream) = self.stream(core, number) {
                stream.for_session().extend_from_slice(&text);
            }
            core.pools.put_text(text);
        }
        self.wake(core, number);
    }

    /// The server has reset a stream, or what it sent made us do so.
    fn given_up(&mut self, core: &mut Core, id: StreamId, code: Code, by: By) {
        if let By::Us(Some(flaw)) = by {
            log::debug!("real server {:?}: {flaw}", self.server.config.name);
        }
        let of_it = |slot: &Option<super::Ride>| slot.as_ref().is_some_and(|r| r.id == Some(id));
        let Some(number) = self.rides.iter().position(of_it) else { return };
        if code == Code::REFUSED_STREAM && by == By::Peer {
            return self.end_untouched(core, number as u32);
        }
        self.end_ride(core, number as u32, Read::Reset);
    }

    /// The session on this stream.
    fn number(&self, id: StreamId) -> Option<u32> {
        let of_it = |slot: &Option<super::Ride>| slot.as_ref().is_some_and(|r| r.id == Some(id));
        let tag = self.frames.http2.tag(id).and_then(|tag| u32::try_from(tag).ok());
        let tagged = tag.filter(|tag| self.rides.get(*tag as usize).is_some_and(of_it));
        // A stream that has just come to its end has no tag any more.
        tagged.or_else(|| self.rides.iter().position(of_it).map(|number| number as u32))
    }

    /// The server has not begun with what this session asks for, and never will.
    pub(super) fn end_untouched(&mut self, core: &mut Core, number: u32) {
        if let Some(stream) = self.stream(core, number) {
            stream.end_untouched();
        }
        self.end(core, number);
    }

    /// Behind what came, this session finds this.
    pub(super) fn end_ride(&mut self, core: &mut Core, number: u32, end: Read) {
        let Some(ride) = self.ride(number) else { return };
        if ride.id.is_none() {
            return self.end_untouched(core, number);
        }
        if let Some(stream) = self.stream(core, number) {
            stream.end(end);
        }
        self.end(core, number);
    }

    fn end(&mut self, core: &mut Core, number: u32) {
        if let Some(ride) = self.ride(number) {
            (ride.is_over, ride.stalled) = (true, false);
        }
        self.wake(core, number);
    }

    /// The session has its turn soon.
    pub(super) fn wake(&mut self, core: &mut Core, number: u32) {
        if let Some(ride) = self.ride(number) {
            let session = ride.session;
            core.wake(session);
        }
    }
}
