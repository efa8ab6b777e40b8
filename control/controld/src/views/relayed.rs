//! Connections of the layer 7 proxy.

use l7_api::{ConnectionRow, Mode, Snapshot, Spoken};
use rest::types;
use std::collections::HashMap;

/// One for each row, with the names that the proxy's snapshot has.
pub fn connections(applied: Option<&Snapshot>, rows: &[ConnectionRow]) -> Vec<types::Connection> {
    let services = applied.map_or(&[][..], |snapshot| &snapshot.services);
    let servers = services.iter().flat_map(|it| it.servers.iter().chain(&it.fallback));
    let names = Names {
        services: services.iter().map(|it| (it.id, (&*it.name, it.mode))).collect(),
        servers: servers.map(|it| (it.id, &*it.name)).collect(),
    };
    rows.iter().map(|row| names.connection(row)).collect()
}

struct Names<'a> {
    services: HashMap<l7_api::ServiceId, (&'a str, Mode)>,
    servers: HashMap<l7_api::ServerId, &'a str>,
}

impl Names<'_> {
    fn connection(&self, row: &ConnectionRow) -> types::Connection {
        let service = self.services.get(&row.service);
        let named = row.server.and_then(|(id, _)| self.servers.get(&id));
        types::Connection {
            protocol: "tcp".into(),
            client: row.client,
            vip: row.vip,
            real_server: row.server.map(|(_, address)| address),
            source: row.source,
            service: service.map(|(name, _)| (*name).to_owned()),
            real_server_name: named.map(|name| (*name).to_owned()),
            state: row.state.clone(),
            idle_s: seconds(row.idle_ms),
            expires_s: row.expires_ms.map(|ms| seconds(ms.saturating_add(999))),
            relayed: Some(types::Relayed {
                mode: service.map(|(_, mode)| word(*mode).into()),
                protocol: spoken(row.protocol).into(),
                tls: row.is_secure,
                streams: row.streams,
                age_s: seconds(row.age_ms),
                bytes_in: row.bytes_in,
                bytes_out: row.bytes_out,
            }),
        }
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Tcp => "l7-tcp",
        Mode::Http => "l7-http",
    }
}

fn spoken(protocol: Spoken) -> &'static str {
    match protocol {
        Spoken::Tcp => "tcp",
        Spoken::Http1 => "http1",
        Spoken::Http2 => "http2",
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use l7_api::{Server, Service};

    fn row() -> ConnectionRow {
        ConnectionRow {
            client: "192.0.2.1:5000".parse().unwrap(),
            vip: "192.0.2.100:443".parse().unwrap(),
            service: 7,
            server: Some((9, "10.0.0.1:80".parse().unwrap())),
            source: None,
            protocol: Spoken::Http1,
            is_secure: true,
            streams: 0,
            state: "active".into(),
            age_ms: 61_999,
            idle_ms: 999,
            expires_ms: Some(1),
            bytes_in: 3,
            bytes_out: u64::MAX,
        }
    }

    #[test]
    fn names_are_those_that_the_proxy_works_by() {
        let servers = vec![Server::new(9, "one", "10.0.0.1".parse().unwrap(), None)];
        let service = Service { servers, ..Service::http(7, "WEB") };
        let snapshot = Snapshot { services: vec![service], ..Snapshot::default() };
        let shown = connections(Some(&snapshot), &[row()]).remove(0);
        assert_eq!(shown.service.as_deref(), Some("WEB"));
        assert_eq!(shown.real_server_name.as_deref(), Some("one"));
        assert_eq!((shown.idle_s, shown.expires_s), (0, Some(1)));
        let relayed = shown.relayed.unwrap();
        assert_eq!(relayed.mode.as_deref(), Some("l7-http"));
        assert_eq!((&*relayed.protocol, relayed.tls, relayed.age_s), ("http1", true, 61));
    }

    #[test]
    fn what_is_gone_has_no_name_and_what_never_ends_says_so() {
        let row = ConnectionRow { server: None, expires_ms: None, ..row() };
        let shown = connections(None, &[row]).remove(0);
        assert_eq!((shown.service, shown.real_server, shown.expires_s), (None, None, None));
        assert_eq!(shown.relayed.unwrap().mode, None);
    }
}
