//! What the access log is told of a session: each request from its first octet to the last one
//! of its answer.

use super::session::{Phase, Session};
use crate::core::Core;
use crate::journal::{Cause, Line, Part, Stage, Trace};
use crate::plan::Server;
use http1::RequestHead;
use std::sync::Arc;

impl Session {
    /// A request begins, if none has: its first octet is there.
    pub(super) fn begin_trace(&mut self, core: &mut Core) {
        let config = &self.service.config;
        if self.service.journal.is_none() && config.http.request_id.is_none() {
            self.trace = None;
            return;
        }
        let trace = self.trace.get_or_insert_with(|| Box::new(Trace::new()));
        if !trace.is_open() {
            trace.begin(self.accepted, core.now, core.clerk.number());
        }
    }

    /// The request's head is on the desk.
    pub(super) fn trace_head(&mut self, core: &Core) {
        let Some(trace) = &mut self.trace else { return };
        trace.headed = core.now;
        let Some(journal) = &self.service.journal else { return };
        let (head, bytes) = (&core.desk.request, self.up.rest());
        trace.keep(Part::Line, first_line(bytes));
        if journal.tells_of_fields() {
            trace.keep(Part::Host, head.authority(bytes));
            for (part, name) in [(Part::Referer, "referer"), (Part::Agent, "user-agent")] {
                if let Some(value) = field(head, bytes, name) {
                    trace.keep(part, value);
                }
            }
        }
    }

    /// It has a place at this server.
    pub(super) fn trace_place(&mut self, core: &Core, server: &Arc<Server>) {
        let Some(trace) = &mut self.trace else { return };
        let (service, other) = (self.service.shared.active(), server.shared.active());
        trace.place(core.now, [core.clerk.connections, service, other], server);
    }

    /// It ends for this reason, unless there was another before.
    pub(super) fn note(&mut self, cause: Cause) {
        let stage = match (self.stage(), cause) {
            // Its head is there: it looks for a place.
            (Stage::Request, Cause::QueueFull) => Stage::Queue,
            (Stage::Request, Cause::NoServer | Cause::ServerRefused | Cause::OurShortage) => {
                Stage::Connect
            }
            (stage, _) => stage,
        };
        if let Some(trace) = &mut self.trace {
            trace.note(cause, stage);
        }
    }

    /// An attempt at a real server has failed.
    pub(super) fn note_failure(&mut self, cause: Cause) {
        if let Some(trace) = &mut self.trace {
            trace.failure = Some(cause);
        }
    }

    /// It ends because the last attempt failed, or, where there was none, for this reason.
    pub(super) fn note_last_failure(&mut self, otherwise: Cause) {
        let failure = self.trace.as_ref().and_then(|trace| trace.failure);
        self.note(failure.unwrap_or(otherwise));
    }

    /// The answer has been decided to its end: the line follows when it is written.
    pub(super) fn conclude(&mut self, core: &mut Core) {
        self.concluded = true;
        if self.down.is_flushed() {
            self.record(core);
        }
    }

    /// Writes the line, if one is due.
    pub(super) fn record(&mut self, core: &mut Core) {
        self.concluded = false;
        let Some(trace) = &mut self.trace else { return };
        if !trace.is_open() {
            return;
        }
        let line = Line {
            trace,
            service: &self.service,
            client: self.client_address,
            destination: self.destination,
            is_secure: self.is_secure,
            tls: self.client.tls(),
            is_http: true,
            now: core.now,
            epoch: core.clerk.epoch,
        };
        core.clerk.write(&self.service, &line);
        trace.close();
    }

    /// How far the request is.
    fn stage(&self) -> Stage {
        match self.phase {
            _ if self.concluded => Stage::Last,
            Phase::Head => Stage::Request,
            Phase::Waiting(..) => Stage::Queue,
            Phase::Connecting(_) | Phase::Securing(_) | Phase::Pausing(_) => Stage::Connect,
            Phase::Active if !self.asked.answered => Stage::Headers,
            Phase::Active => Stage::Data,
            Phase::Closing(_) => Stage::Last,
        }
    }
}

/// A request's first line, without its end. An empty line may stand before it.
fn first_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let line = bytes.split(|octet| *octet == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What became of the cookie for persistence, as HAProxy has it: none, valid, or invalid.
pub(super) fn cookie_letter(is_marked: bool, value: &[u8]) -> u8 {
    match value {
        [] => b'N',
        _ if is_marked => b'V',
        _ => b'I',
    }
}

fn field<'b>(head: &RequestHead, bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
    head.fields().values(bytes, name.as_bytes()).next()
}
