//! Connections from their first segment to their last, one after the other.

use super::{Common, is_two_way};
use crate::bed::Bed;
use crate::fulcrum::{Program, snapshot};
use crate::{median, testpmd};
use anyhow::{Result, ensure};
use api::{Counters, Mode, Timeouts};
use incore::Trace;
use serde_json::json;
use std::thread;
use std::time::Duration;

/// What `bench opening` is told.
#[derive(clap::Args)]
pub struct Opening {
    #[command(flatten)]
    common: Common,
    /// Connections open at a time.
    #[arg(long, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(4_096..))]
    flows: u32,
    /// Connections the table has room for. Closed ones stay for one to five seconds, so that this and
    /// the rate make its load.
    #[arg(long, default_value_t = 8_000_000)]
    table_entries: u32,
    /// Seconds until as many connections expire as are opened.
    #[arg(long, default_value_t = 6)]
    settle: u64,
    /// Times that the sweep goes through the table, of four seconds each, while a data plane is
    /// measured. What it meets differs from second to second.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    sweeps: u32,
}

/// What was measured of one program.
#[derive(Default)]
struct Figures {
    /// Million connections per CPU-second.
    rates: Vec<f64>,
    /// The same of the second in which they were fewest.
    least: Vec<f64>,
    /// Of the table's units in use, on average.
    loads: Vec<f64>,
}

impl Opening {
    /// Measures and prints the table.
    ///
    /// # Errors
    /// When a program does not forward every packet.
    pub fn run(&self) -> Result<()> {
        let family = self.common.family();
        println!(
            "in-core device, one queue, one worker; {family} TCP, 64 bytes; one way 4 segments"
        );
        println!("each (SYN, ACK, data, FIN), both ways 8; {} at a time", self.flows);
        println!(
            "{:<24} {:>12} {:>12} {:>7} {:>6}",
            "program", "M conn/CPU-s", "least second", "ratio", "table"
        );
        for two_way in [false, true] {
            let possible: fn(Mode) -> bool =
                if two_way { is_two_way } else { |mode| !is_two_way(mode) };
            let modes = self.common.modes(|_| true)?.into_iter().filter(|&mode| possible(mode));
            let modes: Vec<Mode> = modes.collect();
            if !modes.is_empty() {
                self.rows(two_way, &modes)?;
            }
        }
        Ok(())
    }

    fn rows(&self, replies: bool, modes: &[Mode]) -> Result<()> {
        let Common { ipv6, runs, reference, .. } = &self.common;
        let trace = Trace {
            flows: self.flows,
            ipv6: *ipv6,
            tcp: true,
            replies,
            opening: true,
            ..Trace::default()
        };
        let segments = trace.segments() as f64;
        let programs = self.common.programs(modes, self.table_entries)?;
        let bed = Bed::new(trace, 1)?;
        let mut base = Vec::new();
        let mut figures: Vec<Figures> = programs.iter().map(|_| Figures::default()).collect();
        for _ in 0..(*runs).max(1) {
            base.push(testpmd::forward(&bed, reference, self.common.interval())?.mpps() / segments);
            for ((_, program), figures) in programs.iter().zip(&mut figures) {
                self.measure(&bed, program, figures)?;
            }
        }
        let base = median(&mut base);
        let ways = if replies { "both ways" } else { "one way" };
        self.row(&format!("{reference}, {ways}"), [base; 2], 1.0, 0.0);
        for ((name, _), figures) in programs.iter().zip(&mut figures) {
            let rate = median(&mut figures.rates);
            let rates = [rate, median(&mut figures.least)];
            self.row(name, rates, rate / base, median(&mut figures.loads));
        }
        Ok(())
    }

    fn measure(&self, bed: &Bed, program: &Program, figures: &mut Figures) -> Result<()> {
        let mut snapshot = snapshot(program.mode, bed.trace);
        for service in &mut snapshot.services {
            service.timeouts = SHORT;
        }
        let mut process = program.run(bed, snapshot)?;
        thread::sleep(Duration::from_secs(self.settle));
        let seconds = self.sweeps * SWEEP_S;
        let (mut rates, mut least, mut loads) = (0.0, f64::INFINITY, 0.0);
        for _ in 0..seconds {
            let (sample, [before, after]) = process.measure(bed, Duration::from_secs(1))?;
            // By the data plane's own count alone, since the device's is of another moment.
            let forwarded = after.ports[0].forwarded - before.ports[0].forwarded;
            let opened = total(&after) - total(&before);
            let expected = forwarded / bed.trace.segments();
            ensure!(
                opened.abs_diff(expected) * 100 < expected,
                "{opened} connections were opened by {forwarded} packets"
            );
            let rate = sample.mpps() / bed.trace.segments() as f64;
            rates += rate;
            least = least.min(rate);
            loads += after.table.units_used as f64 / after.table.units as f64;
        }
        figures.rates.push(rates / f64::from(seconds));
        figures.least.push(least);
        figures.loads.push(loads / f64::from(seconds));
        Ok(())
    }

    fn row(&self, program: &str, [rate, least]: [f64; 2], ratio: f64, load: f64) {
        println!("{program:<24} {rate:>12.2} {least:>12.2} {ratio:>7.3} {load:>6.2}");
        if self.common.json {
            let row = json!({"flows": self.flows, "ipv6": self.common.ipv6, "program": program,
                "connections": rate, "least_second": least, "ratio": ratio, "table_load": load});
            println!("{row}");
        }
    }
}

/// Within this time the table is swept once.
const SWEEP_S: u32 = 4;

/// As short as they can be: closed connections make room.
const SHORT: Timeouts = Timeouts {
    tcp_opening_s: 1,
    tcp_established_s: 1,
    tcp_closing_s: 1,
    tcp_closed_s: 1,
    udp_s: 1,
};

/// Connections opened since the start.
fn total(counters: &Counters) -> u64 {
    counters.backends.iter().map(|backend| backend.total).sum()
}
