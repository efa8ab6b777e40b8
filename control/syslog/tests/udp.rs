//! Datagrams to a server on loopback.

mod common;

use common::{PATIENCE, any, at_once, datagram, read, settings, submit, text};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use syslog::{Forwarder, Report, Severity, Transport};

fn server() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(any()).expect("loopback has ports");
    let address = socket.local_addr().expect("it has an address");
    (socket, address)
}

#[test]
fn every_message_is_a_datagram() {
    let (server, address) = server();
    let forwarder = Forwarder::start(settings(address, Transport::Udp), drop).expect("a thread");
    let time = UNIX_EPOCH + Duration::from_millis(1_500);
    let handle = forwarder.handle();
    handle.submit(Severity::Error, time, "controld::core", format_args!("web{} is down", 1));
    assert_eq!(
        datagram(&server),
        "<27>1 1970-01-01T00:00:01.500000Z lb1.example.com fulcrum-control 4711 controld::core \
         [meta sequenceId=\"1\"][origin software=\"fulcrum-control\" swVersion=\"0.1.0\"] \
         web1 is down"
    );
    for number in 2..100 {
        submit(handle, &format!("message {number}"));
        let read = read(&datagram(&server));
        assert_eq!(read.text, Some(format!("message {number}")));
        assert_eq!(read.data[0].1, [("sequenceId".to_owned(), number.to_string())]);
    }
    let status = forwarder.stop();
    assert_eq!((status.sent, status.lost, status.waiting, status.up), (99, 0, 0, true));
}

#[test]
fn a_long_message_loses_its_end_only() {
    let (server, address) = server();
    let mut settings = settings(address, Transport::Udp);
    for (asked, limit) in [(0, 1024), (1500, 1500), (1 << 30, 8192)] {
        settings.message_bytes = asked;
        let forwarder = Forwarder::start(settings.clone(), drop).expect("a thread");
        submit(forwarder.handle(), &"x".repeat(10_000));
        let line = datagram(&server);
        assert!(line.len() <= limit && line.len() + 8 > limit, "{} for {asked}", line.len());
        read(&line);
    }
}

#[test]
fn nobody_listens_for_a_while() {
    let (server, address) = server();
    let (reports, news) = mpsc::channel();
    let report = move |report| reports.send(report).expect("the test listens");
    let forwarder = Forwarder::start(settings(address, Transport::Udp), report).expect("a thread");
    submit(forwarder.handle(), "before");
    assert_eq!(text(&datagram(&server)), "before");
    drop(server);
    // The kernel hears that nobody listens after a datagram, and tells with a later one.
    let failed = (0..1000).find_map(|_| {
        submit(forwarder.handle(), "into the void");
        news.recv_timeout(Duration::from_millis(20)).ok()
    });
    assert!(matches!(failed, Some(Report::Failed(_))), "{failed:?}");

    let server = UdpSocket::bind(address).expect("the port is free again");
    server.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket waits");
    let mut buffer = [0; 8192];
    let arrived = (0..1000).any(|_| {
        submit(forwarder.handle(), "after");
        server.recv(&mut buffer).is_ok()
    });
    assert!(arrived, "nothing comes any more");
    let first = std::str::from_utf8(&buffer).expect("it is UTF-8").trim_end_matches('\0');
    let mut texts = vec![text(first)];
    while texts.last().is_none_or(|text| text != "after") {
        texts.push(text(&datagram(&server)));
    }
    let told = texts.iter().any(|text| text.contains("messages were lost"));
    assert!(told && forwarder.handle().status().lost > 0, "{texts:?}");
    let works = std::iter::from_fn(|| news.recv_timeout(PATIENCE).ok())
        .find_map(|report| if let Report::Works { lost } = report { Some(lost) } else { None });
    assert!(works.is_some_and(|lost| lost > 0), "{works:?}");
}

#[test]
fn who_logs_does_not_wait_and_losses_are_told() {
    // A closed port: no message gets further than the queue for long.
    let (socket, address) = server();
    drop(socket);
    let mut settings = settings(address, Transport::Udp);
    settings.queue = 4;
    settings.retry.first = Duration::from_secs(3600);
    settings.retry.most = Duration::from_secs(3600);
    let forwarder = Forwarder::start(settings, drop).expect("a thread");
    let handle = forwarder.handle().clone();
    let status = at_once(move || {
        for _ in 0..10_000 {
            handle.submit(Severity::Notice, SystemTime::now(), "test", format_args!("x"));
        }
        handle.status()
    });
    assert!(status.lost > 0 && status.waiting <= 4, "{status:?}");
    let status = forwarder.stop();
    assert_eq!(status.sent + status.lost, 10_000, "every message has a fate: {status:?}");
}
