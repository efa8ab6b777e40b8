//! Senders, receivers and real servers over queues in memory, whole and faulty. Time is a variable.

use nic::{Burst, Faults, Faulty, MemoryPool, MemoryTx, Rx, Tx, memory_queue};
use std::collections::HashSet;
use std::sync::Arc;
use traffic::{
    Bounds, Counts, Ethernet, FlowSet, Kind, Next, Pace, Pattern, Ranges, Receiver, Sender, Sent,
    Share, Stamp, Tally, Traffic, answer,
};
use wire::encap::{Encap, Outer, enclose};
use wire::{Buffer, Frame, Packet, parse};

const TRIAL: u8 = 5;
const GUE: u16 = 6080;
const TCP: Pattern = Pattern::Connections { data: 2, window: 16, close: true };

fn traffic(pattern: Pattern, answered: bool) -> Traffic {
    let ranges = Ranges {
        clients: "10.0.0.0/16".parse().unwrap(),
        client_ports: "1024-65535".parse().unwrap(),
        services: "10.1.0.1".parse().unwrap(),
        service_ports: "80".parse().unwrap(),
    };
    let flows = Arc::new(FlowSet::draw(ranges, 500, 1).unwrap());
    let ethernet = Ethernet { to: [2, 0, 0, 0, 0, 1], from: [2, 0, 0, 0, 0, 2], vlan: None };
    let share = Share { stream: 0, of: 1 };
    let sizes = "imix".parse().unwrap();
    let sizes = if pattern.is_tcp() { "128".parse().unwrap() } else { sizes };
    let mut traffic = Traffic::new(flows, sizes, pattern, ethernet, share).unwrap();
    traffic.answered = answered;
    traffic
}

fn sender(traffic: Traffic, packets: u64) -> Sender<Buffer> {
    let bounds = Bounds { packets: Some(packets), until: u64::MAX };
    Sender::new(traffic, Pace::new(None, 0, 0), bounds, TRIAL, 0)
}

/// Sends everything, a microsecond between two bursts.
fn send_all(mut sender: Sender<Buffer>, tx: &mut MemoryTx) -> (Sent, u64) {
    let mut now = 0;
    while !sender.is_done(now) {
        sender.step(tx, &mut MemoryPool::new(usize::MAX), now);
        now += 1000;
    }
    let (sent, next) = sender.finish();
    (sent, next)
}

fn drain<R: Rx<Packet = Buffer>>(rx: &mut R) -> Vec<Buffer> {
    let (mut all, mut empty) = (Vec::new(), 0);
    while empty < 3 {
        let mut burst = Burst::new();
        rx.receive(&mut burst);
        empty = if burst.is_empty() { empty + 1 } else { 0 };
        all.extend(burst);
    }
    all
}

fn stamp_of(packet: &Buffer) -> Option<Stamp> {
    match parse(packet.bytes()) {
        Ok(Frame::Ip(parsed)) => Stamp::find(packet.bytes(), &parsed),
        _ => None,
    }
}

/// What a list of numbers has in it, by the definitions.
fn truth(numbers: impl IntoIterator<Item = u64>) -> Counts {
    let (mut seen, mut counts, mut newest) = (HashSet::new(), Counts::default(), None);
    for number in numbers {
        if !seen.insert(number) {
            counts.duplicates += 1;
            continue;
        }
        counts.received += 1;
        match newest {
            Some(newest) if newest > number => {
                counts.reordered += 1;
                counts.extent = counts.extent.max(newest - number);
            }
            _ => newest = Some(number),
        }
    }
    counts
}

fn received(packets: Vec<Buffer>, now: u64) -> Receiver {
    let mut receiver = Receiver::new(TRIAL, 1, GUE);
    for mut packet in packets {
        receiver.take(&mut packet, now);
    }
    receiver
}

