//! The list of connections.

use super::table::Table;
use super::units::{bytes, count, duration};
use serde::Deserialize;

/// `GET /api/v1/connections`
#[derive(Deserialize)]
pub struct Connections {
    connections: Vec<Row>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Row {
    protocol: String,
    client: String,
    vip: String,
    real_server: Option<String>,
    source: Option<String>,
    service: Option<String>,
    real_server_name: Option<String>,
    state: String,
    idle_s: u64,
    expires_s: Option<u64>,
    relayed: Option<Relayed>,
}

/// What only the layer 7 proxy knows.
#[derive(Deserialize)]
struct Relayed {
    protocol: String,
    tls: bool,
    streams: u32,
    age_s: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// One line for each, and how many there are.
pub fn render(answer: &Connections) -> String {
    let mut table = Table::new(&[
        "PROTO",
        "CLIENT",
        "VIRTUAL",
        "REAL SERVER",
        "NAME",
        "OUR SOURCE",
        "STATE",
        ">IDLE",
        ">EXPIRES",
        ">AGE",
        ">IN",
        ">OUT",
    ]);
    for row in &answer.connections {
        let name = match (&row.service, &row.real_server_name) {
            (Some(service), Some(real_server)) => format!("{service}/{real_server}"),
            (Some(service), None) => format!("{service}/-"),
            // Of a service that is no longer configured.
            (None, _) => "-".into(),
        };
        let [age, bytes_in, bytes_out] =
            row.relayed.as_ref().map_or([const { String::new() }; 3], |it| {
                [duration(it.age_s), bytes(it.bytes_in), bytes(it.bytes_out)]
            });
        table.row([
            &row.spoken(),
            &row.client,
            &row.vip,
            row.real_server.as_deref().unwrap_or("-"),
            &name,
            row.source.as_deref().unwrap_or("-"),
            &row.state_in_words(),
            &duration(row.idle_s),
            &row.expires_s.map_or("never".into(), duration),
            &age,
            &bytes_in,
            &bytes_out,
        ]);
    }
    let shown = answer.connections.len();
    let closing = match (shown, answer.next) {
        (0, None) => return "There are no connections.\n".into(),
        (1, None) => "1 connection".into(),
        (_, None) => format!("{} connections", count(shown as u64)),
        (_, Some(_)) => {
            format!("{} connections shown, there may be more: --limit N", count(shown as u64))
        }
    };
    format!("{}{closing}\n", table.render(0))
}

impl Row {
    /// The protocol, with what is known of it.
    fn spoken(&self) -> String {
        match &self.relayed {
            Some(relayed) if relayed.tls => format!("{}+tls", relayed.protocol),
            Some(relayed) => relayed.protocol.clone(),
            None => self.protocol.clone(),
        }
    }

    fn state_in_words(&self) -> String {
        match self.relayed.as_ref().map_or(0, |relayed| relayed.streams) {
            0 => self.state.clone(),
            1 => format!("{} (1 stream)", self.state),
            streams => format!("{} ({streams} streams)", self.state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rendered(value: Value) -> String {
        render(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn one_line_for_each_connection() {
        let text = rendered(json!({"next": null, "connections": [
            {"protocol": "tcp", "client": "1.2.3.4:5", "vip": "10.0.0.100:80",
             "real_server": "10.0.0.11:8080", "source": "10.0.0.5:4242", "service": "WEB",
             "real_server_name": "WEB1", "state": "established", "idle_s": 3, "expires_s": 897},
            {"protocol": "udp", "client": "[2001:db8::1]:53", "vip": "[2001:db8::2]:53",
             "real_server": "[2001:db8::3]:53", "source": null, "service": null,
             "real_server_name": null, "state": "udp", "idle_s": 0, "expires_s": 30,
             "relayed": null},
            {"protocol": "tcp", "client": "192.0.2.9:40000", "vip": "10.0.0.100:443",
             "real_server": null, "source": null, "service": "SHOP", "real_server_name": null,
             "state": "active", "idle_s": 1, "expires_s": null,
             "relayed": {"mode": "l7-http", "protocol": "http2", "tls": true, "streams": 3,
                         "age_s": 75, "bytes_in": 2_048, "bytes_out": 1_572_864}},
        ]}));
        let expected = "\
PROTO      CLIENT            VIRTUAL           REAL SERVER       NAME      OUR SOURCE     STATE               IDLE  EXPIRES     AGE       IN      OUT
tcp        1.2.3.4:5         10.0.0.100:80     10.0.0.11:8080    WEB/WEB1  10.0.0.5:4242  established           3s  14m 57s
udp        [2001:db8::1]:53  [2001:db8::2]:53  [2001:db8::3]:53  -         -              udp                   0s      30s
http2+tls  192.0.2.9:40000   10.0.0.100:443    -                 SHOP/-    -              active (3 streams)    1s    never  1m 15s  2.0 KiB  1.5 MiB
3 connections
";
        assert_eq!(text, expected);
    }

    #[test]
    fn none_and_more_are_said_in_words() {
        assert_eq!(
            rendered(json!({"connections": [], "next": null})),
            "There are no connections.\n"
        );
        let more = rendered(json!({"connections": [], "next": 7}));
        assert!(more.ends_with("0 connections shown, there may be more: --limit N\n"), "{more}");
    }
}
