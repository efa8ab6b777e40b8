//! Stage "miss": a packet of no known connection. It opens one, is answered, or is the host's.

use crate::{
    Output, Step, Verdict,
    classify::{Look, flow_key},
    fate::lost,
    flow::{Standing, is_new_request, last_hop},
    pass::{Gauges, Pass, Side},
    state,
};
use api::{BackendId, DropReason, Mode, PuntReason};
use conn::{Entry, InsertError, Key, LastHop, New, Other};
use nic::Pool;
use plan::{Address, BackendPlan, Choice, Flow, Refusal, Service};
use wire::{L4, Packet};

/// A backend for a connection; its gauge counts the connection already.
#[derive(Clone, Copy)]
pub(crate) struct Picked<'a> {
    pub id: BackendId,
    pub backend: &'a BackendPlan,
    /// What the choice among addresses and ports towards it begins with.
    pub dice: u64,
    /// As whom it may see the client, if that is known already.
    pub source: Option<Source>,
}

/// What a connection's first packet says of it.
pub(crate) struct Begun {
    pub key: Key,
    /// Hash of the key.
    pub hash: u64,
    /// The state word that it begins with.
    pub state: u32,
    /// Where it came from.
    pub from: LastHop,
}

/// As whom a real server sees a client.
pub(crate) type Source = (Address, u16);

