//! A great many TCP connections, made of frames alone: no host could keep so many sockets, nor
//! open them so fast, beside the balancer. The real servers are only listened to: mode DR, whose
//! balancer sees one direction. Told by lines on standard input what to do; each line is answered
//! by one line of JSON, a [`Report`].
//!
//! `open PORT FIRST COUNT`, `ping PORT FIRST COUNT`, `churn PORT RATE`, `calm`

mod churn;
mod sink;

use super::flood::mac;
use super::packet_socket::PacketSocket;
use crate::frame;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sink::{Field, Sinks};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interface to send by.
    device: String,
    /// Where frames go, twelve hexadecimal digits.
    mac: String,
    /// Whom to connect to.
    target: Ipv4Addr,
    /// Network namespaces of the real servers, which listen at eth0.
    #[arg(required = true)]
    servers: Vec<String>,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// By namespace: connections whose packets reached it, as they did before.
    pub ok: BTreeMap<String, u64>,
    /// Connections whose packets reached another real server than before, or several.
    pub moved: u64,
    /// Connections of which a packet reached nobody, however often it was sent.
    pub lost: u64,
    /// Packets that were sent again.
    pub again: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Connections that stay, at most.
const STANDING: usize = 1 << 17;
/// A packet that was lost on the way is sent again so often, as TCP would. Of many connections
/// that are asked at once, the last ones are given up when so many tries in a row reached nobody.
const TRIES: usize = 12;
/// How long a packet may take before it is taken for lost.
const WAIT: Duration = Duration::from_millis(300);

/// Packets in a row; queues on the way are short, and a millisecond's pause empties them.
const BURST: usize = 50;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x11;

/// Serves standard input to its end.
pub fn run(args: &Args) -> Result<()> {
    let socket = Arc::new(Wire {
        socket: PacketSocket::open(&args.device)?,
        to: mac(&args.mac)?,
        target: args.target,
    });
    let sinks = Sinks::open(&args.servers)?;
    let mut storm = Storm { wire: socket, sinks, owners: vec![0; STANDING], round: 0, churn: None };
    for line in std::io::stdin().lines() {
        let begun = Instant::now();
        let mut report = storm.obey(&line?)?;
        report.took_ms = begun.elapsed().as_millis() as u64;
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

/// The way to the balancer.
struct Wire {
    socket: PacketSocket,
    to: [u8; 6],
    target: Ipv4Addr,
}

impl Wire {
    /// Sends a segment of a connection, with `word` as its sequence number.
    fn send(&self, field: Field, number: usize, port: u16, flags: u8, word: u32) -> Result<()> {
        let source = field.source(number);
        let target = SocketAddr::new(IpAddr::V4(self.target), port);
        let segment = frame::segment(source, target, word, flags);
        let packet = frame::packet(source.ip(), target.ip(), frame::TCP, None, &segment);
        self.socket.send(&frame::ethernet(self.to, self.socket.mac(), &packet))
    }
}

struct Storm {
    wire: Arc<Wire>,
    sinks: Sinks,
    /// The real server of each standing connection, counted from 1; 0 is none.
    owners: Vec<u8>,
    round: u32,
    churn: Option<churn::Churn>,
}

impl Storm {
    fn obey(&mut self, line: &str) -> Result<Report> {
        let mut words = line.split_whitespace();
        let verb = words.next().context("an empty line")?;
        let numbers = words.map(str::parse::<usize>).collect::<Result<Vec<_>, _>>()?;
        match (verb, &numbers[..]) {
            ("open", [port, first, count]) if first + count <= STANDING => {
                let port = u16::try_from(*port)?;
                self.owners[*first..first + count].fill(0);
                let opened = self.round(port, (*first, *count), SYN)?;
                if opened.lost > 0 {
                    return Ok(opened);
                }
                self.round(port, (*first, *count), ACK)
            }
            ("ping", [port, first, count]) if first + count <= STANDING => {
                self.round(u16::try_from(*port)?, (*first, *count), ACK)
            }
            ("churn", [port, rate]) if self.churn.is_none() => {
                let (wire, seen) = (self.wire.clone(), self.sinks.seen.clone());
                let port = u16::try_from(*port)?;
                self.churn = Some(churn::Churn::start(wire, seen, port, *rate));
                Ok(Report::default())
            }
            ("calm", []) => {
                let churn = self.churn.take().context("there is no churn")?;
                churn.stop(&self.sinks.names)
            }
            _ => bail!("what is \"{line}\"?"),
        }
    }

    /// One packet on each of these connections, sent again where it reached nobody.
    fn round(&mut self, port: u16, range: (usize, usize), flags: u8) -> Result<Report> {
        self.round += 1;
        let mut report = Report::default();
        let mut missing: Vec<usize> = (range.0..range.0 + range.1).collect();
        let mut in_vain = 0;
        for attempt in 0.. {
            let before = missing.len();
            for burst in missing.chunks(BURST) {
                for &number in burst {
                    self.wire.send(Field::Standing, number, port, flags, self.round)?;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            report.again += if attempt > 0 { missing.len() as u64 } else { 0 };
            let sent = Instant::now();
            let heard = |number: &usize| self.sinks.seen.round(*number).0 == self.round;
            missing.retain(|number| !heard(number));
            while !missing.is_empty() && sent.elapsed() < WAIT {
                std::thread::sleep(Duration::from_millis(10));
                missing.retain(|number| !heard(number));
            }
            in_vain = if missing.len() == before { in_vain + 1 } else { 0 };
            if missing.is_empty() || in_vain == TRIES {
                break;
            }
        }
        report.lost = missing.len() as u64;
        for number in range.0..range.0 + range.1 {
            let (round, server) = self.sinks.seen.round(number);
            let owner = &mut self.owners[number];
            if round != self.round {
                continue;
            }
            if *owner != 0 && *owner != server {
                report.moved += 1;
            } else {
                let name = &self.sinks.names[usize::from(server) - 1];
                *report.ok.entry(name.clone()).or_default() += 1;
            }
            *owner = server;
        }
        Ok(report)
    }
}
