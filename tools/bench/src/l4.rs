//! Layer 4 beside DPDK's own programs, on one device, with one trace.

use crate::bed::Bed;
use crate::fulcrum::Program;
use crate::{median, testpmd};
use anyhow::{Result, ensure};
use api::Mode;
use incore::Trace;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// What `bench l4` is told.
#[derive(clap::Args)]
pub struct L4 {
    /// Flows in the trace.
    #[arg(long, value_delimiter = ',', default_value = "1000,65536,1000000")]
    flows: Vec<u32>,
    /// Modes: dr, nat, snat, tun.
    #[arg(long, value_delimiter = ',', default_value = "dr,nat,snat,tun")]
    modes: Vec<String>,
    /// Alternating runs; the median is printed.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds that each run is measured for.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// IPv6, not IPv4.
    #[arg(long)]
    ipv6: bool,
    /// TCP, not UDP.
    #[arg(long)]
    tcp: bool,
    /// The data plane's executable, several to compare them; beside this one without it.
    #[arg(long)]
    dataplane: Vec<PathBuf>,
    /// The forwarding mode of testpmd that ratios are to.
    #[arg(long, default_value = "5tswap")]
    reference: String,
    /// A folder on hugetlbfs for the connection table.
    #[arg(long, default_value = "/dev/hugepages")]
    huge_pages: PathBuf,
    /// Also print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Modes by their names.
pub const MODES: [(&str, Mode); 4] =
    [("dr", Mode::Dr), ("nat", Mode::Nat), ("snat", Mode::Snat), ("tun", Mode::Tun)];

/// One line of the table: what is measured, and what it was each time.
struct Line {
    name: String,
    program: Option<Program>,
    figures: Vec<f64>,
}

/// Measures and prints the table.
///
/// # Errors
/// When a program does not forward.
pub fn l4(args: &L4) -> Result<()> {
    let interval = Duration::from_secs(args.seconds);
    let family = if args.ipv6 { "IPv6" } else { "IPv4" };
    let transport = if args.tcp { "TCP" } else { "UDP" };
    println!("device: in the core, one queue; {family} {transport}, 64-byte frames, one worker");
    println!("{:>8}  {:<24} {:>10} {:>7}", "flows", "program", "Mpps/CPU-s", "ratio");
    for &flows in &args.flows {
        let bed = Bed::new(Trace { flows, ipv6: args.ipv6, tcp: args.tcp })?;
        let mut reference = Vec::new();
        let mut lines = lines(args)?;
        for _ in 0..args.runs.max(1) {
            reference.push(testpmd::forward(&bed, &args.reference, interval)?.mpps());
            for line in &mut lines {
                if let Some(program) = &line.program {
                    line.figures.push(program.forward(&bed, interval)?.mpps());
                }
            }
        }
        let base = median(&mut reference);
        lines.insert(0, Line { name: args.reference.clone(), program: None, figures: reference });
        for line in &mut lines {
            let figure = median(&mut line.figures);
            row(args, flows, &line.name, figure, figure / base);
        }
    }
    Ok(())
}

fn lines(args: &L4) -> Result<Vec<Line>> {
    let programs = match args.dataplane.is_empty() {
        true => vec![std::env::current_exe()?.with_file_name("fulcrum-dataplane")],
        false => args.dataplane.clone(),
    };
    let mut lines = Vec::new();
    for wanted in &args.modes {
        let known = MODES.iter().find(|(name, _)| name == wanted);
        ensure!(known.is_some(), "{wanted} is no mode: write dr, nat, snat or tun");
        for (number, executable) in programs.iter().enumerate() {
            lines.extend(known.map(|(name, mode)| Line {
                name: match programs.len() {
                    1 => name.to_uppercase(),
                    _ => format!("{} [{}]", name.to_uppercase(), number + 1),
                },
                program: Some(Program {
                    executable: executable.clone(),
                    table: args.huge_pages.clone(),
                    mode: *mode,
                }),
                figures: Vec::new(),
            }));
        }
    }
    Ok(lines)
}

fn row(args: &L4, flows: u32, program: &str, mpps: f64, ratio: f64) {
    println!("{flows:>8}  {program:<24} {mpps:>10.2} {ratio:>7.3}");
    if args.json {
        let (ipv6, tcp) = (args.ipv6, args.tcp);
        let row = json!({"flows": flows, "ipv6": ipv6, "tcp": tcp, "program": program,
            "mpps": mpps, "ratio": ratio});
        println!("{row}");
    }
}
