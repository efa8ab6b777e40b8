//! TCP mode: a client, a real server, and the bytes between them as they are.
//!
//! ```text
//! listening (if persistence goes by what is said first)
//!     ▼
//! waiting (for a place) ──► connecting ──► securing (if with TLS) ──► open ──► over
//!     ▲                      │     ▲          │
//!     └───── pausing ◄───────┘─────┘ ◄────────┘ refused, too slow or not to be believed:
//!                                               another server, or the same later
//! ```

use crate::core::Core;
use crate::dial::{Speech, dial, is_ours, is_shortage};
use crate::flow::{Flow, State, Turn};
use crate::journal::{Cause, Line, Stage, Trace};
use crate::list::Profile;
use crate::opening::{self, Opening};
use crate::place::{self, Found, Wish};
use crate::plan::{Plan, Server, Service};
use crate::proxy_out;
use crate::shared::{Queued, ServerPlace, ServicePlace};
use crate::side::{Read, Side, Written};
use crate::slab::{End, Key, Token};
use crate::transport::{Client, News, Offer, Progress, Stream, Transport};
use crate::turns::Habit;
use l7_api::{Mode, OnDown, ProxyOut, Removal, ServerId, ServerState, Spoken};
use proxyproto::Endpoints;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

/// A moment that never comes.
pub const NEVER: u64 = u64::MAX;

/// Milliseconds that what a client still sends is read and dropped, so that it sees our answer
/// and not the reset that unread bytes would bring.
const LINGER: u64 = 2_000;

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It does.
    Stays,
    /// It is over: drop it.
    Over,
}

/// A connection in TCP mode.
#[derive(Debug)]
pub struct Pair {
    key: Key,
    service: Arc<Service>,
    client_address: SocketAddr,
    /// Where the client came to.
    vip: SocketAddr,
    /// Where it went to by what a forwarder says, else the same.
    destination: SocketAddr,
    client: Transport,
    phase: Phase,
    /// To the server and to the client.
    up: Flow,
    down: Flow,
    /// Held together with the place at the server.
    place: Option<ServicePlace>,
    upstream: Option<Upstream>,
    /// What is said first, where persistence goes by it.
    opening: Option<Box<Opening>>,
    /// Servers that failed to take this connection.
    tried: Vec<ServerId>,
    attempts: u8,
    /// When it is cut because what it belongs to was removed.
    cut_at: u64,
    /// It is in the list of those that have more to do.
    listed: bool,
    habit: Habit,
    /// When the client was accepted.
    accepted: u64,
    /// What the access log is told of it.
    trace: Option<Box<Trace>>,
}

/// What an open pair is made of.
#[derive(Debug)]
pub struct Parts {
    pub key: Key,
    pub service: Arc<Service>,
    pub client_address: SocketAddr,
    pub vip: SocketAddr,
    pub destination: SocketAddr,
    pub client: Transport,
    pub server_side: Transport,
    pub server: Arc<Server>,
    /// In the service and at the server.
    pub places: (Option<ServicePlace>, ServerPlace),
    /// To the server and to the client, with what is on its way already.
    pub flows: (Flow, Flow),
    pub cut_at: u64,
    /// What the access log is told, if it was a request.
    pub trace: Option<Box<Trace>>,
}

#[derive(Debug)]
struct Upstream {
    side: Transport,
    server: Arc<Server>,
    _place: ServerPlace,
}

/// Why a server did not take a connection.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Refused,
    Late,
    Tls,
    TlsLate,
}

#[derive(Debug)]
enum Phase {
    /// To what the client says first, until then.
    Listening(u64),
    /// For a place, until then.
    Waiting(Queued, u64),
    /// To a server, until then.
    Connecting(u64),
    /// By a TLS handshake with the server, until then.
    Securing(u64),
    /// Before a server that has failed is tried again, until then.
    Pausing(u64),
    /// Bytes flow.
    Open,
}

