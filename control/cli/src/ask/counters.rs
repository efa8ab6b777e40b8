//! What became of every packet.

use super::table::Table;
use super::units::{bytes, count};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET /api/v1/counters`
#[derive(Deserialize)]
pub struct Counters {
    ports: Vec<Port>,
    table: Segment,
}

#[derive(Deserialize)]
struct Port {
    name: String,
    rx: u64,
    rx_bytes: u64,
    forwarded: u64,
    answered: u64,
    to_host: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    held: u64,
    tx: u64,
    tx_bytes: u64,
    host_rx: u64,
    host_tx: u64,
    host_dropped: BTreeMap<String, u64>,
    conserved: bool,
}

#[derive(Deserialize)]
struct Segment {
    connections: u64,
    persistence: u64,
    fragments: u64,
    units_used: u64,
    units: u64,
    bytes: u64,
    taken_over: u64,
}

/// A paragraph for each port; reasons that never came are left out.
pub fn render(counters: &Counters) -> String {
    let ports: Vec<String> = counters.ports.iter().map(port).collect();
    format!("{}\n{}", ports.join("\n"), segment(&counters.table))
}

fn port(port: &Port) -> String {
    let mut table = Table::new(&[&port.name, ">packets", ""]);
    table.row(["received", &count(port.rx), &bytes(port.rx_bytes)]);
    table.row(["  forwarded", &count(port.forwarded), ""]);
    table.row(["  answered by ourselves", &count(port.answered), ""]);
    reasons(&mut table, "  to the host", &port.to_host);
    reasons(&mut table, "  DROPPED", &port.dropped);
    table.row(["  held just now", &count(port.held), ""]);
    table.row(["sent", &count(port.tx), &bytes(port.tx_bytes)]);
    table.row(["from the host", &count(port.host_rx), ""]);
    table.row(["  sent on", &count(port.host_tx), ""]);
    reasons(&mut table, "  DROPPED", &port.host_dropped);
    let mut text = table.render(0);
    if !port.conserved {
        text += "PACKETS ARE MISSING: received and accounted for differ. This is a bug of \
                 Fulcrum, please report it.\n";
    }
    text
}

fn reasons(table: &mut Table, what: &str, by_reason: &BTreeMap<String, u64>) {
    let sum = by_reason.values().fold(0u64, |sum, n| sum.saturating_add(*n));
    let what = if sum == 0 { what.to_lowercase() } else { what.into() };
    table.row([&what, &count(sum), ""]);
    for (reason, n) in by_reason.iter().filter(|(_, n)| **n > 0) {
        table.row([&format!("    {reason}"), &count(*n), ""]);
    }
}

fn segment(table: &Segment) -> String {
    let Segment { connections, persistence, fragments, units_used, units, .. } = *table;
    let percent = match units {
        0 => 0.0,
        _ => units_used as f64 * 100.0 / units as f64,
    };
    format!(
        "connection table: {} connections, {} persistence and {} fragment entries; {percent:.1} % \
         of {} full; {} connections taken over at start\n",
        count(connections),
        count(persistence),
        count(fragments),
        bytes(table.bytes),
        count(table.taken_over)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn canned() -> Value {
        json!({
            "ports": [{"name": "eth0", "rx": 1010, "rx_bytes": 2048, "forwarded": 1000,
                "answered": 1, "to_host": {"arp": 2, "no-service": 4},
                "dropped": {"malformed": 0, "table-full": 3}, "held": 0, "tx": 1001,
                "tx_bytes": 500, "host_rx": 7, "host_tx": 7, "host_dropped": {"malformed": 0},
                "conserved": true}],
            "table": {"connections": 1500, "persistence": 2, "fragments": 0, "units_used": 25,
                "units": 100, "bytes": 1048576, "taken_over": 5},
        })
    }

    fn rendered(value: Value) -> String {
        render(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn every_fate_that_came_is_shown() {
        let expected = "\
eth0                     packets
received                   1,010  2.0 KiB
  forwarded                1,000
  answered by ourselves        1
  to the host                  6
    arp                        2
    no-service                 4
  DROPPED                      3
    table-full                 3
  held just now                0
sent                       1,001  500 B
from the host                  7
  sent on                      7
  dropped                      0

connection table: 1,500 connections, 2 persistence and 0 fragment entries; 25.0 % of 1.0 MiB full; \
5 connections taken over at start
";
        assert_eq!(rendered(canned()), expected);
    }

    #[test]
    fn missing_packets_are_shouted() {
        let mut counters = canned();
        counters["ports"][0]["conserved"] = json!(false);
        assert!(rendered(counters).contains("PACKETS ARE MISSING"));
    }
}
