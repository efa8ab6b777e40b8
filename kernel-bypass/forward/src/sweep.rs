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

/// Units looked at together; and units freed between two bursts before the rest is left for later,
/// so that no burst waits for long: about 30 microseconds.
const AT_ONCE: u32 = 64;

/// A worker has at least this many rounds in a tick, so that a large table is gone through in time
/// by more units in a round.
const ROUNDS_IN_A_TICK: u32 = 128;

/// Units that a worker frees in a tick between bursts, while there is room in the table. To remove
/// an entry takes about half a microsecond, so that this costs the forwarding a hundredth or two
/// however many entries expire at once. The sweep waits where it is, and the round takes longer.
const FREED: u32 = 250;

/// More of them for each unit that the worker has filled, so that what is opened steadily is removed
/// as steadily, and what has gathered with it.
const FREED_FOR_A_UNIT: u32 = 2;

/// The same two when the table fills up: room is made faster than anybody can fill it, but a worker
/// goes on forwarding meanwhile. (Without a limit, a table that became four fifths full at three
/// million new connections a second stopped all but a sixth of them for half a second.)
const URGENT_FREED: u32 = 2_500;
const URGENT_FREED_FOR_A_UNIT: u32 = 4;

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
    /// Units that may still be freed in this tick between bursts.
    to_free: u32,
    /// Units that the worker has filled in this tick.
    filled: u32,
    /// Units filled less units freed by the worker, when that was last looked at.
    balance: i64,
    pressure: u8,
}

impl Sweeper {
    pub const fn new(units: u32, workers: u32) -> Self {
        let workers = if workers == 0 { 1 } else { workers };
        let (last, owed, to_free, filled, balance, pressure) = (None, 0, 0, 0, 0, 0);
        Self { units, workers, last, owed, to_free, filled, balance, pressure }
    }

    /// Another tick, and how full the table is.
    pub fn tick(&mut self, now: Tick, pressure: u8) {
        let elapsed = self.last.replace(now).map_or(0, |last| now.wrapping_sub(last));
        let (round, freed, for_a_unit) = match pressure < FILLING {
            true => (ROUND, FREED, FREED_FOR_A_UNIT),
            false => (URGENT_ROUND, URGENT_FREED, URGENT_FREED_FOR_A_UNIT),
        };
        let share = u64::from(self.units) * u64::from(elapsed);
        let due = share.div_ceil(u64::from(round) * u64::from(self.workers));
        // What has not been done for as long as a whole round is not done twice for that.
        self.owed = due.saturating_add(self.owed.into()).min(self.units.into()) as u32;
        self.pressure = pressure;
        let for_units = self.filled.saturating_mul(for_a_unit);
        self.to_free = freed.saturating_mul(elapsed).saturating_add(for_units);
        self.filled = 0;
    }

    /// What may be done between two bursts. `balance` is that of the units that the worker has filled
    /// and freed; who has nothing to forward removes what there is.
    pub fn round(&mut self, balance: i64, is_idle: bool) -> Round {
        let filled = u32::try_from(balance - self.balance).unwrap_or(0);
        self.filled = self.filled.saturating_add(filled);
        self.balance = balance;
        if self.to_free == 0 && !is_idle {
            // Nobody goes faster afterwards.
            self.owed = 0;
        }
        let units = self.owed.min(AT_ONCE.max(self.owed / ROUNDS_IN_A_TICK));
        Round { units, to_free: AT_ONCE, pressure: self.pressure }
    }

    /// A piece of a round has been done: so many units were looked at, and this is the balance since.
    pub fn swept(&mut self, round: &mut Round, units: u32, balance: i64) {
        let freed = u32::try_from(self.balance - balance).unwrap_or(0);
        self.balance = balance;
        for (left, done) in [
            (&mut self.owed, units),
            (&mut round.units, units),
            (&mut self.to_free, freed),
            (&mut round.to_free, freed),
        ] {
            *left = left.saturating_sub(done);
        }
    }
}

/// What a worker may do between two bursts.
#[derive(Debug)]
pub(crate) struct Round {
    /// Units still to be looked at.
    units: u32,
    /// Units that may still be freed.
    to_free: u32,
    /// How full the table was at the beginning of this tick, in percent.
    pub pressure: u8,
}

