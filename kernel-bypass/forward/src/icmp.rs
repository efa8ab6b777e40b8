//! ICMP errors about balanced connections (SPEC 4.9): they reach the end that sent the packet in
//! question, and quote it as that end knows it.

use crate::{
    Output, Step, Verdict,
    classify::{Look, quoted_key},
    fate::lost,
    flow::as_sent,
    pass::{Pass, Side},
};
use api::{BackendState, DropReason, Mode, PuntReason};
use conn::{Entry, tcp::Direction};
use nic::Pool;
use plan::BackendPlan;
use wire::{Packet, icmp, icmp::Inner, rewrite};

const NOT_OURS: Verdict = Verdict::Host(PuntReason::Icmp);

impl<'a, P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'a, P, O, A> {
    /// The key is the quoted tuple turned round, so "forward" means that the real server's
    /// packet is in question, "reply" that the client's is.
    pub fn icmp_error(&mut self, packet: &mut P, look: &Look) -> Step<Verdict> {
        let Some(inner) = &icmp::inner(packet.bytes(), &look.parsed) else { return Err(NOT_OURS) };
        let Some(found) = self.table.lookup(&quoted_key(inner), look.hash) else {
            return self.unrelated(inner);
        };
        let entry = found.entry;
        let backend = self.plan.backend(entry.backend());
        let from_host = self.ingress.side == Side::Host;
        if look.parsed.dst != inner.flow.src {
            return Err(NOT_OURS);
        }
        let Some(backend) = backend.filter(|b| b.state != BackendState::Halt) else {
            return lost(DropReason::BackendGone);
        };
        if backend.two_way() != entry.reply().is_some() {
            return lost(DropReason::BackendGone);
        }
        match found.direction {
            Direction::Forward if from_host => Err(NOT_OURS),
            Direction::Forward => self.error_to_backend(packet, look, inner, &entry, backend),
            Direction::Reply if from_host != backend.local => Err(NOT_OURS),
            Direction::Reply => self.error_to_client(packet, look, inner, &entry),
        }
    }

    fn unrelated(&self, inner: &Inner) -> Step<Verdict> {
        let quoted = &inner.flow;
        let ours = self.plan.service(&quoted.src, inner.proto, quoted.sport).is_some();
        if ours && self.ingress.side == Side::Wire {
            return lost(DropReason::IcmpUnrelated);
        }
        Err(NOT_OURS)
    }

    fn error_to_backend(
        &mut self,
        packet: &mut P,
        look: &Look,
        inner: &Inner,
        entry: &Entry,
        backend: &BackendPlan,
    ) -> Step<Verdict> {
        let parsed = &look.parsed;
        self.counts.tally().for_backend(entry.backend(), parsed.l3_len);
        let reply = match (entry.reply(), backend.mode) {
            (Some(reply), _) => reply,
            (None, Mode::Tun) => return self.tun(packet, look, backend),
            (None, _) => return self.dr(packet, parsed, backend),
        };
        // In NAT the reporting router keeps its address; in SNAT the real server must not see
        // addresses from the client's side, because its way back is through us.
        let snat = reply.dst != entry.key().src;
        let source = if snat { reply.dst } else { parsed.src };
        let quoted = as_sent(&reply);
        icmp::translate_inner(packet.bytes_mut(), parsed, inner, (source, reply.src), &quoted);
        if backend.local {
            return Ok(Verdict::Host(PuntReason::LocalFallback));
        }
        let Some(hop) = &backend.hop else { return lost(DropReason::NeighbourUnresolved) };
        self.survives_silently(parsed)?;
        rewrite::decrement_ttl(packet.bytes_mut(), parsed);
        self.to_hop(packet, hop).map(Verdict::Forward)
    }

    fn error_to_client(
        &mut self,
        packet: &mut P,
        look: &Look,
        inner: &Inner,
        entry: &Entry,
    ) -> Step<Verdict> {
        let (parsed, key) = (&look.parsed, entry.key());
        self.counts.tally().by_backend(entry.backend(), parsed.l3_len);
        icmp::translate_inner(
            packet.bytes_mut(),
            parsed,
            inner,
            (key.dst, key.src),
            &as_sent(&key),
        );
        if self.ingress.side == Side::Wire {
            self.survives_silently(parsed)?;
            rewrite::decrement_ttl(packet.bytes_mut(), parsed);
        }
        let last_hop = entry.last_hop();
        self.to_client(packet, last_hop).map(Verdict::Forward)
    }
}
