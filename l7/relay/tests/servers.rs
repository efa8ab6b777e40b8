//! Who gets a connection: real servers that fail, are full, are gone, or are bound to a client.

mod common;
use common::*;
use l7_api::{
    Counters, Persistence, PersistenceBy, Queue, Retries, Scheduler, Server, ServerState, Timeouts,
};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

#[test]
fn a_server_that_refuses_is_passed_over() {
    let echo = RealServer::echo();
    let mut service = service(1, vec![server(1, nobody()), server(2, echo.address)]);
    service.scheduler = Scheduler::WeightedRoundRobin;
    let relay = relay_of(1, &service);
    for _ in 0..10 {
        assert_eq!(ask(address(&service), b"there?").unwrap(), b"there?");
    }
    let counters = relay.counters();
    let [refusing, good] = counters.servers[..] else { panic!("{counters:?}") };
    assert_eq!((refusing.refused, refusing.redispatched, refusing.connected), (5, 5, 0));
    assert_eq!((good.refused, good.connected), (0, 10));
}

#[test]
fn a_server_that_does_not_answer_is_passed_over() {
    let echo = RealServer::echo();
    let silent = Silent::new();
    let mut service = service(1, vec![server(1, silent.address), server(2, echo.address)]);
    service.scheduler = Scheduler::WeightedRoundRobin;
    service.timeouts.connect_ms = 50;
    let relay = relay_of(1, &service);
    for _ in 0..4 {
        assert_eq!(ask(address(&service), b"there?").unwrap(), b"there?");
    }
    assert_eq!(relay.counters().servers[0].connect_timeout, 2);
}

#[test]
fn the_only_server_is_tried_again_after_a_pause() {
    // Bound, so that the port is ours, but not listening yet.
    let late = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    late.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let at = late.local_addr().unwrap().as_socket().unwrap();
    let mut service = service(1, vec![server(1, at)]);
    service.retries = Retries { attempts: 255, pause_ms: 1 };
    let relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    until(&relay, "refused twice", |c| c.servers[0].refused >= 2);
    late.listen(1).unwrap();
    let (accepted, _) = late.accept().unwrap();
    (&accepted).write_all(b"at last").unwrap();
    client.read_exact(&mut [0; 7]).unwrap();
}

#[test]
fn attempts_are_bounded() {
    let mut service = service(1, vec![server(1, nobody()), server(2, nobody())]);
    service.retries = Retries { attempts: 4, pause_ms: 1 };
    let relay = relay_of(1, &service);
    assert!(is_turned_away(address(&service)));
    let given_up = |c: &Counters| c.services[0].no_server == 1 && c.services[0].active == 0;
    let counters = until(&relay, "given up", given_up);
    assert_eq!(counters.servers.iter().map(|s| s.refused).sum::<u64>(), 5);
}

#[test]
fn the_fallback_takes_over_when_nobody_else_can() {
    let (usual, spare) = (RealServer::named("usual"), RealServer::named("spare"));
    let mut service = service(1, vec![server(1, usual.address)]);
    service.fallback = Some(server(2, spare.address));
    let mut relay = relay_of(1, &service);
    assert_eq!(name_of(&mut connect(address(&service))), "usual");
    service.servers[0].state = ServerState::Down;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(name_of(&mut connect(address(&service))), "spare");
    service.fallback = None;
    relay.apply(snapshot(3, &[&service])).unwrap();
    assert!(is_turned_away(address(&service)));
}

