//! Connections to a server on loopback.

mod common;

use common::{Frames, PATIENCE, accept, any, at_once, read, settings, submit};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use syslog::{Forwarder, Report, Settings, Transport};

fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(any()).expect("loopback has ports");
    let address = listener.local_addr().expect("it has an address");
    (listener, address)
}

fn start(settings: Settings) -> (Forwarder, Receiver<Report>) {
    let (reports, news) = mpsc::channel();
    let report = move |report| drop(reports.send(report));
    (Forwarder::start(settings, report).expect("a thread"), news)
}

/// The next connection, made for one of as many messages as it takes: until the forwarder's kernel
/// has heard that the server closed, messages may be lost.
fn reconnected(listener: &TcpListener, forwarder: &Forwarder, text: &str) -> TcpStream {
    let listener = listener.try_clone().expect("it can be shared");
    let (accepted, connection) = mpsc::channel();
    std::thread::spawn(move || accepted.send(accept(&listener)));
    let tries = (0..400).find_map(|_| {
        submit(forwarder.handle(), text);
        connection.recv_timeout(PATIENCE / 400).ok()
    });
    tries.expect("a new connection comes")
}

fn failed(news: &Receiver<Report>) -> bool {
    matches!(news.recv_timeout(PATIENCE), Ok(Report::Failed(_)))
}

#[test]
fn messages_come_after_their_lengths() {
    let (listener, address) = server();
    let (forwarder, _) = start(settings(address, Transport::Tcp));
    submit(forwarder.handle(), "first");
    let mut stream = accept(&listener);
    stream.write_all(b"what a server says means nothing").expect("it can talk");
    let mut frames = Frames::new(stream);
    assert_eq!(frames.text(), "first");
    for (number, text) in ["Grüße", "two\nlines", "", "12 <13>1 - - - - - -"].iter().enumerate() {
        submit(forwarder.handle(), text);
        let read = read(&frames.next().expect("a message comes"));
        assert_eq!(read.text.unwrap_or_default(), text.replace('\n', "#012"));
        assert_eq!(read.data[0].1[0].1, (number + 2).to_string());
    }
    let status = forwarder.stop();
    assert_eq!((status.sent, status.lost), (5, 0));
    assert_eq!(frames.next(), None, "the connection ends with the forwarder");
}

#[test]
fn a_server_that_comes_late_gets_everything() {
    let (listener, address) = server();
    drop(listener);
    let (forwarder, news) = start(settings(address, Transport::Tcp));
    for text in ["one", "two", "three"] {
        submit(forwarder.handle(), text);
    }
    assert!(failed(&news));
    assert!(!forwarder.handle().status().up);
    let listener = TcpListener::bind(address).expect("the port is free");
    let mut frames = Frames::new(accept(&listener));
    assert_eq!([frames.text(), frames.text(), frames.text()], ["one", "two", "three"]);
    let works = news.recv_timeout(PATIENCE);
    assert!(matches!(works, Ok(Report::Works { lost: 0 })), "{works:?}");
    let status = forwarder.stop();
    assert_eq!((status.sent, status.lost, status.up), (3, 0, true));
}

#[test]
fn a_connection_that_the_server_closed_is_made_anew() {
    let (listener, address) = server();
    let (forwarder, news) = start(settings(address, Transport::Tcp));
    for number in 0..5 {
        let text = format!("message {number}");
        let mut frames = Frames::new(reconnected(&listener, &forwarder, &text));
        assert_eq!(frames.text(), text);
    }
    let reports: Vec<_> = news.try_iter().collect();
    assert!(reports.iter().any(|report| matches!(report, Report::Failed(_))), "{reports:?}");
    assert_eq!(forwarder.handle().status().lost, 0);
}

