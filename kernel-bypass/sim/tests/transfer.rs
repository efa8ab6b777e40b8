//! Whole TCP transfers between virtual clients and real servers, over links that lose, repeat and
//! reorder: every byte arrives, in every mode, and every packet is accounted for.

use api::*;
use sim::frames::{End, inbound, parsed, payload};
use sim::peer::{Peer, Segment};
use sim::scene::*;
use sim::{Rig, Size, To};
use std::collections::BTreeMap;
use wire::{Packet, build::Build};

/// Of this seed a SYN is repeated, and its copy comes after the client's FIN.
const LATE_SYN: u64 = 273;

/// Thousandths of frames that each fault hits, on every link.
#[derive(Clone, Copy)]
struct Faults {
    lose: u64,
    repeat: u64,
    delay: u64,
}

enum Place {
    Port(PortId),
    Client,
    Server(u32),
}

struct World {
    mode: Mode,
    rig: Rig,
    dice: u64,
    faults: Faults,
    /// Frames in flight: when and where they arrive.
    links: Vec<(u32, Place, Vec<u8>)>,
    clients: BTreeMap<End, Peer>,
    servers: BTreeMap<(u32, End), Peer>,
}

impl World {
    fn new(mode: Mode, family: Family, clients: u32, faults: Faults, seed: u64) -> Self {
        let mut service = service(family, mode, 3);
        if matches!(mode, Mode::Nat | Mode::Snat) {
            service.backends.iter_mut().for_each(|b| b.port = Some(8080));
        }
        let size = Size { workers: 2, ..Size::default() };
        let rig = Rig::sized(snapshot(vec![service]), size);
        let peer = |n: u32| {
            let (from, to) = ((client(family, n), 40000), (vip(family), 80));
            let body: Vec<u8> = (0..3000 + n * 111).map(|i| (i * 31 + n) as u8).collect();
            (from, Peer::client(from, to, u32::MAX - 1000 + n, body, rig.now))
        };
        let clients = (0..clients).map(peer).collect();
        let servers = BTreeMap::new();
        Self { mode, rig, dice: seed, faults, links: Vec::new(), clients, servers }
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.dice >> 33) % below
    }

    fn post(&mut self, place: fn(u32) -> Place, number: u32, frame: &[u8]) {
        if self.roll(1000) < self.faults.lose {
            return;
        }
        let copies = 1 + u32::from(self.roll(1000) < self.faults.repeat);
        for _ in 0..copies {
            let late = if self.roll(1000) < self.faults.delay { self.roll(8) as u32 } else { 0 };
            self.links.push((self.rig.now + 1 + late, place(number), frame.to_vec()));
        }
    }

    fn tick(&mut self) {
        self.peers_send();
        self.rig.pass(1);
        let now = self.rig.now;
        let (due, later) = std::mem::take(&mut self.links).into_iter().partition(|l| l.0 <= now);
        self.links = later;
        let due: Vec<(u32, Place, Vec<u8>)> = due;
        for (_, place, frame) in due {
            match place {
                Place::Port(port) => self.balance(port, frame),
                Place::Client => self.client_gets(&frame),
                Place::Server(id) => self.server_gets(id, &frame),
            }
        }
    }

    fn peers_send(&mut self) {
        let now = self.rig.now;
        let mut requests = Vec::new();
        self.clients.values_mut().for_each(|peer| requests.extend(peer.poll(now)));
        for segment in requests {
            let frame = frame(&inbound(0, segment.from.0, segment.to.0), &segment);
            self.post(|port| Place::Port(port as u8), 0, &frame);
        }
        let mut replies = Vec::new();
        for ((id, _), peer) in &mut self.servers {
            replies.extend(peer.poll(now).into_iter().map(|segment| (*id, segment)));
        }
        for (id, segment) in replies {
            let build = Build::new(segment.from.0, segment.to.0);
            let frame = frame(&build.macs(port_mac(1), server_mac(id)), &segment);
            match self.mode {
                // Replies bypass us.
                Mode::Dr | Mode::Tun => self.post(|_| Place::Client, 0, &frame),
                Mode::Nat | Mode::Snat => self.post(|port| Place::Port(port as u8), 1, &frame),
            }
        }
    }

    fn balance(&mut self, port: PortId, frame: Vec<u8>) {
        let worker = self.roll(2) as usize;
        for sent in self.rig.wire(worker, port, &[frame]) {
            match sent.to {
                To::Wire(0) => self.post(|_| Place::Client, 0, &sent.frame),
                To::Wire(_) => {
                    let id = u32::from(wire::mac::destination(&sent.frame)[5]);
                    self.post(Place::Server, id, &sent.frame);
                }
                To::Host(_) => panic!("to the host: {:?}", parsed(&sent.frame)),
            }
        }
    }

    fn client_gets(&mut self, frame: &[u8]) {
        let segment = segment_of(frame);
        let now = self.rig.now;
        if let Some(peer) = self.clients.get_mut(&segment.to) {
            peer.receive(&segment, now);
        }
    }

    fn server_gets(&mut self, id: u32, frame: &[u8]) {
        let mut packet = sim::frames::buffer(frame);
        if self.mode == Mode::Tun {
            assert!(wire::encap::open(&mut packet, &parsed(frame), 0));
        }
        let segment = segment_of(packet.bytes());
        let now = self.rig.now;
        let fresh = || Peer::server(segment.to, segment.from, 77, now);
        let peer = self.servers.entry((id, segment.from)).or_insert_with(fresh);
        peer.receive(&segment, now);
        if let (Some(request), false) = (peer.request(), peer.answered()) {
            let answer = echo(request);
            peer.answer(answer);
        }
    }
}

