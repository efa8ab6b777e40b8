//! Where packets were lost, by the counters of whoever had them: what the generator misses by the numbers
//! in its packets must be what was lost before, in and after the device, to the packet.

use crate::outcome::{Outcome, Way};
use serde::{Deserialize, Serialize};

/// Packets that the generator sent and got, over all trials of a benchmark, those that warm up among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Sent by clients.
    pub sent: u64,
    /// Sent by real servers, as answers.
    pub answered: u64,
    /// Everything that came to a port of the generator.
    pub arrived: u64,
    /// Packets of clients that should have come to their end in their trial and have not, by their numbers.
    pub lost: u64,
    /// Answers that a port of the generator had no room for.
    pub unanswered: u64,
    /// What came to its end broken, twice, after its trial was over, or was none of ours.
    pub odd: u64,
}

/// What a device counted over the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Packets that it received.
    pub received: u64,
    /// Packets that it sent.
    pub sent: u64,
    /// Packets that it received and did not send, by its reasons.
    pub lost: Vec<(String, u64)>,
}

/// One place where packets were lost. Less than none where more came out than went in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// Which.
    pub name: String,
    /// How many.
    pub packets: i64,
}

impl Totals {
    /// Adds what became of a trial's packets.
    pub fn add(&mut self, outcome: &Outcome) {
        let Outcome { notices, requests, replies, others, unanswered, .. } = outcome;
        self.sent += outcome.sent.packets();
        self.answered += (requests.counts.received + odd(requests)).saturating_sub(*unanswered);
        self.lost += outcome.lost();
        self.unanswered += unanswered;
        let odd_ones =
            odd(notices) + odd(replies) + others.foreign + others.broken + others.stragglers;
        self.odd += odd_ones;
        self.arrived += notices.counts.received + replies.counts.received + odd_ones;
        self.arrived += requests.counts.received + odd(requests);
    }

    /// Where the lost ones were lost: every place where something was.
    pub fn fates(&self, device: &Device) -> Vec<Fate> {
        let before = (self.sent + self.answered) as i64 - device.received as i64;
        let after = device.sent as i64 - self.arrived as i64;
        let fate = |name: &str, packets: i64| Fate { name: name.into(), packets };
        let lost =
            |(name, packets): &(String, u64)| fate(&format!("device: {name}"), *packets as i64);
        let mut fates = vec![fate("between generator and device", before)];
        fates.extend(device.lost.iter().map(lost));
        fates.push(fate("between device and generator", after));
        fates.push(fate("generator: no room for an answer", self.unanswered as i64));
        fates.push(fate("came broken, twice, late, or foreign", self.odd as i64));
        fates.retain(|fate| fate.packets != 0);
        fates
    }
}

/// Arrivals that are not the first and timely one of their number.
fn odd(way: &Way) -> u64 {
    way.counts.duplicates + way.counts.stale + way.counts.strange
}
