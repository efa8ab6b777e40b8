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

impl<R, T, B> Worker<R, T, B>
where
    R: Rx,
    T: Tx<Packet = R::Packet>,
    B: Pool<Packet = R::Packet>,
{
    /// Polls until told to stop.
    pub fn run(mut self) {
        let mut waiter = Waiter::new(self.idle);
        let (mut seen, mut plan) = (0, None);
        let mut burst = Burst::new();
        while !self.shared.stop.load(Relaxed) {
            self.mailbox.exchange(&mut seen, &mut plan);
            let now = self.shared.tick.load(Relaxed);
            let busy = self.round(plan.as_deref(), now, &mut burst);
            waiter.after_round(busy);
        }
        self.balancer.finish();
    }

    /// One burst from every queue, one step of housekeeping; whether anything came.
    #[inline]
    fn round(&mut self, plan: Option<&Plan>, now: Tick, burst: &mut Burst<R::Packet>) -> bool {
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
            if let Some(queue) = &mut intake.host {
                queue.receive(burst);
                if !burst.is_empty() {
                    busy = true;
                    balancer.from_host(plan, now, intake.port, burst, egress);
                }
            }
        }
        balancer.housekeep(plan, now, pool, egress);
        egress.flush();
        busy
    }
}
