//! What became of a trial's packets, all lanes together; as JSON, and for a reader.

use crate::lane::Tried;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt;
use traffic::{Counts, Kind, Others, Receiver, Sent, Sizes, Times};

/// One trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Packets per second that were wanted; none: as many as can be.
    pub wanted: Option<u64>,
    /// How long was sent, in seconds.
    pub seconds: f64,
    /// What was sent.
    pub sent: Sent,
    /// Packets per second that were sent.
    pub offered: f64,
    /// Bits per second of wire that they took, gaps counted; datagrams only, 0 in TCP.
    pub offered_bits: f64,
    /// Packets per second that arrived where they end: replies at the client, others at a server.
    pub arrived: f64,
    /// What nobody answers, as it arrived at a server.
    pub notices: Way,
    /// What is answered, as it arrived at a server.
    pub requests: Way,
    /// Answers, as they arrived at the client; times are those of both ways.
    pub replies: Way,
    /// What was not counted there.
    pub others: Others,
    /// Answers that a server's transmit queue had no room for: lost by the generator.
    pub unanswered: u64,
}

/// Packets of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Sent, or to be answered.
    pub expected: u64,
    /// Not arrived.
    pub lost: u64,
    /// Arrived, once, twice, late.
    pub counts: Counts,
    /// How long they took.
    pub times: Times,
}

impl Outcome {
    /// Of what the lanes saw.
    pub fn of(lanes: &[Tried], wanted: Option<u64>, sizes: Option<&Sizes>) -> Self {
        let mut it = Self { wanted, ..Self::default() };
        for lane in lanes {
            it.sent.add(&lane.sent);
            it.unanswered += lane.unanswered;
            it.seconds = it.seconds.max(lane.took as f64 / 1e9);
        }
        let receivers = || lanes.iter().flat_map(|lane| &lane.receivers);
        receivers().for_each(|receiver| it.others.add(&receiver.others()));
        it.notices = Way::of(receivers(), Kind::Notice, it.sent.notices);
        it.requests = Way::of(receivers(), Kind::Request, it.sent.requests);
        it.replies = Way::of(receivers(), Kind::Reply, it.sent.requests);
        let per_second =
            |count: u64| if it.seconds > 0.0 { count as f64 / it.seconds } else { 0.0 };
        it.offered = per_second(it.sent.packets());
        it.arrived = per_second(it.notices.counts.received + it.replies.counts.received);
        it.offered_bits = sizes.map_or(0.0, |sizes| sizes.bits_per_second(it.offered));
        it
    }

    /// Packets that did not arrive where they end.
    pub fn lost(&self) -> u64 {
        self.notices.lost + self.replies.lost
    }

    /// The part of all that was lost.
    pub fn loss(&self) -> f64 {
        match self.sent.packets() {
            0 => 0.0,
            sent => self.lost() as f64 / sent as f64,
        }
    }

    /// Whether the sender kept to the wanted rate, to a thousandth. Where it did not, the trial says
    /// nothing of the device under test at that rate.
    pub fn kept_rate(&self) -> bool {
        let asked = self.sent.packets() + self.sent.skipped;
        self.wanted.is_none() || self.sent.skipped * 1000 <= asked
    }

    /// Where the figures of time are from: replies where there are any, else notices.
    pub fn times(&self) -> Times {
        if self.replies.expected > 0 { self.replies.times } else { self.notices.times }
    }
}

impl Way {
    fn of<'a>(receivers: impl Iterator<Item = &'a Receiver>, kind: Kind, expected: u64) -> Self {
        let (mut counts, mut times) = (Counts::default(), None::<Histogram<u64>>);
        for tally in receivers.flat_map(|receiver| receiver.tallies(kind)) {
            counts.add(&tally.counts());
            let own = tally.histogram();
            match &mut times {
                // The bounds are the same ones.
                Some(all) => all.add(own).unwrap_or_default(),
                None => times = Some(own.clone()),
            }
        }
        let times = times.as_ref().map(Times::of).unwrap_or_default();
        Self { expected, lost: expected.saturating_sub(counts.received), counts, times }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if self.expected == 0 {
            return Ok(());
        }
        let Self { expected, lost, counts, times } = self;
        writeln!(
            f,
            "{name:<9} {:>12} of {expected}, lost {lost}, twice {}, late {} (by {} at most), stale {}, \
             strange {}",
            counts.received,
            counts.duplicates,
            counts.reordered,
            counts.extent,
            counts.stale,
            counts.strange
        )?;
        let us = |ns: u64| ns as f64 / 1000.0;
        writeln!(
            f,
            "{:<9} {:>12} µs least {:.1}, half {:.1}, 99 % {:.1}, 99.9 % {:.1}, most {:.1}, variation {:.1}",
            "",
            "time",
            us(times.least),
            us(times.p50),
            us(times.p99),
            us(times.p999),
            us(times.most),
            us(times.variation())
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, others, .. } = self;
        let wanted =
            self.wanted.map_or("as many as can be".into(), |rate| format!("{rate} wanted"));
        writeln!(
            f,
            "sent      {:>12} packets in {:.3} s, {:.0} a second ({wanted}), {} connections",
            sent.packets(),
            self.seconds,
            self.offered,
            sent.connections
        )?;
        self.notices.line(f, "notices")?;
        self.requests.line(f, "requests")?;
        self.replies.line(f, "replies")?;
        writeln!(
            f,
            "arrived   {:>12.0} a second, {:.4} % lost",
            self.arrived,
            self.loss() * 100.0
        )?;
        let troubles = [
            ("not sent in time", sent.skipped),
            ("no buffer", sent.no_buffer),
            ("answers not sent", self.unanswered),
            ("foreign", others.foreign),
            ("broken", others.broken),
            ("stragglers", others.stragglers),
        ];
        for (name, count) in troubles.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "{:<9} {count:>12} {name}", "")?;
        }
        Ok(())
    }
}
