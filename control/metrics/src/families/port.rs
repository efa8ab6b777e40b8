//! Ports. Every packet received ends as exactly one of forwarded, answered, punted or dropped, or
//! is a fragment that is held.

use crate::Port;
use crate::series::{Family, Kind, Labels, Series, Subject};
use api::{DropReason, PortCounters, PuntReason};

impl Subject for Port {
    fn labels(&self, labels: &mut Labels<'_>) {
        labels.add("port", &self.name);
    }
}

pub(super) fn families() -> [Family<Port>; 15] {
    [
        Family {
            name: "fulcrum_port_answered_packets",
            help: "Packets received and answered by the data plane itself.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.answered)),
        },
        Family {
            name: "fulcrum_port_dropped_packets",
            help: "Packets received and dropped, by reason.",
            kind: Kind::Counter,
            series: |port, out| dropped(port, out, |c| &c.dropped),
        },
        Family {
            name: "fulcrum_port_forwarded_packets",
            help: "Packets received and sent on as balanced traffic, by whatever port.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.forwarded)),
        },
        Family {
            name: "fulcrum_port_held_packets",
            help: "Fragments that wait for their first fragment.",
            kind: Kind::Gauge,
            series: |port, out| out.maybe(counted(port, |c| c.held)),
        },
        Family {
            name: "fulcrum_port_host_dropped_packets",
            help: "Packets from the host that were dropped, by reason.",
            kind: Kind::Counter,
            series: |port, out| dropped(port, out, |c| &c.host_dropped),
        },
        Family {
            name: "fulcrum_port_host_received_packets",
            help: "Packets from the host.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.host_rx)),
        },
        Family {
            name: "fulcrum_port_host_sent_packets",
            help: "Packets from the host that were sent to the wire.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.host_tx)),
        },
        Family {
            name: "fulcrum_port",
            help: "The port's device and driver.",
            kind: Kind::Info,
            series: |port, out| {
                out.labelled(&[("device", &port.device), ("driver", &port.driver)], 1)
            },
        },
        Family {
            name: "fulcrum_port_link_up",
            help: "Whether the port's link is up.",
            kind: Kind::Gauge,
            series: |port, out| out.value(u8::from(port.link_up)),
        },
        Family {
            name: "fulcrum_port_punted_packets",
            help: "Packets received and given to the host, by reason.",
            kind: Kind::Counter,
            series: punted,
        },
        Family {
            name: "fulcrum_port_received_bytes",
            help: "Bytes received from the wire.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.rx_bytes)),
        },
        Family {
            name: "fulcrum_port_received_packets",
            help: "Packets received from the wire.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.rx)),
        },
        Family {
            name: "fulcrum_port_removed",
            help: "Whether the port's device was taken out of the machine.",
            kind: Kind::Gauge,
            series: |port, out| out.value(u8::from(port.removed)),
        },
        Family {
            name: "fulcrum_port_sent_bytes",
            help: "Bytes sent to the wire.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.tx_bytes)),
        },
        Family {
            name: "fulcrum_port_sent_packets",
            help: "Packets sent to the wire, from whatever source.",
            kind: Kind::Counter,
            series: |port, out| out.maybe(counted(port, |c| c.tx)),
        },
    ]
}

fn counted(port: &Port, number: impl Fn(&PortCounters) -> u64) -> Option<u64> {
    port.counters.as_ref().map(number)
}

fn dropped(port: &Port, out: &mut Series<'_>, list: impl Fn(&PortCounters) -> &Vec<u64>) {
    let reasons = DropReason::ALL.iter().map(|reason| reason.text());
    by_reason(out, reasons, port.counters.as_ref().map(|c| &**list(c)));
}

fn punted(port: &Port, out: &mut Series<'_>) {
    let reasons = PuntReason::ALL.iter().map(|reason| reason.text());
    by_reason(out, reasons, port.counters.as_ref().map(|c| &*c.to_host));
}

/// Every reason, whether it ever happened or not: see the crate's notes. A list that is too short
/// comes from a data plane that knows fewer reasons.
fn by_reason(
    out: &mut Series<'_>,
    reasons: impl Iterator<Item = &'static str>,
    counts: Option<&[u64]>,
) {
    let Some(counts) = counts else { return };
    let counts = counts.iter().copied().chain(std::iter::repeat(0));
    for (reason, count) in reasons.zip(counts) {
        out.labelled(&[("reason", reason)], count);
    }
}
