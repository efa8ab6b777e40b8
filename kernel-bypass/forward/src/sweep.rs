//! Expiry: which entries have outlived their time, and how fast the table is gone through.

use crate::{state::CONFIRMED, time};
use api::{BackendState, OnFailure, Timeouts};
use conn::{
    Entry, KeyKind, TICKS_PER_SECOND, Tick, Verdict,
    tcp::{State, TimeoutClass},
};
use plan::Plan;

/// A datagram's fragments that are not all there after this time never will be.
const FRAGMENT: Tick = 30 * TICKS_PER_SECOND;

/// How long the whole table takes one worker, when there is room in it.
const ROUND: Tick = 4 * TICKS_PER_SECOND;

/// The same when it fills up.
const URGENT_ROUND: Tick = TICKS_PER_SECOND / 2;

/// The most units for one call, so that no burst waits long.
const MOST_UNITS: u32 = 8192;

/// Percentage of the table's units in use from which unproven entries live shorter.
const FILLING: u8 = 80;

/// The same from which they live no longer than [`SHORTEST`].
const NEARLY_FULL: u8 = 95;

const SHORTEST: Tick = TICKS_PER_SECOND;

/// Spreads the sweep over time.
#[derive(Debug)]
pub(crate) struct Sweeper {
    units: u32,
    workers: u32,
    last: Option<Tick>,
}

impl Sweeper {
    pub const fn new(units: u32, workers: u32) -> Self {
        Self { units, workers: if workers == 0 { 1 } else { workers }, last: None }
    }

    /// How many units this worker should look at now.
    pub fn budget(&mut self, now: Tick, pressure: u8) -> u32 {
        let elapsed = self.last.replace(now).map_or(0, |last| now.wrapping_sub(last));
        let round = if pressure >= FILLING { URGENT_ROUND } else { ROUND };
        let share = u64::from(self.units) * u64::from(elapsed);
        let due = share.div_ceil(u64::from(round) * u64::from(self.workers));
        due.min(u64::from(MOST_UNITS)) as u32
    }
}

/// Whether an entry stays.
pub(crate) fn judge(plan: &Plan, now: Tick, pressure: u8, entry: &Entry) -> Verdict {
    let allowed = match entry.kind() {
        KeyKind::Fragment => FRAGMENT,
        KeyKind::Persistence => persistence(plan, pressure, entry),
        KeyKind::Connection => connection(plan, pressure, entry),
    };
    if entry.idle(now) > allowed { Verdict::Remove } else { Verdict::Keep }
}

fn persistence(plan: &Plan, pressure: u8, entry: &Entry) -> Tick {
    let service = plan.service_by_id(entry.service());
    match service.and_then(|service| service.persistence.as_ref()) {
        Some(persistence) => unproven(time::ticks(persistence.timeout_s), pressure, entry),
        None => 0,
    }
}

fn connection(plan: &Plan, pressure: u8, entry: &Entry) -> Tick {
    let timeouts = plan.service_by_id(entry.service()).map(|service| service.timeouts);
    let timeouts = timeouts.unwrap_or_default();
    let idle = time::ticks(idle_timeout(&timeouts, State::from_word(entry.state())));
    if over(plan, entry) {
        return idle.min(time::ticks(timeouts.tcp_closed_s));
    }
    unproven(idle, pressure, entry)
}

/// Idle timeout of a TCP state (or of UDP), in seconds.
pub const fn idle_timeout(timeouts: &Timeouts, state: State) -> u32 {
    match state.timeout_class() {
        TimeoutClass::Opening => timeouts.tcp_opening_s,
        TimeoutClass::Established => timeouts.tcp_established_s,
        TimeoutClass::Closing => timeouts.tcp_closing_s,
        TimeoutClass::Closed => timeouts.tcp_closed_s,
        TimeoutClass::Udp => timeouts.udp_s,
    }
}

/// The backend is gone for this connection. The entry stays a little, so that whoever still
/// speaks gets its reset.
fn over(plan: &Plan, entry: &Entry) -> bool {
    plan.backend(entry.backend()).is_none_or(|backend| match backend.state {
        BackendState::Online | BackendState::Drain => false,
        BackendState::Halt => true,
        BackendState::Down => backend.on_failure == OnFailure::Reset,
    })
}

/// Clients that have not shown that their address is their own make room when it gets tight, so
/// that a flood of spoofed requests cannot keep the others out for long.
fn unproven(timeout: Tick, pressure: u8, entry: &Entry) -> Tick {
    if pressure < FILLING || entry.state() & CONFIRMED != 0 {
        return timeout;
    }
    let left = Tick::from(NEARLY_FULL.saturating_sub(pressure));
    let most = SHORTEST + left * SHORTEST / 2;
    timeout.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_goes_round_in_time() {
        let mut sweeper = Sweeper::new(100_000, 2);
        assert_eq!(sweeper.budget(5, 0), 0);
        let round: u32 = (1..=ROUND).map(|t| sweeper.budget(5 + t, 0)).sum();
        assert!((50_000..51_000).contains(&round), "{round}");
        let urgent: u32 = (1..=URGENT_ROUND).map(|t| sweeper.budget(5 + ROUND + t, 90)).sum();
        assert!((50_000..51_000).contains(&urgent), "{urgent}");
        assert_eq!(sweeper.budget(5 + 100 * ROUND, 0), MOST_UNITS);
    }
}
