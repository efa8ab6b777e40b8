//! Byte streams made to be read in two ways, through the real proxy: what a server behind it
//! received, octet by octet, and what the client was told. Behind each stream somebody else asks
//! for a page, over whatever connection to the server is left, and gets no other.

use super::layer7::{Bed, file, http, vip};
use crate::balancer::Balancer;
use crate::clients::{End, Octets, Recorder};
use crate::harness::{Scale, Test};
use crate::tool::recorder::{SENTINEL, SENTINEL_REQUEST};
use crate::tool::table::reader;
use crate::tool::table::smuggling::{
    ANSWERS, AnswerRow,
    Expect::{Becomes, Cut, Half, Refused, Then, Waits},
    REQUESTS, Row,
};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::smuggling::requests", requests));
    tests.push(Test::new("l7::smuggling::responses", responses));
}

/// A row goes whole, and in pieces of so many octets.
const PIECES: [usize; 2] = [usize::MAX, 7];
/// What was sent to the server is there within this.
const ARRIVAL: Duration = Duration::from_secs(2);

struct Wire {
    client: Octets,
    server: Recorder,
}

/// Runs `body` with a client and a server on both sides of a service that changes nothing itself.
fn between(body: impl FnOnce(&mut Wire) -> Result<()>) -> Result<()> {
    let bed = Bed::new(1)?;
    let server = Recorder::start(&bed.servers[0].host, 80)?;
    // The table is one of HTTP/1.
    let lines = "http = { forwarded_for = \"keep\", forwarded_proto = false, http2_streams = 0 }";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1])]))?;
    let client = Octets::start(&bed.client, SocketAddr::new(vip(), 80))?;
    let mut wire = Wire { client, server };
    body(&mut wire)?;
    drop(wire);
    bed.close(balancer)
}

/// No request is forwarded that can be read in two ways.
fn requests(_: Scale) -> Result<()> {
    between(|wire| {
        for row in REQUESTS.into_iter().flatten() {
            for piece in PIECES {
                wire.request(row, piece).with_context(|| format!("{:?}, by {piece}", row.0))?;
            }
        }
        Ok(())
    })
}

/// No response is.
fn responses(_: Scale) -> Result<()> {
    between(|wire| {
        for row in ANSWERS {
            for piece in PIECES {
                wire.response(row, piece).with_context(|| format!("{:?}, by {piece}", row.0))?;
            }
        }
        Ok(())
    })
}

impl Wire {
    fn request(&mut self, &(_, octets, expect): &Row, piece: usize) -> Result<()> {
        let (told, end) = self.client.send(octets, piece)?;
        let statuses = statuses(&told)?;
        let (wanted, refusal) = match expect {
            Refused(status) => (&b""[..], Some(status)),
            Cut(status, octets) | Then(status, octets) => (octets, Some(status)),
            Becomes(octets) => (octets, None),
            // The client is told that its message is not whole.
            Half(octets) => (octets, Some(400)),
            Waits => (&b""[..], Some(400)),
        };
        let received = self.received(wanted.len())?;
        let shown = received.escape_ascii();
        let picture = format!("the server got {shown}; the client was told {statuses:?}, {end:?}");
        if let Cut(..) = expect {
            ensure!(received.starts_with(wanted), "not {}: {picture}", wanted.escape_ascii());
        } else {
            ensure!(received == wanted, "not {}: {picture}", wanted.escape_ascii());
        }
        let (whole, cut) = reader::requests(&received);
        ensure!(cut == matches!(expect, Cut(..) | Half(_)), "{picture}");
        let mut should = vec![200; whole.len()];
        should.extend(refusal);
        ensure!(statuses == should && end != End::Open, "not {should:?}: {picture}");
        self.sentinel()
    }

    fn response(&mut self, row: &AnswerRow, piece: usize) -> Result<()> {
        let &(_, request, octets, expect) = row;
        self.server.answer(octets, piece)?;
        let (told, end) = self.client.send(request, usize::MAX)?;
        let picture = format!("the client was told {}, {end:?}", told.escape_ascii());
        match expect {
            Becomes(wanted) => {
                ensure!(told == wanted && end == End::Closed, "{picture}");
            }
            // Where nothing of it had been sent, the client can be told.
            Cut(status, _) if statuses(&told).is_ok_and(|all| all == [status]) => {
                ensure!(end == End::Closed, "{picture}");
            }
            Cut(_, wanted) | Half(wanted) => {
                // How much of it comes before the end is the network's.
                let same = told.starts_with(wanted) || wanted.starts_with(&told);
                ensure!(same && end == End::Reset, "not {}: {picture}", wanted.escape_ascii());
                ensure!(expect != Half(wanted) || wanted.starts_with(&told), "{picture}");
            }
            Refused(status) | Then(status, _) => {
                ensure!(statuses(&told)? == [status] && end == End::Closed, "{picture}");
            }
            Waits => {}
        }
        self.server.usual()?;
        self.server.take()?;
        self.sentinel()
    }

    /// What the server got, at least so many octets if they come.
    fn received(&mut self, octets: usize) -> Result<Vec<u8>> {
        let deadline = Instant::now() + ARRIVAL;
        let mut received = self.server.take()?;
        while received.len() < octets && Instant::now() < deadline {
            received.extend(self.server.take()?);
        }
        Ok(received)
    }

    /// Somebody else asks for a page and gets it, and the server was asked for nothing besides.
    fn sentinel(&mut self) -> Result<()> {
        let request = [SENTINEL_REQUEST, b"HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let (told, end) = self.client.send(&request, usize::MAX)?;
        ensure!(
            told == SENTINEL && end == End::Closed,
            "somebody else got {}",
            told.escape_ascii()
        );
        let more = self.server.take()?;
        ensure!(more.is_empty(), "the server also got {}", more.escape_ascii());
        Ok(())
    }
}

/// Of responses whose bodies have a length.
fn statuses(mut stream: &[u8]) -> Result<Vec<u16>> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let end = stream.windows(4).position(|four| four == b"\r\n\r\n").context("half a head")?;
        let head = String::from_utf8_lossy(&stream[..end]).to_ascii_lowercase();
        let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3));
        found.push(status.with_context(|| head.clone())?.parse()?);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap_or("0").parse()?;
        stream = stream.get(end + 4 + length..).context("half a body")?;
    }
    Ok(found)
}
