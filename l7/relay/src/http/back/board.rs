//! How a connection comes to be, and who shares it.

use super::{Back, Message, Phase, Ride};
use crate::connection::Connection;
use crate::core::Core;
use crate::dial::{Speech, dial};
use crate::http::frames::{Frames, MOST_OUTPUT_BYTES};
use crate::http::route::Route;
use crate::plan::{Server, Service};
use crate::side::{Read, Side};
use crate::slab::{End, Key, Token};
use crate::tcp::{Fate, NEVER, after};
use crate::transport::{Offer, Progress, Transport, Way};
use l7_api::ServerId;
use rustix::io::Errno;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Fields of a head that become its first line: status.
const PSEUDO_FIELDS: u16 = 1;
/// Milliseconds for which a real server that has chosen HTTP/1.1 is not asked again.
const HTTP1_MS: u64 = 60_000;

/// Connections of one worker to real servers that speak HTTP/2, and what is known of such servers.
#[derive(Debug, Default)]
pub struct Backs {
    /// Those that sessions may share.
    open: HashMap<ServerId, Vec<(Route, Key)>>,
    /// Routes on which HTTP/1.1 is spoken, until then.
    http1: Vec<(Route, u64)>,
}

impl Backs {
    /// Whether a server has lately chosen HTTP/1.1 on this route.
    pub fn speaks_http1(&self, route: &Route, now: u64) -> bool {
        self.http1.iter().any(|(other, until)| other == route && now < *until)
    }

    /// Those by routes that are not to be gone any more are not to be shared any more.
    pub fn retain(&mut self, keeps: impl Fn(&Route) -> bool) {
        self.open.values_mut().for_each(|row| row.retain(|(route, _)| keeps(route)));
        self.open.retain(|_, row| !row.is_empty());
        self.http1.retain(|(route, _)| keeps(route));
    }

    /// Whether this one may be shared.
    pub(super) fn has(&self, route: &Route, key: Key) -> bool {
        self.of(route).any(|other| other == key)
    }

    /// None is to be shared any more.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    fn of(&self, route: &Route) -> impl Iterator<Item = Key> {
        let row = self.open.get(&route.server).into_iter().flatten();
        row.filter(move |(other, _)| other == route).map(|(_, key)| *key)
    }

    pub(super) fn remove(&mut self, route: &Route, key: Key) {
        if let Some(row) = self.open.get_mut(&route.server) {
            row.retain(|(_, other)| *other != key);
            if row.is_empty() {
                self.open.remove(&route.server);
            }
        }
    }

    fn learn_http1(&mut self, route: &Route, now: u64) {
        self.http1.retain(|(other, until)| other != route && now < *until);
        self.http1.push((route.clone(), now + HTTP1_MS));
    }
}

impl Back {
    /// A connection by this route with room for one more, or a new one.
    ///
    /// # Errors
    /// The kernel's, when it could not even begin to connect.
    pub fn find(
        core: &mut Core,
        route: &Route,
        (service, server): (&Arc<Service>, &Arc<Server>),
        (client, vip): (IpAddr, SocketAddr),
    ) -> Result<Key, Errno> {
        let (backs, connections) = (&core.desk.backs, &mut core.connections);
        let has_room = |key: &Key| match connections.get_mut(*key) {
            Some(Connection::Back(back)) => back.has_room(),
            _ => false,
        };
        let found = backs.of(route).find(has_room);
        if let Some(key) = found {
            return Ok(key);
        }
        let file = core.server_file()?;
        let fd = dial(route.to, service.config.source, (client, vip.ip()), Speech::First)?;
        let side = Side::new(fd, file, core.now);
        let until = after(core.now, service.config.timeouts.connect_ms);
        let key = core.connections.insert(|key| {
            let parts = (route.clone(), service.clone(), server.clone());
            Connection::Back(Box::new(Self::new(key, parts, until)))
        });
        core.streams += 1;
        if let Err(e) = core.watch(&side, Token::Connection(key, End::Server)) {
            core.dismiss(key);
            return Err(e);
        }
        if let Some(Connection::Back(back)) = core.connections.get_mut(key) {
            back.side = Some(Transport::Plain(side));
        }
        if until != NEVER {
            core.wheel.set(key.index, until);
        }
        core.desk.backs.open.entry(route.server).or_default().push((route.clone(), key));
        Ok(key)
    }

    fn new(
        key: Key,
        (route, service, server): (Route, Arc<Service>, Arc<Server>),
        until: u64,
    ) -> Self {
        Self {
            key,
            route,
            frames: Frames::new(http2::Connection::client(settings(&service)), 0),
            service,
            server,
            side: None,
            phase: Phase::Connecting(until),
            rides: Vec::new(),
            free: Vec::new(),
            since: 0,
            heard: 0,
            pinged: None,
            is_ending: false,
            listed: false,
        }
    }

