//! Many clients that keep their TLS connections and go on asking.

use anyhow::{Context, Result, ensure};
use clap::Args as Arguments;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two requests of a connection.
const PAUSE: Duration = Duration::from_millis(20);

/// Arguments.
#[derive(Debug, Arguments)]
pub struct Args {
    /// Where to.
    to: SocketAddr,
    /// The name asked for.
    name: String,
    /// Authorities that are trusted, PEM.
    authorities: PathBuf,
    /// Connections.
    connections: usize,
    /// For so many seconds.
    seconds: u64,
}

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Opens every connection, says `ready`, asks over each until the time is over, and says in JSON
/// how it went.
pub fn run(args: &Args) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&args.authorities)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let streams = (0..args.connections).map(|_| open(args, &config));
    let streams: Vec<Stream> = streams.collect::<Result<_>>()?;
    println!("ready");
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let threads: Vec<_> =
        streams.into_iter().map(|stream| thread::spawn(move || go_on(stream, end))).collect();
    let (mut requests, mut failures) = (0, Vec::new());
    for thread in threads {
        let (asked, failure) = thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
        requests += asked;
        failures.extend(failure.map(|e| format!("{e:#}")));
    }
    println!("{}", json!({"requests": requests, "failures": failures}));
    Ok(())
}

fn open(args: &Args, config: &Arc<ClientConfig>) -> Result<Stream> {
    let socket = TcpStream::connect_timeout(&args.to, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(args.name.clone())?;
    let connection = ClientConnection::new(config.clone(), name)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    ask(&mut stream)?;
    Ok(stream)
}

fn go_on(mut stream: Stream, end: Instant) -> (u64, Option<anyhow::Error>) {
    let mut requests = 0;
    while Instant::now() < end {
        if let Err(e) = ask(&mut stream) {
            return (requests, Some(e));
        }
        requests += 1;
        thread::sleep(PAUSE);
    }
    (requests, None)
}

fn ask(stream: &mut Stream) -> Result<()> {
    let own = stream.get_mut();
    own.write_all(b"GET /name HTTP/1.1\r\nHost: a.example\r\n\r\n")?;
    own.flush()?;
    let (mut line, mut length, mut first) = (String::new(), None, true);
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the connection has ended");
        if std::mem::take(&mut first) {
            ensure!(line.starts_with("HTTP/1.1 200 "), "{line}");
        }
        let lower = line.to_ascii_lowercase();
        ensure!(!lower.starts_with("connection: close"), "the connection is to end");
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length.context("no length")?];
    Ok(stream.read_exact(&mut body)?)
}
