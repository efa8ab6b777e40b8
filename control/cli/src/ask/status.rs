//! Whether all is well.

use super::table::{Table, clean};
use super::units::duration;
use serde::Deserialize;

/// `GET /api/v1/status`
#[derive(Deserialize)]
pub struct Status {
    node: String,
    version: String,
    config: File,
    generation: Generation,
    dataplane: Plane,
    layer7: Layer7,
    ready: bool,
}

#[derive(Deserialize)]
struct File {
    file: String,
    /// What keeps control from applying what is asked.
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Generation {
    asked: u64,
    applied: u64,
}

#[derive(Deserialize)]
struct Plane {
    connected: bool,
    pid: Option<u32>,
    workers: Option<u32>,
    uptime_s: Option<u64>,
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Layer7 {
    connected: bool,
    needed: bool,
    pid: Option<u32>,
    workers: Option<u32>,
    uptime_s: Option<u64>,
    connections: Option<u64>,
}

#[derive(Deserialize)]
struct Port {
    name: String,
    device: String,
    driver: String,
    mac: String,
    link_up: bool,
    companion: bool,
    removed: bool,
}

/// The verdict first, then why, then the ports.
pub fn render(status: &Status) -> String {
    let Status { node, version, config, generation, dataplane, layer7, .. } = status;
    let mut text = format!("{} (Fulcrum {}): {}\n", clean(node), clean(version), verdict(status));
    text += &format!("configuration  {}\n", clean(&config.file));
    if let Some(trouble) = &config.trouble {
        text += &format!("  TROUBLE: {}\n", clean(trouble));
    }
    text += &format!("generation     {} asked, {} applied\n", generation.asked, generation.applied);
    text += &format!("data plane     {}\n", plane(dataplane));
    text += &format!("layer 7        {}\n", proxy(layer7));
    if !dataplane.ports.is_empty() {
        text += "\n";
        text += &ports(&dataplane.ports);
    }
    text
}

fn verdict(status: &Status) -> &'static str {
    let Generation { asked, applied } = status.generation;
    match status {
        Status { ready: true, .. } => "ready",
        Status { dataplane: Plane { connected: false, .. }, .. } => {
            "NOT READY: the data plane is not connected; see the log of fulcrum run"
        }
        Status { config: File { trouble: Some(_), .. }, .. } => {
            "NOT READY: there is trouble, see below"
        }
        _ if asked != applied => "NOT READY: the last change is not applied yet",
        _ => "NOT READY: checks have not decided yet; see fulcrum service list",
    }
}

fn plane(plane: &Plane) -> String {
    match plane.connected {
        true => process(plane.pid, plane.workers, plane.uptime_s).join(", "),
        false => "not connected".into(),
    }
}

fn proxy(proxy: &Layer7) -> String {
    if !proxy.connected {
        let needed = if proxy.needed { "" } else { " (no service needs it)" };
        return format!("not connected{needed}");
    }
    let mut parts = process(proxy.pid, proxy.workers, proxy.uptime_s);
    parts.extend(proxy.connections.map(|n| format!("{n} connections")));
    parts.join(", ")
}

fn process(pid: Option<u32>, workers: Option<u32>, uptime_s: Option<u64>) -> Vec<String> {
    let mut parts = vec!["connected".to_owned()];
    parts.extend(pid.map(|pid| format!("process {pid}")));
    parts.extend(workers.map(|n| format!("{n} worker{}", if n == 1 { "" } else { "s" })));
    parts.extend(uptime_s.map(|seconds| format!("up {}", duration(seconds))));
    parts
}

fn link(port: &Port) -> &'static str {
    match port {
        Port { removed: true, .. } => "REMOVED",
        Port { link_up: true, .. } => "up",
        _ => "DOWN",
    }
}

fn ports(ports: &[Port]) -> String {
    let mut table = Table::new(&["PORT", "LINK", "MAC", "DRIVER", "DEVICE", "COMPANION"]);
    for port in ports {
        table.row([
            &port.name,
            link(port),
            &port.mac,
            &port.driver,
            &port.device,
            if port.companion { "yes" } else { "none" },
        ]);
    }
    table.render(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn canned() -> Value {
        json!({
            "node": "lb1", "version": "0.1.0",
            "config": {"file": "/etc/fulcrum.toml", "trouble": null},
            "generation": {"asked": 41, "applied": 41},
            "dataplane": {"connected": true, "pid": 812, "workers": 1, "uptime_s": 7384, "ports": [
                {"name": "eth0", "device": "af_packet:lb0", "driver": "net_af_packet",
                 "mac": "02:00:00:00:00:01", "link_up": false, "companion": true, "removed": false}]},
            "layer7": {"connected": true, "needed": true, "pid": 813, "workers": 2, "uptime_s": 7,
                       "connections": 12, "listeners": 4},
            "ready": true,
        })
    }

    fn rendered(value: Value) -> String {
        render(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_verdict_comes_first() {
        let expected = "\
lb1 (Fulcrum 0.1.0): ready
configuration  /etc/fulcrum.toml
generation     41 asked, 41 applied
data plane     connected, process 812, 1 worker, up 2h 3m
layer 7        connected, process 813, 2 workers, up 7s, 12 connections

PORT  LINK  MAC                DRIVER         DEVICE         COMPANION
eth0  DOWN  02:00:00:00:00:01  net_af_packet  af_packet:lb0  yes
";
        assert_eq!(rendered(canned()), expected);
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_said() {
        let mut status = canned();
        status["ready"] = json!(false);
        assert!(rendered(status.clone()).contains("NOT READY: checks have not decided"));
        status["generation"]["asked"] = json!(42);
        assert!(rendered(status.clone()).contains("NOT READY: the last change is not applied"));
        status["config"]["trouble"] = json!("no route to 10.0.0.1");
        assert!(rendered(status.clone()).contains("\n  TROUBLE: no route to 10.0.0.1\n"));
        status["dataplane"] = json!({"connected": false, "pid": null, "workers": null,
            "uptime_s": null, "ports": []});
        status["layer7"] = json!({"connected": false, "needed": false});
        let text = rendered(status);
        assert!(text.contains("layer 7        not connected (no service needs it)\n"), "{text}");
        assert!(text.contains("NOT READY: the data plane is not connected"), "{text}");
        assert!(text.contains("data plane     not connected\n"), "{text}");
    }
}
