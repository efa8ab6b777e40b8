//! Samba's server.

use super::Server;
use anyhow::Result;
use std::path::{Path, PathBuf};

impl Server {
    /// SMB on port 445: anybody may read and write `share` as `files`.
    pub fn smb(&mut self, share: &Path) -> Result<&mut Self> {
        let text = format!(
            "\n[files]\npath = {}\nguest ok = yes\nguest only = yes\nread only = no\n",
            share.display()
        );
        let path = configuration(self.host.folder(), &text)?;
        let mut command = self.host.command("smbd");
        command.args(["--foreground", "--debug-stdout", "--configfile"]);
        command.arg(path);
        self.run("smb", command, "tcp", &[445])
    }
}

/// Writes a file for Samba's programs, all of whose own files are in `folder`, and gives its path.
pub fn configuration(folder: &Path, more: &str) -> Result<PathBuf> {
    let mut text = String::from(
        "[global]
server role = standalone server
map to guest = Bad User
guest account = root
smb ports = 445
disable netbios = yes
disable spoolss = yes
load printers = no
printcap name = /dev/null
",
    );
    for (key, name) in [
        ("private dir", "private"),
        ("lock directory", "lock"),
        ("state directory", "state"),
        ("cache directory", "cache"),
        ("pid directory", "pid"),
        ("ncalrpc dir", "ncalrpc"),
    ] {
        let path = folder.join("samba").join(name);
        std::fs::create_dir_all(&path)?;
        text += &format!("{key} = {}\n", path.display());
    }
    let path = folder.join("smb.conf");
    std::fs::write(&path, text + more)?;
    Ok(path)
}
