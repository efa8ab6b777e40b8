//! A strict reader of RFC 5424, and servers on loopback.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod strict;

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};
use strict::Parsed;
use syslog::{Handle, Identity, Retry, Settings, Severity, Transport};

/// Longer than anything here takes; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Any port of a loopback address that nobody else has: a test that gives its port back finds it
/// free again.
pub fn any() -> (Ipv4Addr, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [process, _, ..] = std::process::id().to_le_bytes();
    let [number, ..] = NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
    (Ipv4Addr::new(127, 100, process, number), 0)
}

pub fn settings(server: SocketAddr, transport: Transport) -> Settings {
    let identity = Identity {
        hostname: "lb1.example.com".into(),
        app_name: "fulcrum-control".into(),
        process: 4711,
        version: "0.1.0".into(),
    };
    let most = Duration::from_millis(20);
    Settings {
        retry: Retry { first: Duration::from_millis(5), most },
        ..Settings::new(server, transport, identity)
    }
}

/// Does something that must not wait; a test fails instead of hanging.
pub fn at_once<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || drop(done.send(work())));
    finished.recv_timeout(PATIENCE).expect("it ends")
}

/// The next connection.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let listener = listener.try_clone().expect("it can be shared");
    at_once(move || listener.accept().expect("a connection comes").0)
}

/// Logs a text.
pub fn submit(handle: &Handle, text: &str) {
    let (handle, text) = (handle.clone(), text.to_owned());
    at_once(move || {
        handle.submit(Severity::Warning, SystemTime::now(), "test", format_args!("{text}"));
    });
}

/// What a message says.
pub fn text(line: &str) -> String {
    read(line).text.unwrap_or_default()
}

pub fn read(line: &str) -> Parsed {
    Parsed::read(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// The next datagram.
pub fn datagram(socket: &UdpSocket) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket waits");
    let mut buffer = [0; 65_536];
    let length = socket.recv(&mut buffer).expect("a datagram comes");
    String::from_utf8(buffer[..length].to_vec()).expect("it is UTF-8")
}

/// Reads messages by their lengths (RFC 6587 section 3.4.1).
pub struct Frames(BufReader<TcpStream>);

impl Frames {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket waits");
        Self(BufReader::new(stream))
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self) -> Option<String> {
        self.try_next().expect("the message comes whole")
    }

    /// The next message, where the connection may break.
    pub fn try_next(&mut self) -> io::Result<Option<String>> {
        let mut length = Vec::new();
        self.0.read_until(b' ', &mut length)?;
        if length.is_empty() {
            return Ok(None);
        }
        let digits = length.strip_suffix(b" ").expect("a blank ends it");
        assert!(digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0', "{digits:?}");
        let length = String::from_utf8_lossy(digits).parse().expect("it is a number");
        let mut message = vec![0; length];
        self.0.read_exact(&mut message)?;
        Ok(Some(String::from_utf8(message).expect("it is UTF-8")))
    }

    /// What the next message says.
    pub fn text(&mut self) -> String {
        text(&self.next().expect("there is a message"))
    }
}
