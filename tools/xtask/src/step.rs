//! Commands: run, shown, and their counts read.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a test runner said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

/// Makes the workspace's root the current folder.
pub fn to_workspace_root() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("tools/xtask is two folders deep")?;
    std::env::set_current_dir(root).with_context(|| format!("cannot enter {}", root.display()))?;
    // Whoever stops this process stops what it runs.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    Ok(())
}

/// The cargo that runs this program, or the one on the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command to its end; an error if it failed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    println!("$ {shown}");
    let status = command.stdin(Stdio::null()).status().with_context(|| shown.clone())?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs a test runner, shows what it prints, and adds up the counts of its closing lines. A
/// runner that failed without counting a failure has one.
pub fn count(command: &mut Command) -> Result<Counts> {
    println!("$ {}", show(command));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no standard output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        // A closing line of a part is not the closing line of the whole.
        match closing(&line) {
            Some(more) => {
                counts.passed += more.passed;
                counts.failed += more.failed;
                println!("   {line}");
            }
            None => println!("{line}"),
        }
        std::io::stdout().flush()?;
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

/// `test result: ok. 3 passed; 0 failed; …` or `3 passed, 0 failed`.
fn closing(line: &str) -> Option<Counts> {
    let line = line.trim();
    let figures = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut words = figures.split([' ', ',', ';']).filter(|word| !word.is_empty());
    let passed = words.next()?.parse().ok()?;
    if words.next()? != "passed" {
        return None;
    }
    let failed = words.next()?.parse().ok()?;
    (words.next()? == "failed").then_some(Counts { passed, failed })
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        let cargo = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered";
        assert_eq!(closing(cargo), counts(12, 3));
        assert_eq!(closing("7 passed, 0 failed"), counts(7, 0));
        assert_eq!(closing("test it ... ok"), None);
        assert_eq!(closing("7 passed by, 0 failed"), None);
        assert_eq!(closing(""), None);
    }

    #[test]
    fn a_runner_that_dies_has_failed() {
        let died = count(Command::new("sh").args(["-c", "echo 3 passed, 0 failed; exit 3"]));
        assert_eq!(died.unwrap(), Counts { passed: 3, failed: 1 });
        let went_well = count(Command::new("sh").args(["-c", "echo 3 passed, 0 failed"]));
        assert_eq!(went_well.unwrap(), Counts { passed: 3, failed: 0 });
    }
}
