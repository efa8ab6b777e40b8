//! The one door: what CI, a newcomer and a developer call. `tools/demo` and `tools/test` install
//! what is needed and then come here.
#![forbid(unsafe_code)]

mod deny;
mod docs;
mod image;
mod loom;
mod report;
mod step;
mod steps;

use anyhow::Result;
use clap::{Parser, Subcommand};
use report::Report;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "xtask", version, about = "What CI, a newcomer and a developer call")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Balances real traffic in all layer 4 modes and prints a table.
    Demo {
        /// Passed on to `testbed demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// The appliance image.
    Image {
        /// Passed on to `mkimage`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Every test, or those parts that are named.
    Test {
        /// Transfers of 1 GiB, longer fuzz runs, a mutation of each memory ordering.
        #[arg(long)]
        full: bool,
        /// Which parts; all of them without it.
        parts: Vec<Part>,
    },
    /// Format, lints, the dependency rules, and whether the reference is stale.
    Lint,
    /// The dependency rules of deny.toml alone.
    Deny,
    /// Writes docs/configuration.md anew.
    Docs,
    /// The model checker over the connection table.
    Loom {
        /// Also weaken each memory ordering in turn; every one must be noticed.
        #[arg(long)]
        mutations: bool,
    },
    /// Miri over the crates that it applies to.
    Miri,
    /// The unit tests, with every fuzz target among them running for so many seconds.
    Fuzz {
        /// Seconds for each target.
        seconds: u64,
    },
}

/// Parts of the test run, in the order they run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Format, lints, dependency rules.
    Lint,
    /// Unit, property and simulation tests of every crate, short fuzz runs among them.
    Unit,
    /// The model checker; with `--full` also a mutation of each memory ordering.
    Loom,
    /// Real clients and servers around the real binaries.
    E2e,
    /// Builds the appliance image in both flavours and boots it in virtual machines; by name only.
    Image,
}

fn main() -> ExitCode {
    match run(Args::parse().what) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> Result<bool> {
    step::to_workspace_root()?;
    let mut report = Report::default();
    match what {
        What::Demo { rest } => return steps::demo(&rest),
        What::Image { rest } => {
            image::build(&rest)?;
            return Ok(true);
        }
        What::Test { full, parts } => {
            let all = [Part::Lint, Part::Unit, Part::Loom, Part::E2e];
            let parts = if parts.is_empty() { all.to_vec() } else { parts };
            for part in parts {
                test(part, full, &mut report)?;
            }
        }
        What::Lint => steps::lint(&mut report),
        What::Docs => {
            docs::write()?;
            return Ok(true);
        }
        What::Deny => report.check("dependencies", deny::run),
        What::Loom { mutations } => loom::run(mutations, &mut report)?,
        What::Miri => steps::miri(&mut report),
        What::Fuzz { seconds } => steps::unit(seconds, &mut report),
    }
    Ok(report.close())
}

fn test(part: Part, full: bool, report: &mut Report) -> Result<()> {
    match part {
        Part::Lint => steps::lint(report),
        Part::Unit => steps::unit(if full { 60 } else { 3 }, report),
        Part::Loom => loom::run(full, report)?,
        Part::E2e => steps::e2e(full, report),
        Part::Image => image::test(full, report),
    }
    Ok(())
}
