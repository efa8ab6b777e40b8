//! A client that was accepted and is not there yet: first the PROXY protocol header, if it comes
//! from where headers are believed, then the TLS handshake.

use super::{Client, Progress, Terminate};
use crate::core::Core;
use crate::files::File;
use crate::journal::{self, Cause, Line, Trace};
use crate::list::Profile;
use crate::plan::{Plan, Service};
use crate::side::Read;
use crate::slab::{End, Key, Token};
use crate::tcp::{NEVER, after, linger_until};
use l7_api::{Mode, Prefix, Removal, Spoken};
use proxyproto::Origin;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The longest header that is taken. Forwarders send some hundred bytes.
const HEADER_BYTES: usize = 2048;

/// See the module.
#[derive(Debug)]
pub struct Arrival {
    client: Client,
    stage: Stage,
    /// When its patience ends.
    until: u64,
    /// When it is cut because what it belongs to was removed.
    cut_at: u64,
}

/// What became of an arrival.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on.
    Pending(Box<Arrival>),
    /// It is there.
    Arrived(Client),
    /// It is gone.
    Over(Box<Arrival>),
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Handshake,
    /// It is told why there is no TLS. In TLS 1.3 a client whose certificate is refused has mostly
    /// sent its request by then.
    Lingering,
}

/// Reads of what a lingering client still sends, each time that something comes; more is not waited for.
const READS: usize = 16;

impl Arrival {
    /// Whether clients of this service, coming from there to this port, have to arrive first.
    pub fn is_needed(service: &Service, from: IpAddr, port: u16) -> bool {
        service.terminates(port).is_some() || is_trusted(&service.config.proxy_in, from)
    }

    /// A client that was just accepted, of such a service; [`Self::begin`] is next.
    pub fn new(
        key: Key,
        socket: (OwnedFd, File),
        (address, vip): (SocketAddr, SocketAddr),
        service: Arc<Service>,
        now: u64,
    ) -> Self {
        let header = is_trusted(&service.config.proxy_in, address.ip());
        let until = after(now, service.config.timeouts.handshake_ms);
        Self {
            client: Client::bare(key, socket, (address, vip), service, now),
            stage: if header { Stage::Header } else { Stage::Handshake },
            until,
            cut_at: NEVER,
        }
    }

    /// Counts it and waits for its first byte.
    pub fn begin(self: Box<Self>, core: &mut Core) -> Outcome {
        self.client.service.shared.cells(core.worker).accepted.add(1);
        let token = Token::Connection(self.client.key, End::Client);
        if core.watch_transport(&self.client.transport, token).is_err() {
            core.run_short();
            return self.fail_ourselves(core);
        }
        match self.stage {
            Stage::Header | Stage::Lingering => Outcome::Pending(self),
            Stage::Handshake => match self.secure() {
                Ok(arrival) => Outcome::Pending(arrival),
                Err(arrival) => arrival.fail_ourselves(core),
            },
        }
    }

    /// The kernel reports an edge of its socket.
    pub fn event(mut self: Box<Self>, core: &mut Core, flags: EventFlags) -> Outcome {
        self.client.transport.note(flags);
        if self.stage == Stage::Lingering {
            return self.linger();
        }
        if self.stage == Stage::Header {
            match self.read_header() {
                Some(true) => {}
                Some(false) => return Outcome::Pending(self),
                None => {
                    self.client.service.shared.cells(core.worker).proxy_refused.add(1);
                    return self.refuse(core, Cause::ProxyHeader);
                }
            }
            if self.terminate(&self.client.service).is_none() {
                return Outcome::Arrived(self.client);
            }
            self = match self.secure() {
                Ok(arrival) => arrival,
                Err(arrival) => return arrival.fail_ourselves(core),
            };
        }
        self.shake_hands(core)
    }

    /// Its deadline may have come.
    pub fn expired(self: Box<Self>, core: &mut Core) -> Outcome {
        let cells = self.client.service.shared.cells(core.worker);
        if self.stage == Stage::Lingering {
            return if self.deadline() <= core.now {
                Outcome::Over(self)
            } else {
                Outcome::Pending(self)
            };
        }
        if self.cut_at <= core.now {
            cells.cut.add(1);
            self.refuse(core, Cause::Cut)
        } else if self.until <= core.now {
            cells.handshake_timeout.add(1);
            self.refuse(core, Cause::HandshakeTimeout)
        } else {
            Outcome::Pending(self)
        }
    }

