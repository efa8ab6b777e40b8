//! HTTP mode with TLS to real servers.

mod common;

use common::encrypted::*;
use common::http::{Message, Peer, http_service, ok};
use common::{PATIENCE, RealServer, address, connect, relay, relay_of, server, snapshot, until};
use l7_api::{AskedName, ProxyOut, Reencryption, ServerTls, Service, Termination, Verify};
use rustls::{HandshakeKind, ServerConfig};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc;

/// How a real server answers: the name it was asked for, and the request.
type Answer = fn(Option<&str>, &Message) -> Vec<u8>;

/// A real server that answers each request over TLS; an empty answer ends the connection.
fn real(config: Arc<ServerConfig>, answer: Answer) -> RealServer {
    RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        while let Ok(request) = peer.request() {
            let name = peer.reader.get_ref().conn.server_name().map(str::to_owned);
            let bytes = answer(name.as_deref(), &request);
            if bytes.is_empty() || peer.send(&bytes).is_err() {
                break;
            }
        }
        let stream = peer.reader.get_mut();
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

fn name_and_line(name: Option<&str>, request: &Message) -> Vec<u8> {
    ok(format!("{} {}", name.unwrap_or("-"), request.first_line()).as_bytes())
}

fn rule(verify: Verify, name: AskedName) -> Reencryption {
    Reencryption { name, ..Reencryption::new(verify) }
}

fn anything(name: AskedName) -> Option<Reencryption> {
    Some(rule(Verify::AcceptAnything, name))
}

fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[test]
fn bodies_of_all_sizes_pass_over_one_connection() {
    let config = serving(&certificate("real.example"), &[]);
    let echo = real(config, |_, request| ok(&request.body));
    let service = Service {
        reencrypt: anything(AskedName::None),
        tls: encrypted(1, Vec::new()).tls,
        ..http_service(1, vec![server(1, echo.address)])
    };
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let config = client(&settings());
    let mut peer = Peer::over(shake(&config, "a.example", address(&service)).unwrap());
    for length in [0, 1, 16 << 10, 100, (16 << 10) + 1, 5 << 20, 10] {
        let mut body = vec![0; length];
        common::Noise::new(length as u64).fill(&mut body);
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        peer.send(&[head.as_bytes(), &body].concat()).unwrap();
        assert!(peer.response(false).unwrap().body == body, "{length} bytes");
    }
    let counters = relay.counters().servers[0];
    assert_eq!((echo.accepted(), counters.reused, counters.tls_failed), (1, 6, 0));
}

#[test]
fn real_servers_are_believed_as_far_as_was_said() {
    let (good, bad) = (certificate("real.example"), certificate("real.example"));
    let real = real(serving(&good, &[]), name_and_line);
    let pem = |certificate: &tls::Certificate| certificate.chain_pem().into_bytes();
    let pin = |certificate: &tls::Certificate| vec![certificate.details().fingerprint.0];
    let given = |name: &str| AskedName::Given(name.to_owned());
    let named = given("real.example");
    for (rule, host, expected) in [
        (rule(Verify::Authorities(pem(&good)), named.clone()), "a", 200),
        (rule(Verify::Authorities(pem(&good)), given("other.example")), "a", 502),
        (rule(Verify::Authorities(pem(&bad)), named.clone()), "a", 502),
        (rule(Verify::Authorities(pem(&good)), AskedName::FromClient), "Real.example:80", 200),
        (rule(Verify::Authorities(pem(&good)), AskedName::FromClient), "other.example", 502),
        (rule(Verify::Authorities(pem(&good)), AskedName::None), "real.example", 502),
        (rule(Verify::Pinned(pin(&good)), given("other.example")), "a", 200),
        (rule(Verify::Pinned(pin(&bad)), named.clone()), "a", 502),
        (rule(Verify::System, named.clone()), "a", 502),
        (rule(Verify::AcceptAnything, given("x.example")), "a", 200),
    ] {
        let mut service = http_service(1, vec![server(1, real.address)]);
        service.servers[0].tls = ServerTls::Own(Box::new(rule.clone()));
        service.retries.attempts = 0;
        let relay = relay_of(1, &service);
        let mut peer = Peer::connect(address(&service));
        peer.send(&get(host)).unwrap();
        assert_eq!(peer.response(false).unwrap().status(), expected, "{rule:?}");
        let failed = until(&relay, "idle", |c| c.services[0].active == 0).servers[0].tls_failed;
        assert_eq!(failed, u64::from(expected == 502), "{rule:?}");
    }
}

#[test]
fn another_server_takes_over_from_one_not_to_be_believed() {
    let (good, bad) = (certificate("real.example"), certificate("real.example"));
    let one = real(serving(&bad, &[]), name_and_line);
    let two = real(serving(&good, &[]), name_and_line);
    let pins = vec![good.details().fingerprint.0];
    let service = Service {
        reencrypt: Some(Reencryption::new(Verify::Pinned(pins))),
        ..http_service(1, vec![server(1, one.address), server(2, two.address)])
    };
    let relay = relay_of(1, &service);
    for _ in 0..6 {
        assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 200);
    }
    let servers = relay.counters().servers;
    assert!(servers[0].tls_failed >= 1 && servers[1].tls_failed == 0);
    assert_eq!(servers[0].tls_failed, servers[0].redispatched);
}

