//! Connections of the layer 7 proxy that one snapshot instead of another would cut. The rules are
//! the proxy's.

use crate::observed::RealServerKey;
use crate::snapshot::FALLBACK_NAME;
use api::Protocols;
use l7_api::{OnDown, Removal, Server, ServerId, ServerState, Service, Snapshot};
use std::collections::{BTreeMap, HashMap};

/// Connections cut when `new` takes the place of `old`, by the real server that has them. `active`
/// says how many each has. What is given time to end (`drain_timeout`) counts, because nobody
/// knows whether it will; what the data plane's new snapshot takes for itself counts, too.
pub fn cut(
    old: &Snapshot,
    new: (&Snapshot, &api::Snapshot),
    active: impl IntoIterator<Item = (ServerId, u32)>,
) -> BTreeMap<RealServerKey, u64> {
    let before: HashMap<_, _> = old.servers().map(|pair| (pair.1.id, pair)).collect();
    let after: HashMap<_, _> = new.0.servers().map(|pair| (pair.1.id, pair)).collect();
    let mut cut = BTreeMap::new();
    for (id, count) in active.into_iter().filter(|(_, count)| *count > 0) {
        let Some(&(service, server)) = before.get(&id) else { continue };
        if is_taken(service, new.1) || !goes_on(server, after.get(&id).copied()) {
            let fallback = service.fallback.as_ref().is_some_and(|it| it.id == id);
            let name = if fallback { FALLBACK_NAME } else { &server.name };
            *cut.entry(RealServerKey::new(&service.name, name)).or_default() += u64::from(count);
        }
    }
    cut
}

fn goes_on(server: &Server, after: Option<(&Service, &Server)>) -> bool {
    match after {
        None => server.on_removal == Removal::Finish,
        Some((service, server)) => match server.state {
            ServerState::Online | ServerState::Drain => true,
            ServerState::Halt => false,
            ServerState::Down => service.on_down == OnDown::Keep,
        },
    }
}

/// Whether the data plane would get the clients' next segments: it knows nothing of what they
/// belong to.
fn is_taken(service: &Service, plane: &api::Snapshot) -> bool {
    let tcp = plane.services.iter().filter(|other| other.protocols.contains(Protocols::TCP));
    tcp.flat_map(|other| other.ports.iter().map(move |ports| (other.address, ports))).any(
        |(address, ports)| {
            service.listen.iter().any(|listen| {
                listen.address == address
                    && listen.ports.first <= ports.last
                    && ports.first <= listen.ports.last
            })
        },
    )
}
