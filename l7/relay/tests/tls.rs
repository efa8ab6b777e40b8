//! TLS with clients and with real servers, over loopback.

mod common;
use common::encrypted::*;
use common::*;
use l7_api::{
    AskedName, ClientAuthorities, ClientCertificates, PortRange, ProxyOut, Reencryption, ServerTls,
    Termination, Verify,
};
use proxyproto::{Header, Origin, decode};
use rustls::client::Tls12Resumption;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const MEGABYTES: usize = 100;

#[test]
fn bytes_come_back_and_sessions_resume() {
    let echo = RealServer::echo();
    let service = encrypted(1, vec![server(1, echo.address)]);
    let own = certificate("a.example");
    let mut relay = relay(2);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let config = client(&settings());
    for (round, length) in [0, 1, 1_000, 16 << 10, (16 << 10) + 1, 300_000].iter().enumerate() {
        let mut question = vec![0; *length];
        Noise::new(*length as u64).fill(&mut question);
        let mut stream = shake(&config, "a.example", address(&service)).unwrap();
        assert_eq!(shown(&stream), own.details().fingerprint);
        assert!(common::encrypted::ask(&mut stream, &question).unwrap() == question, "{length}");
        let resumed = stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        assert_eq!(resumed, round > 0, "{length}");
    }
    let counters = until(&relay, "idle", |c| c.services[0].active == 0).services[0];
    assert_eq!((counters.tls_handshakes, counters.tls_resumed, counters.tls_failed), (6, 5, 0));
    assert_eq!((counters.bytes_in, counters.bytes_out), (333_770, 333_770));
}

/// Up, then down after the end of what went up: both directions end by themselves.
fn much_arrives_whole(service: &l7_api::Service, arrived: &mpsc::Receiver<Sum>) {
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[service], &[&own])).unwrap(), []);
    let mut stream = shake(&client(&settings()), "a.example", address(service)).unwrap();
    let (mut noise, mut sum, mut buffer) = (Noise::new(1), Sum::new(), vec![0; 1 << 20]);
    for _ in 0..MEGABYTES {
        noise.fill(&mut buffer);
        sum.add(&buffer);
        stream.write_all(&buffer).unwrap();
    }
    finish(&mut stream).unwrap();
    assert_eq!(arrived.recv_timeout(PATIENCE).unwrap(), sum);
    let received = sum_of(&mut stream).unwrap();
    let mut expected = Sum::new();
    let mut noise = Noise::new(2);
    for _ in 0..MEGABYTES {
        noise.fill(&mut buffer);
        expected.add(&buffer);
    }
    assert_eq!(received, expected);
    let counters = until(&relay, "idle", |c| c.services[0].active == 0);
    let bytes = (MEGABYTES << 20) as u64;
    assert_eq!((counters.servers[0].bytes_in, counters.servers[0].bytes_out), (bytes, bytes));
}

fn sum_of(stream: &mut impl Read) -> std::io::Result<Sum> {
    let (mut sum, mut buffer) = (Sum::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(sum),
            count => sum.add(&buffer[..count]),
        }
    }
}

fn take_and_give(stream: &mut (impl Read + Write), arrived: &mpsc::Sender<Sum>) {
    arrived.send(sum_of(stream).unwrap()).unwrap();
    let (mut noise, mut buffer) = (Noise::new(2), vec![0; 1 << 20]);
    for _ in 0..MEGABYTES {
        noise.fill(&mut buffer);
        stream.write_all(&buffer).unwrap();
    }
}

#[test]
fn much_goes_each_way_to_a_server_without_tls() {
    let (sender, arrived) = mpsc::channel();
    let plain = RealServer::new(move |mut stream| {
        take_and_give(&mut stream, &sender);
        stream.shutdown(Shutdown::Write).unwrap();
    });
    much_arrives_whole(&encrypted(1, vec![server(1, plain.address)]), &arrived);
}

