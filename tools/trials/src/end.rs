//! One pair of queues: what arrives is counted, answered where it asks, and the rest left to the port.

use crate::host;
use nic::{Burst, Rx, Tx};
use traffic::{Addresses, Next, Receiver};
use wire::Packet;

/// A pair of queues and what is to be said to those who ask there.
pub struct End<R, T: Tx> {
    rx: R,
    /// The sender's too.
    pub(crate) tx: T,
    host: Host,
    /// Answers that the queue had no room for yet.
    answers: Burst<T::Packet>,
    unanswered: u64,
}

/// Whom a port speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The port's own address.
    pub mac: [u8; 6],
    /// IP addresses that neighbours find here, and that answer to ping.
    pub addresses: Vec<Addresses>,
}

impl<P: Packet, R: Rx<Packet = P>, T: Tx<Packet = P>> End<R, T> {
    /// Over these queues, for this host.
    pub fn new(rx: R, tx: T, host: Host) -> Self {
        Self { rx, tx, host, answers: Burst::new(), unanswered: 0 }
    }

    /// Takes one burst of what has arrived; how many packets that were.
    pub fn step(&mut self, receiver: &mut Receiver, now: u64) -> usize {
        if !self.answers.is_empty() {
            self.tx.send(&mut self.answers);
        }
        let mut burst = Burst::new();
        self.rx.receive(&mut burst);
        let arrived = burst.len();
        burst.iter().for_each(P::prefetch);
        for mut packet in burst {
            let answered = match receiver.take(&mut packet, now) {
                Next::Done => false,
                Next::Answer(parsed, stamp) => traffic::answer(packet.bytes_mut(), &parsed, &stamp),
                Next::Foreign => host::answer(&mut packet, &self.host),
            };
            if answered && self.answers.push(packet).is_err() {
                self.unanswered += 1;
            }
        }
        if !self.answers.is_empty() {
            self.tx.send(&mut self.answers);
        }
        arrived
    }

    /// Answers that were lost because the transmit queue stayed full.
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }
}
