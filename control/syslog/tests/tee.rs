//! The process's logger, without making it the process's.

mod common;

use common::{any, datagram, read, settings, text};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use syslog::{Settings, Tee, Transport};

/// A logger that passes on what it got.
struct Local(Mutex<Sender<String>>);

impl Log for Local {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() != "noise"
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        self.0.lock().expect("nobody panicked").send(line).expect("the test listens");
    }

    fn flush(&self) {
        self.0.lock().expect("nobody panicked").send("flushed".into()).expect("the test listens");
    }
}

fn tee() -> (Tee, Receiver<String>) {
    let (lines, local) = channel();
    (Tee::new(Arc::new(Local(Mutex::new(lines))), LevelFilter::Info), local)
}

fn server() -> (UdpSocket, Settings) {
    let socket = UdpSocket::bind(any()).expect("loopback has ports");
    let address = socket.local_addr().expect("it has an address");
    (socket, settings(address, Transport::Udp))
}

fn log(tee: &Tee, level: Level, target: &str, text: &str) {
    let mut record = Record::builder();
    tee.log(&record.level(level).target(target).args(format_args!("{text}")).build());
}

fn servers(tee: &Tee) -> Vec<SocketAddr> {
    tee.statuses().into_iter().map(|(server, _)| server).collect()
}

#[test]
fn each_gets_what_it_wants() {
    let (tee, local) = tee();
    let (errors, mut only_errors) = server();
    only_errors.level = LevelFilter::Error;
    let (all, mut everything) = server();
    everything.level = LevelFilter::Trace;
    assert_eq!(tee.level(), LevelFilter::Info);
    tee.forward_to(vec![only_errors, everything]).expect("threads");
    assert_eq!(tee.level(), LevelFilter::Trace);

    let before = SystemTime::now();
    log(&tee, Level::Trace, "deep", "t");
    log(&tee, Level::Info, "noise", "n");
    log(&tee, Level::Info, "controld::core", "i");
    log(&tee, Level::Error, "controld::core", "e");
    tee.flush();
    let lines: Vec<_> = local.try_iter().collect();
    assert_eq!(lines, ["INFO controld::core: i", "ERROR controld::core: e", "flushed"]);
    assert_eq!(text(&datagram(&errors)), "e");
    let all: Vec<_> = (0..4).map(|_| read(&datagram(&all))).collect();
    let said = all.iter().map(|m| (m.severity, &*m.id, m.text.as_deref().unwrap_or_default()));
    let said: Vec<_> = said.collect();
    assert_eq!(
        said,
        [
            (7, "deep", "t"),
            (6, "noise", "n"),
            (6, "controld::core", "i"),
            (3, "controld::core", "e"),
        ]
    );
    let time = humantime::parse_rfc3339(&all[0].time).expect("it is a time");
    let late = time.duration_since(before).map(|late| late < common::PATIENCE);
    assert!(late.unwrap_or_else(|early| early.duration().as_micros() < 1), "{}", all[0].time);
}

#[test]
fn servers_come_stay_and_go() {
    let (tee, _local) = tee();
    let ((first, first_settings), (second, second_settings)) = (server(), server());
    let (first_address, second_address) = (first_settings.server, second_settings.server);
    tee.forward_to(vec![first_settings.clone()]).expect("a thread");
    log(&tee, Level::Info, "test", "one");
    assert_eq!(text(&datagram(&first)), "one");

    tee.forward_to(vec![second_settings.clone(), first_settings.clone()]).expect("a thread");
    log(&tee, Level::Info, "test", "two");
    let again = read(&datagram(&first));
    assert_eq!(again.data[0].1[0].1, "2", "it goes on where it was");
    assert_eq!(text(&datagram(&second)), "two");
    assert_eq!(servers(&tee), [first_address, second_address]);

    // What waits is sent before it ends.
    log(&tee, Level::Info, "test", "three");
    tee.forward_to(vec![second_settings]).expect("nothing new");
    assert_eq!(text(&datagram(&first)), "three");
    assert_eq!(servers(&tee), [second_address]);
    log(&tee, Level::Info, "test", "four");
    assert_eq!([text(&datagram(&second)), text(&datagram(&second))], ["three", "four"]);

    tee.forward_to(Vec::new()).expect("nothing new");
    assert!(tee.statuses().is_empty());
    log(&tee, Level::Info, "test", "five");
    first.set_nonblocking(true).expect("it can");
    second.set_nonblocking(true).expect("it can");
    let mut buffer = [0; 100];
    assert!(first.recv(&mut buffer).is_err() && second.recv(&mut buffer).is_err());
}

#[test]
fn news_of_a_server_stay_here() {
    let (tee, local) = tee();
    let listener = std::net::TcpListener::bind(any()).expect("loopback has ports");
    let address = listener.local_addr().expect("it has an address");
    drop(listener);
    tee.forward_to(vec![settings(address, Transport::Tcp)]).expect("a thread");
    log(&tee, Level::Warn, "test", "one");
    assert_eq!(local.recv().expect("it logs"), "WARN test: one");
    let news = local.recv_timeout(common::PATIENCE).expect("it says so");
    assert!(news.starts_with(&format!("WARN syslog: syslog server {address}: ")), "{news}");

    let listener = std::net::TcpListener::bind(address).expect("the port is free");
    let mut frames = common::Frames::new(common::accept(&listener));
    assert_eq!(frames.text(), "one");
    let news = local.recv_timeout(common::PATIENCE).expect("it says so");
    let expected = format!("INFO syslog: syslog server {address} takes messages again; 0 lost");
    assert!(news.starts_with(&expected), "{news}");
    tee.forward_to(Vec::new()).expect("nothing new");
    assert_eq!(frames.next(), None, "the server hears nothing of that");
}