    /// A new plan is in force: it goes on as it began, and then by the new one.
    pub fn replan(mut self: Box<Self>, core: &mut Core, plan: &Plan) -> Outcome {
        match plan.service(self.client.service.config.id) {
            Some(service) => {
                self.cut_at = NEVER;
                // What it shakes hands for stays what it is for.
                let (new, old) = (self.terminate(service), self.terminate(&self.client.service));
                if new.is_some() == old.is_some() {
                    self.client.service = service.clone();
                }
            }
            None => {
                if let Removal::CutAfter { ms } = self.client.service.config.on_removal {
                    self.cut_at = self.cut_at.min(core.now + u64::from(ms));
                }
            }
        }
        self.expired(core)
    }

    /// From this moment on it is to be cut, if it is still there.
    pub fn cut_from(&mut self, moment: u64) {
        self.cut_at = self.cut_at.min(moment);
    }

    /// Ends it at once.
    pub fn cut(self: Box<Self>, core: &mut Core) -> Outcome {
        if self.stage == Stage::Lingering {
            return Outcome::Over(self);
        }
        self.client.service.shared.cells(core.worker).cut.add(1);
        self.refuse(core, Cause::Cut)
    }

    /// What it says of itself.
    pub fn profile(&self) -> Profile<'_> {
        let Client { transport, address, vip, service, .. } = &self.client;
        Profile {
            service,
            client: *address,
            vip: *vip,
            transport,
            server: None,
            protocol: match service.config.mode {
                Mode::Tcp => Spoken::Tcp,
                Mode::Http => Spoken::Http1,
            },
            streams: 0,
            state: match self.stage {
                Stage::Header => "proxy-header",
                Stage::Handshake => "handshake",
                Stage::Lingering => "closing",
            },
        }
    }

    /// Since when it keeps us waiting.
    pub fn waits_since(&self) -> u64 {
        self.client.accepted
    }

    /// Makes room for others.
    pub fn shed(self: Box<Self>, core: &mut Core) -> Outcome {
        if self.stage == Stage::Lingering {
            return Outcome::Over(self);
        }
        self.client.service.shared.cells(core.worker).shed.add(1);
        self.refuse(core, Cause::Shed)
    }

    /// When it has to hear [`Self::expired`].
    pub fn deadline(&self) -> u64 {
        self.until.min(self.cut_at)
    }

    /// Gives back what it holds.
    pub fn dispose(mut self, core: &mut Core) {
        self.client.transport.discard(&mut core.pools);
    }

    fn fail_ourselves(self: Box<Self>, core: &mut Core) -> Outcome {
        self.client.service.shared.cells(core.worker).our_fault.add(1);
        self.refuse(core, Cause::OurShortage)
    }

    /// A reset, which says all there is to say.
    fn refuse(self: Box<Self>, core: &mut Core, cause: Cause) -> Outcome {
        self.client.transport.abort();
        self.record(core, cause);
        Outcome::Over(self)
    }

    /// It did not come so far that it could ask for anything.
    fn record(&self, core: &mut Core, cause: Cause) {
        let Client { service, .. } = &self.client;
        if service.journal.is_none() {
            return;
        }
        let mut trace = Trace::new();
        trace.begin(self.client.accepted, self.client.accepted, core.clerk.number());
        trace.note(cause, journal::Stage::Request);
        let line = Line {
            trace: &trace,
            service,
            client: self.client.address,
            destination: self.client.destination,
            is_secure: self.terminate(service).is_some(),
            tls: None,
            is_http: service.config.mode == Mode::Http,
            now: core.now,
            epoch: core.clerk.epoch,
        };
        core.clerk.write(service, &line);
    }

    /// Begins with TLS. An error is our fault, not the client's.
    fn secure(self: Box<Self>) -> Result<Box<Self>, Box<Self>> {
        let terminate = self.terminate(&self.client.service);
        let Some(Ok(connection)) = terminate.map(|terminate| terminate.connection()) else {
            return Err(self);
        };
        let Self { client, until, cut_at, .. } = *self;
        let client = Client { transport: client.transport.encrypt(connection), ..client };
        Ok(Box::new(Self { client, stage: Stage::Handshake, until, cut_at }))
    }

    /// What this client speaks TLS by if it is of `service`.
    fn terminate<'a>(&self, service: &'a Service) -> Option<&'a Arc<Terminate>> {
        service.terminates(self.client.vip.port())
    }

    fn shake_hands(mut self: Box<Self>, core: &mut Core) -> Outcome {
        let progress = self.client.transport.advance(&mut core.pools);
        let cells = self.client.service.shared.cells(core.worker);
        match progress {
            Progress::Pending => Outcome::Pending(self),
            Progress::Done => {
                cells.tls_handshakes.add(1);
                if self.client.transport.tls().is_some_and(|tls| tls.is_resumed()) {
                    cells.tls_resumed.add(1);
                }
                self.client.transport.touch(core.now);
                Outcome::Arrived(self.client)
            }
            Progress::Failed => {
                cells.tls_failed.add(1);
                self.explain();
                // Whoever came and went without a word looked whether we are there.
                if self.client.transport.tls().is_some_and(|tls| tls.has_heard()) {
                    self.record(core, Cause::ClientTls);
                }
                self.stage = Stage::Lingering;
                self.until = linger_until(core.now);
                self.client.transport.finish(false);
                self.linger()
            }
        }
    }

    /// Until the client has heard it, which it says by its end.
    fn linger(mut self: Box<Self>) -> Outcome {
        let mut dropped = [0; 4096];
        for _ in 0..READS {
            let Some(side) = self.client.transport.side_mut() else { break };
            match side.read(&mut dropped) {
                Read::Bytes(_) => {}
                Read::Nothing => return Outcome::Pending(self),
                Read::End | Read::Reset => break,
            }
        }
        Outcome::Over(self)
    }

    fn explain(&self) {
        let Client { address, service, transport, .. } = &self.client;
        let why = transport.failure();
        log::debug!("service {:?}: no TLS with client {address}: {why}", service.config.name);
    }

    /// Whether the header is read; `None` when there is none and will be none.
    fn read_header(&mut self) -> Option<bool> {
        let side = self.client.transport.bare()?;
        let mut window = [0; HEADER_BYTES];
        let bytes = match side.peek(&mut window) {
            Read::Bytes(count) => window.get(..count)?,
            Read::Nothing => return Some(false),
            Read::End | Read::Reset => return None,
        };
        let (header, length) = match proxyproto::decode(bytes, HEADER_BYTES) {
            Ok(Some(found)) => found,
            // What would complete it cannot come any more.
            Ok(None) if side.is_hung_up() => return None,
            Ok(None) => return Some(false),
            Err(e) => {
                log::debug!("{} is to say who its client is: {e}", self.client.address);
                return None;
            }
        };
        let origin = header.origin;
        let taken = side.read(window.get_mut(..length)?);
        if taken != Read::Bytes(length) {
            return None;
        }
        if let Origin::Tcp(ends) = origin {
            (self.client.address, self.client.destination) = (ends.source, ends.destination);
        }
        Some(true)
    }
}

/// Whether headers from there are believed, and demanded.
fn is_trusted(prefixes: &[Prefix], from: IpAddr) -> bool {
    prefixes.iter().any(|prefix| contains(prefix, from))
}

fn contains(prefix: &Prefix, address: IpAddr) -> bool {
    let length = u32::from(prefix.length);
    match (prefix.address, address.to_canonical()) {
        (IpAddr::V4(of), IpAddr::V4(is)) => {
            let differ = of.to_bits() ^ is.to_bits();
            differ.leading_zeros() >= length
        }
        (IpAddr::V6(of), IpAddr::V6(is)) => {
            let differ = of.to_bits() ^ is.to_bits();
            differ.leading_zeros() >= length
        }
        _ => false,
    }
}
