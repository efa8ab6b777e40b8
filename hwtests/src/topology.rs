//! How a laboratory is wired: a file that its people write once.

use anyhow::{Context, Result, ensure};
use generator::args::{Mac, PortArgs, TrafficArgs};
use serde::{Deserialize, Deserializer};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use traffic::{Addresses, Ports, Sizes};
use trials::Rate;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// What it is, for reports.
    pub title: String,
    /// The generator's ports.
    pub ports: PortsTable,
    /// The virtual services of the device under test.
    pub service: Vec<Service>,
    /// What trials of the suites are like.
    #[serde(default)]
    pub trials: Trials,
}

/// The generator's ports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortsTable {
    /// The clients' port, as the generator's --client takes it.
    pub client: String,
    /// The real servers' port; the clients' is theirs too without it.
    pub server: Option<String>,
    /// Pairs of queues of each port, a thread for each.
    #[serde(default = "one")]
    pub queues: u16,
    /// CPUs for the threads.
    #[serde(default)]
    pub cpus: Vec<u16>,
    /// Rate of the line, where the port does not say.
    #[serde(default, deserialize_with = "maybe")]
    pub line: Option<Rate>,
    /// Without huge pages: virtual devices only.
    #[serde(default)]
    pub no_huge: bool,
    /// Largest layer 3 packet, in bytes.
    #[serde(default = "ethernet")]
    pub mtu: u16,
    /// Addresses that the clients' port answers for.
    #[serde(default, deserialize_with = "many")]
    pub client_hosts: Vec<Addresses>,
    /// Addresses that the real servers' port answers for.
    #[serde(default, deserialize_with = "many")]
    pub server_hosts: Vec<Addresses>,
}

/// A virtual service as its clients see it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// For reports and the names of files: letters, digits, dashes.
    pub name: String,
    /// MAC address of the device under test on the clients' side.
    #[serde(deserialize_with = "text")]
    pub gateway: Mac,
    /// Its address.
    #[serde(deserialize_with = "text")]
    pub address: Addresses,
    /// Its ports.
    #[serde(deserialize_with = "text")]
    pub ports: Ports,
    /// Where clients come from.
    #[serde(deserialize_with = "text")]
    pub clients: Addresses,
    /// Answers come back through the device: NAT and SNAT.
    #[serde(default)]
    pub two_way: bool,
    /// It takes UDP.
    #[serde(default)]
    pub udp: bool,
    /// It takes TCP.
    #[serde(default)]
    pub tcp: bool,
    /// 802.1Q tag of the clients' frames.
    pub vlan: Option<u16>,
}

/// What trials are like.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trials {
    /// Packets per second of the functional suite, and of warming up.
    pub gentle_rate: u64,
    /// Seconds of a functional trial.
    pub functional_seconds: f64,
    /// Lengths of frames for the performance suite.
    #[serde(deserialize_with = "many")]
    pub sizes: Vec<Sizes>,
    /// Numbers of flows for it.
    pub flows: Vec<u32>,
    /// Seconds of one of its trials.
    pub performance_seconds: f64,
    /// Part of the most that two rates must differ by.
    pub resolution: f64,
    /// Part of a baseline's throughput that a run must reach.
    pub least_of_baseline: f64,
    /// What makes the device fail over: a program and its arguments.
    pub fail_over: Vec<String>,
    /// Seconds of the fail-over trial; the program is run after a third.
    pub fail_over_seconds: f64,
    /// Milliseconds that a fail-over may take.
    pub most_outage_ms: f64,
    /// Packets per second of fail-over and soak.
    pub steady_rate: u64,
    /// Minutes of the soak suite.
    pub soak_minutes: f64,
    /// Packets per second that the performance suite never exceeds; without it the line's rate.
    pub ceiling: Option<u64>,
    /// Longest bursts that it searches for, whose mean is told.
    pub bursts: u32,
    /// Milliseconds without an arrival that end a trial.
    pub linger_ms: u64,
    /// Longest stall of the generator, in milliseconds, that it makes up for.
    pub catch_up_ms: u64,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            gentle_rate: 10_000,
            functional_seconds: 2.0,
            sizes: [64, 128, 256, 512, 1024, 1280, 1518].map(Sizes::fixed).to_vec(),
            flows: vec![1000, 100_000],
            performance_seconds: 60.0,
            resolution: 0.005,
            least_of_baseline: 0.95,
            fail_over: Vec::new(),
            fail_over_seconds: 30.0,
            most_outage_ms: 3000.0,
            steady_rate: 100_000,
            soak_minutes: 720.0,
            ceiling: None,
            bursts: 5,
            linger_ms: 500,
            catch_up_ms: 1,
        }
    }
}

impl Topology {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or says what cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// As [`Topology::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let topology: Self = toml::from_str(text)?;
        ensure!(!topology.service.is_empty(), "no [[service]]: there is nothing to test");
        for (at, service) in topology.service.iter().enumerate() {
            let name = &service.name;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            ensure!(
                !name.is_empty() && name.chars().all(plain),
                "service name {name:?}: write letters, digits and dashes"
            );
            let twice = topology.service[..at].iter().any(|other| other.name == *name);
            ensure!(!twice, "two services are called {name}");
            ensure!(service.udp || service.tcp, "service {name}: set udp, tcp or both");
        }
        Ok(topology)
    }

    /// As the generator takes them.
    pub fn port_args(&self) -> PortArgs {
        let ports = self.ports.clone();
        PortArgs {
            client: ports.client,
            server: ports.server,
            queues: ports.queues,
            cpus: ports.cpus,
            mtu: ports.mtu,
            buffers: 16_383,
            descriptors: 1024,
            no_huge: ports.no_huge,
            eal: Vec::new(),
            line: ports.line,
            client_hosts: ports.client_hosts,
            server_hosts: ports.server_hosts,
        }
    }
}

impl Service {
    /// As the generator takes it, in such trials.
    ///
    /// # Panics
    /// Never: the text is a constant that is a range of ports.
    pub fn traffic_args(&self, trials: &Trials) -> TrafficArgs {
        TrafficArgs {
            gateway: self.gateway,
            clients: self.clients,
            client_ports: "1024-65535".parse().expect("a range of ports"),
            services: self.address,
            service_ports: self.ports,
            seed: 1,
            tcp: self.tcp,
            data: 2,
            window: 100,
            keep_open: false,
            two_way: self.two_way,
            vlan: self.vlan,
            gue_port: 6080,
            linger_ms: trials.linger_ms,
            catch_up_ms: trials.catch_up_ms,
        }
    }
}

fn one() -> u16 {
    1
}

fn ethernet() -> u16 {
    1500
}

/// A value that is written as text.
fn text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

fn maybe<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    text(from).map(Some)
}

fn many<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}
