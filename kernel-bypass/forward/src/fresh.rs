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
use conn::{Entry, InsertError, Key, New, Other};
use nic::Pool;
use plan::{Address, BackendPlan, Flow, Refusal, Service};
use wire::{L4, Packet};

/// A backend for a connection; its gauge counts the connection already.
pub(crate) struct Picked<'a> {
    pub id: BackendId,
    pub backend: &'a BackendPlan,
}

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
        let picked = self.pick(service, look)?;
        let state = match parsed.kind {
            L4::Tcp => state::opening(packet.bytes(), parsed),
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
        let picked = self.pick(service, look)?;
        let state = old.state();
        self.table.remove(&old);
        self.open(packet, look, service, picked, state)
    }

    fn pick(&mut self, service: &Service, look: &Look) -> Step<Picked<'a>> {
        let parsed = &look.parsed;
        let flow = Flow {
            client: parsed.src,
            client_port: parsed.sport,
            vip: parsed.dst,
            vip_port: parsed.dport,
        };
        let id = match &service.persistence {
            Some(persistence) => self.pick_persistent(service, persistence, &flow),
            None => service.schedule(&flow, &Gauges(self.table)).map(|choice| choice.backend),
        };
        let id = id.or_else(|refusal| lost(reason(refusal)))?;
        match self.plan.backend(id) {
            Some(backend) => Ok(Picked { id, backend }),
            None => {
                self.table.table().release(id);
                lost(DropReason::NoBackend)
            }
        }
    }

    /// Enters the connection into the table and sends its first packet on.
    fn open(
        &mut self,
        packet: &mut P,
        look: &Look,
        service: &Service,
        picked: Picked<'a>,
        state: u32,
    ) -> Step<Verdict> {
        let parsed = &look.parsed;
        let new = New {
            key: flow_key(parsed),
            other: Other::None,
            backend: picked.id,
            service: service.id,
            flags: 0,
            state,
            last_hop: last_hop(packet, parsed, self.ingress.port),
            now: self.now,
        };
        let inserted = if picked.backend.local || service.mode == Mode::Nat {
            self.insert_nat(new, look.hash, picked.backend)
        } else if service.mode == Mode::Snat {
            self.insert_snat(new, look.hash, service, picked.backend)
        } else {
            self.insert(look.hash, &new)
        };
        match inserted {
            Ok(entry) => {
                self.counts.connected(picked.id);
                self.deliver(packet, look, entry, picked.backend)
            }
            Err(NotInserted::Known(entry)) => {
                // Another worker was first; its choice holds.
                self.table.table().release(picked.id);
                match self.standing(entry, parsed.kind) {
                    Standing::Serve(backend) => self.serve(packet, look, entry, backend),
                    _ => lost(DropReason::BackendGone),
                }
            }
            Err(NotInserted::Lost(reason)) => {
                self.table.table().release(picked.id);
                if reason == DropReason::TableFull {
                    self.answers.table_was_full(self.now);
                }
                lost(reason)
            }
        }
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
        server: (Address, u16),
        sources: impl Iterator<Item = (Address, u16)>,
    ) -> Result<Entry<'a>, NotInserted<'a>> {
        for source in sources {
            new.other = Other::Reply(Key::connection(new.key.proto, server, source));
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

/// What a drop says of a scheduler's refusal.
const fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::NoBackend => DropReason::NoBackend,
        Refusal::Unresolved => DropReason::NeighbourUnresolved,
        Refusal::Family => DropReason::FamilyMismatch,
        Refusal::Limit => DropReason::ConnectionLimit,
    }
}
