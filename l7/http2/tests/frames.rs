//! Errors of frames and streams, RFC 9113 sections 3 to 6: what a conformance suite would try, with
//! the code it is owed.

mod common;

use common::*;
use http2::{Code, Event, Reason, Settings};

/// What the server does.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// GOAWAY with this code, for this reason.
    Ends(Reason),
    /// RST_STREAM of this stream with this code.
    Resets(u32, Code),
    /// Nothing of both.
    Goes,
}
use Answer::{Ends, Goes, Resets};

/// What a server answers to these frames behind the preface; all at once, and octet by octet.
fn answer(bytes: &[u8]) -> Answer {
    let whole = answer_of(bytes, bytes.len().max(1));
    assert_eq!(whole, answer_of(bytes, 1), "octet by octet");
    assert_eq!(whole, answer_of(bytes, 7), "seven octets at a time");
    whole
}

fn answer_of(bytes: &[u8], piece: usize) -> Answer {
    let mut server = Server::greeted(Settings::default());
    let mut broken = None;
    for piece in bytes.chunks(piece) {
        let heard = server.hear(piece);
        broken = heard.broken;
        if broken.is_some() {
            break;
        }
    }
    let said = server.said();
    if let Some(broken) = broken {
        let last = said.last().expect("GOAWAY");
        assert_eq!(last.kind, GOAWAY);
        assert_eq!(last.payload[4..8], broken.reason.code().0.to_be_bytes());
        assert_eq!(server.connection.counts().of(broken.reason), 1);
        assert!(server.connection.is_done());
        return Ends(broken.reason);
    }
    let reset = said.iter().find(|frame| frame.kind == RST_STREAM);
    let code = |frame: &Frame| Code(u32::from_be_bytes(frame.payload[..].try_into().unwrap()));
    reset.map_or(Goes, |frame| Resets(frame.stream, code(frame)))
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST)
}

fn settings(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

#[test]
fn the_preface() {
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Some(Reason::Preface)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", Some(Reason::Preface)),
        (b"PRI * HTTP", None),
    ] {
        let mut server = Server::new(Settings::default());
        assert_eq!(server.hear(bytes).broken.map(|broken| broken.reason), reason);
        assert!(server.connection.is_amid_head());
    }
    // Whatever comes behind it is SETTINGS, and no acknowledgement.
    for first in [get(1), frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, ACK, 0, &[]), window(0, 1)] {
        let mut server = Server::new(Settings::default());
        let broken = server.hear(&[PREFACE, &first].concat()).broken;
        assert_eq!(broken.map(|broken| broken.reason), Some(Reason::Preface));
    }
}

#[test]
fn settings_are_said_first_and_acknowledged() {
    let bounds = Settings { streams: 7, stream_window: 99, head: 1_000, ..Settings::default() };
    let mut server = Server::new(bounds);
    let said = server.said();
    let expected = [&[0, 3, 0, 0, 0, 7][..], &[0, 4, 0, 0, 0, 99], &[0, 6, 0, 0, 3, 232]].concat();
    assert_eq!((said[0].kind, &said[0].payload), (SETTINGS, &expected));
    assert_eq!((said[1].kind, said[1].stream), (WINDOW_UPDATE, 0));
    server.hear(PREFACE);
    assert_eq!(server.hear(&settings(4, 5)).events, [Event::Settings]);
    assert_eq!(server.said(), frames(&frame(SETTINGS, ACK, 0, &[])));
}

