//! Clients of our own, for what no program of Debian's does: handshakes without resumption, bytes
//! as fast as they come, connections that stay.

use super::backend::{Backend, SINK, STREAM};
use super::bed::local;
use super::peers::Door;
use anyhow::{Context, Result, ensure};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Handshakes at a time.
const HANDSHAKERS: usize = 16;
/// Connections being opened at a time.
const OPENERS: usize = 16;
/// Transfers at a time.
const TRANSFERS: usize = 4;
const CHUNK: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// What TLS clients of this program share.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// TLS 1.3 with X25519 and AES-128-GCM; whoever shows `certificate`, a file of PEM, is
    /// believed, and nothing is resumed.
    ///
    /// # Errors
    /// When the file is no certificate.
    pub fn new(certificate: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate)?)?;
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    fn connection(&self) -> Result<ClientConnection> {
        let name = ServerName::try_from("bench.example").context("a name")?;
        Ok(ClientConnection::new(self.0.clone(), name)?)
    }

    /// Handshakes with one request each, until then; how many were answered.
    ///
    /// # Errors
    /// When one fails.
    pub fn handshakes(&self, port: u16, interval: Duration) -> Result<u64> {
        let end = Instant::now() + interval;
        let one = || -> Result<u64> {
            let mut count = 0;
            while Instant::now() < end {
                let mut socket = TcpStream::connect(local(port))?;
                socket.set_nodelay(true)?;
                let mut connection = self.connection()?;
                let mut stream = Stream::new(&mut connection, &mut socket);
                stream.write_all(request("/128", "Connection: close\r\n").as_bytes())?;
                let mut answer = Vec::new();
                match stream.read_to_end(&mut answer) {
                    Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(e.into()),
                    _ => ensure!(answer.starts_with(b"HTTP/1.1 200"), "no good answer"),
                }
                count += 1;
            }
            Ok(count)
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..HANDSHAKERS).map(|_| scope.spawn(one)).collect();
            let counts = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            counts.sum()
        })
    }

    /// So many connections that have had one answer each.
    ///
    /// # Errors
    /// When one has not.
    pub fn rest(&self, port: u16, door: Door, count: usize) -> Result<Vec<TcpStream>> {
        let share = count.div_ceil(OPENERS);
        let some = || -> Result<Vec<TcpStream>> {
            (0..share).map(|_| Ok(self.ask(port, door)?.0)).collect()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..OPENERS).map(|_| scope.spawn(some)).collect();
            let mut all = Vec::new();
            for thread in threads {
                all.append(&mut thread.join().expect("no panic")?);
            }
            Ok(all)
        })
    }

    /// A connection that has had one answer, which is given too. TLS is not ended, only forgotten.
    ///
    /// # Errors
    /// When there is no good answer.
    pub fn ask(&self, port: u16, door: Door) -> Result<(TcpStream, String)> {
        let mut socket = TcpStream::connect(local(port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let answer = match door.is_secure() {
            true => {
                let mut connection = self.connection()?;
                exchange(&mut Stream::new(&mut connection, &mut socket))?
            }
            false => exchange(&mut socket)?,
        };
        Ok((socket, answer))
    }
}

/// The cookie that an answer sets, as a client sends it back.
pub fn cookie(answer: &str) -> Option<String> {
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"))?;
    let value = line.split_once(':')?.1.split(';').next()?.trim();
    Some(format!("Cookie: {value}"))
}

fn exchange(stream: &mut (impl Read + Write)) -> Result<String> {
    stream.write_all(request("/128", "").as_bytes())?;
    let mut answer = Vec::new();
    let mut room = [0; 4_096];
    let whole = |answer: &[u8]| answer.windows(4).position(|four| four == b"\r\n\r\n");
    while whole(&answer).is_none_or(|at| answer.len() < at + 4 + 128) {
        let count = stream.read(&mut room)?;
        ensure!(count > 0, "the answer broke off: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&room[..count]);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 200"), "no good answer: {answer}");
    Ok(answer)
}

fn request(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bench.example\r\n{fields}\r\n")
}

/// Transfers that go on until dropped.
pub struct Transfers {
    sockets: Vec<Arc<TcpStream>>,
    received: Arc<AtomicU64>,
    sends: bool,
}

impl Transfers {
    /// Begins them.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn start(port: u16, sends: bool) -> Result<Self> {
        let mut transfers = Self { sockets: Vec::new(), received: Arc::default(), sends };
        for _ in 0..TRANSFERS {
            let socket = Arc::new(TcpStream::connect(local(port))?);
            let path = if sends { SINK } else { STREAM };
            (&*socket).write_all(request(path, "").as_bytes())?;
            transfers.sockets.push(socket.clone());
            let received = transfers.received.clone();
            thread::spawn(move || match sends {
                true => push(&socket),
                false => pull(&socket, &received),
            });
        }
        Ok(transfers)
    }

    /// Bytes that have arrived at their end.
    pub fn arrived(&self, backend: &Backend) -> u64 {
        if self.sends { backend.taken() } else { self.received.load(Relaxed) }
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn push(socket: &TcpStream) {
    let bytes = vec![b'x'; CHUNK];
    while send(socket, &bytes, SendFlags::NOSIGNAL).is_ok() {}
}

fn pull(socket: &TcpStream, received: &AtomicU64) {
    let mut room = vec![0; CHUNK];
    // The kernel throws it away: the client is to cost as little as it can.
    while let Ok((_, count @ 1..)) = recv(socket, &mut room[..], RecvFlags::TRUNC) {
        received.fetch_add(count as u64, Relaxed);
    }
}
