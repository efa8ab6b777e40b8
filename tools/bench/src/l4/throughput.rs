//! Packets of open connections.

use super::{Common, is_two_way};
use crate::bed::Bed;
use crate::fulcrum::{Program, snapshot};
use crate::{median, testpmd};
use anyhow::{Result, ensure};
use api::{BackendCounters, Counters};
use incore::Trace;
use serde_json::json;

/// What `bench l4` is told.
#[derive(clap::Args)]
pub struct Throughput {
    #[command(flatten)]
    common: Common,
    /// Flows in the trace.
    #[arg(long, value_delimiter = ',', default_value = "1000,65536,1000000")]
    flows: Vec<u32>,
    /// TCP, not UDP.
    #[arg(long)]
    tcp: bool,
    /// Half of the packets are the real servers' (NAT and SNAT).
    #[arg(long)]
    both_ways: bool,
    /// The device says nothing of checksums, as virtio does.
    #[arg(long)]
    unchecked: bool,
}

/// Connections that the table has room for.
const ENTRIES: u32 = 1_500_000;

impl Throughput {
    /// Measures and prints the table.
    ///
    /// # Errors
    /// When a program does not forward.
    pub fn run(&self) -> Result<()> {
        let family = self.common.family();
        let transport = if self.tcp { "TCP" } else { "UDP" };
        let ways = if self.both_ways { "both directions" } else { "client to server" };
        let unchecked = if self.unchecked { ", checksums not looked at" } else { "" };
        println!(
            "in-core device, one queue, one worker; {family} {transport}, 64 bytes, {ways}{unchecked}"
        );
        println!("{:>8}  {:<24} {:>10} {:>7}", "flows", "program", "Mpps/CPU-s", "ratio");
        self.flows.iter().try_for_each(|&flows| self.rows(flows))
    }

    fn rows(&self, flows: u32) -> Result<()> {
        let Common { runs, reference, .. } = &self.common;
        let interval = self.common.interval();
        let modes = self.common.modes(if self.both_ways { is_two_way } else { |_| true })?;
        let programs = self.common.programs(&modes, ENTRIES)?;
        let bed = Bed::new(self.trace(flows), 1)?;
        let mut base = Vec::new();
        let mut figures = vec![Vec::new(); programs.len()];
        for _ in 0..(*runs).max(1) {
            base.push(testpmd::forward(&bed, reference, interval)?.mpps());
            for ((_, program), figures) in programs.iter().zip(&mut figures) {
                figures.push(self.measure(&bed, program)?);
            }
        }
        let base = median(&mut base);
        self.row(flows, reference, base, 1.0);
        for ((name, _), figures) in programs.iter().zip(&mut figures) {
            let figure = median(figures);
            self.row(flows, name, figure, figure / base);
        }
        Ok(())
    }

    fn measure(&self, bed: &Bed, program: &Program) -> Result<f64> {
        let mut process = program.run(bed, snapshot(program.mode, bed.trace))?;
        let (sample, counters) = process.measure(bed, self.common.interval())?;
        if self.both_ways {
            let [before, after] = counters.map(|counters| packets(&counters));
            let (requests, replies) = (after.0 - before.0, after.1 - before.1);
            ensure!(
                requests.abs_diff(replies) * 20 < requests,
                "{replies} replies passed beside {requests} requests"
            );
        }
        Ok(sample.mpps())
    }

    fn trace(&self, flows: u32) -> Trace {
        let Self { tcp, both_ways: replies, unchecked, .. } = *self;
        Trace { flows, ipv6: self.common.ipv6, tcp, replies, unchecked, ..Trace::default() }
    }

    fn row(&self, flows: u32, program: &str, mpps: f64, ratio: f64) {
        println!("{flows:>8}  {program:<24} {mpps:>10.2} {ratio:>7.3}");
        if self.common.json {
            let row = json!({"flows": flows, "ipv6": self.common.ipv6, "tcp": self.tcp,
                "both_ways": self.both_ways, "unchecked": self.unchecked, "program": program, "mpps": mpps, "ratio": ratio});
            println!("{row}");
        }
    }
}

/// Packets of clients and of real servers since the start.
fn packets(counters: &Counters) -> (u64, u64) {
    let of = |count: fn(&BackendCounters) -> u64| counters.backends.iter().map(count).sum();
    (of(|backend| backend.packets), of(|backend| backend.reply_packets))
}
