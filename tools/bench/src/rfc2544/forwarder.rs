//! What stands at the other end of the generator's port.

use super::Rfc2544;
use crate::beside;
use crate::fulcrum::{Place, Process, Program, snapshot};
use crate::testpmd;
use anyhow::{Context, Result};
use api::{DropReason, Mode, PortCounters, Protocols, PuntReason};
use incore::Trace;
use std::fs;
use std::path::Path;
use trials::rfc2544::Device;

/// The forwarder's address.
pub const MAC: &str = "02:00:00:00:0d:01";
const GENERATOR_MAC: &str = "02:00:00:00:0d:02";

/// A balancer that runs until this is dropped.
pub struct Forwarder(Process);

impl Forwarder {
    /// Our data plane in a mode.
    ///
    /// # Errors
    /// When it does not start.
    pub fn balancer(args: &Rfc2544, folder: &Path, mode: Mode) -> Result<Self> {
        let program = Program {
            executable: beside(args.dataplane.as_ref(), "fulcrum-dataplane")?,
            table: if args.no_huge { folder.into() } else { args.huge_pages.clone() },
            entries: args.entries,
            mode,
            cpus: args.forwarder_cpus.clone(),
        };
        let device = format!("memif:{}", memif(folder, true));
        let place =
            Place { folder, eal: &[], device: &device, no_huge: args.no_huge, is_quiet: false };
        let mut process = Process::start(&program, &place)?;
        let mut snapshot = snapshot(mode, trace(args));
        for service in &mut snapshot.services {
            service.protocols = Protocols::TCP | Protocols::UDP;
        }
        process.apply(snapshot)?;
        Ok(Self(process))
    }

    /// DPDK's own, which sends everything back. It runs until what is returned is dropped.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn reference(args: &Rfc2544, folder: &Path) -> Result<testpmd::Running> {
        let device = format!("net_memif0,{}", memif(folder, true));
        let device = testpmd::Device::Virtual(&device);
        let main = args.generator_cpus.first().copied().unwrap_or(0);
        let eal: &[String] =
            if args.no_huge { &["--no-huge".into(), "-m".into(), "256".into()] } else { &[] };
        testpmd::Running::start(eal, device, &args.reference, main, &args.forwarder_cpus)
    }

    /// What it has counted on its port.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counted(&mut self) -> Result<Device> {
        let counters = self.0.counters()?;
        Ok(device(counters.ports.first().context("the data plane has no port")?))
    }
}

/// What the counters of a port say to whoever misses packets.
fn device(port: &PortCounters) -> Device {
    let dropped = DropReason::ALL.iter().map(|reason| reason.text()).zip(&port.dropped);
    let to_host = PuntReason::ALL.iter().map(|reason| reason.text()).zip(&port.to_host);
    let dropped = dropped.map(|(name, count)| (name.to_owned(), *count));
    let to_host = to_host.map(|(name, count)| (format!("to the host: {name}"), *count));
    let held = ("fragments held".to_owned(), port.held);
    Device {
        received: port.rx,
        sent: port.tx,
        lost: dropped.chain(to_host).chain([held]).collect(),
    }
}

/// Who the service and its clients are.
pub fn trace(args: &Rfc2544) -> Trace {
    Trace { flows: 1, ipv6: args.ipv6, ..Trace::default() }
}

/// One end of the shared memory, as DPDK is told of it. The forwarder's is there first.
pub fn memif(folder: &Path, forwarder: bool) -> String {
    let socket = folder.join("memif");
    let (role, mac) = if forwarder { ("server", MAC) } else { ("client", GENERATOR_MAC) };
    if forwarder {
        let _ = fs::remove_file(&socket);
    }
    format!("role={role},socket={},socket-abstract=no,mac={mac}", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fate of a packet that is not sent has its name.
    #[test]
    fn counters_are_named() {
        let port = PortCounters {
            rx: 100,
            tx: 90,
            dropped: (0..DropReason::COUNT as u64).collect(),
            to_host: vec![7; PuntReason::COUNT],
            held: 3,
            ..PortCounters::default()
        };
        let device = device(&port);
        let count = |name: &str| device.lost.iter().find(|(known, _)| known == name).map(|it| it.1);
        assert_eq!((device.received, device.sent), (100, 90));
        assert_eq!(count("table-full"), Some(DropReason::TableFull as u64));
        assert_eq!((count("to the host: no-plan"), count("fragments held")), (Some(7), Some(3)));
        assert_eq!(device.lost.len(), DropReason::COUNT + PuntReason::COUNT + 1);
    }
}