impl Pair {
    /// A client whose bytes may flow; [`Self::begin`] or [`Self::start`] is next.
    pub fn new(client: Client, now: u64) -> Self {
        let Client { key, mut transport, address, vip, destination, service, accepted } = client;
        transport.touch(now);
        let attempts = service.config.retries.attempts;
        Self {
            key,
            service,
            client_address: address,
            vip,
            destination,
            client: transport,
            phase: Phase::Open,
            up: Flow::new(),
            down: Flow::new(),
            place: None,
            upstream: None,
            opening: None,
            tried: Vec::new(),
            attempts,
            cut_at: NEVER,
            listed: false,
            habit: Habit::default(),
            accepted,
            trace: None,
        }
    }

    /// A pair whose two sides are connected already.
    pub fn of(parts: Parts) -> Self {
        let (place, server_place) = parts.places;
        let (side, server) = (parts.server_side, parts.server);
        Self {
            key: parts.key,
            service: parts.service,
            client_address: parts.client_address,
            vip: parts.vip,
            destination: parts.destination,
            client: parts.client,
            phase: Phase::Open,
            up: parts.flows.0,
            down: parts.flows.1,
            place,
            upstream: Some(Upstream { side, server, _place: server_place }),
            opening: None,
            tried: Vec::new(),
            attempts: 0,
            cut_at: parts.cut_at,
            listed: false,
            habit: Habit::default(),
            accepted: 0,
            trace: parts.trace,
        }
    }

    /// Counts a client that was just accepted, and goes on with [`Self::start`].
    pub fn begin(&mut self, core: &mut Core) -> Fate {
        self.begin_trace(core);
        self.service.shared.cells(core.worker).accepted.add(1);
        if let Err(e) = core.watch_transport(&self.client, Token::Connection(self.key, End::Client))
        {
            return self.fail_ourselves(core, e);
        }
        self.start(core)
    }

    /// Looks for a server and connects to it.
    pub fn start(&mut self, core: &mut Core) -> Fate {
        self.begin_trace(core);
        let rule = self.service.config.persistence.as_ref();
        match rule.and_then(|rule| Opening::of(&rule.by)) {
            Some(opening) => {
                self.opening = Some(Box::new(opening));
                self.phase = Phase::Listening(core.now + opening::PATIENCE_MS);
                self.listen(core)
            }
            None => self.queue_or_seek(core),
        }
    }

    /// Reads what the client says first, as far as it is looked at.
    fn listen(&mut self, core: &mut Core) -> Fate {
        let mut octets = [0; opening::LONGEST];
        loop {
            let Some(opening) = &mut self.opening else { return self.heard(core) };
            let room = opening.room().min(octets.len());
            if !self.client.is_readable() {
                return Fate::Stays;
            }
            match self.client.read(&mut octets[..room], &mut core.pools) {
                Read::Bytes(count) => {
                    let decided = opening.hear(&octets[..count]);
                    self.client.touch(core.now);
                    self.service.shared.cells(core.worker).bytes_in.add(count as u64);
                    if let Some(trace) = &mut self.trace {
                        trace.bytes[0] += count as u64;
                    }
                    if decided {
                        return self.heard(core);
                    }
                }
                Read::Nothing => return Fate::Stays,
                Read::End => return self.heard(core),
                Read::Reset => {
                    self.note(Cause::ClientReset);
                    self.service.shared.cells(core.worker).client_reset.add(1);
                    return Fate::Over;
                }
            }
        }
    }

    /// Whatever the client has said by now, it is served.
    fn heard(&mut self, core: &mut Core) -> Fate {
        if self.opening.as_ref().is_some_and(|opening| opening.is_of_no_use()) {
            self.service.shared.cells(core.worker).unnamed.add(1);
        }
        self.phase = Phase::Open;
        self.queue_or_seek(core)
    }

    fn queue_or_seek(&mut self, core: &mut Core) -> Fate {
        if self.service.shared.must_wait() { self.wait(core, None) } else { self.seek(core) }
    }

