//! A worker: one thread, one poll set, its own listening sockets and connections.
//!
//! One turn: wait, read the clock, serve what the kernel reports, read the mailbox, go on with
//! connections that had more to do than one turn allows, fire timers.

use crate::connection::{Connection, Happening};
use crate::core::Core;
use crate::dial::is_shortage;
use crate::files::{File, Use};
use crate::listen::Socket;
use crate::mailbox::Command;
use crate::plan::{Plan, Service};
use crate::slab::{End, Key, Token};
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Connections accepted from one socket before others have their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// Events taken from the kernel at once.
const EVENTS_PER_TURN: usize = 256;
/// Milliseconds between two looks at the wall's clock.
const LOOK: u64 = 1_000;

/// What a worker tells the engine.
#[derive(Debug)]
pub enum Report {
    /// It works by this generation.
    Applied(u64),
    /// Its thread ends: it was told to, or it panicked.
    Ended,
}

/// What others may read of a worker at any time.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Open client connections.
    pub connections: AtomicU64,
    /// Times that accepting was paused for want of descriptors or memory.
    pub accept_pauses: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub struct Worker {
    core: Core,
    listeners: Vec<Option<Listener>>,
    accepting: bool,
    most_connections: usize,
    clock: Instant,
    /// When the wall's clock is looked at again.
    look_at: u64,
    gauges: Arc<Gauges>,
    reports: Sender<Report>,
    stopped: bool,
}

#[derive(Debug)]
struct Listener {
    socket: Arc<Socket>,
    service: Arc<Service>,
}

impl Worker {
    /// A worker that accepts nothing yet and will have `most_connections` at most. `clock` is
    /// when its milliseconds began.
    pub fn new(
        core: Core,
        most_connections: usize,
        clock: Instant,
        gauges: Arc<Gauges>,
        reports: Sender<Report>,
    ) -> Self {
        Self {
            core,
            listeners: Vec::new(),
            accepting: true,
            most_connections,
            clock,
            look_at: 0,
            gauges,
            reports,
            stopped: false,
        }
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// When the poll set fails, which it does not.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        let mut due = Vec::new();
        while !self.stopped {
            self.wait(&mut events)?;
            self.read_clocks();
            for event in events.drain(..) {
                self.serve(event);
            }
            self.resume();
            self.core.wheel.expire(self.core.now, &mut due);
            for index in due.drain(..) {
                if let Some(key) = self.core.connections.key_at(index) {
                    self.tell(key, Happening::Expired);
                }
            }
            self.core.desk.pool.sweep(self.core.now);
            self.core.make_room();
            self.core.clerk.flush();
            self.set_accepting();
            self.core.clerk.connections = self.core.clients() as u32;
            self.gauges.connections.store(self.core.clients() as u64, Relaxed);
        }
        Ok(())
    }

    /// The wall's clock is looked at once in a while, because it may be set.
    fn read_clocks(&mut self) {
        self.core.now = self.clock.elapsed().as_millis() as u64;
        if self.core.now >= self.look_at {
            self.look_at = self.core.now + LOOK;
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.core.clerk.epoch = (since.as_millis() as u64).saturating_sub(self.core.now);
        }
    }

