//! What a benchmark found: JSON, and a table for a reader.

use crate::rfc2544::beside::Beside;
use crate::rfc2544::ledger::{Fate, Totals};
use serde::{Deserialize, Serialize};
use std::fmt;
use traffic::Times;

/// Everything of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was measured, in the operator's words.
    pub title: String,
    /// When it began, in UTC, as RFC 3339 writes it; empty where nobody said.
    #[serde(default)]
    pub when: String,
    /// The machine that sent, one line for each thing to know of it.
    #[serde(default)]
    pub machine: Vec<String>,
    /// Ports, mode, what else the figures depend on.
    pub setting: Vec<String>,
    /// How trials were run.
    #[serde(default)]
    pub method: Method,
    /// What was wanted of the device, and whether it is so.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// By frame length and number of flows.
    pub throughput: Vec<Throughput>,
    /// By frame length, flows and load.
    pub latency: Vec<Latency>,
    /// By frame length.
    pub back_to_back: Vec<BackToBack>,
    /// Connections opened, used and closed per second.
    pub connection_rate: Option<Connections>,
    /// Connections open at once.
    pub concurrent: Option<Connections>,
    /// Packets of all trials together.
    #[serde(default)]
    pub totals: Totals,
    /// Where the lost ones of them were lost, if the device was asked.
    #[serde(default)]
    pub fates: Option<Vec<Fate>>,
    /// Figures to compare with.
    #[serde(default)]
    pub beside: Option<Beside>,
}

/// How the trials of a report were run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Seconds of a trial.
    pub seconds: f64,
    /// Two rates closer than this part of the most are one.
    pub resolution: f64,
    /// Part of the packets that may be lost in a trial that passes.
    pub most_loss: f64,
}

/// Something that was wanted, and what was seen instead or with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was tried.
    pub what: String,
    /// What was wanted of it.
    pub wanted: String,
    /// What was seen.
    pub seen: String,
    /// It is as it was wanted.
    pub passed: bool,
}

/// RFC 2544 section 26.1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Length of frames, as told.
    pub size: String,
    /// Different flows.
    pub flows: u32,
    /// The greatest rate without loss, in packets per second; 0 when every rate lost some.
    pub packets: u64,
    /// The wire that takes, in bits per second.
    pub bits: f64,
    /// Its part of the rate that was tried first: the line's, or the generator's most.
    pub part: f64,
    /// The generator could not send faster: the device's own limit is higher.
    pub limited: bool,
    /// All trials, in order.
    pub trials: Vec<Tried>,
}

/// One trial of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Packets per second wanted, or packets of a burst.
    pub value: u64,
    /// Part of the packets that was lost.
    pub loss: f64,
    /// The generator kept to the rate.
    pub kept_rate: bool,
    /// It counts as without loss.
    pub passed: bool,
}

/// RFC 2544 section 26.2, RFC 8219 section 7.2 and 7.3.1; every packet is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Length of frames.
    pub size: String,
    /// Different flows.
    pub flows: u32,
    /// Part of the throughput that was sent.
    pub load: f64,
    /// Packets per second.
    pub packets: u64,
    /// Part that was lost.
    pub loss: f64,
    /// Nanoseconds.
    pub times: Times,
}

/// RFC 2544 section 26.4.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackToBack {
    /// Length of frames.
    pub size: String,
    /// The longest burst at the greatest rate without loss, the mean of the repetitions, in packets.
    pub packets: f64,
    /// Every one of them reached the longest burst that was tried.
    pub unlimited: bool,
    /// What each repetition found.
    pub found: Vec<u64>,
}

