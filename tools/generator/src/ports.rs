//! The rig of DPDK ports: a thread for each pair of queues.

use crate::args::{PortArgs, TrafficArgs, line};
use anyhow::{Context, Result, bail, ensure};
use nic_dpdk::{
    Device, Eal, EalOptions, Pool, PoolConfig, Port, PortConfig, Queues, RxQueue, Started, TxQueue,
};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use traffic::{Addresses, Ethernet, FlowSet, Share, Traffic};
use trials::{End, Host, Lane, Outcome, Rig, Trial, Tried, Work};

/// See the module.
pub struct Ports {
    // Lanes hold queues and buffers, so they go first, the ports next, the environment last.
    lanes: Vec<Lane<RxQueue, TxQueue, Pool>>,
    client: Port<Started>,
    server: Option<Port<Started>>,
    eal: Eal,
    cpus: Vec<u16>,
    line: Option<u64>,
    traffic: TrafficArgs,
    flows: Option<(u32, Arc<FlowSet>)>,
    /// First packet of each lane's next trial with connections.
    next: Vec<u64>,
    trial: u8,
    stop: Arc<AtomicBool>,
}

/// How long a line may take to come up.
const LINK_PATIENCE: Duration = Duration::from_secs(20);

impl Ports {
    /// Opens the ports.
    ///
    /// # Errors
    /// When DPDK or a driver refuses, or the ports have different numbers of queues.
    pub fn open(ports: &PortArgs, traffic: &TrafficArgs, stop: Arc<AtomicBool>) -> Result<Self> {
        let config = PoolConfig::for_mtu(ports.buffers, ports.mtu);
        let eal = Eal::init(&EalOptions {
            no_huge: ports.no_huge,
            memory_mib: ports.no_huge.then(|| config.memory_mib() + 64),
            arguments: ports.eal.clone(),
            ..EalOptions::default()
        })?;
        let pool = Pool::new(&eal, &config)?;
        let (client, clients) = open(&eal, &pool, &ports.client, ports)?;
        let (server, servers) = match &ports.server {
            Some(device) => open(&eal, &pool, device, ports).map(|(p, q)| (Some(p), Some(q)))?,
            None => (None, None),
        };
        let mut here = ports.client_hosts.clone();
        if server.is_none() {
            here.extend(&ports.server_hosts);
        }
        let mut servers = match (&server, servers) {
            (Some(port), Some(queues)) => ends(port, queues, &ports.server_hosts),
            _ => Vec::new(),
        };
        let clients = ends(&client, clients, &here);
        ensure!(
            server.is_none() || servers.len() == clients.len(),
            "the ports have {} and {} queues: ask for fewer with --queues",
            clients.len(),
            servers.len()
        );
        servers.reverse();
        let lanes: Vec<_> =
            clients.into_iter().map(|end| Lane::new(end, servers.pop(), pool.clone())).collect();
        Ok(Self {
            line: line(ports.line, client.link().mbps)?,
            next: vec![0; lanes.len()],
            lanes,
            client,
            server,
            eal,
            cpus: ports.cpus.clone(),
            traffic: traffic.clone(),
            flows: None,
            trial: 0,
            stop,
        })
    }

    /// Sends other traffic from now on.
    pub fn aim(&mut self, traffic: &TrafficArgs) {
        self.traffic = traffic.clone();
        self.flows = None;
    }