    /// Takes a session on; its number, and whether it may speak at once.
    pub fn board(&mut self, session: Key, to_head: bool) -> (u32, bool) {
        let number = self.free.pop().unwrap_or(self.rides.len() as u32);
        let ride = Ride {
            session,
            id: None,
            request: Message::request(),
            to_head,
            owed: 0,
            in_chunks: false,
            is_over: false,
            stalled: false,
            listed: false,
        };
        match self.rides.get_mut(number as usize) {
            Some(slot) => *slot = Some(ride),
            None => self.rides.push(Some(ride)),
        }
        (number, self.phase == Phase::Open)
    }

    /// Whether the server, as far as it has said, allows one more.
    fn has_room(&self) -> bool {
        let riders = self.rides.len() - self.free.len();
        !self.is_ending
            && self.frames.http2.takes_requests()
            && riders < self.frames.http2.most_requests()
    }

    /// The attempt to connect has ended.
    pub(super) fn connected(&mut self, core: &mut Core) -> Fate {
        let Some(side) = self.side.as_mut().filter(|side| side.is_writable()) else {
            return Fate::Stays;
        };
        if let Some(e) = side.side().and_then(Side::connect_error) {
            return self.fail(core, || Way::Refused(e));
        }
        self.server.shared.cells(core.worker).connected.add(1);
        let Some(tls) = &self.server.tls else { return self.open(core) };
        let connection = tls.connection(self.route.name(), self.route.to.ip(), Offer::All);
        let (Some(side), Ok(connection)) = (self.side.take(), connection) else {
            return self.fail(core, || Way::Refused(Errno::INVAL));
        };
        self.side = Some(side.encrypt(connection));
        self.phase = Phase::Securing(after(core.now, self.service.config.timeouts.connect_ms));
        self.secure(core)
    }

    /// Goes on with the handshake.
    pub(super) fn secure(&mut self, core: &mut Core) -> Fate {
        let Some(side) = &mut self.side else { return Fate::Over };
        match side.advance(&mut core.pools) {
            Progress::Pending => Fate::Stays,
            Progress::Failed => {
                side.explain(&self.server.config.name);
                self.fail(core, || Way::Unsecured)
            }
            Progress::Done if side.tls().is_some_and(|tls| tls.protocol() == Some(b"h2")) => {
                self.open(core)
            }
            Progress::Done => self.give_away(core),
        }
    }

    /// The server is there.
    fn open(&mut self, core: &mut Core) -> Fate {
        let patience = self.service.config.timeouts.connect_ms;
        self.phase = Phase::Greeting(after(core.now, patience));
        (self.since, self.heard) = (core.now, core.now);
        self.go_on(core)
    }

    /// What the server allows has come: nothing is in the way of those who wait.
    pub(super) fn greeted(&mut self, core: &mut Core) {
        if matches!(self.phase, Phase::Greeting(_)) {
            self.phase = Phase::Open;
            self.tell_all(core, || Way::Open);
        }
    }

    /// There will be no connection.
    pub(super) fn fail(&mut self, core: &mut Core, why: impl FnMut() -> Way) -> Fate {
        self.tell_all(core, why);
        Fate::Over
    }

    /// The server has chosen HTTP/1.1: one session gets the connection, the others open their own.
    fn give_away(&mut self, core: &mut Core) -> Fate {
        core.desk.backs.learn_http1(&self.route, core.now);
        let mut side = self.side.take().map(Box::new);
        self.tell_all(core, || Way::Http1(side.take()));
        if let Some(mut side) = side {
            side.close(true);
            side.discard(&mut core.pools);
        }
        Fate::Over
    }

    fn tell_all(&mut self, core: &mut Core, mut way: impl FnMut() -> Way) {
        for number in 0..self.rides.len() as u32 {
            let Some(stream) = self.stream(core, number) else { continue };
            *stream.way() = way();
            self.wake(core, number);
        }
    }

    /// Nobody is to find it any more; those on it hear how it ended.
    pub(super) fn lose(&mut self, core: &mut Core, end: Read) -> Fate {
        if self.phase != Phase::Open {
            return self.fail(core, || Way::Refused(Errno::CONNRESET));
        }
        for number in 0..self.rides.len() as u32 {
            self.end_ride(core, number, end);
        }
        Fate::Over
    }
}

/// What a real server may do.
fn settings(service: &Service) -> http2::Settings {
    let http = &service.config.http;
    let http2 = http.http2.unwrap_or_default();
    http2::Settings {
        streams: http2.streams.into(),
        stream_window: http2.window,
        connection_window: http2.window.saturating_mul(http2.streams.into()),
        head: http.limits.head.into(),
        fields: http.limits.fields.saturating_add(PSEUDO_FIELDS),
        output: MOST_OUTPUT_BYTES,
        ..http2::Settings::default()
    }
}
