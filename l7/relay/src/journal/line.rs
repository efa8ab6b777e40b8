//! A line of the access log, in each of its formats.

use super::text::{self, Dates};
use super::trace::{Part, Trace};
use crate::plan::Service;
use crate::transport::Secure;
use l7_api::LogFormat;
use std::net::SocketAddr;

/// Octets of a client that are written for each part of a line.
const MOST: usize = 4 << 10;

/// Everything that a line can say.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub trace: &'a Trace,
    pub service: &'a Service,
    pub client: SocketAddr,
    /// Where it went to.
    pub destination: SocketAddr,
    /// The client speaks TLS, or should.
    pub is_secure: bool,
    /// The client's TLS, once it is there.
    pub tls: Option<&'a Secure>,
    /// The request came in HTTP mode.
    pub is_http: bool,
    /// Now, by the worker's clock.
    pub now: u64,
    /// When that clock began, in milliseconds since 1970.
    pub epoch: u64,
}

impl Line<'_> {
    /// Appends the line, without an end.
    pub fn write(&self, format: LogFormat, dates: &mut Dates, out: &mut Vec<u8>) {
        match format {
            LogFormat::Http if self.is_http => self.http(dates, out),
            LogFormat::Http | LogFormat::Tcp => self.tcp(dates, out),
            LogFormat::Combined => self.combined(dates, out),
            LogFormat::Json => self.json(dates, out),
        }
    }

    /// `client [time] service service/server TR/Tw/Tc/Tr/Ta status bytes - - code counts queues
    /// "request" reason id`.
    fn http(&self, dates: &mut Dates, out: &mut Vec<u8>) {
        let trace = self.trace;
        self.beginning(trace.began, dates, out);
        for (place, timer) in self.timers().into_iter().enumerate() {
            separated(out, place, b'/');
            timed(out, timer);
        }
        out.push(b' ');
        text::number(out, trace.status.into());
        out.push(b' ');
        text::number(out, trace.bytes[1]);
        out.extend_from_slice(b" - - ");
        out.extend_from_slice(&[trace.cause().letter(), trace.stage().letter()]);
        out.extend_from_slice(&trace.cookie);
        self.counts(out);
        out.extend_from_slice(b" \"");
        self.request(out);
        out.extend_from_slice(b"\" ");
        out.extend_from_slice(trace.cause().word().as_bytes());
        out.push(b' ');
        text::hexadecimal(out, trace.id);
    }

    /// `client [time] service service/server Tw/Tc/Tt bytes code counts queues reason`.
    fn tcp(&self, dates: &mut Dates, out: &mut Vec<u8>) {
        let trace = self.trace;
        self.beginning(trace.accepted, dates, out);
        let [_, wait, connect, ..] = self.timers();
        for (place, timer) in [wait, connect].into_iter().enumerate() {
            separated(out, place, b'/');
            timed(out, timer);
        }
        out.push(b'/');
        text::number(out, self.now.saturating_sub(trace.accepted));
        out.push(b' ');
        text::number(out, trace.bytes[1]);
        out.push(b' ');
        out.extend_from_slice(&[trace.cause().letter(), trace.stage().letter()]);
        self.counts(out);
        out.push(b' ');
        out.extend_from_slice(trace.cause().word().as_bytes());
    }

    /// `client - - [time] "request" status bytes "referer" "agent"`.
    fn combined(&self, dates: &mut Dates, out: &mut Vec<u8>) {
        let trace = self.trace;
        text::address(out, self.client.ip());
        out.extend_from_slice(b" - - [");
        dates.common(out, self.epoch + trace.began);
        out.extend_from_slice(b" +0000] \"");
        self.request(out);
        out.extend_from_slice(b"\" ");
        text::number(out, trace.status.into());
        out.push(b' ');
        text::number(out, trace.bytes[1]);
        for part in [Part::Referer, Part::Agent] {
            out.extend_from_slice(b" \"");
            match trace.part(part) {
                [] => out.push(b'-'),
                octets => text::quotable(out, octets, MOST),
            }
            out.push(b'"');
        }
    }

    /// Up to the timers.
    fn beginning(&self, moment: u64, dates: &mut Dates, out: &mut Vec<u8>) {
        text::address(out, self.client.ip());
        out.push(b':');
        text::number(out, self.client.port().into());
        out.extend_from_slice(b" [");
        dates.common(out, self.epoch + moment);
        text::fraction(out, self.epoch + moment);
        out.extend_from_slice(b"] ");
        let name = self.service.config.name.as_bytes();
        word(out, name);
        if self.is_secure {
            out.push(b'~');
        }
        out.push(b' ');
        word(out, name);
        out.push(b'/');
        match &self.trace.server {
            Some(server) => word(out, server.config.name.as_bytes()),
            None => out.extend_from_slice(b"<NOSRV>"),
        }
        out.push(b' ');
    }

    /// ` worker/service/service/server/retries server queue/service queue`.
    fn counts(&self, out: &mut Vec<u8>) {
        let trace = self.trace;
        let [all, service, server] = trace.counts;
        for (place, count) in [all, service, service, server].into_iter().enumerate() {
            out.push(if place == 0 { b' ' } else { b'/' });
            text::number(out, count.into());
        }
        out.push(b'/');
        if trace.redispatched {
            out.push(b'+');
        }
        text::number(out, trace.retries.into());
        out.push(b' ');
        text::number(out, trace.queued[0].into());
        out.push(b'/');
        text::number(out, trace.queued[1].into());
    }

    fn request(&self, out: &mut Vec<u8>) {
        match self.trace.part(Part::Line) {
            [] => out.extend_from_slice(b"<BADREQ>"),
            line => text::quotable(out, line, MOST),
        }
    }

    /// TR, Tw, Tc, Tr, Ta: until the head, until a place, until a connection, until the answer,
    /// and altogether.
    fn timers(&self) -> [Option<u64>; 5] {
        let t = self.trace;
        let before_place = if self.is_http { t.headed } else { t.began };
        [
            Trace::between(t.began, t.headed),
            Trace::between(before_place, t.placed),
            Trace::between(t.placed, t.connected),
            Trace::between(t.connected, t.answered),
            Trace::between(t.began, self.now),
        ]
    }

    fn json(&self, dates: &mut Dates, out: &mut Vec<u8>) {
        let trace = self.trace;
        let mut object = Object::new(out);
        object.key("time");
        object.out.push(b'"');
        dates.iso(object.out, self.epoch + trace.began);
        object.out.push(b'"');
        object.text("service", self.service.config.name.as_bytes());
        object.option("server", trace.server.as_ref().map(|s| s.config.name.as_bytes()));
        object.address("client", self.client);
        object.address("destination", self.destination);
        object.text("mode", if self.is_http { b"http" } else { b"tcp" });
        object.option("tls_version", self.tls.map(|tls| tls.version().as_bytes()));
        object.option("tls_suite", self.tls.and_then(Secure::suite).map(str::as_bytes));
        object.option("tls_name", self.tls.and_then(Secure::name).map(str::as_bytes));
        self.json_request(&mut object);
        object.number("bytes_in", Some(trace.bytes[0]));
        object.number("bytes_out", Some(trace.bytes[1]));
        let names = ["request_ms", "queue_ms", "connect_ms", "response_ms", "total_ms"];
        for (name, timer) in names.into_iter().zip(self.timers()) {
            object.number(name, timer);
        }
        let code = [trace.cause().letter(), trace.stage().letter()];
        object.text("code", &code);
        object.text("reason", trace.cause().word().as_bytes());
        object.number("retries", Some(trace.retries.into()));
        object.key("redispatched");
        object.out.extend_from_slice(if trace.redispatched { b"true" } else { b"false" });
        let names = ["worker_connections", "service_connections", "server_connections"];
        for (name, count) in names.into_iter().zip(trace.counts) {
            object.number(name, Some(count.into()));
        }
        for (name, count) in ["server_queue", "service_queue"].into_iter().zip(trace.queued) {
            object.number(name, Some(count.into()));
        }
        object.key("id");
        object.out.push(b'"');
        text::hexadecimal(object.out, trace.id);
        object.out.extend_from_slice(b"\"}");
    }

    fn json_request(&self, object: &mut Object) {
        if !self.is_http {
            return;
        }
        let trace = self.trace;
        let mut words = trace.part(Part::Line).splitn(2, |octet| *octet == b' ');
        object.option("method", words.next().filter(|word| !word.is_empty()));
        let rest = words.next().unwrap_or_default();
        let end = rest.iter().rposition(|octet| *octet == b' ').unwrap_or(rest.len());
        let (target, version) = rest.split_at(end);
        object.option("target", Some(target).filter(|target| !target.is_empty()));
        object.option("version", version.strip_prefix(b" "));
        for (name, part) in
            [("host", Part::Host), ("referer", Part::Referer), ("user_agent", Part::Agent)]
        {
            object.option(name, Some(trace.part(part)).filter(|octets| !octets.is_empty()));
        }
        object.number("status", (trace.status != 0).then_some(trace.status.into()));
    }
}

