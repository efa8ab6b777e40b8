//! The command: see the library.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use generator::Ports;
use hwtests::results::Results;
use hwtests::suites::{Lab, Suite, run};
use hwtests::topology::{Service, Topology, Trials};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;
use trials::{Outcome, Rig, Trial};

/// Runs suites through a device under test. Status 0: all is as it should be; 1: something is not; 2: a
/// suite could not be run.
#[derive(Parser)]
#[command(name = "hwtests", version)]
struct Args {
    /// The laboratory.
    topology: PathBuf,
    /// Suites, in order.
    #[arg(long, value_delimiter = ',', default_value = "functional")]
    suites: Vec<Suite>,
    /// Folder for what is found.
    #[arg(long, default_value = "results")]
    results: PathBuf,
    /// Folder of an earlier run, whose benchmarks this one is compared with.
    #[arg(long)]
    baseline: Option<PathBuf>,
}

/// Ports, and a program to be run while a trial goes on.
struct Wired {
    ports: Ports,
    trials: Trials,
    disturbance: Option<(Vec<String>, Duration)>,
}

impl Rig for Wired {
    fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
        let Some((program, after)) = self.disturbance.take() else {
            return self.ports.trial(trial);
        };
        let disturber = thread::spawn(move || -> Result<()> {
            thread::sleep(after);
            let (name, arguments) = program.split_first().context("no program")?;
            let status = Command::new(name).args(arguments).status();
            let status = status.with_context(|| format!("{name} does not start"))?;
            ensure!(status.success(), "{name}: {status}");
            Ok(())
        });
        let outcome = self.ports.trial(trial);
        disturber.join().unwrap_or_else(|_| bail!("the disturber panicked"))?;
        outcome
    }

    fn line(&self) -> Option<u64> {
        self.ports.line()
    }
}

impl Lab for Wired {
    fn aim(&mut self, service: &Service) {
        self.ports.aim(&service.traffic_args(&self.trials));
    }

    fn disturb(&mut self, program: &[String], after: Duration) {
        self.disturbance = Some((program.to_vec(), after));
    }
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match suites(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("hwtests: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything is as it should be.
fn suites(args: &Args) -> Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let topology = Topology::read(&args.topology)?;
    let results = Results::new(&args.results)?;
    if let Some(folder) = &args.baseline {
        ensure!(folder.is_dir(), "{}: there is no such baseline", folder.display());
    }
    let baseline = args.baseline.as_deref().map(Results::new).transpose()?;
    let first = topology.service.first().context("no service")?;
    let ports = Ports::open(&topology.port_args(), &first.traffic_args(&topology.trials), stop)?;
    println!("{}", topology.title);
    ports.describe().iter().for_each(|line| println!("  {line}"));
    ports.wait_for_lines()?;
    let mut lab = Wired { ports, trials: topology.trials.clone(), disturbance: None };
    let before = |service: &str| baseline.as_ref().and_then(|it| it.benchmark(service));
    let mut good = true;
    for &suite in &args.suites {
        println!("{suite:?}");
        let tell = &mut |line: &str| eprintln!("    {line}");
        let (when, machine) = (generator::now(), generator::machine());
        let mut found = run(suite, &mut lab, &topology, &before, tell)?;
        for (_, report) in &mut found.reports {
            (report.when, report.machine) = (when.clone(), machine.clone());
            report.setting = lab.ports.describe();
        }
        results.keep(suite, &found)?;
        for finding in &found.findings {
            let verdict = if finding.passed { "passed" } else { "FAILED" };
            println!(
                "  {verdict}  {}: {} (wanted: {})",
                finding.what, finding.seen, finding.wanted
            );
            good &= finding.passed;
        }
    }
    Ok(good)
}
