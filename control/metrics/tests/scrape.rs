//! What is written, what is not, and in which order.

mod common;

use common::strict::Exposition;
use common::{full, nfs, portal, real_server, service};
use metrics::{Filter, FilterError, Format, Observed, Requested, Sample, render};

fn scrape(sample: &Sample, query: &[(&str, &str)]) -> Exposition {
    let filter = Filter::from_pairs(query.iter().copied()).expect("the query is good");
    let text = render(sample, &filter, Format::Text);
    Exposition::read(&text, Format::Text).expect("the text is good")
}

/// What the families are about.
fn scopes(exposition: &Exposition) -> Vec<&'static str> {
    let scopes = ["node", "port", "real_server", "service", "table"];
    let has = |scope| exposition.order.iter().any(|f| f.starts_with(&format!("fulcrum_{scope}_")));
    scopes.into_iter().filter(|scope| has(*scope)).collect()
}

#[test]
fn families_come_sorted() {
    let order = scrape(&full(), &[]).order;
    assert!(order.len() > 50 && order.is_sorted(), "{order:#?}");
}

#[test]
fn series_come_sorted_by_their_names() {
    let text = render(&full(), &Filter::default(), Format::Text);
    let of_weight = |line: &&str| line.starts_with("fulcrum_real_server_weight{");
    let lines: Vec<_> = text.lines().filter(of_weight).collect();
    assert!(lines.len() == 5 && lines.is_sorted(), "{lines:#?}");
}

#[test]
fn layer_7_counts_no_packets_and_says_what_failed() {
    let sample = Sample { services: vec![nfs(), portal()], ..Sample::default() };
    let scraped = scrape(&sample, &[]);
    assert!(scraped.order.is_sorted(), "{:#?}", scraped.order);
    assert!(!scraped.order.iter().any(|family| family.contains("packets")), "{:#?}", scraped.order);
    let text = render(&sample, &Filter::default(), Format::Text);
    assert!(!text.contains("fulcrum_service_requests_total{service=\"NFS\""), "{text}");
    for line in [
        "fulcrum_service_access_log_lines_total{service=\"NFS\",mode=\"l7-tcp\",result=\"lost\"} 10",
        "fulcrum_service_access_log_lines_total{service=\"NFS\",mode=\"l7-tcp\",result=\"written\"} 690",
        "fulcrum_service_queued_connections{service=\"NFS\",mode=\"l7-tcp\"} 3",
        "fulcrum_service_tls_handshakes_total{service=\"NFS\",mode=\"l7-tcp\",result=\"failed\"} 3",
        "fulcrum_service_tls_handshakes_total{service=\"NFS\",mode=\"l7-tcp\",result=\"full\"} 40",
        "fulcrum_service_tls_handshakes_total{service=\"NFS\",mode=\"l7-tcp\",result=\"resumed\"} 60",
        "fulcrum_service_unnamed_connections_total{service=\"NFS\",mode=\"l7-tcp\"} 5",
        "fulcrum_service_requests_total{service=\"WEB\",mode=\"l7-http\"} 900",
        "fulcrum_service_refused_requests_total{service=\"WEB\",mode=\"l7-http\",reason=\"client\"} 7",
        "fulcrum_service_refused_requests_total{service=\"WEB\",mode=\"l7-http\",reason=\"gateway\"} 5",
        "fulcrum_service_http2_connections_total{service=\"WEB\",mode=\"l7-http\"} 12",
        "fulcrum_service_http2_requests_total{service=\"WEB\",mode=\"l7-http\"} 300",
        "fulcrum_service_failed_connections_total{service=\"NFS\",mode=\"l7-tcp\",reason=\"no-server\"} 2",
        "fulcrum_service_reply_bytes_total{service=\"NFS\",mode=\"l7-tcp\"} 35000",
        "fulcrum_real_server_failed_connections_total{service=\"NFS\",real_server=\"nfs1\",reason=\"refused\"} 4",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
    }
}

#[test]
fn scopes_are_chosen() {
    let all = vec!["node", "port", "real_server", "service", "table"];
    assert_eq!(scopes(&scrape(&full(), &[])), all);
    for scope in &all {
        assert_eq!(scopes(&scrape(&full(), &[("scope", scope)])), [*scope]);
    }
    let two = scrape(&full(), &[("scope", "table"), ("scope", "port")]);
    assert_eq!(scopes(&two), ["port", "table"]);
}

#[test]
fn services_are_chosen() {
    let web = scrape(&full(), &[("service", "WEB")]);
    assert_eq!(scopes(&web), ["node", "port", "real_server", "service", "table"]);
    let named: Vec<_> = web.series().filter_map(|s| s.labels.get("service")).collect();
    assert!(named.len() > 20 && named.iter().all(|name| *name == "WEB"), "{named:?}");
    let both = scrape(&full(), &[("service", "WEB"), ("service", "DNS"), ("service", "gone")]);
    assert_eq!(both.series().count(), scrape(&full(), &[]).series().count());
    assert_eq!(scopes(&scrape(&full(), &[("service", "gone")])), ["node", "port", "table"]);
}

