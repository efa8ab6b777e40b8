//! A connection of any protocol: one enum, so that the loop calls no pointer and allocates
//! nothing per event.

use crate::core::Core;
use crate::http::Session;
use crate::plan::{Plan, Service};
use crate::slab::{End, Key};
use crate::tcp::{Fate, NEVER, Pair};
use l7_api::Mode;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub enum Connection {
    /// TCP mode.
    Tcp(Box<Pair>),
    /// HTTP mode.
    Http(Box<Session>),
    /// Between two protocols: within one call only.
    Changing,
}

/// What can happen to a connection. Afterwards it is dropped or has a new deadline.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It was just accepted.
    Accepted,
    /// An edge of one of its sockets.
    Event(End, EventFlags),
    /// It had more to do than its last turn allowed.
    Resumed,
    /// A place that it waits for may be free.
    Called,
    /// Its deadline may have come.
    Expired,
    /// A new plan is in force.
    Replanned(&'a Plan),
    /// It is to be cut from this moment on.
    CutFrom(u64),
    /// It is cut now.
    Cut,
}

impl Connection {
    /// What the service's mode makes of a client's socket. `from` is the client's end, `vip` ours.
    pub fn new(
        key: Key,
        fd: OwnedFd,
        (from, vip): (SocketAddr, SocketAddr),
        service: Arc<Service>,
        now: u64,
    ) -> Self {
        match service.config.mode {
            Mode::Tcp => Self::Tcp(Box::new(Pair::new(key, fd, from, vip, service, now))),
            Mode::Http => Self::Http(Box::new(Session::new(key, fd, from, vip, service, now))),
        }
    }

    /// Tells the connection what happened.
    pub fn tell(&mut self, core: &mut Core, what: Happening<'_>) -> Fate {
        match self {
            Self::Tcp(pair) => match what {
                Happening::Accepted => pair.begin(core),
                Happening::Event(end, flags) => pair.event(core, end, flags),
                Happening::Resumed => pair.resume(core),
                Happening::Called => pair.retry(core),
                Happening::Expired => pair.expired(core),
                Happening::Replanned(plan) => pair.replan(core, plan),
                Happening::CutFrom(moment) => {
                    pair.cut_from(moment);
                    pair.expired(core)
                }
                Happening::Cut => pair.cut(core),
            },
            Self::Http(session) => {
                let fate = match what {
                    Happening::Accepted => session.begin(core),
                    Happening::Event(end, flags) => session.event(core, end, flags),
                    Happening::Resumed => session.resume(core),
                    Happening::Called => session.retry(core),
                    Happening::Expired => session.expired(core),
                    Happening::Replanned(plan) => session.replan(core, plan),
                    Happening::CutFrom(moment) => {
                        session.cut_from(moment);
                        session.expired(core)
                    }
                    Happening::Cut => session.cut(core),
                };
                if session.is_upgraded() && fate == Fate::Stays { self.change(core) } else { fate }
            }
            Self::Changing => Fate::Over,
        }
    }

    /// An upgraded session goes on in TCP mode.
    fn change(&mut self, core: &mut Core) -> Fate {
        let Self::Http(session) = std::mem::replace(self, Self::Changing) else {
            return Fate::Over;
        };
        match session.into_pair(core) {
            Some(mut pair) => {
                let fate = pair.resume(core);
                *self = Self::Tcp(Box::new(pair));
                fate
            }
            None => Fate::Over,
        }
    }

    /// When it has to hear [`Happening::Expired`]; `u64::MAX` is never.
    pub fn deadline(&self) -> u64 {
        match self {
            Self::Tcp(pair) => pair.deadline(),
            Self::Http(session) => session.deadline(),
            Self::Changing => NEVER,
        }
    }

    /// Ends it, giving back what it holds of the pools.
    pub fn dispose(self, core: &mut Core) {
        match self {
            Self::Tcp(pair) => pair.dispose(core),
            Self::Http(session) => session.dispose(core),
            Self::Changing => {}
        }
    }
}
