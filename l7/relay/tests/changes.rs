//! A new snapshot under open connections: what stays is not touched, what goes goes by its rule.

mod common;
use common::*;
use l7_api::{Listen, OnDown, PortRange, Prefix, Removal, Scheduler, ServerState, Service};
use relay::{ApplyError, Relay};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

/// A relay with one service, and a connection through it that has spoken.
fn live(service: &Service) -> (Relay, TcpStream) {
    let relay = relay_of(2, service);
    let mut stream = connect(address(service));
    assert!(speaks(&mut stream));
    (relay, stream)
}

fn speaks(stream: &mut TcpStream) -> bool {
    let mut echo = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut echo).is_ok() && &echo == b"ping"
}

#[test]
fn a_thousand_snapshots_break_no_connection() {
    let (one, two) = (RealServer::echo(), RealServer::echo());
    let mut kept = service(1, vec![server(1, one.address), server(2, two.address)]);
    kept.scheduler = Scheduler::WeightedRoundRobin;
    let mut relay = relay_of(2, &kept);
    let stop = Arc::new(AtomicBool::new(false));
    let to = address(&kept);
    let clients = (0..4).map(|_| {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut streams: Vec<_> = (0..50).map(|_| connect(to)).collect();
            let mut rounds = 0;
            while !stop.load(SeqCst) || rounds == 0 {
                assert!(streams.iter_mut().all(speaks));
                // New connections find the listener at every moment, too.
                assert_eq!(ask(to, b"new").unwrap(), b"new");
                rounds += 1;
            }
            rounds
        })
    });
    let clients: Vec<_> = clients.collect();
    until(&relay, "open", |c| c.services[0].active >= 200);
    let other = service(2, vec![server(3, one.address)]);
    for generation in 2..1_002 {
        kept.servers[0].weight = generation as u16;
        let state = [ServerState::Online, ServerState::Drain, ServerState::Down];
        kept.servers[1].state = state[generation as usize % 3];
        let services: &[&Service] = if generation % 2 == 0 { &[&kept, &other] } else { &[&kept] };
        assert_eq!(relay.apply(snapshot(generation, services)).unwrap(), []);
    }
    stop.store(true, SeqCst);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
}

#[test]
fn a_removed_service_accepts_nobody_and_finishes() {
    let echo = RealServer::echo();
    let service = service(1, vec![server(1, echo.address)]);
    let (mut relay, mut stream) = live(&service);
    relay.apply(snapshot(2, &[])).unwrap();
    assert!(TcpStream::connect(address(&service)).is_err());
    assert!(speaks(&mut stream));
    let counters = relay.counters();
    assert_eq!((counters.services.len(), counters.services[0].active), (1, 1));
    drop(stream);
    until(&relay, "over", |c| c.services[0].active == 0);
    relay.apply(snapshot(3, &[])).unwrap();
    let counters = relay.counters();
    assert_eq!((counters.services, counters.servers), (vec![], vec![]));
}

#[test]
fn a_removed_service_is_cut_when_its_rule_says_so() {
    let echo = RealServer::echo();
    let mut service = service(1, vec![server(1, echo.address)]);
    service.on_removal = Removal::CutAfter { ms: 100 };
    let (mut relay, mut stream) = live(&service);
    // Further snapshots do not put it off.
    let start = std::time::Instant::now();
    for generation in 2.. {
        relay.apply(snapshot(generation, &[])).unwrap();
        if relay.counters().services.is_empty() {
            break;
        }
        assert!(start.elapsed() < PATIENCE);
    }
    // The proxy's clock counts whole milliseconds.
    assert!(start.elapsed().as_millis() >= 99, "cut after {:?}", start.elapsed());
    assert!(is_reset(&mut stream));
}

#[test]
fn a_server_is_removed_halted_or_down_by_its_rule() {
    let echo = RealServer::echo();
    type Change = fn(&mut Service);
    let cases: [(&str, Change, bool); 6] = [
        ("removed, finish", |s| drop(s.servers.pop()), true),
        ("drained", |s| s.servers[0].state = ServerState::Drain, true),
        ("halted", |s| s.servers[0].state = ServerState::Halt, false),
        ("down, keep", |s| s.servers[0].state = ServerState::Down, true),
        (
            "down, reset",
            |s| {
                s.servers[0].state = ServerState::Down;
                s.on_down = OnDown::Reset;
            },
            false,
        ),
        ("another timeout", |s| s.timeouts.client_ms = 77, true),
    ];
    for (what, change, lives) in cases {
        let mut service = service(1, vec![server(1, echo.address)]);
        let (mut relay, mut stream) = live(&service);
        change(&mut service);
        relay.apply(snapshot(2, &[&service])).unwrap();
        if lives {
            assert!(speaks(&mut stream), "{what}");
        } else {
            assert!(is_reset(&mut stream), "{what}");
            assert_eq!(relay.counters().services[0].cut, 1, "{what}");
        }
    }
    let mut service = service(1, vec![server(1, echo.address)]);
    service.servers[0].on_removal = Removal::CutAfter { ms: 0 };
    let (mut relay, mut stream) = live(&service);
    service.servers.clear();
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert!(is_reset(&mut stream));
}

