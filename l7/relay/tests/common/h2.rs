//! A client that speaks HTTP/2: many requests at a time over one connection, blocking.

use super::{PATIENCE, connect};
use http2::{Code, Connection, Event, Field, Head, Request, Settings, StreamId};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// What has come on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Heads with status 1xx.
    pub interim: Vec<u16>,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// It is whole.
    pub ended: bool,
    /// It was reset instead.
    pub reset: Option<Code>,
}

/// See the module.
pub struct Client<S = TcpStream> {
    stream: S,
    pub http2: Connection,
    head: Head,
    answers: HashMap<StreamId, Answer>,
    /// What is still to be sent of bodies.
    bodies: HashMap<StreamId, Vec<u8>>,
    /// Windows are opened as bodies come.
    pub reads: bool,
    pub goes_away: bool,
}

/// What is asked.
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl Client {
    pub fn connect(to: SocketAddr) -> Self {
        Self::with(to, Settings::default())
    }

    pub fn with(to: SocketAddr, settings: Settings) -> Self {
        Self::over(connect(to), settings)
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S, settings: Settings) -> Self {
        Self {
            stream,
            http2: Connection::client(settings),
            head: Head::default(),
            answers: HashMap::new(),
            bodies: HashMap::new(),
            reads: true,
            goes_away: false,
        }
    }

    /// Begins a request without a body.
    pub fn begin(&mut self, path: &str) -> StreamId {
        self.ask(&Ask { method: "GET", path, fields: &[], body: b"" })
    }

    /// Begins a request; its body follows as windows allow.
    pub fn ask(&mut self, ask: &Ask) -> StreamId {
        let end = ask.body.is_empty();
        let stream = self.open(ask, end);
        if !end {
            self.bodies.insert(stream, ask.body.to_vec());
        }
        self.send_bodies();
        stream
    }

    /// Only the head of one.
    pub fn open(&mut self, ask: &Ask, end: bool) -> StreamId {
        let request = Request {
            method: ask.method.as_bytes(),
            scheme: b"http",
            authority: b"a.example",
            path: ask.path.as_bytes(),
            protocol: None,
        };
        let fields = ask.fields.iter().map(|(n, v)| Field::from((n.as_bytes(), v.as_bytes())));
        let stream = self.http2.request(&request, fields, end).unwrap();
        self.answers.insert(stream, Answer::default());
        stream
    }

    /// Sends what there is, without waiting for anything.
    pub fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(self.http2.output());
        self.stream.write_all(&bytes)?;
        self.stream.flush()
    }

    /// A whole exchange.
    pub fn get(&mut self, path: &str) -> Answer {
        let stream = self.begin(path);
        self.answer(stream)
    }

    /// Five times a hundred requests at a time, each of its own path, and what each is answered.
    pub fn five_hundred(&mut self, expected: impl Fn(&str) -> String) {
        for round in 0..5 {
            let paths = (0..100).map(|number| format!("/{round}/{number}"));
            let asked: Vec<_> = paths.map(|path| (self.begin(&path), path)).collect();
            for (stream, path) in asked {
                assert_eq!(self.answer(stream).text(), expected(&path));
            }
        }
    }

    /// Waits for the end of an answer, whatever else comes.
    pub fn answer(&mut self, stream: StreamId) -> Answer {
        self.wait(|client| client.is_over(stream)).unwrap();
        self.answers.remove(&stream).unwrap()
    }

    /// What has come on a stream so far.
    pub fn so_far(&self, stream: StreamId) -> &Answer {
        &self.answers[&stream]
    }

    pub fn is_over(&self, stream: StreamId) -> bool {
        let answer = &self.answers[&stream];
        answer.ended || answer.reset.is_some()
    }

    /// Goes on until it is as it should be.
    pub fn wait(&mut self, mut fits: impl FnMut(&Self) -> bool) -> io::Result<()> {
        let start = Instant::now();
        loop {
            self.flush()?;
            if fits(self) {
                return Ok(());
            }
            assert!(start.elapsed() < PATIENCE, "never: {:?}", self.answers);
            self.step()?;
        }
    }

    /// Waits until the other side closes.
    pub fn is_closed(&mut self) -> bool {
        self.wait(|_| false).is_err_and(|e| e.kind() != ErrorKind::WouldBlock)
    }

    fn step(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut at = 0;
        loop {
            let rest = &buffer[at..count];
            let step = self.http2.receive(rest, &mut self.head).map_err(io::Error::other)?;
            at += step.taken;
            let Some(event) = step.event else { break };
            self.happens(event, rest);
        }
        assert_eq!(at, count, "a client with a full output");
        self.send_bodies();
        Ok(())
    }

    fn happens(&mut self, event: Event, bytes: &[u8]) {
        let fields: Vec<_> = self.head.fields().map(|f| (text(f.name), text(f.value))).collect();
        let status = self.head.status();
        match event {
            Event::Head { stream, end } => {
                let answer = self.answers.get_mut(&stream).unwrap();
                if status < 200 {
                    answer.interim.push(status);
                } else {
                    (answer.status, answer.fields, answer.ended) = (status, fields, end);
                }
            }
            Event::Data { stream, data, end } => {
                let answer = self.answers.get_mut(&stream).unwrap();
                if self.reads {
                    self.http2.give_back(stream, data.len());
                }
                answer.body.extend_from_slice(&bytes[data]);
                answer.ended = end;
            }
            Event::Trailers { stream } => {
                let answer = self.answers.get_mut(&stream).unwrap();
                (answer.trailers, answer.ended) = (fields, true);
            }
            Event::Reset { stream, code, .. } => {
                self.answers.get_mut(&stream).unwrap().reset = Some(code);
            }
            Event::GoAway { .. } => self.goes_away = true,
            Event::Room { .. } | Event::Settings | Event::Pong => {}
        }
    }

    fn send_bodies(&mut self) {
        let http2 = &mut self.http2;
        self.bodies.retain(|stream, body| match http2.send_data(*stream, body, true) {
            Ok(sent) => {
                body.drain(..sent);
                !body.is_empty()
            }
            Err(_) => false,
        });
    }
}

impl Answer {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
