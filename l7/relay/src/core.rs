//! What all connections of a worker use: the poll set, the clock of this turn, timers, pools,
//! the plan and the schedulers.

use crate::connection::{Connection, Happening};
use crate::files::{File, Files, Use};
use crate::http::{Desk, Session};
use crate::journal::Clerk;
use crate::mailbox::Mailboxes;
use crate::plan::{Plan, Service};
use crate::pools::Pools;
use crate::schedule::{Candidate, Schedule};
use crate::shed::Shedder;
use crate::slab::{Key, Slab, Token};
use crate::tcp::{Fate, NEVER};
use crate::transport::{News, Stream, Transport};
use crate::turns::Turns;
use crate::wheel::Wheel;
use l7_api::ServiceId;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Milliseconds that accepting rests after descriptors or memory have run out.
const ACCEPT_PAUSE: u64 = 50;

/// See the module.
#[derive(Debug)]
pub struct Core {
    /// Number of this worker.
    pub worker: usize,
    /// Milliseconds of the monotonic clock, read once per turn.
    pub now: u64,
    /// Everything open: clients' connections, the sessions of HTTP/2 streams, and connections to
    /// real servers that speak HTTP/2.
    pub connections: Slab<Connection>,
    /// Those among them that are no client's connection.
    pub streams: usize,
    /// What sessions have for the connections of HTTP/2 that carry their streams.
    pub news: Vec<News>,
    pub wheel: Wheel,
    pub pools: Pools,
    /// Of the whole process.
    pub files: Arc<Files>,
    pub mailboxes: Arc<Mailboxes>,
    /// Connections that have more to do than one turn allows.
    pub again: Vec<Key>,
    /// How long turns are.
    pub turns: Turns,
    /// Accepting rests until then.
    pub accept_from: u64,
    pub plan: Option<Arc<Plan>>,
    /// What sessions in HTTP mode share.
    pub desk: Desk,
    /// Who makes room when descriptors are scarce.
    pub shedder: Shedder,
    /// The access logs.
    pub clerk: Clerk,
    poll: OwnedFd,
    schedules: HashMap<ServiceId, (Arc<Service>, Schedule)>,
}

