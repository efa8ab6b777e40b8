//! From the sessions to the client: what they say becomes frames, as far as windows and the
//! output have room; the output is written once a turn.

use super::{Ending, Front, Open, Over, Tunnel};
use crate::connection::Happening;
use crate::core::Core;
use crate::http::frames::TURN_BYTES;
use crate::http::message::{self, Part};
use crate::side::Read;
use crate::tcp::linger_until;
use http2::bridge::response_fields;
use http2::{Code, Field};

/// How a stream's turn has ended.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The session is to say more.
    Quiet,
    /// There is more, and no room in the output, or others have their turn.
    Waits,
    /// There is more, and no window.
    Stalled,
    /// Everything is said.
    Done,
    /// The session has ended without that.
    Cut,
    /// The client has been answered, and wants nothing of what the session says.
    Answered,
}

impl Front {
    /// Takes over what a stream's session has said, and opens its window by what it has read.
    pub(super) fn serve(&mut self, core: &mut Core, number: u32) {
        let Some(mut open) = self.open.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        let (turn, wake) = self.pump(core, &mut open);
        open.stalled = (turn == Turn::Stalled).then(|| open.stalled.unwrap_or(core.now));
        if turn == Turn::Waits && !open.listed {
            open.listed = true;
            self.frames.wait(number);
        }
        let session = open.session;
        match turn {
            Turn::Done => return self.finish(core, number, &open),
            Turn::Cut => {
                self.frames.http2.reset(open.id, Code::INTERNAL_ERROR);
                return self.close(core, number, &open);
            }
            Turn::Answered => {
                self.frames.http2.reset(open.id, Code::NO_ERROR);
                return self.close(core, number, &open);
            }
            Turn::Quiet | Turn::Waits | Turn::Stalled => {}
        }
        if let Some(slot) = self.open.get_mut(number as usize) {
            *slot = Some(open);
        }
        if wake {
            core.tell(session, Happening::Resumed);
        }
    }

    /// True: the session waits to say more.
    fn pump(&mut self, core: &mut Core, open: &mut Open) -> (Turn, bool) {
        let now = core.now;
        let Some(stream) = core.stream(open.session) else {
            return (Turn::Cut, false);
        };
        let read = open.owed.saturating_sub(stream.unread());
        if read > 0 {
            open.owed -= read;
            self.frames.http2.give_back(open.id, read);
        }
        let (mut wake, mut room) = (false, TURN_BYTES);
        loop {
            if room == 0 || self.frames.is_full() {
                return (Turn::Waits, wake);
            }
            let (said, finished) = (stream.said(), stream.is_finished());
            let Ok(part) = open.answer.next(said, finished) else {
                log::error!("a session has said what is no HTTP/1.1");
                return (Turn::Cut, wake);
            };
            let take = match part {
                Part::More if finished => return (Turn::Cut, wake),
                Part::More if stream.is_full() => {
                    let name = &self.service.config.name;
                    log::warn!(
                        "service {name:?}: with the fields that its rules add, a response's head is too long"
                    );
                    return (Turn::Cut, wake);
                }
                Part::More => return (Turn::Quiet, wake),
                Part::Done => return (Turn::Done, wake),
                Part::Head { status: 200..300, .. } if open.tunnel == Tunnel::Asked => {
                    // To the client it would mean that the tunnel is open.
                    let _ = self.frames.http2.respond(open.id, 502, [] as [Field; 0], true);
                    return (Turn::Answered, wake);
                }
                Part::Head { status, take, ends } => {
                    let opens = status == 101;
                    let status = if opens { 200 } else { status };
                    if opens {
                        open.tunnel = Tunnel::Open;
                    }
                    let head = said.get(..take).unwrap_or_default();
                    let fields = message::fields(message::behind_first_line(head));
                    if self
                        .frames
                        .http2
                        .respond(open.id, status, response_fields(fields), ends)
                        .is_err()
                    {
                        return (Turn::Cut, wake);
                    }
                    // Its client may have had nothing to say from the beginning.
                    if opens && open.asked {
                        stream.end(Read::End);
                    }
                    take
                }
                Part::Data { data, ends } => {
                    let bytes = said.get(data.clone()).unwrap_or_default();
                    let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
                    let ends = ends && bytes.len() == data.len();
                    let Ok(sent) = self.frames.http2.send_data(open.id, bytes, ends) else {
                        return (Turn::Cut, wake);
                    };
                    let whole = sent == bytes.len();
                    open.answer.pass(sent, ends && whole);
                    wake |= stream.taken(data.start + sent);
                    if sent > 0 {
                        stream.touch(now);
                        open.stalled = None;
                    }
                    if !whole {
                        return (Turn::Stalled, wake);
                    }
                    room -= sent;
                    continue;
                }
                Part::Trailers { fields, take } => {
                    let fields = message::fields(said.get(fields).unwrap_or_default());
                    if self.frames.http2.send_trailers(open.id, response_fields(fields)).is_err() {
                        return (Turn::Cut, wake);
                    }
                    open.answer.pass(0, true);
                    take
                }
            };
            wake |= stream.taken(take);
        }
    }

    /// The answer is with the client. What is left of the request is not wanted.
    fn finish(&mut self, core: &mut Core, number: u32, open: &Open) {
        if !open.asked {
            // RFC 9113 section 8.1: it may stop sending, and has its answer.
            self.frames.http2.reset(open.id, Code::NO_ERROR);
        }
        let session = core.session(open.session);
        if session.is_some_and(|session| session.is_between_requests()) {
            self.leave(core, number);
            self.idle.push(open.session);
        } else {
            self.close(core, number, open);
        }
    }

    /// Ends a stream's session, wherever it is.
    pub(super) fn close(&mut self, core: &mut Core, number: u32, open: &Open) {
        self.leave(core, number);
        core.dismiss(open.session);
    }

    /// The number is free again.
    fn leave(&mut self, core: &Core, number: u32) {
        if let Some(slot) = self.open.get_mut(number as usize) {
            *slot = None;
        }
        self.free.push(number);
        self.since = core.now;
    }

    /// Writes what there is, and lets those speak who had no room.
    pub(super) fn write(&mut self, core: &mut Core) -> Result<(), Over> {
        loop {
            self.flush(core)?;
            if self.frames.is_full() || self.frames.waiting() == 0 {
                return self.end_if_done(core);
            }
            for _ in 0..self.frames.waiting() {
                let Some(number) = self.frames.next_turn() else { break };
                if let Some(Some(open)) = self.open.get_mut(number as usize) {
                    open.listed = false;
                    self.serve(core, number);
                }
                if self.frames.is_full() {
                    break;
                }
            }
        }
    }

    fn flush(&mut self, core: &mut Core) -> Result<(), Over> {
        let flushed = self.frames.flush(&mut self.client);
        if flushed.is_broken {
            self.service.shared.cells(core.worker).client_reset.add(1);
            return Err(Over);
        }
        if flushed.sent > 0 {
            self.client.touch(core.now);
        }
        Ok(())
    }

    /// What has been announced ends with the last stream.
    fn end_if_done(&mut self, core: &mut Core) -> Result<(), Over> {
        if self.is_to_end() && !self.frames.has_output() {
            self.client.finish(true);
            self.ending = Ending::Lingering(linger_until(core.now));
        }
        Ok(())
    }
}