/// Connections without a packet lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Per second, or at once.
    pub most: u64,
    /// Where the search began: what passes that is not limited by the device.
    pub asked: u64,
    /// The generator could not do more.
    pub limited: bool,
    /// All trials, in order; values are packets per second, or connections.
    pub trials: Vec<Tried>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        self.setting.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if !self.throughput.is_empty() {
            writeln!(f, "\nthroughput (RFC 2544 section 26.1)")?;
            writeln!(
                f,
                "{:>12} {:>9} {:>14} {:>12} {:>8}",
                "size", "flows", "packets/s", "Mbit/s", "part"
            )?;
        }
        for row in &self.throughput {
            let Throughput { size, flows, packets, bits, part, limited, .. } = row;
            let note = if *limited { "  the generator's limit" } else { "" };
            let (mbits, part) = (bits / 1e6, part * 100.0);
            writeln!(f, "{size:>12} {flows:>9} {packets:>14} {mbits:>12.1} {part:>7.1}%{note}")?;
        }
        self.latencies(f)?;
        if !self.back_to_back.is_empty() {
            writeln!(f, "\nback-to-back (section 26.4)\n{:>12} {:>14}", "size", "packets")?;
        }
        for row in &self.back_to_back {
            let note = if row.unlimited { "  and more" } else { "" };
            writeln!(f, "{:>12} {:>14.0}{note}", row.size, row.packets)?;
        }
        connections(f, "connections per second", self.connection_rate.as_ref())?;
        connections(f, "connections at once", self.concurrent.as_ref())?;
        self.compared(f)?;
        self.losses(f)
    }
}

impl Report {
    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.latency.is_empty() {
            writeln!(f, "\nlatency in µs (section 26.2, RFC 8219 section 7)")?;
            writeln!(
                f,
                "{:>12} {:>9} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
                "size", "flows", "load", "least", "50 %", "99 %", "99.9 %", "most", "variation"
            )?;
        }
        for row in &self.latency {
            let us = |ns: u64| ns as f64 / 1000.0;
            let (load, times) = (row.load * 100.0, &row.times);
            writeln!(
                f,
                "{:>12} {:>9} {load:>5.0}% {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>10.1}",
                row.size,
                row.flows,
                us(times.least),
                us(times.p50),
                us(times.p99),
                us(times.p999),
                us(times.most),
                us(times.variation())
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn compared(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (added, name) = (self.added(), self.beside.as_ref().map_or("", |it| &it.name));
        if !added.is_empty() {
            writeln!(f, "\nlatency added to {name}, in µs")?;
            let heads = ["size", "flows", "load", "50 %", "of it added", "99.9 %", "of it added"];
            let [size, flows, load, p50, more, p999, most] = heads;
            writeln!(
                f,
                "{size:>12} {flows:>9} {load:>6} {p50:>9} {more:>12} {p999:>9} {most:>12}"
            )?;
        }
        for row in &added {
            let Latency { size, flows, load, times, .. } = row.here;
            let us = |ns: f64| ns / 1000.0;
            writeln!(
                f,
                "{size:>12} {flows:>9} {:>5.0}% {:>9.1} {:>12.1} {:>9.1} {:>12.1}",
                load * 100.0,
                us(times.p50 as f64),
                us(row.by(|times| times.p50) as f64),
                us(times.p999 as f64),
                us(row.by(|times| times.p999) as f64)
            )?;
        }
        for Finding { what, wanted, seen, passed } in &self.findings {
            let verdict = if *passed { "met" } else { "MISSED" };
            writeln!(f, "{verdict:>6}  {what}: {seen}; wanted: {wanted}")?;
        }
        Ok(())
    }

    fn losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fates) = &self.fates else { return Ok(()) };
        let Totals { sent, lost, .. } = self.totals;
        writeln!(f, "\nof {sent} packets in all trials {lost} were lost")?;
        fates.iter().try_for_each(|fate| writeln!(f, "{:>12}  {}", fate.packets, fate.name))
    }
}

fn connections(f: &mut fmt::Formatter<'_>, name: &str, row: Option<&Connections>) -> fmt::Result {
    let Some(row) = row else { return Ok(()) };
    let note = if row.limited { "  the generator's limit" } else { "" };
    writeln!(f, "\n{name} {:>14}{note}", row.most)
}
