//! The node as Prometheus sees it.

use crate::core::Core;
use crate::views;
use api::{Counters, Status};
use l7_api::{ServerCounters, ServiceCounters};
use metrics::{
    Build, Check, Configuration, DataPlane, Http, Layer7, Node, Observed, Port, Process,
    RealServer, Requested, Sample, Service, ServiceState, SyslogServer, Traffic,
};
use rest::types;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use syslog::Tee;

/// Everything at this moment; without a data plane what is known without it.
pub fn sample(
    core: &Core,
    plane: Option<&Status>,
    (proxy, relayed): (Option<&l7_api::Status>, Option<&l7_api::Counters>),
    counters: Option<&Counters>,
) -> Sample {
    let nothing = Counters::default();
    let relayed = Relayed::new(core, relayed);
    let view = views::View::new(core, counters.unwrap_or(&nothing));
    let told = counters.is_some();
    Sample {
        node: node(core, plane, proxy),
        ports: ports(plane, counters),
        table: counters.map(|c| c.table),
        services: core
            .config
            .services
            .iter()
            .map(|s| relayed.fill(service(view.service(s), told)))
            .collect(),
    }
}

fn node(core: &Core, plane: Option<&Status>, proxy: Option<&l7_api::Status>) -> Node {
    let status = views::status(core, plane, proxy);
    let (revision, returns_in) = core.revisions(|r| (r.number(), r.left()));
    let known = [
        ("control", Some(std::process::id())),
        ("dataplane", core.pid),
        ("layer7", core.proxy.pid),
    ];
    let processes = known.iter().filter_map(|(name, pid)| process(name, (*pid)?)).collect();
    Node {
        name: status.node,
        build: Build { version: status.version, commit: None },
        ready: status.ready,
        configuration: Configuration {
            trouble: core.trouble.is_some(),
            revision,
            returns_in,
            generation_asked: status.generation.asked,
            generation_applied: status.generation.applied,
        },
        data_plane: DataPlane {
            connected: status.dataplane.connected,
            workers: status.dataplane.workers,
        },
        processes,
        syslog: Vec::new(),
    }
}

/// What became of the messages for syslog servers.
pub fn syslog(tee: &Tee) -> Vec<SyslogServer> {
    let told = |(server, status): (SocketAddr, syslog::Status)| SyslogServer {
        server,
        sent: status.sent,
        lost: status.lost,
        waiting: status.waiting as u64,
        up: status.up,
    };
    tee.statuses().into_iter().map(told).collect()
}

fn ports(plane: Option<&Status>, counters: Option<&Counters>) -> Vec<Port> {
    let ports = plane.map_or(&[][..], |plane| &plane.ports);
    let port = |(index, port): (usize, &api::PortStatus)| Port {
        name: port.name.clone(),
        device: port.device.clone(),
        driver: port.driver.clone(),
        link_up: port.link_up,
        removed: port.removed,
        counters: counters.and_then(|c| c.ports.get(index).cloned()),
    };
    ports.iter().enumerate().map(port).collect()
}

fn service(service: types::Service, told: bool) -> Service {
    Service {
        sees_replies: matches!(&*service.mode, "l4-nat" | "l4-snat" | "l7-tcp" | "l7-http"),
        name: service.name,
        mode: service.mode,
        address: service.address,
        ports: service.ports,
        protocol: service.protocol,
        scheduler: service.scheduler,
        state: match service.state {
            types::ServiceState::Up => ServiceState::Up,
            types::ServiceState::Degraded => ServiceState::Degraded,
            types::ServiceState::Down => ServiceState::Down,
        },
        traffic: None,
        layer7: None,
        real_servers: service.real_servers.into_iter().map(|r| real_server(r, told)).collect(),
    }
}

fn real_server(real: types::RealServer, told: bool) -> RealServer {
    let traffic = Traffic {
        connections: real.connections.into(),
        total: real.total,
        packets: real.packets,
        bytes: real.bytes,
        reply_packets: real.reply_packets,
        reply_bytes: real.reply_bytes,
    };
    let check = real.since_s.map(|since| Check {
        took: real.took_us.map(Duration::from_micros),
        since: Duration::from_secs(since),
    });
    RealServer {
        name: real.name,
        address: real.address,
        port: real.port,
        weight: real.weight,
        requested: match real.requested {
            types::Requested::Online => Requested::Online,
            types::Requested::Drain => Requested::Drain,
            types::Requested::Halt => Requested::Halt,
        },
        observed: match real.observed {
            types::Observed::Up => Observed::Up,
            types::Observed::Down => Observed::Down,
            types::Observed::Checking => Observed::Checking,
            types::Observed::Unchecked => Observed::Unchecked,
        },
        reachable: real.reachable,
        check,
        traffic: told.then_some(traffic),
        failed: Vec::new(),
    }
}

