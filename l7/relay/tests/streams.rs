//! What goes in comes out: bytes, ends and resets, both ways.

mod common;
use common::*;
use l7_api::Server;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

#[test]
fn bytes_come_back() {
    let echo = RealServer::echo();
    let service = service(1, vec![server(1, echo.address)]);
    let relay = relay_of(2, &service);
    for length in [0, 1, 1_000, 16 << 10, (16 << 10) + 1, 300_000] {
        let mut question = vec![0; length];
        Noise::new(length as u64).fill(&mut question);
        // The echo writes while we do: more than the sockets hold would block both of us.
        assert_eq!(ask(address(&service), &question).unwrap(), question, "{length} bytes");
    }
    let counters = until(&relay, "idle", |c| c.services[0].active == 0);
    let service = counters.services[0];
    assert_eq!((service.accepted, service.bytes_in, service.bytes_out), (6, 333_770, 333_770));
    let server = counters.servers[0];
    assert_eq!((server.connected, server.bytes_in, server.bytes_out), (6, 333_770, 333_770));
}

#[test]
fn a_real_server_without_a_port_has_the_one_the_client_came_to() {
    let echo = RealServer::echo();
    let mut service = service(1, vec![Server::new(1, "blank", echo.address.ip(), None)]);
    service.listen[0].ports = l7_api::PortRange::one(echo.address.port());
    let _relay = relay_of(1, &service);
    let to = (service.listen[0].address, echo.address.port()).into();
    assert_eq!(ask(to, b"where am I?").unwrap(), b"where am I?");
}

#[test]
fn a_client_that_has_ended_still_gets_the_answer() {
    // The answer comes only after the end of the question.
    let late = RealServer::new(|mut stream| {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        stream.write_all(&question.repeat(1_000)).unwrap();
    });
    let service = service(1, vec![server(1, late.address)]);
    let _relay = relay_of(1, &service);
    assert_eq!(ask(address(&service), b"question").unwrap(), b"question".repeat(1_000));
}

#[test]
fn a_server_that_has_ended_still_gets_the_rest() {
    let (sender, rest) = std::sync::mpsc::channel();
    let early = RealServer::new(move |mut stream| {
        stream.write_all(b"answer").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        sender.send(rest).unwrap();
    });
    let service = service(1, vec![server(1, early.address)]);
    let _relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
    client.write_all(b"and so on").unwrap();
    drop(client);
    assert_eq!(rest.recv_timeout(PATIENCE).unwrap(), b"and so on");
}

#[test]
fn a_reset_is_passed_on() {
    let (sender, ends) = std::sync::mpsc::channel();
    let server_ = RealServer::new(move |mut stream| {
        stream.write_all(b"!").unwrap();
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => reset(stream),
            end => sender.send(end).unwrap(),
        }
    });
    let service = service(1, vec![server(1, server_.address)]);
    let relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    client.read_exact(&mut [0]).unwrap();
    reset(client);
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);

    let mut client = connect(address(&service));
    client.read_exact(&mut [0]).unwrap();
    client.write_all(b"?").unwrap();
    let end = client.read(&mut [0]);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let counters = until(&relay, "idle", |c| c.services[0].active == 0);
    assert_eq!((counters.services[0].client_reset, counters.servers[0].server_reset), (1, 1));
}

#[test]
fn what_a_server_says_before_it_resets_is_heard() {
    // It closes with the question unread: its kernel sends the answer and then a reset.
    let rude = RealServer::new(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"go away").unwrap();
    });
    let service = service(1, vec![server(1, rude.address)]);
    let _relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    client.write_all(b"a question of some length").unwrap();
    let mut answer = [0; 7];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"go away");
}

#[test]
fn much_goes_both_ways_at_once_and_arrives_whole() {
    const BYTES: usize = 200 << 20;
    let (sender, arrived) = std::sync::mpsc::channel();
    let server_ = RealServer::new(move |stream| {
        let reader = stream.try_clone().unwrap();
        let sent = thread::spawn(move || send_noise(stream, 2, BYTES));
        sender.send(sum_of(reader)).unwrap();
        sent.join().unwrap();
    });
    let service = service(1, vec![server(1, server_.address)]);
    let relay = relay_of(1, &service);
    let client = connect(address(&service));
    let reader = client.try_clone().unwrap();
    let sent = thread::spawn(move || send_noise(client, 1, BYTES));
    let received = sum_of(reader);
    let mut expected = Sum::new();
    replay(2, BYTES, &mut expected);
    assert_eq!(received, expected);
    sent.join().unwrap();
    let mut expected = Sum::new();
    replay(1, BYTES, &mut expected);
    assert_eq!(arrived.recv_timeout(PATIENCE).unwrap(), expected);
    let counters = until(&relay, "idle", |c| c.services[0].active == 0);
    let both = (counters.servers[0].bytes_in, counters.servers[0].bytes_out);
    assert_eq!(both, (BYTES as u64, BYTES as u64));
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let (sender, streams) = std::sync::mpsc::channel();
    let lazy = RealServer::new(move |stream| sender.send(stream).unwrap());
    let service = service(1, vec![server(1, lazy.address)]);
    let relay = relay_of(1, &service);
    let mut client = connect(address(&service));
    let mut stream = streams.recv_timeout(PATIENCE).unwrap();
    // Until nothing has moved for a while.
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut noise, mut buffer) = (Noise::new(1), vec![0; 64 << 10]);
    let (mut sent, mut rest) = (Sum::new(), Vec::new());
    while rest.is_empty() {
        noise.fill(&mut buffer);
        let mut written = 0;
        while written < buffer.len() {
            match client.write(&buffer[written..]) {
                Ok(count) => written += count,
                Err(_) => break,
            }
        }
        sent.add(&buffer[..written]);
        rest = buffer[written..].to_vec();
        assert!(sent.bytes < 64 << 20, "nobody reads, but everything is taken");
    }
    let counters = relay.counters();
    let held = counters.services[0].bytes_in - counters.servers[0].bytes_in;
    assert!(held <= 1 << 20, "{held} bytes are held for one direction");
    drop(client);
    let mut received = Sum::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        received.add(&buffer[..count]);
    }
    assert_eq!(received, sent);
}

fn send_noise(mut stream: TcpStream, seed: u64, bytes: usize) {
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..bytes / buffer.len() {
        noise.fill(&mut buffer);
        stream.write_all(&buffer).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

fn replay(seed: u64, bytes: usize, sum: &mut Sum) {
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..bytes / buffer.len() {
        noise.fill(&mut buffer);
        sum.add(&buffer);
    }
}

fn sum_of(mut stream: TcpStream) -> Sum {
    let mut sum = Sum::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return sum,
            count => sum.add(&buffer[..count]),
        }
    }
}

fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}
