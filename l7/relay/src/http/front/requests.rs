//! From the client to the sessions: frames become requests of HTTP/1.1 in memory.

use super::{Ending, Front, Open, Over, Tunnel};
use crate::connection::{Connection, Happening};
use crate::core::Core;
use crate::http::Session;
use crate::http::frames::MOST_OUTPUT_BYTES;
use crate::http::message::Message;
use crate::plan::Service;
use crate::side::Read;
use crate::slab::Key;
use crate::transport::{Client, Stream, Transport};
use http2::bridge::{self, Body, Tunnels, Unbridged};
use http2::{Broken, By, Code, Event, Field, Reason, StreamId};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The window of a connection, in windows of a stream: what all streams together may have sent
/// before sessions have read any of it.
const CONNECTION_WINDOWS: u32 = 8;
/// Fields of a head that become its first line and Host: method, scheme, authority, path.
const PSEUDO_FIELDS: u16 = 4;

/// What a service's clients may do.
pub(super) fn settings(service: &Service) -> http2::Settings {
    let http = &service.config.http;
    let http2 = http.http2.unwrap_or_default();
    http2::Settings {
        streams: http2.streams.into(),
        stream_window: http2.window,
        connection_window: http2.window.saturating_mul(CONNECTION_WINDOWS),
        head: http.limits.head.into(),
        fields: http.limits.fields.saturating_add(PSEUDO_FIELDS),
        output: MOST_OUTPUT_BYTES,
        extended_connect: speaks_websocket(service),
        ..http2::Settings::default()
    }
}

fn speaks_websocket(service: &Service) -> bool {
    service.config.http.upgrades.iter().any(|name| name == "websocket")
}

/// A `Sec-WebSocket-Key`: 16 octets that were not used before, in Base64 (RFC 6455 section 4.1).
fn nonce() -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |six: u128| DIGITS.get((six & 63) as usize).copied().unwrap_or(b'A');
    let half = || u128::from(RandomState::new().build_hasher().finish());
    let octets = half() << 64 | half();
    let mut text = *b"AAAAAAAAAAAAAAAAAAAAAA==";
    for (place, slot) in text.iter_mut().take(21).enumerate() {
        *slot = digit(octets >> (122 - 6 * place));
    }
    // The last two bits.
    text[21] = digit(octets << 4);
    text
}

