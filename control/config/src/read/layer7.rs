//! The keys that only services of layer 7 have.

use super::access;
use super::table::{Table, choose};
use super::tls;
use crate::cx::{Cx, Scope};
use crate::finding::Problem;
use crate::layer7::{Layer7, Layer7Timeouts, ProxyProtocol, Queue, Source};
use crate::net::{host_address, network};

pub(super) fn read(cx: &mut Cx<'_>, scope: Scope, service: &Table<'_, '_>) -> Layer7 {
    let default = Layer7::default();
    let most = service.integer(cx, "max_connections");
    let retries = service.integer(cx, "retries");
    let proxy_protocol = service.choice(cx, "proxy_protocol", ProxyProtocol::WORDS);
    Layer7 {
        timeouts: timeouts(cx, service),
        max_connections: most.map_or(default.max_connections, |most| most as u32),
        queue: queue(cx, service),
        retries: retries.map_or(default.retries, |retries| retries as u8),
        retry_pause: service.duration(cx, "retry_pause").unwrap_or(default.retry_pause),
        proxy_protocol: proxy_protocol.unwrap_or(default.proxy_protocol),
        accept_proxy_from: service.all_parsed(cx, "accept_proxy_from", network),
        source: service.parsed(cx, "source", source).unwrap_or(default.source),
        drain_timeout: service.duration(cx, "drain_timeout"),
        tls: tls::tls(cx, scope, service),
        reencrypt: tls::service(cx, scope, service),
        access_log: access::log(cx, scope, service),
    }
}

fn timeouts(cx: &mut Cx<'_>, service: &Table<'_, '_>) -> Layer7Timeouts {
    let default = Layer7Timeouts::default();
    Layer7Timeouts {
        client: service.duration(cx, "client_timeout").unwrap_or(default.client),
        server: service.duration(cx, "server_timeout").unwrap_or(default.server),
        connect: service.duration(cx, "connect_timeout").unwrap_or(default.connect),
        handshake: service.duration(cx, "handshake_timeout").unwrap_or(default.handshake),
        tunnel: service.duration(cx, "tunnel_timeout"),
    }
}

fn queue(cx: &mut Cx<'_>, service: &Table<'_, '_>) -> Queue {
    let default = Queue::default();
    let Some(table) = service.table(cx, "queue") else { return default };
    table.refuse_unknown(cx);
    let length = table.integer(cx, "queue.length");
    Queue {
        length: length.map_or(default.length, |length| length as u32),
        timeout: table.duration(cx, "queue.timeout").unwrap_or(default.timeout),
    }
}

fn source(text: &str) -> Result<Source, Problem> {
    const WORDS: &[(&str, Source)] =
        &[("own", Source::Own), ("vip", Source::Vip), ("client", Source::Client)];
    match text {
        _ if text.contains(['.', ':']) => host_address(text).map(Source::Address),
        _ => choose(text, WORDS).map_err(|problem| {
            Problem::new(problem.what, format!("{}, or one of our addresses", problem.write))
        }),
    }
}
