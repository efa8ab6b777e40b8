//! Requests and responses between a client and a server of ours.

mod common;

use common::{frames, hear};
use http2::{By, Code, Connection, Event, Head, Request, Settings, StreamId};

type Fields = [(&'static [u8], &'static [u8])];

const ROOT: Request = Request {
    method: b"GET",
    scheme: b"https",
    authority: b"a.example",
    path: b"/",
    protocol: None,
};

struct Pair {
    client: Connection,
    server: Connection,
    head: Head,
}

impl Pair {
    fn new(client: Settings, server: Settings) -> Pair {
        let (client, server) = (Connection::client(client), Connection::server(server));
        let mut pair = Pair { client, server, head: Head::default() };
        for _ in 0..3 {
            pair.server_hears();
            pair.client_hears();
        }
        pair
    }

    /// What the client wrote reaches the server.
    fn server_hears(&mut self) -> common::Heard {
        let bytes = std::mem::take(self.client.output());
        let heard = hear(&mut self.server, &mut self.head, &bytes);
        assert_eq!(heard.broken, None);
        heard
    }

    fn client_hears(&mut self) -> common::Heard {
        let bytes = std::mem::take(self.server.output());
        let heard = hear(&mut self.client, &mut self.head, &bytes);
        assert_eq!(heard.broken, None);
        heard
    }

    fn ask(&mut self, method: &'static [u8], end: bool) -> StreamId {
        let fields: &Fields = &[(b"Accept", b"*/*"), (b"authorization", b"secret")];
        let request = Request { method, ..ROOT };
        self.client.request(&request, fields.iter().copied(), end).unwrap()
    }
}

#[test]
fn a_request_and_its_response() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    for _ in 0..5 {
        let stream = pair.ask(b"GET", true);
        assert_eq!(pair.server_hears().events, [Event::Head { stream, end: true }]);
        let head = &pair.head;
        assert_eq!(
            (head.method(), head.scheme(), head.path()),
            (&b"GET"[..], &b"https"[..], &b"/"[..])
        );
        assert_eq!((head.authority(), head.status()), (&b"a.example"[..], 0));
        let fields: Vec<_> = head.fields().map(|f| (f.name, f.value, f.never_indexed)).collect();
        assert_eq!(
            fields,
            [(&b"accept"[..], &b"*/*"[..], false), (b"authorization", b"secret", true)]
        );

        let fields: &Fields = &[(b"Server", b"it"), (b"Content-Length", b"5")];
        pair.server.respond(stream, 200, fields.iter().copied(), false).unwrap();
        assert_eq!(pair.server.send_data(stream, b"hello", true), Ok(5));
        let heard = pair.client_hears();
        assert_eq!(heard.events.first(), Some(&Event::Head { stream, end: false }));
        assert!(matches!(heard.events[1..], [Event::Data { end: true, .. }]));
        assert_eq!((heard.data, pair.head.status()), (b"hello".to_vec(), 200));
        assert_eq!(pair.head.field(b"server"), Some(&b"it"[..]));
        assert!(pair.client.is_idle() && pair.server.is_idle());
    }
}

#[test]
fn what_repeats_is_one_octet_and_what_is_secret_never() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let stream = pair.ask(b"GET", true);
        let written = frames(pair.client.output());
        sizes.push(written[0].payload.len());
        assert!(written[0].payload.windows(6).any(|part| part == b"secret"));
        pair.server_hears();
        pair.server.respond(stream, 204, std::iter::empty::<(&[u8], &[u8])>(), true).unwrap();
        pair.client_hears();
    }
    // Static: method, scheme, path, 3 octets. Literals: authority 2 + 9, accept 3 + 3, the secret
    // 3 + 6. From the third time on authority and accept are an octet each.
    assert_eq!((sizes[0], sizes[2], sizes[3]), (3 + 11 + 6 + 9, 3 + 2 + 9, 3 + 2 + 9));
}

