//! One thread's part of a trial: a sender, and what arrives at the client's and the server's queues.

use crate::end::End;
use nic::{Pool, Rx, Tx};
use std::sync::atomic::{AtomicBool, Ordering};
use traffic::{Bounds, Pace, Receiver, Sender, Sent, Traffic};
use wire::Packet;

/// Queues of one thread. Without a server end the clients' port is the real servers' too.
pub struct Lane<R, T: Tx, Q> {
    client: End<R, T>,
    server: Option<End<R, T>>,
    pool: Q,
}

/// One trial of one lane. Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Work {
    /// What is sent.
    pub traffic: Traffic,
    /// Packets per second of this lane; `None`: as many as can be.
    pub rate: Option<u64>,
    /// Longest stall of the sender that it makes up for.
    pub catch_up: u64,
    /// Packets at most.
    pub packets: Option<u64>,
    /// How long to send.
    pub duration: u64,
    /// How long it must be quiet before a trial ends (RFC 2544 section 23: two seconds).
    pub linger: u64,
    /// Its number, in every packet.
    pub trial: u8,
    /// UDP port of GUE tunnels.
    pub gue_port: u16,
    /// First packet of the pattern.
    pub first: u64,
}

/// What a lane saw.
pub struct Tried {
    /// What was sent.
    pub sent: Sent,
    /// The packet of the pattern that would be next.
    pub next: u64,
    /// For how long, in nanoseconds.
    pub took: u64,
    /// What the client's end counted, and the server's.
    pub receivers: Vec<Receiver>,
    /// Answers lost for want of room in a transmit queue.
    pub unanswered: u64,
}

/// A trial that never gets quiet ends after so many times its linger.
const PATIENCE: u64 = 10;

impl<P, R, T, Q> Lane<R, T, Q>
where
    P: Packet,
    R: Rx<Packet = P>,
    T: Tx<Packet = P>,
    Q: Pool<Packet = P>,
{
    /// Of these ends; packets come from this pool.
    pub fn new(client: End<R, T>, server: Option<End<R, T>>, pool: Q) -> Self {
        Self { client, server, pool }
    }

    /// Sends and counts until everything is sent and it has become quiet, or `stop` is set. `clock`
    /// gives nanoseconds.
    pub fn run(&mut self, work: &Work, clock: &dyn Fn() -> u64, stop: &AtomicBool) -> Tried {
        let started = clock();
        let pace = Pace::new(work.rate, started, work.catch_up);
        let until = started.saturating_add(work.duration);
        let bounds = Bounds { packets: work.packets, until };
        let traffic = work.traffic.clone();
        let mut receivers = self.receivers(work);
        let before = self.unanswered();
        let mut sender = Sender::new(traffic, pace, bounds, work.trial, work.first);
        let mut now = started;
        while !sender.is_done(now) && !stop.load(Ordering::Relaxed) {
            sender.step(&mut self.client.tx, &mut self.pool, now);
            self.receive(&mut receivers, clock());
            now = clock();
        }
        let ended = now;
        self.linger(work, clock, &mut receivers, stop);
        let (sent, next) = sender.finish();
        let unanswered = self.unanswered() - before;
        Tried { sent, next, took: ended - started, receivers, unanswered }
    }

    /// Answers neighbours until `stop` is set.
    pub fn idle(&mut self, work: &Work, clock: &dyn Fn() -> u64, stop: &AtomicBool) {
        let mut receivers = self.receivers(work);
        while !stop.load(Ordering::Relaxed) {
            self.receive(&mut receivers, clock());
        }
    }

    fn linger(
        &mut self,
        work: &Work,
        clock: &dyn Fn() -> u64,
        receivers: &mut [Receiver],
        stop: &AtomicBool,
    ) {
        let ended = clock();
        let (mut now, mut last) = (ended, ended);
        while now - last < work.linger
            && now - ended < work.linger.saturating_mul(PATIENCE)
            && !stop.load(Ordering::Relaxed)
        {
            now = clock();
            if self.receive(receivers, now) > 0 {
                last = now;
            }
        }
    }

    fn receive(&mut self, receivers: &mut [Receiver], now: u64) -> usize {
        let ends = std::iter::once(&mut self.client).chain(&mut self.server);
        ends.zip(receivers).map(|(end, receiver)| end.step(receiver, now)).sum()
    }

    fn receivers(&self, work: &Work) -> Vec<Receiver> {
        let ends = 1 + usize::from(self.server.is_some());
        vec![Receiver::new(work.trial, work.traffic.share.of, work.gue_port); ends]
    }

    fn unanswered(&self) -> u64 {
        self.client.unanswered() + self.server.as_ref().map_or(0, End::unanswered)
    }
}
