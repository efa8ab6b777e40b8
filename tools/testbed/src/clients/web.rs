//! Web clients that last: those that ask and ask, those that mean harm, and WebSocket sessions.

use super::talk::Talk;
use crate::lab::{Host, until};
use crate::tool::{hostile, pages};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// For what takes as long as the machine likes.
const PATIENCE: Duration = Duration::from_secs(60);

/// See [`crate::tool::pages`].
#[derive(Debug)]
pub struct Pages(Talk);

impl Pages {
    /// Clients of `target`, none yet.
    pub fn new(client: &Host, target: SocketAddr) -> Result<Self> {
        let mut command = client.tool("pages")?;
        command.arg(target.to_string());
        Ok(Self(Talk::start(client, "pages", command)?))
    }

    /// So many begin, and rest for so many milliseconds after each answer.
    pub fn start(&mut self, clients: u32, pause: u32) -> Result<()> {
        let said = self.0.ask(&format!("start {clients} {pause}"))?;
        ensure!(said == "begun", "{said}");
        Ok(())
    }

    /// They end, each after its last answer. What came of all their requests.
    pub fn stop(&mut self) -> Result<pages::Report> {
        Ok(serde_json::from_str(&self.0.ask("stop")?)?)
    }
}

/// See [`crate::tool::hostile`].
#[derive(Debug)]
pub struct Hostile(Talk);

impl Hostile {
    /// Clients of `target` from these addresses, none yet, with so many seconds between two words of
    /// each. They have machines of their own: here they give way to all others.
    pub fn new(client: &Host, target: SocketAddr, pause: u64, sources: &[IpAddr]) -> Result<Self> {
        let mut command = client.command("nice");
        command.args(["-n", "15"]).arg(std::env::current_exe()?).args(["tool", "hostile"]);
        command.args([target.to_string(), pause.to_string()]);
        command.args(sources.iter().map(IpAddr::to_string));
        Ok(Self(Talk::start(client, "hostile", command)?))
    }

    /// So many more of a kind, by its word.
    pub fn open(&mut self, kind: &str, count: u32) -> Result<()> {
        let said = self.0.ask(&format!("open {kind} {count}"))?;
        ensure!(said == count.to_string(), "{said} of {count} could connect");
        Ok(())
    }

    /// What has become of them so far.
    pub fn ends(&mut self) -> Result<hostile::Ends> {
        Ok(serde_json::from_str(&self.0.ask("ends")?)?)
    }
}

/// WebSocket sessions by the library of another project, each of which goes on sending messages of
/// all sizes and hearing them again.
#[derive(Debug)]
pub struct WebSockets(Talk);

/// What came of the sessions.
#[derive(Clone, Debug, Deserialize)]
pub struct Sessions {
    /// Messages that came back as they were sent.
    pub messages: u64,
    /// What ended a session before its time.
    pub failed: Vec<String>,
    /// By server: sessions.
    pub servers: std::collections::BTreeMap<String, u64>,
}

impl WebSockets {
    /// Opens so many.
    pub fn open(client: &Host, target: SocketAddr, sessions: u32) -> Result<Self> {
        Self::start(client, &format!("ws://{target}/"), sessions, None)
    }

    /// Opens so many over TLS, and believes certificates of `authority`, in a file.
    pub fn open_tls(
        client: &Host,
        target: SocketAddr,
        sessions: u32,
        authority: &Path,
    ) -> Result<Self> {
        Self::start(client, &format!("wss://{target}/"), sessions, Some(authority))
    }

    fn start(client: &Host, url: &str, sessions: u32, authority: Option<&Path>) -> Result<Self> {
        let mut command = client.command("/usr/bin/python3");
        command.args(["-u", "-c", include_str!("websockets.py"), url]);
        command.arg(sessions.to_string()).args(authority);
        let mut talk = Talk::start(client, "websockets", command)?;
        let said = talk.ask("opened")?;
        ensure!(said == sessions.to_string(), "{said} of {sessions} sessions were opened");
        Ok(Self(talk))
    }

    /// Waits until so many messages came back, however fast the machine is.
    pub fn exchange(&mut self, messages: u64) -> Result<()> {
        until("messages of WebSocket sessions", PATIENCE, || {
            let said: u64 = self.0.ask("messages")?.parse()?;
            Ok((said >= messages).then_some(()))
        })
    }

    /// Closes all, each after its last message.
    pub fn close(mut self) -> Result<Sessions> {
        Ok(serde_json::from_str(&self.0.ask("close")?)?)
    }
}
