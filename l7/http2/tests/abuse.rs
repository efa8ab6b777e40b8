//! Peers that want us busy or full: each is cut off within a bound, and counted; each bound leaves
//! room for peers that do the same in measure.

mod common;

use common::*;
use http2::{Code, Connection, Event, Field, Reason, Settings, StreamId};

const NO_FIELDS: [Field; 0] = [];

/// Sends what `make` makes, round by round, until the server ends the connection: why, and after
/// how many rounds. The output is drained, as by a peer that reads.
fn until_broken(settings: Settings, make: impl Fn(u32) -> Vec<u8>) -> (Reason, u32) {
    let mut server = Server::greeted(settings);
    for round in 0..100_000 {
        let heard = server.hear(&make(round));
        if let Some(broken) = heard.broken {
            assert_eq!(server.connection.counts().of(broken.reason), 1);
            return (broken.reason, round);
        }
        server.connection.output().clear();
    }
    panic!("it goes on and on");
}

fn id(round: u32) -> u32 {
    2 * round + 1
}

fn get(round: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, id(round), GET)
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST)
}

#[test]
fn rapid_reset() {
    let reset = |round| frame(RST_STREAM, 0, id(round), &[0, 0, 0, 8]);
    let (reason, rounds) = until_broken(Settings::default(), |n| [get(n), reset(n)].concat());
    assert_eq!((reason, rounds), (Reason::Resets, 256));
}

#[test]
fn resets_that_we_are_made_to_send() {
    // CVE-2025-8671: each of these ends a stream by our RST_STREAM, not by the peer's.
    type Provocation = fn(u32) -> Vec<u8>;
    let provocations: [(&str, Provocation); 5] = [
        ("a window opened by 0", |n| {
            [post(id(n)), frame(WINDOW_UPDATE, 0, id(n), &[0; 4])].concat()
        }),
        ("a window beyond the largest", |n| {
            [post(id(n)), frame(WINDOW_UPDATE, 0, id(n), &[0x7f, 255, 255, 255])].concat()
        }),
        ("DATA behind the end", |n| [get(n), frame(DATA, 0, id(n), b"a")].concat()),
        ("a second head", |n| [post(id(n)), post(id(n))].concat()),
        ("a malformed head", |n| frame(HEADERS, 5, id(n), b"\x82")),
    ];
    for (what, provocation) in provocations {
        let (reason, rounds) = until_broken(Settings::default(), provocation);
        assert_eq!((reason, rounds), (Reason::Resets, 256), "{what}");
    }
}

#[test]
fn a_peer_that_cancels_half_of_its_requests_is_served() {
    let mut server = Server::greeted(Settings::default());
    for round in 0..10_000u32 {
        let heard = server.hear(&get(round));
        let Some(Event::Head { stream, .. }) = heard.events.first() else { panic!("{heard:?}") };
        if round % 2 == 0 {
            server.connection.respond(*stream, 200, NO_FIELDS, true).unwrap();
        } else {
            let heard = server.hear(&frame(RST_STREAM, 0, id(round), &[0, 0, 0, 8]));
            assert_eq!(heard.broken, None);
            assert!(matches!(heard.events[..], [Event::Reset { .. }]));
        }
        server.connection.output().clear();
    }
    assert!(server.connection.is_idle());
}

#[test]
fn streams_above_the_limit_are_refused_and_the_tables_stay_right() {
    let mut server = Server::greeted(Settings { streams: 2, ..Settings::default() });
    // The third puts an entry into the table; the fourth, sent when there is room, uses it.
    let indexing = [&b"\x82\x86\x84"[..], b"\x41\x04name"].concat();
    for stream in [1, 3] {
        server.hear(&post(stream));
    }
    server.hear(&frame(HEADERS, 5, 5, &indexing));
    assert_eq!(server.said()[0].payload, Code::REFUSED_STREAM.0.to_be_bytes());
    assert_eq!(server.connection.counts().of(Reason::Refused), 1);
    server.hear(&frame(RST_STREAM, 0, 1, &[0; 4]));
    let heard = server.hear(&frame(HEADERS, 5, 7, b"\x82\x86\x84\xbe"));
    assert_eq!(heard.events.len(), 1);
    assert_eq!(server.head.authority(), b"name");
    let (reason, _) = until_broken(Settings { streams: 0, ..Settings::default() }, get);
    assert_eq!(reason, Reason::Resets);
}

