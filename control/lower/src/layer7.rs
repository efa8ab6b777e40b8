//! The snapshot for the layer 7 proxy. Its numbers come from the same [`Ids`] as the data plane's,
//! so that counters of both speak of one and the same real server.

use crate::access;
use crate::credentials::Credentials;
use crate::ids::{BackendKey, Ids};
use crate::observed::{Observed, RealServerKey};
use crate::rule;
use crate::snapshot::{FALLBACK_NAME, FALLBACK_PORT, state, weight};
use crate::tls;
use api::BackendState;
use config::{
    Config, Fallback, Layer7, PersistenceBy, ProxyProtocol, RealServer, RealServerTls,
    ServerProtocol, Service, Source,
};
use l7_api::{
    AddressRecord, CookiePersistence, Http2, HttpLimits, KnownBy, Listen, OnDown, Persistence,
    PortRange, Prefix, Protocol, ProxyOut, Queue, Reencryption, Removal, Retries, Reuse, Scheduler,
    Server, ServerState, ServerTls, Snapshot, Timeouts,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// All services of layer 7.
pub(crate) fn snapshot(
    config: &Config,
    observed: &Observed,
    ids: &Ids,
    generation: u64,
) -> Snapshot {
    let services = config.services.iter();
    let lowering = Lowering { observed, ids };
    let services: Vec<_> = services.filter_map(|s| lowering.service(s, s.mode.layer7()?)).collect();
    let credentials = &observed.credentials;
    let ends_tls = services.iter().any(|service| service.tls.is_some());
    Snapshot {
        generation,
        hash_seed: config.dataplane.hash_seed,
        certificates: credentials.of(&services),
        ticket_seed: credentials.ticket_seed.clone().filter(|_| ends_tls),
        services,
    }
}

struct Lowering<'a> {
    observed: &'a Observed,
    ids: &'a Ids,
}

impl Lowering<'_> {
    fn service(&self, service: &Service, layer7: &Layer7) -> Option<l7_api::Service> {
        let address = service.address;
        let listen = service.ports.ranges().iter().map(|range| Listen {
            address,
            ports: PortRange { first: range.first, last: range.last },
        });
        let real_servers = service.real_servers.iter();
        let on_removal = removal(layer7);
        Some(l7_api::Service {
            listen: listen.collect(),
            servers: real_servers.filter_map(|r| self.server(service, r, on_removal)).collect(),
            fallback: self.fallback(service, layer7, on_removal),
            scheduler: scheduler(service.scheduler),
            persistence: service.persistence.as_ref().map(|persistence| Persistence {
                by: known_by(&persistence.by),
                timeout_s: u32::try_from(persistence.timeout.as_secs()).unwrap_or(u32::MAX),
                mask_v4: persistence.mask,
                mask_v6: persistence.mask6,
                entries: persistence.entries,
            }),
            timeouts: Timeouts {
                client_ms: milliseconds(layer7.timeouts.client),
                server_ms: milliseconds(layer7.timeouts.server),
                connect_ms: milliseconds(layer7.timeouts.connect),
                tunnel_ms: layer7.timeouts.tunnel.map_or(0, milliseconds),
                handshake_ms: milliseconds(layer7.timeouts.handshake),
            },
            retries: Retries {
                attempts: layer7.retries,
                pause_ms: milliseconds(layer7.retry_pause),
            },
            max_connections: layer7.max_connections,
            queue: Queue {
                length: layer7.queue.length,
                timeout_ms: milliseconds(layer7.queue.timeout),
            },
            source: match layer7.source {
                Source::Own => l7_api::Source::Own,
                Source::Vip => l7_api::Source::Vip,
                Source::Client => l7_api::Source::Client,
                Source::Address(address) => l7_api::Source::Given(address),
            },
            proxy_in: layer7.accept_proxy_from.iter().map(prefix).collect(),
            proxy_out: match layer7.proxy_protocol {
                ProxyProtocol::None => ProxyOut::None,
                ProxyProtocol::V1 => ProxyOut::V1,
                ProxyProtocol::V2 => ProxyOut::V2,
            },
            on_down: match service.on_failure {
                config::OnFailure::Reset | config::OnFailure::Move => OnDown::Reset,
                config::OnFailure::Keep => OnDown::Keep,
            },
            on_removal,
            tls: layer7
                .tls
                .as_ref()
                .map(|rule| tls::termination(rule, service.mode.http(), self.credentials())),
            reencrypt: self.reencryption(service, layer7),
            access_log: layer7.access_log.as_ref().map(access::log),
            ..self.plain(service)?
        })
    }

    /// The mode with what only it has.
    fn plain(&self, service: &Service) -> Option<l7_api::Service> {
        let id = self.ids.service(&service.name)?.into();
        Some(match service.mode.http() {
            None => l7_api::Service::tcp(id, &service.name),
            Some(keys) => {
                let plain = l7_api::Service::http(id, &service.name);
                let server = |name: &str| {
                    let real_server = service.real_server(name)?;
                    self.ids.backend(&BackendKey::real_server(service, real_server))
                };
                let by = service.persistence.as_ref().map(|persistence| &persistence.by);
                let http = l7_api::Http {
                    known_by: match by {
                        Some(PersistenceBy::ForwardedFor) => KnownBy::ForwardedFor,
                        _ => KnownBy::Source,
                    },
                    rules: rule::rules(&keys.rules, server),
                    servers: rule::servers(&keys.servers, server),
                    ..http(keys, plain.http)
                };
                l7_api::Service { http, ..plain }
            }
        })
    }

    fn server(&self, service: &Service, real: &RealServer, on_removal: Removal) -> Option<Server> {
        let key = RealServerKey::new(&service.name, &real.name);
        let id = self.ids.backend(&BackendKey::real_server(service, real))?;
        Some(Server {
            weight: weight(self.observed, &key, real),
            max_connections: real.max_connections,
            state: match state(self.observed, &key, real) {
                BackendState::Online => ServerState::Online,
                BackendState::Drain => ServerState::Drain,
                BackendState::Halt => ServerState::Halt,
                BackendState::Down => ServerState::Down,
            },
            on_removal,
            tls: match &real.reencrypt {
                RealServerTls::AsService => ServerTls::AsService,
                RealServerTls::Plain => ServerTls::Plain,
                RealServerTls::Own(rule) => {
                    let http = service.mode.http();
                    ServerTls::Own(tls::reencryption(rule, http, self.credentials()).into())
                }
            },
            ..Server::new(id, &real.name, real.address, real.port)
        })
    }

    fn reencryption(&self, service: &Service, layer7: &Layer7) -> Option<Reencryption> {
        let (http, credentials) = (service.mode.http(), self.credentials());
        layer7.reencrypt.as_ref().map(|rule| tls::reencryption(rule, http, credentials))
    }

    fn credentials(&self) -> &Credentials {
        &self.observed.credentials
    }

    fn fallback(&self, service: &Service, layer7: &Layer7, on_removal: Removal) -> Option<Server> {
        let id = self.ids.backend(&BackendKey::fallback(service)?)?;
        // Our own page does not leave this host.
        let (address, port, tls) = match service.fallback {
            Fallback::None => return None,
            Fallback::Local => (local_page(service, layer7), Some(FALLBACK_PORT), ServerTls::Plain),
            Fallback::Server { address, port } => (address, port, ServerTls::AsService),
        };
        Some(Server { on_removal, tls, ..Server::new(id, FALLBACK_NAME, address, port) })
    }
}

