//! A client that sends octets as they are. Lines on standard input, `OCTETS PIECE`, each sent over
//! a connection of its own whose sending side it closes then; each answered by one line of JSON,
//! an [`Answer`].

use super::{hex, recorder::write_pieces};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    target: SocketAddr,
}

/// What came back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Octets, hexadecimal.
    pub octets: String,
    /// How the connection came to its end.
    pub end: End,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// In order.
    Closed,
    /// By a reset.
    Reset,
    /// It did not.
    Open,
}

/// Serves standard input to its end.
pub fn run(args: &Args) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (octets, piece) = line.split_once(' ').context("two words")?;
        let answer = send(args.target, &hex::read(octets)?, piece.parse()?)?;
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(())
}

fn send(target: SocketAddr, octets: &[u8], piece: usize) -> Result<Answer> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // It may be refused, and cut, before it has said everything.
    let _ = write_pieces(&mut stream, octets, piece);
    let _ = stream.shutdown(Shutdown::Write);
    let (mut received, mut buffer) = (Vec::new(), [0; 16_384]);
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(count) => received.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break End::Open,
            Err(_) => break End::Reset,
        }
    };
    Ok(Answer { octets: hex::write(&received), end })
}
