//! A connection of any protocol: one enum, so that the loop calls no pointer and allocates
//! nothing per event.

use crate::core::Core;
use crate::files::File;
use crate::http::{Back, Becomes, Front, Session};
use crate::list::Profile;
use crate::plan::{Plan, Service};
use crate::slab::{End, Key};
use crate::tcp::{Fate, NEVER, Pair};
use crate::transport::{Arrival, Client, News, Outcome};
use l7_api::Mode;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub enum Connection {
    /// A client of whatever mode that is not there yet.
    Arriving(Box<Arrival>),
    /// TCP mode.
    Tcp(Box<Pair>),
    /// HTTP mode: a client that speaks HTTP/1, or a stream of one that speaks HTTP/2.
    Http(Box<Session>),
    /// HTTP mode: a client that speaks HTTP/2.
    Http2(Box<Front>),
    /// HTTP mode: to a real server that speaks HTTP/2.
    Back(Box<Back>),
    /// Between two of the others: within one call only.
    Changing,
}

/// What can happen to a connection. Afterwards it is dropped or has a new deadline.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It was just accepted.
    Accepted,
    /// An edge of one of its sockets.
    Event(End, EventFlags),
    /// It had more to do than its last turn allowed, or somebody has fed it.
    Resumed,
    /// One of its streams has something for the client.
    Stream(News),
    /// A place that it waits for may be free.
    Called,
    /// Its deadline may have come.
    Expired,
    /// A new plan is in force.
    Replanned(&'a Plan),
    /// A successor accepts: it ends as soon as its protocol allows.
    Retired,
    /// It is to be cut from this moment on.
    CutFrom(u64),
    /// It is cut now.
    Cut,
    /// It keeps us waiting, and others need what it holds: see [`Connection::waits`].
    Shed,
}