#[test]
fn windows_hold_a_body_back_until_it_was_passed_on() {
    let bounds = Settings { stream_window: 1_000, ..Settings::default() };
    let mut pair = Pair::new(Settings::default(), bounds);
    let stream = pair.ask(b"POST", false);
    let body = vec![b'x'; 2_500];
    assert_eq!(pair.client.send_data(stream, &body, true), Ok(1_000));
    assert!(pair.client.is_stalled());
    assert_eq!(pair.server_hears().data.len(), 1_000);
    pair.server.give_back(stream, 499);
    assert_eq!(pair.client_hears().events, []);
    pair.server.give_back(stream, 501);
    // The first half and one octet more were told; 499 wait for the next time.
    assert_eq!(pair.client_hears().events, [Event::Room { stream: Some(stream) }]);
    assert!(!pair.client.is_stalled());
    let sent = pair.client.send_data(stream, &body[1_000..], true).unwrap();
    assert_eq!(sent, 1_000);
    pair.server_hears();
    pair.server.give_back(stream, 1_000_000);
    pair.client_hears();
    assert_eq!(pair.client.send_data(stream, &body[2_000..], true), Ok(500));
    let heard = pair.server_hears();
    assert!(matches!(heard.events.last(), Some(Event::Data { end: true, .. })));
}

#[test]
fn a_stream_that_is_not_read_holds_back_itself_alone() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    let (slow, fast) = (pair.ask(b"POST", false), pair.ask(b"POST", false));
    let body = vec![b'x'; 60_000];
    pair.client.send_data(slow, &body, false).unwrap();
    pair.server_hears();
    for _ in 0..40 {
        assert_eq!(pair.client.send_data(fast, &body[..30_000], false), Ok(30_000));
        pair.server_hears();
        pair.server.give_back(fast, 30_000);
        pair.client_hears();
    }
    assert_eq!(pair.client.send_data(slow, &body, false), Ok(5_535));
}

#[test]
fn a_reset_is_heard_and_what_was_held_is_the_connections_again() {
    let bounds = Settings { connection_window: 65_535, ..Settings::default() };
    let mut pair = Pair::new(Settings::default(), bounds);
    for _ in 0..20 {
        let stream = pair.ask(b"POST", false);
        assert_eq!(pair.client.send_data(stream, &[b'x'; 40_000], false), Ok(40_000));
        pair.server_hears();
        pair.server.reset(stream, Code::CANCEL);
        let reset = Event::Reset { stream, code: Code::CANCEL, by: By::Peer };
        assert_eq!(pair.client_hears().events, [reset]);
        assert_eq!(pair.client.send_data(stream, b"x", true), Err(http2::Gone));
    }
}

#[test]
fn trailers_end_a_stream() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    let stream = pair.ask(b"POST", false);
    pair.client.send_data(stream, b"abc", false).unwrap();
    let fields: &Fields = &[(b"Checksum", b"1")];
    pair.client.send_trailers(stream, fields.iter().copied()).unwrap();
    let heard = pair.server_hears();
    assert_eq!(heard.events.last(), Some(&Event::Trailers { stream }));
    assert_eq!(pair.head.field(b"checksum"), Some(&b"1"[..]));
}

#[test]
fn a_closing_server_serves_what_is_under_way() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    let first = pair.ask(b"GET", true);
    pair.server_hears();
    pair.server.go_away();
    let late = pair.ask(b"GET", true);
    assert_eq!(pair.server_hears().events, [Event::Head { stream: late, end: true }]);
    assert!(matches!(pair.client_hears().events[..], [Event::GoAway { .. }]));
    let refused = pair.client.request(&ROOT, std::iter::empty::<(&[u8], &[u8])>(), true);
    assert_eq!(refused, Err(http2::NotOpened::Closing));
    pair.server_hears();
    assert!(!pair.server.is_done());
    for stream in [first, late] {
        pair.server.respond(stream, 204, std::iter::empty::<(&[u8], &[u8])>(), true).unwrap();
    }
    assert!(pair.server.is_done());
}

