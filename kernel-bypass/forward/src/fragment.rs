//! Fragments: only the first one has ports, so it leaves a note where the others are to go.

use crate::{
    Output, Step, Verdict,
    classify::{Look, fragment_key},
    fate::lost,
    flow::as_sent,
    pass::{Pass, Side},
};
use api::{BackendState, DropReason, Mode, PuntReason};
use conn::{Entry, InsertError, Key, LastHop, New, Other};
use nic::Pool;
use wire::{Fragment, Packet, Parsed};

/// The fragments go to the client.
const TO_CLIENT: u16 = 1;

/// The fragments go to our own host.
const TO_HOST: u16 = 2;

/// Where the fragments of a datagram go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    flags: u16,
    backend: u32,
    service: u16,
    last_hop: LastHop,
    /// Addresses to be written, as the key of the packet after the rewrite.
    rewrite: Option<Key>,
}

impl Route {
    /// As the packets of the connection that the client sends.
    pub fn to_backend(connection: &Entry) -> Self {
        let rewrite = connection.reply().map(|key| key.reversed());
        Self { flags: 0, rewrite, ..Self::of(connection) }
    }

    /// As the packets of the connection that the real server sends.
    pub fn to_client(connection: &Entry) -> Self {
        let rewrite = Some(connection.key().reversed());
        Self { flags: TO_CLIENT, rewrite, ..Self::of(connection) }
    }

    /// To our own host.
    const fn to_host() -> Self {
        Self { flags: TO_HOST, backend: 0, service: 0, last_hop: LastHop::UNKNOWN, rewrite: None }
    }

    fn of(connection: &Entry) -> Self {
        Self {
            flags: 0,
            backend: connection.backend(),
            service: connection.service(),
            last_hop: connection.last_hop(),
            rewrite: None,
        }
    }

    fn is(&self, noted: &Entry) -> bool {
        noted.flags() == self.flags
            && noted.backend() == self.backend
            && noted.last_hop() == self.last_hop
            && noted.recipe() == self.rewrite
    }
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// If this is a first fragment, the others shall follow it.
    #[inline]
    pub fn note(&mut self, look: &Look, route: impl FnOnce() -> Route) {
        let Fragment::First { id } = look.parsed.fragment else { return };
        let route = route();
        let new = New {
            key: fragment_key(&look.parsed, id),
            other: route.rewrite.map_or(Other::None, Other::Recipe),
            backend: route.backend,
            service: route.service,
            flags: route.flags,
            state: 0,
            last_hop: route.last_hop,
            now: self.now,
        };
        let hash = self.table.hash(&new.key);
        match self.table.insert(hash, &new) {
            Err(InsertError::KeyExists(noted)) if route.is(&noted) => noted.touch(self.now),
            Err(InsertError::KeyExists(stale)) => {
                // Identifications come round; the newer datagram counts.
                self.table.remove(&stale);
                let _ = self.table.insert(hash, &new);
            }
            // Without room the later fragments wait, and are lost in the end, and counted.
            Ok(_) | Err(_) => {}
        }
        self.noted = true;
    }

    /// A first fragment was given to the host; the others are for the host too, unless nothing
    /// of that address can be ours anyway.
    pub fn note_for_host(&mut self, look: &Look) {
        if self.may_be_ours(&look.parsed) {
            self.note(look, Route::to_host);
        }
    }

    /// A fragment without ports.
    pub fn later_fragment(&mut self, packet: &mut P, look: &Look) -> Step<Verdict> {
        let Some(noted) = self.find_note(look) else {
            let ours = self.may_be_ours(&look.parsed);
            return Err(if ours { Verdict::Hold } else { Verdict::Host(PuntReason::NoService) });
        };
        if noted.flags() & TO_HOST != 0 {
            return Err(Verdict::Host(PuntReason::NoService));
        }
        noted.touch(self.now);
        let Some(backend) = self.plan.backend(noted.backend()) else {
            return lost(DropReason::BackendGone);
        };
        if backend.state == BackendState::Halt || backend.two_way() != noted.recipe().is_some() {
            return lost(DropReason::BackendGone);
        }
        let parsed = &look.parsed;
        let rewrite = noted.recipe().map(|key| as_sent(&key));
        if let Some(rewrite) = rewrite.filter(|_| noted.flags() & TO_CLIENT != 0) {
            let verdict = self.nat_reply(packet, parsed, &rewrite, noted.last_hop())?;
            self.counts.tally().by_backend(noted.backend(), parsed.l3_len);
            return Ok(verdict);
        }
        let verdict = match (rewrite, backend.mode) {
            (Some(rewrite), _) => self.nat(packet, parsed, &rewrite, backend),
            (None, Mode::Tun) => self.tun(packet, look, backend),
            (None, _) => self.dr(packet, parsed, backend),
        }?;
        self.counts.tally().for_backend(noted.backend(), parsed.l3_len);
        Ok(verdict)
    }

    /// What the first fragment left behind for this later one.
    pub fn find_note(&self, look: &Look) -> Option<Entry<'a>> {
        let Fragment::Later { id, .. } = look.parsed.fragment else { return None };
        let key = fragment_key(&look.parsed, id);
        self.table.lookup(&key, look.hash).map(|found| found.entry)
    }

    fn may_be_ours(&self, parsed: &Parsed) -> bool {
        self.ingress.side == Side::Wire
            && (self.plan.is_virtual(&parsed.dst) || self.plan.is_two_way_server(&parsed.src))
    }
}