/// What the layer 7 proxy counted besides traffic, by name.
struct Relayed<'a> {
    services: HashMap<&'a str, &'a ServiceCounters>,
    servers: HashMap<(&'a str, &'a str), &'a ServerCounters>,
}

impl<'a> Relayed<'a> {
    fn new(core: &'a Core, counters: Option<&'a l7_api::Counters>) -> Self {
        let applied = core.proxy.applied.as_ref().map_or(&[][..], |s| &s.services);
        let rows = counters.map_or((&[][..], &[][..]), |c| (&c.services, &c.servers));
        let by_id: HashMap<_, _> = rows.0.iter().map(|row| (row.id, row)).collect();
        let servers_by_id: HashMap<_, _> = rows.1.iter().map(|row| (row.id, row)).collect();
        let services = applied.iter().filter_map(|s| Some((&*s.name, *by_id.get(&s.id)?)));
        let servers = applied.iter().flat_map(|s| s.servers.iter().map(move |r| (s, r)));
        let servers =
            servers.filter_map(|(s, r)| Some(((&*s.name, &*r.name), *servers_by_id.get(&r.id)?)));
        Self { services: services.collect(), servers: servers.collect() }
    }

    fn fill(&self, mut service: Service) -> Service {
        let is_http = service.mode == "l7-http";
        service.layer7 = self.services.get(&*service.name).map(|row| Layer7 {
            queued: row.queued.into(),
            failed: vec![
                ("client-reset", row.client_reset),
                ("client-timeout", row.client_timeout),
                ("cut", row.cut),
                ("handshake-timeout", row.handshake_timeout),
                ("http2-error", row.h2_errors),
                ("http2-frame-flood", row.h2_frame_floods),
                ("http2-head-flood", row.h2_head_floods),
                ("http2-reset-flood", row.h2_reset_floods),
                ("no-server", row.no_server),
                ("our-fault", row.our_fault),
                ("proxy-refused", row.proxy_refused),
                ("queue-full", row.queue_full),
                ("queue-timeout", row.queue_timeout),
                ("shed", row.shed),
            ],
            http: is_http.then_some(Http {
                requests: row.requests,
                client_errors: row.client_errors,
                gateway_errors: row.gateway_errors,
                h2_connections: row.h2_connections,
                h2_streams: row.h2_streams,
            }),
            tls_full: row.tls_handshakes - row.tls_resumed.min(row.tls_handshakes),
            tls_resumed: row.tls_resumed,
            tls_failed: row.tls_failed,
            logged: row.logged,
            log_lost: row.log_lost,
            unnamed: row.unnamed,
        });
        for real_server in &mut service.real_servers {
            if let Some(row) = self.servers.get(&(&*service.name, &*real_server.name)) {
                real_server.failed = vec![
                    ("connect-timeout", row.connect_timeout),
                    ("refused", row.refused),
                    ("server-reset", row.server_reset),
                    ("server-timeout", row.server_timeout),
                ];
            }
        }
        service
    }
}

/// What the kernel says of a process (proc(5)); `None` when it is gone.
fn process(name: &str, pid: u32) -> Option<Process> {
    let folder = format!("/proc/{pid}");
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
    // The second field is the program's name in brackets, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = rustix::param::clock_ticks_per_second();
    let since_ticks = |count: u64| Duration::from_millis(count * 1_000 / ticks.max(1));
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::try_from(boot).unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    let files = std::fs::read_dir(format!("{folder}/fd")).ok();
    Some(Process {
        name: name.to_owned(),
        uptime: now.saturating_sub(since_ticks(number(22)?)),
        cpu: Some(since_ticks(number(14)? + number(15)?)),
        resident_bytes: number(24).map(|pages| pages * page),
        open_files: files.map(|files| files.count() as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_of_and_nobody_is_not() {
        let process = process("control", std::process::id()).expect("we live");
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files >= 3), "{process:?}");
        assert!(process.uptime < Duration::from_secs(3600), "{process:?}");
        assert_eq!(super::process("nobody", u32::MAX), None);
    }
}
