//! The worker's rules, on a DPDK ring device: over a million packets of every kind no allocation,
//! no deallocation and no system call.
//!
//! The worker's thread runs under a seccomp filter that ends it at the first system call.

use api::{Family, Mode, PortCounters, PortId, PortRange, Service, Tunnel, TunnelKind};
use conn::{Backing, Table, TableConfig};
use crossbeam::utils::CachePadded;
use dataplane::args::Idle;
use dataplane::egress::{Egress, Outlet, PortOutlets};
use dataplane::mailbox::Mailbox;
use dataplane::worker::{Intake, Shared, Worker};
use forward::{Balancer, Counts, Setup};
use nic::{BURST, Burst, Pool as _, Rx, Tx};
use nic_dpdk::{
    Device, Eal, EalOptions, Mbuf, Pool, PoolConfig, Port, PortConfig, RxQueue, Started, TxQueue,
};
use plan::Plan;
use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter};
use sim::frames::*;
use sim::scene::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wire::{Packet, TcpFlags};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PACKETS: u64 = 1_000_000;
/// Whatever is waited for comes within this, or the test fails.
const LIMIT: Duration = Duration::from_secs(120);

/// What the worker's thread may do.
#[derive(Clone, Copy)]
enum Kernel {
    Forbidden,
    Allowed,
}

/// A worker between two rings, and the far ends of both.
struct Bench {
    pool: Pool,
    /// Into port 0 and port 1.
    into: [TxQueue; 2],
    out: [RxQueue; 2],
    counts: Arc<Counts>,
    shared: Arc<Shared>,
    /// Of the worker's thread, in /proc.
    task: PathBuf,
    _ports: Vec<Port<Started>>,
}

#[test]
fn a_worker_neither_allocates_nor_calls_the_kernel() {
    let eal = Eal::init(&EalOptions { no_huge: true, ..EalOptions::default() }).unwrap();
    let frames = frames();
    // One that sleeps calls the kernel: the filter must end it, or it would prove nothing.
    let sleeper = Bench::new(&eal, Idle::Adaptive, Kernel::Forbidden);
    assert!(until(|| !sleeper.task.exists()), "a sleeping worker outlives the filter");
    // And without the filter it lives.
    let mut free = Bench::new(&eal, Idle::Adaptive, Kernel::Allowed);
    assert!(free.feed(&frames, 5_000) > 1_000 && free.task.exists());
    free.shared.stop.store(true, Relaxed);
    assert!(until(|| !free.task.exists()));

    let mut bench = Bench::new(&eal, Idle::Poll, Kernel::Forbidden);
    let region = Region::new(GLOBAL);
    let left = bench.feed(&frames, PACKETS);
    let change = region.change();
    assert!(bench.task.exists(), "the worker called the kernel");
    assert_eq!((change.allocations, change.reallocations, change.deallocations), (0, 0, 0));
    assert!(until(|| bench.received() >= PACKETS));
    let totals = bench.totals();
    println!("{PACKETS} packets came, {left} left");
    assert!(totals.iter().all(|port| port.forwarded > PACKETS / 20), "{totals:#?}");
    assert!(totals[0].answered > PACKETS / 100 && left > PACKETS / 3, "{totals:#?}");
}

impl Bench {
    fn new(eal: &Eal, idle: Idle, kernel: Kernel) -> Self {
        let pool = Pool::new(eal, &PoolConfig::for_mtu(16_383, 1500)).unwrap();
        let config = TableConfig { units: 1 << 14, backends: 64, participants: 2 };
        let table = Table::open(&config, Backing::Heap).unwrap().table;
        let counts = Arc::new(Counts::new(2, 64));
        let shared = Arc::new(Shared {
            tick: CachePadded::new(AtomicU32::new(1)),
            stop: AtomicBool::new(false),
            removed: AtomicU32::new(0),
        });
        let mailbox = Arc::new(Mailbox::default());
        let plan = Plan::compile(&snapshot(services())).unwrap();
        assert!(mailbox.deliver(Arc::new(plan)).is_ok());
        let (mut ports, mut intakes, mut outlets) = (Vec::new(), Vec::new(), Vec::new());
        let far: Vec<_> = (0..2)
            .map(|number: PortId| {
                let (in_port, far_tx, near_rx) = ring(eal, &pool);
                let (out_port, near_tx, far_rx) = ring(eal, &pool);
                ports.extend([in_port, out_port]);
                intakes.push(Intake { port: number, wire: Some(near_rx), host: None });
                outlets.push(PortOutlets { wire: Outlet::own(near_tx, None), host: Outlet::None });
                (far_tx, far_rx)
            })
            .collect();
        let (into, out): (Vec<_>, Vec<_>) = far.into_iter().unzip();
        let macs = [port_mac(0), port_mac(1)];
        let worker = Worker {
            mailbox,
            shared: shared.clone(),
            balancer: Balancer::new(Setup {
                table: table.handle().unwrap(),
                counts: counts.clone(),
                macs: &macs,
                worker: 0,
                workers: 1,
                seed: 1,
            }),
            intakes,
            egress: Egress::new(outlets, counts.clone()),
            pool: pool.clone(),
            idle,
        };
        let task = start(eal, worker, kernel);
        let (into, out) = (into.try_into().ok().unwrap(), out.try_into().ok().unwrap());
        Self { pool, into, out, counts, shared, task, _ports: ports }
    }