#[test]
fn a_connection_for_one_name_carries_no_request_for_another() {
    let real = real(serving(&certificate("real.example"), &[]), name_and_line);
    let service = Service {
        reencrypt: anything(AskedName::FromClient),
        ..http_service(1, vec![server(1, real.address)])
    };
    let relay = relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    for (host, name, connections) in [
        ("a.example", "a.example", 1),
        ("b.example:443", "b.example", 2),
        ("A.Example", "a.example", 2),
        ("127.0.0.1", "-", 3),
        ("b.example", "b.example", 3),
        ("[::1]:4000", "-", 3),
    ] {
        peer.send(&get(host)).unwrap();
        let answer = peer.response(false).unwrap();
        assert_eq!(answer.text(), format!("{name} GET / HTTP/1.1"));
        assert_eq!(real.accepted(), connections, "{host}");
    }
    assert_eq!(relay.counters().servers[0].reused, 3);
}

#[test]
fn a_tls_client_has_asked_for_its_name_before() {
    let real = real(serving(&certificate("real.example"), &[]), name_and_line);
    let service = Service {
        reencrypt: anything(AskedName::FromClient),
        tls: Some(Termination::new(vec![1])),
        ..http_service(1, vec![server(1, real.address)])
    };
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let config = client(&settings());
    for (name, host, asked) in
        [("a.example", "b.example", "a.example"), ("127.0.0.1", "b.example", "b.example")]
    {
        let mut peer = Peer::over(shake(&config, name, address(&service)).unwrap());
        peer.send(&get(host)).unwrap();
        let answer = peer.response(false).unwrap();
        assert_eq!(answer.text(), format!("{asked} GET / HTTP/1.1"));
    }
}

#[test]
fn sessions_resume() {
    let (sender, kinds) = mpsc::channel();
    let config = serving(&certificate("real.example"), &[]);
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        if peer.request().is_ok() {
            let kind = peer.reader.get_ref().conn.handshake_kind();
            let _ = peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let end = peer.reader.read(&mut [0; 1]).map_err(|e| e.kind());
            let _ = sender.send((kind, end));
        }
    });
    let service = Service {
        reencrypt: anything(AskedName::Given("real.example".to_owned())),
        ..http_service(1, vec![server(1, real.address)])
    };
    let _relay = relay_of(1, &service);
    for round in 0..3 {
        assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 200);
        let (kind, end) = kinds.recv_timeout(PATIENCE).unwrap();
        assert_eq!(end, Ok(0), "the proxy ends it in TLS's own words");
        assert_eq!(kind == Some(HandshakeKind::Resumed), round > 0, "{kind:?}");
    }
}

#[test]
fn a_response_that_ends_with_its_connection_has_to_end_in_the_words_of_tls() {
    for polite in [true, false] {
        let config = serving(&certificate("real.example"), &[]);
        let real = RealServer::new(move |stream| {
            let mut peer = Peer::over(accepted(stream, &config));
            let _ = peer.request();
            let _ = peer.send(b"HTTP/1.1 200 OK\r\n\r\nthis is not all");
            let stream = peer.reader.get_mut();
            if polite {
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = stream.sock.read(&mut [0; 1]);
        });
        let service = Service {
            reencrypt: anything(AskedName::None),
            ..http_service(1, vec![server(1, real.address)])
        };
        let relay = relay_of(1, &service);
        let mut client = connect(address(&service));
        client.write_all(&get("a")).unwrap();
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer).map_err(|e| e.kind());
        if polite {
            assert!(end.is_ok() && answer.ends_with(b"\r\n\r\nthis is not all"), "{end:?}");
        } else {
            assert_eq!(end, Err(ErrorKind::ConnectionReset));
        }
        assert_eq!(relay.counters().servers[0].bad_responses, u64::from(!polite));
    }
}

