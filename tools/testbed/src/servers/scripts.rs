//! Servers of a few lines of Python.

use super::Server;
use anyhow::Result;

impl Server {
    /// WebSocket by a library of another project: the server's name, then whatever comes.
    pub fn websockets(&mut self, port: u16) -> Result<&mut Self> {
        let arguments = [self.name().to_owned(), port.to_string()];
        self.script("websockets", include_str!("websockets.py"), &arguments, port)
    }

    /// Takes uploads and says what it has read; see the script.
    pub fn uploads(&mut self, port: u16) -> Result<&mut Self> {
        self.script("uploads", include_str!("uploads.py"), &[port.to_string()], port)
    }

    fn script(
        &mut self,
        name: &'static str,
        text: &str,
        arguments: &[String],
        port: u16,
    ) -> Result<&mut Self> {
        let mut command = self.host.command("/usr/bin/python3");
        command.args(["-u", "-c", text]).args(arguments);
        self.run(name, command, "tcp", &[port])
    }
}
