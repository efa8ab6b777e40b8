//! Clients: curl, dig, ssh, smbclient, libnfs, a swarm of connections of our own, and a storm of mere frames.

mod http2;
mod octets;
mod shares;
mod storm;
mod swarm;
mod talk;
mod web;

pub use http2::{Heads, Http2};
pub use octets::{End, Octets, Recorder};
pub use shares::{Download, Nfs, Smb};
pub use storm::{Report, Storm};
pub use swarm::{Round, Swarm};
pub use web::{Hostile, Pages, WebSockets};

use crate::lab::{Host, Process, process};
use crate::servers::{BigFile, Credentials};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_secs(20);

/// How often each server answered, and how often none did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers by server name.
    pub servers: BTreeMap<String, u64>,
    /// Requests without the right answer.
    pub errors: u64,
    /// What the first of these said.
    pub first_error: Option<String>,
}

impl Tally {
    /// Answers altogether.
    pub fn answers(&self) -> u64 {
        self.servers.values().sum()
    }

    /// Counts one answer.
    pub fn add(&mut self, server: &str) {
        *self.servers.entry(server.to_owned()).or_default() += 1;
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: Self) {
        for (server, count) in other.servers {
            *self.servers.entry(server).or_default() += count;
        }
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// An error unless every request was answered, by each of so many servers.
    pub fn must_reach(&self, servers: usize) -> Result<()> {
        if self.errors > 0 || self.servers.len() != servers {
            bail!("wanted answers of {servers} servers and no error: {self:?}");
        }
        Ok(())
    }
}

/// `host:port` as a URL wants it.
pub fn authority(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

/// So many HTTP requests for the server's name, each on a connection of its own.
pub fn http_names(client: &Host, vip: IpAddr, port: u16, requests: u64) -> Result<Tally> {
    let scheme = if port == 443 { "https" } else { "http" };
    let url = format!("{scheme}://{}/name", authority(vip, port));
    // A list, not curl's own counting, because brackets are IPv6 addresses here.
    let each = format!(
        "next\nsilent\ngloboff\ninsecure\nmax-time = 20\nheader = \"Connection: close\"\n\
         url = \"{url}\"\nwrite-out = \"%{{http_code}} %{{errormsg}}\\n\"\n"
    );
    let list = client.folder().join("urls");
    std::fs::write(&list, each.repeat(requests as usize))?;
    let mut curl = client.command("curl");
    curl.arg("--config").arg(&list);
    let output = process::finish(curl, LIMIT)?;
    Ok(tally_names(&output.out, requests))
}

/// Answers are a line with the name, then a line with the status.
fn tally_names(text: &str, requests: u64) -> Tally {
    let mut tally = Tally::default();
    let mut name = None;
    for line in text.lines() {
        match line.split_once(' ') {
            None => name = Some(line),
            Some(("200", _)) => tally.add(name.take().unwrap_or("nobody")),
            Some(_) => tally.first_error = tally.first_error.take().or(Some(line.to_owned())),
        }
    }
    tally.errors = requests.saturating_sub(tally.answers());
    tally
}

/// Fetches the big file and compares its hash. Gives the bytes per second.
pub fn http_big(client: &Host, vip: IpAddr, port: u16, big: &BigFile) -> Result<f64> {
    fetch_big(client, "", vip, port, big)
}

/// The same by HTTP/2, of which the client knows beforehand.
pub fn http2_big(client: &Host, vip: IpAddr, port: u16, big: &BigFile) -> Result<f64> {
    fetch_big(client, "--http2-prior-knowledge", vip, port, big)
}

fn fetch_big(client: &Host, options: &str, vip: IpAddr, port: u16, big: &BigFile) -> Result<f64> {
    let url = format!("http://{}/big", authority(vip, port));
    let speed = client.folder().join("speed");
    let line = format!(
        "curl {options} --silent --show-error --globoff --max-time 300 --write-out '%{{stderr}}%{{speed_download}}' '{url}' 2>{} | openssl dgst -sha256 -r",
        speed.display()
    );
    let found = client.shell(&line, Duration::from_secs(310))?;
    let hash = found.split_whitespace().next().unwrap_or_default();
    let said = std::fs::read_to_string(&speed)?;
    if hash != big.sha256() {
        bail!("{url}: hash {hash} instead of {}: {said}", big.sha256());
    }
    said.trim().parse().with_context(|| format!("curl says {said}"))
}

/// So many DNS questions over UDP, one attempt each.
pub fn dns_names(client: &Host, vip: IpAddr, port: u16, questions: u64) -> Result<Tally> {
    let list = client.folder().join("questions");
    std::fs::write(&list, "name.test TXT\n".repeat(questions as usize))?;
    let mut dig = client.command("dig");
    dig.args([&format!("@{vip}"), "-p", &port.to_string(), "+tries=1", "+time=5", "+short"]);
    dig.args(["+ignore", "-f"]).arg(&list);
    let output = process::finish(dig, LIMIT)?;
    let mut tally = Tally::default();
    for line in output.out.lines() {
        match line.strip_prefix('"').and_then(|line| line.strip_suffix('"')) {
            Some(name) => tally.add(name),
            None => tally.first_error = tally.first_error.take().or(Some(line.to_owned())),
        }
    }
    tally.errors = questions.saturating_sub(tally.answers());
    Ok(tally)
}

/// Runs a command over SSH that tells the server's name.
pub fn ssh_name(client: &Host, vip: IpAddr, port: u16, keys: &Credentials) -> Result<String> {
    let mut ssh = client.command("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    ssh.args(["-o", "ConnectTimeout=10", "-o", "IdentitiesOnly=yes", "-i"]).arg(keys.user_key());
    ssh.args(["-p", &port.to_string(), &format!("root@{vip}"), "echo $FULCRUM_SERVER"]);
    Ok(process::succeed(ssh, LIMIT)?.trim().to_owned())
}

/// Uploads a file by FTP in passive mode.
pub fn ftp_upload(client: &Host, vip: IpAddr, file: &Path, name: &str) -> Result<()> {
    let mut curl = client.command("curl");
    curl.args(["--silent", "--show-error", "--globoff", "--max-time", "60", "--disable-epsv"]);
    curl.arg("--upload-file").arg(file);
    curl.arg(format!("ftp://{}/upload/{name}", authority(vip, 21)));
    process::succeed(curl, LIMIT).map(drop)
}

/// Sends one message by SMTP.
pub fn mail(client: &Host, vip: IpAddr, port: u16, text: &str) -> Result<()> {
    let message = client.folder().join("message");
    std::fs::write(&message, format!("Subject: test\r\n\r\n{text}\r\n"))?;
    let mut curl = client.command("curl");
    curl.args(["--silent", "--show-error", "--globoff", "--max-time", "30"]);
    curl.args(["--mail-from", "from@example.org", "--mail-rcpt", "to@example.org"]);
    curl.arg("--upload-file").arg(&message);
    curl.arg(format!("smtp://{}", authority(vip, port)));
    process::succeed(curl, LIMIT).map(drop)
}

/// So many UDP datagrams of 8 KB, each in reordered fragments.
pub fn fragments(
    client: &Host,
    source: IpAddr,
    vip: IpAddr,
    port: u16,
    count: u16,
) -> Result<Round> {
    let mac: String = client.neighbour(vip)?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut tool = client.tool("fragments")?;
    tool.args(["eth0", &mac, &SocketAddr::new(source, 20_000).to_string()]);
    tool.args([&SocketAddr::new(vip, port).to_string(), &count.to_string(), "8192"]);
    Ok(serde_json::from_str(&process::succeed(tool, LIMIT)?)?)
}

/// Spoofed SYNs, from 11.0.0.0/8; runs until they are sent.
pub fn flood(client: &Host, vip: IpAddr, port: u16, count: u64) -> Result<Process> {
    let mac: String = client.neighbour(vip)?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut tool = client.tool("flood")?;
    tool.args(["eth0", &mac, &SocketAddr::new(vip, port).to_string(), &count.to_string()]);
    client.start("flood", tool)
}

/// Sends one frame.
pub fn raw(client: &Host, device: &str, frame: &[u8]) -> Result<()> {
    let mut tool = client.tool("raw")?;
    let digits: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    tool.args([device, &digits]);
    process::succeed(tool, LIMIT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_errors() {
        let tally = tally_names("one\n200 \none\n200 \n000 refused\ntwo\n200 \n", 5);
        assert_eq!(tally.servers, BTreeMap::from([("one".into(), 2), ("two".into(), 1)]));
        assert_eq!((tally.errors, tally.first_error.as_deref()), (2, Some("000 refused")));
        assert!(tally.must_reach(2).is_err());
    }
}
