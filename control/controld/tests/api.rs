//! The local API as its clients see it, the clumsy and the hostile ones included.

mod lab;

use lab::{CONFIG, Lab, action, http, inside, real_server};
use serde_json::json;
use std::io::Read;

#[test]
fn every_answer_has_the_agreed_shape() {
    inside("every_answer_has_the_agreed_shape", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        lab::eventually("ready", || lab.get("/api/v1/status").json()["ready"] == true);
        let status = lab.get("/api/v1/status").json();
        let keys = |v: &serde_json::Value| -> Vec<String> {
            v.as_object().map_or(Vec::new(), |o| o.keys().cloned().collect())
        };
        assert_eq!(
            keys(&status),
            ["config", "dataplane", "generation", "layer7", "node", "ready", "version"]
        );
        assert_eq!(status["node"], "lab");
        let config = ["file", "returns_in_s", "revision", "trouble"];
        assert_eq!(keys(&status["config"]), config, "{status}");
        assert_eq!(status["generation"]["asked"], status["generation"]["applied"]);
        assert_eq!(status["dataplane"]["connected"], true);
        let layer7 = &status["layer7"];
        assert_eq!((&layer7["connected"], &layer7["needed"]), (&false.into(), &false.into()));
        assert_eq!(status["dataplane"]["ports"][0]["mac"], "02:00:00:00:00:01");

        let services = lab.get("/api/v1/services").json();
        let service = &services["services"][0];
        assert_eq!(
            keys(service),
            [
                "address",
                "connections",
                "fallback",
                "mode",
                "name",
                "ports",
                "protocol",
                "real_servers",
                "scheduler",
                "state"
            ]
        );
        assert_eq!((&service["state"], &service["mode"]), (&"up".into(), &"l4-nat".into()));
        assert_eq!(
            keys(&service["real_servers"][0]),
            [
                "address",
                "bytes",
                "connections",
                "history",
                "name",
                "observed",
                "packets",
                "port",
                "reachable",
                "reason",
                "reply_bytes",
                "reply_packets",
                "requested",
                "since_s",
                "took_us",
                "total",
                "weight"
            ]
        );
        let connections = lab.get("/api/v1/connections?cursor=0&limit=10").json();
        assert_eq!(connections, serde_json::json!({"connections": [], "next": null}));
        assert_eq!(keys(&lab.get("/api/v1/counters").json()), ["ports", "table"]);
    });
}

#[test]
fn every_error_says_what_is_wrong_and_what_to_do() {
    inside("every_error_says_what_is_wrong_and_what_to_do", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let long = format!("/api/v1/{}", "x".repeat(4_000));
        let mut wrong: Vec<String> = Vec::new();
        for (method, path, status) in [
            ("GET", "/", 404),
            ("GET", "/api/v1/nothing", 404),
            ("GET", long.as_str(), 404),
            ("POST", "/api/v1/status", 405),
            ("GET", &action("one", "drain"), 405),
            ("POST", &action("one", "destroy"), 404),
            ("POST", &action("three", "drain"), 404),
            ("POST", "/api/v1/services/NONE/real-servers/one/drain", 404),
            ("POST", "/api/v1/services/%FF/real-servers/one/drain", 400),
            ("GET", "/api/v1/connections?cursor=x", 400),
            ("GET", "/api/v1/connections?limit=-1", 400),
            ("GET", "/api/v1/connections?cursor=99999999999999999999", 400),
        ] {
            let answer = http::call(&lab.socket(), method, path, b"").expect("an answer");
            let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
            let told = |key: &str| json.as_ref().is_some_and(|j| j[key].is_string());
            if answer.status != status || !told("error") || !told("remedy") {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                wrong.push(format!("{method} {path:.60}: {} {body:?}", answer.status));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// Whatever is sent, control answers the next honest request, and never with its own fault.
#[test]
fn nonsense_is_no_fault_of_ours() {
    inside("nonsense_is_no_fault_of_ours", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let socket = lab.socket();
        let mut dice = Dice(0x5eed);
        let begun = std::time::Instant::now();
        let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
        let budget = std::time::Duration::from_secs(seconds.unwrap_or(2));
        let mut sent = 0;
        while begun.elapsed() < budget {
            let request = dice.request();
            let Some(mut stream) = http::raw(&socket, &request) else {
                panic!("control is gone after {:?}", String::from_utf8_lossy(&request))
            };
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            if let Some(answer) = http::parse(&bytes) {
                let text = String::from_utf8_lossy(&request);
                assert!(answer.status < 500, "{} to {text:?}", answer.status);
            }
            sent += 1;
        }
        assert!(sent > 50);
        assert_eq!(lab.get("/api/v1/status").status, 200);
    });
}

/// xorshift64
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// An honest request with some of its bytes changed, cut or doubled.
    fn request(&mut self) -> Vec<u8> {
        const HONEST: [&str; 6] = [
            "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "GET /api/v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "GET /api/v1/connections?cursor=7&limit=9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "GET /api/v1/counters HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "POST /api/v1/services/WEB/real-servers/one/online HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n{\"a\"",
            "POST /api/v1/services/W%45B/real-servers/two/drain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ];
        let mut bytes = HONEST[self.roll(HONEST.len())].as_bytes().to_vec();
        for _ in 0..self.roll(6) {
            let at = self.roll(bytes.len());
            match self.roll(4) {
                0 => bytes[at] = self.roll(256) as u8,
                1 => drop(bytes.drain(at..)),
                2 => bytes.insert(at, b"%/?&=\r\n\0\xff."[self.roll(10)]),
                _ => {
                    let copy: Vec<u8> = bytes[at..].iter().copied().take(40).collect();
                    bytes.splice(at..at, copy);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'G');
            }
        }
        bytes
    }
}

#[test]
fn clients_that_a_service_remembers_are_listed_and_forgotten() {
    inside("clients_that_a_service_remembers_are_listed_and_forgotten", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let by_network = "persistence = { by = \"source-ip\", mask = 24 }\nports = \"80\"";
        let lab = Lab::ready(&CONFIG.replace("ports = \"80\"", by_network));
        let path = "/api/v1/services/WEB/persistence";
        let first = lab.get(path).json();
        assert_eq!(first, json!({"clients": [], "next": 8}));
        let second = lab.get(&format!("{path}?cursor=8")).json();
        let client =
            json!({"client": "192.0.2.0/24", "real_server": "one", "idle_s": 7, "expires_s": 53});
        assert_eq!(second, json!({"clients": [client], "next": null}));
        let delete =
            |path: &str| http::call(&lab.socket(), "DELETE", path, b"").expect("it answers");
        assert_eq!(delete(path).json(), json!({"clients": 6}));
        assert_eq!(delete(&format!("{path}?client=192.0.2.7")).json(), json!({"clients": 1}));
        assert_eq!(delete("/api/v1/services/none/persistence").status, 404);
        assert_eq!(lab.get("/api/v1/services/none/persistence").status, 404);
        let events = lab.get("/api/v1/events").json().to_string();
        assert!(events.contains("root made it forget 6 clients"), "{events}");
    });
}