#[test]
fn sizes_and_places_of_frames() {
    let long = vec![0; 16_385];
    for (what, bytes, expected) in [
        ("DATA too long", [post(1), frame(DATA, 0, 1, &long)].concat(), Ends(Reason::FrameSize)),
        ("HEADERS too long", frame(HEADERS, 4, 1, &long), Ends(Reason::FrameSize)),
        ("an unknown frame too long", frame(99, 0, 0, &long), Ends(Reason::FrameSize)),
        ("an unknown frame", frame(99, 255, 77, b"abc"), Goes),
        ("DATA on stream 0", frame(DATA, 0, 0, b"a"), Ends(Reason::StreamId)),
        ("HEADERS on stream 0", frame(HEADERS, 5, 0, GET), Ends(Reason::StreamId)),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5]), Ends(Reason::StreamId)),
        ("PRIORITY too short", frame(PRIORITY, 0, 1, &[0; 4]), Ends(Reason::FrameSize)),
        ("PRIORITY on an idle stream", frame(PRIORITY, 0, 9, &[0, 0, 0, 1, 5]), Goes),
        ("PRIORITY on itself", frame(PRIORITY, 0, 9, &[0, 0, 0, 9, 5]), Ends(Reason::Dependency)),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4]), Ends(Reason::StreamId)),
        (
            "RST_STREAM too short",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Ends(Reason::FrameSize),
        ),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Ends(Reason::StreamId)),
        ("SETTINGS of 5 octets", frame(SETTINGS, 0, 0, &[0; 5]), Ends(Reason::FrameSize)),
        (
            "an acknowledgement that says something",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Ends(Reason::FrameSize),
        ),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), Ends(Reason::StreamId)),
        ("PING of 6 octets", frame(PING, 0, 0, &[0; 6]), Ends(Reason::FrameSize)),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Ends(Reason::StreamId)),
        ("GOAWAY too short", frame(GOAWAY, 0, 0, &[0; 7]), Ends(Reason::FrameSize)),
        ("GOAWAY", frame(GOAWAY, 0, 0, &[0; 12]), Goes),
        ("WINDOW_UPDATE too short", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Ends(Reason::FrameSize)),
        ("PUSH_PROMISE", frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]), Ends(Reason::Push)),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
}

#[test]
fn settings_out_of_range() {
    for (what, bytes, expected) in [
        ("push of 2", settings(2, 2), Ends(Reason::Setting)),
        ("push of 1", settings(2, 1), Goes),
        ("a window beyond the largest", settings(4, 1 << 31), Ends(Reason::SettingWindow)),
        ("the largest window", settings(4, (1 << 31) - 1), Goes),
        ("frames too small", settings(5, 16_383), Ends(Reason::Setting)),
        ("frames too large", settings(5, 1 << 24), Ends(Reason::Setting)),
        ("frames as large as can be", settings(5, (1 << 24) - 1), Goes),
        ("an unknown setting", settings(99, 1 << 31), Goes),
        ("extended CONNECT of 2", settings(8, 2), Ends(Reason::Setting)),
        (
            "a window that lifts another beyond the largest",
            [post(1), window(1, (1 << 31) - 65_536), settings(4, 65_536)].concat(),
            Ends(Reason::WindowOverflow),
        ),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
}

#[test]
fn windows() {
    let most = (1u32 << 31) - 1;
    for (what, bytes, expected) in [
        ("the connection's by 0", window(0, 0), Ends(Reason::WindowZero)),
        ("a stream's by 0", [post(1), window(1, 0)].concat(), Resets(1, Code::PROTOCOL_ERROR)),
        ("the connection's beyond the largest", window(0, most), Ends(Reason::WindowOverflow)),
        (
            "a stream's beyond the largest",
            [post(1), window(1, most)].concat(),
            Resets(1, Code::FLOW_CONTROL_ERROR),
        ),
        (
            "to the largest",
            [window(0, most - 65_535), post(1), window(1, most - 65_535)].concat(),
            Goes,
        ),
        ("the reserved bit", window(0, (1 << 31) + 1), Goes),
        ("an idle stream's", window(1, 1), Ends(Reason::Idle)),
        (
            "a closed stream's",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 4]), window(1, 1)].concat(),
            Goes,
        ),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
    // Four frames fit a window of 65,535 but for an octet.
    let full = [post(1), frame(DATA, 0, 1, &[0; 16_384]).repeat(4)].concat();
    assert_eq!(answer(&full), Resets(1, Code::FLOW_CONTROL_ERROR));
    assert_eq!(answer(&full[..full.len() - 16_393]), Goes);
}

