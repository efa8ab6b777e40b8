//! Nanoseconds per packet of established connections, by mode and number of flows, with nothing
//! but memory around the balancer: for profiling and for seeing what a change costs.
//!
//! `cargo run --release -p sim --example pace [MODE [FLOWS]]`

use api::*;
use conn::{Backing, Table, TableConfig};
use forward::{Balancer, Counts, Origin, Output, Setup};
use nic::{BURST, Burst, Pool};
use plan::Plan;
use sim::frames::{ack, syn};
use sim::scene::*;
use std::{sync::Arc, time::Instant};
use wire::{Packet, RxChecksum};

const HEAD_ROOM: usize = 128;

struct Slot {
    memory: [u8; 384],
    start: usize,
    len: usize,
}

/// A packet handled by its address, as an mbuf is.
struct Boxed(Box<Slot>);

impl Packet for Boxed {
    fn bytes(&self) -> &[u8] {
        &self.0.memory[self.0.start..self.0.start + self.0.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0.memory[self.0.start..self.0.start + self.0.len]
    }

    fn prepend(&mut self, n: usize) -> bool {
        self.0.start -= n;
        self.0.len += n;
        true
    }

    fn strip_front(&mut self, n: usize) -> bool {
        self.0.start += n;
        self.0.len -= n;
        true
    }

    fn set_len(&mut self, len: usize) -> bool {
        self.0.len = len;
        true
    }

    fn rx_checksum(&self) -> RxChecksum {
        RxChecksum::Good
    }

    fn contiguous(&self) -> bool {
        true
    }
}

struct Dry;

impl Pool for Dry {
    type Packet = Boxed;

    fn alloc(&mut self) -> Option<Boxed> {
        None
    }
}

/// Takes packets back for the next burst.
struct Recycle(Vec<Boxed>);

impl Output<Boxed> for Recycle {
    fn wire(&mut self, _: PortId, packet: Boxed, _: Origin) {
        self.0.push(packet);
    }

    fn host(&mut self, _: PortId, packet: Boxed, _: Origin) {
        self.0.push(packet);
    }
}

/// 64-byte templates, far apart in memory.
fn templates(flows: u32, make: impl Fn((std::net::IpAddr, u16)) -> Vec<u8>) -> Vec<[u8; 64]> {
    let frame = |n: u32| {
        let mut template = [0; 64];
        let frame = make((client(Family::V4, n), 40000));
        template[..frame.len().min(64)].copy_from_slice(&frame[..frame.len().min(64)]);
        template
    };
    (0..flows).map(frame).collect()
}

fn run(mode: Mode, flows: u32) -> f64 {
    let plan = Plan::compile(&snapshot(vec![service(Family::V4, mode, 16)])).unwrap();
    let units = (flows * 4).next_multiple_of(1 << 16);
    let config = TableConfig { units, backends: 64, participants: 2 };
    let table = Table::open(&config, Backing::Heap).unwrap().table;
    let counts = Arc::new(Counts::new(2, 64));
    let macs = [port_mac(0), port_mac(1)];
    let handle = table.handle().unwrap();
    let mut balancer = Balancer::new(Setup {
        table: handle,
        counts: counts.clone(),
        macs: &macs,
        worker: 0,
        workers: 1,
        seed: 1,
    });
    let slot = || Boxed(Box::new(Slot { memory: [0; 384], start: HEAD_ROOM, len: 0 }));
    let mut out = Recycle(std::iter::repeat_with(slot).take(2048).collect());
    let to = (vip(Family::V4), 80);
    let mut burst: Box<Burst<Boxed>> = Box::default();
    let mut pass = |templates: &[[u8; 64]], len: usize| {
        for chunk in templates.chunks(BURST) {
            for template in chunk {
                let Some(mut packet) = out.0.pop() else { return };
                (packet.0.start, packet.0.len) = (HEAD_ROOM, len);
                packet.0.memory[HEAD_ROOM..HEAD_ROOM + 64].copy_from_slice(template);
                let _ = burst.push(packet);
            }
            balancer.receive(Some(&plan), 5, 0, &mut burst, &mut Dry, &mut out);
            balancer.housekeep(Some(&plan), 5, &mut Dry, &mut out);
        }
        balancer.complete(Some(&plan), 5, &mut Dry, &mut out);
    };
    pass(&templates(flows, |from| syn(from, to)), 60);
    let steady = templates(flows, |from| {
        let mut frame = ack(from, to);
        frame.truncate(54);
        // Total length of the bare acknowledgement, and the header checksum to match.
        let old = u16::from_be_bytes([frame[16], frame[17]]);
        frame[16..18].copy_from_slice(&40u16.to_be_bytes());
        let sum = u16::from_be_bytes([frame[24], frame[25]]);
        let sum = u32::from(!sum) + u32::from(!old) + 40;
        let sum = (sum & 0xffff) + (sum >> 16);
        frame[24..26].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
        frame
    });
    let rounds = (16_000_000 / flows).max(1);
    pass(&steady, 60);
    let start = Instant::now();
    for _ in 0..rounds {
        pass(&steady, 60);
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / (f64::from(rounds) * f64::from(flows));
    let totals = &forward::port_totals(&[&counts])[0];
    assert_eq!(totals.forwarded, totals.rx, "{totals:?}");
    nanoseconds
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mode, flows) = (arguments.next(), arguments.next().and_then(|n| n.parse().ok()));
    for (name, each) in
        [("dr", Mode::Dr), ("nat", Mode::Nat), ("snat", Mode::Snat), ("tun", Mode::Tun)]
    {
        if mode.as_deref().is_none_or(|mode| mode == name) {
            for flows in flows.map_or(vec![1 << 10, 1 << 16, 1 << 17], |n| vec![n]) {
                println!("{name:5} {flows:8} flows  {:6.1} ns", run(each, flows));
            }
        }
    }
}
