//! Whole trials in memory: a wire each way between the clients' and the real servers' queues, and a clock
//! that goes on a microsecond whenever it is looked at.

use nic::{Faults, Faulty, MemoryPool, MemoryRx, memory_queue};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use traffic::{Ethernet, FlowSet, Pattern, Ranges, Share, Traffic};
use trials::{End, Host, Lane, Outcome, Work};

const TCP: Pattern = Pattern::Connections { data: 1, window: 50, close: true };

fn work(pattern: Pattern, answered: bool, rate: Option<u64>) -> Work {
    let ranges = Ranges {
        clients: "10.0.0.0/16".parse().unwrap(),
        client_ports: "1024-65535".parse().unwrap(),
        services: "10.1.0.1".parse().unwrap(),
        service_ports: "80".parse().unwrap(),
    };
    let flows = Arc::new(FlowSet::draw(ranges, 100, 1).unwrap());
    let ethernet = Ethernet { to: [2, 0, 0, 0, 0, 1], from: [2, 0, 0, 0, 0, 2], vlan: None };
    let share = Share { stream: 0, of: 1 };
    let sizes = "128".parse().unwrap();
    let mut traffic = Traffic::new(flows, sizes, pattern, ethernet, share).unwrap();
    traffic.answered = answered;
    Work {
        traffic,
        rate,
        catch_up: 1_000_000,
        packets: None,
        duration: 100_000_000,
        linger: 1_000_000,
        trial: 1,
        gue_port: 6080,
        first: 0,
    }
}

/// One trial over a wire there with these faults, and a good one back.
fn tried(work: &Work, there: Faults) -> Outcome {
    let ((client_tx, server_rx), (server_tx, client_rx)) = (memory_queue(500), memory_queue(500));
    let good = |rx: MemoryRx| Faulty::new(rx, Faults::default(), 1);
    let client = End::new(good(client_rx), client_tx, Host::default());
    let server = End::new(Faulty::new(server_rx, there, 7), server_tx, Host::default());
    let mut lane = Lane::new(client, Some(server), MemoryPool::new(usize::MAX));
    let (now, stop) = (Cell::new(0), AtomicBool::new(false));
    let clock = || {
        now.set(now.get() + 1000);
        now.get()
    };
    let tried = lane.run(work, &clock, &stop);
    Outcome::of(&[tried], work.rate, None)
}

#[test]
fn a_good_wire_loses_nothing_either_way() {
    for (pattern, answered) in
        [(Pattern::Datagrams, false), (Pattern::Datagrams, true), (TCP, false), (TCP, true)]
    {
        let outcome = tried(&work(pattern, answered, Some(200_000)), Faults::default());
        let sent = outcome.sent.packets();
        assert!((19_990..=20_000).contains(&sent), "{outcome}");
        assert!(outcome.kept_rate() && outcome.sent.skipped == 0, "{outcome}");
        assert_eq!((outcome.lost(), outcome.loss()), (0, 0.0), "{outcome}");
        assert_eq!(outcome.requests.expected > 0, answered);
        assert_eq!(outcome.replies.counts, outcome.requests.counts, "{outcome}");
        // Sent and received within one turn of the loop; a reply may take one more.
        let times = outcome.times();
        assert!((1000..=3100).contains(&times.least) && times.most <= 5000, "{outcome}");
        assert!((outcome.offered / 200_000.0 - 1.0).abs() < 0.01, "{outcome}");
        assert!(outcome.arrived > 190_000.0, "{outcome}");
    }
}

#[test]
fn what_the_wire_loses_is_told() {
    let faults = Faults { lose: 20, repeat: 20, ..Faults::default() };
    let outcome = tried(&work(Pattern::Datagrams, true, Some(200_000)), faults);
    let there = outcome.requests;
    assert!((300..500).contains(&there.lost), "{outcome}");
    assert!((300..500).contains(&there.counts.duplicates), "{outcome}");
    // A request that came twice is answered twice; the way back is good.
    assert_eq!(outcome.lost(), there.lost);
    assert_eq!(outcome.replies.counts.duplicates, there.counts.duplicates);
    assert!((outcome.loss() - 0.02).abs() < 0.005);
    let text = outcome.to_string();
    assert!(text.contains(&format!("lost {}", there.lost)), "{text}");
    let json = serde_json::to_string(&outcome).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap().to_string(), text);
}

#[test]
fn a_generator_that_is_too_slow_says_so() {
    // 32 packets in two microseconds are 16 a microsecond; 30 are wanted.
    let mut work = work(Pattern::Datagrams, false, Some(30_000_000));
    work.duration = 10_000_000;
    let outcome = tried(&work, Faults::default());
    assert!(!outcome.kept_rate() && outcome.sent.skipped > 100_000, "{outcome}");
    assert_eq!(outcome.lost(), 0, "what was not sent is not lost: {outcome}");
}

/// More is sent than the wire holds: the queue is full, and still everything sent is accounted for.
#[test]
fn as_many_as_can_be() {
    let mut work = work(Pattern::Datagrams, true, None);
    work.duration = 10_000_000;
    let outcome = tried(&work, Faults::default());
    assert!(outcome.kept_rate() && outcome.lost() == outcome.unanswered, "{outcome}");
    assert!(outcome.sent.packets() > 100_000, "{outcome}");
}

/// A stop ends sending and lingering at once.
#[test]
fn a_stop_is_obeyed() {
    let (tx, rx) = memory_queue(500);
    let mut lane = Lane::new(End::new(rx, tx, Host::default()), None, MemoryPool::new(usize::MAX));
    let (now, stop) = (Cell::new(0), AtomicBool::new(false));
    let clock = || {
        now.set(now.get() + 1000);
        stop.store(now.get() > 50_000, std::sync::atomic::Ordering::Relaxed);
        now.get()
    };
    let tried = lane.run(&work(Pattern::Datagrams, false, None), &clock, &stop);
    assert!(now.get() < 60_000 && tried.sent.packets() > 0);
    // Both ends in one: what was sent came back to the same queue pair.
    let outcome = Outcome::of(&[tried], None, None);
    assert!(outcome.notices.counts.received > 0, "{outcome}");
}
