//! The node and its processes.

use crate::series::{Family, Kind, Labels, Series, Subject};
use crate::{Node, Process, SyslogServer};

impl Subject for Node {
    fn labels(&self, _: &mut Labels<'_>) {}
}

pub(super) fn families() -> [Family<Node>; 17] {
    [
        Family {
            name: "fulcrum_node_build",
            help: "The node's name and what runs here.",
            kind: Kind::Info,
            series: build,
        },
        Family {
            name: "fulcrum_node_config_error",
            help: "Whether the last configuration could not be used.",
            kind: Kind::Gauge,
            series: |node, out| out.value(u8::from(node.configuration.trouble)),
        },
        Family {
            name: "fulcrum_node_config_return_seconds",
            help: "Time until the configuration is taken back unless it is confirmed before.",
            kind: Kind::Gauge,
            series: |node, out| out.maybe(node.configuration.returns_in.map(|d| d.as_secs_f64())),
        },
        Family {
            name: "fulcrum_node_config_revision",
            help: "Number of the configuration in force.",
            kind: Kind::Gauge,
            series: |node, out| out.maybe(node.configuration.revision),
        },
        Family {
            name: "fulcrum_node_dataplane_connected",
            help: "Whether the data plane answers.",
            kind: Kind::Gauge,
            series: |node, out| out.value(u8::from(node.data_plane.connected)),
        },
        Family {
            name: "fulcrum_node_dataplane_workers",
            help: "Forwarding threads.",
            kind: Kind::Gauge,
            series: |node, out| out.maybe(node.data_plane.workers),
        },
        Family {
            name: "fulcrum_node_generation_applied",
            help: "Number of the snapshot that every worker forwards by.",
            kind: Kind::Gauge,
            series: |node, out| out.value(node.configuration.generation_applied),
        },
        Family {
            name: "fulcrum_node_generation_asked",
            help: "Number of the snapshot that was sent last.",
            kind: Kind::Gauge,
            series: |node, out| out.value(node.configuration.generation_asked),
        },
        Family {
            name: "fulcrum_node_process_cpu_seconds",
            help: "CPU time that the process has used.",
            kind: Kind::Counter,
            series: |node, out| by_process(node, out, |p| p.cpu.map(|d| d.as_secs_f64())),
        },
        Family {
            name: "fulcrum_node_process_open_files",
            help: "File descriptors that the process has open.",
            kind: Kind::Gauge,
            series: |node, out| by_process(node, out, |p| p.open_files),
        },
        Family {
            name: "fulcrum_node_process_resident_memory_bytes",
            help: "Memory that the process occupies.",
            kind: Kind::Gauge,
            series: |node, out| by_process(node, out, |p| p.resident_bytes),
        },
        Family {
            name: "fulcrum_node_process_uptime_seconds",
            help: "Time since the process started.",
            kind: Kind::Gauge,
            series: |node, out| by_process(node, out, |p| Some(p.uptime.as_secs_f64())),
        },
        Family {
            name: "fulcrum_node_ready",
            help: "Whether what was asked for is applied and every check has decided.",
            kind: Kind::Gauge,
            series: |node, out| out.value(u8::from(node.ready)),
        },
        Family {
            name: "fulcrum_node_syslog_lost_messages",
            help: "Messages that the syslog server did not get, as far as can be known here.",
            kind: Kind::Counter,
            series: |node, out| by_server(node, out, |s| s.lost),
        },
        Family {
            name: "fulcrum_node_syslog_sent_messages",
            help: "Messages for the syslog server that were handed to the network.",
            kind: Kind::Counter,
            series: |node, out| by_server(node, out, |s| s.sent),
        },
        Family {
            name: "fulcrum_node_syslog_up",
            help: "Whether the last message for the syslog server went out.",
            kind: Kind::Gauge,
            series: |node, out| by_server(node, out, |s| u64::from(s.up)),
        },
        Family {
            name: "fulcrum_node_syslog_waiting_messages",
            help: "Messages that wait for the syslog server.",
            kind: Kind::Gauge,
            series: |node, out| by_server(node, out, |s| s.waiting),
        },
    ]
}

fn build(node: &Node, out: &mut Series<'_>) {
    let named = [("node", &*node.name), ("version", &*node.build.version)];
    match &node.build.commit {
        Some(commit) => out.labelled(&[named[0], named[1], ("commit", commit)], 1),
        None => out.labelled(&named, 1),
    }
}

fn by_process<N: std::fmt::Display>(
    node: &Node,
    out: &mut Series<'_>,
    number: impl Fn(&Process) -> Option<N>,
) {
    let mut processes: Vec<_> = node.processes.iter().collect();
    processes.sort_by(|a, b| a.name.cmp(&b.name));
    for process in processes {
        if let Some(number) = number(process) {
            out.labelled(&[("process", &process.name)], number);
        }
    }
}

fn by_server(node: &Node, out: &mut Series<'_>, number: impl Fn(&SyslogServer) -> u64) {
    let mut servers: Vec<_> = node.syslog.iter().collect();
    servers.sort_by_key(|it| it.server);
    for it in servers {
        out.labelled(&[("server", &it.server.to_string())], number(it));
    }
}