    /// The kernel reports an edge of one of the sockets.
    pub fn event(&mut self, core: &mut Core, end: End, flags: EventFlags) -> Fate {
        match (end, &mut self.upstream) {
            (End::Client, _) => {
                self.client.note(flags);
                // Its handshake is done: this sends what is left.
                let _ = self.client.advance(&mut core.pools);
            }
            (End::Server, Some(upstream)) => upstream.side.note(flags),
            (End::Server, None) => return Fate::Stays,
        }
        match (&self.phase, end) {
            (Phase::Open, End::Client) => self.pump(core, end),
            (Phase::Open, End::Server) => {
                self.advance_server(core);
                self.pump(core, end)
            }
            (Phase::Connecting(_), End::Server) => self.connected(core),
            (Phase::Securing(_), End::Server) => self.secure(core),
            (Phase::Listening(_), End::Client) => self.listen(core),
            // A client that waits may end its own direction, but not be gone altogether.
            (_, End::Client) if flags.intersects(EventFlags::ERR | EventFlags::HUP) => {
                self.note(Cause::ClientReset);
                self.service.shared.cells(core.worker).client_reset.add(1);
                Fate::Over
            }
            _ => Fate::Stays,
        }
    }

    /// It has more to do than its last turn allowed.
    pub fn resume(&mut self, core: &mut Core) -> Fate {
        self.listed = false;
        match self.phase {
            Phase::Open => self.pump(core, End::Server),
            _ => Fate::Stays,
        }
    }

    /// A place that it waits for may be free.
    pub fn retry(&mut self, core: &mut Core) -> Fate {
        match self.phase {
            Phase::Waiting(..) => self.seek(core),
            _ => Fate::Stays,
        }
    }

    /// Whether it has to hear of [`Self::expired`], and when.
    pub fn deadline(&self) -> u64 {
        let next = match &self.phase {
            Phase::Listening(until)
            | Phase::Waiting(_, until)
            | Phase::Connecting(until)
            | Phase::Securing(until)
            | Phase::Pausing(until) => *until,
            Phase::Open => self.idle_deadlines().into_iter().min().unwrap_or(NEVER),
        };
        next.min(self.cut_at)
    }

    /// Its deadline may have come.
    pub fn expired(&mut self, core: &mut Core) -> Fate {
        let now = core.now;
        if self.cut_at <= now {
            return self.cut(core);
        }
        match &self.phase {
            Phase::Listening(until) if *until <= now => self.heard(core),
            Phase::Waiting(_, until) if *until <= now => {
                self.note(Cause::QueueTimeout);
                self.service.shared.cells(core.worker).queue_timeout.add(1);
                self.reset()
            }
            Phase::Connecting(until) if *until <= now => self.failed(core, Failure::Late),
            Phase::Securing(until) if *until <= now => self.failed(core, Failure::TlsLate),
            Phase::Pausing(until) if *until <= now => self.seek(core),
            Phase::Open => self.idle(core),
            _ => Fate::Stays,
        }
    }

    /// A new plan is in force. What is open goes on by the service it began with; what waits
    /// goes by the new one.
    pub fn replan(&mut self, core: &mut Core, plan: &Plan) -> Fate {
        let Some(service) = plan.service(self.service.config.id) else {
            self.leave(core.now, self.service.config.on_removal);
            return self.cut_if_due(core);
        };
        if Arc::ptr_eq(service, &self.service) {
            self.cut_at = NEVER;
            return Fate::Stays;
        }
        let Some(upstream) = &self.upstream else {
            self.cut_at = NEVER;
            self.service = service.clone();
            return self.retry(core);
        };
        match service.server(upstream.server.config.id).map(|server| server.config.state) {
            None => self.leave(core.now, upstream.server.config.on_removal),
            Some(ServerState::Halt) => self.cut_at = core.now,
            Some(ServerState::Down) if service.config.on_down == OnDown::Reset => {
                self.note(Cause::ServerDown);
                self.cut_at = core.now;
            }
            // What was removed may have come back.
            Some(_) => self.cut_at = NEVER,
        }
        self.cut_if_due(core)
    }