impl Round {
    /// How many units are to be looked at together; `None` when the round is over.
    pub fn piece(&self) -> Option<u32> {
        let units = self.units.min(AT_ONCE);
        (units > 0 && self.to_free > 0).then_some(units)
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

    /// Units looked at in a round in which one of each `one_in` is freed, and these.
    fn round(sweeper: &mut Sweeper, balance: &mut i64, is_idle: bool, one_in: u32) -> (u32, u32) {
        let (mut looked, mut removed) = (0, 0);
        let mut round = sweeper.round(*balance, is_idle);
        while let Some(units) = round.piece() {
            let gone = units / one_in;
            *balance -= i64::from(gone);
            sweeper.swept(&mut round, units, *balance);
            looked += units;
            removed += gone;
        }
        (looked, removed)
    }

    /// The same of all rounds of a tick before which `filled` units were filled.
    fn tick(sweeper: &mut Sweeper, at: (Tick, u8), is_idle: bool, filled: i64) -> (u32, u32) {
        sweeper.tick(at.0, at.1);
        let mut balance = sweeper.balance + filled;
        let (mut looked, mut removed) = (0, 0);
        loop {
            match round(sweeper, &mut balance, is_idle, 1) {
                (0, _) => return (looked, removed),
                (units, gone) => (looked, removed) = (looked + units, removed + gone),
            }
        }
    }

    #[test]
    fn the_sweep_goes_round_in_time() {
        let mut sweeper = Sweeper::new(100_000, 2);
        assert_eq!(tick(&mut sweeper, (5, 0), true, 0), (0, 0));
        let mut all = |from, ticks, pressure| -> u32 {
            (from..from + ticks).map(|now| tick(&mut sweeper, (now, pressure), true, 0).0).sum()
        };
        let one = all(6, ROUND, 0);
        assert!((50_000..51_000).contains(&one), "{one}");
        let urgent = all(6 + ROUND, URGENT_ROUND, 90);
        assert!((50_000..51_000).contains(&urgent), "{urgent}");
    }

    #[test]
    fn no_burst_waits_for_long_and_a_large_table_has_its_time() {
        let mut sweeper = Sweeper::new(2_000_000, 1);
        sweeper.tick(1, 0);
        sweeper.tick(2, 20);
        assert_eq!(sweeper.round(0, true).pressure, 20);
        assert_eq!(round(&mut sweeper, &mut 0, true, u32::MAX), (AT_ONCE, 0));
        let mut sweeper = Sweeper::new(200_000_000, 1);
        sweeper.tick(1, 0);
        // As many rounds as there are in a tick at least, for a whole round of the sweep.
        let mut rounds = |tick: Tick, pressure, one_in| -> (u64, u32) {
            sweeper.tick(tick, pressure);
            let done = (0..ROUNDS_IN_A_TICK).map(|_| round(&mut sweeper, &mut 0, true, one_in));
            done.fold((0, 0), |(looked, most), (units, gone)| {
                (looked + u64::from(units), most.max(gone))
            })
        };
        let done: u64 = (2..2 + ROUND).map(|now| rounds(now, 0, u32::MAX).0).sum();
        assert!(done > 190_000_000, "{done}");
        // However many are due: where all expire, and where some do.
        for (now, one_in) in [(0, 1), (1, 2), (2, 10)] {
            let (_, most) = rounds(2 + ROUND + now, 90, one_in);
            assert!((AT_ONCE..2 * AT_ONCE).contains(&most), "{most} at once");
        }
        sweeper.tick(100 * ROUND, 0);
        assert_eq!(sweeper.owed, 200_000_000);
    }

    #[test]
    fn what_expires_at_once_is_removed_bit_by_bit() {
        let mut sweeper = Sweeper::new(3_000_000, 1);
        sweeper.tick(1, 0);
        let mut tick =
            |now, pressure, is_idle, filled| tick(&mut sweeper, (now, pressure), is_idle, filled).1;
        let bit = FREED.next_multiple_of(AT_ONCE);
        assert_eq!(tick(2, 30, false, 0), bit);
        assert_eq!(tick(3, 30, false, 1000), bit);
        // Who opens connections makes as much room, and more.
        let more = (FREED + 1000 * FREED_FOR_A_UNIT).next_multiple_of(AT_ONCE);
        assert_eq!(tick(4, 30, false, 0), more);
        assert_eq!(tick(5, 30, false, 0), bit);
        // Nobody waits.
        assert_eq!(tick(6, 30, true, 0), 3_000_000 / ROUND);
        // The table fills up: faster, and still bit by bit.
        assert_eq!(tick(7, FILLING, false, 1000), URGENT_FREED.next_multiple_of(AT_ONCE));
        let most = URGENT_FREED + 1000 * URGENT_FREED_FOR_A_UNIT;
        assert_eq!(tick(8, FILLING, false, 0), most.next_multiple_of(AT_ONCE));
        assert!(tick(9, FILLING, true, 0) > 3_000_000 / ROUND);
    }
}
