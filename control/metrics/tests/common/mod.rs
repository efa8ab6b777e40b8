//! Samples, and a reader that forgives nothing.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod strict;

use api::{DropReason, PortCounters, PuntReason, TableCounters};
use metrics::{
    Build, Check, Configuration, DataPlane, Http, Layer7, Node, Observed, Port, Process,
    RealServer, Requested, Sample, Service, ServiceState, SyslogServer, Traffic,
};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Output};
use std::time::Duration;

/// A node that has some of everything.
pub fn full() -> Sample {
    Sample {
        node: node(),
        ports: vec![port("eth1", 1000), port("eth0", 1)],
        table: Some(TableCounters {
            connections: 41,
            persistence: 3,
            fragments: 1,
            units_used: 45,
            units: 1_048_576,
            bytes: 75_497_472,
            taken_over: 7,
        }),
        services: vec![web(), dns()],
    }
}

fn node() -> Node {
    Node {
        name: "lb1".into(),
        build: Build { version: "0.1.0".into(), commit: Some("0123abc".into()) },
        ready: true,
        configuration: Configuration {
            trouble: false,
            revision: Some(12),
            returns_in: Some(Duration::from_secs(90)),
            generation_asked: 41,
            generation_applied: 40,
        },
        data_plane: DataPlane { connected: true, workers: Some(2) },
        processes: vec![process("dataplane", 86_400_500), process("control", 3_600_250)],
        syslog: vec![syslog("[2001:db8::9]:601", 5, false), syslog("192.0.2.9:514", 0, true)],
    }
}

fn syslog(server: &str, lost: u64, up: bool) -> SyslogServer {
    let server = server.parse().expect("an address");
    SyslogServer { server, sent: 1_000 + lost, lost, waiting: lost * 2, up }
}

fn process(name: &str, uptime: u64) -> Process {
    Process {
        name: name.into(),
        uptime: Duration::from_millis(uptime),
        cpu: Some(Duration::from_micros(1_250_000)),
        resident_bytes: Some(52_428_800),
        open_files: Some(19),
    }
}

/// A port whose counters all differ.
pub fn port(name: &str, first: u64) -> Port {
    let counters = PortCounters {
        rx: first,
        rx_bytes: first + 1,
        forwarded: first + 2,
        answered: first + 3,
        to_host: (0..).map(|n| first + 100 + n).take(PuntReason::COUNT).collect(),
        dropped: (0..).map(|n| first + 200 + n).take(DropReason::COUNT).collect(),
        held: first + 4,
        tx: first + 5,
        tx_bytes: first + 6,
        host_rx: first + 7,
        host_tx: first + 8,
        host_dropped: (0..).map(|n| first + 300 + n).take(DropReason::COUNT).collect(),
    };
    Port {
        name: name.into(),
        device: "0000:01:00.0".into(),
        driver: "net_virtio".into(),
        link_up: true,
        removed: false,
        counters: Some(counters),
    }
}

/// Sees no replies; two checked real servers, one of which is down.
fn web() -> Service {
    let up = RealServer { weight: 50, ..real_server("web1", 11) };
    let down = RealServer { observed: Observed::Down, ..real_server("web2", 12) };
    let mut down = RealServer { port: Some(8080), ..down };
    down.check = Some(Check { took: None, since: Duration::from_millis(1500) });
    Service {
        state: ServiceState::Degraded,
        traffic: Some(traffic(500)),
        ..service("WEB", "l4-dr", vec![down, up])
    }
}

/// Sees replies; nobody checks its real servers.
fn dns() -> Service {
    let unchecked = |name, last| RealServer {
        observed: Observed::Unchecked,
        check: None,
        ..real_server(name, last)
    };
    let drained = RealServer { requested: Requested::Drain, ..unchecked("dns2", 22) };
    let lost = RealServer { reachable: false, ..unchecked("dns3", 23) };
    Service {
        protocol: "udp".into(),
        ports: "53".into(),
        sees_replies: true,
        traffic: Some(traffic(600)),
        ..service("DNS", "l4-nat", vec![unchecked("dns1", 21), drained, lost])
    }
}

/// Of layer 7, which knows of no packets.
pub fn nfs() -> Service {
    let failed = vec![("refused", 4), ("server-reset", 0)];
    let real_server = RealServer { failed, ..real_server("nfs1", 31) };
    Service {
        sees_replies: true,
        traffic: Some(traffic(700)),
        layer7: Some(Layer7 {
            queued: 3,
            failed: vec![("no-server", 2), ("queue-full", 1)],
            http: None,
            tls_full: 40,
            tls_resumed: 60,
            tls_failed: 3,
            logged: 690,
            log_lost: 10,
            unnamed: 5,
        }),
        ..service("NFS", "l7-tcp", vec![real_server])
    }
}

/// Of layer 7, with requests.
pub fn portal() -> Service {
    let http = Http {
        requests: 900,
        client_errors: 7,
        gateway_errors: 5,
        h2_connections: 12,
        h2_streams: 300,
    };
    let layer7 = Some(Layer7 { http: Some(http), ..Layer7::default() });
    Service { layer7, ..service("WEB", "l7-http", Vec::new()) }
}

pub fn service(name: &str, mode: &str, real_servers: Vec<RealServer>) -> Service {
    Service {
        name: name.into(),
        mode: mode.into(),
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        ports: "80,443".into(),
        protocol: "tcp".into(),
        scheduler: "wlc".into(),
        state: ServiceState::Up,
        sees_replies: false,
        traffic: None,
        layer7: None,
        real_servers,
    }
}

pub fn real_server(name: &str, last: u8) -> RealServer {
    RealServer {
        name: name.into(),
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        port: None,
        weight: 100,
        requested: Requested::Online,
        observed: Observed::Up,
        reachable: true,
        check: Some(Check {
            took: Some(Duration::from_micros(1250)),
            since: Duration::from_secs(60),
        }),
        traffic: Some(traffic(u64::from(last))),
        failed: Vec::new(),
    }
}

pub fn traffic(first: u64) -> Traffic {
    Traffic {
        connections: first,
        total: first * 10,
        packets: first * 20,
        bytes: first * 30,
        reply_packets: first * 40,
        reply_bytes: first * 50,
    }
}

/// Runs Prometheus' own tool; `None`, with a word about it, where there is none.
pub fn promtool(command: &mut Command) -> Option<Output> {
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: no promtool here; Debian's package prometheus has it");
            None
        }
        output => Some(output.expect("promtool runs")),
    }
}
