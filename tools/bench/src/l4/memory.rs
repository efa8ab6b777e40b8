//! What a connection costs in memory.

use super::{Common, is_two_way};
use crate::bed::Bed;
use crate::fulcrum::snapshot;
use anyhow::{Result, ensure};
use api::Mode;
use incore::Trace;
use serde_json::json;

/// What `bench memory` is told.
#[derive(clap::Args)]
pub struct Memory {
    #[command(flatten)]
    common: Common,
    /// Connections that are opened.
    #[arg(long, default_value_t = 1_000_000)]
    flows: u32,
    /// The load of the table that they make, in percent of its units.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(10..=95))]
    load: u32,
}

impl Memory {
    /// Measures and prints the table: all of the segment, by the connections in it.
    ///
    /// # Errors
    /// When not every connection has room.
    pub fn run(&self) -> Result<()> {
        let trace = Trace { flows: self.flows, ipv6: self.common.ipv6, ..Trace::default() };
        let bed = Bed::new(trace, 1)?;
        println!(
            "{:<6} {:>12} {:>6} {:>8} {:>22}",
            "mode", "connections", "load", "MiB", "bytes per connection"
        );
        for mode in self.common.modes(|_| true)? {
            for (name, program) in self.common.programs(&[mode], self.entries(mode))? {
                let mut process = program.run(&bed, snapshot(mode, trace))?;
                let table = process.counters()?.table;
                ensure!(table.connections == u64::from(self.flows), "{name}: {table:?}");
                self.row(&name, &table);
            }
        }
        Ok(())
    }

    /// What `--table-entries` makes the load: it counts connections of two units, of which DR and
    /// TUN take one.
    fn entries(&self, mode: Mode) -> u32 {
        let full = u64::from(self.flows) * 100 / u64::from(self.load);
        (if is_two_way(mode) { full } else { full / 2 }) as u32
    }

    fn row(&self, program: &str, table: &api::TableCounters) {
        let load = table.units_used as f64 / table.units as f64;
        let bytes = table.bytes as f64 / table.connections as f64;
        let mib = table.bytes as f64 / f64::from(1 << 20);
        println!("{program:<6} {:>12} {load:>6.2} {mib:>8.1} {bytes:>22.1}", table.connections);
        if self.common.json {
            let row = json!({"program": program, "connections": table.connections, "load": load,
                "bytes": table.bytes, "bytes_per_connection": bytes});
            println!("{row}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, FromArgMatches, Parser};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        memory: Memory,
    }

    /// A table of N entries has 2 N units; DR and TUN take one of them, NAT and SNAT two.
    #[test]
    fn the_table_is_as_full_as_asked() {
        let matches = Line::command().get_matches_from(["", "--flows=800000", "--load=80"]);
        let memory = Line::from_arg_matches(&matches).unwrap().memory;
        assert_eq!((memory.entries(Mode::Nat), memory.entries(Mode::Dr)), (1_000_000, 500_000));
    }
}