impl Front {
    /// Takes in what the client has sent; how much of it. The rest waits for room in the output.
    pub(super) fn take(&mut self, core: &mut Core, bytes: &[u8]) -> Result<usize, Over> {
        if self.frames.http2.is_done() {
            return Ok(bytes.len());
        }
        self.frames.refill(core.now);
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let step = match self.frames.http2.receive(rest, &mut core.desk.section) {
                Ok(step) => step,
                Err(broken) => {
                    self.break_off(core, broken)?;
                    return Ok(bytes.len());
                }
            };
            at += step.taken;
            match step.event {
                Some(event) => self.happens(core, event, rest),
                None => break,
            }
        }
        self.count_refusals(core);
        let amid = self.frames.http2.is_amid_head();
        self.head_since = amid.then(|| self.head_since.unwrap_or(core.now));
        Ok(at)
    }

    fn happens(&mut self, core: &mut Core, event: Event, bytes: &[u8]) {
        match event {
            Event::Head { stream, end } => self.asked(core, stream, end),
            Event::Data { stream, data, end } => {
                self.body(core, stream, bytes.get(data).unwrap_or_default(), end);
            }
            Event::Trailers { stream } => self.trailers(core, stream),
            Event::Reset { stream, by, .. } => self.given_up(core, stream, by),
            Event::Room { stream } => self.room(stream),
            Event::GoAway { .. } | Event::Settings | Event::Pong => {}
        }
    }

    /// A request: a session has it.
    fn asked(&mut self, core: &mut Core, id: StreamId, end: bool) {
        self.service.shared.cells(core.worker).h2_streams.add(1);
        self.has_served = true;
        let session = self.session(core);
        let Core { desk, connections, .. } = core;
        let Some(Connection::Http(of)) = connections.get_mut(session) else { return };
        let Some(stream) = of.stream() else { return };
        let head = &desk.section;
        let key = head.protocol().map(|_| nonce()).unwrap_or_default();
        let tunnels = match speaks_websocket(&self.service) {
            true => Tunnels::WebSocket(&key),
            false => Tunnels::No,
        };
        let body = match bridge::write_request(head, end, tunnels, stream.for_session()) {
            Ok(body) => body,
            Err(unbridged) => {
                self.idle.push(session);
                return self.refuse(core, id, end, unbridged);
            }
        };
        let number = self.free.pop().unwrap_or(self.open.len() as u32);
        stream.assign(number);
        self.frames.http2.set_tag(id, u64::from(number));
        let open = Open {
            id,
            session,
            answer: match body {
                Body::Tunnel => Message::consent(),
                _ => Message::answer(head.method() == b"HEAD"),
            },
            owed: 0,
            in_chunks: body == Body::Chunked,
            tunnel: if body == Body::Tunnel { Tunnel::Asked } else { Tunnel::No },
            asked: end,
            listed: false,
            stalled: None,
        };
        match self.open.get_mut(number as usize) {
            Some(slot) => *slot = Some(open),
            None => self.open.push(Some(open)),
        }
        core.tell(session, Happening::Resumed);
    }

    /// A request that no session could read.
    fn refuse(&mut self, core: &Core, id: StreamId, end: bool, why: Unbridged) {
        log::debug!("client {}: {why}", self.client_address);
        let cells = self.service.shared.cells(core.worker);
        cells.requests.add(1);
        cells.client_errors.add(1);
        // Gone is a stream that needs no answer.
        let _ = self.frames.http2.respond(id, why.status(), [] as [Field; 0], true);
        if !end {
            self.frames.http2.reset(id, Code::NO_ERROR);
        }
    }

    /// One that waits, or a new one.
    fn session(&mut self, core: &mut Core) -> Key {
        while let Some(session) = self.idle.pop() {
            if core.session(session).is_some() {
                return session;
            }
        }
        core.streams += 1;
        let (front, now) = (self.key, core.now);
        let stream = Stream::new(front, self.client.is_secure(), now);
        core.connections.insert(|key| {
            let client = Client {
                key,
                transport: Transport::Stream(Box::new(stream)),
                address: self.client_address,
                vip: self.vip,
                destination: self.destination,
                service: self.service.clone(),
                accepted: self.accepted,
            };
            Connection::Http(Box::new(Session::new(client, now)))
        })
    }

    /// A piece of a body.
    fn body(&mut self, core: &mut Core, id: StreamId, data: &[u8], end: bool) {
        let Some((open, stream)) = self.open_stream(core, id) else {
            // Nobody reads it any more; the window is the connection's.
            return self.frames.http2.give_back(id, data.len());
        };
        if open.tunnel == Tunnel::Asked {
            return self.speak_too_soon(core, id);
        }
        let out = stream.for_session();
        if open.in_chunks {
            bridge::write_chunk(data, out);
            if end {
                bridge::write_last_chunk(None, out);
            }
        } else {
            out.extend_from_slice(data);
        }
        if end && open.tunnel == Tunnel::Open {
            stream.end(Read::End);
        }
        open.owed += data.len();
        open.asked |= end;
        let session = open.session;
        core.tell(session, Happening::Resumed);
    }

    /// Octets of a protocol that has not been agreed on: whoever read them could take them for
    /// the next request.
    fn speak_too_soon(&mut self, core: &mut Core, id: StreamId) {
        self.frames.http2.reset(id, Code::PROTOCOL_ERROR);
        self.given_up(core, id, By::Us(None));
    }

    fn trailers(&mut self, core: &mut Core, id: StreamId) {
        let mut text = core.pools.text();
        bridge::write_last_chunk(Some(&core.desk.section), &mut text);
        if let Some((open, stream)) = self.open_stream(core, id) {
            // Behind a body whose length was said there is no room for them.
            if open.in_chunks {
                stream.for_session().extend_from_slice(&text);
            }
            if open.tunnel == Tunnel::Open {
                stream.end(Read::End);
            }
            open.asked = true;
            let session = open.session;
            core.tell(session, Happening::Resumed);
        }
        core.pools.put_text(text);
    }

    /// The client has reset a stream, or what it sent made us do so.
    fn given_up(&mut self, core: &mut Core, id: StreamId, by: By) {
        let cells = self.service.shared.cells(core.worker);
        match by {
            By::Peer => cells.h2_resets.add(1),
            By::Us(Some(flaw)) => log::debug!("client {}: {flaw}", self.client_address),
            By::Us(None) => {}
        }
        let is_it = |open: &&mut Option<Open>| open.as_ref().is_some_and(|open| open.id == id);
        let found = self.open.iter_mut().zip(0..).find(|(slot, _)| is_it(slot));
        if let Some((open, number)) = found.and_then(|(slot, number)| Some((slot.take()?, number)))
        {
            self.close(core, number, &open);
        }
    }

    /// Counts requests that were refused before anybody heard of them.
    fn count_refusals(&mut self, core: &Core) {
        let counts = self.frames.http2.counts();
        let now = [Reason::Malformed, Reason::Refused, Reason::HeadTooLarge].map(|r| counts.of(r));
        if now == self.counted {
            return;
        }
        let cells = self.service.shared.cells(core.worker);
        let rows = [&cells.h2_malformed, &cells.h2_refused, &cells.client_errors];
        for ((row, now), before) in rows.into_iter().zip(now).zip(self.counted) {
            row.add(now.saturating_sub(before).into());
        }
        self.counted = now;
    }

    /// A window has opened.
    fn room(&mut self, stream: Option<StreamId>) {
        for (slot, number) in self.open.iter_mut().zip(0..) {
            if let Some(open) = slot
                && open.stalled.is_some()
                && !open.listed
                && stream.is_none_or(|id| id == open.id)
            {
                open.listed = true;
                self.frames.wait(number);
            }
        }
    }

    /// Where a stream's request goes.
    fn open_stream<'a>(
        &'a mut self,
        core: &'a mut Core,
        id: StreamId,
    ) -> Option<(&'a mut Open, &'a mut Stream)> {
        let number = usize::try_from(self.frames.http2.tag(id)?).ok()?;
        let open = self.open.get_mut(number)?.as_mut().filter(|open| open.id == id)?;
        let stream = core.stream(open.session)?;
        Some((open, stream))
    }

    /// The client has done what ends a connection: its GOAWAY is in the output. What is open ends.
    fn break_off(&mut self, core: &mut Core, broken: Broken) -> Result<(), Over> {
        log::debug!("client {}: {broken}", self.client_address);
        let cells = self.service.shared.cells(core.worker);
        match broken.reason {
            Reason::Resets => cells.h2_reset_floods.add(1),
            Reason::ContinuationFlood | Reason::HeadTooLarge => cells.h2_head_floods.add(1),
            reason if reason.code() == Code::ENHANCE_YOUR_CALM => cells.h2_frame_floods.add(1),
            _ => cells.h2_errors.add(1),
        }
        self.ending = Ending::Announced(core.now);
        for number in 0..self.open.len() as u32 {
            if let Some(open) = self.open.get_mut(number as usize).and_then(Option::take) {
                self.close(core, number, &open);
            }
        }
        self.write(core)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_sixteen_octets_and_no_other() {
        let (one, other) = (nonce(), nonce());
        assert_ne!(one, other);
        for text in [one, other] {
            let (digits, padding) = text.split_at(22);
            assert_eq!(padding, b"==");
            let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
            assert!(digits.iter().all(is_digit), "{text:?}");
            // Of the last digit's six bits only two are octets'.
            assert!(b"AQgw".contains(&digits[21]), "{text:?}");
        }
    }
}
