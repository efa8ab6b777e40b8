//! What every command is told about ports and traffic.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::str::FromStr;
use traffic::{Addresses, Pattern, Ports, Ranges, Sizes};
use trials::Rate;
use trials::rfc2544::{Plan, Test};

/// Where packets go out and come in.
#[derive(Clone, Debug, clap::Args)]
pub struct PortArgs {
    /// The clients' port: a PCI address or PMD:argument, as the data plane's --port takes it.
    #[arg(long, value_name = "DEVICE")]
    pub client: String,
    /// The real servers' port; the clients' is theirs too without it.
    #[arg(long, value_name = "DEVICE")]
    pub server: Option<String>,
    /// Pairs of queues on each port, a thread for each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub queues: u16,
    /// CPUs for the threads, in order; without it they are not pinned.
    #[arg(long, value_delimiter = ',', value_name = "CPU,...")]
    pub cpus: Vec<u16>,
    /// Largest layer 3 packet, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..=9198))]
    pub mtu: u16,
    /// Packet buffers.
    #[arg(long, default_value_t = 16_383, value_parser = clap::value_parser!(u32).range(1023..=4_000_000))]
    pub buffers: u32,
    /// Descriptors of each queue; the driver's limits apply.
    #[arg(long, default_value_t = 1024)]
    pub descriptors: u16,
    /// Do without huge pages (virtual devices only).
    #[arg(long)]
    pub no_huge: bool,
    /// A further argument for the DPDK environment, one each.
    #[arg(long = "eal", value_name = "ARG", allow_hyphen_values = true)]
    pub eal: Vec<String>,
    /// Rate of the line, for ports that do not say (10Gbit).
    #[arg(long, value_name = "BITS")]
    pub line: Option<Rate>,
    /// Addresses that the clients' port answers for (ARP, neighbour discovery, ping), such as the router
    /// to the clients.
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    pub client_hosts: Vec<Addresses>,
    /// Addresses that the real servers' port answers for: the real servers.
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    pub server_hosts: Vec<Addresses>,
}

/// What is sent.
#[derive(Clone, Debug, clap::Args)]
pub struct TrafficArgs {
    /// MAC address of the device under test, or of the router to it.
    #[arg(long, value_name = "MAC")]
    pub gateway: Mac,
    /// Source addresses: ADDRESS, ADDRESS/PREFIX or FIRST-LAST.
    #[arg(long, value_name = "RANGE", default_value = "198.18.0.0/17")]
    pub clients: Addresses,
    /// Source ports.
    #[arg(long, value_name = "RANGE", default_value = "1024-65535")]
    pub client_ports: Ports,
    /// Destination addresses: the virtual services.
    #[arg(long, value_name = "RANGE")]
    pub services: Addresses,
    /// Destination ports.
    #[arg(long, value_name = "RANGE", default_value = "80")]
    pub service_ports: Ports,
    /// What decides which flows are drawn from the ranges.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// TCP connections (SYN, ACK, data, FIN), not UDP datagrams.
    #[arg(long)]
    pub tcp: bool,
    /// Segments with data in each connection.
    #[arg(long, default_value_t = 1)]
    pub data: u16,
    /// Connections that go side by side.
    #[arg(long, default_value_t = 1000)]
    pub window: u32,
    /// Leave connections open.
    #[arg(long)]
    pub keep_open: bool,
    /// Real servers answer, through the device under test: NAT and SNAT. Without it packets are counted
    /// where they arrive: DR and TUN.
    #[arg(long)]
    pub two_way: bool,
    /// 802.1Q tag of the clients' frames.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,
    /// UDP port of GUE tunnels.
    #[arg(long, default_value_t = 6080)]
    pub gue_port: u16,
    /// Milliseconds without an arrival that end a trial.
    #[arg(long, default_value_t = 500)]
    pub linger_ms: u64,
    /// Longest stall of the generator, in milliseconds, that it makes up for by sending faster; what is
    /// beyond is given up, and a trial that gave up more than a thousandth never passes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub catch_up_ms: u64,
}

/// `generator run` beside those.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Ports.
    #[command(flatten)]
    pub ports: PortArgs,
    /// Traffic.
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// Different flows.
    #[arg(long, default_value_t = 1000)]
    pub flows: u32,
    /// Length of frames with their check sequence: one, LENGTH:WEIGHT,… or imix.
    #[arg(long, default_value = "64")]
    pub sizes: Sizes,
    /// max, packets per second (1.5M), bits per second (10Gbit) or a share of the line (40%).
    #[arg(long, default_value = "100k")]
    pub rate: Rate,
    /// Seconds to send for.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Packets to send at most.
    #[arg(long)]
    pub packets: Option<u64>,
    /// First send two packets of every flow at the same rate, uncounted, so that connections are open
    /// (UDP).
    #[arg(long)]
    pub warm_up: bool,
    /// Write the outcome there, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Fail (status 1) when a greater part of the packets is lost: 0.001 is a thousandth.
    #[arg(long, value_name = "PART")]
    pub most_loss: Option<f64>,
}

