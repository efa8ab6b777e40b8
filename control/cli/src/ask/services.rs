//! Services and their real servers.

use super::table::{Table, clean};
use super::units::{bytes, count, duration};
use serde::Deserialize;

/// `GET /api/v1/services`
#[derive(Deserialize)]
pub struct Services {
    services: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    mode: String,
    address: String,
    ports: String,
    protocol: String,
    scheduler: String,
    connections: u64,
    state: String,
    real_servers: Vec<RealServer>,
    fallback: Option<String>,
}

#[derive(Deserialize)]
struct RealServer {
    name: String,
    address: String,
    port: Option<u16>,
    weight: u32,
    requested: String,
    observed: String,
    reason: Option<String>,
    since_s: Option<u64>,
    reachable: bool,
    connections: u64,
    total: u64,
    bytes: u64,
    reply_bytes: u64,
}

/// A paragraph for each service. What is not as it should be is in capitals.
pub fn render(answer: &Services) -> String {
    if answer.services.is_empty() {
        return "The configuration has no services.\n".into();
    }
    answer.services.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

fn paragraph(service: &Service) -> String {
    let Service { name, mode, address, ports, protocol, scheduler, fallback, .. } = service;
    let state = match service.state.as_str() {
        "up" => "up".into(),
        worse => worse.to_uppercase(),
    };
    let connections = match service.connections {
        1 => "1 connection".into(),
        n => format!("{} connections", count(n)),
    };
    let fallback = fallback.as_deref().unwrap_or("none");
    let heading = clean(&format!(
        "{name}: {state}, {connections}; {address} {protocol} {ports}, {mode}, {scheduler}, \
         fallback {fallback}"
    ));
    format!("{heading}\n{}", real_servers(&service.real_servers))
}

fn real_servers(real_servers: &[RealServer]) -> String {
    let mut table = Table::new(&[
        "REAL SERVER",
        "ADDRESS",
        ">WEIGHT",
        "ASKED",
        "CHECK",
        "SINCE",
        ">NOW",
        ">TOTAL",
        ">TO IT",
        ">FROM IT",
        "WHY",
    ]);
    for real_server in real_servers {
        table.row([
            &real_server.name,
            &real_server.end(),
            &real_server.weight.to_string(),
            &shouted(&real_server.requested, &["online"]),
            &real_server.checked(),
            &real_server.since_s.map_or("-".into(), duration),
            &count(real_server.connections),
            &count(real_server.total),
            &bytes(real_server.bytes),
            &bytes(real_server.reply_bytes),
            real_server.reason.as_deref().unwrap_or(""),
        ]);
    }
    table.render(2)
}

impl RealServer {
    fn end(&self) -> String {
        match self.port {
            None => self.address.clone(),
            Some(port) if self.address.contains(':') => format!("[{}]:{port}", self.address),
            Some(port) => format!("{}:{port}", self.address),
        }
    }

    fn checked(&self) -> String {
        match self.reachable {
            true => shouted(&self.observed, &["up", "unchecked"]),
            false => "UNREACHABLE".into(),
        }
    }
}

fn shouted(word: &str, good: &[&str]) -> String {
    if good.contains(&word) { word.into() } else { word.to_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rendered(value: Value) -> String {
        render(&serde_json::from_value(value).unwrap())
    }

    fn real_server(name: &str) -> Value {
        json!({"name": name, "address": "10.0.0.11", "port": 8080, "weight": 100,
            "requested": "online", "observed": "up", "reason": null, "since_s": 125,
            "reachable": true, "connections": 3, "total": 1234, "packets": 9, "bytes": 2048,
            "reply_packets": 9, "reply_bytes": 5})
    }

    fn service(real_servers: Vec<Value>) -> Value {
        json!({"name": "WEB", "mode": "l4-snat", "address": "10.0.0.100", "ports": "80,443",
            "protocol": "tcp", "scheduler": "wlc", "connections": 3, "state": "degraded",
            "fallback": null, "real_servers": real_servers})
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let mut down = real_server("WEB2");
        down["observed"] = json!("down");
        down["reason"] = json!("connection refused");
        down["requested"] = json!("drain");
        down["since_s"] = json!(null);
        let expected = "\
WEB: DEGRADED, 3 connections; 10.0.0.100 tcp 80,443, l4-snat, wlc, fallback none
  REAL SERVER  ADDRESS         WEIGHT  ASKED   CHECK  SINCE  NOW  TOTAL    TO IT  FROM IT  WHY
  WEB1         10.0.0.11:8080     100  online  up     2m 5s    3  1,234  2.0 KiB      5 B
  WEB2         10.0.0.11:8080     100  DRAIN   DOWN   -        3  1,234  2.0 KiB      5 B  connection refused
";
        let services = json!({"services": [service(vec![real_server("WEB1"), down])]});
        assert_eq!(rendered(services), expected);
    }

    #[test]
    fn an_unreachable_one_is_not_called_up() {
        let mut lost = real_server("WEB1");
        lost["reachable"] = json!(false);
        lost["address"] = json!("2001:db8::1");
        let text = rendered(json!({"services": [service(vec![lost])]}));
        assert!(text.contains("[2001:db8::1]:8080"), "{text}");
        assert!(text.contains("UNREACHABLE") && !text.contains(" up "), "{text}");
    }

    #[test]
    fn services_are_apart_and_none_is_said() {
        let two = rendered(json!({"services": [service(vec![]), service(vec![])]}));
        assert_eq!(two.matches("\n\nWEB: ").count(), 1, "{two}");
        assert_eq!(rendered(json!({"services": []})), "The configuration has no services.\n");
    }
}