#[test]
fn states_of_streams() {
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let data = |stream| frame(DATA, 0, stream, b"abc");
    for (what, bytes, expected) in [
        ("DATA on an idle stream", data(1), Ends(Reason::Idle)),
        ("RST_STREAM on an idle stream", reset(1), Ends(Reason::Idle)),
        ("DATA on a stream of ours", data(2), Ends(Reason::Idle)),
        ("HEADERS on a stream of ours", get(2), Ends(Reason::Order)),
        ("HEADERS below the last", [get(5), get(3)].concat(), Ends(Reason::Order)),
        ("DATA behind the end", [get(1), data(1)].concat(), Resets(1, Code::STREAM_CLOSED)),
        ("HEADERS behind the end", [get(1), get(1)].concat(), Resets(1, Code::STREAM_CLOSED)),
        (
            "DATA behind RST_STREAM",
            [post(1), reset(1), data(1)].concat(),
            Resets(1, Code::STREAM_CLOSED),
        ),
        ("HEADERS behind RST_STREAM", [post(1), reset(1), get(1)].concat(), Ends(Reason::Closed)),
        (
            "a second head that does not end",
            [post(1), post(1)].concat(),
            Resets(1, Code::PROTOCOL_ERROR),
        ),
        (
            "trailers with pseudo-fields",
            [post(1), get(1)].concat(),
            Resets(1, Code::PROTOCOL_ERROR),
        ),
        ("trailers", [post(1), frame(HEADERS, 5, 1, &section(&[("x", "y")]))].concat(), Goes),
        (
            "trailers that frame",
            [post(1), frame(HEADERS, 5, 1, &section(&[("content-length", "0")]))].concat(),
            Resets(1, Code::PROTOCOL_ERROR),
        ),
        (
            "a stream that depends on itself",
            frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 1, 9][..], GET].concat()),
            Ends(Reason::Dependency),
        ),
        (
            "a stream that depends on another",
            frame(HEADERS, 0x25, 3, &[&[0, 0, 0, 1, 9][..], GET].concat()),
            Goes,
        ),
        ("a priority that is cut", frame(HEADERS, 0x25, 1, &[0; 4]), Ends(Reason::FrameSize)),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
}