#[test]
fn no_server_has_more_connections_than_it_may() {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, peak) = (now.clone(), most.clone());
    let narrow = RealServer::new(move |mut stream| {
        peak.fetch_max(count.fetch_add(1, SeqCst) + 1, SeqCst);
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        // Before the answer: with its end the place is free.
        count.fetch_sub(1, SeqCst);
        stream.write_all(&question).unwrap();
    });
    let mut service = service(1, vec![limited(server(1, narrow.address), 3)]);
    service.queue = Queue { length: 1_000, timeout_ms: 0 };
    let relay = relay_of(4, &service);
    let to = address(&service);
    let clients = (0..32).map(|client| {
        thread::spawn(move || {
            for n in 0..20u32 {
                let question = (client * 1_000 + n).to_le_bytes();
                assert_eq!(ask(to, &question).unwrap(), question);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.join().unwrap();
    }
    assert_eq!(most.load(SeqCst), 3);
    let counters = until(&relay, "idle", |c| c.services[0].active == 0);
    let service = counters.services[0];
    assert_eq!((service.accepted, service.queued, service.queue_full), (640, 0, 0));
}

#[test]
fn whoever_finds_all_places_taken_waits_for_one() {
    let server_ = RealServer::named("me");
    let mut service = service(1, vec![server(1, server_.address)]);
    service.max_connections = 1;
    service.queue = Queue { length: 2, timeout_ms: 0 };
    let relay = relay_of(3, &service);
    let mut first = connect(address(&service));
    assert_eq!(name_of(&mut first), "me");
    let mut second = connect(address(&service));
    until(&relay, "queued", |c| c.services[0].queued == 1);
    let third = connect(address(&service));
    until(&relay, "queued", |c| c.services[0].queued == 2);
    assert!(is_turned_away(address(&service)), "the queue is full");
    // One who goes leaves the queue; one who stays gets the place.
    socket2::SockRef::from(&third).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(third);
    until(&relay, "left", |c| c.services[0].queued == 1);
    assert_eq!(server_.accepted(), 1);
    drop(first);
    assert_eq!(name_of(&mut second), "me");
    let counters = relay.counters();
    assert_eq!((counters.services[0].queued, counters.services[0].active), (0, 1));
    assert_eq!((counters.services[0].queue_full, counters.services[0].client_reset), (1, 1));
}

#[test]
fn nobody_waits_for_ever() {
    let server_ = RealServer::named("me");
    let mut service = service(1, vec![limited(server(1, server_.address), 1)]);
    service.queue = Queue { length: 10, timeout_ms: 30 };
    let relay = relay_of(1, &service);
    let mut first = connect(address(&service));
    assert_eq!(name_of(&mut first), "me");
    assert!(is_turned_away(address(&service)));
    let counters = until(&relay, "left", |c| c.services[0].queued == 0);
    assert_eq!((counters.services[0].queue_timeout, counters.services[0].active), (1, 1));
}

#[test]
fn a_raised_limit_lets_the_waiting_in() {
    let server_ = RealServer::named("me");
    let mut service = service(1, vec![limited(server(1, server_.address), 1)]);
    service.queue = Queue { length: 10, timeout_ms: 0 };
    let mut relay = relay_of(2, &service);
    let mut first = connect(address(&service));
    assert_eq!(name_of(&mut first), "me");
    let mut second = connect(address(&service));
    until(&relay, "queued", |c| c.services[0].queued == 1);
    service.servers[0].max_connections = 2;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(name_of(&mut second), "me");
}

#[test]
fn a_full_server_of_one_client_keeps_no_other_waiting() {
    let (one, two) = (RealServer::named("one"), RealServer::named("two"));
    let mut service =
        service(1, vec![limited(server(1, one.address), 1), limited(server(2, two.address), 9)]);
    service.scheduler = Scheduler::WeightedRoundRobin;
    service.persistence = Some(BY_ADDRESS);
    let relay = relay_of(1, &service);
    let mut bound = connect_from(client(1), address(&service));
    assert_eq!(name_of(&mut bound), "one");
    let mut waiting = connect_from(client(1), address(&service));
    until(&relay, "queued", |c| c.services[0].queued == 1);
    assert_eq!(name_of(&mut connect_from(client(2), address(&service))), "two");
    drop(bound);
    assert_eq!(name_of(&mut waiting), "one");
}

#[test]
fn a_client_stays_with_its_server() {
    let (one, two) = (RealServer::named("one"), RealServer::named("two"));
    let mut service = service(1, vec![server(1, one.address), server(2, two.address)]);
    service.scheduler = Scheduler::WeightedRoundRobin;
    service.persistence = Some(BY_ADDRESS);
    let mut relay = relay_of(3, &service);
    let to = address(&service);
    let names: Vec<_> = (1..9).map(|n| name_of(&mut connect_from(client(n), to))).collect();
    assert!(names.contains(&"one".into()) && names.contains(&"two".into()), "{names:?}");
    let again: Vec<_> = (1..9).map(|n| name_of(&mut connect_from(client(n), to))).collect();
    assert_eq!(again, names);
    let (rows, newest) = relay.persistence(1, 0, 100);
    assert_eq!((rows.len(), newest), (8, 16));

    // Drained, a server keeps its clients and gets no others; halted, it has none.
    service.servers[0].state = ServerState::Drain;
    relay.apply(snapshot(2, &[&service])).unwrap();
    let drained: Vec<_> = (1..9).map(|n| name_of(&mut connect_from(client(n), to))).collect();
    assert_eq!(drained, names);
    assert!((20..24).all(|n| name_of(&mut connect_from(client(n), to)) == "two"));
    service.servers[0].state = ServerState::Halt;
    relay.apply(snapshot(3, &[&service])).unwrap();
    assert!((1..9).all(|n| name_of(&mut connect_from(client(n), to)) == "two"));
}

#[test]
fn a_client_whose_server_fails_gets_another_one() {
    let echo = RealServer::echo();
    let mut service = service(1, vec![server(1, nobody()), server(2, echo.address)]);
    service.scheduler = Scheduler::WeightedRoundRobin;
    service.persistence = Some(BY_ADDRESS);
    let relay = relay_of(1, &service);
    assert_eq!(ask(address(&service), b"there?").unwrap(), b"there?");
    let (rows, _) = relay.persistence(1, 0, 100);
    assert_eq!(rows.iter().map(|row| row.server).collect::<Vec<_>>(), [2]);
    assert!(relay.clear_persistence(1, None) > 0);
    assert_eq!(relay.persistence(1, 0, 100).0, []);
}

#[test]
fn a_silent_connection_ends_and_a_busy_one_does_not() {
    let echo = RealServer::echo();
    for (client_ms, server_ms, tunnel_ms) in [(300, 0, 0), (0, 300, 0), (1, 1, 300)] {
        let mut service = service(1, vec![server(1, echo.address)]);
        service.timeouts =
            Timeouts { client_ms, server_ms, connect_ms: 0, tunnel_ms, handshake_ms: 0 };
        let relay = relay_of(1, &service);
        let busy = connect(address(&service));
        let talk = || {
            (&busy).write_all(b"ping").unwrap();
            (&busy).read_exact(&mut [0; 4]).unwrap();
        };
        let mut silent = connect(address(&service));
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 900 {
            talk();
        }
        let counters = until(&relay, "ended", |c| {
            talk();
            c.services[0].active == 1
        });
        assert!(is_reset(&mut silent));
        let (client, server) = (counters.services[0], counters.servers[0]);
        assert_eq!(client.client_timeout, u64::from(server_ms != 300));
        assert_eq!(server.server_timeout, u64::from(server_ms == 300));
    }
}

const BY_ADDRESS: Persistence = Persistence::new(PersistenceBy::Address, 60);

fn client(n: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, n).into()
}

fn limited(server: Server, max_connections: u32) -> Server {
    Server { max_connections, ..server }
}

/// A server whose kernel drops every further connection request: its backlog is full.
struct Silent {
    address: SocketAddr,
    _listener: socket2::Socket,
    _clients: Vec<socket2::Socket>,
}

impl Silent {
    fn new() -> Self {
        let new =
            || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let listener = new();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let client = || {
            let socket = new();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        };
        Self { address, _listener: listener, _clients: (0..4).map(|_| client()).collect() }
    }
}
