//! Whatever octets arrive: nothing panics, memory stays bounded, what is told is told in order,
//! and each head that is told is one that `http1` takes as one message.
//!
//! Each target runs for a second; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p http2 --test
//! fuzz` for as long as wanted. A failure prints the input that makes it fail again.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::*;
use http2::bridge::{self, Tunnels};
use http2::{Connection, Event, Head, Request, Settings, StreamId};

const KEY: &[u8; 24] = b"AAAAAAAAAAAAAAAAAAAAAA==";

fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

/// Frames made of what matters: each octet of the input is a frame, or octets in between.
/// `bare` and `open` are the sections of a head without a body and of one with a body.
fn worded(input: &[u8], bare: &[u8], open: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = 1u32;
    for (at, &octet) in input.iter().enumerate() {
        let extra = &input[at..(at + usize::from(octet % 16)).min(input.len())];
        let literal = |name: &str| {
            let mut block = section(&[(name, "")]);
            block.pop();
            block.push(extra.len() as u8);
            [open, &block, extra].concat()
        };
        match octet % 24 {
            0 => bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, bare)),
            1 => bytes.extend(frame(HEADERS, END_HEADERS, stream, open)),
            2 => bytes.extend(frame(HEADERS, END_HEADERS, stream, &literal("x"))),
            3 => bytes.extend(frame(HEADERS, END_HEADERS, stream, &literal("content-length"))),
            4 => bytes.extend(frame(HEADERS, END_HEADERS, stream, &literal("cookie"))),
            5 => bytes.extend(frame(HEADERS, END_STREAM, stream, &bare[..1])),
            6 => bytes.extend(frame(CONTINUATION, END_HEADERS, stream, &bare[1..])),
            7 => bytes.extend(frame(HEADERS, octet >> 4, stream, extra)),
            8 => bytes.extend(frame(HEADERS, END_HEADERS, stream, &[open, extra].concat())),
            9 => bytes.extend(frame(DATA, 0, stream, extra)),
            10 => bytes.extend(frame(DATA, END_STREAM, stream, extra)),
            11 => bytes.extend(frame(DATA, PADDED | octet >> 7, stream, extra)),
            12 => bytes.extend(frame(RST_STREAM, 0, stream, &[0; 4])),
            13 => bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[octet >> 1, 0, 0, octet])),
            14 => bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0, 0, octet, 0])),
            15 => bytes.extend(frame(SETTINGS, 0, 0, &[0, octet >> 5, 0, 0, octet, 0])),
            16 => bytes.extend(frame(PING, octet >> 7, 0, &[0; 8])),
            17 => bytes.extend(frame(octet >> 4, octet, stream, extra)),
            18 => stream += 2,
            19 => stream = u32::from(octet >> 3),
            20 => {
                bytes.extend(frame(HEADERS, 5, stream, &[&[0x40, 1, b'x', 1, b'y'], bare].concat()))
            }
            21 => bytes.extend(frame(HEADERS, 5, stream, &[bare, &[0xbe]].concat())),
            22 => bytes.extend(frame(SETTINGS, ACK, 0, &[])),
            _ => bytes.push(octet),
        }
    }
    bytes
}

/// What may still be told of a stream.
#[derive(Default)]
struct Told {
    ended: bool,
    octets: u64,
    length: Option<u64>,
}

/// Checks that what a server tells is a sequence of messages.
#[derive(Default)]
struct Checker {
    told: BTreeMap<StreamId, Told>,
}

impl Checker {
    fn check(&mut self, event: &Event, head: &Head) {
        match event {
            Event::Head { stream, end } => {
                let told = Told { ended: *end, octets: 0, length: head.content_length() };
                assert!(self.told.insert(*stream, told).is_none());
                check_bridge(head, *end);
            }
            Event::Data { stream, data, end } => {
                let told = self.told.get_mut(stream).expect("a head before DATA");
                assert!(!told.ended);
                told.octets += data.len() as u64;
                told.ended = *end;
                let whole = told.length.is_none_or(|length| length == told.octets);
                assert!(whole || !end);
            }
            Event::Trailers { stream } => {
                let told = self.told.get_mut(stream).expect("a head before trailers");
                assert!(!std::mem::replace(&mut told.ended, true));
            }
            Event::Reset { stream, .. } => {
                self.told.get_mut(stream).expect("a head before a reset").ended = true;
            }
            _ => {}
        }
    }
}

