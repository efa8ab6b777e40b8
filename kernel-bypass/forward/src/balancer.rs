//! The balancer of one worker: bursts in, counted fates out.

use crate::{
    Counts, Fate, Origin, Output, Step, Verdict,
    ahead::Ahead,
    answers::Answers,
    classify::{self, Look, Subject},
    glance::Glances,
    held::Held,
    pass::{Ingress, Pass, Side},
    probe,
    rota::Rota,
    short::Row,
    sweep::{self, Sweeper},
};
use api::{DropReason, Mac, PortId, PuntReason};
use conn::{Handle, Hint, Key, Tick};
use nic::{BURST, Burst, Pool};
use plan::{Address, Plan};
use std::{marker::PhantomData, mem, sync::Arc};
use wire::{Packet, mac};

/// One worker's share of the work. Nothing in it is shared but the connection table.
///
/// None of the calls allocates, locks, logs, reads a clock or enters the kernel.
pub struct Balancer<P> {
    table: Handle,
    counts: Arc<Counts>,
    macs: heapless::Vec<mac::Word, { api::MAX_PORTS }>,
    answers: Answers,
    held: Held<P>,
    /// What has been looked at, and waits while the memory brings what the rest needs.
    waiting: Looked<P>,
    /// Room for the next one.
    glances: Box<Glances>,
    sweeper: Sweeper,
    housekept: Option<Tick>,
    /// The last row of the short way.
    last: Row,
}

/// A burst between the first stage and the others.
struct Looked<P> {
    port: PortId,
    burst: Box<Burst<P>>,
    /// The length of its frames.
    bytes: usize,
    glances: Box<Glances>,
}

impl<P> Looked<P> {
    fn none() -> Self {
        Self { port: 0, burst: Box::default(), bytes: 0, glances: Box::new(Glances::new()) }
    }
}

/// The host keeps to its interface's MTU, so its packets are never split.
struct NoPool<P>(PhantomData<P>);

impl<P: Packet> Pool for NoPool<P> {
    type Packet = P;

    fn alloc(&mut self) -> Option<P> {
        None
    }
}

/// What a [`Balancer`] is made of.
pub struct Setup<'a> {
    /// The worker's own access to the connection table.
    pub table: Handle,
    /// The worker's own counters.
    pub counts: Arc<Counts>,
    /// MAC addresses of the ports, by number. Ports beyond [`api::MAX_PORTS`] do not exist.
    pub macs: &'a [Mac],
    /// The worker's number, from 0 on.
    pub worker: u32,
    /// How many workers share the sweep of the table, and the pairs of SNAT's pools.
    pub workers: u32,
    /// Any number that differs from worker to worker and from start to start.
    pub seed: u64,
}

impl<P: Packet> Balancer<P> {
    /// A balancer for one worker.
    pub fn new(setup: Setup) -> Self {
        let units = setup.table.table().totals().units;
        let rota = Rota::new(setup.worker, setup.workers, secrets(&setup.table, setup.seed));
        Self {
            table: setup.table,
            counts: setup.counts,
            macs: setup.macs.iter().take(api::MAX_PORTS).map(|mac| mac::Word::new(*mac)).collect(),
            answers: Answers::new(setup.seed, rota),
            held: Held::new(),
            waiting: Looked::none(),
            glances: Box::new(Glances::new()),
            sweeper: Sweeper::new(units as u32, setup.workers),
            housekept: None,
            last: Row::default(),
        }
    }

    /// Takes what a port received, and handles what the call before took: between a burst's stages
    /// another one's are done, so that nothing has to be waited for. The burst is empty afterwards.
    /// Every packet of it has one counted fate, or is held until its first fragment comes, after
    /// the next call or [`Self::complete`]. Without a plan everything goes to the host.
    pub fn receive<A: Pool<Packet = P>, O: Output<P>>(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        port: PortId,
        burst: &mut Box<Burst<P>>,
        pool: &mut A,
        out: &mut O,
    ) {
        self.advance(plan, now, Some((port, burst)), pool, out);
        self.table.quiesce();
    }

    /// Handles what the last [`Self::receive`] took. To be called when nothing more has come.
    pub fn complete<A: Pool<Packet = P>, O: Output<P>>(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        pool: &mut A,
        out: &mut O,
    ) {
        if !self.waiting.burst.is_empty() {
            self.advance(plan, now, None, pool, out);
            self.table.quiesce();
        }
        self.table.settle();
    }

    /// Handles what the host sends by a port's companion: it leaves by that port unchanged, but
    /// replies of a local fallback are translated back and leave as their client came, and probes
    /// of real servers behind tunnels go by those tunnels.
    pub fn from_host<O: Output<P>>(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        port: PortId,
        burst: &mut Burst<P>,
        out: &mut O,
    ) {
        self.counts.received_from_host(port, burst.len());
        let ingress = Ingress { port, side: Side::Host };
        if let Some(plan) = plan.filter(|plan| plan.any_tunnel()) {
            self.probes(plan, now, ingress, burst, out);
        }
        match plan.filter(|plan| plan.any_local()) {
            Some(plan) => {
                self.run_from_host(plan, now, port, burst, out);
            }
            None => {
                let origin = Origin { port, fate: Fate::FromHost };
                for packet in burst.drain(..) {
                    self.counts.ended(origin);
                    out.wire(port, packet, origin);
                }
            }
        }
        self.table.quiesce();
    }

