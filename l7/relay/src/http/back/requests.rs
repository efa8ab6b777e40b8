//! From the sessions to the server: what they say becomes frames, as far as windows and the output
//! have room; the output is written once a turn.

use super::{Back, Over, Ride};
use crate::core::Core;
use crate::http::frames::TURN_BYTES;
use crate::http::message::{self, Message, Part};
use crate::side::Read;
use http2::bridge::request_fields;
use http2::{Code, NotOpened, Request};

/// How a session's turn has ended.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It is to say more, or has said everything.
    Quiet,
    /// There is more, and no room in the output, or others have their turn.
    Waits,
    /// There is more, and no window or no stream.
    Stalled,
    /// The server takes no more requests on this connection.
    Closing,
    /// What was said is no request, or its stream is gone.
    Cut,
}

impl Back {
    /// Takes over what a session has said, and opens its window by what it has read.
    pub(super) fn serve(&mut self, core: &mut Core, number: u32) {
        let Some(mut ride) = self.rides.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        let (turn, wake) = self.pump(core, number, &mut ride);
        ride.stalled = turn == Turn::Stalled;
        if turn == Turn::Waits && !ride.listed {
            ride.listed = true;
            self.frames.wait(number);
        }
        if let Some(slot) = self.rides.get_mut(number as usize) {
            *slot = Some(ride);
        }
        match turn {
            Turn::Closing => self.end_untouched(core, number),
            Turn::Cut => self.end_ride(core, number, Read::Reset),
            Turn::Quiet | Turn::Waits | Turn::Stalled if wake => self.wake(core, number),
            Turn::Quiet | Turn::Waits | Turn::Stalled => {}
        }
    }

    /// True: the session waits to say more.
    fn pump(&mut self, core: &mut Core, number: u32, ride: &mut Ride) -> (Turn, bool) {
        let (now, key) = (core.now, self.key);
        let stream = core.session(ride.session).and_then(|session| session.upstream_stream());
        let Some(stream) = stream.filter(|stream| stream.is_of(key, number)) else {
            return (Turn::Quiet, false);
        };
        let read = ride.owed.saturating_sub(stream.unread());
        ride.owed -= read;
        if let Some(id) = ride.id.filter(|_| read > 0) {
            self.frames.http2.give_back(id, read);
        }
        let (mut wake, mut room) = (false, TURN_BYTES);
        while !ride.is_over {
            if room == 0 || self.frames.is_full() {
                return (Turn::Waits, wake);
            }
            let said = stream.said();
            let part = ride.request.next(said, false);
            let take = match (part, ride.id) {
                (Ok(Part::More | Part::Done), _) => return (Turn::Quiet, wake),
                (Ok(Part::Head { take, ends, .. }), None) => {
                    let head = said.get(..take).unwrap_or_default();
                    match self.ask(head, ends) {
                        Ok(id) => {
                            self.frames.http2.set_tag(id, u64::from(number));
                            ride.id = Some(id);
                        }
                        Err(NotOpened::Busy) => {
                            // It is read anew.
                            ride.request = Message::request();
                            return (Turn::Stalled, wake);
                        }
                        Err(NotOpened::Closing) => return (Turn::Closing, wake),
                    }
                    take
                }
                (Ok(Part::Data { data, ends }), Some(id)) => {
                    let bytes = said.get(data.clone()).unwrap_or_default();
                    let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
                    let ends = ends && bytes.len() == data.len();
                    let Ok(sent) = self.frames.http2.send_data(id, bytes, ends) else {
                        return (Turn::Cut, wake);
                    };
                    let whole = sent == bytes.len();
                    ride.request.pass(sent, ends && whole);
                    wake |= stream.taken(data.start + sent);
                    if sent > 0 {
                        stream.touch(now);
                    }
                    if !whole {
                        return (Turn::Stalled, wake);
                    }
                    room -= sent;
                    continue;
                }
                (Ok(Part::Trailers { fields, take }), Some(id)) => {
                    let fields = message::fields(said.get(fields).unwrap_or_default());
                    if self.frames.http2.send_trailers(id, request_fields(fields)).is_err() {
                        return (Turn::Cut, wake);
                    }
                    ride.request.pass(0, true);
                    take
                }
                _ => {
                    log::error!("a session has said what is no HTTP/1.1");
                    return (Turn::Cut, wake);
                }
            };
            wake |= stream.taken(take);
        }
        (Turn::Quiet, wake)
    }

    /// Sends a request's head, of HTTP/1.1 by our own writer.
    fn ask(&mut self, head: &[u8], ends: bool) -> Result<http2::StreamId, NotOpened> {
        let (method, path) = message::request_line(head).unwrap_or_default();
        let fields = message::fields(message::behind_first_line(head));
        let is_host = |(name, _): &(&[u8], &[u8])| name.eq_ignore_ascii_case(b"host");
        let authority = fields.clone().find(is_host).unwrap_or_default().1;
        let scheme: &[u8] = if self.server.tls.is_some() { b"https" } else { b"http" };
        let request = Request { method, scheme, authority, path, protocol: None };
        self.frames.http2.request(&request, request_fields(fields), ends)
    }

    /// A session has left: its stream is of no use any more, and its number is free.
    pub(super) fn drop_off(&mut self, core: &mut Core, number: u32) {
        let Some(ride) = self.rides.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        if let Some(id) = ride.id {
            // Nothing happens if it has come to its end.
            self.frames.http2.reset(id, Code::CANCEL);
        }
        self.free.push(number);
        self.since = core.now;
        self.room(None);
    }

    /// A window has opened, or there is room for a stream.
    pub(super) fn room(&mut self, stream: Option<http2::StreamId>) {
        for (slot, number) in self.rides.iter_mut().zip(0..) {
            if let Some(ride) = slot
                && ride.stalled
                && !ride.listed
                && stream.is_none_or(|id| ride.id == Some(id))
            {
                ride.listed = true;
                self.frames.wait(number);
            }
        }
    }

    /// Writes what there is, and lets those speak who had no room.
    pub(super) fn write(&mut self, core: &mut Core) -> Result<(), Over> {
        loop {
            self.flush()?;
            if self.frames.is_full() || self.frames.waiting() == 0 {
                return if self.is_to_end() && !self.frames.has_output() {
                    Err(Over)
                } else {
                    Ok(())
                };
            }
            for _ in 0..self.frames.waiting() {
                let Some(number) = self.frames.next_turn() else { break };
                if let Some(ride) = self.ride(number) {
                    ride.listed = false;
                    self.serve(core, number);
                }
                if self.frames.is_full() {
                    break;
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), Over> {
        let Some(side) = &mut self.side else { return Err(Over) };
        let flushed = self.frames.flush(side);
        // What the server may have said before it broke off is read first.
        if flushed.is_broken && !side.is_readable() { Err(Over) } else { Ok(()) }
    }
}