#[test]
fn streams_that_a_server_left_undone_are_told_one_by_one() {
    let mut pair = Pair::new(Settings::default(), Settings::default());
    let done = pair.ask(b"GET", true);
    pair.server_hears();
    pair.server.go_away_now();
    let (second, third) = (pair.ask(b"GET", true), pair.ask(b"GET", true));
    let mut events = pair.client_hears().events;
    assert_eq!(events.remove(0), Event::GoAway { last: done.number(), code: Code::NO_ERROR });
    let refused = |stream| Event::Reset { stream, code: Code::REFUSED_STREAM, by: By::Peer };
    assert_eq!(events, [refused(second), refused(third)]);
}

#[test]
fn no_more_streams_than_the_peer_allows() {
    let mut pair = Pair::new(Settings::default(), Settings { streams: 2, ..Settings::default() });
    pair.ask(b"GET", true);
    pair.ask(b"GET", true);
    let refused = pair.client.request(&ROOT, std::iter::empty::<(&[u8], &[u8])>(), true);
    assert_eq!(refused, Err(http2::NotOpened::Busy));
}

#[test]
fn a_head_of_many_frames() {
    let bounds = Settings { head: 60_000, ..Settings::default() };
    let mut pair = Pair::new(bounds, bounds);
    let stream = pair.ask(b"GET", true);
    pair.server_hears();
    let long = vec![b'v'; 25_000];
    let fields = [(&b"x"[..], &long[..]), (b"y", &long[..])];
    pair.server.respond(stream, 200, fields, true).unwrap();
    assert_eq!(frames(pair.server.output()).len(), 4);
    assert_eq!(pair.client_hears().events, [Event::Head { stream, end: true }]);
    assert_eq!(pair.head.field(b"y").map(<[u8]>::len), Some(25_000));
}

#[test]
fn a_full_output_holds_everything_back() {
    let bounds = Settings { output: 3_000, connection_window: 1 << 30, ..Settings::default() };
    let mut pair = Pair::new(Settings::default(), bounds);
    let stream = pair.ask(b"GET", true);
    pair.server_hears();
    pair.server.respond(stream, 200, std::iter::empty::<(&[u8], &[u8])>(), false).unwrap();
    let sent = pair.server.send_data(stream, &[b'x'; 9_000], true).unwrap();
    assert!(pair.server.output().len() == 3_000 && sent > 2_900 && pair.server.is_full());
    let ping = common::frame(common::PING, 0, 0, b"12345678");
    let step = pair.server.receive(&ping, &mut pair.head).unwrap();
    assert_eq!((step.taken, step.event), (0, None));
    pair.client_hears();
    assert_eq!(pair.server.receive(&ping, &mut pair.head).unwrap().taken, ping.len());
}

#[test]
fn an_output_without_room_for_data_is_full() {
    let bounds = Settings { output: 500, ..Settings::default() };
    let mut pair = Pair::new(Settings::default(), bounds);
    let (first, second) = (pair.ask(b"GET", true), pair.ask(b"GET", true));
    pair.server_hears();
    let none = || std::iter::empty::<(&[u8], &[u8])>();
    pair.server.respond(first, 200, none(), false).unwrap();
    pair.server.respond(second, 200, none(), false).unwrap();
    // Two heads of 10 octets; behind this frame there is room for a header, and no more.
    assert_eq!(pair.server.send_data(first, &[b'x'; 462], true), Ok(462));
    assert_eq!((pair.server.output().len(), pair.server.is_full()), (491, true));
    assert_eq!(pair.server.send_data(second, b"abc", true), Ok(0));
    assert!(!pair.server.is_stalled());
    pair.client_hears();
    assert_eq!(pair.server.send_data(second, b"abc", true), Ok(3));
}
