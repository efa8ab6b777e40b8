//! What the rest of the data plane's work costs the forwarding while it runs.

use super::{Common, is_two_way};
use crate::bed::{Bed, Sample};
use crate::fulcrum::{Process, Program, snapshot};
use crate::median;
use anyhow::{Result, ensure};
use api::{Mode, Reply, Request, Service, Snapshot};
use incore::Trace;
use serde_json::json;
use std::time::{Duration, Instant};

/// What `bench disturbed` is told.
#[derive(clap::Args)]
pub struct Disturbed {
    #[command(flatten)]
    common: Common,
    /// Connections in the table.
    #[arg(long, default_value_t = 1_000_000)]
    flows: u32,
    /// Those of them that go on.
    #[arg(long, default_value_t = 65_536)]
    active: u32,
    /// Services of the configurations that are swapped, with four real servers each.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=16_000))]
    services: u16,
    /// How often, in each run, what can be done again is measured between two intervals without it.
    #[arg(long, default_value_t = 10)]
    times: usize,
}

/// Connections that the table has room for.
const ENTRIES: u32 = 1_500_000;
/// The most rows of a connection dump's answer.
const ROWS: u32 = 10_000;
/// No connection expires by itself.
const LONG_S: u32 = 3600;

/// What goes on beside the forwarding, as often as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Another configuration.
    Swap,
    /// All connections, to be listed.
    Dump,
    /// All counters.
    Scrape,
    /// Every idle connection has expired, and is removed.
    Sweep,
}

const WORKS: [(&str, Work); 4] = [
    ("configuration swap", Work::Swap),
    ("connection dump", Work::Dump),
    ("metrics scrape", Work::Scrape),
    ("expiry of the whole table", Work::Sweep),
];

/// What was measured of one work.
#[derive(Default)]
struct Figures {
    without: Vec<f64>,
    with: Vec<f64>,
    ratios: Vec<f64>,
    /// How often it was done in a second.
    rates: Vec<f64>,
    /// Rounds of more than 50 µs, in a second: without, with.
    late: [Vec<f64>; 2],
}

impl Disturbed {
    /// Measures and prints the table.
    ///
    /// # Errors
    /// When a packet is not forwarded, or the work is not done.
    pub fn run(&self) -> Result<()> {
        let Self { flows, active, services, .. } = self;
        println!("in-core device, one queue, one worker; {} UDP, 64 bytes", self.common.family());
        println!("{flows} connections, {active} of them in use, {services} services");
        println!(
            "{:<6} {:<26} {:>8} {:>8} {:>7} {:>14} {:>9} {:>14}",
            "mode",
            "beside it",
            "without",
            "with",
            "cost",
            "half between",
            "a second",
            "rounds > 50 µs"
        );
        for mode in self.common.modes(|_| true)? {
            for (name, program) in self.common.programs(&[mode], ENTRIES)? {
                self.rows(&name, &program)?;
            }
        }
        Ok(())
    }

    fn rows(&self, name: &str, program: &Program) -> Result<()> {
        let bed = Bed::new(
            Trace {
                flows: self.flows,
                ipv6: self.common.ipv6,
                replies: is_two_way(program.mode),
                active: self.active,
                gaps: true,
                ..Trace::default()
            },
            1,
        )?;
        let mut figures: Vec<Figures> = WORKS.iter().map(|_| Figures::default()).collect();
        for _ in 0..self.common.runs.max(1) {
            // Anew each time: the last work leaves the table nearly empty.
            let mut process = program.run(&bed, self.snapshot(program.mode, &bed, 1))?;
            for ((_, work), figures) in WORKS.iter().zip(&mut figures) {
                self.measure(*work, program.mode, &mut process, &bed, figures)?;
            }
        }
        for ((work, _), figures) in WORKS.iter().zip(&mut figures) {
            self.row(name, work, figures);
        }
        Ok(())
    }

    fn measure(
        &self,
        work: Work,
        mode: Mode,
        process: &mut Process,
        bed: &Bed,
        figures: &mut Figures,
    ) -> Result<()> {
        let interval = self.common.interval();
        let late = |sample: &Sample| sample.late() as f64 / sample.cpu().as_secs_f64();
        let times = self.times.max(1);
        // A sweep takes long, and so does what it is compared with.
        let (times, first) = match work {
            Work::Sweep => (1, interval * times as u32),
            _ => (times, interval),
        };
        let mut before = bed.measure(first)?;
        for _ in 0..times {
            let (reports, begun) = (bed.reports()?, Instant::now());
            let done = self.work(work, mode, process, bed, begun)?;
            let with = bed.since(&reports)?;
            figures.rates.push(done / begun.elapsed().as_secs_f64());
            figures.late[0].push(late(&before));
            figures.late[1].push(late(&with));
            let mut without = before.mpps();
            if work != Work::Sweep {
                // Between the two, so that a machine that becomes slower or faster does not count. (What is
                // left after the sweep is another table.)
                before = bed.measure(interval)?;
                without = f64::midpoint(without, before.mpps());
            }
            figures.ratios.push(with.mpps() / without);
            figures.without.push(without);
            figures.with.push(with.mpps());
        }
        Ok(())
    }

