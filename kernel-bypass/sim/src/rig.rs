//! The data plane on a bench: balancers over one table, a virtual clock, and every frame that
//! leaves laid open.

use crate::scene::port_mac;
use api::{BackendCounters, DropReason, PortCounters, PortId, PuntReason, Snapshot};
use conn::{Backing, Table, TableConfig, Tick};
use forward::{Balancer, Counts, Fate, Origin, Output, Setup, backend_totals, port_totals};
use nic::{BURST, Burst, MemoryPool};
use plan::Plan;
use std::sync::{Arc, Barrier};
use wire::{Buffer, Packet};

/// How large the bench is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Balancers.
    pub workers: u32,
    /// Units of the table.
    pub units: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { workers: 1, units: 1 << 16 }
    }
}

/// See the module.
pub struct Rig {
    /// What is forwarded by.
    pub snapshot: Snapshot,
    /// Virtual time.
    pub now: Tick,
    /// The shared table.
    pub table: Arc<Table>,
    /// Packets that may be made from nothing before the pool is dry, per call.
    pub spare: usize,
    plan: Plan,
    workers: Vec<Worker>,
}

struct Worker {
    balancer: Balancer<Buffer>,
    counts: Arc<Counts>,
}

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To the wire or to the host.
    pub to: To,
    /// From the Ethernet header on.
    pub frame: Vec<u8>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a frame left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// By a port.
    Wire(PortId),
    /// By a port's companion.
    Host(PortId),
}

/// Collects what leaves and counts it as a transmit stage does.
struct Collector<'a> {
    counts: &'a Counts,
    sent: Vec<Sent>,
}

impl Output<Buffer> for Collector<'_> {
    fn wire(&mut self, port: PortId, packet: Buffer, origin: Origin) {
        self.counts.sent(port, 1, packet.bytes().len() as u64);
        self.sent.push(Sent { to: To::Wire(port), frame: packet.bytes().to_vec(), origin });
    }

    fn host(&mut self, port: PortId, packet: Buffer, origin: Origin) {
        self.sent.push(Sent { to: To::Host(port), frame: packet.bytes().to_vec(), origin });
    }
}

impl Rig {
    /// One worker, 65,536 units.
    ///
    /// # Panics
    /// If the snapshot does not compile.
    pub fn new(snapshot: Snapshot) -> Self {
        Self::sized(snapshot, Size::default())
    }

    /// As large as asked.
    ///
    /// # Panics
    /// If the snapshot does not compile or the size makes no sense.
    pub fn sized(snapshot: Snapshot, size: Size) -> Self {
        let config =
            TableConfig { units: size.units, backends: 4096, participants: size.workers + 1 };
        let table = Table::open(&config, Backing::Heap).expect("a table").table;
        let plan = Plan::compile(&snapshot).expect("a plan");
        let workers = (0..size.workers).map(|n| Worker::new(&table, n, size.workers)).collect();
        Self { snapshot, now: 1000, table, spare: 64, plan, workers }
    }

