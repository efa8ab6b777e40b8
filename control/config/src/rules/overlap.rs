//! No packet may belong to two services.

use crate::cx::{Cx, Scope};
use crate::ports::PortRange;
use crate::read::Draft;
use crate::service::Service;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// A range of ports and the service (by position in the draft) that has it.
type Claim = (PortRange, usize);

pub(super) fn check(cx: &mut Cx<'_>, draft: &Draft) {
    let services: Vec<(Scope, &Service)> = draft.services().collect();
    let mut claims: BTreeMap<(IpAddr, &str), Vec<Claim>> = BTreeMap::new();
    for (i, (scope, service)) in services.iter().enumerate() {
        if ["address", "ports", "protocol"].iter().any(|key| !cx.ok(*scope, key)) {
            continue;
        }
        let protocol = service.protocol;
        for (word, used) in [("tcp", protocol.has_tcp()), ("udp", protocol.has_udp())] {
            if used {
                let ranges = service.ports.ranges().iter().map(|range| (*range, i));
                claims.entry((service.address, word)).or_default().extend(ranges);
            }
        }
    }
    let mut reported = HashSet::new();
    for ((address, protocol), mut claims) in claims {
        claims.sort();
        for (range, a, b) in clashes(&claims) {
            let (first, second) = (a.min(b), a.max(b));
            if reported.insert(second) {
                let ((earlier, other), (scope, _)) = (services[first], services[second]);
                let line = cx.line(earlier, "ports");
                let what = format!(
                    "{protocol} {range} at {address} already belongs to service {} (line {line})",
                    other.name
                );
                cx.error(scope, "ports", what, "ports or an address that no other service has");
            }
        }
    }
}

/// Common ranges of neighbours in sorted order. Each claim is held against the one that reaches
/// furthest so far, so a claim that clashes with any earlier one is found in one pass.
fn clashes(sorted: &[Claim]) -> Vec<(PortRange, usize, usize)> {
    let mut found = Vec::new();
    let mut furthest: Option<Claim> = None;
    for &(range, service) in sorted {
        match furthest {
            Some((reach, owner)) if range.first <= reach.last && owner != service => {
                let common = PortRange { first: range.first, last: range.last.min(reach.last) };
                found.push((common, owner, service));
            }
            _ => {}
        }
        if furthest.is_none_or(|(reach, _)| range.last > reach.last) {
            furthest = Some((range, service));
        }
    }
    found
}