impl Core {
    /// A core with nothing to do.
    ///
    /// # Errors
    /// When the kernel gives no poll set.
    pub fn new(
        worker: usize,
        mailboxes: Arc<Mailboxes>,
        files: Arc<Files>,
        now: u64,
    ) -> io::Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = mailboxes.event(worker);
        epoll::add(&poll, event, EventData::new_u64(Token::Mailbox.pack()), EventFlags::IN)?;
        Ok(Self {
            worker,
            now,
            connections: Slab::new(),
            streams: 0,
            news: Vec::new(),
            wheel: Wheel::new(now),
            pools: Pools::new(files.clone()),
            files,
            mailboxes,
            again: Vec::new(),
            turns: Turns::default(),
            accept_from: 0,
            plan: None,
            desk: Desk::new(),
            shedder: Shedder::default(),
            clerk: Clerk::new(worker),
            poll,
            schedules: HashMap::new(),
        })
    }

    /// Tells a connection what happened, and then either drops it or sets its timer. Meanwhile
    /// it is not to be found by its key: it may tell others, and they cannot tell it.
    pub fn tell(&mut self, key: Key, what: Happening<'_>) {
        let Some(mut connection) = self.connections.take(key) else { return };
        match connection.tell(self, what) {
            Fate::Stays => {
                match connection.deadline() {
                    NEVER => self.wheel.clear(key.index),
                    due => self.wheel.set(key.index, due),
                }
                self.news.extend(connection.news().into_iter().flatten());
                self.connections.restore(key, connection);
            }
            Fate::Over => {
                self.connections.vacate(key);
                self.wheel.clear(key.index);
                connection.dispose(self);
            }
        }
    }

    /// Has a session go on in its turn.
    pub fn wake(&mut self, key: Key) {
        if self.session(key).is_some_and(Session::enlist) {
            self.again.push(key);
        }
    }

    /// Ends a session of an HTTP/2 stream, of which nothing more is wanted.
    pub fn dismiss(&mut self, key: Key) {
        if let Some(connection) = self.connections.remove(key) {
            self.wheel.clear(key.index);
            connection.dispose(self);
        }
    }

    /// A session, unless it has gone.
    pub fn session(&mut self, key: Key) -> Option<&mut Session> {
        match self.connections.get_mut(key)? {
            Connection::Http(session) => Some(session),
            _ => None,
        }
    }

    /// The stream of HTTP/2 that this session serves, or what it has become, unless it has gone.
    pub fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        match self.connections.get_mut(key)? {
            Connection::Http(session) => session.stream(),
            Connection::Tcp(pair) => pair.stream(),
            _ => None,
        }
    }

    /// Clients' connections.
    pub fn clients(&self) -> usize {
        self.connections.len() - self.streams
    }

    /// Whether something is listed that is to be done before the next wait.
    pub fn has_more_to_do(&self) -> bool {
        !self.again.is_empty() || !self.news.is_empty()
    }

    /// The poll set.
    pub fn poll(&self) -> &OwnedFd {
        &self.poll
    }

    /// Wants to hear of every edge of a connection's socket.
    pub fn watch(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.poll, fd, EventData::new_u64(token.pack()), edges)
    }

    /// The same for whatever socket a transport has.
    pub fn watch_transport(&self, transport: &Transport, token: Token) -> Result<(), Errno> {
        transport.side().map_or(Ok(()), |side| self.watch(side, token))
    }

    /// The same for one that is watched already, under another token.
    pub fn watch_again(&self, transport: &Transport, token: Token) -> Result<(), Errno> {
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let Some(side) = transport.side() else { return Ok(()) };
        epoll::modify(&self.poll, side, EventData::new_u64(token.pack()), edges)
    }

    /// Descriptors or memory have run out: lets go of what is idle, and accepts nothing for a
    /// moment, so that what is open can end.
    pub fn run_short(&mut self) {
        self.pools.shrink();
        self.desk.pool.clear();
        self.accept_from = self.now + ACCEPT_PAUSE;
    }

    /// For a connection to a real server. Where there is none left, the idle ones go.
    ///
    /// # Errors
    /// [`Errno::MFILE`].
    pub fn server_file(&mut self) -> Result<File, Errno> {
        if let Some(file) = self.files.take(Use::Server) {
            return Ok(file);
        }
        self.desk.pool.clear();
        self.files.take(Use::Server).ok_or_else(|| {
            self.shedder.count_unserved();
            Errno::MFILE
        })
    }

    /// The server among the candidates who gets the next connection of this client.
    pub fn choose(
        &mut self,
        service: &Arc<Service>,
        candidates: impl Iterator<Item = Candidate> + Clone,
        client: IpAddr,
    ) -> Option<usize> {
        let known = self.schedules.remove(&service.config.id);
        let (service, mut schedule) = match known {
            Some((of, schedule)) if Arc::ptr_eq(&of, service) => (of, schedule),
            other => {
                let ids = service.servers.iter().map(|server| server.config.id).collect();
                let previous = other.as_ref().map(|(_, schedule)| schedule);
                let scheduler = service.config.scheduler;
                (service.clone(), Schedule::new(scheduler, ids, self.worker, previous))
            }
        };
        let chosen = schedule.choose(candidates, client, service.hash_seed);
        self.schedules.insert(service.config.id, (service, schedule));
        chosen
    }

    /// Takes a new plan; schedulers of services that are gone are forgotten.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.schedules.retain(|id, _| plan.service(*id).is_some());
        let known = plan.those_who_keep_clients();
        self.clerk.forget();
        self.desk.pool.retain(|route| known.contains(&route.policy()));
        self.desk.backs.retain(|route| known.contains(&route.policy()));
        self.plan = Some(plan);
    }
}