    /// Takes the probes out of a burst of the host's; they are few.
    fn probes<O: Output<P>>(
        &mut self,
        plan: &Plan,
        now: Tick,
        ingress: Ingress,
        burst: &mut Burst<P>,
        out: &mut O,
    ) {
        let mut at = 0;
        while let Some(packet) = burst.get(at) {
            let Some(id) = probe::of(packet) else {
                at += 1;
                continue;
            };
            let mut packet = burst.remove(at);
            let pool = &mut NoPool(PhantomData);
            let mut pass = self.pass(plan, now, ingress, pool, out);
            let verdict = pass.probe(&mut packet, id).unwrap_or_else(|verdict| verdict);
            pass.finish(packet, verdict, None);
        }
    }

    /// A bounded piece of the work that no packet asks for: expiry, and fragments that wait. To be
    /// called between bursts, many times in a tick: a little of the table is swept each time until
    /// the tick's share is done.
    pub fn housekeep<A: Pool<Packet = P>, O: Output<P>>(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        pool: &mut A,
        out: &mut O,
    ) {
        let again = self.housekept.replace(now) == Some(now);
        let is_idle = self.waiting.burst.is_empty();
        if let Some(plan) = plan {
            if !again {
                let pressure = self.answers.pressure(now, self.table.table().pressure());
                self.sweeper.tick(now, pressure);
            }
            let table = &self.table;
            let mut round = self.sweeper.round(table.balance(), is_idle);
            while let Some(units) = round.piece() {
                let pressure = round.pressure;
                table.sweep(units, |it| sweep::judge(plan, now, pressure, it));
                self.sweeper.swept(&mut round, units, table.balance());
            }
            if !again && !self.held.is_empty() {
                let ingress = Ingress { port: 0, side: Side::Wire };
                self.pass(plan, now, ingress, pool, out).retry_held(true);
            }
        }
        if is_idle {
            // The next round may be long in coming.
            self.table.settle();
        }
        self.table.quiesce();
    }

    /// The worker is about to sleep or to stop; others need not wait for it.
    pub fn park(&mut self) {
        self.table.park();
    }

    /// The worker is back.
    pub fn unpark(&mut self) {
        self.table.unpark();
    }

    /// Gives up the fragments that wait, so that every packet is accounted for at the end.
    pub fn finish(&mut self) {
        while !self.held.is_empty() {
            let waiting = self.held.take(0);
            self.counts.released(waiting.port);
            self.counts.dropped(waiting.port, DropReason::FragmentTimeout);
        }
    }

    /// Each stage over a whole burst, and another burst's in between, so that the memory is hardly
    /// ever waited for: what a stage asks for has the time of the next one's to come.
    fn advance<A: Pool<Packet = P>, O: Output<P>>(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        next: Option<(PortId, &mut Box<Burst<P>>)>,
        pool: &mut A,
        out: &mut O,
    ) {
        let finder = self.table.finder();
        let mut hints = [Hint::NOWHERE; BURST];
        let hints = &mut hints[..self.waiting.burst.len()];
        let own = next.as_ref().map(|(port, _)| self.own(*port)).unwrap_or_default();
        let Looked { port, burst, bytes: waited, glances } = &mut self.waiting;
        let coming = next.as_ref().map_or(&[][..], |(_, burst)| &burst[..]);
        glances.hints(&finder, hints, coming);
        let is_ours = self.macs.get(usize::from(*port)).is_some() && !burst.is_empty();
        let plan_here = plan.filter(|plan| is_ours && plan.port(*port).is_some());
        let mut pass = plan_here.map(|plan| Pass {
            plan,
            now,
            ingress: Ingress { port: *port, side: Side::Wire },
            table: &self.table,
            counts: &self.counts,
            macs: &self.macs,
            answers: &mut self.answers,
            held: &mut self.held,
            last: &mut self.last,
            pool,
            out,
            noted: false,
        });
        let mut ahead = Ahead::none();
        if let Some(pass) = &mut pass {
            pass.look_ahead(glances, hints, &mut ahead);
        }
        let bytes = match &next {
            Some((_, burst)) => self.glances.look(burst, own, &finder),
            None => 0,
        };
        let waited = mem::take(waited);
        self.counts.received(*port, burst.len(), waited);
        let done = pass.map(|mut pass| {
            pass.look_again(glances, &mut ahead);
            pass.send_burst(burst, glances, hints, &finder, &mut ahead, waited);
            pass.end();
        });
        drop(ahead);
        match done {
            Some(()) => {}
            None if plan.is_none() => self.punt_waiting(out),
            None => self.drop_waiting(),
        }
        if let Some((port, burst)) = next {
            mem::swap(&mut self.waiting.glances, &mut self.glances);
            (self.waiting.port, self.waiting.bytes) = (port, bytes);
            mem::swap(&mut self.waiting.burst, burst);
        }
    }

