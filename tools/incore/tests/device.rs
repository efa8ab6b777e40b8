//! The device under a forwarder that the test itself is: it translates the service's address to that of a
//! real server and back, and looks at every frame. One process has one environment, so all of it is one test.

use incore::{Report, Trace};
use nic::{Burst, Rx as _, Tx as _};
use nic_dpdk::{Device, Eal, EalOptions, Mbuf, Pool, PoolConfig, Port, PortConfig, Queues};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::checksum::transport_is_right;
use wire::rewrite::{self, Flow};
use wire::{Frame, Packet, Parsed, RxChecksum, TcpFlags};

/// More than are on their way through the device at any time.
const FLOWS: u32 = 1500;
const PATIENCE: Duration = Duration::from_secs(60);
const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const PSH: TcpFlags = TcpFlags::PSH;

/// A client's address and port.
type Client = ([u8; 16], u16);

/// What the forwarder has seen.
#[derive(Default)]
struct Seen {
    requests: u64,
    replies: u64,
    /// Segments of each client, a reply or not, since the device has settled.
    segments: HashMap<Client, Vec<(bool, TcpFlags)>>,
    /// Frames that are the same segment of their connection as the one before.
    alike: u64,
    last: Option<(bool, TcpFlags)>,
    /// Requests and replies that came by each queue.
    by_queue: Vec<[HashSet<Client>; 2]>,
}

/// Below no folder that everybody may write to: DPDK loads no plug-in from there.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn replies_and_connections_are_what_the_forwarder_made_of_requests() {
    let folder = Folder(PathBuf::from(format!("/run/fulcrum-incore-test-{}", std::process::id())));
    fs::create_dir_all(&folder.0).expect("root is needed");
    let plugin = incore::install(&folder.0).unwrap();
    let arguments = vec!["-d".into(), plugin.display().to_string()];
    let options = EalOptions { no_huge: true, arguments, ..EalOptions::default() };
    let eal = Eal::init(&options).unwrap_or_else(|error| panic!("{error}"));
    let mut number = 0;
    let mut run = |trace: Trace, queues: u16| {
        number += 1;
        forward(&eal, &folder.0, number, trace, queues)
    };
    for (ipv6, tcp) in [(false, false), (false, true), (true, false), (true, true)] {
        let trace = Trace { flows: FLOWS, ipv6, tcp, ..Trace::default() };
        let seen = run(trace, 1);
        assert!(seen.requests > 0 && seen.replies == 0, "{trace:?}");
        let trace = Trace { replies: true, ..trace };
        let seen = run(trace, 1);
        assert!(seen.requests.abs_diff(seen.replies) <= 64, "{trace:?}");
        if tcp {
            settled(&seen);
            whole_connections(&run(Trace { opening: true, ..trace }, 1), &TWO_WAY);
            let trace = Trace { opening: true, replies: false, ..trace };
            whole_connections(&run(trace, 1), &ONE_WAY);
        }
    }
    let trace = Trace { flows: FLOWS, replies: true, ..Trace::default() };
    let seen = run(Trace { active: 100, gaps: true, unchecked: true, ..trace }, 1);
    assert_eq!(seen.segments.len(), 100, "the others rest");
    let seen = run(Trace { apart: true, ..trace }, 2);
    assert_eq!(seen.by_queue[0][0], seen.by_queue[1][1], "replies come in by the other queue");
    assert_eq!(seen.by_queue[1][0], seen.by_queue[0][1], "replies come in by the other queue");
    let seen = run(trace, 2);
    assert_ne!(seen.by_queue[0][0], seen.by_queue[1][1], "replies come in where their hash leads");
    let all = seen.by_queue[0][1].union(&seen.by_queue[1][1]).count();
    assert_eq!(all, FLOWS as usize, "every flow is answered");
}

const ONE_WAY: [(bool, TcpFlags); 4] =
    [(false, SYN), (false, ACK), (false, PSH.union(ACK)), (false, FIN.union(ACK))];
const TWO_WAY: [(bool, TcpFlags); 8] = [
    (false, SYN),
    (true, SYN.union(ACK)),
    (false, ACK),
    (false, PSH.union(ACK)),
    (true, PSH.union(ACK)),
    (false, FIN.union(ACK)),
    (true, FIN.union(ACK)),
    (false, ACK),
];

/// Open connections carry nothing but ACKs, both ways.
fn settled(seen: &Seen) {
    assert_eq!(seen.segments.len(), FLOWS as usize);
    for segments in seen.segments.values() {
        assert!(segments.iter().all(|(_, flags)| *flags == ACK), "{segments:?}");
        assert!(segments.iter().any(|(reply, _)| *reply), "{segments:?}");
    }
}

