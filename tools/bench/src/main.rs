//! Speed as ratios: each figure of ours beside DPDK's own program on the same device, with the
//! same trace, in the same run, programs in turn. The unit is packets per CPU-second of the
//! forwarding thread, so that time stolen by other load drops out.
#![forbid(unsafe_code)]

mod cpu;
mod fulcrum;
mod testpmd;
mod trace;

use anyhow::Result;
use api::Mode;
use clap::{Parser, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "bench", version, about = "Ratios against DPDK's own programs")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Layer 4 throughput of each mode as a fraction of testpmd macswap.
    L4(L4),
}

#[derive(clap::Args)]
struct L4 {
    /// Flows in the trace.
    #[arg(long, value_delimiter = ',', default_value = "1000,65536")]
    flows: Vec<u32>,
    /// Alternating runs; the median is printed.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds that each run is measured for.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The data plane's executable; beside this one without it.
    #[arg(long)]
    dataplane: Option<PathBuf>,
    /// Also print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Packets and the forwarding thread's CPU time over the measured interval.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    packets: u64,
    cpu: Duration,
}

impl Sample {
    /// Million packets per CPU-second.
    fn mpps(self) -> f64 {
        self.packets as f64 / self.cpu.as_secs_f64().max(1e-9) / 1e6
    }
}

fn main() -> Result<()> {
    let What::L4(args) = Args::parse().what;
    l4(&args)
}

const MODES: [(&str, Mode); 4] =
    [("DR", Mode::Dr), ("NAT", Mode::Nat), ("SNAT", Mode::Snat), ("TUN", Mode::Tun)];

fn l4(args: &L4) -> Result<()> {
    let dataplane = match &args.dataplane {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("fulcrum-dataplane"),
    };
    let interval = Duration::from_secs(args.seconds);
    println!("device: pcap replayed from memory, transmit discarded; 64-byte frames, one worker");
    println!("{:>8}  {:<8} {:>10} {:>10}", "flows", "program", "Mpps/CPU-s", "ratio");
    for &flows in &args.flows {
        let trace = trace::Trace::write(flows)?;
        let mut macswap = Vec::new();
        let mut ours = [const { Vec::new() }; MODES.len()];
        for _ in 0..args.runs.max(1) {
            macswap.push(testpmd::macswap(&trace, interval)?.mpps());
            for (figures, (_, mode)) in ours.iter_mut().zip(MODES) {
                figures.push(fulcrum::forward(&dataplane, &trace, mode, interval)?.mpps());
            }
        }
        let base = median(&mut macswap);
        row(args, flows, "macswap", base, 1.0);
        for (figures, (name, _)) in ours.iter_mut().zip(MODES) {
            let figure = median(figures);
            row(args, flows, name, figure, figure / base);
        }
    }
    Ok(())
}

fn row(args: &L4, flows: u32, program: &str, mpps: f64, ratio: f64) {
    println!("{flows:>8}  {program:<8} {mpps:>10.2} {ratio:>10.3}");
    if args.json {
        println!("{}", json!({"flows": flows, "program": program, "mpps": mpps, "ratio": ratio}));
    }
}

/// The middle one (the lower of two).
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() - 1) / 2]
}
