//! The command line. Control or the supervisor derives it from the operator's configuration.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Forwards packets between DPDK ports by the snapshots that control sends.
#[derive(Debug, Parser)]
#[command(name = "fulcrum-dataplane", version)]
pub struct Args {
    /// Folder of the control socket, the connection table and the last applied snapshot.
    #[arg(long, default_value = "/run/fulcrum")]
    pub runtime_dir: PathBuf,

    /// A port: the companion interface's name and the device, a PCI address or PMD:argument.
    /// Ports are numbered in the order given.
    #[arg(long = "port", value_name = "NAME=DEVICE", required = true)]
    pub ports: Vec<PortArg>,

    /// Forwarding threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,

    /// CPUs for the workers, in order; without it they are not pinned.
    #[arg(long, value_delimiter = ',', value_name = "CPU,...")]
    pub cpus: Vec<u16>,

    /// A further argument for the DPDK environment, one each.
    #[arg(long = "eal", value_name = "ARG", allow_hyphen_values = true)]
    pub eal: Vec<String>,

    /// Connections the table is sized for (two-way ones; DR and TUN take half the room).
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    pub table_entries: u32,

    /// File of the connection table; on a hugetlbfs mount it takes huge pages, which many
    /// connections need to be fast. `table` in the runtime folder without it.
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,

    /// Packet buffers; 0 chooses by ports and workers.
    #[arg(long, default_value_t = 0)]
    pub buffers: u32,

    /// Do without huge pages.
    #[arg(long)]
    pub no_huge: bool,

    /// Without companion interfaces (laboratory devices that no kernel should see).
    #[arg(long)]
    pub no_companion: bool,

    /// What a worker does when there is nothing to do.
    #[arg(long, value_enum, default_value_t = Idle::Adaptive)]
    pub idle: Idle,

    /// Largest layer 3 packet on every port, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..=9000))]
    pub mtu: u16,
}

/// How an idle worker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Idle {
    /// Sleep for tens of microseconds once the queues have been empty for a while.
    Adaptive,
    /// Never sleep.
    Poll,
}

/// One `--port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortArg {
    /// Name of the companion interface.
    pub name: String,
    /// The device, as `nic-dpdk` reads it.
    pub device: String,
}

impl FromStr for PortArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, device)) if !name.is_empty() && !device.is_empty() => {
                if name.len() > 15 {
                    return Err(format!("{name}: an interface name has at most 15 characters"));
                }
                Ok(Self { name: name.into(), device: device.into() })
            }
            _ => Err("write NAME=DEVICE, for example eth0=af_packet:lb0".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_at_its_first_equals_sign() {
        let port: PortArg = "eth0=pcap:rx=a.pcap,tx=b.pcap".parse().unwrap();
        assert_eq!(port.name, "eth0");
        assert_eq!(port.device, "pcap:rx=a.pcap,tx=b.pcap");
        assert!("eth0".parse::<PortArg>().is_err());
        assert!("=x".parse::<PortArg>().is_err());
        assert!("a-very-long-interface=null".parse::<PortArg>().is_err());
    }
}