/// Each client's segments are those of one connection, in their order.
fn whole_connections(seen: &Seen, wanted: &[(bool, TcpFlags)]) {
    assert!(seen.alike * 100 < seen.requests, "{} segments are as the last one", seen.alike);
    let whole = seen.segments.values().filter(|segments| segments.as_slice() == wanted).count();
    assert!(whole > 3 * FLOWS as usize, "{whole} of {}", seen.segments.len());
    for segments in seen.segments.values() {
        // The first ones were open before they were looked at, the last ones are not over yet.
        let whole = wanted.starts_with(segments) || wanted.ends_with(segments);
        assert!(whole, "{segments:?}");
    }
}

/// Forwards until the device has settled and delivered forty passes more.
fn forward(eal: &Eal, folder: &std::path::Path, number: u32, trace: Trace, queues: u16) -> Seen {
    let (file, report) = (folder.join(format!("trace{number}")), folder.join(format!("{number}")));
    trace.write(&file).unwrap();
    let name = incore::device(&file, &report).replace("incore0", &format!("incore{number}"));
    let device: Device = name.parse().unwrap();
    let pool = Pool::new(eal, &PoolConfig::for_mtu(4095, 1500)).unwrap();
    let config = PortConfig { queues, ..PortConfig::default() };
    let (_port, mut pairs) = Port::probe(eal, &device, &config)
        .and_then(|port| port.configure(&pool))
        .and_then(Port::start)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut seen = Seen::default();
    seen.by_queue.resize_with(queues.into(), Default::default);
    let begun = Instant::now();
    let mut passes = 0;
    while passes < 40 * trace.frames() {
        assert!(begun.elapsed() < PATIENCE, "{trace:?} does not settle");
        let reports = (0..queues).map(|queue| Report::read(&report, queue.into()));
        let settled = reports.flatten().filter(|report| report.settled).count();
        for _ in 0..1024 {
            let count = round(&mut pairs, &trace, settled == queues.into(), &mut seen);
            passes += if settled == queues.into() { count } else { 0 };
        }
    }
    for queue in 0..queues {
        let report = Report::read(&report, queue.into()).unwrap();
        assert!(report.checked > 0 && report.wrong == 0, "{trace:?}: {report:?}");
    }
    seen
}

/// One burst of each queue. How many frames there were.
fn round(pairs: &mut Queues, trace: &Trace, settled: bool, seen: &mut Seen) -> u64 {
    let mut count = 0;
    let mut burst: Burst<Mbuf> = Burst::new();
    for (queue, (rx, tx)) in pairs.rx.iter_mut().zip(&mut pairs.tx).enumerate() {
        rx.receive(&mut burst);
        count += burst.len() as u64;
        for mbuf in burst.iter_mut() {
            let Ok(Frame::Ip(parsed)) = wire::parse(mbuf.bytes()) else { panic!("no IP") };
            assert!(transport_is_right(mbuf.bytes(), &parsed), "{parsed:?}");
            let says = if trace.unchecked { RxChecksum::Unknown } else { RxChecksum::Good };
            assert!(trace.ipv6 || mbuf.rx_checksum() == says, "{trace:?}");
            let (reply, client) = translate(mbuf, &parsed, trace);
            if settled {
                note(seen, queue, reply, client, parsed.tcp_flags);
            }
        }
        tx.send(&mut burst);
        assert!(burst.is_empty(), "the device takes everything");
    }
    count
}

fn note(seen: &mut Seen, queue: usize, reply: bool, client: Client, flags: TcpFlags) {
    *(if reply { &mut seen.replies } else { &mut seen.requests }) += 1;
    seen.segments.entry(client).or_default().push((reply, flags));
    seen.alike += u64::from(seen.last.replace((reply, flags)) == Some((reply, flags)));
    seen.by_queue[queue][usize::from(reply)].insert(client);
}

/// Service to real server (by the client's port, so that they differ), or back.
fn translate(mbuf: &mut Mbuf, parsed: &Parsed, trace: &Trace) -> (bool, Client) {
    let old = parsed.flow();
    let service = wire::mapped(trace.service());
    let mut server = service;
    server[15] ^= 0x80;
    let (new, reply, client) = if old.dst == service {
        let client = (old.src, old.sport);
        (Flow { dst: server, dport: old.sport ^ 0x5555, ..old }, false, client)
    } else {
        assert_eq!((old.src, old.sport), (server, old.dport ^ 0x5555), "a reply that nobody sent");
        (Flow { src: service, sport: Trace::PORT, ..old }, true, (old.dst, old.dport))
    };
    rewrite::translate(mbuf.bytes_mut(), parsed, &new);
    (reply, client)
}
