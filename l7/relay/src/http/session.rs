//! A client's connection in HTTP mode, and what can happen to it.

use super::lane::Lane;
use super::pages::{self, Shape};
use super::route::Route;
use super::rules::Matched;
use crate::core::Core;
use crate::flow::Flow;
use crate::journal::{Cause, Trace};
use crate::list::Profile;
use crate::plan::{Plan, Server, Service};
use crate::shared::{Queued, ServerPlace, ServicePlace};
use crate::side::Read;
use crate::slab::{End, Key, Token};
use crate::tcp::{Fate, NEVER, Pair, Parts, linger_until};
use crate::transport::{Client, News, Stream, Transport};
use http1::{AddressText, Exchange, Version};
use l7_api::{OnDown, Removal, ServerId, ServerState, Spoken};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

/// Steps of one connection in one turn before others have theirs.
const TURN_STEPS: u32 = 64;
/// A connection in HTTP mode.
#[derive(Debug)]
pub struct Session {
    pub(super) key: Key,
    pub(super) service: Arc<Service>,
    pub(super) client_address: SocketAddr,
    pub(super) address_text: AddressText,
    /// The client came over TLS.
    pub(super) is_secure: bool,
    /// Where the client came to.
    pub(super) vip: SocketAddr,
    /// Where it went to by what a forwarder says, else the same.
    pub(super) destination: SocketAddr,
    pub(super) client: Transport,
    pub(super) exchange: Exchange,
    pub(super) phase: Phase,
    /// From the client to the server, and back.
    pub(super) up: Lane,
    pub(super) down: Lane,
    /// Held together with the place at the server.
    pub(super) place: Option<ServicePlace>,
    pub(super) upstream: Option<Upstream>,
    /// The request that is being served.
    pub(super) asked: Asked,
    /// Servers that failed to take this request.
    pub(super) tried: Vec<ServerId>,
    pub(super) attempts: u8,
    /// When the head that comes began, or the connection fell idle.
    pub(super) since: u64,
    /// When it is cut because what it belongs to was removed.
    pub(super) cut_at: u64,
    /// The next response is the last one.
    pub(super) last: bool,
    /// A request has been served: it is not the first one that is awaited.
    pub(super) has_served: bool,
    /// The client has said all that it will say: nobody has to wait for its end.
    pub(super) is_silent: bool,
    /// It is in the list of those that have more to do.
    listed: bool,
    /// When the client was accepted.
    pub(super) accepted: u64,
    /// What the access log is told of the request.
    pub(super) trace: Option<Box<Trace>>,
    /// The answer is decided, and not all of it written.
    pub(super) concluded: bool,
    /// It is no session any more.
    pub(super) becomes: Option<Becomes>,
}

/// What a session turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// A pair in TCP mode: see [`Session::into_pair`].
    Tunnel,
    /// A connection of HTTP/2: see [`Session::into_front`].
    Http2,
}

/// What has to be remembered of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub to_head: bool,
    pub version: Version,
    /// Octets of its body so far.
    pub body: u64,
    /// Its cookie names the real server it went to.
    pub is_marked: bool,
    /// Its answer has begun.
    pub answered: bool,
    /// The client says that it is its last one.
    pub is_last: bool,
    /// The rules that it meets.
    pub matched: Matched,
}

#[derive(Debug)]
pub(super) struct Upstream {
    pub side: Transport,
    pub seat: Key,
    pub server: Arc<Server>,
    pub place: ServerPlace,
    /// It has carried a request before.
    pub reused: bool,
    /// It takes nothing more; what it says is still to be read.
    pub deaf: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// For the next request.
    Head,
    /// For a place, until then.
    Waiting(Queued, u64),
    /// To a server, until then.
    Connecting(u64),
    /// By a TLS handshake with the server, until then.
    Securing(u64),
    /// Before a server that has failed is tried again, until then.
    Pausing(u64),
    /// A request and its response pass.
    Active,
    /// The last answer is written; once it is, what still comes is dropped, until then.
    Closing(Option<u64>),
}

