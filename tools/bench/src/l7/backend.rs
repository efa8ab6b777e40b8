//! The real servers: one thread, one poll set, canned responses, so that they cost the load's core
//! as little as a server can.

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

/// Bytes of the bodies at `/128`, `/16k` and `/1m`.
pub const BODIES: [(&str, usize); 3] = [("/128", 128), ("/16k", 16 << 10), ("/1m", 1 << 20)];
/// Sends without end.
pub const STREAM: &str = "/stream";
/// Takes without end.
pub const SINK: &str = "/sink";

const LISTENERS: u64 = 1 << 32;
const HEAD_BYTES: usize = 16 << 10;
/// Taken from a socket at once by whoever throws it away.
const DISCARD_BYTES: usize = 1 << 20;

/// The servers' thread; it ends with the process.
#[derive(Clone, Debug)]
pub struct Backend {
    taken: Arc<AtomicU64>,
}

impl Backend {
    /// Serves at these addresses, on this processor.
    ///
    /// # Errors
    /// When an address is taken.
    pub fn start(addresses: &[SocketAddr], cpu: usize) -> Result<Self> {
        let listeners: Result<Vec<_>> = addresses
            .iter()
            .map(|at| TcpListener::bind(at).with_context(|| format!("cannot listen on {at}")))
            .collect();
        let taken = Arc::new(AtomicU64::new(0));
        let mut server = Server::new(listeners?, taken.clone())?;
        thread::Builder::new().name("backend".into()).spawn(move || {
            if let Err(e) = super::bed::pin(cpu).and_then(|()| server.run()) {
                eprintln!("the real server has failed: {e:#}");
                std::process::exit(1);
            }
        })?;
        Ok(Self { taken })
    }

    /// Bytes that have come to [`SINK`].
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

/// A path, and what is answered there: on a connection that stays, and on one that does not.
type Response = (&'static str, [&'static [u8]; 2]);

struct Server {
    poll: OwnedFd,
    listeners: Vec<TcpListener>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    responses: Vec<Response>,
    taken: Arc<AtomicU64>,
    scratch: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    head: Vec<u8>,
    doing: Doing,
}

#[derive(Clone, Copy)]
enum Doing {
    Listening,
    /// What is left of the response, and whether it is the last one.
    Answering(&'static [u8], bool),
    Streaming,
    Sinking,
}

/// The connection is to be closed.
struct Over;

impl Server {
    fn new(listeners: Vec<TcpListener>, taken: Arc<AtomicU64>) -> Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, listener) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            let data = EventData::new_u64(LISTENERS + number as u64);
            epoll::add(&poll, listener, data, EventFlags::IN)?;
        }
        Ok(Self {
            poll,
            listeners,
            connections: Vec::new(),
            free: Vec::new(),
            // They are needed until the process ends.
            responses: BODIES
                .map(|(path, size)| (path, [false, true].map(|last| &*response(size, last).leak())))
                .to_vec(),
            taken,
            scratch: vec![0; DISCARD_BYTES],
        })
    }

    fn run(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    token if token >= LISTENERS => self.accept((token - LISTENERS) as usize)?,
                    token => self.serve(token as usize),
                }
            }
        }
    }

    fn accept(&mut self, number: usize) -> Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listeners[number], flags) {
            sockopt::set_tcp_nodelay(&socket, true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.poll, &socket, EventData::new_u64(index as u64), edges)?;
            let connection = Connection { socket, head: Vec::new(), doing: Doing::Listening };
            self.connections[index] = Some(connection);
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        let mut steps = connection.advance(&self.responses, &mut self.scratch, &self.taken);
        while let Ok(true) = steps {
            steps = connection.advance(&self.responses, &mut self.scratch, &self.taken);
        }
        if steps.is_err() {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    /// One step; whether there may be another one.
    fn advance(
        &mut self,
        responses: &[Response],
        scratch: &mut [u8],
        taken: &AtomicU64,
    ) -> Result<bool, Over> {
        match self.doing {
            Doing::Listening => self.listen(responses, scratch),
            Doing::Answering(rest, last) => {
                let Some(count) = put(&self.socket, rest)? else { return Ok(false) };
                self.doing = match rest.get(count..).unwrap_or_default() {
                    [] if last => return Err(Over),
                    [] => Doing::Listening,
                    rest => Doing::Answering(rest, last),
                };
                Ok(true)
            }
            Doing::Streaming => Ok(put(&self.socket, scratch)?.is_some()),
            Doing::Sinking => {
                let count = take(&self.socket, scratch, RecvFlags::TRUNC)?;
                taken.fetch_add(count.unwrap_or(0) as u64, Relaxed);
                Ok(count.is_some())
            }
        }
    }

    fn listen(&mut self, responses: &[Response], scratch: &mut [u8]) -> Result<bool, Over> {
        let room = &mut scratch[..HEAD_BYTES];
        let Some(count) = take(&self.socket, room, RecvFlags::empty())? else { return Ok(false) };
        self.head.extend_from_slice(&room[..count]);
        // Clients here never send the next request before they have the response to this one.
        if !self.head.windows(4).any(|four| four == b"\r\n\r\n") {
            return if self.head.len() > HEAD_BYTES { Err(Over) } else { Ok(true) };
        }
        let head = std::mem::take(&mut self.head);
        let text = str::from_utf8(&head).map_err(|_| Over)?;
        let path = text.split(' ').nth(1).ok_or(Over)?;
        let last = text.contains("Connection: close") || text.contains("connection: close");
        self.doing = match path {
            STREAM => Doing::Streaming,
            SINK => Doing::Sinking,
            _ => {
                let (_, two) = responses.iter().find(|(at, _)| *at == path).ok_or(Over)?;
                Doing::Answering(two[usize::from(last)], last)
            }
        };
        Ok(true)
    }
}

/// What was read; `None`: nothing yet.
fn take(socket: &OwnedFd, room: &mut [u8], flags: RecvFlags) -> Result<Option<usize>, Over> {
    match recv(socket, room, flags) {
        Ok((_, 0)) => Err(Over),
        Ok((_, count)) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(_) => Err(Over),
    }
}

/// What was written; `None`: nothing yet.
fn put(socket: &OwnedFd, bytes: &[u8]) -> Result<Option<usize>, Over> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(_) => Err(Over),
    }
}

fn response(size: usize, last: bool) -> Vec<u8> {
    let connection = if last { "Connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n{connection}\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}
