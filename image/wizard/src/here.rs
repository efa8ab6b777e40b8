//! The running machine, as the menu sees and changes it: by way of the command `fulcrum`.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use users::Secret;
use wizard::interview::USER;
use wizard::keep::State;
use wizard::menu::World;
use wizard::network;

const FULCRUM: &str = "/usr/bin/fulcrum";
/// Where a configuration waits for the command that applies it.
const NEW: &str = "/run/lbwizard.toml";
/// Most bytes of an answer that are shown; a screen holds less.
const SHOWN: u64 = 16 << 10;

/// This machine.
pub struct Here {
    state: State,
}

impl Here {
    /// With this state folder.
    pub fn new(state: State) -> Self {
        Self { state }
    }
}

impl World for Here {
    fn status(&mut self) -> String {
        let mut text = format!("\nFulcrum {}\n", env!("CARGO_PKG_VERSION"));
        if let Ok(configuration) = self.configuration() {
            text += &format!("{}\n{}\n", network::list(&configuration), urls(&configuration));
        }
        for question in [&["status"][..], &["service", "list"]] {
            text += &match ask(question) {
                Ok(answer) => format!("\n{answer}"),
                Err(why) => format!("\n{why}"),
            };
        }
        text + "\nHelp: docs/install in the release; the log is on this console and by syslog.\n"
    }

    fn has_user(&self) -> bool {
        self.state.has_user()
    }

    fn is_right(&mut self, password: Secret) -> bool {
        self.state.is_administrator(USER, password)
    }

    fn set_password(&mut self, password: Secret) -> Result<(), String> {
        // By way of control, which has the accounts; it is audited there.
        let mut command = Command::new(FULCRUM);
        command.args(["user", "set-password", USER]).stdin(Stdio::piped());
        finish(command, Some(password)).map(drop)
    }

    fn configuration(&mut self) -> Result<String, String> {
        let file = self.state.file();
        fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))
    }

    fn apply(&mut self, text: &str) -> Result<(), String> {
        fs::write(NEW, text).map_err(|e| format!("{NEW}: {e}"))?;
        let applied = ask(&["apply", "--message", "network settings at the console", NEW]);
        let _ = fs::remove_file(NEW);
        applied.map(drop)
    }
}

/// Where the API is to be found, by the addresses that it listens on.
fn urls(configuration: &str) -> String {
    let Ok(accepted) = config::parse(configuration, "configuration") else { return String::new() };
    let config = accepted.config;
    let own: Vec<IpAddr> =
        config.interfaces.iter().flat_map(|it| &it.addresses).map(|it| it.address()).collect();
    let mut urls = Vec::new();
    for listen in &config.api.listen {
        let any = listen.ip().is_unspecified();
        let same = own.iter().filter(|it| any && it.is_ipv4() == listen.is_ipv4()).copied();
        let one = (!any).then_some(listen.ip());
        urls.extend(same.chain(one).map(|ip| SocketAddr::new(ip, listen.port())));
    }
    let lines = urls.iter().map(|at| format!("  API      https://{at}/api/v1, user {USER}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn ask(words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(FULCRUM);
    command.args(words).stdin(Stdio::null());
    finish(command, None)
}

/// What a command answers, or what it says is wrong.
fn finish(mut command: Command, input: Option<Secret>) -> Result<String, String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |e: std::io::Error| format!("{FULCRUM}: {e}");
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(mut pipe), Some(secret)) = (child.stdin.take(), input) {
        use std::io::Write;
        pipe.write_all(format!("{}\n", secret.reveal()).as_bytes()).map_err(failed)?;
    }
    let read = |pipe: Option<Box<dyn Read>>| {
        let mut text = Vec::new();
        // What is beyond is not read; the command then ends by itself.
        pipe.into_iter().for_each(|pipe| drop(pipe.take(SHOWN).read_to_end(&mut text)));
        String::from_utf8_lossy(&text).into_owned()
    };
    let answer = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let wrong = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    match child.wait().map_err(failed)?.success() {
        true => Ok(answer),
        false => Err(format!("{}\n", wrong.trim_end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_at_the_addresses_of_the_interfaces_or_where_it_is_told_to_be() {
        let text = "[[interface]]\nname = \"eth0\"\nport = \"0000:00:02.0\"\n\
                    addresses = [\"10.0.0.21/24\", \"2001:db8::1/64\"]\n";
        assert_eq!(
            urls(text),
            "  API      https://10.0.0.21:9443/api/v1, user loadbalancer\n  \
             API      https://[2001:db8::1]:9443/api/v1, user loadbalancer"
        );
        let one = format!("[api]\nlisten = [\"10.0.0.21:8443\"]\n{text}");
        assert_eq!(urls(&one), "  API      https://10.0.0.21:8443/api/v1, user loadbalancer");
        assert_eq!(urls("nonsense"), "");
    }
}