fn http(keys: &config::Http, default: l7_api::Http) -> l7_api::Http {
    let kept = !keys.reuse_timeout.is_zero();
    l7_api::Http {
        limits: HttpLimits {
            head: keys.max_head,
            target: keys.max_target,
            fields: keys.max_headers,
            body: keys.max_body,
        },
        http2: (keys.http2_streams > 0)
            .then(|| Http2 { streams: keys.http2_streams, ..Http2::default() }),
        to_servers: match keys.server_protocol {
            ServerProtocol::Http1 => Protocol::Http1,
            ServerProtocol::Http2 => Protocol::Http2,
        },
        upgrades: keys.upgrades.clone(),
        head_ms: milliseconds(keys.head_timeout),
        keep_alive_ms: milliseconds(keys.keep_alive_timeout),
        reuse: Reuse {
            per_server: if kept { keys.reuse_connections } else { 0 },
            idle_ms: milliseconds(keys.reuse_timeout),
        },
        forwarded_for: record(keys.forwarded_for),
        forwarded: record(keys.forwarded),
        forwarded_proto: keys.forwarded_proto,
        cookie: keys.cookie.as_ref().map(|cookie| CookiePersistence {
            name: cookie.name.clone(),
            max_age_s: cookie.max_age.map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX)),
            secure: cookie.secure,
            http_only: cookie.http_only,
        }),
        request_id: keys.request_id.clone(),
        error_pages: keys.error_pages.iter().map(access::page).collect(),
        ..default
    }
}

/// As the proxy writes one.
pub(crate) fn prefix(prefix: &config::Prefix) -> Prefix {
    Prefix { address: prefix.address(), length: prefix.len() }
}

fn known_by(by: &PersistenceBy) -> l7_api::PersistenceBy {
    match by {
        PersistenceBy::SourceIp | PersistenceBy::ForwardedFor => l7_api::PersistenceBy::Address,
        PersistenceBy::RdpCookie => l7_api::PersistenceBy::RdpCookie,
        PersistenceBy::TlsSession => l7_api::PersistenceBy::TlsSession,
        PersistenceBy::AppCookie(name) => l7_api::PersistenceBy::Cookie(name.clone()),
    }
}

const fn record(record: config::AddressRecord) -> AddressRecord {
    match record {
        config::AddressRecord::Append => AddressRecord::Append,
        config::AddressRecord::Replace => AddressRecord::Replace,
        config::AddressRecord::Keep => AddressRecord::AsItCame,
        config::AddressRecord::Remove => AddressRecord::Remove,
    }
}

/// Our own page, at a loopback address of the family that the source has.
fn local_page(service: &Service, layer7: &Layer7) -> IpAddr {
    let source = match layer7.source {
        Source::Own | Source::Vip | Source::Client => service.address,
        Source::Address(address) => address,
    };
    match source {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

fn removal(layer7: &Layer7) -> Removal {
    match layer7.drain_timeout {
        None => Removal::Finish,
        Some(after) => Removal::CutAfter { ms: milliseconds(after) },
    }
}

/// The configuration lets no other schedulers pass.
fn scheduler(scheduler: config::Scheduler) -> Scheduler {
    match scheduler {
        config::Scheduler::WeightedRoundRobin => Scheduler::WeightedRoundRobin,
        config::Scheduler::SourceHash
        | config::Scheduler::Maglev
        | config::Scheduler::DestinationHash => Scheduler::SourceHash,
        config::Scheduler::WeightedLeastConnection
        | config::Scheduler::ShortestExpectedDelay
        | config::Scheduler::NeverQueue => Scheduler::LeastConnections,
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