    fn wait(&self, events: &mut Vec<Event>) -> io::Result<()> {
        let timeout = self.patience().map(|ms| Timespec {
            tv_sec: (ms / 1_000) as i64,
            tv_nsec: (ms % 1_000 * 1_000_000) as i64,
        });
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(self.core.poll(), room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Milliseconds that there is nothing to do of our own.
    fn patience(&self) -> Option<u64> {
        if self.core.has_more_to_do() {
            return Some(0);
        }
        let resume = (!self.accepting).then_some(self.core.accept_from);
        let sweep = self.core.desk.pool.next();
        let next = self.core.wheel.next().into_iter().chain(resume).chain(sweep).min()?;
        // A full worker looks after a while whether it still is.
        let least = if self.accepting { 0 } else { 1 };
        Some(next.saturating_sub(self.core.now).max(least))
    }

    fn serve(&mut self, event: Event) {
        // The structure is packed: its fields are copied out.
        let (data, flags) = (event.data, event.flags);
        match Token::unpack(data.u64()) {
            Token::Connection(key, end) => self.tell(key, Happening::Event(end, flags)),
            Token::Listener(number) => self.accept(number as usize),
            Token::Mailbox => self.obey(),
            Token::Seat(seat) => {
                if let Some(key) = self.core.desk.pool.note(seat, flags) {
                    self.tell(key, Happening::Event(End::Server, flags));
                }
            }
        }
    }

    fn tell(&mut self, key: Key, what: Happening<'_>) {
        self.core.tell(key, what);
    }

    fn resume(&mut self) {
        // What is listed while this goes on has its turn after the next wait.
        for news in std::mem::take(&mut self.core.news) {
            self.tell(news.front, Happening::Stream(news));
        }
        let again = std::mem::take(&mut self.core.again);
        self.core.turns.begin(again.len());
        for key in again {
            self.tell(key, Happening::Resumed);
        }
    }

    fn accept(&mut self, number: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Some(listener)) = self.listeners.get(number) else { return };
            if !self.may_accept() {
                return;
            }
            let Some(file) = self.core.files.take(Use::Client) else { return };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match acceptfrom_with(&listener.socket, flags) {
                Ok((fd, from)) => {
                    let vip = vip(&fd, listener.socket.key.address);
                    let from = from.and_then(|a| SocketAddr::try_from(a).ok());
                    let service = listener.service.clone();
                    if let (Some(from), Some(vip)) = (from, vip) {
                        self.welcome((fd, file), (from, vip), service);
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(e) if is_shortage(e) => return self.run_short(e),
                // This client is gone already, or its network failed: the next one may be fine.
                Err(_) => {}
            }
        }
    }

    fn welcome(
        &mut self,
        socket: (OwnedFd, File),
        ends: (SocketAddr, SocketAddr),
        service: Arc<Service>,
    ) {
        let now = self.core.now;
        let make = |key| Connection::new(key, socket, ends, service, now);
        let key = self.core.connections.insert(make);
        self.core.clerk.connections = self.core.clients() as u32;
        self.tell(key, Happening::Accepted);
    }

    fn run_short(&mut self, error: Errno) {
        log::warn!("worker {} accepts nothing for a moment: {error}", self.core.worker);
        self.core.run_short();
    }

    fn may_accept(&self) -> bool {
        self.core.connections.len() < self.most_connections
            && self.core.accept_from <= self.core.now
            && self.core.files.admits()
    }

    /// Takes the listening sockets out of the poll set when nothing may be accepted, and back in
    /// when it may: they are level-triggered and would wake us all the time.
    fn set_accepting(&mut self) {
        let may = self.may_accept();
        if may == self.accepting {
            return;
        }
        if !may {
            let pauses = &self.gauges.accept_pauses;
            pauses.store(pauses.load(Relaxed) + 1, Relaxed);
            self.core.accept_from = self.core.accept_from.max(self.core.now + 1);
        }
        self.accepting = may;
        for (number, listener) in self.listeners.iter().enumerate() {
            if let Some(listener) = listener {
                let data = EventData::new_u64(Token::Listener(number as u32).pack());
                if let Err(e) =
                    epoll::modify(self.core.poll(), &listener.socket, data, self.level())
                {
                    log::error!("cannot watch {}: {e}", listener.socket.key.address);
                }
            }
        }
    }

    fn level(&self) -> EventFlags {
        if self.accepting { EventFlags::IN } else { EventFlags::empty() }
    }

    fn obey(&mut self) {
        for command in self.core.mailboxes.clone().take(self.core.worker) {
            match command {
                Command::Apply(plan, sockets) => self.apply(plan, sockets),
                Command::Retry(key) => self.tell(key, Happening::Called),
                Command::List(from, most, to) => {
                    let _ = to.send(self.core.list(from, most));
                }
                Command::Retire(cut_after) => self.retire(cut_after),
                Command::Stop => {
                    self.tell_all(Happening::Cut);
                    self.stopped = true;
                }
            }
        }
    }

    /// New sockets are accepted from before old ones are closed, and what the kernel has already
    /// accepted for an old one is served.
    fn apply(&mut self, plan: Arc<Plan>, sockets: Vec<Arc<Socket>>) {
        let mut gone = Vec::new();
        for (number, slot) in self.listeners.iter_mut().enumerate() {
            let Some(listener) = slot else { continue };
            let kept = sockets.iter().any(|socket| Arc::ptr_eq(socket, &listener.socket));
            match plan.listener(listener.socket.key.address).filter(|_| kept) {
                Some(service) => listener.service = service.clone(),
                None => gone.push(number),
            }
        }
        for socket in sockets {
            self.listen(&plan, socket);
        }
        for number in gone {
            self.close_listener(number);
        }
        self.core.set_plan(plan.clone());
        self.tell_all(Happening::Replanned(&plan));
        let _ = self.reports.send(Report::Applied(plan.snapshot.generation));
    }

    fn listen(&mut self, plan: &Plan, socket: Arc<Socket>) {
        let mut known = self.listeners.iter().flatten();
        if known.any(|listener| Arc::ptr_eq(&listener.socket, &socket)) {
            return;
        }
        let Some(service) = plan.listener(socket.key.address).cloned() else { return };
        let number = self.listeners.iter().position(Option::is_none).unwrap_or_else(|| {
            self.listeners.push(None);
            self.listeners.len() - 1
        });
        let data = EventData::new_u64(Token::Listener(number as u32).pack());
        match epoll::add(self.core.poll(), socket.as_fd(), data, self.level()) {
            Ok(()) => self.listeners[number] = Some(Listener { socket, service }),
            Err(e) => log::error!("cannot watch {}: {e}", socket.key.address),
        }
    }

    fn close_listener(&mut self, number: usize) {
        self.accept(number);
        if let Some(Some(listener)) = self.listeners.get_mut(number).map(Option::take) {
            // The socket itself may be open elsewhere still, so it has to be taken out.
            let _ = epoll::delete(self.core.poll(), &listener.socket);
        }
    }

    fn retire(&mut self, cut_after: Option<u64>) {
        for listener in self.listeners.drain(..).flatten() {
            let _ = epoll::delete(self.core.poll(), &listener.socket);
        }
        self.core.desk.pool.clear();
        self.core.desk.backs.clear();
        self.tell_all(Happening::Retired);
        if let Some(ms) = cut_after {
            self.tell_all(Happening::CutFrom(self.core.now + ms));
        }
    }

    fn tell_all(&mut self, what: Happening<'_>) {
        for key in self.core.connections.keys() {
            self.tell(key, what);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.reports.send(Report::Ended);
    }
}

/// The address that a client came to: the listener's, or one of ours if it listens on all.
fn vip(fd: &OwnedFd, listener: SocketAddr) -> Option<SocketAddr> {
    if !listener.ip().is_unspecified() {
        return Some(listener);
    }
    getsockname(fd).ok().and_then(|address| SocketAddr::try_from(address).ok())
}
