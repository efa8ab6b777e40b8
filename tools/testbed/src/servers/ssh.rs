//! OpenSSH's server.

use super::{Credentials, Server};
use anyhow::Result;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder that sshd shuts its unprivileged half into. The service makes it; where the service
/// never ran, we do.
const PRIVSEP: &str = "/run/sshd";
static MADE: AtomicBool = AtomicBool::new(false);

impl Server {
    /// SSH; the variable FULCRUM_SERVER of a session is the server's name.
    pub fn ssh(&mut self, port: u16, credentials: &Credentials) -> Result<&mut Self> {
        if !Path::new(PRIVSEP).exists() {
            std::fs::create_dir_all(PRIVSEP)?;
            MADE.store(true, Ordering::Relaxed);
        }
        let path = self.host.folder().join("sshd.conf");
        let (host_key, user_key) = (credentials.host_key(), credentials.user_key());
        let text = format!(
            "Port {port}
HostKey {}
AuthorizedKeysFile {}.pub
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PidFile none
MaxStartups 1000
SetEnv FULCRUM_SERVER={}
",
            host_key.display(),
            user_key.display(),
            self.name()
        );
        std::fs::write(&path, text)?;
        let mut command = self.host.command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(path);
        self.run("ssh", command, "tcp", &[port])
    }
}

/// Removes what was made outside the run's own folder.
pub fn put_back() {
    if MADE.swap(false, Ordering::Relaxed) {
        let _ = std::fs::remove_dir(PRIVSEP);
    }
}
