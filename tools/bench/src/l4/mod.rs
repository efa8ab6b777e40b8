//! Layer 4 beside DPDK's own programs, on one device, with one trace.

mod disturbed;
mod memory;
mod opening;
mod throughput;
mod workers;

pub use disturbed::Disturbed;
pub use memory::Memory;
pub use opening::Opening;
pub use throughput::Throughput;
pub use workers::Workers;

use crate::fulcrum::Program;
use anyhow::{Context, Result, ensure};
use api::Mode;
use std::path::PathBuf;
use std::time::Duration;

/// What every measurement is told.
#[derive(clap::Args)]
pub struct Common {
    /// Modes: dr, nat, snat, tun; without it, all that can be measured.
    #[arg(long, value_delimiter = ',')]
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
const MODES: [(&str, Mode); 4] =
    [("dr", Mode::Dr), ("nat", Mode::Nat), ("snat", Mode::Snat), ("tun", Mode::Tun)];

/// A mode by its name.
///
/// # Errors
/// When there is none of this name.
pub fn mode(name: &str) -> Result<Mode> {
    let known = MODES.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, mode)| *mode)
        .with_context(|| format!("{name} is no mode: write dr, nat, snat or tun"))
}

/// Whether the data plane sees the replies, too.
pub const fn is_two_way(mode: Mode) -> bool {
    matches!(mode, Mode::Nat | Mode::Snat)
}

/// The CPU of a single worker; the first one is left to whoever else there is.
const CPU: u16 = 1;

impl Common {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn family(&self) -> &'static str {
        if self.ipv6 { "IPv6" } else { "IPv4" }
    }

    /// The modes asked for, of those that can be measured.
    fn modes(&self, possible: fn(Mode) -> bool) -> Result<Vec<Mode>> {
        if self.modes.is_empty() {
            return Ok(MODES.map(|(_, mode)| mode).into_iter().filter(|&m| possible(m)).collect());
        }
        let mode = |wanted: &String| {
            let known = mode(wanted)?;
            ensure!(possible(known), "this cannot be measured in mode {wanted}");
            Ok(known)
        };
        self.modes.iter().map(mode).collect()
    }

    /// What is measured: every executable in every mode, by what it is called.
    fn programs(&self, modes: &[Mode], entries: u32) -> Result<Vec<(String, Program)>> {
        let executables = match self.dataplane.is_empty() {
            true => vec![std::env::current_exe()?.with_file_name("fulcrum-dataplane")],
            false => self.dataplane.clone(),
        };
        let mut programs = Vec::new();
        for &mode in modes {
            for (number, executable) in executables.iter().enumerate() {
                let name = match executables.len() {
                    1 => name(mode).to_uppercase(),
                    _ => format!("{} [{}]", name(mode).to_uppercase(), number + 1),
                };
                let executable = executable.clone();
                let table = self.huge_pages.clone();
                programs
                    .push((name, Program { executable, table, entries, mode, cpus: vec![CPU] }));
            }
        }
        Ok(programs)
    }
}

fn name(mode: Mode) -> &'static str {
    MODES.iter().find(|(_, known)| *known == mode).map_or("", |(name, _)| name)
}