impl Connection {
    /// What the service's mode makes of a client's socket. `from` is the client's end, `vip` ours.
    pub fn new(
        key: Key,
        socket: (OwnedFd, File),
        (from, vip): (SocketAddr, SocketAddr),
        service: Arc<Service>,
        now: u64,
    ) -> Self {
        if Arrival::is_needed(&service, from.ip(), vip.port()) {
            return Self::Arriving(Box::new(Arrival::new(key, socket, (from, vip), service, now)));
        }
        Self::of(Client::bare(key, socket, (from, vip), service, now), now)
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
                Happening::Retired | Happening::Stream(_) | Happening::Shed => Fate::Stays,
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
                    Happening::Retired => session.retire(),
                    Happening::CutFrom(moment) => {
                        session.cut_from(moment);
                        session.expired(core)
                    }
                    Happening::Cut => session.cut(core),
                    Happening::Shed => session.shed(core),
                    Happening::Stream(_) => Fate::Stays,
                };
                match session.becomes() {
                    Some(becomes) if fate == Fate::Stays => self.change(core, becomes),
                    _ => fate,
                }
            }
            Self::Http2(front) => match what {
                // A session becomes one, or an arrival.
                Happening::Accepted => Fate::Stays,
                Happening::Event(_, flags) => front.event(core, flags),
                Happening::Resumed => front.resume(core),
                Happening::Stream(news) => front.hear(core, news),
                // Its sessions wait for places, not it.
                Happening::Called => Fate::Stays,
                Happening::Expired => front.expired(core),
                Happening::Replanned(plan) => front.replan(core, plan),
                Happening::Retired => front.retire(core),
                Happening::CutFrom(moment) => {
                    front.cut_from(moment);
                    front.expired(core)
                }
                Happening::Cut => front.cut(core),
                Happening::Shed => front.shed(core),
            },
            Self::Back(back) => match what {
                Happening::Event(_, flags) => back.event(core, flags),
                Happening::Resumed => back.resume(core),
                Happening::Stream(news) => back.hear(core, news),
                Happening::Expired => back.expired(core),
                Happening::Replanned(_) => back.replan(core),
                Happening::Retired => back.retire(core),
                Happening::Cut => back.cut(core),
                // The sessions on it are told themselves; it has a real server's file, and is
                // no client to be shed.
                Happening::Accepted
                | Happening::Called
                | Happening::CutFrom(_)
                | Happening::Shed => Fate::Stays,
            },
            Self::Arriving(_) => self.arrive(core, what),
            Self::Changing => Fate::Over,
        }
    }

    /// A session goes on as something else.
    fn change(&mut self, core: &mut Core, becomes: Becomes) -> Fate {
        let Self::Http(session) = std::mem::replace(self, Self::Changing) else {
            return Fate::Over;
        };
        if becomes == Becomes::Http2 {
            let (client, said) = session.into_front(core);
            return self.speak_http2(core, client, said);
        }
        match session.into_pair(core) {
            Some(mut pair) => {
                let fate = pair.resume(core);
                *self = Self::Tcp(Box::new(pair));
                fate
            }
            None => Fate::Over,
        }
    }

    fn speak_http2(&mut self, core: &mut Core, client: Client, said: Vec<u8>) -> Fate {
        let mut front = Box::new(Front::new(client, core));
        let fate = front.begin(core, said);
        *self = Self::Http2(front);
        fate
    }

    /// What the connections that carry a session's streams have to hear of it: its client's, and
    /// its real server's.
    pub fn news(&mut self) -> [Option<News>; 2] {
        match self {
            Self::Http(session) => session.news(),
            Self::Tcp(pair) => [pair.news(), None],
            _ => [None; 2],
        }
    }

    /// Whether nothing is lost with it but patience: the client has asked for nothing whole that
    /// is not answered. Whether it was ever served, and since when it keeps us waiting.
    pub fn waits(&mut self) -> Option<(bool, u64)> {
        match self {
            Self::Arriving(arrival) => Some((false, arrival.waits_since())),
            Self::Http(session) => session.waits(),
            Self::Http2(front) => front.waits(),
            Self::Tcp(_) | Self::Back(_) | Self::Changing => None,
        }
    }

    /// What it says of itself; `None`: it is no client's connection.
    pub fn profile(&self) -> Option<Profile<'_>> {
        match self {
            Self::Arriving(arrival) => Some(arrival.profile()),
            Self::Tcp(pair) => Some(pair.profile()),
            Self::Http(session) => session.profile(),
            Self::Http2(front) => Some(front.profile()),
            Self::Back(_) | Self::Changing => None,
        }
    }

    /// When it has to hear [`Happening::Expired`]; `u64::MAX` is never.
    pub fn deadline(&mut self) -> u64 {
        match self {
            Self::Tcp(pair) => pair.deadline(),
            Self::Http(session) => session.deadline(),
            Self::Http2(front) => front.deadline(),
            Self::Back(back) => back.deadline(),
            Self::Arriving(arrival) => arrival.deadline(),
            Self::Changing => NEVER,
        }
    }

    /// Ends it, giving back what it holds of the pools.
    pub fn dispose(self, core: &mut Core) {
        match self {
            Self::Tcp(pair) => pair.dispose(core),
            Self::Http(session) => session.dispose(core),
            Self::Http2(front) => front.dispose(core),
            Self::Back(back) => back.dispose(core),
            Self::Arriving(arrival) => arrival.dispose(core),
            Self::Changing => {}
        }
    }

    /// What the service's mode makes of a client who is there.
    fn of(client: Client, now: u64) -> Self {
        match client.service.config.mode {
            Mode::Tcp => Self::Tcp(Box::new(Pair::new(client, now))),
            Mode::Http => Self::Http(Box::new(Session::new(client, now))),
        }
    }

    fn arrive(&mut self, core: &mut Core, what: Happening<'_>) -> Fate {
        let Self::Arriving(mut arrival) = std::mem::replace(self, Self::Changing) else {
            return Fate::Over;
        };
        let outcome = match what {
            Happening::Accepted => arrival.begin(core),
            Happening::Event(_, flags) => arrival.event(core, flags),
            // A client that arrives after a successor took over ends by its idle timeout.
            Happening::Resumed | Happening::Called | Happening::Retired | Happening::Stream(_) => {
                Outcome::Pending(arrival)
            }
            Happening::Expired => arrival.expired(core),
            Happening::Replanned(plan) => arrival.replan(core, plan),
            Happening::CutFrom(moment) => {
                arrival.cut_from(moment);
                arrival.expired(core)
            }
            Happening::Cut => arrival.cut(core),
            Happening::Shed => arrival.shed(core),
        };
        match outcome {
            Outcome::Pending(arrival) => {
                *self = Self::Arriving(arrival);
                Fate::Stays
            }
            Outcome::Over(arrival) => {
                *self = Self::Arriving(arrival);
                Fate::Over
            }
            Outcome::Arrived(client) => {
                if client.has_chosen_http2() {
                    return self.speak_http2(core, client, Vec::new());
                }
                *self = Self::of(client, core.now);
                match self {
                    Self::Tcp(pair) => pair.start(core),
                    // What it says may have come with the last of the handshake.
                    Self::Http(session) => session.resume(core),
                    _ => Fate::Over,
                }
            }
        }
    }
}
