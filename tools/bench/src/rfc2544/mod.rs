//! RFC 2544 through running forwarders: the traffic generator as one process, the forwarder as another,
//! shared memory (memif) between them. The device costs both sides a copy of every packet; what it costs
//! by itself is the reference, DPDK's own forwarder in the same place.

mod forwarder;

use crate::beside;
use crate::l4::{is_two_way, mode};
use anyhow::{Context, Result, ensure};
use forwarder::Forwarder;
use incore::Trace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trials::html::page;
use trials::rfc2544::{Beside, Device, Report};

/// What `bench rfc2544` is told.
#[derive(clap::Args)]
pub struct Rfc2544 {
    /// Modes that are measured: dr, nat, snat, tun.
    #[arg(long, value_delimiter = ',', default_value = "dr,nat,snat,tun")]
    modes: Vec<String>,
    /// The forwarding mode of testpmd that they are beside: macswap, 5tswap.
    #[arg(long, default_value = "macswap")]
    reference: String,
    /// Part of the reference's throughput that is wanted.
    #[arg(long, default_value_t = 0.9)]
    least: f64,
    /// Folder for the reports, one for each mode and one for each way of the reference.
    #[arg(long, default_value = "results")]
    results: PathBuf,
    /// IPv6, not IPv4.
    #[arg(long)]
    ipv6: bool,
    /// The forwarder's CPUs: a worker and a queue for each. One may be named twice.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    forwarder_cpus: Vec<u16>,
    /// The generator's CPUs, as many.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    generator_cpus: Vec<u16>,
    /// The data plane's executable; beside this one without it.
    #[arg(long)]
    dataplane: Option<PathBuf>,
    /// The generator's; beside this one without it.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// A folder on hugetlbfs for the connection table.
    #[arg(long, default_value = "/dev/hugepages")]
    huge_pages: PathBuf,
    /// Do without huge pages.
    #[arg(long)]
    no_huge: bool,
    /// Connections that the table has room for.
    #[arg(long, default_value_t = 1_500_000)]
    entries: u32,
    /// Seconds instead of hours: one length, a thousand flows, trials of a third of a second. Figures are
    /// rough.
    #[arg(long)]
    short: bool,
    /// What `generator rfc2544` is told beside the ports and who talks to whom.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// What `--short` tells the generator. A stall of 20 ms is made up for: nobody keeps a CPU to themselves
/// where this is run.
const SHORT: [&str; 7] = [
    "--size=128",
    "--flows=1000",
    "--seconds=0.3",
    "--linger-ms=50",
    "--ceiling=2000000",
    "--bursts=1",
    "--catch-up-ms=20",
];

/// Measures every mode, and the reference in the same ways.
///
/// # Errors
/// When a forwarder does not start, the generator fails, or packets were lost nowhere.
pub fn run(args: &Rfc2544) -> Result<()> {
    let (forwarders, generators) = (args.forwarder_cpus.len(), args.generator_cpus.len());
    ensure!(
        forwarders == generators && forwarders > 0,
        "--forwarder-cpus names {forwarders} CPUs, --generator-cpus {generators}: each queue needs one of each"
    );
    let folder = PathBuf::from(format!("/run/fulcrum-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {} (root is needed)", folder.display()))?;
    fs::create_dir_all(&args.results)
        .with_context(|| format!("cannot make {}", args.results.display()))?;
    let result = Run { args, folder: &folder, references: [None, None] }.all();
    let _ = fs::remove_dir_all(&folder);
    result
}

struct Run<'a> {
    args: &'a Rfc2544,
    folder: &'a Path,
    /// The reference's report one way, and both ways.
    references: [Option<Report>; 2],
}

