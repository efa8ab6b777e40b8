//! Clients that are known by what they say: the cookie of RDP, a session of TLS, a cookie of the
//! real servers' own.

mod common;

use common::http::{Peer, http_service, ok, server};
use common::*;
use l7_api::{
    Persistence, PersistenceBy, PersistenceKey, Server, ServerState, Service, Termination,
};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;

/// An X.224 connection request with this cookie.
fn request(cookie: &str) -> Vec<u8> {
    let rest = [b"Cookie: ", cookie.as_bytes(), b"\r\n", &[1, 0, 8, 0, 3, 0, 0, 0]].concat();
    let length = 11 + rest.len() as u8;
    [&[3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0], &rest[..]].concat()
}

/// Says its name, and then what it is told.
fn naming(name: &'static str) -> RealServer {
    RealServer::new(move |mut stream| {
        let _ = stream.write_all(name.as_bytes());
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let _ = stream.write_all(&buffer[..count]);
        }
        let _ = stream.shutdown(Shutdown::Write);
    })
}

fn by(by: PersistenceBy, servers: &[&RealServer]) -> Service {
    let servers = servers.iter().zip(1..).map(|(it, id)| common::server(id, it.address));
    let persistence = Some(Persistence::new(by, 60));
    let scheduler = l7_api::Scheduler::WeightedRoundRobin;
    Service { persistence, scheduler, ..common::service(1, servers.collect()) }
}

fn rdp(service: &Service, cookie: &str) -> String {
    let words = request(cookie);
    let answer = ask(address(service), &words).unwrap();
    let (name, echo) = answer.split_at(3);
    assert_eq!(echo, words, "it goes on as it came");
    String::from_utf8_lossy(name).into_owned()
}

fn rows(relay: &relay::Relay) -> Vec<PersistenceKey> {
    relay.persistence(1, 0, 100).0.into_iter().map(|row| row.client).collect()
}

#[test]
fn a_user_of_rdp_stays_and_another_does_not_follow() {
    let (one, two) = (naming("one"), naming("two"));
    let mut service = by(PersistenceBy::RdpCookie, &[&one, &two]);
    let mut relay = relay_of(2, &service);
    let users: Vec<String> = (0..10).map(|user| format!("mstshash=user{user}")).collect();
    let homes: Vec<String> = users.iter().map(|user| rdp(&service, user)).collect();
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 2, "{homes:?}");
    for (user, home) in users.iter().zip(&homes).cycle().take(40) {
        assert_eq!(rdp(&service, user), *home);
    }
    assert_eq!(rows(&relay).len(), 10);
    assert!(rows(&relay).contains(&PersistenceKey::said(b"user7")), "{:?}", rows(&relay));
    // A token leads to the server that it says, and to another one when that is down.
    let token = |server: &Server| {
        let std::net::IpAddr::V4(address) = server.address else { panic!() };
        let port = server.port.unwrap().swap_bytes();
        format!("msts={}.{port}.0000", u32::from_le_bytes(Ipv4Addr::octets(&address)))
    };
    let tokens: Vec<_> = service.servers.iter().map(token).collect();
    // Each is a client that nobody knows yet: only what it says leads it.
    for number in 0..8 {
        for (token, name) in tokens.iter().zip(["one", "two"]) {
            assert_eq!(rdp(&service, &format!("{token}{number}")), name);
        }
    }
    service.servers[1].state = ServerState::Down;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(rdp(&service, &tokens[1]), "one");
    assert_eq!(relay.counters().services[0].unnamed, 0);
}