    /// Works for the interval (or until it is done). How many times it did.
    fn work(
        &self,
        work: Work,
        mode: Mode,
        process: &mut Process,
        bed: &Bed,
        begun: Instant,
    ) -> Result<f64> {
        if work == Work::Sweep {
            return self.sweep(mode, process, bed);
        }
        let mut times = 0;
        while begun.elapsed() < self.common.interval() {
            times += 1;
            match work {
                Work::Swap => process.apply(self.snapshot(mode, bed, 1 + times))?,
                Work::Dump => self.dump(process)?,
                _ => drop(process.counters()?),
            }
        }
        Ok(times as f64)
    }

    fn dump(&self, process: &mut Process) -> Result<()> {
        let (mut cursor, mut connections) = (Some(0), 0);
        while let Some(from) = cursor {
            let reply = process.ask(&Request::Connections { cursor: from, limit: ROWS })?;
            let Reply::Connections { rows, next } = reply else { anyhow::bail!("no connections") };
            connections += rows.len();
            cursor = next;
        }
        ensure!(connections >= self.flows as usize, "{connections} connections were listed");
        Ok(())
    }

    /// The idle ones go, the others have time.
    fn sweep(&self, mode: Mode, process: &mut Process, bed: &Bed) -> Result<f64> {
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut snapshot = self.snapshot(mode, bed, u64::MAX);
        for service in &mut snapshot.services {
            service.timeouts.udp_s = 1;
        }
        process.apply(snapshot)?;
        while process.counters()?.table.connections > u64::from(self.active) {
            ensure!(Instant::now() < deadline, "the idle connections do not expire");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(1.0)
    }

    /// The service under measurement and others that nobody asks for.
    fn snapshot(&self, mode: Mode, bed: &Bed, generation: u64) -> Snapshot {
        let mut snapshot = snapshot(mode, bed.trace);
        snapshot.generation = generation;
        let Some(model) = snapshot.services.first_mut() else { return snapshot };
        model.timeouts.udp_s = LONG_S;
        let model = model.clone();
        for number in 1..self.services {
            snapshot.services.push(another(&model, number, generation));
        }
        snapshot
    }

    fn row(&self, program: &str, work: &str, figures: &mut Figures) {
        let [before, while_it_ran] = figures.late.each_mut().map(|late| median(late));
        let (without, with) = (median(&mut figures.without), median(&mut figures.with));
        let (ratio, rate) = (median(&mut figures.ratios), median(&mut figures.rates));
        let percent = |ratio: f64| 100.0 * (1.0 - ratio);
        let cost = percent(ratio);
        let [high, low] = quartiles(&mut figures.ratios).map(percent);
        println!(
            "{program:<6} {work:<26} {without:>8.2} {with:>8.2} {cost:>6.1}% {:>14} {rate:>9.1} {:>14}",
            format!("{low:.1}, {high:.1}"),
            format!("{before:.0}, {while_it_ran:.0}")
        );
        if self.common.json {
            let row = json!({"program": program, "beside": work, "without": without, "with": with,
                "cost_percent": cost, "half_between": [low, high], "a_second": rate, "late_without": before, "late_with": while_it_ran});
            println!("{row}");
        }
    }
}

/// Between which half of the figures are.
fn quartiles(figures: &mut [f64]) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let at = |quarter: usize| figures.get((figures.len().saturating_sub(1)) * quarter / 4);
    [at(1), at(3)].map(|figure| figure.copied().unwrap_or(f64::NAN))
}

/// Another service: a port and real servers of its own, with weights that change.
fn another(model: &Service, number: u16, generation: u64) -> Service {
    let mut service = model.clone();
    service.id = number;
    service.name = format!("bench{number}");
    service.ports = vec![api::PortRange::one(Trace::PORT + number)];
    for backend in &mut service.backends {
        backend.id += u32::from(number) * 4;
        backend.weight = 1 + (generation % 100) as u16;
    }
    service
}
