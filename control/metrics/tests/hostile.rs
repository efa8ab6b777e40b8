//! Whatever names and numbers there are, a strict reader gets them back.

mod common;

use common::strict::Exposition;
use common::{full, port, real_server, service, traffic};
use metrics::{Filter, Format, Sample, render};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Names as nobody would choose them.
fn name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\\".to_owned()),
        Just("\"".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just("\0".to_owned()),
        Just("\u{1b}[31m".to_owned()),
        Just("\",evil=\"".to_owned()),
        Just("\"} 1\nfulcrum_node_ready 7\n".to_owned()),
        Just("\\n".to_owned()),
        Just("\u{202e}名\u{1f980}".to_owned()),
        any::<String>(),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// As a reader gives it back: there is no escape for NUL.
fn as_read(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

fn names() -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(name(), 0..5).prop_filter("different after reading", |names| {
        names.iter().map(|name| as_read(name)).collect::<BTreeSet<_>>().len() == names.len()
    })
}

prop_compose! {
    fn sample()(
        ports in names(),
        services in names(),
        servers in names(),
        other in name(),
        number in any::<u64>(),
        (counted, commit, linked, replies) in any::<(bool, bool, bool, bool)>(),
    ) -> Sample {
        let mut sample = Sample { table: full().table.filter(|_| counted), ..full() };
        sample.node.name = other.clone();
        sample.node.build.commit = Some(other.clone()).filter(|_| commit);
        sample.node.processes.truncate(1);
        sample.node.processes[0].name = other.clone();
        sample.node.configuration.revision = Some(number);
        sample.ports = ports.iter().map(|name| {
            let mut port = port(name, number >> 1);
            port.device = other.clone();
            port.link_up = linked;
            port.removed = !linked;
            port.counters = port.counters.filter(|_| counted);
            port
        }).collect();
        let servers: Vec<_> = servers.iter().map(|name| {
            let mut server = real_server(name, number as u8);
            server.traffic = Some(traffic(number / 100)).filter(|_| counted);
            server
        }).collect();
        sample.services = services.iter().map(|name| {
            let mut service = service(name, &other, servers.clone());
            service.ports = other.clone();
            service.sees_replies = replies;
            service.traffic = Some(traffic(number / 100)).filter(|_| counted);
            service
        }).collect();
        sample
    }
}

fn read(sample: &Sample, format: Format) -> Exposition {
    let text = render(sample, &Filter::default(), format);
    Exposition::read(&text, format).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

proptest! {
    #[test]
    fn every_name_comes_back(sample in sample()) {
        let expositions = [Format::Text, Format::OpenMetrics].map(|format| read(&sample, format));
        for exposition in expositions {
            for port in &sample.ports {
                let labels = [("port", &*as_read(&port.name)), ("device", &as_read(&port.device))];
                prop_assert_eq!(exposition.value("fulcrum_port_info", &labels), Some(1.0));
            }
            for service in &sample.services {
                let name = as_read(&service.name);
                for real_server in &service.real_servers {
                    let labels = [("service", &*name), ("real_server", &as_read(&real_server.name))];
                    let weight = exposition.value("fulcrum_real_server_weight", &labels);
                    prop_assert_eq!(weight, Some(f64::from(real_server.weight)));
                }
            }
            let real_servers: usize = sample.services.iter().map(|s| s.real_servers.len()).sum();
            let weights = exposition.series().filter(|s| s.name == "fulcrum_real_server_weight");
            prop_assert_eq!(weights.count(), real_servers);
        }
    }

    #[test]
    fn the_order_of_the_sample_does_not_matter(sample in sample()) {
        let mut turned = sample.clone();
        turned.ports.reverse();
        turned.node.processes.reverse();
        turned.services.reverse();
        turned.services.iter_mut().for_each(|service| service.real_servers.reverse());
        let text = |sample| render(sample, &Filter::default(), Format::Text);
        prop_assert_eq!(text(&sample), text(&turned));
    }

    #[test]
    fn both_formats_say_the_same(sample in sample()) {
        let of = |format| read(&sample, format).series().cloned().collect::<Vec<_>>();
        prop_assert_eq!(of(Format::Text), of(Format::OpenMetrics));
    }

    #[test]
    fn any_accept_header_is_answered(header in ".{0,200}") {
        Format::accepted(&header);
    }

    #[test]
    fn any_query_is_answered(pairs in vec((name(), name()), 0..4)) {
        let _ = Filter::from_pairs(pairs);
    }
}