    /// Sends so many frames, over and over, and takes away what leaves; how many left. Without
    /// an allocation of its own.
    fn feed(&mut self, frames: &[(PortId, Vec<u8>)], count: u64) -> u64 {
        let begun = Instant::now();
        let (mut sent, mut left, mut burst) = (0, 0, Burst::new());
        let mut chunks = frames.chunks(BURST).cycle();
        while sent < count && begun.elapsed() < LIMIT {
            for (port, frame) in chunks.next().into_iter().flatten() {
                sent += self.send(*port, frame, &mut burst);
            }
            for queue in &mut self.out {
                queue.receive(&mut burst);
                left += burst.len() as u64;
                burst.clear();
            }
            self.shared.tick.fetch_add(1, Relaxed);
        }
        left
    }

    /// How many were sent: one, or none where the ring is full or no buffer is free.
    fn send(&mut self, port: PortId, frame: &[u8], burst: &mut Burst<Mbuf>) -> u64 {
        let Some(mut mbuf) = self.pool.alloc() else { return 0 };
        assert!(mbuf.set_len(frame.len()));
        mbuf.bytes_mut().copy_from_slice(frame);
        assert!(burst.push(mbuf).is_ok());
        self.into[usize::from(port)].send(burst);
        let sent = u64::from(burst.is_empty());
        burst.clear();
        sent
    }

    fn totals(&self) -> Vec<PortCounters> {
        forward::port_totals(&[&self.counts])
    }

    fn received(&self) -> u64 {
        self.totals().iter().map(|port| port.rx).sum()
    }
}

fn until(mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > LIMIT {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// A ring device, whose one queue gives back what it takes.
fn ring(eal: &Eal, pool: &Pool) -> (Port<Started>, TxQueue, RxQueue) {
    let device: Device = "ring".parse().unwrap();
    let port = Port::probe(eal, &device, &PortConfig::default()).unwrap();
    let (port, queues) = port.configure(pool).and_then(Port::start).unwrap();
    let (mut tx, mut rx) = (queues.tx, queues.rx);
    (port, tx.remove(0), rx.remove(0))
}

/// Runs the worker in a thread of its own; the thread's folder in /proc.
fn start(eal: &Eal, worker: Worker<RxQueue, TxQueue, Pool>, kernel: Kernel) -> PathBuf {
    let (eal, id) = (eal.clone(), Arc::new(AtomicI32::new(0)));
    let mine = id.clone();
    std::thread::spawn(move || {
        let _registered = eal.register_thread().unwrap();
        let number = rustix::thread::gettid().as_raw_nonzero().get();
        if matches!(kernel, Kernel::Forbidden) {
            apply_filter(&nothing()).unwrap();
        }
        mine.store(number, Relaxed);
        worker.run();
    });
    assert!(until(|| id.load(Relaxed) != 0));
    PathBuf::from(format!("/proc/self/task/{}", id.load(Relaxed)))
}

/// A filter without a single permission.
fn nothing() -> seccompiler::BpfProgram {
    let arch: TargetArch = std::env::consts::ARCH.try_into().unwrap();
    let (kill, allow) = (SeccompAction::KillThread, SeccompAction::Allow);
    SeccompFilter::new([].into(), kill, allow, arch).unwrap().try_into().unwrap()
}

/// Every mode in both families, one real server each, so that replies are known beforehand.
fn services() -> Vec<Service> {
    let families = [Family::V4, Family::V6].into_iter();
    let all = families.flat_map(|family| MODES.map(|mode| (family, mode)));
    (0..).zip(all).map(|(id, (family, mode))| numbered(id, family, mode)).collect()
}

const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];

fn numbered(id: u16, family: Family, mode: Mode) -> Service {
    let mut service = service(family, mode, 0);
    (service.id, service.ports) = (id, vec![PortRange::one(80 + id)]);
    let mut backend = backend(family, id.into());
    backend.tunnel = Some(Tunnel { kind: TunnelKind::Gre, source: own(family, 1) });
    backend.hop.as_mut().unwrap().mtu = 1300;
    service.backends = vec![backend];
    service
}

/// Frames of every kind, and the port that each comes by: connections that open, speak both ways
/// and end; datagrams, whole, too big for the tunnel, and in pieces; strays.
fn frames() -> Vec<(PortId, Vec<u8>)> {
    let mut frames = Vec::new();
    for number in 0..100 {
        for (id, service) in (0..).zip(services()) {
            let family = if id < 4 { Family::V4 } else { Family::V6 };
            let (from, to) = ((client(family, number), 40_000), (vip(family), 80 + id));
            for flags in [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::ACK, TcpFlags::ACK] {
                frames.push((0, tcp(from, to, flags, &[7; 100])));
            }
            if service.mode == Mode::Nat {
                let server = (server(family, id.into()), to.1);
                let reply = inbound(1, server.0, from.0);
                let flags = TcpFlags::SYN | TcpFlags::ACK;
                frames.push((1, segment(&reply, server, from, flags, &[])));
                frames.push((1, segment(&reply, server, from, TcpFlags::ACK, &[8; 1200])));
            }
            let loose = inbound(0, from.0, to.0).fragmentable(number as u16);
            frames.push((0, udp(from, to, &[1; 1400])));
            frames.push((0, loose.udp(from.1, to.1, &[1; 1400]).bytes().to_vec()));
            let pieces = loose.udp_fragments((from.1, to.1), &[2; 3000], number, 1000);
            frames.extend(pieces.iter().rev().map(|piece| (0, piece.bytes().to_vec())));
            frames.push((0, tcp(from, to, TcpFlags::RST, &[])));
        }
        frames.push((0, syn((client(Family::V4, number), 1), (own(Family::V4, 0), 22))));
    }
    frames
}