#[test]
fn much_goes_each_way_to_a_server_with_tls() {
    let (sender, arrived) = mpsc::channel();
    let config = serving(&certificate("real.example"), &[]);
    let secret = RealServer::new(move |stream| {
        let mut stream = accepted(stream, &config);
        take_and_give(&mut stream, &sender);
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let reencrypt = Some(Reencryption::new(Verify::AcceptAnything));
    let service = l7_api::Service { reencrypt, ..encrypted(1, vec![server(1, secret.address)]) };
    much_arrives_whole(&service, &arrived);
}

#[test]
fn an_end_without_the_word_for_it_stays_one() {
    let config = serving(&certificate("real.example"), &[]);
    let rude = RealServer::new(move |stream| {
        let mut stream = accepted(stream, &config);
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        let _ = stream.sock.read(&mut word);
    });
    let mut service = encrypted(1, vec![server(1, rude.address)]);
    service.reencrypt = Some(Reencryption::new(Verify::AcceptAnything));
    let own = certificate("a.example");
    let mut relay = relay(1);
    relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap();
    let mut stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
    stream.write_all(b"word").unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).unwrap_err();
    assert_eq!((end.kind(), &*answer), (ErrorKind::UnexpectedEof, &b"word"[..]));
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let (sender, streams) = mpsc::channel();
    let lazy = RealServer::new(move |stream| sender.send(stream).unwrap());
    let service = encrypted(1, vec![server(1, lazy.address)]);
    let own = certificate("a.example");
    let mut relay = relay(1);
    relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap();
    let mut stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
    let mut lazy = streams.recv_timeout(PATIENCE).unwrap();
    // Nothing moves for a while: then everything is full.
    let moment = Some(std::time::Duration::from_millis(300));
    stream.sock.set_write_timeout(moment).unwrap();
    stream.sock.set_read_timeout(moment).unwrap();
    let buffer = vec![7; 64 << 10];
    let mut sent = 0;
    while sent < 64 << 20 {
        match stream.write_all(&buffer) {
            Ok(()) => sent += buffer.len(),
            Err(_) => break,
        }
    }
    assert!(sent < 64 << 20, "nobody reads, but everything is taken");
    let counters = relay.counters();
    let held = counters.services[0].bytes_in - counters.servers[0].bytes_in;
    assert!(held <= 64 << 10, "{held} bytes are held for one direction");
    // And goes on as soon as somebody reads.
    drop(stream);
    let received = sum_of(&mut lazy).map_or_else(|e| panic!("{e}"), |sum| sum.bytes);
    assert!(received as usize >= sent / 2, "{received} of {sent}");
}

#[test]
fn a_swap_of_certificates_breaks_no_handshake() {
    let echo = RealServer::echo();
    let service = encrypted(1, vec![server(1, echo.address)]);
    let certificates = [certificate("a.example"), certificate("a.example")];
    let known = certificates.clone().map(|certificate| certificate.details().fingerprint);
    let mut relay = relay(2);
    relay.apply(snapshot_with(1, &[&service], &[&certificates[0]])).unwrap();
    let to = address(&service);

    // 200 clients that have begun and not ended their handshakes.
    let config = client(&tls::client::RealServers { sessions: 0, ..settings() });
    let mut begun: Vec<_> = (0..200).map(|_| stream(&config, "a.example", to)).collect();
    for stream in &mut begun {
        stream.conn.write_tls(&mut stream.sock).unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let handshakes = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (config, stop, handshakes) = (config.clone(), stop.clone(), handshakes.clone());
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let mut stream = shake(&config, "a.example", to).unwrap();
                    assert!(known.contains(&shown(&stream)));
                    assert_eq!(common::encrypted::ask(&mut stream, b"there?").unwrap(), b"there?");
                    handshakes.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let mut generation = 2;
    while handshakes.load(SeqCst) < 300 {
        let next = &certificates[generation as usize % 2];
        relay.apply(snapshot_with(generation, &[&service], &[next])).unwrap();
        generation += 1;
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    for mut stream in begun {
        assert_eq!(common::encrypted::ask(&mut stream, b"there?").unwrap(), b"there?");
        assert!(known.contains(&shown(&stream)));
    }
    assert!(generation > 10, "only {generation} swaps");
    assert_eq!(relay.counters().services[0].tls_failed, 0);
    // After the last one, everybody gets the last one.
    relay.apply(snapshot_with(generation, &[&service], &[&certificates[1]])).unwrap();
    let stream = shake(&config, "a.example", to).unwrap();
    assert_eq!(shown(&stream), known[1]);
}

#[test]
fn a_session_outlives_a_swap_and_with_a_seed_the_proxy() {
    let echo = RealServer::echo();
    let service = encrypted(1, vec![server(1, echo.address)]);
    let (one, two) = (certificate("a.example"), certificate("a.example"));
    let seed = tls::ticket::Seed::random(rustls::pki_types::UnixTime::now()).unwrap();
    let seed = Some(l7_api::Secret(seed.to_bytes().to_vec()));
    let config = client(&settings());
    let resumes = || {
        let mut stream = shake(&config, "a.example", address(&service)).unwrap();
        common::encrypted::ask(&mut stream, b"?").unwrap();
        stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    };
    let with = |generation, certificate, seed: &Option<l7_api::Secret>| l7_api::Snapshot {
        ticket_seed: seed.clone(),
        ..snapshot_with(generation, &[&service], &[certificate])
    };
    let mut first = relay(1);
    first.apply(with(1, &one, &seed)).unwrap();
    assert!(!resumes());
    assert!(resumes());
    first.apply(with(2, &two, &seed)).unwrap();
    assert!(resumes(), "the certificate alone has changed");
    drop(first);
    let mut second = relay(1);
    second.apply(with(1, &two, &seed)).unwrap();
    assert!(resumes(), "the successor has the seed");
    drop(second);
    let mut stranger = relay(1);
    stranger.apply(with(1, &two, &None)).unwrap();
    assert!(!resumes(), "nobody else opens its tickets");
}

#[test]
fn sessions_in_memory_outlive_a_swap() {
    let echo = RealServer::echo();
    let mut service = encrypted(1, vec![server(1, echo.address)]);
    // Tickets are of no use to this client.
    let mut config = settings();
    config.mode = "1.2".parse().map(only).unwrap();
    let config = client(&config);
    let mut plain = (*config).clone();
    plain.resumption = plain.resumption.tls12_resumption(Tls12Resumption::SessionIdOnly);
    let config = Arc::new(plain);
    service.tls = Some(Termination { cached_sessions: 64, ..Termination::new(vec![1]) });
    let (one, two) = (certificate("a.example"), certificate("a.example"));
    let mut relay = relay(1);
    let resumes = || {
        let mut stream = shake(&config, "a.example", address(&service)).unwrap();
        common::encrypted::ask(&mut stream, b"?").unwrap();
        stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    };
    relay.apply(snapshot_with(1, &[&service], &[&one])).unwrap();
    assert!(!resumes());
    assert!(resumes());
    relay.apply(snapshot_with(2, &[&service], &[&two])).unwrap();
    assert!(resumes());
}

fn only(version: tls::mode::Version) -> tls::mode::Mode {
    tls::mode::Mode::Custom(tls::mode::Custom { versions: vec![version], ..Default::default() })
}

#[test]
fn names_choose_and_strangers_are_refused_if_told_so() {
    let echo = RealServer::echo();
    let (one, two) = (certificate("one.example"), certificate("two.example"));
    let mut service = service(1, vec![server(1, echo.address)]);
    service.tls = Some(Termination::new(vec![1, 2]));
    let mut relay = relay(1);
    relay.apply(snapshot_with(1, &[&service], &[&one, &two])).unwrap();
    let config = client(&settings());
    let shows = |name| shake(&config, name, address(&service)).map(|stream| shown(&stream));
    assert_eq!(shows("one.example").unwrap(), one.details().fingerprint);
    assert_eq!(shows("two.example").unwrap(), two.details().fingerprint);
    assert_eq!(shows("three.example").unwrap(), one.details().fingerprint);
    let strict = Termination { strict_names: true, ..Termination::new(vec![1, 2]) };
    let strict = l7_api::Service { tls: Some(strict), ..service.clone() };
    relay.apply(snapshot_with(2, &[&strict], &[&one, &two])).unwrap();
    assert_eq!(shows("two.example").unwrap(), two.details().fingerprint);
    let error = shows("three.example").unwrap_err().to_string();
    assert!(error.contains("alert") || error.contains("HandshakeFailure"), "{error}");
    until(&relay, "refused", |c| c.services[0].tls_failed == 1);
}

#[test]
fn a_service_may_have_ports_with_and_without() {
    let echo = RealServer::echo();
    let own = certificate("a.example");
    let mut service = encrypted(1, vec![server(1, echo.address)]);
    let second = l7_api::Listen { ports: PortRange::one(4_444), ..service.listen[0] };
    service.listen.push(second);
    let at = |port| SocketAddr::new(second.address, port);
    let (first, second) = (address(&service).port(), 4_444);
    let speaking = |ports: &[u16]| {
        let ports = ports.iter().copied().map(PortRange::one).collect();
        let tls = Some(Termination { ports, ..Termination::new(vec![1]) });
        l7_api::Service { tls, ..service.clone() }
    };
    let config = client(&settings());
    let mut relay = relay(1);
    let is_tls = |port| shake(&config, "a.example", at(port)).is_ok();
    let is_plain = |port| common::ask(at(port), b"there?").is_ok_and(|answer| answer == b"there?");
    for (generation, ports, tls) in
        [(1, &[second][..], [false, true]), (2, &[first], [true, false]), (3, &[], [true, true])]
    {
        let service = speaking(ports);
        assert_eq!(relay.apply(snapshot_with(generation, &[&service], &[&own])).unwrap(), []);
        assert_eq!([first, second].map(is_tls), tls, "TLS, {ports:?}");
        assert_eq!([first, second].map(is_plain), tls.map(|tls| !tls), "plain, {ports:?}");
    }
    let mut stream = shake(&config, "a.example", at(first)).unwrap();
    let mut still = || {
        let mut answer = [0; 6];
        stream.write_all(b"still?").and_then(|()| stream.read_exact(&mut answer)).is_ok()
    };
    assert!(still());
    relay.apply(snapshot_with(4, &[&speaking(&[second])], &[&own])).unwrap();
    assert!(still(), "it goes on as it began");
    let again = shake(&config, "a.example", at(second)).unwrap();
    assert!(again.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed), "as sessions do");
}

#[test]
fn a_broken_certificate_is_reported_and_the_old_one_stays() {
    let echo = RealServer::echo();
    let own = certificate("a.example");
    let service = encrypted(1, vec![server(1, echo.address)]);
    let fresh = encrypted(2, vec![server(2, echo.address)]);
    let plain = common::service(3, vec![server(3, echo.address)]);
    let mut relay = relay(1);
    relay.apply(snapshot_with(1, &[&service, &plain], &[&own])).unwrap();
    let mut broken = snapshot_with(2, &[&service, &fresh, &plain], &[&own]);
    broken.certificates[0].pem = l7_api::Secret(b"nonsense".to_vec());
    let problems = relay.apply(broken).unwrap();
    assert_eq!(problems.iter().map(|p| p.service).collect::<Vec<_>>(), [1, 2]);
    assert!(problems[0].reason.starts_with("certificate-1: "), "{}", problems[0].reason);
    let config = client(&settings());
    assert!(shake(&config, "a.example", address(&service)).is_ok(), "as it was");
    assert!(TcpStream::connect(address(&fresh)).is_err(), "never without its certificate");
    assert_eq!(common::ask(address(&plain), b"there?").unwrap(), b"there?");
    relay.apply(snapshot_with(3, &[&service, &fresh], &[&own])).unwrap();
    assert!(shake(&config, "a.example", address(&fresh)).is_ok());
}

#[test]
fn real_servers_are_believed_as_far_as_was_said() {
    let (good, bad) = (certificate("real.example"), certificate("real.example"));
    let config = serving(&good, &[]);
    let real = RealServer::new(move |stream| echo(accepted(stream, &config)));
    let own = certificate("a.example");
    let rule = |verify, name: &str| Reencryption {
        name: AskedName::Given(name.to_owned()),
        ..Reencryption::new(verify)
    };
    let pem = |certificate: &tls::Certificate| certificate.chain_pem().into_bytes();
    let pin = |certificate: &tls::Certificate| vec![certificate.details().fingerprint.0];
    for (rule, expected) in [
        (rule(Verify::Authorities(pem(&good)), "real.example"), true),
        (rule(Verify::Authorities(pem(&good)), "other.example"), false),
        (rule(Verify::Authorities(pem(&bad)), "real.example"), false),
        (rule(Verify::Pinned(pin(&good)), "other.example"), true),
        (rule(Verify::Pinned(pin(&bad)), "real.example"), false),
        (rule(Verify::System, "real.example"), false),
        (rule(Verify::AcceptAnything, "x.example"), true),
    ] {
        let mut service = encrypted(1, vec![server(1, real.address)]);
        service.servers[0].tls = ServerTls::Own(Box::new(rule.clone()));
        service.retries.attempts = 0;
        let mut relay = relay(1);
        assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
        let mut stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
        let answer = common::encrypted::ask(&mut stream, b"there?");
        assert_eq!(answer.is_ok_and(|a| a == b"there?"), expected, "{rule:?}");
        let failed = until(&relay, "idle", |c| c.services[0].active == 0).servers[0].tls_failed;
        assert_eq!(failed, u64::from(!expected), "{rule:?}");
    }
}

#[test]
fn another_server_takes_over_from_one_not_to_be_believed() {
    let (good, bad) = (certificate("real.example"), certificate("real.example"));
    let [good_config, bad_config] = [&good, &bad].map(|c| serving(c, &[]));
    let one = RealServer::new(move |stream| echo(accepted(stream, &bad_config)));
    let two = RealServer::new(move |stream| echo(accepted(stream, &good_config)));
    let mut service = common::service(1, vec![server(1, one.address), server(2, two.address)]);
    service.reencrypt = Some(Reencryption::new(Verify::Pinned(vec![good.details().fingerprint.0])));
    let relay = relay_of(1, &service);
    for _ in 0..6 {
        assert_eq!(common::ask(address(&service), b"there?").unwrap(), b"there?");
    }
    let counters = relay.counters();
    assert!(counters.servers[0].tls_failed >= 1 && counters.servers[1].tls_failed == 0);
}

#[test]
fn a_real_server_may_have_a_rule_of_its_own() {
    let echo = RealServer::echo();
    let mut service = common::service(1, vec![server(1, echo.address)]);
    service.reencrypt = Some(Reencryption::new(Verify::AcceptAnything));
    service.servers[0].tls = ServerTls::Plain;
    let _relay = relay_of(1, &service);
    assert_eq!(common::ask(address(&service), b"there?").unwrap(), b"there?");
}

#[test]
fn a_real_server_hears_who_its_client_is() {
    let (sender, heard) = mpsc::channel();
    let config = serving(&certificate("real.example"), &[]);
    let real = RealServer::new(move |mut stream| {
        let mut header = Vec::new();
        while decode(&header, 1024).unwrap().is_none() {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            header.push(byte[0]);
        }
        sender.send(header).unwrap();
        // The header is not part of what is encrypted.
        echo(accepted(stream, &config));
    });
    let mut service = encrypted(1, vec![server(1, real.address)]);
    service.proxy_out = ProxyOut::V2;
    service.reencrypt = Some(Reencryption::new(Verify::AcceptAnything));
    let people = People::new();
    let authorities = people.authority.clone();
    service.tls = Some(Termination {
        protocols: vec!["h2".into(), "http/1.1".into()],
        clients: ClientCertificates::Optional(ClientAuthorities { authorities, revoked: None }),
        ..Termination::new(vec![1])
    });
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    for (identity, known) in [(None, false), (Some(people.somebody.clone()), true)] {
        let protocols = vec![b"http/1.1".to_vec()];
        let config = client(&tls::client::RealServers { protocols, identity, ..settings() });
        for resumed in [false, true] {
            let mut stream = shake(&config, "a.example", address(&service)).unwrap();
            let from = stream.sock.local_addr().unwrap();
            assert_eq!(common::encrypted::ask(&mut stream, b"there?").unwrap(), b"there?");
            let header = heard.recv_timeout(PATIENCE).unwrap();
            let (Header { origin, tlvs }, _) = decode(&header, 1024).unwrap().unwrap();
            let Origin::Tcp(ends) = origin else { panic!("{origin:?}") };
            assert_eq!((ends.source, ends.destination), (from, address(&service)));
            assert_eq!(tlvs.alpn, Some(&b"http/1.1"[..]));
            assert_eq!(tlvs.authority, Some(&b"a.example"[..]));
            let said = tlvs.tls.unwrap();
            assert_eq!((said.over_tls, said.version), (true, Some(&b"TLSv1.3"[..])));
            assert_eq!((said.certificate_in_session, said.verified), (known, known));
            assert_eq!(said.certificate_in_connection, known && !resumed);
            assert_eq!(said.common_name, known.then_some(&b"somebody"[..]));
        }
    }
}

#[test]
fn who_does_not_shake_hands_in_time_is_gone() {
    let echo = RealServer::echo();
    let mut service = encrypted(1, vec![server(1, echo.address)]);
    service.timeouts.handshake_ms = 50;
    let own = certificate("a.example");
    let mut relay = relay(1);
    relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap();
    let mut silent = connect(address(&service));
    assert!(is_reset(&mut silent));
    let mut half = connect(address(&service));
    half.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    assert!(is_reset(&mut half));
    assert_eq!(relay.counters().services[0].handshake_timeout, 2);
    // Nonsense needs no patience, and nobody is asked for a server.
    let mut nonsense = connect(address(&service));
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut alert = Vec::new();
    let _ = nonsense.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21), "an alert: {alert:?}");
    until(&relay, "failed", |c| c.services[0].tls_failed == 1);
    drop(nonsense);
    until(&relay, "it is gone", |c| c.services[0].active == 0);
    assert_eq!(echo.accepted(), 0);
}

/// In TLS 1.3 it has shaken hands, for all it knows, when it is refused, and has asked already.
#[test]
fn who_is_refused_for_want_of_a_certificate_hears_so_although_it_speaks_on() {
    let echo = RealServer::echo();
    let mut service = encrypted(1, vec![server(1, echo.address)]);
    let authorities = People::new().authority;
    service.tls = Some(Termination {
        clients: ClientCertificates::Required(ClientAuthorities { authorities, revoked: None }),
        ..Termination::new(vec![1])
    });
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let mut stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
    until(&relay, "it is refused", |c| c.services[0].tls_failed == 1);
    for _ in 0..2 {
        stream.conn.writer().write_all(b"there?").unwrap();
        stream.conn.write_tls(&mut stream.sock).unwrap();
        // Time for a reset to come back.
        thread::sleep(Duration::from_millis(50));
    }
    let said = stream.read(&mut [0]).unwrap_err().to_string();
    assert!(said.contains("CertificateRequired"), "{said}");
    drop(stream);
    until(&relay, "it is gone", |c| c.services[0].active == 0);
    assert_eq!(echo.accepted(), 0);
}
