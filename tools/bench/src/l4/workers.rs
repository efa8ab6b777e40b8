//! What a second worker adds.

use super::{Common, is_two_way};
use crate::bed::Bed;
use crate::fulcrum::{Program, snapshot};
use crate::{median, testpmd};
use anyhow::Result;
use incore::Trace;
use serde_json::json;

/// What `bench workers` is told.
#[derive(clap::Args)]
pub struct Workers {
    #[command(flatten)]
    common: Common,
    /// Flows in the trace.
    #[arg(long, default_value_t = 65_536)]
    flows: u32,
    /// CPUs, the first one of which is a single worker's.
    #[arg(long, value_delimiter = ',', default_value = "1,0")]
    cpus: Vec<u16>,
}

/// Connections that the table has room for.
const ENTRIES: u32 = 1_500_000;

/// Whose replies come in where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ways {
    /// No replies.
    One,
    /// By their hash: on either worker.
    Both,
    /// Always on the other worker.
    Apart,
}

/// Mpps per CPU-second, by number of workers.
#[derive(Default)]
struct Figures {
    one: Vec<f64>,
    all: Vec<f64>,
    ratios: Vec<f64>,
}

impl Figures {
    fn push(&mut self, one: f64, all: f64) {
        self.one.push(one);
        self.all.push(all);
        self.ratios.push(all / one);
    }
}

impl Workers {
    /// Measures and prints the table.
    ///
    /// # Errors
    /// When a program does not forward.
    pub fn run(&self) -> Result<()> {
        let count = self.cpus.len();
        println!("in-core device, a queue for each worker; UDP, 64 bytes, {} flows", self.flows);
        println!(
            "{:<36} {:>9} {:>9} {:>7}",
            "program",
            "1 worker",
            format!("{count} workers"),
            "ratio"
        );
        for ways in [Ways::One, Ways::Both, Ways::Apart] {
            self.rows(ways)?;
        }
        Ok(())
    }

    fn rows(&self, ways: Ways) -> Result<()> {
        let Common { runs, ipv6, reference, .. } = &self.common;
        let modes = self.common.modes(|_| true)?;
        let modes: Vec<_> =
            modes.into_iter().filter(|&m| is_two_way(m) || ways == Ways::One).collect();
        let programs = self.common.programs(&modes, ENTRIES)?;
        let (replies, apart) = (ways != Ways::One, ways == Ways::Apart);
        let trace = Trace { flows: self.flows, ipv6: *ipv6, replies, apart, ..Trace::default() };
        let mut forwarder = Figures::default();
        let mut figures: Vec<Figures> = programs.iter().map(|_| Figures::default()).collect();
        for _ in 0..(*runs).max(1) {
            let [one, all] = self.each(
                |bed, cpus| {
                    Ok(testpmd::forward_on(bed, reference, cpus, self.common.interval())?.mpps())
                },
                trace,
            )?;
            forwarder.push(one, all);
            for ((_, program), figures) in programs.iter().zip(&mut figures) {
                let [one, all] = self.each(|bed, cpus| self.measure(bed, program, cpus), trace)?;
                figures.push(one, all);
            }
        }
        self.row(reference, ways, &mut forwarder);
        for ((name, _), figures) in programs.iter().zip(&mut figures) {
            self.row(name, ways, figures);
        }
        Ok(())
    }

    /// The same with one worker and with all, in turn.
    fn each(
        &self,
        measure: impl Fn(&Bed, &[u16]) -> Result<f64>,
        trace: Trace,
    ) -> Result<[f64; 2]> {
        let one = measure(&Bed::new(trace, 1)?, &self.cpus[..1])?;
        let all = measure(&Bed::new(trace, self.cpus.len())?, &self.cpus)?;
        Ok([one, all])
    }

    fn measure(&self, bed: &Bed, program: &Program, cpus: &[u16]) -> Result<f64> {
        let program = Program { cpus: cpus.to_vec(), ..program.clone() };
        let mut process = program.run(bed, snapshot(program.mode, bed.trace))?;
        Ok(process.measure(bed, self.common.interval())?.0.mpps())
    }

    fn row(&self, program: &str, ways: Ways, figures: &mut Figures) {
        let ways = match ways {
            Ways::One => "",
            Ways::Both => ", both directions",
            Ways::Apart => ", replies on the other worker",
        };
        let (one, all) = (median(&mut figures.one), median(&mut figures.all));
        let ratio = median(&mut figures.ratios);
        let program = format!("{program}{ways}");
        println!("{program:<36} {one:>9.2} {all:>9.2} {ratio:>7.3}");
        if self.common.json {
            let row = json!({"program": program, "one": one, "all": all, "ratio": ratio});
            println!("{row}");
        }
    }
}
