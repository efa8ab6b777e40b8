//! A request costs no allocation once its connection has warmed up. Alone in its program, since
//! the allocator counts for all threads.

use std::alloc::System;

use http2::{Connection, Event, Head, Request, Settings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: Request = Request {
    method: b"GET",
    scheme: b"https",
    authority: b"a.example",
    path: b"/x",
    protocol: None,
};

struct Pair {
    client: Connection,
    server: Connection,
    head: Head,
    wire: Vec<u8>,
}

impl Pair {
    /// Sixteen requests at once, whose octets arrive in pieces; every answer has fields that
    /// repeat and one that does not.
    fn round(&mut self, nth: u64) {
        let unique = nth.to_le_bytes();
        for _ in 0..16 {
            let fields = [(&b"accept"[..], &b"*/*"[..])];
            self.client.request(&REQUEST, fields, true).unwrap();
        }
        carry(&mut self.client, &mut self.wire);
        for piece in self.wire.chunks(100) {
            let mut rest = piece;
            loop {
                let step = self.server.receive(rest, &mut self.head).unwrap();
                rest = &rest[step.taken..];
                let Some(event) = step.event else { break };
                let Event::Head { stream, .. } = event else { continue };
                let id = unique.map(|octet| b'a' + octet % 16);
                let fields =
                    [(&b"Server"[..], &b"it"[..]), (b"Content-Length", b"128"), (b"X-Id", &id)];
                self.server.respond(stream, 200, fields, false).unwrap();
                self.server.send_data(stream, &[b'x'; 128], true).unwrap();
            }
        }
        carry(&mut self.server, &mut self.wire);
        let mut rest = &self.wire[..];
        loop {
            let step = self.client.receive(rest, &mut self.head).unwrap();
            rest = &rest[step.taken..];
            match step.event {
                None => break,
                Some(Event::Data { stream, data, .. }) => self.client.give_back(stream, data.len()),
                Some(_) => {}
            }
        }
    }
}

fn carry(from: &mut Connection, wire: &mut Vec<u8>) {
    wire.clear();
    wire.extend_from_slice(from.output());
    from.output().clear();
}

#[test]
fn a_request_allocates_nothing() {
    let settings = Settings::default();
    let (client, server) = (Connection::client(settings), Connection::server(settings));
    let mut pair = Pair { client, server, head: Head::default(), wire: Vec::new() };
    for nth in 0..2_000 {
        pair.round(nth);
    }
    let region = Region::new(ALLOCATOR);
    for nth in 2_000..4_000 {
        pair.round(nth);
    }
    let change = region.change();
    // The test's own threads may print.
    assert!(change.allocations + change.reallocations < 10, "{change:?}");
    assert!(pair.client.is_idle() && pair.server.is_idle());
}
