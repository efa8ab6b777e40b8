//! A report beside another one: of the run before, or of a program that everybody knows.

use crate::rfc2544::report::{Connections, Finding, Latency, Report, Throughput};
use serde::{Deserialize, Serialize};
use traffic::Times;

/// The figures of another run, made in the same way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// What it was.
    pub name: String,
    /// Its throughput.
    pub throughput: Vec<Throughput>,
    /// Its latency.
    pub latency: Vec<Latency>,
    /// Its connections per second.
    pub connection_rate: Option<Connections>,
}

/// Latency at one load, ours and the other's, each at this part of its own throughput.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Added<'a> {
    /// Ours.
    pub here: &'a Latency,
    /// The other's, with the same length, flows and load.
    pub there: &'a Latency,
}

impl Added<'_> {
    /// Nanoseconds that ours takes longer, less than none where it is quicker.
    pub fn by(&self, of: fn(&Times) -> u64) -> i64 {
        of(&self.here.times) as i64 - of(&self.there.times) as i64
    }
}

impl Beside {
    /// Of a report, under this name.
    pub fn of(name: &str, report: Report) -> Self {
        let Report { throughput, latency, connection_rate, .. } = report;
        Self { name: name.into(), throughput, latency, connection_rate }
    }
}

impl Report {
    /// Latency that the device adds to what the other one takes, in the order of measurement.
    pub fn added(&self) -> Vec<Added<'_>> {
        let there = |here: &Latency| {
            let mut rows = self.beside.iter().flat_map(|beside| &beside.latency);
            rows.find(|row| {
                row.size == here.size && row.flows == here.flows && row.load == here.load
            })
        };
        let both = |here| there(here).map(|there| Added { here, there });
        self.latency.iter().filter_map(both).collect()
    }

    /// Judges each throughput, and the connections per second, by the other's: at least this part of
    /// them is wanted. Where there is nothing to compare with, there only has to be some.
    pub fn compare(&mut self, least: f64) {
        let other = self.beside.as_ref();
        let mut findings = Vec::new();
        let mut judge = |what: String, now: u64, old: Option<u64>| {
            let wanted = old.map_or(1, |old| ((old as f64 * least).ceil() as u64).max(1));
            findings.push(Finding {
                what,
                wanted: match (old, other) {
                    (Some(old), Some(other)) => {
                        format!("at least {wanted}, {least} of {old} ({})", other.name)
                    }
                    _ => "some: there is nothing to compare with".into(),
                },
                seen: now.to_string(),
                passed: now >= wanted,
            });
        };
        for row in &self.throughput {
            let mut rows = other.iter().flat_map(|other| &other.throughput);
            let old = rows.find(|old| old.size == row.size && old.flows == row.flows);
            let what = format!("throughput, {} bytes, {} flows", row.size, row.flows);
            judge(what, row.packets, old.map(|old| old.packets));
        }
        if let Some(row) = &self.connection_rate {
            let old = other.and_then(|other| other.connection_rate.as_ref());
            judge("connections per second".into(), row.most, old.map(|old| old.most));
        }
        self.findings = findings;
    }
}
