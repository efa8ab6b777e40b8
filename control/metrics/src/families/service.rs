//! Virtual services.

use crate::series::{Family, Kind, Labels, Series, Subject};
use crate::{Http, RealServerStatus, Service, ServiceState, Traffic};

impl Subject for Service {
    fn labels(&self, labels: &mut Labels<'_>) {
        labels.add("service", &self.name);
        labels.add("mode", &self.mode);
    }
}

pub(super) fn families() -> [Family<Service>; 18] {
    [
        Family {
            name: "fulcrum_service_access_log_lines",
            help: "Lines of the access log of layer 7: written, or lost because they were not taken.",
            kind: Kind::Counter,
            series: |service, out| {
                if let Some(layer7) = &service.layer7 {
                    out.labelled(&[("result", "lost")], layer7.log_lost);
                    out.labelled(&[("result", "written")], layer7.logged);
                }
            },
        },
        Family {
            name: "fulcrum_service_client_bytes",
            help: "Layer 3 bytes (layer 7: payload) from clients to real servers.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(service.traffic.map(|t| t.bytes)),
        },
        Family {
            name: "fulcrum_service_client_packets",
            help: "Packets from clients to real servers.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(packets(service.traffic, service).map(|t| t.packets)),
        },
        Family {
            name: "fulcrum_service_connections",
            help: "Connections given to real servers.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(service.traffic.map(|t| t.total)),
        },
        Family {
            name: "fulcrum_service_current_connections",
            help: "Connections that real servers have.",
            kind: Kind::Gauge,
            series: |service, out| out.maybe(service.traffic.map(|t| t.connections)),
        },
        Family {
            name: "fulcrum_service_failed_connections",
            help: "Connections of layer 7 that were given up or cut, by reason.",
            kind: Kind::Counter,
            series: |service, out| {
                for (reason, count) in service.layer7.iter().flat_map(|l| &l.failed) {
                    out.labelled(&[("reason", *reason)], *count);
                }
            },
        },
        Family {
            name: "fulcrum_service_http2_connections",
            help: "Connections of clients by HTTP/2.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(http(service).map(|http| http.h2_connections)),
        },
        Family {
            name: "fulcrum_service_http2_requests",
            help: "Requests by HTTP/2; they are among all requests.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(http(service).map(|http| http.h2_streams)),
        },
        Family {
            name: "fulcrum_service",
            help: "The service's address, ports, protocol and scheduler.",
            kind: Kind::Info,
            series: info,
        },
        Family {
            name: "fulcrum_service_queued_connections",
            help: "Connections of layer 7 that wait for a place.",
            kind: Kind::Gauge,
            series: |service, out| out.maybe(service.layer7.as_ref().map(|l| l.queued)),
        },
        Family {
            name: "fulcrum_service_real_servers",
            help: "Real servers, by what they do now.",
            kind: Kind::Gauge,
            series: real_servers,
        },
        Family {
            name: "fulcrum_service_refused_requests",
            help: "Requests that Fulcrum answered by an error: for what they were, or because no real server did.",
            kind: Kind::Counter,
            series: |service, out| {
                if let Some(http) = http(service) {
                    out.labelled(&[("reason", "client")], http.client_errors);
                    out.labelled(&[("reason", "gateway")], http.gateway_errors);
                }
            },
        },
        Family {
            name: "fulcrum_service_reply_bytes",
            help: "Layer 3 bytes (layer 7: payload) from real servers to clients, where they come by us.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(replies(service).map(|t| t.reply_bytes)),
        },
        Family {
            name: "fulcrum_service_reply_packets",
            help: "Packets from real servers to clients, where they come by us.",
            kind: Kind::Counter,
            series: |service, out| {
                out.maybe(packets(replies(service), service).map(|t| t.reply_packets))
            },
        },
        Family {
            name: "fulcrum_service_requests",
            help: "Requests in HTTP mode.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(http(service).map(|http| http.requests)),
        },
        Family {
            name: "fulcrum_service_status",
            help: "Whether real servers take connections: all (up), some (degraded) or none (down).",
            kind: Kind::Gauge,
            series: |service, out| {
                out.one_of(service.state.text(), ServiceState::ALL.map(ServiceState::text))
            },
        },
        Family {
            name: "fulcrum_service_tls_handshakes",
            help: "Handshakes of TLS with clients: whole, resumed or failed.",
            kind: Kind::Counter,
            series: |service, out| {
                if let Some(layer7) = &service.layer7 {
                    out.labelled(&[("result", "failed")], layer7.tls_failed);
                    out.labelled(&[("result", "full")], layer7.tls_full);
                    out.labelled(&[("result", "resumed")], layer7.tls_resumed);
                }
            },
        },
        Family {
            name: "fulcrum_service_unnamed_connections",
            help: "Connections that did not begin with what persistence goes by: a cookie of RDP, a hello of TLS.",
            kind: Kind::Counter,
            series: |service, out| out.maybe(service.layer7.as_ref().map(|it| it.unnamed)),
        },
    ]
}

fn http(service: &Service) -> Option<Http> {
    service.layer7.as_ref()?.http
}

fn replies(service: &Service) -> Option<Traffic> {
    service.traffic.filter(|_| service.sees_replies)
}

fn packets(traffic: Option<Traffic>, service: &Service) -> Option<Traffic> {
    traffic.filter(|_| service.has_packets())
}

fn info(service: &Service, out: &mut Series<'_>) {
    let address = service.address.to_string();
    let labels = [
        ("address", &*address),
        ("ports", &service.ports),
        ("protocol", &service.protocol),
        ("scheduler", &service.scheduler),
    ];
    out.labelled(&labels, 1);
}

fn real_servers(service: &Service, out: &mut Series<'_>) {
    for status in RealServerStatus::ALL {
        let such = service.real_servers.iter().filter(|r| r.status() == status).count();
        out.labelled(&[("state", status.text())], such);
    }
}