#[test]
fn a_listener_that_cannot_be_opened_keeps_no_other_from_working() {
    let echo = RealServer::echo();
    let mut service = service(1, vec![server(1, echo.address)]);
    let taken = SocketAddr::new(vip(), PORT);
    let _other_program = TcpListener::bind(taken).unwrap();
    service.listen.push(Listen { address: taken.ip(), ports: PortRange::one(PORT) });
    let mut relay = relay(2);
    let problems = relay.apply(snapshot(1, &[&service])).unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].service, problems[0].listener), (1, Some(taken)));
    assert!(problems[0].reason.contains("another program"), "{}", problems[0].reason);
    assert_eq!(ask(address(&service), b"there?").unwrap(), b"there?");
    // The next snapshot tries again.
    drop(_other_program);
    assert_eq!(relay.apply(snapshot(2, &[&service])).unwrap(), []);
    assert_eq!(ask(taken, b"there?").unwrap(), b"there?");
}

#[test]
fn what_cannot_be_served_yet_is_said() {
    let echo = RealServer::echo();
    let mut http = service(1, vec![server(1, echo.address)]);
    http.mode = l7_api::Mode::Http;
    let protocols = vec!["h2".to_owned()];
    let rule = l7_api::Reencryption::new(l7_api::Verify::AcceptAnything);
    http.reencrypt = Some(l7_api::Reencryption { protocols, ..rule });
    let mut bare = service(2, vec![server(2, echo.address)]);
    bare.tls = Some(l7_api::Termination::new(Vec::new()));
    let plain = service(3, vec![server(3, echo.address)]);
    let mut relay = relay(1);
    let problems = relay.apply(snapshot(1, &[&http, &bare, &plain])).unwrap();
    assert_eq!(problems.iter().map(|p| p.service).collect::<Vec<_>>(), [1, 2]);
    assert!(TcpStream::connect(address(&http)).is_err());
    assert!(TcpStream::connect(address(&bare)).is_err());
    assert_eq!(ask(address(&plain), b"there?").unwrap(), b"there?");
}

#[test]
fn a_snapshot_that_contradicts_itself_changes_nothing() {
    let echo = RealServer::echo();
    let good = service(1, vec![server(1, echo.address)]);
    let (mut relay, mut stream) = live(&good);
    type Break = fn(&mut Vec<Service>);
    let breaks: [(&str, Break); 10] = [
        ("service number 1 is given twice", |s| s[1].id = 1),
        ("real server number 1 is given twice", |s| s[1].servers[0].id = 1),
        ("is listened on twice", |s| s[1].listen = s[0].listen.clone()),
        ("empty or begins with port 0", |s| s[1].listen[0].ports = PortRange::one(0)),
        ("empty or begins with port 0", |s| {
            s[1].listen[0].ports = PortRange { first: 2, last: 1 };
        }),
        ("bytes of a name", |s| s[1].name = "x".repeat(257)),
        ("connections in the queue", |s| s[1].queue.length = u32::MAX),
        ("longer than its address", |s| {
            s[1].proxy_in = vec![Prefix { address: [10, 0, 0, 0].into(), length: 33 }];
        }),
        ("has port 0", |s| s[1].servers[0].port = Some(0)),
        ("not of the family", |s| {
            s[1].source = l7_api::Source::Given("::1".parse().unwrap());
        }),
    ];
    for (reason, change) in breaks {
        let mut services = vec![good.clone(), service(2, vec![server(2, echo.address)])];
        change(&mut services);
        let wrong = l7_api::Snapshot { generation: 2, services, ..l7_api::Snapshot::default() };
        match relay.apply(wrong) {
            Err(ApplyError::Refused(why)) => assert!(why.contains(reason), "{why}"),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(relay.snapshot().unwrap().generation, 1);
        assert!(speaks(&mut stream));
    }
}