#[test]
fn what_a_queue_does_to_packets_is_counted_exactly() {
    let faults = [
        Faults::default(),
        Faults { lose: 50, ..Faults::default() },
        Faults { repeat: 50, ..Faults::default() },
        Faults { delay: 50, ..Faults::default() },
        Faults { lose: 30, repeat: 30, delay: 30, ..Faults::default() },
    ];
    for (seed, faults) in faults.into_iter().enumerate() {
        let (mut tx, rx) = memory_queue(20_000);
        let (sent, next) = send_all(sender(traffic(Pattern::Datagrams, false), 20_000), &mut tx);
        assert_eq!((sent.notices, sent.requests, next), (20_000, 0, 20_000));
        let packets = drain(&mut Faulty::new(rx, faults, seed as u64 + 1));
        let truth = truth(packets.iter().filter_map(stamp_of).map(|stamp| stamp.number));
        let counts = received(packets, 30_000_000).tallies(Kind::Notice)[0].counts();
        assert_eq!(counts, truth, "{faults:?}");
        for (rate, count) in [
            (faults.lose, sent.packets() - counts.received),
            (faults.repeat, counts.duplicates),
            (faults.delay, counts.reordered),
        ] {
            assert_eq!(rate > 0, count > 40, "{faults:?}: {counts:?}");
        }
    }
}

#[test]
fn damage_is_broken_or_foreign_and_never_counted() {
    for (seed, faults) in
        [Faults { flip: 300, ..Faults::default() }, Faults { truncate: 300, ..Faults::default() }]
            .into_iter()
            .enumerate()
    {
        let (mut tx, rx) = memory_queue(5000);
        send_all(sender(traffic(TCP, false), 5000), &mut tx);
        let packets = drain(&mut Faulty::new(rx, faults, seed as u64));
        assert_eq!(packets.len(), 5000);
        let receiver = received(packets, 0);
        let (counts, others) = (receiver.tallies(Kind::Notice)[0].counts(), receiver.others());
        let damaged = others.foreign + others.broken;
        assert_eq!(counts.received + damaged, 5000, "{counts:?} {others:?}");
        assert!((1000..1700).contains(&damaged), "{others:?}");
        assert_eq!(counts.duplicates + counts.reordered + counts.strange, 0, "{counts:?}");
    }
}

/// Both ways: what the way there loses and what the way back loses are told apart.
#[test]
fn real_servers_answer_and_both_ways_are_counted() {
    for pattern in [Pattern::Datagrams, TCP] {
        let ((mut tx, rx), (mut back, back_rx)) = (memory_queue(6000), memory_queue(6000));
        let (sent, _) = send_all(sender(traffic(pattern, true), 6000), &mut tx);
        let lossy = Faults { lose: 100, ..Faults::default() };
        let mut server = Receiver::new(TRIAL, 1, GUE);
        for mut packet in drain(&mut Faulty::new(rx, lossy, 1)) {
            if let Next::Answer(parsed, stamp) = server.take(&mut packet, 7_000_000) {
                assert!(answer(packet.bytes_mut(), &parsed, &stamp));
                back.send(&mut Burst::from_slice(&[packet]).unwrap());
            }
        }
        let answered = back_rx.len() as u64;
        let client = received(drain(&mut Faulty::new(back_rx, lossy, 2)), 9_000_000);
        let there = server.tallies(Kind::Request)[0].counts();
        let here = client.tallies(Kind::Reply)[0].counts();
        let notices = server.tallies(Kind::Notice)[0].counts();
        assert_eq!(there.received, answered);
        assert!(here.received < there.received && there.received < sent.requests);
        match pattern {
            Pattern::Datagrams => assert_eq!((sent.requests, sent.notices), (6000, 0)),
            // Six steps, two of which nobody answers.
            _ => assert!(sent.notices == 2000 && (1700..1900).contains(&notices.received)),
        }
        let times = client.tallies(Kind::Reply)[0].times();
        let last = 1000 * (6000u64.div_ceil(32) - 1);
        assert!(times.least + 8192 >= 9_000_000 - last && times.most <= 9_010_000, "{times:?}");
    }
}

#[test]
fn tunnels_are_taken_off() {
    let outer = Outer {
        src: wire::mapped("192.0.2.1".parse().unwrap()),
        dst: wire::mapped("192.0.2.2".parse().unwrap()),
        ttl: 64,
        id: 1,
    };
    for encap in [Encap::Ip, Encap::Gre, Encap::Gue { sport: 40_000, dport: GUE }] {
        let (mut tx, mut rx) = memory_queue(100);
        send_all(sender(traffic(Pattern::Datagrams, false), 100), &mut tx);
        let enclosed = drain(&mut rx).into_iter().map(|mut packet| {
            let Ok(Frame::Ip(parsed)) = parse(packet.bytes()) else { panic!("not IP") };
            assert!(enclose(&mut packet, &parsed, &outer, encap));
            packet
        });
        let receiver = received(enclosed.collect(), 0);
        assert_eq!(receiver.tallies(Kind::Notice)[0].counts().received, 100, "{encap:?}");
    }
}

