//! Between two stages: what the connections will need that a burst asks for. Where the keys of a new
//! connection will lie is known only when its backend is, and by then the memory would have to be
//! waited for; so the backend is chosen a stage ahead of the connection's turn.

use crate::{
    Output, Step,
    fate::lost,
    flow::last_hop,
    fresh::{Begun, NotInserted, Picked, Translation, reply_key, translation},
    glance::{Glance, Glances},
    mode::nat,
    pass::Pass,
    state,
};
use conn::{Entry, Hint, Key};
use nic::{BURST, Pool};
use plan::{Address, Service};
use wire::Packet;

/// Connections for which a backend has been chosen, and counted in its gauge; in the order of their
/// segments.
pub(crate) struct Ahead<'a> {
    // Room for them is cleared where it is made (0.9 of `heapless`), which few bursts are to pay for.
    each: Option<heapless::Vec<Chosen<'a>, BURST>>,
    /// How many of them have had their turn.
    done: usize,
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'a> {
    /// Place of its segment in the burst.
    at: u8,
    service: &'a Service,
    picked: Picked<'a>,
    reply: Option<Reply>,
}

/// The service that the segment before asked for: most often the next one asks for it, too.
struct Last<'a> {
    address: Address,
    proto: u8,
    port: u16,
    service: &'a Service,
}

/// What the replies of a connection that passes us both ways will be found by, unless another
/// connection has that.
#[derive(Clone, Copy)]
struct Reply {
    hash: u64,
    /// Another source does as well.
    is_any: bool,
}

impl<'a> Ahead<'a> {
    pub const fn none() -> Self {
        Self { each: None, done: 0 }
    }

    /// What was chosen for the packet at this place, if it asks for a connection. Places have their
    /// turn in order.
    #[inline]
    pub fn take(&mut self, at: usize) -> Option<Chosen<'a>> {
        let next = self.each.as_ref()?.get(self.done).filter(|next| usize::from(next.at) == at)?;
        self.done += 1;
        Some(*next)
    }
}

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// Chooses for those segments of a burst that ask for a connection and of which the look-up found
    /// nothing. Each of them must be given to [`Pass::open_chosen`].
    #[inline]
    pub fn look_ahead(&mut self, glances: &Glances, hints: &[Hint], ahead: &mut Ahead<'a>) {
        let (mut left, mut last) = (glances.asking(), None);
        if left == 0 {
            return;
        }
        let each = ahead.each.insert(heapless::Vec::new());
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let (Some(glance), Some(hint)) = (glances.each().get(at), hints.get(at)) else { break };
            if hint.is_nowhere()
                && let Some(chosen) = self.choose(at as u8, glance, &mut last)
            {
                let _ = each.push(chosen);
            }
        }
        // All at once, so that their translations are waited for together.
        for reply in each.iter().filter_map(|chosen| chosen.reply) {
            self.table.prefetch_both(reply.hash);
        }
    }

    /// A stage later: where another connection has the replies' key, most probably, another one is
    /// chosen, before that connection would have to be waited for.
    #[inline]
    pub fn look_again(&mut self, glances: &Glances, ahead: &mut Ahead<'a>) {
        for chosen in ahead.each.iter_mut().flatten() {
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
    fn choose(
        &mut self,
        at: u8,
        glance: &Glance,
        last: &mut Option<Last<'a>>,
    ) -> Option<Chosen<'a>> {
        let key = glance.words.key();
        let service = self.asked_for(&key, last)?;
        if service.persistence.is_some() {
            // What a client is remembered by is itself in the table.
            return None;
        }
        let mut picked = self.pick(service, &key, glance.hash).ok()?;
        let reply = self.likely_reply(service, &mut picked, &key);
        Some(Chosen { at, service, picked, reply })
    }

    /// The service that a packet with this key asks for.
    fn asked_for(&self, key: &Key, last: &mut Option<Last<'a>>) -> Option<&'a Service> {
        let Key { dst: address, proto, dport: port, .. } = *key;
        let is_same =
            |last: &&Last| (last.proto, last.port, last.address) == (proto, port, address);
        if let Some(last) = last.as_ref().filter(is_same) {
            return Some(last.service);
        }
        let service = self.plan.service(&address, proto, port)?;
        *last = Some(Last { address, proto, port, service });
        Some(service)
    }

    #[cold]
    #[inline(never)]
    fn choose_again(&mut self, glance: &Glance, chosen: &mut Chosen<'a>) {
        let key = glance.words.key();
        chosen.reply = self.likely_reply(chosen.service, &mut chosen.picked, &key);
        if let Some(reply) = chosen.reply {
            self.table.prefetch_both(reply.hash);
        }
    }

    /// What the replies will be found by, if the first try at it will do.
    fn likely_reply(
        &mut self,
        service: &Service,
        picked: &mut Picked<'a>,
        key: &Key,
    ) -> Option<Reply> {
        let (backend, dice) = (picked.backend, picked.dice);
        let (source, is_any) = match translation(service, backend)? {
            Translation::Nat => (nat::sources(key, dice).next()?, false),
            Translation::Snat => {
                (self.answers.source(picked.id, service.pool(backend.family()))?, true)
            }
        };
        picked.source = Some(source);
        let hash = self.table.hash(&reply_key(key, backend, source));
        Some(Reply { hash, is_any })
    }

    /// Enters the connection that the packet asks for. `None`: somebody else has meanwhile, and the
    /// packet goes the long way.
    #[inline(never)]
    pub fn open_chosen(
        &mut self,
        packet: &P,
        glance: &Glance,
        chosen: &Chosen<'a>,
    ) -> Step<Option<Entry<'a>>> {
        let begun = Begun {
            key: glance.words.key(),
            hash: glance.hash,
            state: state::opening(packet.bytes(), glance.traits.l4_off()),
            from: last_hop(packet, None, self.ingress.port),
        };
        match self.enter(chosen.service, &chosen.picked, &begun) {
            Ok(entry) => Ok(Some(entry)),
            Err(NotInserted::Known(_)) => Ok(None),
            Err(NotInserted::Lost(reason)) => lost(reason),
        }
    }
}
