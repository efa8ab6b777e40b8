//! Whatever arrives, in whatever order, whenever: no panic, every packet has one counted fate, and
//! every connection that a gauge counts is in the table.
//!
//! Runs for two seconds; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p sim --test fuzz` for as
//! long as wanted. A failure prints the input that makes it fail again.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, Size, To};
use std::time::Duration;
use wire::{Packet, TcpFlags, build::Build};

const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];

#[test]
fn every_packet_has_one_fate_whatever_comes() {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(2));
    bolero::check!().with_test_time(time).with_max_len(2048).for_each(|input: &[u8]| {
        let mut world = World::new();
        let mut dice = Dice(input);
        while !dice.0.is_empty() {
            world.step(&mut dice);
            world.check();
        }
        world.end();
    });
}

/// Decisions from the fuzzer's bytes; zeros when they are used up.
struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct World {
    rig: Rig,
    /// The last frames that left for the wire, to be answered or complained about.
    left: Vec<Sent>,
    wire_frames: u64,
}

impl World {
    fn new() -> Self {
        let size = Size { workers: 2, units: 1 << 13 };
        let rig = Rig::sized(snapshot(services()), size);
        Self { rig, left: Vec::new(), wire_frames: 0 }
    }

    fn step(&mut self, dice: &mut Dice) {
        let (worker, port) = (dice.below(2), dice.below(2) as PortId);
        match dice.below(12) {
            0..=4 => {
                let frame = request(dice);
                self.arrive(worker, 0, frame, dice);
            }
            5 | 6 => {
                if let Some(frame) = self.reply(dice) {
                    self.arrive(worker, 1, frame, dice);
                }
            }
            7 => {
                if let Some(frame) = self.complaint(dice) {
                    self.arrive(worker, port, frame, dice);
                }
            }
            8 => {
                let raw = dice.byte().into();
                let mut frame = port_mac(port).to_vec();
                frame.extend_from_slice(dice.bytes(raw));
                self.arrive(worker, port, frame, dice);
            }
            9 => {
                let frame = match dice.below(2) {
                    0 => self.reply(dice).unwrap_or_default(),
                    _ => request(dice),
                };
                let sent = self.rig.host(port, &frame);
                self.keep(sent);
            }
            10 => {
                let ticks = u32::from(dice.word()) % 40;
                self.rig.now = self.rig.now.wrapping_add(u32::from(dice.byte()) * 64);
                let sent = self.rig.pass(ticks);
                self.keep(sent);
            }
            _ => self.change(dice),
        }
    }

    fn arrive(&mut self, worker: usize, port: PortId, mut frame: Vec<u8>, dice: &mut Dice) {
        if dice.below(4) == 0 {
            damage(&mut frame, dice);
        }
        self.rig.spare = if dice.below(8) == 0 { 0 } else { 64 };
        let burst = vec![frame; 1 + dice.below(40) / 38];
        let sent = self.rig.wire(worker, port, &burst);
        self.keep(sent);
    }

    fn keep(&mut self, sent: Vec<Sent>) {
        let wire = sent.into_iter().filter(|s| matches!(s.to, To::Wire(_)));
        for sent in wire {
            self.wire_frames += 1;
            self.left.push(sent);
        }
        let old = self.left.len().saturating_sub(32);
        self.left.drain(..old);
    }

    /// What a real server (or the host) could send back for one of the frames that left.
    fn reply(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let n = dice.below(self.left.len().max(1));
        let frame = &self.left.get(n)?.frame;
        let Ok(wire::Frame::Ip(parsed)) = wire::parse(frame) else { return None };
        let (from, to) = (wire::unmapped(&parsed.dst), wire::unmapped(&parsed.src));
        let mut build = Build::new(from, to).macs(port_mac(1), macs(frame).1);
        build.ttl = if dice.below(8) == 0 { 1 } else { 64 };
        let ends = ((from, parsed.dport), (to, parsed.sport));
        Some(transport(&build, ends, dice))
    }

    /// An ICMP error about one of the frames that left.
    fn complaint(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let n = dice.below(self.left.len().max(1));
        let frame = &self.left.get(n)?.frame;
        let Ok(wire::Frame::Ip(parsed)) = wire::parse(frame) else { return None };
        let to = wire::unmapped(&parsed.src);
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let build = Build::new(client(family, 77), to).macs(port_mac(1), CLIENT_MAC);
        let kind = [3, 11, 12, 1, 2, 4][dice.below(6)];
        let quoted = &frame[usize::from(parsed.l3_off)..];
        let cut = quoted.len().min(20 + usize::from(dice.byte()));
        Some(build.icmp(kind, dice.byte() % 8, dice.word().into(), &quoted[..cut]).bytes().to_vec())
    }

    fn change(&mut self, dice: &mut Dice) {
        let (service, backend, what) = (dice.below(8), dice.below(3), dice.below(10));
        let value = dice.byte();
        self.rig.apply(|snapshot| {
            let service = &mut snapshot.services[service];
            let states =
                [BackendState::Online, BackendState::Drain, BackendState::Halt, BackendState::Down];
            let failures = [OnFailure::Reset, OnFailure::Move, OnFailure::Keep];
            let Some(backend) = service.backends.get_mut(backend) else { return };
            match what {
                0..=3 => backend.state = states[usize::from(value) % 4],
                4 => backend.weight = value.into(),
                5 => backend.max_connections = u32::from(value) % 8,
                6 => service.on_failure = failures[usize::from(value) % 3],
                7 => backend.port = Some(value.into()),
                8 => {
                    let mac = server_mac(backend.id);
                    let mtu = 600 + u16::from(value) * 4;
                    let vlan = (value % 3 == 1).then_some(u16::from(value));
                    let hop = Hop { port: value % 2, mac, vlan, mtu };
                    backend.hop = (!value.is_multiple_of(4)).then_some(hop);
                }
                _ => {
                    // Modes change places, so that entries outlive their recipe.
                    let mode = MODES[usize::from(value) % 4];
                    let untunnelled = service.fallback.as_ref().is_some_and(|f| !f.local);
                    if mode != Mode::Tun || !untunnelled {
                        service.mode = mode;
                    }
                }
            }
        });
    }