#[test]
fn a_cookie_inside_of_tls_is_seen_where_tls_ends_here() {
    let (one, two) = (naming("one"), naming("two"));
    let clear = by(PersistenceBy::RdpCookie, &[&one, &two]);
    let service = Service { tls: Some(Termination::new(vec![1])), ..clear };
    let own = encrypted::certificate("a.example");
    let mut relay = relay(2);
    let snapshot = encrypted::snapshot_with(1, &[&service], &[&own]);
    assert_eq!(relay.apply(snapshot).unwrap(), []);
    let config = encrypted::client(&encrypted::settings());
    let login = |user: &str| {
        let to = address(&service);
        let mut stream = encrypted::shake(&config, "a.example", to).unwrap();
        let answer = encrypted::ask(&mut stream, &request(&format!("mstshash={user}"))).unwrap();
        String::from_utf8_lossy(&answer[..3]).into_owned()
    };
    let homes: Vec<String> = ["a", "b", "c"].map(login).into();
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 2, "{homes:?}");
    for _ in 0..8 {
        assert_eq!(homes, ["a", "b", "c"].map(login));
    }
    assert_eq!(relay.counters().services[0].unnamed, 0);
}

#[test]
fn first_words_come_in_pieces_late_or_not_at_all() {
    let (one, two) = (naming("one"), naming("two"));
    let service = by(PersistenceBy::RdpCookie, &[&one, &two]);
    let relay = relay_of(1, &service);
    let words = request("mstshash=slow");
    let first = rdp(&service, "mstshash=slow");
    for _ in 0..3 {
        let mut stream = connect(address(&service));
        for octet in &words {
            stream.write_all(&[*octet]).unwrap();
            thread::yield_now();
        }
        assert_eq!(name_of(&mut stream)[..3], first);
    }
    // Octet by octet, and each read before the next one is sent.
    let mut stream = connect(address(&service));
    for (count, octet) in words.iter().enumerate() {
        stream.write_all(&[*octet]).unwrap();
        let so_far = (words.len() * 4 + count + 1) as u64;
        until(&relay, "read", |c| c.services[0].bytes_in == so_far);
    }
    assert_eq!(name_of(&mut stream)[..3], first);
    drop(stream);

    // Something else, half of it, or nothing: served, and counted.
    let cut = &words[..20];
    for (words, unnamed) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], 1), (cut, 2), (b"", 3)] {
        let answer = ask(address(&service), words).unwrap();
        assert_eq!(answer[3..], *words, "{}", words.escape_ascii());
        assert_eq!(relay.counters().services[0].unnamed, unnamed);
    }
    let mut silent = connect(address(&service));
    assert_eq!(name_of(&mut silent).len(), 3, "a server that speaks first is heard in the end");
    assert_eq!(relay.counters().services[0].unnamed, 4);
    assert_eq!(rows(&relay), [PersistenceKey::said(b"slow")]);
}

/// The begin of a hello with this session id.
fn hello(kind: u8, id: &[u8]) -> Vec<u8> {
    let content = 4 + 2 + 32 + 1 + id.len() as u8 + 6;
    let head = [22, 3, 3, 0, content, kind, 0, 0, content - 4, 3, 3];
    [&head[..], &[7; 32], &[id.len() as u8], id, &[9; 6]].concat()
}

/// Resumes the sessions that it gave, gives each other client one, and says which in both.
fn sessions(number: u8) -> RealServer {
    RealServer::new(move |mut stream| {
        let mut words = vec![0; 5];
        stream.read_exact(&mut words).unwrap();
        words.resize(5 + usize::from(words[4]), 0);
        stream.read_exact(&mut words[5..]).unwrap();
        let asked = &words[44..44 + usize::from(words[43])];
        let id = if asked.first() == Some(&number) { asked } else { &[number; 32] };
        let tells = if asked == [0xec; 32] { asked } else { id };
        for part in hello(2, tells).chunks(30) {
            let _ = stream.write_all(part);
            thread::yield_now();
        }
        let _ = stream.write_all(&[number]);
        let _ = stream.write_all(&words);
    })
}