#[test]
fn continuation_without_end() {
    for (piece, most) in [(&b""[..], 8), (b"\x82", 8), (&[0x82; 9_000], 4)] {
        let (reason, rounds) = until_broken(Settings::default(), |n| match n {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, piece),
        });
        assert!(rounds <= most, "{rounds}");
        assert_eq!(reason, Reason::ContinuationFlood);
    }
}

#[test]
fn frames_that_do_nothing() {
    type Flood = fn(u32) -> Vec<u8>;
    let begun = |n: u32| if n == 0 { post(1) } else { vec![] };
    let floods: [(&str, Flood, Reason, u32); 9] = [
        ("SETTINGS", |_| frame(SETTINGS, 0, 0, &[]), Reason::SettingsFlood, 64),
        ("acknowledgements", |_| frame(SETTINGS, ACK, 0, &[]), Reason::SettingsFlood, 1_024),
        ("PING", |_| frame(PING, 0, 0, &[0; 8]), Reason::PingFlood, 1_024),
        ("answers to no PING", |_| frame(PING, ACK, 0, &[0; 8]), Reason::PingFlood, 1_024),
        (
            "PRIORITY",
            |n| frame(PRIORITY, 0, 2 * n + 3, &[0, 0, 0, 1, 0]),
            Reason::IgnoredFlood,
            1_024,
        ),
        ("unknown frames", |_| frame(77, 0, 0, b"x"), Reason::IgnoredFlood, 1_024),
        ("GOAWAY", |_| frame(GOAWAY, 0, 0, &[0; 8]), Reason::IgnoredFlood, 1_024),
        (
            "WINDOW_UPDATE",
            |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            Reason::WindowFlood,
            1_024,
        ),
        (
            "RST_STREAM of nothing",
            |n| {
                let reset = frame(RST_STREAM, 0, 1, &[0; 4]);
                if n == 0 { [post(1), reset].concat() } else { reset }
            },
            Reason::IgnoredFlood,
            1_024,
        ),
    ];
    for (what, flood, reason, most) in floods {
        let (ended, rounds) = until_broken(Settings::default(), flood);
        assert_eq!(ended, reason, "{what}");
        // What the greeting has spent is missing.
        assert!(rounds <= most && rounds >= most - 20, "{what}: {rounds}");
    }
    for payload in [(0, &b""[..]), (PADDED, b"\x02\0\0"), (PADDED, b"\x02x\0\0")] {
        let data = frame(DATA, payload.0, 1, payload.1);
        let flood = |n| [begun(n), data.clone()].concat();
        let (reason, rounds) = until_broken(Settings::default(), flood);
        assert_eq!(reason, Reason::EmptyFlood);
        assert!(rounds <= 1_024, "{rounds}");
    }
}

#[test]
fn what_is_useful_pays_for_what_is_not() {
    // A download over which the peer opens its windows frame by frame, and pings now and then.
    let mut server = Server::greeted(Settings::default());
    server.hear(&get(0));
    let stream = only(&server.connection);
    server.connection.respond(stream, 200, NO_FIELDS, false).unwrap();
    for _ in 0..20_000 {
        assert_eq!(server.connection.send_data(stream, &[b'x'; 1_000], false), Ok(1_000));
        server.connection.output().clear();
        let by = 1_000u32.to_be_bytes();
        let windows = [frame(WINDOW_UPDATE, 0, 0, &by), frame(WINDOW_UPDATE, 0, 1, &by)].concat();
        assert_eq!(server.hear(&windows).broken, None);
        assert_eq!(server.hear(&frame(PING, 0, 0, &[0; 8])).broken, None);
    }
    // A peer that only pings, once a second.
    let mut server = Server::greeted(Settings::default());
    for _ in 0..20_000 {
        assert_eq!(server.hear(&frame(PING, 0, 0, &[0; 8])).broken, None);
        server.connection.output().clear();
        server.connection.refill();
    }
}

/// Its one stream.
fn only(connection: &Connection) -> StreamId {
    connection.streams().next().unwrap().0
}

#[test]
fn windows_that_never_open_are_told() {
    let mut server = Server::greeted(Settings::default());
    server.hear(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    server.hear(&get(0));
    let stream = only(&server.connection);
    server.connection.respond(stream, 200, NO_FIELDS, false).unwrap();
    assert!(!server.connection.is_stalled());
    assert_eq!(server.connection.send_data(stream, b"abc", true), Ok(0));
    assert!(server.connection.is_stalled());
    // Opened by SETTINGS for all streams, the event of each is one.
    let heard = server.hear(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9]));
    assert_eq!(heard.events, [Event::Settings, Event::Room { stream: None }]);
    assert_eq!(server.connection.send_data(stream, b"abc", true), Ok(3));
    assert!(server.connection.is_idle());
}

