//! What forwards, in the guest or on the host.

use super::trace;
use crate::fulcrum::{Place, Process, Program, snapshot};
use crate::l4::mode;
use crate::testpmd::{Device, Running};
use anyhow::{Context, Result};
use std::path::Path;

/// DPDK's own forwarder, in an order.
pub const TESTPMD: &str = "testpmd";
/// Connections that a data plane's table has room for.
const ENTRIES: u32 = 100_000;

/// What forwards until this is dropped.
pub enum Forwarder {
    /// DPDK's own.
    Testpmd(#[expect(dead_code, reason = "held")] Running),
    /// The data plane.
    Balancer(#[expect(dead_code, reason = "held")] Process),
}

/// On what it forwards.
pub struct Spot<'a> {
    /// The device, for testpmd.
    pub device: Device<'a>,
    /// The same, for the data plane.
    pub port: &'a str,
    /// Where it may keep its files.
    pub folder: &'a Path,
    /// Where the data plane may keep its table.
    pub table: &'a Path,
    /// Without huge pages.
    pub no_huge: bool,
    /// Whether the data plane may say nothing.
    pub is_quiet: bool,
    /// CPUs: of what waits for commands, and of what forwards.
    pub cpus: [u16; 2],
}

impl Forwarder {
    /// Starts what is ordered: the path of a data plane and a mode, or [`TESTPMD`] and one of its own.
    ///
    /// # Errors
    /// When it does not start, or there is no such mode.
    pub fn start(order: &str, spot: &Spot) -> Result<Self> {
        let (program, way) = order.split_once(' ').context("an order has a program and a mode")?;
        if program != TESTPMD {
            return balancer(Path::new(program), way, spot).map(Self::Balancer);
        }
        let [main, cpu] = spot.cpus;
        let small = ["--no-huge", "-m", "256"].map(String::from);
        let eal = if spot.no_huge { &small[..] } else { &[one_file()] };
        Running::start(eal, spot.device, way, main, &[cpu]).map(Self::Testpmd)
    }
}

/// An option of DPDK's. What is shared with the other end of a virtual NIC is handed over file by file,
/// eight at most (vhost-user's VHOST_USER_SET_MEM_TABLE), and a huge page is a file of its own without it.
fn one_file() -> String {
    "--single-file-segments".into()
}

fn balancer(executable: &Path, way: &str, spot: &Spot) -> Result<Process> {
    let program = Program {
        executable: executable.into(),
        table: spot.table.into(),
        entries: ENTRIES,
        mode: mode(way)?,
        cpus: vec![spot.cpus[1]],
    };
    let place = Place {
        folder: spot.folder,
        eal: if spot.no_huge { &[] } else { &[one_file()] },
        device: spot.port,
        no_huge: spot.no_huge,
        is_quiet: spot.is_quiet,
    };
    let mut process = Process::start(&program, &place)?;
    process.apply(snapshot(program.mode, trace()))?;
    Ok(process)
}