/// `generator rfc2544` beside ports and traffic.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Ports.
    #[command(flatten)]
    pub ports: PortArgs,
    /// Traffic.
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// What is measured, for the report's head.
    #[arg(long, default_value = "Benchmark")]
    pub title: String,
    /// A line of the report on what the figures depend on, one each.
    #[arg(long = "setting", value_name = "TEXT")]
    pub settings: Vec<String>,
    /// Which tests.
    #[arg(long, value_delimiter = ',', default_value = "throughput,latency,back-to-back")]
    pub tests: Vec<Test>,
    /// Length of frames with their check sequence, one each: a number, LENGTH:WEIGHT,… or imix.
    #[arg(long = "size", value_name = "SIZE", default_values = ["64", "128", "256", "512", "1024", "1280", "1518"])]
    pub sizes: Vec<Sizes>,
    /// Numbers of flows.
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    pub flows: Vec<u32>,
    /// Seconds of a trial.
    #[arg(long, default_value_t = 60.0)]
    pub seconds: f64,
    /// Two rates closer than this part of the most are one.
    #[arg(long, default_value_t = 0.01)]
    pub resolution: f64,
    /// Part of the packets that may be lost in a trial that passes; RFC 2544 says none.
    #[arg(long, default_value_t = 0.0)]
    pub most_loss: f64,
    /// Parts of the throughput that latency is measured at.
    #[arg(long, value_delimiter = ',', default_value = "1,0.9,0.5,0.1")]
    pub loads: Vec<f64>,
    /// Longest bursts searched for, whose mean is told.
    #[arg(long, default_value_t = 50)]
    pub bursts: u32,
    /// Packets per second never exceeded.
    #[arg(long)]
    pub ceiling: Option<u64>,
    /// Packets per second at which connections are opened before they are measured.
    #[arg(long, default_value_t = 100_000)]
    pub warm_up: u64,
    /// Connections at once, at most.
    #[arg(long, default_value_t = 1_000_000)]
    pub most_connections: u32,
    /// Write the report there, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report there, as a page with plots.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl BenchArgs {
    /// The plan that these make.
    ///
    /// # Errors
    /// When a number is outside of what a trial can be.
    pub fn plan(&self) -> Result<Plan> {
        let part = |part: f64| (0.0..=1.0).contains(&part);
        ensure!(part(self.resolution), "--resolution {}: from 0 to 1", self.resolution);
        ensure!(part(self.most_loss), "--most-loss {}: from 0 to 1", self.most_loss);
        ensure!(self.loads.iter().copied().all(part), "--loads: each from 0 to 1");
        Ok(Plan {
            sizes: self.sizes.clone(),
            flows: self.flows.clone(),
            tests: self.tests.clone(),
            duration: nanoseconds(self.seconds)?,
            resolution: self.resolution,
            most_loss: self.most_loss,
            loads: self.loads.clone(),
            bursts: self.bursts,
            ceiling: self.ceiling,
            warm_up: self.warm_up,
            most_connections: self.most_connections,
            data: self.traffic.data,
            window: self.traffic.window,
        })
    }
}

/// A MAC address, as six hexadecimal numbers with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut mac, mut parts) = ([0; 6], text.split(':'));
        for byte in &mut mac {
            let hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let part = parts.next().filter(|part| part.len() <= 2).filter(hex);
            let value = part.and_then(|part| u8::from_str_radix(part, 16).ok());
            *byte = value.ok_or_else(|| format!("{text:?}: write a MAC as 02:00:00:00:00:01"))?;
        }
        match parts.next() {
            None => Ok(Self(mac)),
            Some(_) => Err(format!("{text:?}: a MAC address has six bytes")),
        }
    }
}

impl TrafficArgs {
    /// What flows are drawn from.
    pub fn ranges(&self) -> Ranges {
        Ranges {
            clients: self.clients,
            client_ports: self.client_ports,
            services: self.services,
            service_ports: self.service_ports,
        }
    }

    /// What comes when.
    pub fn pattern(&self) -> Pattern {
        match self.tcp {
            true => Pattern::Connections {
                data: self.data,
                window: self.window.max(1),
                close: !self.keep_open,
            },
            false => Pattern::Datagrams,
        }
    }
}

/// Seconds of the command line as nanoseconds.
///
/// # Errors
/// When they are no time that a trial can take.
pub fn nanoseconds(seconds: f64) -> Result<u64> {
    ensure!(
        seconds.is_finite() && seconds > 0.0 && seconds <= 86_400.0 * 3.0,
        "{seconds} seconds: a trial takes more than none and at most three days"
    );
    Ok((seconds * 1e9) as u64)
}

/// The line's rate in bits per second: as told, or as the port says.
///
/// # Errors
/// When what was told is not in bits.
pub fn line(told: Option<Rate>, mbps: Option<u32>) -> Result<Option<u64>> {
    match told {
        Some(Rate::Bits(bits)) => Ok(Some(bits)),
        Some(other) => Err(anyhow::anyhow!("--line {other}: write bits per second, as 10Gbit")),
        None => Ok(mbps.map(|mbps| u64::from(mbps) * 1_000_000)),
    }
    .context("the line's rate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_read() {
        assert_eq!("02:0:00:00:aB:01".parse(), Ok(Mac([2, 0, 0, 0, 0xab, 1])));
        for text in
            ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:1ff", "+2:0:0:0:0:0"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_trial_takes_some_time() {
        assert_eq!(nanoseconds(0.5).unwrap(), 500_000_000);
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6] {
            assert!(nanoseconds(seconds).is_err(), "{seconds}");
        }
        assert_eq!(line(Some(Rate::Bits(7)), Some(1)).unwrap(), Some(7));
        assert_eq!(line(None, Some(10)).unwrap(), Some(10_000_000));
        assert!(line(Some(Rate::Most), None).is_err());
    }
}
