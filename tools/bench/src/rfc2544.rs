//! RFC 2544 through running forwarders: the traffic generator as one process, the forwarder as another,
//! shared memory (memif) between them. The device costs both sides a copy of every packet; what it costs
//! by itself is the reference, DPDK's own forwarder in the same place.

use crate::fulcrum::{Place, Process, Program, snapshot};
use crate::l4::MODES;
use crate::testpmd;
use anyhow::{Context, Result, ensure};
use api::{Mode, Protocols};
use incore::Trace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `bench rfc2544` is told.
#[derive(clap::Args)]
pub struct Rfc2544 {
    /// What is measured: a forwarding mode of testpmd (macswap, 5tswap), dr, nat, snat, tun.
    #[arg(long, value_delimiter = ',', default_value = "macswap,dr,nat,snat,tun")]
    programs: Vec<String>,
    /// Folder for the reports, one for each program.
    #[arg(long, default_value = "results")]
    results: PathBuf,
    /// IPv6, not IPv4.
    #[arg(long)]
    ipv6: bool,
    /// The forwarder's CPU.
    #[arg(long, default_value_t = 1)]
    forwarder_cpu: u16,
    /// The generator's CPU.
    #[arg(long, default_value_t = 0)]
    generator_cpu: u16,
    /// The data plane's executable; beside this one without it.
    #[arg(long)]
    dataplane: Option<PathBuf>,
    /// The generator's; beside this one without it.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// A folder on hugetlbfs for the connection table.
    #[arg(long, default_value = "/dev/hugepages")]
    huge_pages: PathBuf,
    /// What `generator rfc2544` is told beside the ports and who talks to whom.
    #[arg(last = true)]
    rest: Vec<String>,
}

const FORWARDER_MAC: &str = "02:00:00:00:0d:01";
const GENERATOR_MAC: &str = "02:00:00:00:0d:02";

/// Measures every program in turn.
///
/// # Errors
/// When one does not start, or the generator fails.
pub fn run(args: &Rfc2544) -> Result<()> {
    let folder = PathBuf::from(format!("/run/fulcrum-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {} (root is needed)", folder.display()))?;
    fs::create_dir_all(&args.results)
        .with_context(|| format!("cannot make {}", args.results.display()))?;
    let result = args.programs.iter().try_for_each(|name| program(args, &folder, name));
    let _ = fs::remove_dir_all(&folder);
    result
}

fn program(args: &Rfc2544, folder: &Path, name: &str) -> Result<()> {
    let socket = folder.join("memif");
    let memif = |role: &str, mac: &str| {
        format!("role={role},socket={},socket-abstract=no,mac={mac}", socket.display())
    };
    let trace = Trace { flows: 1, ipv6: args.ipv6, ..Trace::default() };
    let _ = fs::remove_file(&socket);
    let device = memif("server", FORWARDER_MAC);
    let Some((_, mode)) = MODES.iter().find(|(known, _)| *known == name) else {
        let device = format!("net_memif0,{device}");
        let (main, cpus) = (args.generator_cpu, [args.forwarder_cpu]);
        let _running = testpmd::Running::start(&[], &device, name, main, &cpus)?;
        return generate(args, name, trace, false, &memif("client", GENERATOR_MAC));
    };
    let program = Program {
        executable: beside(args.dataplane.as_ref(), "fulcrum-dataplane")?,
        table: args.huge_pages.clone(),
        entries: 1_500_000,
        mode: *mode,
        cpus: vec![args.forwarder_cpu],
    };
    let device = format!("memif:{device}");
    let place = Place { folder, eal: &[], device: &device };
    let mut process = Process::start(&program, &place)?;
    let mut snapshot = snapshot(*mode, trace);
    for service in &mut snapshot.services {
        service.protocols = Protocols::TCP | Protocols::UDP;
    }
    process.apply(snapshot)?;
    // What comes back in the other modes comes back to the client, not through the balancer.
    let answered = matches!(mode, Mode::Nat | Mode::Snat);
    generate(args, name, trace, answered, &memif("client", GENERATOR_MAC))?;
    let counters = process.counters()?;
    println!("counted by the data plane: {:?}\n", counters.ports);
    Ok(())
}

/// Runs the generator against what is there.
fn generate(args: &Rfc2544, name: &str, trace: Trace, answered: bool, device: &str) -> Result<()> {
    let family = if args.ipv6 { "IPv6" } else { "IPv4" };
    let way = if answered { "both ways" } else { "one way" };
    let status = Command::new(beside(args.generator.as_ref(), "generator")?)
        .arg("rfc2544")
        .arg(format!("--client=memif:{device}"))
        .arg(format!("--gateway={FORWARDER_MAC}"))
        .arg(format!("--services={}", trace.service()))
        .arg(format!("--service-ports={}", Trace::PORT))
        .arg(format!("--clients={}", if args.ipv6 { "2001:2::/112" } else { "198.18.0.0/17" }))
        .arg(format!("--cpus={}", args.generator_cpu))
        .args(answered.then_some("--two-way"))
        .arg(format!("--title={name}, {family}, {way}"))
        .arg("--setting=memif: shared memory between two processes of one machine")
        .arg(format!("--json={}", args.results.join(format!("{name}.json")).display()))
        .arg(format!("--html={}", args.results.join(format!("{name}.html")).display()))
        .args(&args.rest)
        .status()
        .context("the generator does not start")?;
    ensure!(status.success(), "{name}: the generator failed: {status}");
    Ok(())
}

fn beside(given: Option<&PathBuf>, name: &str) -> Result<PathBuf> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(std::env::current_exe()?.with_file_name(name)),
    }
}
