//! aiosmtpd, which shows each message that it takes.

use super::Server;
use anyhow::Result;

impl Server {
    /// SMTP; messages end in the log `mail.log` of the host's folder.
    pub fn mail(&mut self, port: u16) -> Result<&mut Self> {
        let mut command = self.host.command("/usr/bin/python3");
        command.args(["-u", "-m", "aiosmtpd", "-n", "-l", &format!("0.0.0.0:{port}")]);
        command.args(["-c", "aiosmtpd.handlers.Debugging", "stdout"]);
        self.run("mail", command, "tcp", &[port])
    }

    /// How often `text` stands in the messages taken so far.
    pub fn mail_with(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.host.folder().join("mail.log"));
        log.unwrap_or_default().matches(text).count()
    }
}
