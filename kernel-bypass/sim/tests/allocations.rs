//! A worker never allocates: not for hits, not for misses, not for answers, not for fragments, not
//! for housekeeping.

use api::*;
use conn::{Backing, Table, TableConfig};
use forward::{Balancer, Counts, Origin, Output, Setup};
use nic::{BURST, Burst, Pool};
use plan::Plan;
use sim::frames::*;
use sim::scene::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{alloc::System, sync::Arc};
use wire::{Packet, RxChecksum, TcpFlags};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROOM: usize = 1700;
const HEAD_ROOM: usize = 128;

/// A packet that lies where it is, without a heap.
#[derive(Clone)]
struct Inline {
    memory: [u8; ROOM],
    start: usize,
    len: usize,
}

impl Inline {
    fn new(frame: &[u8]) -> Self {
        let mut packet = Self { memory: [0; ROOM], start: HEAD_ROOM, len: frame.len() };
        packet.memory[HEAD_ROOM..HEAD_ROOM + frame.len()].copy_from_slice(frame);
        packet
    }
}

impl Packet for Inline {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }

    fn prepend(&mut self, n: usize) -> bool {
        let room = self.start >= n;
        if room {
            self.start -= n;
            self.len += n;
        }
        room
    }

    fn strip_front(&mut self, n: usize) -> bool {
        let enough = self.len >= n;
        if enough {
            self.start += n;
            self.len -= n;
        }
        enough
    }

    fn set_len(&mut self, len: usize) -> bool {
        let room = self.start + len <= ROOM;
        if room {
            self.len = len;
        }
        room
    }

    fn rx_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn contiguous(&self) -> bool {
        true
    }
}

struct Spare;

impl Pool for Spare {
    type Packet = Inline;

    fn alloc(&mut self) -> Option<Inline> {
        Some(Inline::new(&[]))
    }
}

#[derive(Default)]
struct Tally {
    wire: u64,
    host: u64,
}

impl Output<Inline> for Tally {
    fn wire(&mut self, _: PortId, _: Inline, _: Origin) {
        self.wire += 1;
    }

    fn host(&mut self, _: PortId, _: Inline, _: Origin) {
        self.host += 1;
    }
}

/// Frames of every kind for one client: they open, repeat, split, expire, are refused.
fn frames(number: u32) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (n, family) in (0..).zip([Family::V4, Family::V6]) {
        for port in 0..4u16 {
            let from = (client(family, number), 40000);
            let to = (vip(family), 80 + n * 4 + port);
            let loose = inbound(0, from.0, to.0).fragmentable(number as u16);
            frames.push(ack(from, to));
            frames.push(syn(from, to));
            frames.push(ack(from, to));
            frames.push(udp(from, to, &[1; 1400]));
            frames.push(loose.udp(from.1, to.1, &[1; 1400]).bytes().to_vec());
            let pieces = loose.udp_fragments((from.1, to.1), &[2; 3000], number, 1000);
            frames.extend(pieces.iter().rev().map(|piece| piece.bytes().to_vec()));
            frames.push(tcp(from, to, TcpFlags::RST, &[]));
        }
        frames.push(syn((client(family, number), 1), (own(family, 0), 22)));
    }
    frames
}

fn services() -> Vec<Service> {
    let mut services = Vec::new();
    for family in [Family::V4, Family::V6] {
        for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
            let id = services.len() as u16;
            let mut service = service(family, mode, 0);
            (service.id, service.ports) = (id, vec![PortRange::one(80 + id)]);
            service.backends = (0..4).map(|n| backend(family, u32::from(id) * 4 + n)).collect();
            for backend in &mut service.backends {
                let source = own(family, 1);
                backend.tunnel = Some(Tunnel { kind: TunnelKind::Gre, source });
                backend.hop.as_mut().unwrap().mtu = 1300;
            }
            service.persistence = Some(Persistence { timeout_s: 1, mask_v4: 32, mask_v6: 128 });
            service.timeouts.udp_s = 1;
            services.push(service);
        }
    }
    services
}

#[test]
fn a_worker_never_allocates() {
    // The buffers of the debug build's frames are large.
    std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap();
}

fn run() {
    let plan = Plan::compile(&snapshot(services())).unwrap();
    let config = TableConfig { units: 1 << 14, backends: 64, participants: 2 };
    let table = Table::open(&config, Backing::Heap).unwrap().table;
    let counts = Arc::new(Counts::new(2, 64));
    let macs = [port_mac(0), port_mac(1)];
    let handle = table.handle().unwrap();
    let setup = Setup {
        table: handle,
        counts: counts.clone(),
        macs: &macs,
        worker: 0,
        workers: 1,
        seed: 1,
    };
    let mut balancer = Balancer::new(setup);
    let mut packets = 0;
    let mut allocations = 0;
    let mut out = Tally::default();
    let mut burst: Box<Burst<Inline>> = Box::default();
    for round in 0..600 {
        for chunk in frames(round % 400).chunks(BURST) {
            burst.extend(chunk.iter().map(|frame| Inline::new(frame)));
            packets += burst.len();
            let region = Region::new(GLOBAL);
            balancer.receive(Some(&plan), round * 7, 0, &mut burst, &mut Spare, &mut out);
            balancer.housekeep(Some(&plan), round * 7, &mut Spare, &mut out);
            let change = region.change();
            allocations += change.allocations + change.reallocations + change.deallocations;
        }
    }
    assert_eq!(allocations, 0);
    let totals = &forward::port_totals(&[&counts])[0];
    assert!(totals.conserved().is_ok());
    assert!(packets > 40_000 && out.wire > 40_000 && out.host > 1000, "{packets} {totals:?}");
    assert!(totals.answered > 1000 && totals.forwarded > 20_000, "{totals:?}");
}