#[test]
fn padding() {
    for (what, bytes, expected) in [
        (
            "DATA as long as its padding",
            [post(1), frame(DATA, PADDED, 1, &[3, 0, 0])].concat(),
            Ends(Reason::Padding),
        ),
        ("DATA of padding alone", [post(1), frame(DATA, PADDED, 1, &[2, 0, 0])].concat(), Goes),
        (
            "DATA without the length of its padding",
            [post(1), frame(DATA, PADDED, 1, &[])].concat(),
            Ends(Reason::FrameSize),
        ),
        (
            "HEADERS shorter than their padding",
            frame(HEADERS, 0xd, 1, &[9, 0x82]),
            Ends(Reason::Padding),
        ),
        ("HEADERS with padding", frame(HEADERS, 0xd, 1, &[&[2][..], GET, &[0, 0]].concat()), Goes),
        (
            "HEADERS without the length of their padding",
            frame(HEADERS, 0xd, 1, &[]),
            Ends(Reason::FrameSize),
        ),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
    for piece in [1, 3, 100] {
        let mut server = Server::greeted(Settings::default());
        server.hear(&post(1));
        let bytes = frame(DATA, PADDED | END_STREAM, 1, b"\x04hello\0\0\0\0");
        let (mut data, mut ends) = (Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            let heard = server.hear(piece);
            data.extend(heard.data);
            ends +=
                heard.events.iter().filter(|e| matches!(e, Event::Data { end: true, .. })).count();
        }
        assert_eq!((&data[..], ends), (&b"hello"[..], 1));
        assert_eq!(server.hear(&frame(PING, 0, 0, &[1; 8])).broken, None);
        assert_eq!(server.said(), frames(&frame(PING, ACK, 0, &[1; 8])));
    }
}

#[test]
fn field_sections_in_pieces() {
    let begun = |stream| frame(HEADERS, END_STREAM, stream, &GET[..2]);
    let more = |stream| frame(CONTINUATION, END_HEADERS, stream, &GET[2..]);
    for (what, bytes, expected) in [
        ("in two", [begun(1), more(1)].concat(), Goes),
        ("on another stream", [begun(1), more(3)].concat(), Ends(Reason::Continuation)),
        ("from nowhere", more(1), Ends(Reason::Continuation)),
        ("behind a whole one", [get(1), more(1)].concat(), Ends(Reason::Continuation)),
        (
            "interrupted by PING",
            [begun(1), frame(PING, 0, 0, &[0; 8])].concat(),
            Ends(Reason::Continuation),
        ),
        (
            "interrupted by DATA",
            [post(1), begun(3), frame(DATA, 0, 1, b"a")].concat(),
            Ends(Reason::Continuation),
        ),
        ("interrupted by HEADERS", [begun(1), get(3)].concat(), Ends(Reason::Continuation)),
        (
            "interrupted by an unknown frame",
            [begun(1), frame(99, 0, 0, b"")].concat(),
            Ends(Reason::Continuation),
        ),
        ("of no HPACK", frame(HEADERS, 5, 1, &[0x80]), Ends(Reason::Compression)),
        ("of nothing", frame(HEADERS, 5, 1, &[]), Resets(1, Code::PROTOCOL_ERROR)),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
}

#[test]
fn lengths_agree_with_data() {
    let post = |length: &str| {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
            ("content-length", length),
        ];
        frame(HEADERS, END_HEADERS, 1, &section(&fields))
    };
    let wrong = Resets(1, Code::PROTOCOL_ERROR);
    for (what, bytes, expected) in [
        ("as said", [post("5"), frame(DATA, 1, 1, b"hello")].concat(), Goes),
        (
            "as said, in two",
            [post("5"), frame(DATA, 0, 1, b"hel"), frame(DATA, 1, 1, b"lo")].concat(),
            Goes,
        ),
        (
            "more",
            [post("5"), frame(DATA, 0, 1, b"hello!")].concat(),
            Resets(1, Code::PROTOCOL_ERROR),
        ),
        ("less", [post("5"), frame(DATA, 1, 1, b"hell")].concat(), Resets(1, Code::PROTOCOL_ERROR)),
        (
            "less, and trailers",
            [post("5"), frame(DATA, 0, 1, b"hell"), frame(HEADERS, 5, 1, &section(&[("x", "y")]))]
                .concat(),
            wrong,
        ),
        ("none said, none sent", [post("0"), frame(DATA, 1, 1, b"")].concat(), Goes),
        (
            "none said, some sent",
            [post("0"), frame(DATA, 1, 1, b"a")].concat(),
            Resets(1, Code::PROTOCOL_ERROR),
        ),
        ("padding does not count", [post("5"), frame(DATA, 9, 1, b"\x01hello\0")].concat(), Goes),
    ] {
        assert_eq!(answer(&bytes), expected, "{what}");
    }
}

#[test]
fn a_window_below_zero_opens_when_it_is_above() {
    let mut server = Server::greeted(Settings::default());
    server.hear(&get(1));
    let (stream, _) = server.connection.streams().next().unwrap();
    server.connection.respond(stream, 200, [] as [http2::Field; 0], false).unwrap();
    assert_eq!(server.connection.send_data(stream, &[0; 1_000], false), Ok(1_000));
    server.hear(&settings(4, 500));
    assert_eq!(server.connection.send_data(stream, b"abc", true), Ok(0));
    assert_eq!(server.hear(&window(1, 500)).events, []);
    assert_eq!(server.connection.room(stream), 0);
    assert_eq!(server.hear(&window(1, 1)).events, [Event::Room { stream: Some(stream) }]);
    assert_eq!(server.connection.send_data(stream, b"abc", true), Ok(1));
}
