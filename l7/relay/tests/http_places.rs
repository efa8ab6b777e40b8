//! HTTP mode: who gets a request, and what limits, states and changes do to it.

mod common;

use common::http::{Peer, http_service, ok, server, with};
use common::{RealServer, address, nobody, relay_of, snapshot, until};
use l7_api::{
    CookiePersistence, KnownBy, OnDown, Persistence, PersistenceBy, Queue, Removal, Retries,
    Scheduler, ServerState, Service,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Answers everything with its name.
fn named(name: &'static str) -> RealServer {
    server(move |_| ok(name.as_bytes()))
}

fn service_of(servers: &[&RealServer]) -> Service {
    let numbered = servers.iter().zip(1..).map(|(real, id)| common::server(id, real.address));
    let mut service = http_service(1, numbered.collect());
    service.scheduler = Scheduler::WeightedRoundRobin;
    service
}

#[test]
fn requests_of_one_connection_are_spread_by_weight() {
    let (one, two) = (named("one"), named("two"));
    let mut service = service_of(&[&one, &two]);
    service.servers[0].weight = 300;
    let _relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    let mut count = HashMap::new();
    for _ in 0..400 {
        *count.entry(client.get("/").unwrap().text().to_owned()).or_insert(0) += 1;
    }
    assert_eq!((count["one"], count["two"]), (300, 100));
    assert_eq!((one.accepted(), two.accepted()), (1, 1));
}

#[test]
fn a_server_never_has_more_requests_than_its_limit_and_all_are_served() {
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (current, highest) = (now.clone(), most.clone());
    let real = server(move |_| {
        highest.fetch_max(current.fetch_add(1, SeqCst) + 1, SeqCst);
        thread::sleep(Duration::from_millis(1));
        current.fetch_sub(1, SeqCst);
        ok(b"x")
    });
    let mut service = service_of(&[&real]);
    service.servers[0].max_connections = 3;
    service.queue = Queue { length: 100, timeout_ms: 60_000 };
    let relay = relay_of(2, &service);
    let to = address(&service);
    let clients: Vec<_> = (0..16)
        .map(|_| {
            thread::spawn(move || {
                let mut peer = Peer::connect(to);
                for _ in 0..40 {
                    assert_eq!(peer.get("/").unwrap().status(), 200);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(most.load(SeqCst), 3);
    let counters = until(&relay, "all is over", |c| c.services[0].active == 0);
    assert_eq!((counters.services[0].queued, counters.servers[0].active), (0, 0));
}

/// A real server that answers when it is told to.
fn held() -> (RealServer, Arc<AtomicBool>) {
    let go = Arc::new(AtomicBool::new(false));
    let told = go.clone();
    let real = server(move |_| {
        while !told.load(SeqCst) {
            thread::yield_now();
        }
        ok(b"x")
    });
    (real, go)
}

#[test]
fn a_full_queue_and_a_long_wait_are_answered() {
    let (real, go) = held();
    let mut service = service_of(&[&real]);
    service.max_connections = 1;
    service.queue = Queue { length: 1, timeout_ms: 200 };
    let relay = relay_of(1, &service);
    let ask = |n: usize| {
        let mut client = Peer::connect(address(&service));
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        client
    };
    let mut first = ask(1);
    until(&relay, "one is served", |c| c.services[0].active == 1);
    let mut second = ask(2);
    until(&relay, "one waits", |c| c.services[0].queued == 1);
    let mut third = ask(3);
    assert_eq!(third.response(false).unwrap().status(), 503, "the queue is full");
    assert_eq!(second.response(false).unwrap().status(), 503, "the wait is over");
    go.store(true, SeqCst);
    assert_eq!(first.response(false).unwrap().status(), 200);
    let counters = relay.counters().services[0];
    assert_eq!((counters.queue_full, counters.queue_timeout, counters.gateway_errors), (1, 1, 2));
}

#[test]
fn a_server_that_refuses_is_passed_over() {
    let two = named("two");
    let mut service = service_of(&[&two]);
    service.servers.insert(0, common::server(7, nobody()));
    service.retries = Retries { attempts: 1, pause_ms: 1 };
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..20 {
        assert_eq!(client.get("/").unwrap().text(), "two");
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").unwrap();
        assert_eq!(client.response(false).unwrap().text(), "two");
    }
    assert!(relay.counters().servers.iter().any(|server| server.redispatched > 0));
}

#[test]
fn the_fallback_server_answers_when_no_other_can() {
    let (one, fallback) = (named("one"), named("fallback"));
    let mut service = service_of(&[&one]);
    service.servers[0].state = ServerState::Down;
    service.fallback = Some(common::server(9, fallback.address));
    let mut relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    assert_eq!(client.get("/").unwrap().text(), "fallback");
    service.servers[0].state = ServerState::Online;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(client.get("/").unwrap().text(), "one", "the next request goes by the new plan");
}

fn with_cookie(service: Service) -> Service {
    with(service, |http| {
        http.cookie = Some(CookiePersistence {
            name: "SRV".into(),
            max_age_s: None,
            secure: false,
            http_only: true,
        });
    })
}

#[test]
fn a_cookie_binds_a_client_to_its_server_and_stays_with_the_proxy() {
    let show = |name: &'static str| {
        server(move |request| ok(format!("{name} {:?}", request.values("Cookie")).as_bytes()))
    };
    let (one, two) = (show("one"), show("two"));
    let mut service = with_cookie(service_of(&[&one, &two]));
    let mut relay = relay_of(1, &service);
    let mut cookies = Vec::new();
    for wanted in ["one []", "two []"] {
        let answer = Peer::connect(address(&service)).get("/").unwrap();
        let cookie = answer.values("Set-Cookie")[0].to_owned();
        assert!(cookie.starts_with("SRV=") && cookie.ends_with("; Path=/; HttpOnly"), "{cookie}");
        assert_eq!(answer.text(), wanted);
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    let to = address(&service);
    let ask = |cookie: &str| {
        let mut client = Peer::connect(to);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; {cookie}; c=d\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        client.response(false).unwrap()
    };
    for (cookie, name) in cookies.iter().zip(["one", "two"]).cycle().take(20) {
        let answer = ask(cookie);
        assert_eq!(answer.text(), format!("{name} [\"a=b; c=d\"]"));
        assert!(answer.values("Set-Cookie").is_empty(), "it has one already");
    }
    assert!(!ask("SRV=unknown").values("Set-Cookie").is_empty(), "it gets a good one");
    // Whoever is bound stays while the server drains, and is given another when it is down.
    service.servers[1].state = ServerState::Drain;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert!(ask(&cookies[1]).text().starts_with("two"));
    service.servers[1].state = ServerState::Down;
    relay.apply(snapshot(3, &[&service])).unwrap();
    let answer = ask(&cookies[1]);
    assert!(answer.text().starts_with("one") && !answer.values("Set-Cookie").is_empty());
}

#[test]
fn changes_under_load_break_no_request() {
    let (one, two, three) = (named("one"), named("two"), named("three"));
    let mut service = service_of(&[&one, &two]);
    let mut relay = relay_of(2, &service);
    let (to, served) = (address(&service), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let (over, served) = (over.clone(), served.clone());
            thread::spawn(move || {
                let mut peer = Peer::connect(to);
                while !over.load(SeqCst) {
                    assert_eq!(peer.get("/").unwrap().status(), 200);
                    served.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for generation in 2..1000 {
        while served.load(SeqCst) < generation * 10 {
            assert!(clients.iter().all(|client| !client.is_finished()), "a request was broken");
            thread::yield_now();
        }
        service.servers[0].weight = 1 + generation as u16 % 7 * 50;
        service.servers[1].state =
            if generation % 3 == 0 { ServerState::Down } else { ServerState::Online };
        match generation % 4 {
            0 => service.servers.push(common::server(3, three.address)),
            2 if service.servers.len() > 2 => drop(service.servers.pop()),
            _ => {}
        }
        service.servers.dedup_by_key(|server| server.id);
        relay.apply(snapshot(generation, &[&service])).unwrap();
    }
    over.store(true, SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(relay.counters().services[0].gateway_errors, 0);
}

#[test]
fn a_removed_service_finishes_its_requests_and_closes_what_is_idle() {
    let (real, go) = held();
    let service = service_of(&[&real]);
    let mut relay = relay_of(1, &service);
    let mut idle = Peer::connect(address(&service));
    let mut busy = Peer::connect(address(&service));
    busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    until(&relay, "asked", |c| c.servers[0].requests == 1);
    relay.apply(snapshot(2, &[])).unwrap();
    assert!(idle.is_closed());
    go.store(true, SeqCst);
    let answer = busy.response(false).unwrap();
    assert_eq!((answer.text(), answer.values("Connection")), ("x", vec!["close"]));
    assert!(busy.is_closed());
}

#[test]
fn a_retired_proxy_answers_once_more_and_closes() {
    let one = named("one");
    let service = service_of(&[&one]);
    let mut relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    assert!(client.get("/").unwrap().values("Connection").is_empty());
    relay.retire(None);
    let answer = client.get("/").unwrap();
    assert_eq!((answer.text(), answer.values("Connection")), ("one", vec!["close"]));
    assert!(client.is_closed());
}

#[test]
fn a_halted_or_dead_server_and_a_removal_with_a_limit_cut_what_is_open() {
    for case in 0..3 {
        let (real, go) = held();
        let mut service = service_of(&[&real]);
        service.servers[0].on_removal = Removal::CutAfter { ms: 0 };
        let mut relay = relay_of(1, &service);
        let mut client = Peer::connect(address(&service));
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        until(&relay, "asked", |c| c.servers[0].requests == 1);
        match case {
            0 => service.servers[0].state = ServerState::Halt,
            1 => {
                service.servers[0].state = ServerState::Down;
                service.on_down = OnDown::Reset;
            }
            _ => service.servers.clear(),
        }
        relay.apply(snapshot(2, &[&service])).unwrap();
        assert!(client.response(false).is_err(), "case {case}");
        go.store(true, SeqCst);
        assert_eq!(relay.counters().services[0].cut, 1, "case {case}");
    }
}

#[test]
fn a_client_behind_a_proxy_is_known_by_what_the_proxy_says() {
    let (one, two) = (named("one"), named("two"));
    let mut service = with(service_of(&[&one, &two]), |http| http.known_by = KnownBy::ForwardedFor);
    service.persistence = Some(Persistence::new(PersistenceBy::Address, 60));
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    let mut ask = |value: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {value}\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        client.response(false).unwrap().text().to_owned()
    };
    let names: Vec<_> = (0..20).map(|n| ask(&format!("203.0.113.{n}"))).collect();
    assert!(names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()));
    for (n, name) in names.iter().enumerate() {
        assert_eq!(ask(&format!("10.9.9.{n}, 203.0.113.{n}")), *name, "{n}");
    }
    let (rows, _) = relay.persistence(service.id, 0, 100);
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| format!("{:?}", row.client).contains("(203.0.113.")), "{rows:?}");
}