    /// Ends it at once with a reset of both sides.
    pub fn cut(&mut self, core: &Core) -> Fate {
        self.note(Cause::Cut);
        self.service.shared.cells(core.worker).cut.add(1);
        self.reset()
    }

    /// What it says of itself.
    pub fn profile(&self) -> Profile<'_> {
        let upstream = self.upstream.as_ref();
        Profile {
            service: &self.service,
            client: self.client_address,
            vip: self.vip,
            transport: &self.client,
            server: upstream.map(|upstream| (&*upstream.server, &upstream.side)),
            protocol: Spoken::Tcp,
            streams: 0,
            state: match self.phase {
                Phase::Listening(_) => "listening",
                Phase::Waiting(..) => "queued",
                Phase::Connecting(_) => "connecting",
                Phase::Securing(_) => "securing",
                Phase::Pausing(_) => "retrying",
                Phase::Open => "open",
            },
        }
    }

    /// From this moment on it is to be cut, if it is still there.
    pub fn cut_from(&mut self, moment: u64) {
        self.cut_at = self.cut_at.min(moment);
    }

    /// It counts from the first plan that does not know it any more.
    fn leave(&mut self, now: u64, rule: Removal) {
        if let Removal::CutAfter { ms } = rule {
            self.cut_from(now + u64::from(ms));
        }
    }

    fn cut_if_due(&mut self, core: &Core) -> Fate {
        if self.cut_at <= core.now { self.cut(core) } else { Fate::Stays }
    }

    /// Looks for a place, and connects.
    fn seek(&mut self, core: &mut Core) -> Fate {
        loop {
            if self.place.is_none() {
                self.place = place::enter(&self.service);
                if self.place.is_none() {
                    return self.wait(core, None);
                }
            }
            let (client, opening) = (self.client_address.ip(), self.opening.as_ref());
            let said = opening.and_then(|opening| opening.key());
            let wish = Wish { client, said, tried: &self.tried, among: &[] };
            match place::find(core, &self.service, wish, self.named()) {
                Found::Server(server, place) => match self.connect(core, &server) {
                    Ok(side) => {
                        self.trace_place(core, &server);
                        let side = Transport::Plain(side);
                        self.upstream = Some(Upstream { side, server, _place: place });
                        self.phase = Phase::Connecting(self.connect_deadline(core.now));
                        return Fate::Stays;
                    }
                    Err(e) if is_ours(e) => return self.fail_ourselves(core, e),
                    Err(_) => {
                        server.shared.cells(core.worker).refused.add(1);
                        self.note_failure(Cause::ServerRefused);
                        if !self.may_try_again(core, &server) {
                            return self.nobody(core);
                        }
                    }
                },
                Found::Full(wants) => return self.wait(core, wants),
                Found::OnlyTried => {
                    self.tried.clear();
                    let pause = u64::from(self.service.config.retries.pause_ms);
                    self.phase = Phase::Pausing(core.now + pause);
                    return Fate::Stays;
                }
                Found::Nobody => return self.nobody(core),
            }
        }
    }

    /// The real server that the client's first words say, if it is one of the service's.
    fn named(&self) -> Option<&Arc<Server>> {
        let wanted = self.opening.as_ref()?.server()?;
        let port = |server: &Server| server.config.port.unwrap_or(self.vip.port());
        let mut servers = self.service.servers.iter();
        servers.find(|it| (it.config.address, port(it)) == (wanted.ip(), wanted.port()))
    }

    /// Queues up, or stays in the queue.
    fn wait(&mut self, core: &mut Core, wants: Option<ServerId>) -> Fate {
        // Whoever waits for a server keeps no other from the service.
        let place = self.place.take();
        if let Phase::Waiting(queued, _) = &self.phase {
            queued.stay(place);
            return Fate::Stays;
        }
        drop(place);
        let queue = self.service.config.queue;
        let shared = &self.service.shared;
        let Some(queued) = shared.wait(queue.length, core.worker, self.key, wants) else {
            shared.cells(core.worker).queue_full.add(1);
            self.note(Cause::QueueFull);
            return self.reset();
        };
        if let Some(trace) = &mut self.trace {
            trace.queued = shared.waiting().map(|count| count.saturating_sub(1));
        }
        let is_next = queued.is_next();
        self.phase = Phase::Waiting(queued, after(core.now, queue.timeout_ms));
        // A place may have become free before we were in the queue: nobody would call. Whoever
        // is before us is called, and passes the call on.
        if is_next { self.seek(core) } else { Fate::Stays }
    }

    fn connect(&self, core: &mut Core, server: &Server) -> Result<Side, Errno> {
        let port = server.config.port.unwrap_or(self.vip.port());
        let to = SocketAddr::new(server.config.address, port);
        let source = self.service.config.source;
        let file = core.server_file()?;
        let has_said = self.opening.as_ref().is_some_and(|opening| !opening.said().is_empty());
        let speech = match has_said
            || server.tls.is_some()
            || self.service.config.proxy_out != ProxyOut::None
        {
            true => Speech::First,
            false => Speech::Later,
        };
        let fd = dial(to, source, (self.client_address.ip(), self.vip.ip()), speech)?;
        core.watch(&fd, Token::Connection(self.key, End::Server))?;
        Ok(Side::new(fd, file, core.now))
    }

    fn connect_deadline(&self, now: u64) -> u64 {
        after(now, self.service.config.timeouts.connect_ms)
    }

    /// The attempt to connect has ended.
    fn connected(&mut self, core: &mut Core) -> Fate {
        let Some(upstream) = &mut self.upstream else { return Fate::Stays };
        if !upstream.side.is_writable() {
            return Fate::Stays;
        }
        if upstream.side.side().and_then(Side::connect_error).is_some() {
            return self.failed(core, Failure::Refused);
        }
        upstream.server.shared.cells(core.worker).connected.add(1);
        if upstream.server.tls.is_some() { self.encrypt(core) } else { self.open(core) }
    }

    /// Begins with TLS, behind our header, which is not part of it.
    fn encrypt(&mut self, core: &mut Core) -> Fate {
        let header = self.header();
        let Some(Upstream { side, server, _place }) = self.upstream.take() else {
            return Fate::Stays;
        };
        let (mut side, name) = (side, self.client.tls().and_then(|tls| tls.name()));
        let address = server.config.address;
        let connection = server.tls.as_ref().map(|tls| tls.connection(name, address, Offer::All));
        // A new socket has room for this much.
        let said = header.is_empty() || side.write(&header) == Written::Bytes(header.len());
        let Some(Ok(connection)) = connection.filter(|_| said) else {
            return self.fail_ourselves(core, Errno::INVAL);
        };
        let side = side.encrypt(connection);
        self.upstream = Some(Upstream { side, server, _place });
        self.phase = Phase::Securing(self.connect_deadline(core.now));
        self.secure(core)
    }

    /// Goes on with the handshake.
    fn secure(&mut self, core: &mut Core) -> Fate {
        let Some(upstream) = &mut self.upstream else { return Fate::Stays };
        match upstream.side.advance(&mut core.pools) {
            Progress::Pending => Fate::Stays,
            Progress::Done => self.open(core),
            Progress::Failed => self.failed(core, Failure::Tls),
        }
    }

    /// Bytes flow from now on.
    fn open(&mut self, core: &mut Core) -> Fate {
        let Some(upstream) = &mut self.upstream else { return Fate::Stays };
        upstream.side.touch(core.now);
        let is_bare = upstream.side.is_bare();
        self.client.touch(core.now);
        self.phase = Phase::Open;
        if let Some(trace) = &mut self.trace {
            trace.connected = core.now;
        }
        let mut first = if is_bare { self.header() } else { Vec::new() };
        if let Some(opening) = &self.opening {
            first.extend_from_slice(opening.said());
        }
        if !first.is_empty() {
            self.up.begin_with(&mut core.pools, &first);
        }
        self.pump(core, End::Client)
    }

    /// What the server is told of the client before all else.
    fn header(&self) -> Vec<u8> {
        let (source, destination) = (self.client_address, self.destination);
        let ends = Endpoints { source, destination };
        proxy_out::header(self.service.config.proxy_out, ends, self.client.tls())
    }

    fn advance_server(&mut self, core: &mut Core) {
        if let Some(upstream) = &mut self.upstream {
            let _ = upstream.side.advance(&mut core.pools);
        }
    }

    /// A server did not take the connection: another one shall.
    fn failed(&mut self, core: &mut Core, why: Failure) -> Fate {
        let Some(mut upstream) = self.upstream.take() else { return Fate::Stays };
        upstream.side.discard(&mut core.pools);
        let cells = upstream.server.shared.cells(core.worker);
        match why {
            Failure::Late | Failure::TlsLate => cells.connect_timeout.add(1),
            Failure::Refused => cells.refused.add(1),
            Failure::Tls => {
                cells.tls_failed.add(1);
                upstream.side.explain(&upstream.server.config.name);
            }
        }
        let server = upstream.server.clone();
        drop(upstream);
        self.note_failure(match why {
            Failure::Refused => Cause::ServerRefused,
            Failure::Late => Cause::ConnectTimeout,
            Failure::Tls => Cause::ServerTls,
            Failure::TlsLate => Cause::ServerTlsTimeout,
        });
        if self.may_try_again(core, &server) { self.seek(core) } else { self.nobody(core) }
    }

    fn may_try_again(&mut self, core: &Core, server: &Server) -> bool {
        self.tried.push(server.config.id);
        let again = self.attempts > 0;
        if again {
            self.attempts -= 1;
            if let Some(trace) = &mut self.trace {
                trace.retries += 1;
            }
            server.shared.cells(core.worker).redispatched.add(1);
        }
        again
    }

    fn nobody(&mut self, core: &Core) -> Fate {
        let failure = self.trace.as_ref().and_then(|trace| trace.failure);
        self.note(failure.unwrap_or(Cause::NoServer));
        self.service.shared.cells(core.worker).no_server.add(1);
        self.reset()
    }

    fn fail_ourselves(&mut self, core: &mut Core, error: Errno) -> Fate {
        self.note(Cause::OurShortage);
        self.service.shared.cells(core.worker).our_fault.add(1);
        log::debug!("service {:?}: cannot connect: {error}", self.service.config.name);
        if is_shortage(error) {
            core.run_short();
        }
        self.reset()
    }

    /// Moves bytes both ways, that of `first` first, and passes on what has ended.
    fn pump(&mut self, core: &mut Core, first: End) -> Fate {
        let awaits_answer = !self.hear_answer(core);
        let Some(upstream) = &mut self.upstream else { return Fate::Stays };
        let (client, server) = (&mut self.client, &mut upstream.side);
        let allowed = (core.turns.bytes(core.now), core.now);
        let pools = &mut core.pools;
        let mut up = Turn::default();
        if first == End::Client {
            up = self.up.pump(client, server, pools, allowed);
        }
        let mut down = Turn::default();
        if !awaits_answer {
            down = self.down.pump(server, client, pools, allowed);
        }
        // The other direction may just have found that this one has come to its end.
        if first == End::Server || client.is_reset() {
            up.add(self.up.pump(client, server, pools, allowed));
        }
        if (up.more || down.more) && !self.listed {
            self.listed = true;
            core.again.push(self.key);
        }
        if self.habit.learn(up.read + down.read) {
            core.turns.converse(core.now);
        }
        let cells = self.service.shared.cells(core.worker);
        let server_cells = upstream.server.shared.cells(core.worker);
        if up.read > 0 || up.written > 0 {
            cells.bytes_in.add(up.read);
            server_cells.bytes_in.add(up.written);
        }
        if down.read > 0 || down.written > 0 {
            server_cells.bytes_out.add(down.read);
            cells.bytes_out.add(down.written);
        }
        if let Some(trace) = &mut self.trace {
            trace.bytes[0] += up.read;
            trace.bytes[1] += down.written;
        }
        self.pass_ends(core)
    }

    /// Looks at what the server says first, where persistence goes by it. False: it is not decided
    /// yet, and what came so far waits.
    fn hear_answer(&mut self, core: &mut Core) -> bool {
        let (Some(opening), Some(upstream)) = (&mut self.opening, &mut self.upstream) else {
            return true;
        };
        let mut octets = [0; opening::LONGEST];
        while let Some(room) = opening.answer_room() {
            if !upstream.side.is_readable() {
                return false;
            }
            let room = room.min(octets.len());
            let (count, ended) = match upstream.side.read(&mut octets[..room], &mut core.pools) {
                Read::Bytes(count) => (count, false),
                Read::Nothing => return false,
                // The flow finds it again.
                Read::End | Read::Reset => (0, true),
            };
            if count > 0 {
                upstream.side.touch(core.now);
                upstream.server.shared.cells(core.worker).bytes_out.add(count as u64);
            }
            if let Some((answer, client)) = opening.answered(&octets[..count], ended) {
                if let Some(client) = client {
                    place::learn(core, &self.service, &client, &upstream.server);
                }
                if !answer.is_empty() {
                    self.down.begin_with(&mut core.pools, &answer);
                }
            }
        }
        true
    }

    /// Passes on ends and resets, once everything before them has been written.
    fn pass_ends(&mut self, core: &Core) -> Fate {
        let Some(upstream) = &mut self.upstream else { return Fate::Stays };
        let ending = |flow: &Flow| flow.is_empty() && flow.state() != State::Open;
        let (up, down) = (ending(&self.up), ending(&self.down));
        if up && self.up.state() == State::Reset {
            self.service.shared.cells(core.worker).client_reset.add(1);
            self.note(Cause::ClientReset);
            return self.reset();
        }
        if down && self.down.state() == State::Reset {
            upstream.server.shared.cells(core.worker).server_reset.add(1);
            self.note(Cause::ServerReset);
            return self.reset();
        }
        let whole = (!self.client.is_truncated(), !upstream.side.is_truncated());
        if up && down {
            let broken = |flow: &Flow| flow.state() == State::Broken;
            if broken(&self.up) || broken(&self.down) {
                return self.reset();
            }
            let (server, client) = (upstream.side.close(whole.0), self.client.close(whole.1));
            return if server && client { Fate::Over } else { Fate::Stays };
        }
        // A peer that cannot be told is gone: the other direction will find that out.
        if up && self.up.state() == State::Ended && upstream.side.finish(whole.0) {
            self.up.pass();
        }
        if down && self.down.state() == State::Ended && self.client.finish(whole.1) {
            self.down.pass();
        }
        Fate::Stays
    }

    /// Client, then server (or the tunnel's, for both).
    fn idle_deadlines(&self) -> [u64; 2] {
        let timeouts = self.service.config.timeouts;
        let server_seen = self.upstream.as_ref().map_or(self.client.seen(), |u| u.side.seen());
        if timeouts.tunnel_ms != 0 {
            let both = after(self.client.seen().max(server_seen), timeouts.tunnel_ms);
            return [both, NEVER];
        }
        [after(self.client.seen(), timeouts.client_ms), after(server_seen, timeouts.server_ms)]
    }

    fn idle(&mut self, core: &Core) -> Fate {
        let [client, server] = self.idle_deadlines();
        if client <= core.now {
            self.service.shared.cells(core.worker).client_timeout.add(1);
            let is_tunnel = self.service.config.timeouts.tunnel_ms != 0;
            self.note(if is_tunnel { Cause::TunnelTimeout } else { Cause::ClientTimeout });
        } else if server <= core.now {
            self.note(Cause::ServerTimeout);
            if let Some(upstream) = &self.upstream {
                upstream.server.shared.cells(core.worker).server_timeout.add(1);
            }
        } else {
            return Fate::Stays;
        }
        self.reset()
    }

    fn begin_trace(&mut self, core: &mut Core) {
        if self.service.journal.is_some() && self.trace.is_none() {
            let mut trace = Box::new(Trace::new());
            trace.begin(self.accepted, self.accepted, core.clerk.number());
            self.trace = Some(trace);
        }
    }

    /// It has a place at this server.
    fn trace_place(&mut self, core: &Core, server: &Arc<Server>) {
        let counts = [self.service.shared.active(), server.shared.active()];
        if let Some(trace) = &mut self.trace {
            trace.place(core.now, [core.clerk.connections, counts[0], counts[1]], server);
        }
    }

    /// It ends for this reason, unless there was another before.
    fn note(&mut self, cause: Cause) {
        let stage = match self.phase {
            // It has not said all of what it has to say.
            Phase::Listening(_) | Phase::Waiting(..) => Stage::Queue,
            Phase::Connecting(_) | Phase::Securing(_) | Phase::Pausing(_) => Stage::Connect,
            Phase::Open if self.upstream.is_none() => Stage::Connect,
            Phase::Open => Stage::Data,
        };
        if let Some(trace) = &mut self.trace {
            trace.note(cause, stage);
        }
    }

    /// An attempt at a real server has failed.
    fn note_failure(&mut self, cause: Cause) {
        if let Some(trace) = &mut self.trace {
            trace.failure = Some(cause);
        }
    }

    /// Writes its line. A request that became a pair is one of HTTP mode.
    fn record(&mut self, core: &mut Core) {
        let Some(trace) = &mut self.trace else { return };
        let line = Line {
            trace,
            service: &self.service,
            client: self.client_address,
            destination: self.destination,
            is_secure: self.client.is_secure(),
            tls: self.client.tls(),
            is_http: self.service.config.mode == Mode::Http,
            now: core.now,
            epoch: core.clerk.epoch,
        };
        core.clerk.write(&self.service, &line);
        trace.close();
    }

    /// Both sides learn that this did not end well.
    fn reset(&mut self) -> Fate {
        self.client.abort();
        if let Some(upstream) = &self.upstream {
            upstream.side.abort();
        }
        Fate::Over
    }

    /// The stream of HTTP/2 that is its client, if one is.
    pub fn stream(&mut self) -> Option<&mut Stream> {
        self.client.stream()
    }

    /// What the connection that carries it has to hear.
    pub fn news(&mut self) -> Option<News> {
        self.client.stream()?.news(self.key)
    }

    /// Gives back what it holds.
    pub fn dispose(mut self, core: &mut Core) {
        if let Some(stream) = self.client.stream() {
            core.streams -= 1;
            core.news.push(stream.last_news(self.key));
        }
        self.record(core);
        self.up.discard(&mut core.pools);
        self.down.discard(&mut core.pools);
        self.client.discard(&mut core.pools);
        if let Some(upstream) = &mut self.upstream {
            upstream.side.discard(&mut core.pools);
        }
    }
}

impl Turn {
    fn add(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.more |= other.more;
    }
}

/// When a client that still sends, although all is said, is left alone.
pub fn linger_until(now: u64) -> u64 {
    now + LINGER
}

/// `ms` from now; 0 is never.
pub fn after(now: u64, ms: u32) -> u64 {
    if ms == 0 { NEVER } else { now + u64::from(ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // 10,000 connections in 32 MB of our own memory are 3 KB each; this is what remains of
        // one, with nothing on its way.
        let bytes = size_of::<Pair>() + size_of::<crate::connection::Connection>();
        assert!(bytes <= 512, "{bytes} bytes");
    }
}
