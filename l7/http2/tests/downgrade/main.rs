//! Smuggling by downgrade: heads of HTTP/2 that would be something else in HTTP/1.1. Each row is a
//! head, literally; what is passed on is read again by package `http1`, as one message.

mod rows;

#[path = "../common/mod.rs"]
mod common;

use common::{END_HEADERS, END_STREAM, HEADERS, Server, frame, section};
use http1::{BodyFraming, Exchange, Limits, RequestHead, Step};
use http2::bridge::{self, Body, Tunnels};
use http2::{By, Event, Flaw, Settings};

/// What becomes of a head.
enum Expect {
    /// The stream is reset, with this flaw.
    Flawed(Flaw),
    /// The bridge does not carry it.
    Unbridged,
    /// `http1` refuses what the bridge wrote, with this status.
    Refused(u16),
    /// It is written as this, and `http1` reads it so.
    Becomes(&'static str, Body),
}

type Row = (&'static str, &'static [(&'static str, &'static str)], bool, Expect);

const KEY: &[u8; 24] = b"AAAAAAAAAAAAAAAAAAAAAA==";

fn settings() -> Settings {
    Settings { extended_connect: true, ..Settings::default() }
}

#[test]
fn nothing_ambiguous_passes() {
    for (name, fields, end, expect) in rows::ROWS {
        let mut server = Server::greeted(settings());
        let flags = END_HEADERS | if *end { END_STREAM } else { 0 };
        let heard = server.hear(&frame(HEADERS, flags, 1, &section(fields)));
        assert_eq!(heard.broken, None, "{name}");
        match expect {
            Expect::Flawed(flaw) => {
                // Nobody knows of the stream yet, so there is no event.
                assert_eq!(heard.events, [], "{name}: {flaw:?}");
                assert_eq!(server.connection.last_flaw(), Some(*flaw), "{name}");
                let said = server.said();
                assert_eq!((said.len(), said[0].kind), (1, common::RST_STREAM), "{name}");
                assert_eq!(said[0].payload, [0, 0, 0, 1], "{name}");
            }
            _ => passed(name, &mut server, heard.events, *end, expect),
        }
    }
}

fn passed(name: &str, server: &mut Server, events: Vec<Event>, end: bool, expect: &Expect) {
    let [Event::Head { end: told, .. }] = events[..] else { panic!("{name}: {events:?}") };
    assert_eq!(told, end, "{name}");
    let mut out = Vec::new();
    let body = bridge::write_request(&server.head, end, Tunnels::WebSocket(KEY), &mut out);
    let text = out.escape_ascii().to_string();
    let read = || read(&out);
    match (expect, body) {
        (Expect::Unbridged, Err(_)) => assert!(out.is_empty(), "{name}"),
        (Expect::Refused(status), Ok(_)) => assert_eq!(read(), Err(*status), "{name}: {text}"),
        (Expect::Becomes(expected, expected_body), Ok(body)) => {
            assert_eq!(text, expected.escape_default().to_string(), "{name}");
            assert_eq!(body, *expected_body, "{name}");
            let framing = match body {
                Body::None | Body::Tunnel => BodyFraming::None,
                Body::Length(length) => BodyFraming::Length(length),
                Body::Chunked => BodyFraming::Chunked,
            };
            assert_eq!(read(), Ok((out.len(), framing)), "{name}");
        }
        (_, body) => panic!("{name}: {body:?}, {text}"),
    }
}

/// How `http1` reads it: where the head ends, and how its body does.
fn read(bytes: &[u8]) -> Result<(usize, BodyFraming), u16> {
    let (mut head, mut out) = (RequestHead::default(), Vec::new());
    let step = Exchange::new(Limits::default()).client(bytes, &mut head, &mut out);
    match step.map_err(|refusal| refusal.status())? {
        Step::Head => {
            let mut exchange = Exchange::new(Limits::default());
            let len = exchange.answer_here(&head).0;
            Ok((len, head.framing()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flaw_in_a_response_is_told() {
    let mut head = http2::Head::default();
    let rows: [(&[(&str, &str)], Flaw); 12] = [
        (&[(":status", "101")], Flaw::Status),
        (&[(":status", "99")], Flaw::Status),
        (&[(":status", "20")], Flaw::Status),
        (&[(":status", "2000")], Flaw::Status),
        (&[(":status", "+20")], Flaw::Status),
        (&[("server", "x")], Flaw::PseudoMissing),
        (&[(":status", "200"), (":path", "/")], Flaw::UnknownPseudo),
        (&[(":status", "200"), (":status", "200")], Flaw::PseudoRepeated),
        (&[(":status", "200"), ("connection", "close")], Flaw::ConnectionSpecific),
        (&[(":status", "200"), ("transfer-encoding", "chunked")], Flaw::ConnectionSpecific),
        (&[(":status", "200"), ("x", "a\r\nset-cookie: b")], Flaw::Value),
        (
            &[(":status", "200"), ("content-length", "1"), ("content-length", "1")],
            Flaw::ContentLength,
        ),
    ];
    for (fields, flaw) in rows {
        let mut client = http2::Connection::client(Settings::default());
        let request = http2::Request {
            method: b"GET",
            scheme: b"http",
            authority: b"a",
            path: b"/",
            protocol: None,
        };
        let none = std::iter::empty::<(&[u8], &[u8])>();
        let stream = client.request(&request, none, true).unwrap();
        let mut bytes = frame(common::SETTINGS, 0, 0, &[]);
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &section(fields)));
        let heard = common::hear(&mut client, &mut head, &bytes);
        let reset =
            Event::Reset { stream, code: http2::Code::PROTOCOL_ERROR, by: By::Us(Some(flaw)) };
        assert_eq!(heard.events.last(), Some(&reset), "{fields:?}");
    }
}