#[test]
fn real_servers_are_chosen_by_status_and_counted_all_the_same() {
    let shown = |query: &[(&str, &str)]| {
        let exposition = scrape(&full(), query);
        let down = [("service", "WEB"), ("state", "down")];
        assert_eq!(exposition.value("fulcrum_service_real_servers", &down), Some(1.0));
        let weights = exposition.series().filter(|s| s.name == "fulcrum_real_server_weight");
        weights.map(|s| s.labels["real_server"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), ["dns1", "dns2", "dns3", "web1", "web2"]);
    assert_eq!(shown(&[("only", "up")]), ["dns1", "web1"]);
    assert_eq!(shown(&[("only", "unreachable"), ("only", "drain")]), ["dns2", "dns3"]);
}

#[test]
fn a_misspelt_query_is_refused_with_a_remedy() {
    let error = |key, value| Filter::from_pairs([(key, value)]).expect_err("it is wrong");
    assert_eq!(error("scop", "node"), FilterError::Parameter("scop".into()));
    assert_eq!(error("scope", "ports"), FilterError::Scope("ports".into()));
    assert_eq!(error("only", "UP"), FilterError::Status("UP".into()));
    let long = error("only", &"\n".repeat(100_000)).to_string();
    assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    let many = || std::iter::repeat_n(("service", "WEB"), 1024);
    assert!(Filter::from_pairs(many()).is_ok());
    let one_more = many().chain([("only", "up")]);
    assert_eq!(Filter::from_pairs(one_more), Err(FilterError::TooMany));
}

#[test]
fn without_a_data_plane_there_are_no_counters() {
    let mut sample = full();
    sample.node.data_plane = Default::default();
    sample.table = None;
    sample.ports.iter_mut().for_each(|port| port.counters = None);
    for service in &mut sample.services {
        service.traffic = None;
        service.real_servers.iter_mut().for_each(|real_server| real_server.traffic = None);
    }
    sample.node.processes.clear();
    sample.node.syslog.clear();
    let exposition = scrape(&sample, &[]);
    let counters: Vec<_> = exposition.order.iter().filter(|n| n.ends_with("_total")).collect();
    assert!(counters.is_empty(), "{counters:?}");
    assert!(!exposition.has("fulcrum_port_held_packets") && !exposition.has("fulcrum_table_units"));
    assert!(!exposition.has("fulcrum_node_dataplane_workers"));
    assert_eq!(exposition.value("fulcrum_node_dataplane_connected", &[]), Some(0.0));
    assert_eq!(exposition.value("fulcrum_port_link_up", &[("port", "eth0")]), Some(1.0));
}

#[test]
fn every_reason_is_there_before_it_happens() {
    let mut sample = full();
    sample.ports.truncate(1);
    // As from a data plane that knows no reason, or more than we do.
    for length in [0, 100] {
        let counters = sample.ports[0].counters.as_mut().expect("it counts");
        counters.dropped = vec![0; length];
        counters.host_dropped = vec![0; length];
        counters.to_host = vec![0; length];
        let exposition = scrape(&sample, &[("scope", "port")]);
        let count = |name| exposition.series().filter(|s| s.name == name).count();
        assert_eq!(count("fulcrum_port_dropped_packets_total"), api::DropReason::COUNT);
        assert_eq!(count("fulcrum_port_host_dropped_packets_total"), api::DropReason::COUNT);
        assert_eq!(count("fulcrum_port_punted_packets_total"), api::PuntReason::COUNT);
    }
}

#[test]
fn check_series_need_a_check_that_has_decided() {
    let value = |observed, checked: bool| {
        let mut server = real_server("r", 1);
        server.observed = observed;
        server.check = server.check.filter(|_| checked);
        let services = vec![service("S", "l4-dr", vec![server])];
        let exposition = scrape(&Sample { services, ..Sample::default() }, &[]);
        let age = exposition.has("fulcrum_real_server_check_last_change_seconds");
        (exposition.value("fulcrum_real_server_check_up", &[]), age)
    };
    assert_eq!(value(Observed::Up, true), (Some(1.0), true));
    assert_eq!(value(Observed::Down, true), (Some(0.0), true));
    assert_eq!(value(Observed::Checking, true), (None, true));
    assert_eq!(value(Observed::Unchecked, false), (None, false));
    assert_eq!(value(Observed::Down, false), (None, false));
}

#[test]
fn replies_that_pass_us_by_are_not_counted_as_none() {
    let exposition = scrape(&full(), &[]);
    for name in ["service_reply_bytes", "service_reply_packets", "real_server_reply_bytes"] {
        let name = format!("fulcrum_{name}_total");
        let of_service =
            |service| exposition.series().any(|s| s.name == name && s.labels["service"] == service);
        assert!(of_service("DNS") && !of_service("WEB"), "{name}");
    }
}

#[test]
fn a_status_is_the_operators_word_then_the_way_then_the_check() {
    use Observed::{Checking, Down, Unchecked, Up};
    use Requested::{Drain, Halt, Online};
    for (requested, reachable, observed, status) in [
        (Online, true, Up, "up"),
        (Online, true, Unchecked, "up"),
        (Online, true, Down, "down"),
        (Online, true, Checking, "checking"),
        (Online, false, Up, "unreachable"),
        (Online, false, Down, "unreachable"),
        (Drain, true, Up, "drain"),
        (Drain, false, Down, "drain"),
        (Halt, true, Up, "halt"),
        (Halt, false, Checking, "halt"),
    ] {
        let server = metrics::RealServer { requested, reachable, observed, ..real_server("r", 1) };
        let services = vec![service("S", "l4-dr", vec![server])];
        let exposition = scrape(&Sample { services, ..Sample::default() }, &[]);
        let all = exposition.series().filter(|s| s.name == "fulcrum_real_server_status");
        let hot: Vec<_> = all.filter(|s| s.value == 1.0).map(|s| &*s.labels["state"]).collect();
        assert_eq!(hot, [status]);
        let counted = exposition.value("fulcrum_service_real_servers", &[("state", status)]);
        assert_eq!(counted, Some(1.0), "{status}");
    }
}
