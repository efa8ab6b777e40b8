//! Asking for a password: twice and unseen at a terminal, else the first line of standard input.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// A password.
///
/// # Errors
/// When there is none, or the two differ.
pub fn ask() -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return line();
    }
    let before = tcgetattr(&input)?;
    let _unseen = Unseen::begin(before)?;
    let first = prompted("New password: ")?;
    let again = prompted("Once more: ")?;
    match first == again {
        true => Ok(first),
        false => Err(io::Error::other("the two differ; try again")),
    }
}

/// A password that something was sealed with, which may be empty.
///
/// # Errors
/// When there is no line to read.
pub fn known(prompt: &str) -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return any_line();
    }
    let before = tcgetattr(&input)?;
    let _unseen = Unseen::begin(before)?;
    write!(io::stderr(), "{prompt}")?;
    let line = any_line();
    writeln!(io::stderr())?;
    line
}

fn prompted(prompt: &str) -> io::Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let line = line();
    writeln!(terminal)?;
    line
}

fn line() -> io::Result<String> {
    match any_line()? {
        line if line.is_empty() => {
            Err(io::Error::other("nothing was typed, or standard input is empty"))
        }
        line => Ok(line),
    }
}

fn any_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// The terminal shows nothing that is typed as long as this lives.
struct Unseen(Termios);

impl Unseen {
    fn begin(before: Termios) -> io::Result<Self> {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
