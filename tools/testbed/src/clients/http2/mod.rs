//! Clients of HTTP/2 by hyper-h2, which checks every frame that comes.

use super::talk::Talk;
use crate::lab::Host;
use crate::tool::hex;
use anyhow::Result;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// What such a client does; the scripts say which arguments they want behind the address.
#[derive(Clone, Copy, Debug)]
pub enum Http2 {
    /// Everything that is allowed, and nothing in return that is not.
    Strict,
    /// What a client does that means no good.
    Floods,
    /// WebSocket.
    WebSockets,
}

impl Http2 {
    /// Runs it at this address. What it says; an error if it found something wrong.
    pub fn run(self, client: &Host, vip: IpAddr, arguments: &str) -> Result<String> {
        let (name, script) = match self {
            Self::Strict => ("strict", include_str!("strict.py")),
            Self::Floods => ("floods", include_str!("floods.py")),
            Self::WebSockets => ("websockets", include_str!("websockets.py")),
        };
        let path = client.folder().join(format!("http2-{name}.py"));
        std::fs::write(&path, script_of(script))?;
        let line = format!("/usr/bin/python3 {} {vip} {arguments} 2>&1", path.display());
        client.shell(&line, LIMIT)
    }
}

/// A client that sends heads of HTTP/2 as they are.
#[derive(Debug)]
pub struct Heads(Talk);

impl Heads {
    /// One of `target`.
    pub fn start(client: &Host, target: SocketAddr) -> Result<Self> {
        let mut command = client.command("/usr/bin/python3");
        command.args(["-u", "-c", &script_of(include_str!("raw.py"))]);
        command.args([target.ip().to_string(), target.port().to_string()]);
        Ok(Self(Talk::start(client, "http2-heads", command)?))
    }

    /// Sends a head with these flags, fields (RFC 7541) and body, and, when that is answered, asks
    /// for `/behind` on the same connection: how both were answered.
    pub fn send(&mut self, flags: u8, fields: &[u8], body: &[u8]) -> Result<String> {
        let words = [&[flags], fields, body].map(hex::write);
        self.0.ask(&words.join(" "))
    }
}

fn script_of(script: &str) -> String {
    [include_str!("peer.py"), script].concat()
}