    /// Waits until frames can pass.
    ///
    /// # Errors
    /// When a line stays down.
    pub fn wait_for_lines(&self) -> Result<()> {
        let deadline = Instant::now() + LINK_PATIENCE;
        for port in std::iter::once(&self.client).chain(&self.server) {
            while !port.link().up {
                ensure!(!self.stop.load(Ordering::Relaxed), "stopped");
                ensure!(Instant::now() < deadline, "the line of {} stays down", port.device());
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// The ports, as one line each.
    pub fn describe(&self) -> Vec<String> {
        let ports = [("client", Some(&self.client)), ("server", self.server.as_ref())];
        let lines = ports.into_iter().filter_map(|(name, port)| port.map(|port| (name, port)));
        lines
            .map(|(name, port)| {
                let mac = port.mac().map(|byte| format!("{byte:02x}")).join(":");
                let (device, driver) = (port.device(), port.driver());
                format!("{name} {device} ({driver}), {mac}, {} queues", self.lanes.len())
            })
            .collect()
    }

    /// Answers neighbours and requests until asked to stop.
    ///
    /// # Errors
    /// When the traffic cannot be made.
    pub fn idle(&mut self) -> Result<()> {
        let sizes = "9000".parse()?;
        let trial = Trial {
            sizes,
            flows: 1,
            pattern: traffic::Pattern::Datagrams,
            rate: None,
            packets: None,
            duration: 0,
        };
        let works = self.works(&trial)?;
        self.on_all(&works, |lane, work, clock, stop| lane.idle(work, clock, stop))?;
        Ok(())
    }

    fn works(&mut self, trial: &Trial) -> Result<Vec<Work>> {
        let flows = self.flow_set(trial.flows)?;
        let lanes = self.lanes.len() as u64;
        // A lane's part; the first lanes take what does not divide.
        let part = |all: u64, lane: u64| all / lanes + u64::from(lane < all % lanes);
        let mut works = Vec::new();
        for lane in 0..lanes {
            let share = Share { stream: lane as u8, of: lanes as u8 };
            let ethernet = Ethernet {
                to: self.traffic.gateway.0,
                from: self.client.mac(),
                vlan: self.traffic.vlan,
            };
            let sizes = trial.sizes.clone();
            let mut traffic =
                Traffic::new(Arc::clone(&flows), sizes, trial.pattern, ethernet, share)?;
            traffic.answered = self.traffic.two_way;
            works.push(Work {
                traffic,
                rate: trial.rate.map(|rate| part(rate, lane)),
                catch_up: self.traffic.catch_up_ms * 1_000_000,
                packets: trial.packets.map(|packets| part(packets, lane)),
                duration: trial.duration,
                linger: self.traffic.linger_ms * 1_000_000,
                trial: self.trial,
                gue_port: self.traffic.gue_port,
                first: first(self.next[lane as usize], trial.pattern),
            });
        }
        Ok(works)
    }

    fn flow_set(&mut self, count: u32) -> Result<Arc<FlowSet>> {
        match &self.flows {
            Some((drawn, flows)) if *drawn == count => Ok(Arc::clone(flows)),
            _ => {
                let seed = self.traffic.seed;
                let flows = Arc::new(FlowSet::draw(self.traffic.ranges(), count, seed)?);
                self.flows = Some((count, Arc::clone(&flows)));
                Ok(flows)
            }
        }
    }

    /// Runs a closure on every lane, each on its thread.
    fn on_all<A: Send>(
        &mut self,
        works: &[Work],
        run: impl Fn(&mut Lane<RxQueue, TxQueue, Pool>, &Work, &dyn Fn() -> u64, &AtomicBool) -> A
        + Sync,
    ) -> Result<Vec<A>> {
        let (eal, stop, run, cpus) = (&self.eal, &*self.stop, &run, &self.cpus);
        let origin = nic_dpdk::cycles();
        let clock = move || nanoseconds(nic_dpdk::cycles().saturating_sub(origin));
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .lanes
                .iter_mut()
                .zip(works)
                .enumerate()
                .map(|(number, (lane, work))| {
                    scope.spawn(move || -> Result<A> {
                        if let Some(&cpu) = cpus.get(number) {
                            pin(cpu)?;
                        }
                        let _registered = eal.register_thread()?;
                        Ok(run(lane, work, &clock, stop))
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
                .collect()
        })
    }
}

impl Rig for Ports {
    fn trial(&mut self, trial: &Trial) -> Result<Outcome> {
        ensure!(!self.stop.load(Ordering::Relaxed), "stopped");
        self.trial = self.trial.wrapping_add(1);
        let works = self.works(trial)?;
        let tried: Vec<Tried> =
            self.on_all(&works, |lane, work, clock, stop| lane.run(work, clock, stop))?;
        if trial.pattern.is_tcp() {
            self.next = tried.iter().map(|lane| lane.next).collect();
        }
        let sizes = (!trial.pattern.is_tcp()).then_some(&trial.sizes);
        Ok(Outcome::of(&tried, trial.rate, sizes))
    }

    fn line(&self) -> Option<u64> {
        self.line
    }
}

/// Connections go on with new ones: a whole window from its beginning.
fn first(next: u64, pattern: traffic::Pattern) -> u64 {
    match pattern {
        traffic::Pattern::Datagrams => 0,
        traffic::Pattern::Connections { window, .. } => {
            next.next_multiple_of(u64::from(window.max(1)) * pattern.steps())
        }
    }
}

fn open(eal: &Eal, pool: &Pool, device: &str, ports: &PortArgs) -> Result<(Port<Started>, Queues)> {
    let parsed: Device = device.parse()?;
    let config = PortConfig {
        queues: ports.queues,
        mtu: ports.mtu,
        rx_descriptors: ports.descriptors,
        tx_descriptors: ports.descriptors,
        promiscuous: false,
        verify_checksums: true,
    };
    let started = Port::probe(eal, &parsed, &config)?.configure(pool)?.start();
    started.with_context(|| format!("port {device}"))
}

fn ends(port: &Port<Started>, queues: Queues, hosts: &[Addresses]) -> Vec<End<RxQueue, TxQueue>> {
    let host = Host { mac: port.mac(), addresses: hosts.to_vec() };
    let pairs = queues.rx.into_iter().zip(queues.tx);
    pairs.map(|(rx, tx)| End::new(rx, tx, host.clone())).collect()
}

fn nanoseconds(cycles: u64) -> u64 {
    let hz = nic_dpdk::cycles_per_second().max(1);
    (u128::from(cycles) * 1_000_000_000 / u128::from(hz)) as u64
}

fn pin(cpu: u16) -> Result<()> {
    let mut set = CpuSet::new();
    ensure!(usize::from(cpu) < CpuSet::MAX_CPU, "CPU {cpu}: there is none with this number");
    set.set(cpu.into());
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPU {cpu}"))
}