fn echo(request: &[u8]) -> Vec<u8> {
    request.iter().rev().map(|byte| byte ^ 0x5a).collect()
}

fn frame(build: &Build, segment: &Segment) -> Vec<u8> {
    let ports = (segment.from.1, segment.to.1);
    let numbers = (segment.seq, segment.ack);
    build.tcp(ports, segment.flags, numbers, &segment.payload).bytes().to_vec()
}

/// What an endpoint's kernel takes out of a frame; it would drop a wrong checksum.
fn segment_of(frame: &[u8]) -> Segment {
    sim::frames::assert_checksums(frame);
    let header = parsed(frame);
    let tcp = payload(frame, &header);
    let word = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
    let (from, to) = sim::frames::ends(frame);
    let data = tcp[usize::from(tcp[12] >> 4) * 4..].to_vec();
    Segment { from, to, flags: header.tcp_flags, seq: word(4), ack: word(8), payload: data }
}

fn transfer(mode: Mode, family: Family, faults: Faults, seed: u64) {
    let mut world = World::new(mode, family, 20, faults, seed);
    for _ in 0..20_000 {
        world.tick();
        if world.clients.values().all(Peer::done) {
            break;
        }
    }
    for (n, peer) in (0..20u32).map(|n| (n, &world.clients[&(client(family, n), 40000)])) {
        let what = format!("{mode:?} {family:?} seed {seed} client {n}");
        assert!(peer.done() && !peer.reset, "{what}: not through");
        let body: Vec<u8> = (0..3000 + n * 111).map(|i| (i * 31 + n) as u8).collect();
        assert_eq!(peer.request().unwrap(), echo(&body), "{what}: another answer");
    }
    let got: std::collections::HashSet<u32> = world.servers.keys().map(|key| key.0).collect();
    assert_eq!(got.len(), 3, "every real server got some");
    assert_eq!(world.servers.len(), 20, "a connection was given to two real servers");
    world.rig.assert_conserved();
}

const MODES: [Mode; 4] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun];

#[test]
fn every_byte_arrives_on_clean_links() {
    for mode in MODES {
        for family in [Family::V4, Family::V6] {
            transfer(mode, family, Faults { lose: 0, repeat: 0, delay: 0 }, 1);
        }
    }
}

#[test]
fn every_byte_arrives_on_bad_links() {
    for mode in MODES {
        for seed in (1..30).chain([LATE_SYN]) {
            transfer(mode, Family::V4, Faults { lose: 50, repeat: 50, delay: 300 }, seed);
        }
    }
}