/// An object of JSON that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    fn key(&mut self, key: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, key: &str, octets: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        text::json(self.out, octets, MOST);
        self.out.push(b'"');
    }

    fn option(&mut self, key: &str, octets: Option<&[u8]>) {
        match octets {
            Some(octets) => self.text(key, octets),
            None => {
                self.key(key);
                self.out.extend_from_slice(b"null");
            }
        }
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        self.key(key);
        match value {
            Some(value) => text::number(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// Two keys: the address and, with `_port`, its port.
    fn address(&mut self, key: &str, address: SocketAddr) {
        self.key(key);
        self.out.push(b'"');
        text::address(self.out, address.ip());
        self.out.push(b'"');
        self.key(&[key, "_port"].concat());
        text::number(self.out, address.port().into());
    }
}

/// A name of the operator's: blanks and quotes in it would move the fields behind it.
fn word(out: &mut Vec<u8>, name: &[u8]) {
    let start = out.len();
    text::quotable(out, name, MOST);
    for octet in out.iter_mut().skip(start).filter(|octet| **octet == b' ') {
        *octet = b'_';
    }
}

fn separated(out: &mut Vec<u8>, place: usize, separator: u8) {
    if place > 0 {
        out.push(separator);
    }
}

/// A timer: -1 if it did not come so far.
fn timed(out: &mut Vec<u8>, timer: Option<u64>) {
    match timer {
        Some(ms) => text::number(out, ms),
        None => out.extend_from_slice(b"-1"),
    }
}