/// Why a connection is not in the table by our doing.
pub(crate) enum NotInserted<'a> {
    /// It is there already.
    Known(Entry<'a>),
    /// It cannot be.
    Lost(DropReason),
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// No entry has this packet's key.
    pub fn unknown(&mut self, packet: &mut P, look: &Look) -> Step<Verdict> {
        let parsed = &look.parsed;
        if self.ingress.side == Side::Host {
            return Err(Verdict::Host(PuntReason::NoService));
        }
        let Some(service) = self.plan.service(&parsed.dst, parsed.proto, parsed.dport) else {
            return Err(Verdict::Host(PuntReason::NoService));
        };
        if parsed.kind == L4::Tcp && !is_new_request(parsed) {
            return self.reset(packet, parsed, DropReason::NoConnection);
        }
        let picked = self.pick(service, &flow_key(parsed), look.hash)?;
        let state = match parsed.kind {
            L4::Tcp => state::opening(packet.bytes(), parsed.l4_off),
            _ => state::UDP,
        };
        self.open(packet, look, service, picked, state)
    }

    /// Gives a connection whose backend is gone to another one.
    pub fn relocate(&mut self, packet: &mut P, look: &Look, old: Entry<'a>) -> Step<Verdict> {
        let parsed = &look.parsed;
        let Some(service) = self.plan.service(&parsed.dst, parsed.proto, parsed.dport) else {
            self.table.remove(&old);
            return Err(Verdict::Host(PuntReason::NoService));
        };
        let picked = self.pick(service, &flow_key(parsed), look.hash)?;
        if picked.id == old.backend() {
            // The fallback again: all real servers are at their limits.
            self.table.release(picked.id);
            return self.serve(packet, look, old, picked.backend);
        }
        let state = old.state();
        self.table.remove(&old);
        self.open(packet, look, service, picked, state)
    }

    /// A backend for the connection of this key, which has this hash.
    pub fn pick(&mut self, service: &Service, key: &Key, hash: u64) -> Step<Picked<'a>> {
        let flow =
            Flow { client: key.src, client_port: key.sport, vip: key.dst, vip_port: key.dport };
        let id = match &service.persistence {
            Some(persistence) => self.pick_persistent(service, persistence, &flow),
            None => self.schedule(service, &flow).map(|choice| choice.backend),
        };
        let id = id.or_else(|refusal| lost(reason(refusal)))?;
        match self.plan.backend(id) {
            Some(backend) => {
                Ok(Picked { id, backend, dice: self.answers.roll(hash), source: None })
            }
            None => {
                self.table.release(id);
                lost(DropReason::NoBackend)
            }
        }
    }

    /// A backend by the service's scheduler alone.
    pub fn schedule(&mut self, service: &Service, flow: &Flow) -> Result<Choice, Refusal> {
        service.schedule(flow, self.answers.turn(service.id), &Gauges(self.table))
    }

    /// Enters the connection into the table and sends its first packet on.
    pub fn open(
        &mut self,
        packet: &mut P,
        look: &Look,
        service: &Service,
        picked: Picked<'a>,
        state: u32,
    ) -> Step<Verdict> {
        let parsed = &look.parsed;
        let from = last_hop(packet, parsed.vlan, self.ingress.port);
        let begun = Begun { key: flow_key(parsed), hash: look.hash, state, from };
        match self.enter(service, &picked, &begun) {
            Ok(entry) => self.deliver(packet, look, entry, picked.backend),
            // Another worker was first; its choice holds.
            Err(NotInserted::Known(entry)) => match self.standing(entry, parsed.kind) {
                Standing::Serve(backend) => self.serve(packet, look, entry, backend),
                _ => lost(DropReason::BackendGone),
            },
            Err(NotInserted::Lost(reason)) => lost(reason),
        }
    }

    /// Enters the connection into the table, or gives back what its backend's gauge has counted.
    pub fn enter(
        &mut self,
        service: &Service,
        picked: &Picked,
        begun: &Begun,
    ) -> Result<Entry<'a>, NotInserted<'a>> {
        let &Begun { key, hash, state, from } = begun;
        let new = New {
            key,
            other: Other::None,
            backend: picked.id,
            service: service.id,
            flags: 0,
            state,
            last_hop: from,
            now: self.now,
        };
        let inserted = match translation(service, picked.backend) {
            Some(Translation::Nat) => self.insert_nat(new, hash, picked),
            Some(Translation::Snat) => self.insert_snat(new, hash, service, picked),
            None => self.insert(hash, &new),
        };
        match &inserted {
            Ok(_) => self.counts.connected(picked.id),
            Err(not) => {
                self.table.release(picked.id);
                if matches!(not, NotInserted::Lost(DropReason::TableFull)) {
                    self.answers.table_was_full(self.now);
                }
            }
        }
        inserted
    }

    fn insert(&self, hash: u64, new: &New) -> Result<Entry<'a>, NotInserted<'a>> {
        self.table.insert(hash, new).map_err(|error| match error {
            InsertError::KeyExists(entry) => NotInserted::Known(entry),
            InsertError::Full | InsertError::Contended | InsertError::ReplyExists(_) => {
                NotInserted::Lost(DropReason::TableFull)
            }
        })
    }

    /// Enters a connection that passes us both ways. The real server sees the client as the first
    /// of `sources` that no other connection to it uses; the table itself says which are used.
    pub fn insert_two_way(
        &self,
        hash: u64,
        mut new: New,
        backend: &BackendPlan,
        sources: impl Iterator<Item = Source>,
    ) -> Result<Entry<'a>, NotInserted<'a>> {
        for source in sources {
            new.other = Other::Reply(reply_key(&new.key, backend, source));
            match self.table.insert(hash, &new) {
                Ok(entry) => return Ok(entry),
                Err(InsertError::ReplyExists(_)) => {}
                Err(InsertError::KeyExists(entry)) => return Err(NotInserted::Known(entry)),
                Err(InsertError::Full | InsertError::Contended) => {
                    return Err(NotInserted::Lost(DropReason::TableFull));
                }
            }
        }
        Err(NotInserted::Lost(DropReason::SnatPoolExhausted))
    }
}

/// How a connection's addresses are chosen that passes us both ways.
pub(crate) enum Translation {
    /// The real server sees the client.
    Nat,
    /// It sees one of our own addresses.
    Snat,
}

/// `None` where the connection passes us one way.
pub(crate) fn translation(service: &Service, backend: &BackendPlan) -> Option<Translation> {
    match service.mode {
        _ if backend.local => Some(Translation::Nat),
        Mode::Nat => Some(Translation::Nat),
        Mode::Snat => Some(Translation::Snat),
        Mode::Dr | Mode::Tun => None,
    }
}

/// The key of the replies to a client that the real server sees as `source`.
pub(crate) fn reply_key(key: &Key, backend: &BackendPlan, source: Source) -> Key {
    let server = (backend.address, backend.port.unwrap_or(key.dport));
    Key::connection(key.proto, server, source)
}

/// What a drop says of a scheduler's refusal.
const fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::NoBackend => DropReason::NoBackend,
        Refusal::Unresolved => DropReason::NeighbourUnresolved,
        Refusal::Family => DropReason::FamilyMismatch,
        Refusal::Limit => DropReason::ConnectionLimit,
    }
}
