//! The client that sends octets as they are, and the server that keeps what it receives, seen from
//! outside their hosts.

pub use crate::tool::octets::End;

use super::talk::Talk;
use crate::lab::Host;
use crate::tool::{hex, octets};
use anyhow::Result;
use std::net::SocketAddr;

/// See [`crate::tool::octets`].
#[derive(Debug)]
pub struct Octets(Talk);

impl Octets {
    /// A client of `target`.
    pub fn start(client: &Host, target: SocketAddr) -> Result<Self> {
        let mut command = client.tool("octets")?;
        command.arg(target.to_string());
        Ok(Self(Talk::start(client, "octets", command)?))
    }

    /// Sends this over a new connection, so many at a time, and then no more. What came back, and
    /// how it ended.
    pub fn send(&mut self, octets: &[u8], piece: usize) -> Result<(Vec<u8>, End)> {
        let answer = self.0.ask(&format!("{} {piece}", hex::write(octets)))?;
        let answer: octets::Answer = serde_json::from_str(&answer)?;
        Ok((hex::read(&answer.octets)?, answer.end))
    }
}

/// See [`crate::tool::recorder`].
#[derive(Debug)]
pub struct Recorder(Talk);

impl Recorder {
    /// A server on this port.
    pub fn start(server: &Host, port: u16) -> Result<Self> {
        let mut command = server.tool("recorder")?;
        command.arg(port.to_string());
        let mut talk = Talk::start(server, "recorder", command)?;
        server.wait_port("tcp", port, talk.process())?;
        Ok(Self(talk))
    }

    /// From now on each request is answered by this, so many octets at a time.
    pub fn answer(&mut self, octets: &[u8], piece: usize) -> Result<()> {
        self.0.ask(&format!("answer {} {piece}", hex::write(octets))).map(drop)
    }

    /// From now on each request is answered by an empty 200.
    pub fn usual(&mut self) -> Result<()> {
        self.0.ask("usual").map(drop)
    }

    /// What it has received since it was asked last.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        hex::read(&self.0.ask("take")?)
    }
}
