//! Layer 7 beside HAProxy, nginx and stunnel: one thread on one processor each, the load and the
//! real servers on another one, programs in turn. The unit is work per CPU-second of the program.

mod backend;
mod bed;
mod client;
mod load;
mod measure;
mod origin;
mod peers;
mod proxy;
mod rows;
mod running;
mod table;
mod usage;

use anyhow::{Result, ensure};
use bed::Bed;
use client::Tls;
use measure::Gauge;
use peers::{Peer, Started};
use rows::{ROWS, Row, Work};
use std::path::PathBuf;
use std::time::Duration;
use table::Column;

/// What `bench l7` is told.
#[derive(clap::Args)]
pub struct Args {
    /// Rows, by name or by the beginning of it; all without.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Alternating runs; medians are printed.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Seconds that each run takes.
    #[arg(long, default_value_t = 1)]
    seconds: u64,
    /// Other programs: haproxy, nginx, stunnel.
    #[arg(long, value_delimiter = ',', default_value = "haproxy,nginx,stunnel")]
    peers: Vec<String>,
    /// Our executable, several to compare them; the one beside this without it.
    #[arg(long)]
    proxy: Vec<PathBuf>,
    /// Connections of the rows about idle memory; each needs two open files.
    #[arg(long, default_value_t = 8_000)]
    idle: usize,
    /// The processor of what is measured.
    #[arg(long, default_value_t = 0)]
    proxy_cpu: usize,
    /// The processor of load and real servers.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Also print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only name the rows.
    #[arg(long)]
    list: bool,
}

/// Measures and prints the table.
///
/// # Errors
/// When a program is missing or does not start. A row without a figure says why and is no error.
pub fn run(args: &Args) -> Result<()> {
    let rows = wanted(&args.rows)?;
    if args.list {
        rows.iter().for_each(|row| println!("{:<14} {} {}", row.name, row.unit(), row.target));
        return Ok(());
    }
    let peers = peers(args)?;
    let bed = Bed::new(args.proxy_cpu, args.load_cpu)?;
    let tls = Tls::new(&bed.pem())?;
    let interval = Duration::from_secs(args.seconds.max(1));
    let gauge = Gauge { bed: &bed, tls: &tls, interval, idle: args.idle };
    table::head();
    for row in rows {
        let peers: Vec<&Peer> = peers.iter().filter(|peer| row.is_for(peer)).collect();
        let columns = match row.work {
            Work::Idle(_) => measure_afresh(&gauge, row, &peers, args.runs)?,
            _ => measure_in_turn(&gauge, row, &peers, args.runs)?,
        };
        table::print(row, &columns, args.json);
    }
    Ok(())
}

/// All run at once, one at a time has work.
fn measure_in_turn(gauge: &Gauge, row: &Row, peers: &[&Peer], runs: usize) -> Result<Vec<Column>> {
    let started: Result<Vec<Started>> = peers.iter().map(|peer| peer.start(gauge.bed)).collect();
    let started = started?;
    let mut columns = columns(peers);
    for pass in 0..runs.max(1) {
        // Nobody is always the first one.
        for turn in 0..peers.len() {
            let at = (pass + turn) % peers.len();
            columns[at].note(gauge.figure(row, &started[at]));
        }
    }
    Ok(columns)
}

/// A process for each figure: what one has given back to itself would be used again.
fn measure_afresh(gauge: &Gauge, row: &Row, peers: &[&Peer], runs: usize) -> Result<Vec<Column>> {
    let mut columns = columns(peers);
    for _ in 0..runs.clamp(1, AFRESH) {
        for (column, peer) in columns.iter_mut().zip(peers) {
            column.note(gauge.figure(row, &peer.start(gauge.bed)?));
        }
    }
    Ok(columns)
}

/// Memory hardly differs from run to run.
const AFRESH: usize = 3;

fn columns(peers: &[&Peer]) -> Vec<Column> {
    let column = |peer: &&Peer| Column { peer: (*peer).clone(), figures: Vec::new(), reason: None };
    peers.iter().map(column).collect()
}

impl Column {
    fn note(&mut self, figure: Result<f64>) {
        match figure {
            Ok(figure) => self.figures.push(Some(figure)),
            Err(e) => {
                self.figures.push(None);
                self.reason = Some(format!("{e:#}"));
            }
        }
    }
}

fn wanted(names: &[String]) -> Result<Vec<&'static Row>> {
    for name in names {
        let known = ROWS.iter().any(|row| row.name.starts_with(name.as_str()));
        ensure!(known, "there is no row {name}: `bench l7 --list` names them");
    }
    let is_wanted = |row: &&Row| names.iter().any(|name| row.name.starts_with(name.as_str()));
    Ok(ROWS.iter().filter(|row| names.is_empty() || is_wanted(row)).collect())
}

fn peers(args: &Args) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for name in &args.peers {
        match name.as_str() {
            "haproxy" => peers.extend([Peer::HaProxy, Peer::LargePipes]),
            "nginx" => peers.push(Peer::Nginx),
            "stunnel" => peers.push(Peer::Stunnel),
            "none" => {}
            _ => anyhow::bail!("{name} is not measured: write haproxy, nginx, stunnel or none"),
        }
    }
    let own = match args.proxy.as_slice() {
        [] => vec![std::env::current_exe()?.with_file_name("fulcrum-l7")],
        several => several.to_vec(),
    };
    let first = usize::from(own.len() > 1);
    peers.extend(own.into_iter().zip(first..).map(|(path, number)| Peer::Fulcrum(path, number)));
    Ok(peers)
}
