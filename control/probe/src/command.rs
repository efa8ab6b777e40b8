//! The operator's own program as a probe.

mod process;

use crate::patience::Patience;
use crate::target::Command;
use crate::{Failure, Target};
use process::Process;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use tokio::sync::Semaphore;

/// Programs that run at the same time.
const AT_ONCE: usize = 64;
/// How much of a program's output is a reason, in characters.
const REASON: usize = 256;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Whether the program ends well.
pub async fn probe(target: &Target, command: &Command, patience: &Patience) -> Result<(), Failure> {
    let whom = target.address;
    let program = command.program.display();
    if !command.program.is_absolute() {
        return Err(Failure::ours(whom, format!("{program} is no absolute path")));
    }
    let crowded =
        || Failure::ours(whom, format!("{AT_ONCE} other commands kept {program} waiting"));
    let turn = patience.lasts(TURNS.acquire()).await.map_err(|_| crowded())?;
    let turn = turn.map_err(|e| Failure::ours(whom, e))?;
    // Who has waited long for a turn had too little time to be blamed for not ending.
    let hurried = patience.used() > patience.whole().0 / 10;
    let cannot = |e| Failure::ours(whom, format!("{program} cannot be run: {e}"));
    let mut process = Process::start(command, turn).map_err(cannot)?;
    match patience.lasts(process.end()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let why = first_line(process.output()).unwrap_or_else(|| exit(status));
            Err(Failure::theirs(format!("{whom}: {program}: {why}")))
        }
        Ok(Err(e)) => Err(cannot(e)),
        Err(_) if hurried => Err(crowded()),
        Err(_) => {
            let whole = patience.whole();
            Err(Failure::theirs(format!("{whom}: {program} was killed: no end within {whole}")))
        }
    }
}

fn exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The first line that says something.
fn first_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().map(|line| {
        let printable = line.chars().filter(|c| !c.is_control()).take(REASON);
        printable.collect::<String>().trim().to_string()
    });
    lines.into_iter().find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_is_the_reason() {
        assert_eq!(first_line(b"\n \t\nno\x1b[1m disk\r\nmore").as_deref(), Some("no[1m disk"));
        assert_eq!(first_line(b"\xff!").as_deref(), Some("\u{fffd}!"));
        assert_eq!(first_line(&[b'x'; 1000]).unwrap().len(), REASON);
        assert_eq!(first_line(b"\n\n"), None);
    }
}
