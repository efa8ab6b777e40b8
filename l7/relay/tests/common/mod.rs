//! Clients, real servers and services on loopback addresses.
#![allow(dead_code)] // Each test binary uses its own part.

pub mod encrypted;
pub mod h2;
pub mod h2_server;
pub mod http;

use l7_api::{Counters, Listen, PortRange, Server, ServerId, Service, Snapshot};
use relay::{Relay, Size};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// A test that waits for longer than this has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The port that services listen on.
pub const PORT: u16 = 4000;

/// A loopback address that no other test uses.
pub fn vip() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, SeqCst).to_be_bytes();
    let process = (std::process::id() % 50_000) as u16 + 256;
    let [a, b] = process.to_be_bytes();
    // 127.a.b.x, and further addresses in the next processes' neighbourhood are not reached.
    Ipv4Addr::new(127, a, b, low.wrapping_add(high).max(1)).into()
}

/// A service on an address of its own.
pub fn service(id: u32, servers: Vec<Server>) -> Service {
    let listen = vec![Listen { address: vip(), ports: PortRange::one(PORT) }];
    Service { listen, servers, ..Service::tcp(id, &format!("service-{id}")) }
}

pub fn address(service: &Service) -> SocketAddr {
    SocketAddr::new(service.listen[0].address, PORT)
}

pub fn server(id: ServerId, at: SocketAddr) -> Server {
    Server::new(id, &format!("server-{id}"), at.ip(), Some(at.port()))
}

pub fn snapshot(generation: u64, services: &[&Service]) -> Snapshot {
    let services = services.iter().map(|s| (*s).clone()).collect();
    Snapshot { generation, hash_seed: 1, services, ..Snapshot::default() }
}

pub fn relay(workers: usize) -> Relay {
    Relay::start(Size { workers, connections: 10_000, files: 20_000 }).unwrap()
}

/// A relay that serves one service, with nothing to complain about.
pub fn relay_of(workers: usize, service: &Service) -> Relay {
    let mut relay = relay(workers);
    assert_eq!(relay.apply(snapshot(1, &[service])).unwrap(), []);
    relay
}

/// Connects, with a patience on everything that is read and written.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes, ends, and reads until the other side ends.
pub fn ask(to: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(to);
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// A real server: every connection is given to `serve` in a thread of its own.
pub struct RealServer {
    pub address: SocketAddr,
    /// Connections accepted so far.
    pub accepted: Arc<AtomicU64>,
}

impl RealServer {
    pub fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicU64::new(0));
        let (counter, serve) = (accepted.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                counter.fetch_add(1, SeqCst);
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Sends back what it reads, and its end after the client's.
    pub fn echo() -> Self {
        Self::new(|mut stream| {
            let mut buffer = [0; 16 << 10];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Says its name to everybody and waits for the client's end.
    pub fn named(name: &'static str) -> Self {
        Self::new(move |mut stream| {
            let _ = stream.write_all(name.as_bytes());
            let _ = stream.read(&mut [0; 64]);
        })
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(SeqCst)
    }
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The name that a [`RealServer::named`] says.
pub fn name_of(stream: &mut TcpStream) -> String {
    let mut name = [0; 64];
    let count = stream.read(&mut name).unwrap();
    String::from_utf8_lossy(&name[..count]).into_owned()
}

/// Waits until the counters are as they should be. What another thread does takes a moment.
pub fn until(relay: &Relay, what: &str, fits: impl Fn(&Counters) -> bool) -> Counters {
    let start = Instant::now();
    loop {
        let counters = relay.counters();
        if fits(&counters) {
            return counters;
        }
        assert!(start.elapsed() < PATIENCE, "never {what}: {counters:#?}");
        thread::yield_now();
    }
}

/// Bytes that differ from place to place, the same for the same seed.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn fill(&mut self, buffer: &mut [u8]) {
        for word in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

/// A sum over bytes and their places (FNV-1a over words would need whole words).
#[derive(Debug, PartialEq, Eq)]
pub struct Sum {
    pub bytes: u64,
    state: u64,
}

impl Sum {
    pub fn new() -> Self {
        Self { bytes: 0, state: 0xcbf2_9ce4_8422_2325 }
    }

    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for byte in bytes {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Connects from an address of the loopback network.
pub fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the other side has reset this connection, which has nothing to say.
pub fn is_reset(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 64]).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
}

/// Whether a new connection is reset before anything is said, be it while it is made.
pub fn is_turned_away(to: SocketAddr) -> bool {
    match TcpStream::connect(to) {
        Ok(mut stream) => is_reset(&mut stream),
        Err(e) => e.kind() == io::ErrorKind::ConnectionReset,
    }
}
