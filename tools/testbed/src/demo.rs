//! README's first command: all modes, both families, and a table.

use crate::harness;
use crate::scene::{ALL, Family};
use crate::suite::modes::{Measured, measure};
use anyhow::Result;
use std::io::Write;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Size of the large transfer in MiB.
    #[arg(long, default_value_t = 1024)]
    mebibytes: u64,
    /// HTTP requests in each mode.
    #[arg(long, default_value_t = 200)]
    requests: u64,
}

/// Runs it; whether there was no error.
pub fn run(args: &Args) -> Result<bool> {
    crate::lab::sweep_dead();
    println!(
        "Each line: nginx, dnsmasq and sshd on two real servers, in network namespaces of their \
         own,\n{} HTTP requests by curl, {} MiB over HTTP compared by SHA-256, 50 DNS questions \
         over UDP\nand 4 SSH commands, through fulcrum with DPDK's af_packet device. web1 has \
         twice the weight\nof web2.\n",
        args.requests, args.mebibytes
    );
    println!(
        "{:<9} {:<3} {:>8} {:>6} {:>6} {:>9} {:>5} {:>4} {:>7}",
        "mode", "IP", "requests", "web1", "web2", "transfer", "DNS", "SSH", "errors"
    );
    let mut well = true;
    let mut api = None;
    for mode in ALL {
        for family in [Family::V4, Family::V6] {
            print!("{:<9} {:<3} ", mode.name(), family.name());
            std::io::stdout().flush()?;
            match harness::guarded(|| measure(mode, family, args.mebibytes, args.requests)) {
                Ok(measured) => {
                    row(&measured, args.requests);
                    well &= measured.http.errors + measured.dns.errors == 0;
                    api = Some(measured.api);
                }
                Err(error) => {
                    println!("FAILED: {error:#}");
                    well = false;
                }
            }
        }
    }
    if let Some(api) = api {
        println!(
            "\nWhile fulcrum runs, its API answers on a Unix socket; it was here:\n  \
             curl --unix-socket {} http://fulcrum/api/v1/status\n\
             A node of your own: fulcrum run FILE, with a file such as those in examples/; the \
             socket\nis then /run/fulcrum/control.sock, and `fulcrum status` asks it.",
            api.display()
        );
    }
    Ok(well)
}

fn row(measured: &Measured, requests: u64) {
    let share = |name: &str| {
        let count = measured.http.servers.get(name).copied().unwrap_or(0);
        format!("{:.0} %", 100.0 * count as f64 / requests.max(1) as f64)
    };
    println!(
        "{requests:>8} {:>6} {:>6} {:>9} {:>5} {:>4} {:>7}",
        share("web1"),
        share("web2"),
        format!("{:.0} MB/s", measured.speed / 1e6),
        measured.dns.answers(),
        measured.ssh.answers(),
        measured.http.errors + measured.dns.errors,
    );
}