/// What the bridge writes is one head to the last octet, or refused as a whole.
fn check_bridge(head: &Head, end: bool) {
    let mut out = Vec::new();
    if bridge::write_request(head, end, Tunnels::WebSocket(KEY), &mut out).is_err() {
        return;
    }
    let mut exchange = http1::Exchange::new(http1::Limits::default());
    let mut parsed = http1::RequestHead::default();
    match exchange.client(&out, &mut parsed, &mut Vec::new()) {
        Ok(http1::Step::Head) => assert_eq!(exchange.answer_here(&parsed).0, out.len()),
        Ok(step) => panic!("{step:?}: {}", out.escape_ascii()),
        Err(_) => {}
    }
}

#[test]
fn servers() {
    bolero::check!().with_test_time(time()).with_max_len(200).for_each(|input: &[u8]| {
        let Some((&piece, input)) = input.split_first() else { return };
        let bytes = worded(input, GET, POST);
        let mut server =
            Server::greeted(Settings { extended_connect: true, ..Settings::default() });
        let mut checker = Checker::default();
        'all: for piece in bytes.chunks(usize::from(piece).max(1)) {
            let mut rest = piece;
            loop {
                let Ok(step) = server.connection.receive(rest, &mut server.head) else {
                    break 'all;
                };
                rest = &rest[step.taken..];
                let Some(event) = step.event else { break };
                checker.check(&event, &server.head);
                answer(&mut server.connection, &event);
            }
        }
        assert!(server.connection.memory() < 200_000);
        frames(server.connection.output());
    });
}

/// Answers some, gives back what came.
fn answer(connection: &mut Connection, event: &Event) {
    match event {
        Event::Head { stream, end: true } if stream.number() % 4 == 1 => {
            let fields = [(&b"Content-Length"[..], &b"5"[..])];
            let _ = connection.respond(*stream, 200, fields, false);
            let _ = connection.send_data(*stream, b"hello", true);
        }
        Event::Data { stream, data, .. } => connection.give_back(*stream, data.len()),
        Event::Room { stream: Some(stream) } => {
            let _ = connection.send_data(*stream, b"more", false);
        }
        _ => {}
    }
}

#[test]
fn clients() {
    bolero::check!().with_test_time(time()).with_max_len(200).for_each(|input: &[u8]| {
        let mut bytes = frame(SETTINGS, 0, 0, &[]);
        // `:status: 200`, with and without a length.
        bytes.extend(worded(input, b"\x88", b"\x88\x0f\x0d\x015"));
        let mut client = Connection::client(Settings::default());
        let request = Request {
            method: b"GET",
            scheme: b"http",
            authority: b"a",
            path: b"/",
            protocol: None,
        };
        for _ in 0..4 {
            client.request(&request, std::iter::empty::<http2::Field>(), true).unwrap();
        }
        let mut head = Head::default();
        let heard = hear(&mut client, &mut head, &bytes);
        let mut ended = BTreeSet::new();
        for event in &heard.events {
            let (stream, ends) = match event {
                Event::Head { stream, end } | Event::Data { stream, end, .. } => (stream, *end),
                Event::Trailers { stream } | Event::Reset { stream, .. } => (stream, true),
                _ => continue,
            };
            assert!(!ended.contains(stream), "{:?}", heard.events);
            if ends {
                ended.insert(*stream);
            }
        }
        let mut out = Vec::new();
        if heard.events.iter().any(|event| matches!(event, Event::Head { .. })) {
            bridge::write_response(&head, true, false, &mut out);
        }
        assert!(client.memory() < 200_000);
    });
}
