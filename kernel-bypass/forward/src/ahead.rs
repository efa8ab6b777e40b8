//! Between two stages: what the connections will need that a burst asks for. Where the keys of a new
//! connection will lie is known only when its backend is, and by then the memory would have to be
//! waited for; so the backend is chosen a stage ahead of the connection's turn.

use crate::{
    Output,
    classify::{Look, Subject},
    fresh::{Picked, Translation, reply_key, translation},
    glance::{Glance, Glances},
    mode::{nat, snat},
    pass::Pass,
    state,
};
use api::{BackendId, ServiceId};
use conn::{Hint, Key};
use nic::{BURST, Pool};
use plan::Service;
use wire::{Packet, short};

/// Connections for which a backend has been chosen, and counted in its gauge.
pub(crate) struct Ahead(heapless::Vec<Chosen, BURST>);

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Chosen {
    /// Place of its segment in the burst.
    at: u8,
    service: ServiceId,
    backend: BackendId,
    dice: u64,
}

impl Ahead {
    pub const fn none() -> Self {
        Self(heapless::Vec::new())
    }

    /// What was chosen for the packet at this place, if it asks for a connection.
    #[inline]
    pub fn of(&self, at: usize) -> Option<Chosen> {
        self.0.iter().find(|chosen| usize::from(chosen.at) == at).copied()
    }
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Chooses for those segments of a burst that ask for a connection and of which the look-up found
    /// nothing. Each of them must be given to [`Pass::open_chosen`].
    #[inline]
    pub fn look_ahead(&mut self, glances: &Glances, hints: &[Hint], ahead: &mut Ahead) {
        let mut left = glances.asking();
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let (Some(glance), Some(hint)) = (glances.each().get(at), hints.get(at)) else { break };
            if hint.is_nowhere()
                && let Some((service, picked)) = self.choose(glance)
            {
                let (service, backend) = (service.id, picked.id);
                let at = at as u8;
                let _ = ahead.0.push(Chosen { at, service, backend, dice: picked.dice });
            }
        }
    }

    /// `None`: nothing was changed, and the long way will find out why.
    // Not inline: most bursts ask for none.
    #[inline(never)]
    fn choose(&mut self, glance: &Glance) -> Option<(&'a Service, Picked<'a>)> {
        let key = glance.words.key();
        let service = self.plan.service(&key.dst, key.proto, key.dport)?;
        if service.persistence.is_some() {
            // What a client is remembered by is itself in the table.
            return None;
        }
        let picked = self.pick(service, &key, glance.hash).ok()?;
        if let Some(reply) = likely_reply(service, &picked, &key) {
            self.table.prefetch_both(self.table.hash(&reply));
        }
        Some((service, picked))
    }

    /// Opens the connection that the packet asks for, if nobody else has meanwhile.
    #[inline(never)]
    pub fn open_chosen(&mut self, mut packet: P, glance: &Glance, chosen: Chosen) {
        let known = self.table.lookup(&glance.words.key(), glance.hash).is_some();
        let parsed = short::parsed(packet.bytes(), &glance.traits).filter(|_| !known);
        let service = self.plan.service_by_id(chosen.service);
        let backend = self.plan.backend(chosen.backend);
        let (Some(parsed), Some(service), Some(backend)) = (parsed, service, backend) else {
            self.table.table().release(chosen.backend);
            return self.long(packet);
        };
        let picked = Picked { id: chosen.backend, backend, dice: chosen.dice };
        let state = state::opening(packet.bytes(), &parsed);
        let look = Look { parsed, hash: glance.hash, subject: Subject::Flow };
        let opened = self.open(&mut packet, &look, service, picked, state);
        self.finish(packet, opened.unwrap_or_else(|verdict| verdict), Some(&look));
    }
}

/// The key of the replies, if the first try at it will do.
fn likely_reply(service: &Service, picked: &Picked, key: &Key) -> Option<Key> {
    let source = match translation(service, picked.backend)? {
        Translation::Nat => nat::sources(key, picked.dice).next(),
        Translation::Snat => {
            snat::sources(service.pool(picked.backend.family()), picked.dice).next()
        }
    };
    Some(reply_key(key, picked.backend, source?))
}
