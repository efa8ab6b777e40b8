//! The connection table.

use crate::series::{Family, Kind, Labels, Subject};
use api::TableCounters;

impl Subject for TableCounters {
    fn labels(&self, _: &mut Labels<'_>) {}
}

pub(super) fn families() -> [Family<TableCounters>; 7] {
    [
        Family {
            name: "fulcrum_table_current_connections",
            help: "Connections in the table.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.connections),
        },
        Family {
            name: "fulcrum_table_fragment_entries",
            help: "Datagrams in fragments that the table follows.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.fragments),
        },
        Family {
            name: "fulcrum_table_persistence_entries",
            help: "Clients that stay with a real server.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.persistence),
        },
        Family {
            name: "fulcrum_table_size_bytes",
            help: "Size of the table's segment.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.bytes),
        },
        Family {
            name: "fulcrum_table_taken_over_connections",
            help: "Connections that the data plane took over from its predecessor.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.taken_over),
        },
        Family {
            name: "fulcrum_table_units",
            help: "Units of 64 bytes that the table has for entries.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.units),
        },
        Family {
            name: "fulcrum_table_used_units",
            help: "Units of 64 bytes in use.",
            kind: Kind::Gauge,
            series: |table, out| out.value(table.units_used),
        },
    ]
}