/// The connection has come to its end.
#[derive(Debug)]
pub(super) struct Over;

/// Whether a step has achieved something.
pub(super) type Step = Result<bool, Over>;

impl Session {
    /// A client that was just accepted; [`Self::begin`] is next.
    pub fn new(client: Client, now: u64) -> Self {
        let Client { key, transport, address: client_address, vip, destination, service, accepted } =
            client;
        let exchange = Exchange::new(service.recipe.limits);
        Self {
            key,
            service,
            client_address,
            address_text: client_address.into(),
            is_secure: transport.is_secure(),
            vip,
            destination,
            client: transport,
            exchange,
            phase: Phase::Head,
            up: Lane::default(),
            down: Lane::default(),
            place: None,
            upstream: None,
            asked: Asked::nothing(),
            tried: Vec::new(),
            attempts: 0,
            since: now,
            cut_at: NEVER,
            last: false,
            has_served: false,
            is_silent: false,
            listed: false,
            accepted,
            trace: None,
            concluded: false,
            becomes: None,
        }
    }

    /// Waits for the first request.
    pub fn begin(&mut self, core: &mut Core) -> Fate {
        self.service.shared.cells(core.worker).accepted.add(1);
        match core.watch_transport(&self.client, Token::Connection(self.key, End::Client)) {
            Ok(()) => Fate::Stays,
            Err(e) => {
                self.count_our_fault(core, e);
                Fate::Over
            }
        }
    }

    /// The kernel reports an edge of one of the sockets.
    pub fn event(&mut self, core: &mut Core, end: End, flags: EventFlags) -> Fate {
        core.turns.converse(core.now);
        match (end, &mut self.upstream) {
            (End::Client, _) => {
                self.client.note(flags);
                // Its handshake is done: this sends what is left.
                let _ = self.client.advance(&mut core.pools);
            }
            (End::Server, Some(upstream)) => upstream.side.note(flags),
            (End::Server, None) => return Fate::Stays,
        }
        if end == End::Client && flags.contains(EventFlags::ERR) {
            self.note(Cause::ClientReset);
            self.service.shared.cells(core.worker).client_reset.add(1);
            return self.abort();
        }
        let step = match (&self.phase, end) {
            (Phase::Connecting(_), End::Server) => self.connected(core),
            (Phase::Securing(_), End::Server) => self.secure(core),
            (_, End::Server) => self.advance_server(core),
            (_, End::Client) => Ok(true),
        };
        self.after(core, step)
    }

    /// It has more to do than its last turn allowed.
    pub fn resume(&mut self, core: &mut Core) -> Fate {
        self.listed = false;
        let step = match self.phase {
            Phase::Connecting(_) => self.boarded(core),
            _ => Ok(true),
        };
        self.after(core, step)
    }

    /// Whether it is to be put into the list of those that have more to do; it is in it then.
    pub fn enlist(&mut self) -> bool {
        !std::mem::replace(&mut self.listed, true)
    }

    /// A place that it waits for may be free.
    pub fn retry(&mut self, core: &mut Core) -> Fate {
        match self.phase {
            Phase::Waiting(..) => {
                let step = self.seek_again(core);
                self.after(core, step)
            }
            _ => Fate::Stays,
        }
    }

    /// A new plan is in force. A request that is open goes on by the service it began with; the
    /// next one goes by the new one.
    pub fn replan(&mut self, core: &mut Core, plan: &Plan) -> Fate {
        let Some(service) = plan.service(self.service.config.id) else {
            return self.leave(core, self.service.config.on_removal);
        };
        if service.config.mode != l7_api::Mode::Http {
            return self.leave(core, Removal::Finish);
        }
        (self.cut_at, self.last) = (NEVER, false);
        if Arc::ptr_eq(service, &self.service) {
            return Fate::Stays;
        }
        let Some(upstream) = &self.upstream else {
            self.service = service.clone();
            return self.retry(core);
        };
        match service.server(upstream.server.config.id).map(|server| server.config.state) {
            None => self.cut_after(core.now, upstream.server.config.on_removal),
            Some(ServerState::Halt) => self.cut_at = core.now,
            Some(ServerState::Down) if service.config.on_down == OnDown::Reset => {
                self.note(Cause::ServerDown);
                self.cut_at = core.now;
            }
            Some(_) => {}
        }
        if self.cut_at <= core.now { self.cut(core) } else { Fate::Stays }
    }