impl Run<'_> {
    fn all(&mut self) -> Result<()> {
        self.args.modes.iter().try_for_each(|mode| self.mode(mode))
    }

    fn mode(&mut self, name: &str) -> Result<()> {
        let mode = mode(name)?;
        let both_ways = is_two_way(mode);
        let reference = self.reference(both_ways)?;
        let mut forwarder = Forwarder::balancer(self.args, self.folder, mode)?;
        let before = forwarder.counted()?;
        let mut report = self.generate(name, both_ways)?;
        let after = forwarder.counted()?;
        report.fates = Some(fates(&report, &since(&after, &before))?);
        report.beside = Some(Beside::of(&self.args.reference, reference));
        report.compare(self.args.least);
        self.keep(name, &report)
    }

    /// Measured when it is first needed.
    fn reference(&mut self, both_ways: bool) -> Result<Report> {
        if let Some(report) = &self.references[usize::from(both_ways)] {
            return Ok(report.clone());
        }
        let _running = Forwarder::reference(self.args, self.folder)?;
        let name = &self.args.reference;
        let report = self.generate(name, both_ways)?;
        let ways = if both_ways { "both-ways" } else { "one-way" };
        self.keep(&format!("{name}-{ways}"), &report)?;
        self.references[usize::from(both_ways)] = Some(report.clone());
        Ok(report)
    }

    /// Prints a report, and writes it with its page.
    fn keep(&self, name: &str, report: &Report) -> Result<()> {
        println!("{report}");
        let write = |end: &str, text: String| {
            let path = self.args.results.join(format!("{name}.{end}"));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write("json", serde_json::to_string_pretty(report)?)?;
        write("html", page(report))
    }

    /// Runs the generator against what is there.
    fn generate(&self, name: &str, both_ways: bool) -> Result<Report> {
        let args = self.args;
        let trace = forwarder::trace(args);
        let family = if args.ipv6 { "IPv6" } else { "IPv4" };
        let way = if both_ways { "both ways" } else { "one way" };
        let queues = args.generator_cpus.len();
        let cpus: Vec<String> = args.generator_cpus.iter().map(u16::to_string).collect();
        let json = self.folder.join("report.json");
        let status = Command::new(beside(args.generator.as_ref(), "generator")?)
            .arg("rfc2544")
            .arg(format!("--client=memif:{}", forwarder::memif(self.folder, false)))
            .arg(format!("--gateway={}", forwarder::MAC))
            .arg(format!("--services={}", trace.service()))
            .arg(format!("--service-ports={}", Trace::PORT))
            .arg(format!("--clients={}", if args.ipv6 { "2001:2::/112" } else { "198.18.0.0/17" }))
            .args([format!("--queues={queues}"), format!("--cpus={}", cpus.join(","))])
            .args(both_ways.then_some("--two-way"))
            .args(args.no_huge.then_some("--no-huge"))
            .arg(format!("--title={name}, {family}, {way}, {queues} queues"))
            .arg("--setting=memif: shared memory between two processes of one machine")
            .arg(format!("--json={}", json.display()))
            .args(SHORT.iter().take(if args.short { SHORT.len() } else { 0 }))
            .args(&args.rest)
            .stdout(Stdio::null())
            .status()
            .context("the generator does not start")?;
        ensure!(status.success(), "{name}: the generator failed: {status}");
        Ok(serde_json::from_str(&fs::read_to_string(&json)?)?)
    }
}

/// What was counted in between.
fn since(after: &Device, before: &Device) -> Device {
    let lost = after.lost.iter().zip(&before.lost);
    Device {
        received: after.received - before.received,
        sent: after.sent - before.sent,
        lost: lost.map(|((name, now), (_, then))| (name.clone(), now - then)).collect(),
    }
}

/// Where packets were lost: as many as the generator misses.
fn fates(report: &Report, device: &Device) -> Result<Vec<trials::rfc2544::Fate>> {
    let fates = report.totals.fates(device);
    let found: i64 = fates.iter().map(|fate| fate.packets).sum();
    ensure!(
        found == report.totals.lost as i64,
        "the generator misses {} packets, the counters {found}: {fates:?}",
        report.totals.lost
    );
    Ok(fates)
}