#[test]
fn a_head_too_large_is_answered_and_the_connection_goes_on() {
    let mut server = Server::greeted(Settings { head: 199, ..Settings::default() });
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("x", "y")];
    server.hear(&frame(HEADERS, 5, 1, &section(&fields)));
    let said = server.said();
    assert_eq!((said[0].kind, said[0].flags, said[0].stream), (HEADERS, 5, 1));
    assert!(said[0].payload.ends_with(b"\x03431"));
    assert_eq!(said[1].kind, RST_STREAM);
    assert_eq!(server.connection.counts().of(Reason::HeadTooLarge), 1);
    assert!(matches!(server.hear(&frame(HEADERS, 5, 3, GET)).events[..], [Event::Head { .. }]));
    // So many fields, of no octets.
    let mut server = Server::greeted(Settings { fields: 5, head: 60_000, ..Settings::default() });
    let many = [section(&fields), section(&[("x", "")])].concat();
    server.hear(&frame(HEADERS, 5, 1, &many));
    assert_eq!(server.connection.counts().of(Reason::HeadTooLarge), 1);
}

#[test]
fn a_peer_that_does_not_read_is_not_written_for() {
    let mut server = Server::greeted(Settings::default());
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(900);
    let resets: Vec<u8> = (0..200).flat_map(|n| frame(HEADERS, 5, id(n), b"\x82")).collect();
    let mut small = Server::greeted(Settings { output: 500, ..Settings::default() });
    for bytes in [pings, resets] {
        server.hear(&bytes);
        assert!(server.connection.output().len() < 65_536 + 100);
        let heard = small.hear(&bytes);
        assert_eq!(heard.broken, None);
        assert!(small.connection.is_full() && small.connection.output().len() < 600);
    }
}

#[test]
fn frames_for_streams_that_we_have_reset_are_let_pass() {
    let mut server = Server::greeted(Settings { connection_window: 65_535, ..Settings::default() });
    server.hear(&post(1));
    server.connection.reset(only(&server.connection), Code::CANCEL);
    server.connection.output().clear();
    for _ in 0..50 {
        let heard = server.hear(&frame(DATA, 0, 1, &[0; 10_000]));
        assert_eq!((heard.broken, heard.events), (None, vec![]));
    }
    assert_eq!(server.hear(&frame(HEADERS, 5, 1, &section(&[("x", "y")]))).broken, None);
    let said = server.said();
    assert!(!said.is_empty() && said.iter().all(|f| f.kind == WINDOW_UPDATE && f.stream == 0));
}

#[test]
fn an_idle_connection_is_small() {
    let inline = size_of::<Connection>();
    let mut server = Server::greeted(Settings::default());
    server.connection.rest();
    let fresh = server.connection.memory();
    assert!(inline < 1_024 && fresh == 0, "{inline} + {fresh}");
    // A hundred requests later: the tables, which the peer's next request may refer to.
    for round in 0..100u32 {
        let value = format!("value-{}", round % 10);
        let fields = [(&b"server"[..], &b"it"[..]), (b"x-id", value.as_bytes())];
        let heard = server.hear(&get(round));
        let Some(Event::Head { stream, .. }) = heard.events.first() else { panic!("{heard:?}") };
        server.connection.respond(*stream, 200, fields, true).unwrap();
        server.connection.output().clear();
    }
    server.connection.rest();
    let used = server.connection.memory();
    assert!(inline + used < 2_048 + 1_024, "{inline} + {used}");
    println!("a connection: {inline} octets, {fresh} more when fresh, {used} more when used");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut server = Server::greeted(Settings::default());
    let mut most = 0;
    for n in 0..120 {
        // A large head that fills the table, and a body that nobody gives back.
        let value = "v".repeat(200);
        let mut block = POST.to_vec();
        for field in 0..20 {
            let literal = section(&[(&format!("x-{n}-{field}"), &value)]);
            block.extend([&[0x40], &literal[1..]].concat());
        }
        server.hear(&frame(HEADERS, 0, id(n), &block[..3_000]));
        server.hear(&frame(CONTINUATION, END_HEADERS, id(n), &block[3_000..]));
        server.hear(&frame(DATA, 0, id(n), &[0; 5_000])[..4_000]);
        server.hear(&frame(DATA, 0, id(n), &[0; 5_000])[4_000..]);
        most = most.max(server.connection.memory());
    }
    assert!(most < 64_000, "{most}");
    assert!(server.head.memory() < 64_000);
}
