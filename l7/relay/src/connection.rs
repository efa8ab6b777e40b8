//! A connection of any protocol: one enum, so that the loop calls no pointer and allocates
//! nothing per event.

use crate::core::Core;
use crate::plan::{Plan, Service};
use crate::slab::{End, Key};
use crate::tcp::{Fate, Pair};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub enum Connection {
    /// TCP mode.
    Tcp(Box<Pair>),
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
        Self::Tcp(Box::new(Pair::new(key, fd, from, vip, service, now)))
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
        }
    }

    /// When it has to hear [`Happening::Expired`]; `u64::MAX` is never.
    pub fn deadline(&self) -> u64 {
        match self {
            Self::Tcp(pair) => pair.deadline(),
        }
    }

    /// Ends it, giving back what it holds of the pools.
    pub fn dispose(self, core: &mut Core) {
        match self {
            Self::Tcp(pair) => pair.dispose(core),
        }
    }
}
