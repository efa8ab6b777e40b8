//! Real servers.

use crate::series::{Family, Kind, Labels, Series, Subject};
use crate::{Observed, RealServer, RealServerStatus, Service, Traffic};

/// A real server with its service.
pub(super) struct RealServerOf<'a> {
    pub(super) service: &'a Service,
    pub(super) real_server: &'a RealServer,
    pub(super) status: RealServerStatus,
}

impl<'a> RealServerOf<'a> {
    pub(super) fn new(service: &'a Service, real_server: &'a RealServer) -> Self {
        Self { service, real_server, status: real_server.status() }
    }

    fn traffic(&self) -> Option<Traffic> {
        self.real_server.traffic
    }

    fn packets(&self, traffic: Option<Traffic>) -> Option<Traffic> {
        traffic.filter(|_| self.service.has_packets())
    }

    fn replies(&self) -> Option<Traffic> {
        self.traffic().filter(|_| self.service.sees_replies)
    }
}

impl Subject for RealServerOf<'_> {
    fn labels(&self, labels: &mut Labels<'_>) {
        labels.add("service", &self.service.name);
        labels.add("real_server", &self.real_server.name);
    }
}

pub(super) fn families<'a>() -> [Family<RealServerOf<'a>>; 13] {
    [
        Family {
            name: "fulcrum_real_server_check_duration_seconds",
            help: "How long the last successful probe took.",
            kind: Kind::Gauge,
            series: |r, out| {
                let took = r.real_server.check.and_then(|check| check.took);
                out.maybe(took.map(|took| took.as_secs_f64()));
            },
        },
        Family {
            name: "fulcrum_real_server_check_last_change_seconds",
            help: "Time since the check last changed its mind.",
            kind: Kind::Gauge,
            series: |r, out| out.maybe(r.real_server.check.map(|check| check.since.as_secs_f64())),
        },
        Family {
            name: "fulcrum_real_server_check_up",
            help: "Whether the check says that the real server works, once it has decided.",
            kind: Kind::Gauge,
            series: |r, out| out.maybe(check_up(r.real_server)),
        },
        Family {
            name: "fulcrum_real_server_client_bytes",
            help: "Layer 3 bytes (layer 7: payload) from clients to the real server.",
            kind: Kind::Counter,
            series: |r, out| out.maybe(r.traffic().map(|t| t.bytes)),
        },
        Family {
            name: "fulcrum_real_server_client_packets",
            help: "Packets from clients to the real server.",
            kind: Kind::Counter,
            series: |r, out| out.maybe(r.packets(r.traffic()).map(|t| t.packets)),
        },
        Family {
            name: "fulcrum_real_server_connections",
            help: "Connections given to the real server.",
            kind: Kind::Counter,
            series: |r, out| out.maybe(r.traffic().map(|t| t.total)),
        },
        Family {
            name: "fulcrum_real_server_current_connections",
            help: "Connections that the real server has.",
            kind: Kind::Gauge,
            series: |r, out| out.maybe(r.traffic().map(|t| t.connections)),
        },
        Family {
            name: "fulcrum_real_server_failed_connections",
            help: "Attempts and connections of layer 7 that the real server let fail, by reason.",
            kind: Kind::Counter,
            series: |r, out| {
                for (reason, count) in &r.real_server.failed {
                    out.labelled(&[("reason", *reason)], *count);
                }
            },
        },
        Family {
            name: "fulcrum_real_server",
            help: "The real server's address, and its port where it is not the client's choice.",
            kind: Kind::Info,
            series: info,
        },
        Family {
            name: "fulcrum_real_server_reply_bytes",
            help: "Layer 3 bytes (layer 7: payload) from the real server to clients, where they come by us.",
            kind: Kind::Counter,
            series: |r, out| out.maybe(r.replies().map(|t| t.reply_bytes)),
        },
        Family {
            name: "fulcrum_real_server_reply_packets",
            help: "Packets from the real server to clients, where they come by us.",
            kind: Kind::Counter,
            series: |r, out| out.maybe(r.packets(r.replies()).map(|t| t.reply_packets)),
        },
        Family {
            name: "fulcrum_real_server_status",
            help: "What the real server does now; up takes new connections.",
            kind: Kind::Gauge,
            series: |r, out| {
                out.one_of(r.status.text(), RealServerStatus::ALL.map(RealServerStatus::text))
            },
        },
        Family {
            name: "fulcrum_real_server_weight",
            help: "The real server's configured weight.",
            kind: Kind::Gauge,
            series: |r, out| out.value(r.real_server.weight),
        },
    ]
}

fn check_up(real_server: &RealServer) -> Option<u8> {
    match (&real_server.check, real_server.observed) {
        (Some(_), Observed::Up) => Some(1),
        (Some(_), Observed::Down) => Some(0),
        _ => None,
    }
}

fn info(r: &RealServerOf<'_>, out: &mut Series<'_>) {
    let address = r.real_server.address.to_string();
    match r.real_server.port {
        Some(port) => out.labelled(&[("address", &*address), ("port", &port.to_string())], 1),
        None => out.labelled(&[("address", &address)], 1),
    }
}