#[test]
fn packets_of_another_trial_or_stream_are_stragglers() {
    let (mut tx, mut rx) = memory_queue(10);
    let mut other = traffic(Pattern::Datagrams, false);
    other.share = Share { stream: 1, of: 2 };
    send_all(sender(other, 4), &mut tx);
    let bounds = Bounds { packets: Some(3), until: u64::MAX };
    let old = Sender::new(traffic(TCP, false), Pace::new(None, 0, 0), bounds, TRIAL - 1, 0);
    send_all(old, &mut tx);
    let receiver = received(drain(&mut rx), 0);
    assert_eq!(receiver.others().stragglers, 7);
    assert_eq!(receiver.tallies(Kind::Notice)[0].counts(), Counts::default());
}

/// A queue that is full, a pool that is dry and a clock that runs out: what was sent is what arrived.
#[test]
fn what_is_sent_is_what_the_queue_took() {
    // What is left over is requests alone, or requests and notices.
    for room in [50, 10] {
        let (mut tx, mut rx) = memory_queue(room);
        let bounds = Bounds { packets: None, until: 100 };
        let mut full = Sender::new(traffic(TCP, true), Pace::new(None, 0, 0), bounds, TRIAL, 0);
        for now in 0..200 {
            full.step(&mut tx, &mut MemoryPool::new(usize::MAX), now);
        }
        let (sent, next) = full.finish();
        assert_eq!((sent.packets(), next), (room as u64, room as u64));
        assert!(sent.queue_full > 100);
        let arrived = drain(&mut rx);
        let bytes: usize = arrived.iter().map(|packet| packet.bytes().len() + 4).sum();
        assert_eq!((arrived.len(), sent.bytes), (room, bytes as u64));
        let stamps = arrived.iter().filter_map(stamp_of);
        let requests = stamps.filter(|stamp| stamp.kind == Kind::Request).count();
        assert_eq!(sent.requests, requests as u64);
    }

    let (mut tx, rx) = memory_queue(50);
    let mut dry = sender(traffic(TCP, true), 40);
    let mut pool = MemoryPool::new(5);
    for now in 0..3 {
        dry.step(&mut tx, &mut pool, now);
    }
    assert!(!dry.is_done(3));
    let (sent, _) = dry.finish();
    assert_eq!((sent.packets(), rx.len(), sent.no_buffer), (5, 5, 3));
}

#[test]
fn a_sender_keeps_its_rate_and_ends_in_time() {
    let (mut tx, rx) = memory_queue(100_000);
    let bounds = Bounds { packets: None, until: 1_000_000_000 };
    let pace = Pace::new(Some(50_000), 0, 1_000_000);
    let mut paced = Sender::new(traffic(Pattern::Datagrams, false), pace, bounds, TRIAL, 0);
    let mut now = 0;
    while !paced.is_done(now) {
        paced.step(&mut tx, &mut MemoryPool::new(usize::MAX), now);
        now += 10_000;
        let elapsed = now.min(1_000_000_000) / 20_000;
        assert!((rx.len() as u64).abs_diff(elapsed) <= 1, "{} at {now}", rx.len());
    }
    assert_eq!((now, paced.finish().0.skipped), (1_000_000_000, 0));
}

/// A number that is late is not taken for the one a window earlier, which had its place in memory.
#[test]
fn a_late_packet_is_no_duplicate_of_one_long_ago() {
    let window = Tally::WINDOW;
    for numbers in [
        [0, window - 1, window + 1, window],
        [64, window + 10, window + 65, window + 64],
        [0, 1, 3 * window + 1, 3 * window],
    ] {
        let mut tally = Tally::new();
        numbers.iter().for_each(|&number| tally.count(number, 1));
        let wanted = Counts { received: 4, reordered: 1, extent: 1, ..Counts::default() };
        assert_eq!(tally.counts(), wanted, "{numbers:?}");
    }
}
