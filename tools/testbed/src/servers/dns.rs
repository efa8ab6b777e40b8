//! dnsmasq.

use super::Server;
use anyhow::Result;

impl Server {
    /// DNS over UDP and TCP: the TXT record of `name.test` is the server's name.
    pub fn dns(&mut self, port: u16) -> Result<&mut Self> {
        let mut command = self.host.command("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--user=root"]);
        command.args(["--no-resolv", "--no-hosts", "--pid-file", "--log-facility=-"]);
        command.arg(format!("--port={port}"));
        command.arg(format!("--txt-record=name.test,{}", self.name()));
        self.run("dns", command, "udp", &[port])
    }
}
