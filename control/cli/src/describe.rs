//! `fulcrum schema`, `completion` and `man`: the command and its file, described for programs,
//! shells and readers. All of it is made of the definitions themselves.

use clap::{Command, ValueEnum};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Shells that can be told about the command.
#[derive(Clone, Copy, ValueEnum)]
pub enum Shell {
    /// Put it into /etc/bash_completion.d.
    Bash,
    /// Put it into a folder of $fpath, as _fulcrum.
    Zsh,
    /// Put it into ~/.config/fish/completions.
    Fish,
}

/// Prints the JSON Schema of the file.
pub fn schema() -> ExitCode {
    print(format!("{:#}\n", config::schema()).as_bytes())
}

/// Prints a script for `shell`.
pub fn completion(mut command: Command, shell: Shell) -> ExitCode {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "fulcrum", &mut script);
    print(&script)
}

/// Writes a page of section 1 for the command and each of its own.
pub fn manual(command: Command, folder: &Path) -> ExitCode {
    // `fulcrum help` has no page, and no page lists it.
    match clap_mangen::generate_to(command.disable_help_subcommand(true), folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = folder.display();
            eprintln!(
                "fulcrum: cannot write the manual to {folder}: {error}; name a folder that exists \
                 and may be written to"
            );
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads this may have enough of it and close the pipe.
fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("fulcrum: cannot write: {error}; see that the output has room");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
