//! What a scrape of a large node costs.

mod common;

use common::{full, real_server, service};
use metrics::{Filter, Format, Sample, ServiceTotals, render};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVICES: usize = 100;
const REAL_SERVERS: usize = 10_000;

fn large() -> Sample {
    let services = (0..SERVICES).map(|number| {
        let name = |n| format!("web-server-{number:03}-{n:03}");
        let real_servers = (0..REAL_SERVERS / SERVICES).map(|n| real_server(&name(n), n as u8));
        let mut service =
            service(&format!("service-{number:03}"), "l4-nat", real_servers.collect());
        service.sees_replies = true;
        service
    });
    Sample { services: services.collect(), ..full() }
}

/// The only test of this binary: allocations of others would be counted with ours.
#[test]
fn ten_thousand_real_servers() {
    let mut sample = large();
    let mut totals = ServiceTotals::default();
    totals.fill(&mut sample);

    let region = Region::new(ALLOCATOR);
    let text = render(&sample, &Filter::default(), Format::Text);
    let used = region.change();
    println!("{} bytes, {used:?}", text.len());
    assert!(
        text.lines().filter(|line| line.starts_with("fulcrum_real_server_weight")).count()
            == REAL_SERVERS
    );
    assert!(text.len() < 1_800 * REAL_SERVERS, "{} bytes", text.len());
    let allocations = used.allocations + used.reallocations;
    assert!(allocations < 3 * REAL_SERVERS, "{allocations} allocations");
    // The text, doubled as it grew, and a few words for each real server.
    let bytes = used.bytes_allocated;
    assert!(bytes < 3 * text.len(), "{bytes} bytes allocated for {}", text.len());

    let few = Filter::from_pairs([("scope", "service")]).expect("the query is good");
    let region = Region::new(ALLOCATOR);
    let text = render(&sample, &few, Format::Text);
    let used = region.change();
    assert!(text.len() < 2_000 * SERVICES, "{} bytes", text.len());
    let allocations = used.allocations + used.reallocations;
    assert!(
        allocations < 4 * SERVICES,
        "{allocations} allocations: real servers cost nothing here"
    );
}
