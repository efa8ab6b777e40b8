//! The command: see the library.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use generator::Ports;
use generator::args::{BenchArgs, PortArgs, RunArgs, TrafficArgs, nanoseconds};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use trials::html::page;
use trials::{Outcome, Rig, Trial, rfc2544};

/// Sends traffic through a device under test and tells what became of every packet.
#[derive(Parser)]
#[command(name = "generator", version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One trial.
    Run(Box<RunArgs>),
    /// Throughput, latency, back-to-back and connections after RFC 2544 and RFC 8219.
    Rfc2544(Box<BenchArgs>),
    /// Makes the page of a benchmark that was kept as JSON.
    Page {
        /// What `rfc2544 --json` wrote.
        json: PathBuf,
        /// Where the page is to be.
        html: PathBuf,
    },
    /// Real servers and neighbours alone: answers until it is interrupted.
    Serve {
        /// Ports.
        #[command(flatten)]
        ports: Box<PortArgs>,
        /// Traffic of the generator that sends.
        #[command(flatten)]
        traffic: Box<TrafficArgs>,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run(&Args::parse().what) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("generator: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(what: &What) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    match what {
        What::Run(args) => one_trial(args, stop),
        What::Rfc2544(args) => benchmark(args, stop),
        What::Page { json, html } => {
            let text = std::fs::read_to_string(json)
                .with_context(|| format!("cannot read {}", json.display()))?;
            let report: rfc2544::Report = serde_json::from_str(&text)
                .with_context(|| format!("{} is no benchmark's report", json.display()))?;
            write(html, &page(&report))?;
            Ok(ExitCode::SUCCESS)
        }
        What::Serve { ports, traffic } => {
            let mut rig = Ports::open(ports, traffic, stop)?;
            rig.describe().iter().for_each(|line| println!("{line}"));
            rig.idle()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn one_trial(args: &RunArgs, stop: Arc<AtomicBool>) -> Result<ExitCode> {
    let mut rig = Ports::open(&args.ports, &args.traffic, stop)?;
    rig.describe().iter().for_each(|line| println!("{line}"));
    rig.wait_for_lines()?;
    let trial = Trial {
        sizes: args.sizes.clone(),
        flows: args.flows,
        pattern: args.traffic.pattern(),
        rate: args.rate.packets(&args.sizes, rig.line())?,
        packets: args.packets,
        duration: nanoseconds(args.seconds)?,
    };
    if args.warm_up && !trial.pattern.is_tcp() {
        let packets = Some(2 * u64::from(args.flows));
        rig.trial(&Trial { packets, duration: u64::MAX, ..trial.clone() })?;
    }
    let outcome = rig.trial(&trial)?;
    print!("{outcome}");
    keep(args.json.as_deref(), &outcome)?;
    judge(&outcome, args.most_loss)
}

fn benchmark(args: &BenchArgs, stop: Arc<AtomicBool>) -> Result<ExitCode> {
    let plan = args.plan()?;
    let mut rig = Ports::open(&args.ports, &args.traffic, stop)?;
    let mut setting = rig.describe();
    setting.extend(args.settings.iter().cloned());
    rig.wait_for_lines()?;
    let (when, machine) = (generator::now(), generator::machine());
    let found = rfc2544::run(&mut rig, &plan, &mut |line: &str| eprintln!("{line}"))?;
    let title = args.title.clone();
    let report = rfc2544::Report { title, when, machine, setting, ..found };
    print!("{report}");
    keep(args.json.as_deref(), &report)?;
    if let Some(html) = &args.html {
        write(html, &page(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a result where it was asked for.
fn keep(file: Option<&Path>, result: &impl Serialize) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(result)?;
    write(file, &text)
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What the caller of the command learns from its status.
fn judge(outcome: &Outcome, most_loss: Option<f64>) -> Result<ExitCode> {
    ensure!(outcome.sent.packets() > 0, "nothing was sent: the transmit queues took no packet");
    let Some(most) = most_loss else { return Ok(ExitCode::SUCCESS) };
    if outcome.loss() > most {
        eprintln!("generator: {:.6} of the packets is lost, {most} may be", outcome.loss());
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}
