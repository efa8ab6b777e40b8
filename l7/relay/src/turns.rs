//! How much one connection may move before others have their turn.
//!
//! Large transfers cost a quarter less when each goes on for several megabytes: the programs at
//! its ends are awake and work beside us, and need not be woken. But who exchanges little and waits
//! for the answer waits for the turns of all others. So turns are short while anybody converses,
//! and long only when there are nothing but transfers, and then the shorter the more there are.

/// The least: about a quarter of a millisecond.
const LEAST_BYTES: u64 = 1 << 20;
/// The most.
const MOST_BYTES: u64 = 8 << 20;
/// What a round of all transfers may move when nobody converses: some milliseconds, for which the
/// first request after a pause may wait.
const ROUND_BYTES: u64 = 32 << 20;
/// Milliseconds for which turns are short after somebody has conversed.
const POLITE_MS: u64 = 200;
/// A turn that moved less is part of a conversation, or the end of a transfer.
const LITTLE_BYTES: u64 = 64 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Turns {
    /// Connections that had more to do than their last turn allowed, when this round began.
    busy: u64,
    /// When somebody last conversed.
    conversed: Option<u64>,
}

impl Turns {
    /// A round begins with so many that have more to do.
    pub fn begin(&mut self, busy: usize) {
        self.busy = busy as u64;
    }

    /// Somebody exchanges little and waits for answers.
    pub fn converse(&mut self, now: u64) {
        self.conversed = Some(now);
    }

    /// How much may be moved in one turn now.
    pub fn bytes(&self, now: u64) -> u64 {
        match self.conversed {
            Some(then) if now < then + POLITE_MS => LEAST_BYTES,
            _ => (ROUND_BYTES / self.busy.max(1)).clamp(LEAST_BYTES, MOST_BYTES),
        }
    }
}

/// Tells a conversation from a transfer by what each turn of a connection moves.
#[derive(Debug, Default)]
pub struct Habit {
    /// The last turn that moved anything moved little.
    little: bool,
}

impl Habit {
    /// A turn has moved so much; whether this is a conversation. One turn with little may be the
    /// end of a transfer, or its sender was late.
    pub fn learn(&mut self, moved: u64) -> bool {
        if moved == 0 {
            return false;
        }
        let before = std::mem::replace(&mut self.little, moved < LITTLE_BYTES);
        before && self.little
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_long_only_among_few_transfers() {
        let mut turns = Turns::default();
        let lengths = [0, 1, 4, 8, 32, 1_000].map(|busy| {
            turns.begin(busy);
            turns.bytes(0) >> 20
        });
        assert_eq!(lengths, [8, 8, 8, 4, 1, 1]);
    }

    #[test]
    fn turns_are_short_while_somebody_converses() {
        let mut turns = Turns::default();
        turns.converse(1_000);
        assert_eq!([1_000, 1_199, 1_200].map(|now| turns.bytes(now) >> 20), [1, 1, 8]);
        turns.converse(1_300);
        assert_eq!(turns.bytes(1_301) >> 20, 1);
    }

    #[test]
    fn two_turns_with_little_are_a_conversation() {
        let mut habit = Habit::default();
        let turns = [1 << 20, 100, 0, 2 << 20, 100, 0, 100, 65_535, 65_536];
        let heard = turns.map(|moved| habit.learn(moved));
        assert_eq!(heard, [false, false, false, false, false, false, true, true, false]);
    }
}
