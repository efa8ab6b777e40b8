//! Whatever the pieces in which octets arrive, both sides come to the same: bodies, trailers and
//! resets of many streams, through windows of any size.

mod common;

use std::collections::BTreeMap;

use http2::{Connection, Event, Field, Head, Request, Settings, StreamId};
use proptest::prelude::*;

/// One request, and what is answered.
#[derive(Debug, Clone)]
struct Plan {
    upload: usize,
    download: usize,
    trailers: bool,
    field: u8,
}

/// What one side has of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    heads: usize,
    octets: usize,
    trailers: bool,
    ended: bool,
    wrong: bool,
}

struct Side {
    connection: Connection,
    got: BTreeMap<StreamId, Got>,
    /// Octets on their way to it.
    wire: Vec<u8>,
    /// Octets still to be sent, and whether trailers follow.
    queue: BTreeMap<StreamId, (usize, bool)>,
    head: Head,
}

/// The octet at a place of a body.
fn octet(at: usize) -> u8 {
    (at % 251) as u8
}

impl Side {
    fn new(connection: Connection) -> Side {
        let (got, queue) = (BTreeMap::new(), BTreeMap::new());
        Side { connection, got, wire: Vec::new(), queue, head: Head::default() }
    }

    /// Takes up to `piece` octets off the wire. What it has heard of a head is in `heads`.
    fn hear(&mut self, piece: usize, heads: &mut Vec<(StreamId, Vec<u8>)>) {
        let bytes: Vec<u8> = self.wire.drain(..piece.min(self.wire.len())).collect();
        let mut rest = &bytes[..];
        loop {
            let step = self.connection.receive(rest, &mut self.head).expect("no error");
            let Some(event) = step.event else {
                // The output is full: later.
                self.wire.splice(..0, rest[step.taken..].iter().copied());
                return;
            };
            match event {
                Event::Head { stream, end } => {
                    let got = self.got.entry(stream).or_default();
                    (got.heads, got.ended) = (got.heads + 1, end);
                    let field = self.head.field(b"x-plan").unwrap_or_default();
                    heads.push((stream, field.to_vec()));
                }
                Event::Data { stream, data, end } => {
                    let got = self.got.entry(stream).or_default();
                    for &byte in &rest[data.clone()] {
                        got.wrong |= byte != octet(got.octets);
                        got.octets += 1;
                    }
                    got.ended |= end;
                    self.connection.give_back(stream, data.len());
                }
                Event::Trailers { stream } => {
                    let got = self.got.entry(stream).or_default();
                    got.wrong |= self.head.field(b"x-sum") != Some(b"1");
                    (got.trailers, got.ended) = (true, true);
                }
                Event::Reset { .. } => panic!("{event:?}"),
                _ => {}
            }
            rest = &rest[step.taken..];
        }
    }

    /// Sends what windows allow.
    fn speak(&mut self) {
        let streams: Vec<_> = self.queue.keys().copied().collect();
        for stream in streams {
            let (from, total, trailers) = {
                let (left, trailers) = self.queue[&stream];
                (left, left, trailers)
            };
            let sent = self.connection.tag(stream).unwrap_or(0) as usize;
            let body: Vec<u8> = (sent..sent + from).map(octet).collect();
            let taken = self.connection.send_data(stream, &body, !trailers).expect("open");
            self.connection.set_tag(stream, (sent + taken) as u64);
            if taken < total {
                self.queue.insert(stream, (total - taken, trailers));
                continue;
            }
            if trailers {
                let field = (&b"X-Sum"[..], &b"1"[..]);
                self.connection.send_trailers(stream, [field]).expect("open");
            }
            self.queue.remove(&stream);
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    (0..40_000usize, 0..90_000usize, any::<bool>(), any::<u8>())
        .prop_map(|(upload, download, trailers, field)| Plan { upload, download, trailers, field })
}

fn settings() -> impl Strategy<Value = Settings> {
    (1..100_000u32, 65_535..200_000u32, 300..70_000usize).prop_map(
        |(stream_window, connection_window, output)| Settings {
            stream_window,
            connection_window,
            output,
            ..Settings::default()
        },
    )
}

fn run(plans: &[Plan], ours: Settings, theirs: Settings, pieces: &[usize]) {
    let mut client = Side::new(Connection::client(ours));
    let mut server = Side::new(Connection::server(theirs));
    let mut todo: Vec<_> = plans.iter().enumerate().rev().collect();
    let mut plan_of = BTreeMap::new();
    for round in 0.. {
        assert!(round < 400_000, "it does not end");
        let piece = pieces[round % pieces.len()];
        if let Some(&(nth, plan)) = todo.last()
            && !client.connection.is_full()
        {
            todo.pop();
            let request = Request {
                method: b"POST",
                scheme: b"http",
                authority: b"a",
                path: b"/",
                protocol: None,
            };
            let (name, value) = (nth.to_string(), vec![plan.field | 0x80; plan.field.into()]);
            let fields = [(&b"X-Plan"[..], name.as_bytes()), (b"x", &value)];
            let stream = client.connection.request(&request, fields, false).expect("room");
            plan_of.insert(stream, plan);
            client.queue.insert(stream, (plan.upload, plan.trailers));
        }
        client.speak();
        server.wire.append(client.connection.output());
        let mut heads = Vec::new();
        server.hear(piece, &mut heads);
        for (stream, nth) in heads.drain(..) {
            let nth: usize = str::from_utf8(&nth).unwrap().parse().unwrap();
            let field = Field::from((&b"X-Plan"[..], &b"answer"[..]));
            server.connection.respond(stream, 103, [field], false).unwrap();
            server.connection.respond(stream, 200, [field], false).unwrap();
            server.queue.insert(stream, (plans[nth].download, plans[nth].trailers));
        }
        server.speak();
        client.wire.append(server.connection.output());
        client.hear(piece, &mut heads);
        let done = todo.is_empty() && server.connection.is_idle() && client.connection.is_idle();
        if done && server.got.len() == plans.len() {
            break;
        }
    }
    for (stream, plan) in plan_of {
        let got = |octets, heads| Got {
            heads,
            octets,
            trailers: plan.trailers,
            ended: true,
            wrong: false,
        };
        assert_eq!(server.got[&stream], got(plan.upload, 1));
        assert_eq!(client.got[&stream], got(plan.download, 2));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(
        plans in prop::collection::vec(plan(), 1..12),
        ours in settings(),
        theirs in settings(),
        pieces in prop::collection::vec(1..20_000usize, 1..9),
    ) {
        run(&plans, ours, theirs, &pieces);
    }

    #[test]
    fn octet_by_octet(field in any::<u8>(), trailers in any::<bool>(), upload in 0..900usize) {
        let plan = Plan { upload, download: 2 * upload, trailers, field };
        run(&[plan.clone(), plan], Settings::default(), Settings::default(), &[1]);
    }
}
