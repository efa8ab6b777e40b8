//! One forwarding thread: a poll loop that a newcomer reads in a minute.

use crate::args::Idle;
use crate::egress::Egress;
use crate::idle::Waiter;
use crate::mailbox::Mailbox;
use api::PortId;
use conn::Tick;
use crossbeam::utils::CachePadded;
use forward::Balancer;
use nic::{Burst, Pool, Rx, Tx};
use plan::Plan;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// What every worker shares with the steward.
pub struct Shared {
    /// The time, in ticks of the monotonic clock.
    pub tick: CachePadded<AtomicU32>,
    /// Set once, when the process is to end.
    pub stop: AtomicBool,
    /// Ports whose devices were taken out of the machine, a bit for each number.
    pub removed: AtomicU32,
}

/// The receive queues of one port that this worker polls.
pub struct Intake<R> {
    /// The port's number.
    pub port: PortId,
    /// From the wire.
    pub wire: Option<R>,
    /// From the companion interface.
    pub host: Option<R>,
}

/// Everything one worker owns.
pub struct Worker<R: Rx, T: Tx<Packet = R::Packet>, B> {
    /// Where its plans come from.
    pub mailbox: Arc<Mailbox<Arc<Plan>>>,
    /// Time and the word to stop.
    pub shared: Arc<Shared>,
    /// The balancer proper.
    pub balancer: Balancer<R::Packet>,
    /// By port.
    pub intakes: Vec<Intake<R>>,
    /// By port.
    pub egress: Egress<T>,
    /// New packets, where one becomes two.
    pub pool: B,
    /// What to do when nothing comes.
    pub idle: Idle,
}

/// Rounds with traffic between two looks at the companions. Each look at an empty TAP is a system
/// call; what the host sends can wait for some microseconds, what the wire sends cannot.
const ROUNDS_PER_HOST_POLL: u32 = 8;

impl<R, T, B> Worker<R, T, B>
where
    R: Rx,
    T: Tx<Packet = R::Packet>,
    B: Pool<Packet = R::Packet>,
{
    /// Polls until told to stop.
    pub fn run(mut self) {
        let mut waiter = Waiter::new(self.idle);
        let (mut seen, mut plan, mut removed) = (0, None, 0);
        let (mut burst, mut rounds, mut busy) = (Box::default(), 0u32, false);
        while !self.shared.stop.load(Relaxed) {
            self.mailbox.exchange(&mut seen, &mut plan);
            let now = self.shared.tick.load(Relaxed);
            if self.shared.removed.load(Relaxed) != removed {
                removed = self.shared.removed.load(Relaxed);
                self.let_go(removed);
            }
            let host = !busy || rounds.is_multiple_of(ROUNDS_PER_HOST_POLL);
            rounds = rounds.wrapping_add(1);
            busy = self.round(plan.as_deref(), now, host, &mut burst);
            waiter.after_round(busy);
        }
        let Self { balancer, egress, pool, shared, .. } = &mut self;
        balancer.complete(plan.as_deref(), shared.tick.load(Relaxed), pool, egress);
        egress.flush();
        balancer.finish();
    }

    /// Gives the wire's queues of these ports back. What goes to them from now on is dropped, and
    /// charged to where it came from.
    #[cold]
    fn let_go(&mut self, ports: u32) {
        for intake in self.intakes.iter_mut().filter(|intake| ports & (1 << intake.port) != 0) {
            intake.wire = None;
            self.egress.close(intake.port);
        }
    }

    /// One burst from every queue (of the companions only if `host`), one step of housekeeping;
    /// whether anything came.
    #[inline]
    fn round(
        &mut self,
        plan: Option<&Plan>,
        now: Tick,
        host: bool,
        burst: &mut Box<Burst<R::Packet>>,
    ) -> bool {
        let Self { balancer, intakes, egress, pool, .. } = self;
        let mut busy = false;
        for intake in intakes {
            if let Some(queue) = &mut intake.wire {
                queue.receive(burst);
                if !burst.is_empty() {
                    busy = true;
                    balancer.receive(plan, now, intake.port, burst, pool, egress);
                }
            }
            if let Some(queue) = intake.host.as_mut().filter(|_| host) {
                queue.receive(burst);
                if !burst.is_empty() {
                    busy = true;
                    balancer.from_host(plan, now, intake.port, burst, egress);
                }
            }
        }
        if !busy {
            balancer.complete(plan, now, pool, egress);
        }
        balancer.housekeep(plan, now, pool, egress);
        egress.flush();
        busy
    }
}
