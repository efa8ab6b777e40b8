//! Clients of file servers: smbclient and libnfs.

use super::{LIMIT, SHORT};
use crate::lab::{Host, Process, until};
use crate::servers::{nfs, smb};
use anyhow::{Context, Result, bail};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What a download rests after, in bytes.
const FIRST: u64 = 1 << 20;

/// A file server that speaks SMB, as one client sees it.
#[derive(Debug)]
pub struct Smb<'a> {
    client: &'a Host,
    vip: IpAddr,
    configuration: PathBuf,
}

impl<'a> Smb<'a> {
    /// The share `files` at `vip`.
    pub fn new(client: &'a Host, vip: IpAddr) -> Result<Self> {
        Ok(Self { client, vip, configuration: smb::configuration(client.folder(), "")? })
    }

    /// Writes a local file to the share.
    pub fn put(&self, from: &Path, to: &str) -> Result<()> {
        let line = self.line(&format!("put {} {to}", from.display()));
        self.client.shell(&line, LIMIT).map(drop)
    }

    /// The SHA-256 of what is read of a file.
    pub fn sha256(&self, name: &str) -> Result<String> {
        hash(self.client, &self.read(name))
    }

    /// Begins to read a file; see [`Download`].
    pub fn download(&self, name: &str, label: &str) -> Result<Download> {
        Download::begin(self.client, label, &self.read(name))
    }

    fn read(&self, name: &str) -> String {
        // What the client says of itself goes elsewhere.
        self.line(&format!("get {name} /dev/fd/3")) + " 3>&1 >&2"
    }

    fn line(&self, order: &str) -> String {
        let configuration = self.configuration.display();
        format!("smbclient --configfile={configuration} -N //{}/files -c '{order}'", self.vip)
    }
}

/// A file server that speaks NFS, as one client sees it.
#[derive(Debug)]
pub struct Nfs<'a> {
    client: &'a Host,
    vip: IpAddr,
    export: PathBuf,
}

impl<'a> Nfs<'a> {
    /// The file system `export` at `vip`.
    pub fn new(client: &'a Host, vip: IpAddr, export: &Path) -> Self {
        Self { client, vip, export: export.to_owned() }
    }

    /// Clients of version 3 learn the file system's root by another protocol, on a port that is
    /// not balanced: this one asks `node` for it.
    pub fn mount_from(&self, node: IpAddr) -> Result<()> {
        let (vip, port) = (self.vip, nfs::MOUNT_PORT);
        let rules = format!(
            "add table ip mount; add chain ip mount out {{ type nat hook output priority -100; }}; \
             add rule ip mount out ip daddr {vip} tcp dport {port} dnat to {node}"
        );
        self.client.shell(&format!("nft '{rules}'"), SHORT).map(drop)
    }

    /// Asks the port mapper for a version of NFS, and that for an answer.
    pub fn must_answer(&self, version: u8) -> Result<()> {
        let line = format!("rpcinfo -T tcp {} nfs {version}", self.vip);
        let said = self.client.shell(&line, SHORT)?;
        if !said.contains("ready and waiting") {
            bail!("{line}: {said}");
        }
        Ok(())
    }

    /// Writes a local file to the file system. In version 4 the client can write no more than
    /// 3 KB.
    pub fn put(&self, version: u8, from: &Path, to: &str) -> Result<()> {
        let line = format!("nfs-cp {} '{}'", from.display(), self.url(version, to));
        self.client.shell(&line, LIMIT).map(drop)
    }

    /// The SHA-256 of what is read of a file.
    pub fn sha256(&self, version: u8, name: &str) -> Result<String> {
        hash(self.client, &self.read(version, name))
    }

    /// Begins to read a file; see [`Download`].
    pub fn download(&self, version: u8, name: &str, label: &str) -> Result<Download> {
        Download::begin(self.client, label, &self.read(version, name))
    }

    fn read(&self, version: u8, name: &str) -> String {
        format!("nfs-cat '{}'", self.url(version, name))
    }

    fn url(&self, version: u8, name: &str) -> String {
        let folder = if version == 4 { Path::new("/export") } else { &self.export };
        format!("nfs://{}{}?version={version}", self.vip, folder.join(name).display())
    }
}

/// Reads a file without a rest.
fn hash(client: &Host, read: &str) -> Result<String> {
    let hash = Download::begin(client, "whole", read)?.finish()?;
    hash.with_context(|| format!("it failed: {read}"))
}

/// A file being read. After its first MiB the reader rests until it is told to go on, so that
/// something can be done to the transfer in its midst.
#[derive(Debug)]
pub struct Download {
    process: Process,
    folder: PathBuf,
}

impl Download {
    fn begin(client: &Host, label: &str, read: &str) -> Result<Self> {
        let folder = client.folder().join(format!("download-{label}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let line = format!(
            "{{ {read}; echo $? >status; }} | {{ head -c {FIRST}; touch rests; \
             until [ -e goes ]; do sleep 0.02; done; cat; }} | openssl dgst -sha256 -r >hash"
        );
        let mut command = client.command("sh");
        command.args(["-c", &line]).current_dir(&folder);
        let mut process = client.start(&format!("download-{label}"), command)?;
        until("the first MiB", LIMIT, || {
            process.must_run()?;
            Ok(folder.join("rests").exists().then_some(()))
        })?;
        Ok(Self { process, folder })
    }

    /// Lets it go on.
    pub fn go_on(&self) -> Result<()> {
        Ok(std::fs::write(self.folder.join("goes"), "")?)
    }

    /// Waits for its end. The SHA-256 of what came, unless the client said that it failed.
    pub fn finish(mut self) -> Result<Option<String>> {
        self.go_on()?;
        self.process.wait(LIMIT)?;
        let status = std::fs::read_to_string(self.folder.join("status"))?;
        let hash = std::fs::read_to_string(self.folder.join("hash"))?;
        let hash = hash.split_whitespace().next().map(str::to_owned);
        Ok(hash.filter(|_| status.trim() == "0"))
    }
}
