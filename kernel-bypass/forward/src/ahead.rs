//! Between two stages: what the connections will need that a burst asks for. Where the keys of a new
//! connection will lie is known only when its backend is, and by then the memory would have to be
//! waited for; so the backend is chosen a stage ahead of the connection's turn.

use crate::{
    Output,
    classify::{Look, Subject},
    fresh::{Picked, Source, Translation, reply_key, translation},
    glance::{Glance, Glances},
    mode::{nat, snat},
    pass::Pass,
    state,
};
use api::{BackendId, ServiceId};
use conn::{Hint, Key};
use nic::{BURST, Pool};
use plan::{BackendPlan, Service};
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
    reply: Option<Reply>,
}

/// What the replies of a connection that passes us both ways will be found by, unless another
/// connection has that.
#[derive(Clone, Copy)]
struct Reply {
    hash: u64,
    source: Source,
    /// Another source does as well.
    is_any: bool,
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
                && let Some(chosen) = self.choose(at as u8, glance)
            {
                let _ = ahead.0.push(chosen);
            }
        }
        // All at once, so that their translations are waited for together.
        for reply in ahead.0.iter().filter_map(|chosen| chosen.reply) {
            self.table.prefetch_both(reply.hash);
        }
    }

    /// A stage later: where another connection has the replies' key, most probably, another one is
    /// chosen, before that connection would have to be waited for.
    #[inline]
    pub fn look_again(&mut self, glances: &Glances, ahead: &mut Ahead) {
        for chosen in &mut ahead.0 {
            if let Some(Reply { hash, is_any: true, .. }) = chosen.reply
                && self.table.may_have(hash)
                && let Some(glance) = glances.each().get(usize::from(chosen.at))
            {
                self.choose_again(glance, chosen);
            }
        }
    }

    /// `None`: nothing was changed, and the long way will find out why.
    // Not inline: most bursts ask for none.
    #[inline(never)]
    fn choose(&mut self, at: u8, glance: &Glance) -> Option<Chosen> {
        let key = glance.words.key();
        let service = self.plan.service(&key.dst, key.proto, key.dport)?;
        if service.persistence.is_some() {
            // What a client is remembered by is itself in the table.
            return None;
        }
        let Picked { id, backend, dice, .. } = self.pick(service, &key, glance.hash).ok()?;
        let reply = self.likely_reply(service, backend, dice, &key);
        Some(Chosen { at, service: service.id, backend: id, dice, reply })
    }

    #[cold]
    #[inline(never)]
    fn choose_again(&mut self, glance: &Glance, chosen: &mut Chosen) {
        let service = self.plan.service_by_id(chosen.service);
        let backend = self.plan.backend(chosen.backend);
        let (Some(service), Some(backend)) = (service, backend) else { return };
        chosen.dice = self.answers.roll(glance.hash);
        chosen.reply = self.likely_reply(service, backend, chosen.dice, &glance.words.key());
        if let Some(reply) = chosen.reply {
            self.table.prefetch_both(reply.hash);
        }
    }

    /// What the replies will be found by, if the first try at it will do.
    fn likely_reply(
        &self,
        service: &Service,
        backend: &BackendPlan,
        dice: u64,
        key: &Key,
    ) -> Option<Reply> {
        let (source, is_any) = match translation(service, backend)? {
            Translation::Nat => (nat::sources(key, dice).next()?, false),
            Translation::Snat => {
                (snat::sources(service.pool(backend.family()), dice).next()?, true)
            }
        };
        let hash = self.table.hash(&reply_key(key, backend, source));
        Some(Reply { hash, source, is_any })
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
        let source = chosen.reply.map(|reply| reply.source);
        let picked = Picked { id: chosen.backend, backend, dice: chosen.dice, source };
        let state = state::opening(packet.bytes(), &parsed);
        let look = Look { parsed, hash: glance.hash, subject: Subject::Flow };
        let opened = self.open(&mut packet, &look, service, picked, state);
        self.finish(packet, opened.unwrap_or_else(|verdict| verdict), Some(&look));
    }
}
