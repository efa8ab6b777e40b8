//! A real server that speaks HTTP/2 by prior knowledge, and misbehaves as it is told.

use super::RealServer;
use http2::{Code, Connection, Event, Field, Head, Settings, StreamId};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What has been asked, with its whole body.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub authority: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Of which connection it is, and the how many-th on it; both from 0.
    pub connection: u64,
    pub turn: u64,
}

/// What becomes of it.
pub enum Act {
    Answer(Vec<u8>),
    /// With a trailer behind the body.
    Trailed(Vec<u8>, &'static str, &'static str),
    Reset(Code),
    /// This much of an answer that is to be longer, and then the end of the connection.
    Die(Vec<u8>),
    /// GOAWAY that leaves this and later streams undone.
    GoAway,
}

/// What is left of an answer: its body, and a trailer.
type Rest = (Vec<u8>, Option<(&'static str, &'static str)>);

struct Served {
    stream: TcpStream,
    http2: Connection,
    asked: HashMap<StreamId, Asked>,
    answers: HashMap<StreamId, Rest>,
    turn: u64,
}

/// Does with each request, once it is whole, what it is told.
pub fn h2_server(
    settings: Settings,
    act: impl Fn(&Asked) -> Act + Send + Sync + 'static,
) -> RealServer {
    let connections = AtomicU64::new(0);
    RealServer::new(move |stream| {
        let number = connections.fetch_add(1, SeqCst);
        let mut served = Served {
            stream,
            http2: Connection::server(settings),
            asked: HashMap::new(),
            answers: HashMap::new(),
            turn: 0,
        };
        while served.step(number, &act).is_some() {}
    })
}

impl Served {
    /// None: the connection is over.
    fn step(&mut self, number: u64, act: &impl Fn(&Asked) -> Act) -> Option<()> {
        self.flush()?;
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        let (mut at, mut head) = (0, Head::default());
        loop {
            let rest = &buffer[at..count];
            let step = self.http2.receive(rest, &mut head).ok()?;
            at += step.taken;
            match step.event {
                Some(event) => self.happens(event, rest, &head, number, act)?,
                None if at == count => break,
                None => self.flush()?,
            }
        }
        self.flush()
    }

    fn happens(
        &mut self,
        event: Event,
        bytes: &[u8],
        head: &Head,
        number: u64,
        act: &impl Fn(&Asked) -> Act,
    ) -> Option<()> {
        let fields = || head.fields().map(|f| (text(f.name), text(f.value))).collect();
        let (stream, end) = match event {
            Event::Head { stream, end } => {
                let asked = Asked {
                    method: text(head.method()),
                    path: text(head.path()),
                    authority: text(head.authority()),
                    fields: fields(),
                    connection: number,
                    turn: self.turn,
                    ..Asked::default()
                };
                self.turn += 1;
                self.asked.insert(stream, asked);
                (stream, end)
            }
            Event::Data { stream, data, end } => {
                self.http2.give_back(stream, data.len());
                self.asked.get_mut(&stream)?.body.extend_from_slice(&bytes[data]);
                (stream, end)
            }
            Event::Trailers { stream } => {
                self.asked.get_mut(&stream)?.trailers = fields();
                (stream, true)
            }
            Event::Reset { stream, .. } => {
                self.answers.remove(&stream);
                return Some(());
            }
            _ => return Some(()),
        };
        if !end {
            return Some(());
        }
        let none = std::iter::empty::<Field>;
        match act(&self.asked.remove(&stream)?) {
            Act::Answer(body) => {
                self.http2.respond(stream, 200, none(), body.is_empty()).ok()?;
                if !body.is_empty() {
                    self.answers.insert(stream, (body, None));
                }
            }
            Act::Trailed(body, name, value) => {
                self.http2.respond(stream, 200, none(), false).ok()?;
                self.answers.insert(stream, (body, Some((name, value))));
            }
            Act::Reset(code) => self.http2.reset(stream, code),
            Act::Die(part) => {
                self.http2.respond(stream, 200, none(), false).ok()?;
                self.http2.send_data(stream, &part, false).ok()?;
                self.flush()?;
                return None;
            }
            Act::GoAway => {
                let last = stream.number().saturating_sub(2);
                let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
                frame.extend(last.to_be_bytes());
                frame.extend([0; 4]);
                self.flush()?;
                self.stream.write_all(&frame).ok()?;
            }
        }
        Some(())
    }

    fn flush(&mut self) -> Option<()> {
        loop {
            let http2 = &mut self.http2;
            self.answers.retain(|stream, (body, trailer)| {
                let Ok(sent) = http2.send_data(*stream, body, trailer.is_none()) else {
                    return false;
                };
                body.drain(..sent);
                if let Some((name, value)) = trailer.filter(|_| body.is_empty()) {
                    let field = (name.as_bytes(), value.as_bytes());
                    let _ = http2.send_trailers(*stream, [Field::from(field)]);
                }
                !body.is_empty()
            });
            let bytes = std::mem::take(self.http2.output());
            if bytes.is_empty() {
                return Some(());
            }
            self.stream.write_all(&bytes).ok()?;
        }
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