/// The server that a client with this session came to, and the session that it has then.
fn shake_hands(to: std::net::SocketAddr, id: &[u8]) -> (u8, Vec<u8>) {
    let mut stream: TcpStream = connect(to);
    stream.write_all(&hello(1, id)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let session = answer[44..44 + usize::from(answer[43])].to_vec();
    let said = hello(2, &session);
    let (number, echo) = answer[said.len()..].split_first().unwrap();
    assert_eq!((&answer[..said.len()], echo), (&said[..], &hello(1, id)[..]));
    (*number, session)
}

#[test]
fn a_session_leads_to_the_server_that_gave_it() {
    let (one, two) = (sessions(1), sessions(2));
    let service = by(PersistenceBy::TlsSession, &[&one, &two]);
    let relay = relay_of(2, &service);
    let to = address(&service);
    let new: Vec<_> = (0..2).map(|_| shake_hands(to, b"")).collect();
    assert_eq!(new.iter().map(|(number, _)| number).collect::<BTreeSet<_>>().len(), 2);
    for (number, session) in new.iter().cycle().take(20) {
        assert_eq!(shake_hands(to, session), (*number, session.clone()));
    }
    assert_eq!(rows(&relay).len(), 2);
    // What is only echoed is nobody's session: TLS 1.3, and tickets.
    for _ in 0..4 {
        assert_eq!(shake_hands(to, &[0xec; 32]).1, [0xec; 32]);
    }
    assert_eq!(rows(&relay).len(), 2);
    assert_eq!(relay.counters().services[0].unnamed, 0);
}

#[test]
fn a_cookie_leads_to_the_server_that_gave_it() {
    let app = |name: &'static str| {
        server(move |request| {
            let text = String::from_utf8_lossy(&ok(name.as_bytes())).into_owned();
            match request.values("Cookie").is_empty() {
                true => {
                    text.replacen("\r\n", &format!("\r\nSet-Cookie: SID={name}!; Path=/\r\n"), 1)
                }
                false => text,
            }
            .into_bytes()
        })
    };
    let (one, two) = (app("one"), app("two"));
    let by = by(PersistenceBy::Cookie("SID".into()), &[&one, &two]);
    let (persistence, scheduler) = (by.persistence, by.scheduler);
    let mut service = Service { persistence, scheduler, ..http_service(1, by.servers) };
    let mut relay = relay_of(2, &service);
    let to = address(&service);
    let names: Vec<String> =
        (0..4).map(|_| Peer::connect(to).get("/").unwrap().text().to_owned()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 2, "{names:?}");
    let mut client = Peer::connect(to);
    let mut ask = |value: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; SID={value}\r\n\r\n");
        client.send(head.as_bytes()).unwrap();
        client.response(false).unwrap().text().to_owned()
    };
    for name in ["one", "two"].into_iter().cycle().take(20) {
        assert_eq!(ask(&format!("{name}!")), name);
    }
    // One that nobody here has given: all of its requests go to one server.
    let stranger = ask("stranger");
    assert!((0..9).all(|_| ask("stranger") == stranger));
    assert_eq!(relay.persistence(service.id, 0, 100).0.len(), 3);
    assert_ne!(ask(""), ask(""), "an empty one is none");
    service.servers[0].state = ServerState::Down;
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(ask("one!"), "two");
}

#[test]
fn rules_that_do_not_fit_are_refused() {
    let one = RealServer::echo();
    let tcp = |by: PersistenceBy| self::by(by, &[&one]);
    let cookie = |name: &str| PersistenceBy::Cookie(name.into());
    let http = |by| {
        let http = Service::http(1, "web");
        Service { persistence: Some(Persistence::new(by, 60)), ..http }
    };
    for wrong in [
        tcp(cookie("SID")),
        http(cookie("a b")),
        http(cookie(&"x".repeat(65))),
        http(PersistenceBy::RdpCookie),
        http(PersistenceBy::TlsSession),
    ] {
        let refused = relay(1).apply(snapshot(1, &[&wrong]));
        assert!(refused.is_err(), "{:?}", wrong.persistence);
    }
    assert!(relay(1).apply(snapshot(1, &[&http(cookie("SID"))])).is_ok());
}
