//! `testbed run`, `testbed demo`, and the tools that these start inside namespaces.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use testbed::harness::Scale;
use testbed::{demo, harness, lab, servers, suite, tool};

#[derive(Parser)]
#[command(name = "testbed", version, about = "Real clients and servers around the real binaries")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The end-to-end tests, or those whose name contains one of the words.
    Run {
        /// The numbers that the product promises; takes longer.
        #[arg(long)]
        full: bool,
        /// Only print the names.
        #[arg(long)]
        list: bool,
        /// Keep every host's logs and captures in this folder.
        #[arg(long)]
        logs: Option<std::path::PathBuf>,
        /// Parts of names.
        filters: Vec<String>,
    },
    /// HTTP, a large transfer, DNS and SSH through all layer 4 modes.
    Demo(demo::Args),
    /// For use inside a namespace.
    #[command(hide = true, subcommand)]
    Tool(tool::Tool),
}

fn main() -> ExitCode {
    let result = match Args::parse().what {
        What::Tool(tool) => tool::run(tool).map(|()| true),
        what => supervised(what),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn supervised(what: What) -> Result<bool> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    clean_up_on_signals()?;
    let result = match what {
        What::Run { list: true, .. } => {
            suite::all().iter().for_each(|test| println!("{}", test.name()));
            Ok(true)
        }
        What::Run { full, filters, logs, .. } => {
            logs.map_or(Ok(()), lab::keep_logs_in)?;
            harness::run(suite::all(), &filters, Scale { full })
        }
        What::Demo(args) => demo::run(&args),
        What::Tool(_) => Ok(true),
    };
    put_back();
    result
}

/// Whatever ends this program, nothing that it made stays.
fn clean_up_on_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return };
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            eprintln!("\ntestbed: stopped, cleaning up");
            put_back();
            std::process::exit(130);
        });
    });
    Ok(())
}

fn put_back() {
    lab::sweep_all();
    servers::ssh::put_back();
}