    /// Our own address at a port; of a port that does not exist, one that no station has.
    fn own(&self, port: PortId) -> mac::Word {
        self.macs.get(usize::from(port)).copied().unwrap_or_default()
    }

    fn run_from_host<O: Output<P>>(
        &mut self,
        plan: &Plan,
        now: Tick,
        port: PortId,
        burst: &mut Burst<P>,
        out: &mut O,
    ) {
        let pool = &mut NoPool(PhantomData);
        let ingress = Ingress { port, side: Side::Host };
        let mut pass = self.pass(plan, now, ingress, pool, out);
        for packet in burst.drain(..) {
            let look = classify::from_host(&packet, pass.table);
            pass.handle(packet, &look);
        }
        pass.end();
    }

    fn pass<'a, A, O>(
        &'a mut self,
        plan: &'a Plan,
        now: Tick,
        ingress: Ingress,
        pool: &'a mut A,
        out: &'a mut O,
    ) -> Pass<'a, P, O, A> {
        Pass {
            plan,
            now,
            ingress,
            table: &self.table,
            counts: &self.counts,
            macs: &self.macs,
            answers: &mut self.answers,
            held: &mut self.held,
            last: &mut self.last,
            pool,
            out,
            noted: false,
        }
    }

    fn punt_waiting<O: Output<P>>(&mut self, out: &mut O) {
        let port = self.waiting.port;
        let origin = Origin { port, fate: Fate::ToHost(PuntReason::NoPlan) };
        for packet in self.waiting.burst.drain(..) {
            self.counts.ended(origin);
            out.host(port, packet, origin);
        }
    }

    fn drop_waiting(&mut self) {
        for _ in self.waiting.burst.drain(..) {
            self.counts.dropped(self.waiting.port, DropReason::UnknownPort);
        }
    }
}

impl<P: Packet, O: Output<P>, A: Pool<Packet = P>> Pass<'_, P, O, A> {
    /// Whatever is not common.
    #[cold]
    #[inline(never)]
    pub fn long(&mut self, packet: P) {
        let own = self.macs.get(usize::from(self.ingress.port)).copied().unwrap_or_default();
        let look = classify::from_wire(&packet, own, self.table);
        self.handle(packet, &look);
    }

    /// The burst is over.
    fn end(&mut self) {
        if self.noted && !self.held.is_empty() {
            self.retry_held(false);
        }
    }

    #[inline]
    fn handle(&mut self, mut packet: P, look: &Step<Look>) {
        let (verdict, look) = match look {
            Err(verdict) => (*verdict, None),
            Ok(look) => (self.act(&mut packet, look), Some(look)),
        };
        self.finish(packet, verdict, look);
    }

    #[inline]
    fn act(&mut self, packet: &mut P, look: &Look) -> Verdict {
        let step = match look.subject {
            Subject::Flow => self.flow(packet, look),
            Subject::LaterFragment => self.later_fragment(packet, look),
            Subject::IcmpError => self.icmp_error(packet, look),
            Subject::ForHost(reason) => Err(Verdict::Host(reason)),
        };
        let verdict = step.unwrap_or_else(|verdict| verdict);
        match verdict {
            // The local fallback is reached by a connection, which has left its own note.
            Verdict::Host(PuntReason::LocalFallback) => {}
            Verdict::Host(_) => self.note_for_host(look),
            _ => {}
        }
        verdict
    }

    /// Looks the waiting fragments up again; `expire` also gives up those that waited too long.
    fn retry_held(&mut self, expire: bool) {
        let arrived = self.ingress;
        let mut place = 0;
        for _ in 0..self.held.len() {
            let Some(waiting) = self.held.at(place) else { break };
            if self.find_note(&waiting.look).is_some() {
                let waiting = self.held.take(place);
                self.ingress = Ingress { port: waiting.port, side: Side::Wire };
                self.counts.released(waiting.port);
                self.handle(waiting.packet, &Ok(waiting.look));
            } else if expire && waiting.expired(self.now) {
                let waiting = self.held.take(place);
                self.counts.released(waiting.port);
                self.counts.dropped(waiting.port, DropReason::FragmentTimeout);
            } else {
                place += 1;
            }
        }
        self.ingress = arrived;
    }
}

/// What nobody knows who does not know the table's keyed hash, whatever he knows of the seed.
fn secrets(table: &Handle, seed: u64) -> [u64; 2] {
    let mut address = Address::default();
    address[..8].copy_from_slice(&seed.to_be_bytes());
    [0, 1].map(|n| table.hash(&Key::connection(0, (address, n), Default::default())))
}