    /// Changes the snapshot.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn apply(&mut self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot);
        self.snapshot.generation += 1;
        self.plan = Plan::compile_after(&self.snapshot, &self.plan).expect("a plan");
    }

    /// Frames arrive at a port and are handled by a worker, in bursts.
    pub fn wire(&mut self, worker: usize, port: PortId, frames: &[Vec<u8>]) -> Vec<Sent> {
        self.call(worker, frames, |balancer, plan, now, burst, pool, out| {
            balancer.receive(Some(plan), now, port, burst, pool, out);
        })
    }

    /// As [`Rig::wire`] with one burst, but the worker does no more than it must before the next
    /// one comes: what left until then.
    pub fn take(&mut self, port: PortId, frames: &[Vec<u8>]) -> Vec<Sent> {
        let Worker { balancer, counts } = &mut self.workers[0];
        let mut out = Collector { counts, sent: Vec::new() };
        let mut pool = MemoryPool::new(self.spare);
        let mut burst = Box::new(frames.iter().map(|frame| Buffer::new(frame)).collect());
        balancer.receive(Some(&self.plan), self.now, port, &mut burst, &mut pool, &mut out);
        out.sent
    }

    /// Nothing more comes after [`Rig::take`].
    pub fn complete(&mut self) -> Vec<Sent> {
        self.call(0, &[], |_, _, _, _, _, _| {})
    }

    /// One frame arrives at a port.
    pub fn one(&mut self, port: PortId, frame: &[u8]) -> Vec<Sent> {
        self.wire(0, port, &[frame.to_vec()])
    }

    /// The host sends a frame by a companion.
    pub fn host(&mut self, port: PortId, frame: &[u8]) -> Vec<Sent> {
        self.call(0, &[frame.to_vec()], |balancer, plan, now, burst, _, out| {
            balancer.from_host(Some(plan), now, port, burst, out);
        })
    }

    /// A frame arrives before any plan is there.
    pub fn unplanned(&mut self, port: PortId, frame: &[u8]) -> Vec<Sent> {
        self.call(0, &[frame.to_vec()], |balancer, _, now, burst, pool, out| {
            balancer.receive(None, now, port, burst, pool, out);
            balancer.complete(None, now, pool, out);
        })
    }

    /// Time passes, and every worker keeps house meanwhile.
    pub fn pass(&mut self, ticks: Tick) -> Vec<Sent> {
        let mut sent = Vec::new();
        for _ in 0..ticks {
            self.now = self.now.wrapping_add(1);
            sent.extend(self.housekeep());
        }
        sent
    }

    /// Every worker keeps house once.
    pub fn housekeep(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for Worker { balancer, counts } in &mut self.workers {
            let mut out = Collector { counts, sent };
            let mut pool = MemoryPool::new(self.spare);
            balancer.housekeep(Some(&self.plan), self.now, &mut pool, &mut out);
            sent = out.sent;
        }
        sent
    }

    /// All ports' counters.
    pub fn counters(&self) -> Vec<PortCounters> {
        let workers: Vec<&Counts> = self.workers.iter().map(|w| &*w.counts).collect();
        port_totals(&workers)
    }

    /// All backends' counters.
    pub fn backends(&self) -> Vec<BackendCounters> {
        let workers: Vec<&Counts> = self.workers.iter().map(|w| &*w.counts).collect();
        backend_totals(&workers, |id| self.table.connections(id))
    }

    /// Connections of a backend now.
    pub fn connections(&self, backend: u32) -> u32 {
        self.table.connections(backend)
    }

    /// What has been counted since `before`, zeros left out: `"0 rx"` and so on. Bytes are left
    /// out too.
    ///
    /// # Panics
    /// If the conservation law is broken.
    pub fn delta(&self, before: &[PortCounters]) -> Vec<(String, i64)> {
        self.assert_conserved();
        let mut changes = Vec::new();
        for (port, (before, after)) in before.iter().zip(self.counters()).enumerate() {
            let (before, after) = (named(before), named(&after));
            for ((name, old), (_, new)) in before.into_iter().zip(after) {
                if old != new {
                    changes.push((format!("{port} {name}"), new as i64 - old as i64));
                }
            }
        }
        changes
    }

    /// # Panics
    /// If the conservation law is broken at any port.
    pub fn assert_conserved(&self) {
        for (port, counters) in self.counters().iter().enumerate() {
            assert_eq!(counters.conserved(), Ok(()), "port {port}: {counters:#?}");
        }
    }

    /// All workers at once, a thread each: every one of them receives `count` frames at port 0,
    /// its own number and the frame's going in. What left, by worker.
    ///
    /// # Panics
    /// If a worker does.
    pub fn race(
        &mut self,
        count: u32,
        frame: impl Fn(usize, u32) -> Vec<u8> + Sync,
    ) -> Vec<Vec<Sent>> {
        let (plan, now, frame) = (&self.plan, self.now, &frame);
        let start = &Barrier::new(self.workers.len());
        std::thread::scope(|scope| {
            let run = |(number, worker): (usize, &'_ mut Worker)| {
                let frames: Vec<_> = (0..count).map(|n| frame(number, n)).collect();
                start.wait();
                let Worker { balancer, counts } = worker;
                let mut out = Collector { counts, sent: Vec::new() };
                let mut pool = MemoryPool::new(64);
                for chunk in frames.chunks(BURST) {
                    let mut burst =
                        Box::new(chunk.iter().map(|frame| Buffer::new(frame)).collect());
                    balancer.receive(Some(plan), now, 0, &mut burst, &mut pool, &mut out);
                }
                balancer.complete(Some(plan), now, &mut pool, &mut out);
                out.sent
            };
            let workers = self.workers.iter_mut().enumerate();
            let threads: Vec<_> = workers.map(|w| scope.spawn(move || run(w))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a worker")).collect()
        })
    }

    fn call(
        &mut self,
        worker: usize,
        frames: &[Vec<u8>],
        mut run: impl FnMut(
            &mut Balancer<Buffer>,
            &Plan,
            Tick,
            &mut Box<Burst<Buffer>>,
            &mut MemoryPool,
            &mut Collector,
        ),
    ) -> Vec<Sent> {
        let Worker { balancer, counts } = &mut self.workers[worker];
        let mut out = Collector { counts, sent: Vec::new() };
        let mut pool = MemoryPool::new(self.spare);
        for chunk in frames.chunks(BURST) {
            let mut burst: Box<Burst<Buffer>> =
                Box::new(chunk.iter().map(|frame| Buffer::new(frame)).collect());
            run(balancer, &self.plan, self.now, &mut burst, &mut pool, &mut out);
            assert!(burst.is_empty(), "packets left in the burst");
        }
        balancer.complete(Some(&self.plan), self.now, &mut pool, &mut out);
        out.sent
    }
}

impl Worker {
    fn new(table: &Arc<Table>, number: u32, workers: u32) -> Self {
        let counts = Arc::new(Counts::new(2, 4096));
        let macs = [port_mac(0), port_mac(1)];
        let balancer = Balancer::new(Setup {
            table: table.handle().expect("a handle"),
            counts: counts.clone(),
            macs: &macs,
            worker: number,
            workers,
            seed: 0x1234_5678 + u64::from(number),
        });
        Self { balancer, counts }
    }
}

/// The fate of the one frame that left.
pub fn fate(sent: &[Sent]) -> Option<Fate> {
    match sent {
        [one] => Some(one.origin.fate),
        _ => None,
    }
}

fn named(counters: &PortCounters) -> Vec<(String, u64)> {
    let mut list: Vec<(String, u64)> = [
        ("rx", counters.rx),
        ("forwarded", counters.forwarded),
        ("answered", counters.answered),
        ("held", counters.held),
        ("tx", counters.tx),
        ("host-rx", counters.host_rx),
        ("host-tx", counters.host_tx),
    ]
    .map(|(name, n)| (name.to_string(), n))
    .into();
    for (&reason, &n) in PuntReason::ALL.iter().zip(&counters.to_host) {
        list.push((format!("to-host {}", reason.text()), n));
    }
    for (&reason, &n) in DropReason::ALL.iter().zip(&counters.dropped) {
        list.push((format!("dropped {}", reason.text()), n));
    }
    for (&reason, &n) in DropReason::ALL.iter().zip(&counters.host_dropped) {
        list.push((format!("host-dropped {}", reason.text()), n));
    }
    list
}
