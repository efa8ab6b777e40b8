//! Connections as an operator sees them.

use api::ConnectionRow;
use conn::{Entry, Handle, KeyKind, TICKS_PER_SECOND, Tick, tcp::State, unmapped};
use plan::Plan;

/// Rows in one answer, at most.
const MOST_ROWS: u32 = 10_000;
/// Units looked at between two quiescent points, so that a dump delays no reuse for long.
const STEP: u32 = 8192;

/// Connections from `cursor` on, and where to go on. At least one step is made, so a caller that
/// asks again always gets to the end.
pub fn from(
    reader: &mut Handle,
    plan: Option<&Plan>,
    now: Tick,
    cursor: u32,
    limit: u32,
) -> (Vec<ConnectionRow>, Option<u32>) {
    let limit = limit.clamp(1, MOST_ROWS) as usize;
    let mut rows = Vec::new();
    let mut next = Some(cursor);
    while let Some(at) = next
        && rows.len() < limit
    {
        // A step finds at most one connection a unit; stopping within one would lose the rest.
        let step = STEP.min((limit - rows.len()) as u32).max(2);
        next = reader.for_each_from(at, step, |entry| {
            if entry.kind() == KeyKind::Connection {
                rows.push(row(entry, plan, now));
            }
        });
        reader.quiesce();
    }
    (rows, next)
}

fn row(entry: &Entry<'_>, plan: Option<&Plan>, now: Tick) -> ConnectionRow {
    let (key, reply) = (entry.key(), entry.reply());
    let backend = plan.and_then(|plan| plan.backend(entry.backend()));
    let server = match (&reply, backend) {
        (Some(reply), _) => (unmapped(&reply.src), reply.sport),
        (None, Some(backend)) => (unmapped(&backend.address), backend.port.unwrap_or(key.dport)),
        (None, None) => (unmapped(&[0; 16]), 0),
    };
    let source = reply
        .filter(|reply| reply.dst != key.src || reply.dport != key.sport)
        .map(|reply| (unmapped(&reply.dst), reply.dport));
    let state = State::from_word(entry.state());
    let timeouts = plan.and_then(|plan| plan.service_by_id(entry.service())).map(|s| s.timeouts);
    let allowed = forward::idle_timeout(&timeouts.unwrap_or_default(), state);
    let idle_s = entry.idle(now) / TICKS_PER_SECOND;
    ConnectionRow {
        protocol: key.proto,
        client: (unmapped(&key.src), key.sport),
        vip: (unmapped(&key.dst), key.dport),
        backend_address: server,
        source,
        service: entry.service(),
        backend: entry.backend(),
        state: state.text().into(),
        idle_s,
        expires_s: allowed.saturating_sub(idle_s),
    }
}