    fn check(&self) {
        self.rig.assert_conserved();
        let counters = self.rig.counters();
        let sent: u64 = counters.iter().map(|port| port.tx).sum();
        assert_eq!(sent, self.wire_frames, "what left is not what was counted");
        let gauges: u64 = (0..64).map(|id| u64::from(self.rig.connections(id))).sum();
        assert_eq!(gauges, self.rig.table.totals().connections, "gauges and table differ");
    }

    /// Nothing may stay behind for ever.
    fn end(&mut self) {
        self.rig.apply(|snapshot| snapshot.services.clear());
        for _ in 0..400 {
            self.rig.now = self.rig.now.wrapping_add(10);
            let sent = self.rig.housekeep();
            self.keep(sent);
        }
        self.check();
        let held: u64 = self.rig.counters().iter().map(|port| port.held).sum();
        assert_eq!((self.rig.table.totals().units_used, held), (0, 0));
    }
}

/// All modes in both families; some with persistence, limits, tunnels, a local fallback, a small
/// pool.
fn services() -> Vec<Service> {
    let mut services = Vec::new();
    for family in [Family::V4, Family::V6] {
        for mode in MODES {
            let id = services.len() as u16;
            let mut service = service(family, mode, 0);
            service.id = id;
            service.ports = vec![PortRange { first: 80 + id, last: 80 + id }];
            service.backends = (0..3).map(|n| backend(family, u32::from(id) * 4 + n)).collect();
            let kinds = [TunnelKind::Ip, TunnelKind::Gre, TunnelKind::Gue { port: 6080 }];
            for (backend, kind) in service.backends.iter_mut().zip(kinds) {
                let source = own(family, 1);
                backend.tunnel = Some(Tunnel { kind, source });
            }
            service.backends[1].max_connections = 2;
            if id.is_multiple_of(2) {
                let persistence = Persistence { timeout_s: 5, mask_v4: 31, mask_v6: 127 };
                service.persistence = Some(persistence);
            }
            let fallback = backend(family, u32::from(id) * 4 + 3);
            service.fallback = match id % 4 {
                0 => Some(Backend {
                    local: true,
                    port: Some(9081),
                    address: vip(family),
                    ..fallback
                }),
                1 => Some(fallback),
                _ => None,
            };
            if mode == Mode::Snat {
                service.snat_pool.truncate(1);
                service.snat_pool[0].ports = PortRange { first: 2000, last: 2007 };
            }
            services.push(service);
        }
    }
    services
}

/// What a client could send to one of the services (or next to one).
fn request(dice: &mut Dice) -> Vec<u8> {
    let family = if dice.below(2) == 0 { Family::V4 } else { Family::V6 };
    let id = dice.below(8) as u16;
    let from = (client(family, dice.below(4) as u32), 1024 + dice.below(4) as u16);
    let to = (vip(family), 80 + id);
    let mut build = inbound(0, from.0, to.0);
    build.ttl = if dice.below(8) == 0 { 1 } else { 64 };
    if dice.below(4) == 0 {
        build = build.fragmentable(dice.byte().into());
    }
    if dice.below(8) == 0 {
        build = build.vlan(dice.word());
    }
    transport(&build, (from, to), dice)
}

fn transport(build: &Build, (from, to): (End, End), dice: &mut Dice) -> Vec<u8> {
    let len = usize::from(dice.byte()) * 7;
    match dice.below(6) {
        0 => segment(build, from, to, TcpFlags::SYN, &[]),
        1 => segment(build, from, to, TcpFlags::from_bits_retain(dice.byte()), &vec![1; len]),
        2 => segment(build, from, to, TcpFlags::ACK, &vec![1; len]),
        3 => build.udp(from.1, to.1, &vec![2; len]).bytes().to_vec(),
        4 => {
            let pieces = build.udp_fragments((from.1, to.1), &[3; 3000], 1, 1000);
            pieces[dice.below(pieces.len())].bytes().to_vec()
        }
        _ => {
            let offset = u16::from(dice.byte()) * 8;
            let more = dice.below(2) == 0;
            let proto = [6, 17, 1, 58][dice.below(4)];
            build.fragment(proto, &vec![4; len / 8 * 8], 1, offset, more).bytes().to_vec()
        }
    }
}

fn damage(frame: &mut Vec<u8>, dice: &mut Dice) {
    match dice.below(3) {
        0 => frame.truncate(usize::from(dice.word()) % (frame.len() + 1)),
        1 => frame.extend_from_slice(dice.bytes(20)),
        _ => {}
    }
    for _ in 0..dice.below(4) {
        let at = usize::from(dice.word()) % frame.len().max(1);
        if let Some(byte) = frame.get_mut(at) {
            *byte ^= dice.byte();
        }
    }
}
