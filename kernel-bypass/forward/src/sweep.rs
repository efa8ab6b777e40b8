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

/// Units looked at between two bursts, so that none waits for long: where every entry of them
/// expires, about 30 microseconds.
const AT_ONCE: u32 = 64;

/// A worker has at least this many rounds in a tick, so that a large table is gone through in time
/// by more units at once.
const ROUNDS_IN_A_TICK: u32 = 128;

/// Entries that a worker removes in a tick between bursts, while there is room in the table. A
/// removal takes about half a microsecond, so that this costs the forwarding a hundredth or two
/// however many entries expire at once. The sweep waits where it is, and the round takes longer.
const REMOVALS: u32 = 250;

/// More of them for each unit that the worker has filled, so that what is opened steadily is removed
/// as steadily, and what has gathered with it.
const REMOVALS_FOR_A_UNIT: u32 = 2;

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
    /// Units that are due and were not looked at.
    owed: u32,
    /// Entries that may still be removed in this tick between bursts.
    removals: u32,
    /// Units that the worker has filled in this tick.
    filled: u32,
    /// Units filled less units freed by the worker, when that was last looked at.
    balance: i64,
    pressure: u8,
}

impl Sweeper {
    pub const fn new(units: u32, workers: u32) -> Self {
        let workers = if workers == 0 { 1 } else { workers };
        let (last, owed, removals, filled, balance, pressure) = (None, 0, 0, 0, 0, 0);
        Self { units, workers, last, owed, removals, filled, balance, pressure }
    }

    /// Another tick, and how full the table is.
    pub fn tick(&mut self, now: Tick, pressure: u8) {
        let elapsed = self.last.replace(now).map_or(0, |last| now.wrapping_sub(last));
        let round = if pressure >= FILLING { URGENT_ROUND } else { ROUND };
        let share = u64::from(self.units) * u64::from(elapsed);
        let due = share.div_ceil(u64::from(round) * u64::from(self.workers));
        // What has not been done for as long as a whole round is not done twice for that.
        self.owed = due.saturating_add(self.owed.into()).min(self.units.into()) as u32;
        self.pressure = pressure;
        let for_units = self.filled.saturating_mul(REMOVALS_FOR_A_UNIT);
        self.removals = REMOVALS.saturating_mul(elapsed).saturating_add(for_units);
        self.filled = 0;
    }

    /// How many units this worker should look at now, and the table's pressure in this tick.
    /// `None` when it is done. `balance` is that of the units that it has filled and freed; who has
    /// nothing to forward, and who runs out of room, removes what there is.
    pub fn piece(&mut self, balance: i64, is_idle: bool) -> Option<(u32, u8)> {
        let filled = u32::try_from(balance - self.balance).unwrap_or(0);
        self.filled = self.filled.saturating_add(filled);
        self.balance = balance;
        if self.removals == 0 && !is_idle && self.pressure < FILLING {
            // Nobody goes faster afterwards.
            self.owed = 0;
        }
        let units = self.owed.min(AT_ONCE.max(self.owed / ROUNDS_IN_A_TICK));
        self.owed -= units;
        (units > 0).then_some((units, self.pressure))
    }

    /// What came of a piece: entries removed, and the balance since.
    pub fn swept(&mut self, removed: u32, balance: i64) {
        self.removals = self.removals.saturating_sub(removed);
        self.balance = balance;
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
        let tick = |sweeper: &mut Sweeper, now, pressure| -> u32 {
            sweeper.tick(now, pressure);
            std::iter::from_fn(|| sweeper.piece(0, true)).map(|(units, _)| units).sum()
        };
        assert_eq!(tick(&mut sweeper, 5, 0), 0);
        let round: u32 = (1..=ROUND).map(|t| tick(&mut sweeper, 5 + t, 0)).sum();
        assert!((50_000..51_000).contains(&round), "{round}");
        let urgent: u32 = (1..=URGENT_ROUND).map(|t| tick(&mut sweeper, 5 + ROUND + t, 90)).sum();
        assert!((50_000..51_000).contains(&urgent), "{urgent}");
    }

    #[test]
    fn no_burst_waits_for_long_and_a_large_table_has_its_time() {
        let mut sweeper = Sweeper::new(2_000_000, 1);
        sweeper.tick(1, 0);
        sweeper.tick(2, 20);
        assert_eq!(sweeper.piece(0, true), Some((AT_ONCE, 20)));
        let mut sweeper = Sweeper::new(200_000_000, 1);
        sweeper.tick(1, 0);
        // As many rounds as there are in a tick at least, for a whole round of the sweep.
        let done: u64 = (2..2 + ROUND)
            .map(|now| {
                sweeper.tick(now, 0);
                (0..ROUNDS_IN_A_TICK)
                    .filter_map(|_| sweeper.piece(0, true))
                    .map(|(n, _)| u64::from(n))
                    .sum::<u64>()
            })
            .sum();
        assert!(done > 190_000_000, "{done}");
        sweeper.tick(100 * ROUND, 0);
        assert_eq!(sweeper.owed, 200_000_000);
    }

    /// Removals of a tick in which `filled` units are filled and all that is looked at has expired.
    fn removals(sweeper: &mut Sweeper, now: Tick, pressure: u8, is_idle: bool, filled: i64) -> u32 {
        sweeper.tick(now, pressure);
        let mut balance = sweeper.balance + filled;
        let mut removed = 0;
        while let Some((units, _)) = sweeper.piece(balance, is_idle) {
            balance -= i64::from(units);
            sweeper.swept(units, balance);
            removed += units;
        }
        removed
    }

    #[test]
    fn what_expires_at_once_is_removed_bit_by_bit() {
        let mut sweeper = Sweeper::new(3_000_000, 1);
        sweeper.tick(1, 0);
        let mut tick =
            |now, pressure, is_idle, filled| removals(&mut sweeper, now, pressure, is_idle, filled);
        let bit = REMOVALS.next_multiple_of(AT_ONCE);
        assert_eq!(tick(2, 30, false, 0), bit);
        assert_eq!(tick(3, 30, false, 1000), bit);
        // Who opens connections makes as much room, and more.
        let more = (REMOVALS + 1000 * REMOVALS_FOR_A_UNIT).next_multiple_of(AT_ONCE);
        assert_eq!(tick(4, 30, false, 0), more);
        assert_eq!(tick(5, 30, false, 0), bit);
        // Nobody waits, or the table fills up.
        let all = 3_000_000 / ROUND;
        assert_eq!(tick(6, 30, true, 0), all);
        assert!(tick(7, FILLING, false, 0) > all);
    }
}