#[test]
fn no_request_is_lost_to_servers_that_close_idle_connections() {
    let config = serving(&certificate("real.example"), &[]);
    let forgetful = RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        for _ in 0..3 {
            let Ok(request) = peer.request() else { return };
            let _ = peer.send(&ok(request.first_line().as_bytes()));
        }
        let stream = peer.reader.get_mut();
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let service = Service {
        reencrypt: anything(AskedName::None),
        ..http_service(1, vec![server(1, forgetful.address)])
    };
    let relay = relay_of(2, &service);
    let mut peer = Peer::connect(address(&service));
    for number in 0..600 {
        let path = format!("/{number}");
        assert_eq!(peer.get(&path).unwrap().text(), format!("GET {path} HTTP/1.1"));
    }
    let counters = relay.counters();
    assert_eq!(counters.services[0].gateway_errors, 0);
    assert!(counters.servers[0].reused >= 400, "{counters:#?}");
}

#[test]
fn a_change_of_protocol_passes_through_tls_on_both_sides() {
    let config = serving(&certificate("real.example"), &[]);
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        let asked = peer.request().unwrap();
        assert_eq!(asked.values("Upgrade"), ["websocket"]);
        // The first frame comes with the head.
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\n\r\nhello";
        peer.send(head.as_bytes()).unwrap();
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = peer.reader.read(&mut buffer) {
            peer.send(&buffer[..count]).unwrap();
        }
        let stream = peer.reader.get_mut();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let service = Service {
        reencrypt: anything(AskedName::None),
        tls: Some(Termination::new(vec![1])),
        ..http_service(1, vec![server(1, real.address)])
    };
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let config = client(&settings());
    let mut peer = Peer::over(shake(&config, "a.example", address(&service)).unwrap());
    peer.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    )
    .unwrap();
    assert_eq!(peer.response(false).unwrap().status(), 101);
    let mut greeting = [0; 10];
    peer.reader.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"helloearly");
    let (mut sent, mut back) = (vec![0; 300_000], vec![0; 300_000]);
    common::Noise::new(7).fill(&mut sent);
    for part in sent.chunks(30_000).zip(back.chunks_mut(30_000)) {
        peer.send(part.0).unwrap();
        peer.reader.read_exact(part.1).unwrap();
    }
    assert!(sent == back);
    finish(peer.reader.get_mut()).unwrap();
    assert_eq!(peer.reader.read(&mut [0; 1]).unwrap(), 0, "ended in TLS's own words");
    until(&relay, "over", |c| c.services[0].active == 0);
}

#[test]
fn a_changed_policy_holds_for_the_next_request() {
    let (one, two) = (certificate("real.example"), certificate("real.example"));
    let real = real(serving(&one, &[]), name_and_line);
    let pinned = |certificate: &tls::Certificate| {
        Some(Reencryption::new(Verify::Pinned(vec![certificate.details().fingerprint.0])))
    };
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.retries.attempts = 0;
    service.reencrypt = anything(AskedName::Given("x.example".to_owned()));
    let mut relay = relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    assert_eq!(peer.get("/").unwrap().text(), "x.example GET / HTTP/1.1");
    assert_eq!(peer.get("/").unwrap().text(), "x.example GET / HTTP/1.1");
    assert_eq!(real.accepted(), 1);
    // What was opened by the old policy is of no use under the new one.
    service.reencrypt = pinned(&one);
    relay.apply(snapshot(2, &[&service])).unwrap();
    assert_eq!(peer.get("/").unwrap().text(), "- GET / HTTP/1.1");
    assert_eq!(real.accepted(), 2);
    service.reencrypt = pinned(&two);
    relay.apply(snapshot(3, &[&service])).unwrap();
    assert_eq!(peer.get("/").unwrap().status(), 502);
    // Without TLS it does not understand us; above all, nothing goes the encrypted way.
    service.reencrypt = None;
    relay.apply(snapshot(4, &[&service])).unwrap();
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 502);
    service.reencrypt = pinned(&one);
    relay.apply(snapshot(5, &[&service])).unwrap();
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 200);
    assert_eq!(relay.counters().servers[0].tls_failed, 1);
}