#[test]
fn what_finds_no_room_is_lost_counted_and_told() {
    let (listener, address) = server();
    drop(listener);
    let mut settings = settings(address, Transport::Tcp);
    settings.queue = 4;
    let (forwarder, news) = start(settings);
    submit(forwarder.handle(), "0");
    // Now it is in the thread's hands, and the queue is empty.
    assert!(failed(&news));
    (1..=50).for_each(|number| submit(forwarder.handle(), &number.to_string()));
    let status = forwarder.handle().status();
    assert_eq!((status.lost, status.waiting), (46, 4));

    let listener = TcpListener::bind(address).expect("the port is free");
    let mut frames = Frames::new(accept(&listener));
    let note = read(&frames.next().expect("a message comes"));
    assert_eq!((&*note.id, note.severity), ("LOST", 4));
    let text = note.text.unwrap_or_default();
    assert!(text.starts_with("46 messages were lost, 46 since the start"), "{text}");
    let rest: Vec<_> = (0..5).map(|_| frames.text()).collect();
    assert_eq!(rest, ["0", "1", "2", "3", "4"]);
    let status = forwarder.stop();
    assert_eq!((status.sent, status.lost), (5, 46));
    assert_eq!(frames.next(), None, "the same loss is not told twice");
}

#[test]
fn a_note_of_losses_that_may_not_have_arrived_is_said_again() {
    let (listener, address) = server();
    drop(listener);
    let mut settings = settings(address, Transport::Tcp);
    settings.queue = 1;
    let (forwarder, news) = start(settings);
    submit(forwarder.handle(), "0");
    assert!(failed(&news));
    (1..=3).for_each(|number| submit(forwarder.handle(), &number.to_string()));
    let listener = TcpListener::bind(address).expect("the port is free");
    let mut frames = Frames::new(accept(&listener));
    assert!(frames.text().starts_with("2 messages were lost"));
    assert_eq!([frames.text(), frames.text()], ["0", "1"]);
    drop(frames);
    let mut frames = Frames::new(reconnected(&listener, &forwarder, "4"));
    assert!(frames.text().starts_with("2 messages were lost"));
    assert_eq!(frames.text(), "4");
}

#[test]
fn a_server_that_stops_reading_is_left_and_the_message_sent_again_whole() {
    let (listener, address) = server();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).expect("it can be small");
    let mut settings = settings(address, Transport::Tcp);
    settings.timeout = Duration::from_millis(50);
    settings.message_bytes = 8192;
    settings.queue = 4096;
    let (forwarder, news) = start(settings);
    let long = "x".repeat(8192);
    (0..2000).for_each(|_| submit(forwarder.handle(), &long));
    let _silent = accept(&listener);
    assert!(failed(&news));
    // On a busy machine the sender may have lost its patience with a connection before it is read.
    let whole = || Frames::new(accept(&listener)).try_next().ok().flatten();
    let first = read(&(0..20).find_map(|_| whole()).expect("a message comes whole"));
    assert!(first.text.is_some_and(|text| text.len() > 8000));
}

#[test]
fn stopping_sends_what_waits() {
    let (listener, address) = server();
    let (forwarder, _) = start(settings(address, Transport::Tcp));
    (0..500).for_each(|number| submit(forwarder.handle(), &number.to_string()));
    let reader = std::thread::spawn(move || {
        let mut frames = Frames::new(accept(&listener));
        std::iter::from_fn(|| frames.next()).count()
    });
    let status = forwarder.stop();
    assert_eq!((status.sent, status.lost, status.waiting), (500, 0, 0));
    assert_eq!(reader.join().expect("the reader ends"), 500);
}

#[test]
fn stopping_does_not_wait_for_a_server_that_is_not_there() {
    let (listener, address) = server();
    drop(listener);
    let mut settings = settings(address, Transport::Tcp);
    settings.retry.first = Duration::from_secs(3600);
    let (forwarder, news) = start(settings);
    (0..10).for_each(|number| submit(forwarder.handle(), &number.to_string()));
    assert!(failed(&news));
    let handle = forwarder.handle().clone();
    let status = at_once(move || forwarder.stop());
    assert_eq!((status.sent, status.lost), (0, 10));
    submit(&handle, "too late");
    assert_eq!(handle.status().lost, 11);
}