    /// Ends it at once with a reset of both sides.
    pub fn cut(&mut self, core: &Core) -> Fate {
        self.note(Cause::Cut);
        self.service.shared.cells(core.worker).cut.add(1);
        self.abort()
    }

    /// Whether nothing is asked that is not answered, whether anything was ever answered, and
    /// since when the next request is awaited.
    pub fn waits(&self) -> Option<(bool, u64)> {
        let is_idle = matches!(self.phase, Phase::Head) && self.down.is_flushed();
        (is_idle && self.client.side().is_some()).then_some((self.has_served, self.since))
    }

    /// What it says of itself; `None`: it serves a stream.
    pub fn profile(&self) -> Option<Profile<'_>> {
        self.client.side()?;
        let upstream = self.upstream.as_ref();
        Some(Profile {
            service: &self.service,
            client: self.client_address,
            vip: self.vip,
            transport: &self.client,
            server: upstream.map(|upstream| (&*upstream.server, &upstream.side)),
            protocol: Spoken::Http1,
            streams: 0,
            state: match self.phase {
                Phase::Head if self.up.rest().is_empty() => "idle",
                Phase::Head => "head",
                Phase::Waiting(..) => "queued",
                Phase::Connecting(_) => "connecting",
                Phase::Securing(_) => "securing",
                Phase::Pausing(_) => "retrying",
                Phase::Active => "active",
                Phase::Closing(_) => "closing",
            },
        })
    }

    /// Makes room for others, with a reset.
    pub fn shed(&mut self, core: &Core) -> Fate {
        self.note(Cause::Shed);
        self.service.shared.cells(core.worker).shed.add(1);
        self.abort()
    }

    /// From this moment on it is to be cut, if it is still there.
    pub fn cut_from(&mut self, moment: u64) {
        self.cut_at = self.cut_at.min(moment);
    }

    /// A successor accepts: the next response is the last one.
    pub fn retire(&mut self) -> Fate {
        self.last = true;
        Fate::Stays
    }

    /// The stream of HTTP/2 that it serves, if it does.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.client.stream()
    }

    /// The stream to a real server that speaks HTTP/2, if it has one.
    pub fn upstream_stream(&mut self) -> Option<&mut Stream> {
        self.upstream.as_mut()?.side.stream()
    }

    /// Whether it waits for a request, with nothing left of the one before.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.phase, Phase::Head)
            && self.exchange.is_idle()
            && self.up.rest().is_empty()
            && self.down.is_flushed()
            && !self.last
    }

    /// What it goes on as, if it is no session any more.
    pub fn becomes(&self) -> Option<Becomes> {
        self.becomes
    }

    /// The connection of a client that speaks HTTP/2, and what it has said.
    pub fn into_front(mut self, core: &mut Core) -> (Client, Vec<u8>) {
        let mut said = core.pools.text();
        said.extend_from_slice(self.up.rest());
        self.up.discard(&mut core.pools);
        let client = Client {
            key: self.key,
            transport: self.client,
            address: self.client_address,
            vip: self.vip,
            destination: self.destination,
            service: self.service,
            accepted: self.accepted,
        };
        (client, said)
    }

    /// Two sides between which bytes pass unread from now on; nothing, if there are not two.
    pub fn into_pair(mut self, core: &mut Core) -> Option<Pair> {
        let upstream = self.upstream.take()?;
        core.desk.pool.leave(upstream.seat);
        core.watch_again(&upstream.side, Token::Connection(self.key, End::Server)).ok()?;
        let (mut up, mut down) = (Flow::new(), Flow::new());
        for (flow, lane) in [(&mut up, &mut self.up), (&mut down, &mut self.down)] {
            flow.begin_with(&mut core.pools, lane.rest());
            lane.discard(&mut core.pools);
        }
        Some(Pair::of(Parts {
            key: self.key,
            service: self.service,
            client_address: self.client_address,
            vip: self.vip,
            destination: self.destination,
            client: self.client,
            server_side: upstream.side,
            server: upstream.server,
            places: (self.place, upstream.place),
            flows: (up, down),
            cut_at: self.cut_at,
            trace: self.trace,
        }))
    }

    /// Gives back what it holds.
    pub fn dispose(mut self, core: &mut Core) {
        // If its line is still due, it has not come to its end.
        self.note(Cause::ClientClosed);
        self.record(core);
        self.up.discard(&mut core.pools);
        self.down.discard(&mut core.pools);
        self.client.discard(&mut core.pools);
        self.hang_up(core);
        if let Some(stream) = self.client.stream() {
            core.streams -= 1;
            core.news.push(stream.last_news(self.key));
        }
    }

    /// What the connections that carry its client's stream and its server's have to hear.
    pub fn news(&mut self) -> [Option<News>; 2] {
        let key = self.key;
        let client = self.client.stream().and_then(|stream| stream.news(key));
        [client, self.upstream_stream().and_then(|stream| stream.news(key))]
    }

    /// Goes on until neither side can.
    pub(super) fn drive(&mut self, core: &mut Core) -> Fate {
        for _ in 0..TURN_STEPS {
            let moved = self.turn(core);
            match moved {
                Err(Over) => return Fate::Over,
                Ok(_) if self.becomes.is_some() => return Fate::Stays,
                Ok(true) => {}
                Ok(false) => {
                    if matches!(self.phase, Phase::Head) {
                        self.up.park(&mut core.pools);
                    }
                    self.up.settle(&mut core.pools);
                    self.down.settle(&mut core.pools);
                    return Fate::Stays;
                }
            }
        }
        if self.enlist() {
            core.again.push(self.key);
        }
        Fate::Stays
    }

    fn turn(&mut self, core: &mut Core) -> Step {
        let back = self.serve_server(core)?;
        if self.becomes.is_some() {
            return Ok(true);
        }
        Ok(self.serve_client(core)? || back)
    }

    pub(super) fn after(&mut self, core: &mut Core, step: Step) -> Fate {
        match step {
            Ok(_) => self.drive(core),
            Err(Over) => Fate::Over,
        }
    }

    /// An answer of ours ends the connection, or, where one has begun, a cut does, so that
    /// nobody takes a part for the whole.
    pub(super) fn refuse(&mut self, core: &mut Core, status: u16) -> Step {
        let cells = self.service.shared.cells(core.worker);
        match status {
            502..=504 => cells.gateway_errors.add(1),
            _ => cells.client_errors.add(1),
        }
        self.begin_trace(core);
        self.note(if (500..600).contains(&status) {
            Cause::BadResponse
        } else {
            Cause::BadRequest
        });
        if self.asked.answered || !self.down.is_flushed() {
            let _ = self.abort();
            return Err(Over);
        }
        self.hang_up(core);
        self.place = None;
        self.say(core, status, b"", true);
        self.conclude(core);
        self.phase = Phase::Closing(None);
        Ok(true)
    }

    /// Appends a page of ours. No other response may be on its way.
    pub(super) fn say(&mut self, core: &mut Core, status: u16, fields: &[u8], closes: bool) {
        if let Some(trace) = &mut self.trace {
            trace.status = status;
        }
        let shape = Shape { to_head: self.asked.to_head, closes, version: self.asked.version };
        self.down.discard(&mut core.pools);
        self.down.begin_text(&mut core.pools);
        let own = self.service.config.http.error_pages.iter().find(|own| own.status == status);
        pages::write(status, fields, shape, own, &mut self.down.text);
    }

    /// Reads and drops what comes, once the last answer is written.
    pub(super) fn linger(&mut self, core: &mut Core) -> Step {
        if !self.down.is_flushed() {
            return Ok(false);
        }
        if self.may_leave() && self.client.close(true) {
            return Err(Over);
        }
        if let Phase::Closing(None) = self.phase {
            self.client.finish(true);
            // A stream ends when its client has taken everything: see `front`.
            let is_stream = self.client.side().is_none();
            let until = if is_stream { NEVER } else { linger_until(core.now) };
            self.phase = Phase::Closing(Some(until));
        }
        self.up.discard(&mut core.pools);
        match self.up.read(&mut self.client, &mut core.pools) {
            Read::Bytes(_) => Ok(true),
            Read::Nothing => Ok(false),
            Read::End | Read::Reset => Err(Over),
        }
    }

    /// Whether closing the client's socket is no reset: all that came of it has been read.
    fn may_leave(&self) -> bool {
        self.is_silent && self.up.rest().is_empty() && !self.client.is_readable()
    }

    /// Closes the connection to the server; both places are free again.
    pub(super) fn hang_up(&mut self, core: &mut Core) {
        if let Some(upstream) = self.upstream.take() {
            self.let_go(core, upstream);
        }
    }

    /// The same with what was taken; the place at the server that was held, and the route.
    pub(super) fn let_go(
        &self,
        core: &mut Core,
        mut upstream: Upstream,
    ) -> (ServerPlace, Option<Route>) {
        upstream.side.discard(&mut core.pools);
        core.news.extend(upstream.side.stream().map(|stream| stream.last_news(self.key)));
        (upstream.place, core.desk.pool.leave(upstream.seat))
    }

    pub(super) fn count_our_fault(&mut self, core: &mut Core, error: Errno) {
        self.note(Cause::OurShortage);
        self.service.shared.cells(core.worker).our_fault.add(1);
        log::debug!("service {:?}: cannot connect: {error}", self.service.config.name);
        if crate::dial::is_shortage(error) {
            core.run_short();
        }
    }

    /// Sends what TLS holds back.
    fn advance_server(&mut self, core: &mut Core) -> Step {
        if let Some(upstream) = &mut self.upstream {
            let _ = upstream.side.advance(&mut core.pools);
        }
        Ok(true)
    }

    /// Closing becomes a reset of both sides.
    fn abort(&mut self) -> Fate {
        self.client.abort();
        if let Some(upstream) = &self.upstream {
            upstream.side.abort();
        }
        Fate::Over
    }

    /// Its service is gone: what is open ends by the service's rule, what is idle ends now.
    fn leave(&mut self, core: &Core, rule: Removal) -> Fate {
        let is_idle = matches!(self.phase, Phase::Head) && self.up.rest().is_empty();
        if is_idle && self.down.is_flushed() && self.client.is_drained() {
            return Fate::Over;
        }
        self.last = true;
        self.cut_after(core.now, rule);
        if self.cut_at <= core.now { self.cut(core) } else { Fate::Stays }
    }

    fn cut_after(&mut self, now: u64, rule: Removal) {
        if let Removal::CutAfter { ms } = rule {
            self.cut_from(now + u64::from(ms));
        }
    }
}

impl Asked {
    pub fn nothing() -> Self {
        let version = Version::Http11;
        let (is_marked, is_last) = (false, false);
        Self { to_head: false, version, body: 0, is_marked, answered: false, is_last, matched: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // 10,000 connections in 32 MB of our own memory are 3 KB each; this is what remains of
        // one between two requests.
        let bytes = size_of::<Session>() + size_of::<crate::connection::Connection>();
        assert!(bytes <= 1_024, "{bytes} bytes");
    }
}