#[test]
fn a_header_of_ours_goes_before_the_handshake() {
    let config = serving(&certificate("real.example"), &[]);
    let real = RealServer::new(move |mut stream| {
        let mut header = [0; 28];
        stream.read_exact(&mut header).unwrap();
        assert_eq!(&header[..12], b"\r\n\r\n\0\r\nQUIT\n");
        let mut peer = Peer::over(accepted(stream, &config));
        let _ = peer.request();
        let _ = peer.send(&ok(b"x"));
        let _ = peer.request();
    });
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.reencrypt = anything(AskedName::None);
    service.proxy_out = ProxyOut::V2;
    let _relay = relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    for _ in 0..3 {
        assert_eq!(peer.get("/").unwrap().status(), 200);
    }
    assert_eq!(real.accepted(), 3, "it names its client");
}

#[test]
fn a_server_that_does_not_shake_hands_is_given_up() {
    let silent = RealServer::new(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let gone = RealServer::new(drop);
    for (real, status, late, failed) in [(silent, 503, 1, 0), (gone, 502, 0, 1)] {
        let mut service = http_service(1, vec![server(1, real.address)]);
        service.reencrypt = anything(AskedName::None);
        service.timeouts.connect_ms = 100;
        service.retries.attempts = 0;
        let relay = relay_of(1, &service);
        let answer = Peer::connect(address(&service)).get("/").unwrap();
        assert_eq!(answer.status(), status);
        let counters = relay.counters().servers[0];
        assert_eq!((counters.connect_timeout, counters.tls_failed), (late, failed));
    }
}

#[test]
fn a_protocol_that_would_not_be_spoken_is_not_offered() {
    let real = real(serving(&certificate("real.example"), &["http/1.1"]), name_and_line);
    let offers = |protocols: &[&str]| {
        let protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
        let mut service = http_service(1, vec![server(1, real.address)]);
        let rule = Reencryption::new(Verify::AcceptAnything);
        service.reencrypt = Some(Reencryption { protocols, ..rule });
        service
    };
    let good = offers(&["http/1.1"]);
    let mut relay = relay_of(1, &good);
    assert_eq!(Peer::connect(address(&good)).get("/").unwrap().status(), 200);
    let problems = relay.apply(snapshot(2, &[&offers(&["h2", "http/1.1"])])).unwrap();
    assert!(problems[0].reason.contains("\"h2\""), "{problems:?}");
}

#[test]
fn an_upload_waits_for_a_server_that_is_slow_to_take_it() {
    const BYTES: usize = 16 << 20;
    let config = serving(&certificate("real.example"), &[]);
    let slow = RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        let _ = peer.head();
        // Long enough for everything between us to be full.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut body = vec![0; BYTES];
        peer.reader.read_exact(&mut body).unwrap();
        peer.send(&ok(if body.iter().all(|byte| *byte == 7) { b"all" } else { b"other" })).unwrap();
        let _ = peer.request();
    });
    let service = Service {
        reencrypt: anything(AskedName::None),
        ..http_service(1, vec![server(1, slow.address)])
    };
    let _relay = relay_of(1, &service);
    let mut peer = Peer::connect(address(&service));
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
    peer.send(head.as_bytes()).unwrap();
    peer.send(&vec![7; BYTES]).unwrap();
    assert_eq!(peer.response(false).unwrap().text(), "all");
}

#[test]
fn an_idle_connection_that_its_server_ends_is_closed() {
    let (sender, closed) = mpsc::channel();
    let config = serving(&certificate("real.example"), &[]);
    let real = RealServer::new(move |stream| {
        let mut peer = Peer::over(accepted(stream, &config));
        let _ = peer.request();
        let _ = peer.send(&ok(b"x"));
        // In TLS alone: the connection beneath stays open.
        let stream = peer.reader.get_mut();
        stream.conn.send_close_notify();
        let _ = stream.flush();
        let _ = sender.send(stream.sock.read_to_end(&mut Vec::new()).is_ok());
    });
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.reencrypt = anything(AskedName::None);
    service.http.reuse.idle_ms = 600_000;
    let relay = relay_of(1, &service);
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 200);
    assert!(closed.recv_timeout(PATIENCE).unwrap());
    assert_eq!(relay.counters().servers[0].repeated, 0);
}
