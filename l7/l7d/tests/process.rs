//! The process as control, its supervisor and its successor see it.

use l7_api::{
    Listen, Persistence, PersistenceBy, PortRange, Reply, Request, Server, Service, Snapshot,
};
use l7d::link::Link;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const PORT: u16 = 4001;

/// A running process that is spoken to.
struct Proxy {
    running: Running,
    link: Link,
}

/// A running process; killed when dropped.
struct Running(Child);

impl Proxy {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        Self::start_with_files(20_000, socket, arguments)
    }

    /// Started with a limit of open files; waits until it answers by itself.
    fn start_with_files(files: u32, socket: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_fulcrum-l7"))
            .arg("--socket")
            .arg(socket)
            .args(arguments);
        let running = Running(command.spawn().unwrap());
        let start = Instant::now();
        loop {
            if let Ok(mut link) = Link::connect(socket)
                && let Ok(Reply::Hello { pid, .. }) = link.ask(&Request::Hello)
                && pid == running.0.id()
            {
                return Self { running, link };
            }
            assert!(start.elapsed() < PATIENCE, "the process does not answer");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn apply(&mut self, generation: u64, service: &Service) {
        let services = vec![service.clone()];
        let snapshot =
            Box::new(Snapshot { generation, hash_seed: 1, services, ..Snapshot::default() });
        let reply = self.link.ask(&Request::Apply(snapshot)).unwrap();
        assert_eq!(reply, Reply::Applied { generation, problems: vec![] });
    }

    fn status(&mut self) -> l7_api::Status {
        match self.link.ask(&Request::Status).unwrap() {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn ends_well(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.running.0.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder of this test's own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("l7d-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("l7.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An echo server and a service in front of it, on a loopback address of its own.
fn service() -> (Service, SocketAddr) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [a, b] = ((std::process::id() % 50_000) as u16 + 256).to_be_bytes();
    let vip: IpAddr = Ipv4Addr::new(127, a, b, NEXT.fetch_add(1, SeqCst)).into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::spawn(move || {
                let mut buffer = [0; 1_024];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let service = Service {
        listen: vec![Listen { address: vip, ports: PortRange::one(PORT) }],
        servers: vec![Server::new(1, "echo", at.ip(), Some(at.port()))],
        persistence: Some(Persistence::new(PersistenceBy::Address, 600)),
        ..Service::tcp(1, "echo")
    };
    (service, SocketAddr::new(vip, PORT))
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn speaks(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])
}

#[test]
fn control_is_answered_and_nonsense_is_cut_off() {
    let folder = Folder::new("control");
    let mut proxy = Proxy::start(&folder.socket(), &["--workers", "3"]);
    let (service, to) = service();
    proxy.apply(7, &service);
    speaks(&mut connect(to)).unwrap();
    let status = proxy.status();
    assert_eq!((status.generation, status.workers, status.listeners), (7, 3, 3));
    assert!(!status.retiring);
    // The worker counts after it has sent.
    let start = Instant::now();
    loop {
        let Reply::Counters(counters) = proxy.link.ask(&Request::Counters).unwrap() else {
            panic!()
        };
        if (counters.services[0].accepted, counters.servers[0].bytes_out) == (1, 4) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "not what was spoken: {counters:?}");
        thread::sleep(Duration::from_millis(5));
    }
    let rows = Request::Persistence { service: 1, after: 0, limit: 9 };
    let Reply::Persistence { rows, newest } = proxy.link.ask(&rows).unwrap() else { panic!() };
    assert_eq!((rows.len(), rows[0].server, newest), (1, 1, 1));

    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"FL7\x02\xff\xff\xff\xff", b"FL7\x02\x01\0\0\0\xff"]
    {
        let mut peer = UnixStream::connect(folder.socket()).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.write_all(nonsense).unwrap();
        // Closed with our bytes unread may be a reset.
        match peer.read(&mut [0; 64]) {
            Ok(0) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
    let mut wrong = service.clone();
    wrong.servers[0].port = Some(0);
    let snapshot = Snapshot { generation: 8, services: vec![wrong], ..Snapshot::default() };
    let reply = proxy.link.ask(&Request::Apply(Box::new(snapshot))).unwrap();
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    assert_eq!(proxy.status().generation, 7);
    speaks(&mut connect(to)).unwrap();
}

#[test]
fn a_successor_takes_over_and_nobody_notices() {
    let folder = Folder::new("takeover");
    let (service, to) = service();
    let mut proxy = Proxy::start(&folder.socket(), &["--workers", "2"]);
    proxy.apply(1, &service);
    let mut old = connect(to);
    speaks(&mut old).unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let clients = (0..3).map(|_| {
        let stop = stop.clone();
        thread::spawn(move || {
            let mut count = 0;
            while !stop.load(SeqCst) {
                let mut stream = TcpStream::connect(to).expect("every connection is accepted");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                speaks(&mut stream).expect("and served");
                count += 1;
            }
            count
        })
    });
    let clients: Vec<_> = clients.collect();
    for workers in ["3", "1", "2"] {
        let mut before = proxy;
        proxy = Proxy::start(&folder.socket(), &["--takeover", "--workers", workers]);
        let status = proxy.status();
        assert_eq!((status.generation, status.workers.to_string().as_str()), (1, workers));
        let rows = Request::Persistence { service: 1, after: 0, limit: 9 };
        let Reply::Persistence { rows, .. } = proxy.link.ask(&rows).unwrap() else { panic!() };
        assert_eq!(rows.len(), 1);
        if workers == "3" {
            // Control is sent away, to come to the successor.
            let start = Instant::now();
            while before.link.ask(&Request::Status).is_ok() {
                assert!(start.elapsed() < PATIENCE, "it still speaks to control");
                thread::sleep(Duration::from_millis(5));
            }
            // The first one still has a client of its own, and ends with it.
            speaks(&mut old).unwrap();
            drop(old.try_clone());
            old.shutdown(std::net::Shutdown::Both).unwrap();
        }
        before.ends_well();
    }
    stop.store(true, SeqCst);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
    proxy.apply(2, &service);
    speaks(&mut connect(to)).unwrap();
}

#[test]
fn a_predecessor_is_cut_when_the_successor_says_so() {
    let folder = Folder::new("cut");
    let (service, to) = service();
    let mut proxy = Proxy::start(&folder.socket(), &["--takeover", "--workers", "1"]);
    proxy.apply(1, &service);
    let mut old = connect(to);
    speaks(&mut old).unwrap();
    let arguments = ["--takeover", "--workers", "1", "--cut-after", "0"];
    let _successor = Proxy::start(&folder.socket(), &arguments);
    let end = old.read(&mut [0]).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    proxy.ends_well();
}

#[test]
fn without_descriptors_it_waits_and_recovers() {
    let folder = Folder::new("files");
    let (service, to) = service();
    // Far more connections than files.
    let arguments = ["--workers", "2", "--connections", "10000"];
    let mut proxy = Proxy::start_with_files(64, &folder.socket(), &arguments);
    proxy.apply(1, &service);
    let hoard: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(to).ok()).collect();
    let start = Instant::now();
    loop {
        let Reply::Counters(counters) = proxy.link.ask(&Request::Counters).unwrap() else {
            panic!()
        };
        if counters.accept_pauses > 0 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it never ran out of descriptors");
        thread::sleep(Duration::from_millis(5));
    }
    drop(hoard);
    // Those who wait in the kernel are served as soon as it is possible; a client that came at the
    // worst moment is turned away.
    while connect_and_speak(to).is_err() {
        assert!(start.elapsed() < PATIENCE, "it never recovers");
    }
    for _ in 0..100 {
        connect_and_speak(to).unwrap();
    }
}

fn connect_and_speak(to: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    speaks(&mut stream)
}

#[test]
fn more_clients_than_allowed_wait_in_the_kernel() {
    let folder = Folder::new("most");
    let (service, to) = service();
    let mut proxy = Proxy::start(&folder.socket(), &["--workers", "1", "--connections", "2"]);
    proxy.apply(1, &service);
    let mut first = connect(to);
    let mut second = connect(to);
    speaks(&mut first).unwrap();
    speaks(&mut second).unwrap();
    let mut third = connect(to);
    third.write_all(b"ping").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(third.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(proxy.status().connections, 2);
    drop(first);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    third.read_exact(&mut [0; 4]).unwrap();
}
