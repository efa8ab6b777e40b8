//! A hierarchical timer wheel: one timer per key, set and cleared in constant time.
//!
//! A connection moves its idle deadline with every byte, and nearly always to later. So a later
//! deadline is only noted (one store); the timer stays where it is linked, and is linked anew
//! when that earlier moment comes. Memory is bounded by the largest key.
//!
//! Ticks are milliseconds of a monotonic clock that the caller reads.

/// Slots per level; one bit of a `u64` each.
const SLOTS: usize = 64;
const BITS: u32 = SLOTS.trailing_zeros();
/// 64^6 ms are two years; what is further away waits in the last level and is looked at again.
const LEVELS: usize = 6;
const HORIZON: u64 = 1 << (BITS as usize * LEVELS);
const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub struct Wheel {
    now: u64,
    occupied: [u64; LEVELS],
    heads: [[u32; SLOTS]; LEVELS],
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// When the caller wants to hear of it.
    due: u64,
    /// The moment it is linked for: `due` or earlier.
    linked: u64,
    previous: u32,
    next: u32,
    level: u8,
    slot: u8,
    armed: bool,
}

impl Wheel {
    /// An empty wheel whose time is `now`.
    pub fn new(now: u64) -> Self {
        Self { now, occupied: [0; LEVELS], heads: [[NONE; SLOTS]; LEVELS], nodes: Vec::new() }
    }

    /// Sets the timer of `key` to `due`, whatever it was before. A moment that has passed fires
    /// with the next [`Self::expire`].
    pub fn set(&mut self, key: u32, due: u64) {
        let index = key as usize;
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, Node::IDLE);
        }
        let node = &mut self.nodes[index];
        node.due = due;
        if node.armed {
            if node.linked <= due {
                return;
            }
            self.unlink(key);
        }
        self.link(key, due);
    }

    /// Clears the timer of `key`, if it is set.
    pub fn clear(&mut self, key: u32) {
        if self.nodes.get(key as usize).is_some_and(|node| node.armed) {
            self.unlink(key);
        }
    }

    /// Goes on to `now` and appends the keys whose time has come, whose timers are then clear.
    pub fn expire(&mut self, now: u64, keys: &mut Vec<u32>) {
        while let Some((level, slot, start)) = self.earliest() {
            if start > now {
                break;
            }
            self.now = self.now.max(start);
            self.empty_slot(level, slot, now, keys);
        }
        self.now = self.now.max(now);
    }

    /// A moment before which nothing fires; `None` when no timer is set.
    pub fn next(&self) -> Option<u64> {
        self.earliest().map(|(_, _, start)| start.max(self.now))
    }

    fn empty_slot(&mut self, level: usize, slot: usize, now: u64, keys: &mut Vec<u32>) {
        let mut key = std::mem::replace(&mut self.heads[level][slot], NONE);
        self.occupied[level] &= !(1 << slot);
        while key != NONE {
            let node = &mut self.nodes[key as usize];
            let next = node.next;
            node.armed = false;
            let due = node.due;
            if due <= now {
                keys.push(key);
            } else {
                self.link(key, due);
            }
            key = next;
        }
    }

    fn link(&mut self, key: u32, due: u64) {
        // What is due now goes to the slot of now, what lies past the horizon to its far end.
        let linked = due.clamp(self.now, self.now + HORIZON / 2);
        let differing = (linked ^ self.now) | (SLOTS as u64 - 1);
        let level = ((differing.ilog2() / BITS) as usize).min(LEVELS - 1);
        let slot = (linked >> (BITS as usize * level)) as usize % SLOTS;
        let head = std::mem::replace(&mut self.heads[level][slot], key);
        self.occupied[level] |= 1 << slot;
        if head != NONE {
            self.nodes[head as usize].previous = key;
        }
        self.nodes[key as usize] = Node {
            due,
            linked,
            previous: NONE,
            next: head,
            level: level as u8,
            slot: slot as u8,
            armed: true,
        };
    }

    fn unlink(&mut self, key: u32) {
        let Node { previous, next, level, slot, .. } = self.nodes[key as usize];
        let (level, slot) = (usize::from(level), usize::from(slot));
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous != NONE {
            self.nodes[previous as usize].next = next;
        } else {
            self.heads[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
        self.nodes[key as usize].armed = false;
    }

    /// The occupied slot that comes first, and when it begins. Lower levels come first: a timer
    /// is on level n because it differs from now in the digits n and below only.
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        let shift = BITS as usize * level;
        let digit = (self.now >> shift) as u32 % SLOTS as u32;
        let ahead = self.occupied[level].rotate_right(digit).trailing_zeros();
        let slot = ((digit + ahead) as usize) % SLOTS;
        let start = ((self.now >> shift) + u64::from(ahead)) << shift;
        Some((level, slot, start))
    }
}

impl Node {
    const IDLE: Self =
        Self { due: 0, linked: 0, previous: NONE, next: NONE, level: 0, slot: 0, armed: false };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Set(u32, u64),
        Clear(u32),
        Pass(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let distance = prop_oneof![0..3u64, 0..300u64, 0..100_000u64, 0..1u64 << 40];
        prop_oneof![
            (0..12u32, distance.clone()).prop_map(|(k, d)| Op::Set(k, d)),
            (0..12u32).prop_map(Op::Clear),
            distance.prop_map(Op::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn fires_what_a_plain_map_fires(
            start in prop_oneof![Just(0u64), 0..1u64 << 41],
            ops in prop::collection::vec(op(), 1..80),
        ) {
            let mut now = start;
            let mut wheel = Wheel::new(now);
            let mut model = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Set(key, distance) => {
                        wheel.set(key, now + distance);
                        model.insert(key, now + distance);
                    }
                    Op::Clear(key) => {
                        wheel.clear(key);
                        model.remove(&key);
                    }
                    Op::Pass(time) => {
                        now += time;
                        let mut fired = Vec::new();
                        wheel.expire(now, &mut fired);
                        fired.sort_unstable();
                        let expected: Vec<u32> =
                            model.iter().filter(|(_, due)| **due <= now).map(|(k, _)| *k).collect();
                        model.retain(|_, due| *due > now);
                        prop_assert_eq!(fired, expected);
                    }
                }
                // Nothing is slept through, and an empty wheel asks for no wake-up.
                match model.values().min() {
                    Some(first) => prop_assert!(wheel.next().unwrap() <= (*first).max(now)),
                    None => prop_assert_eq!(wheel.next(), None),
                }
            }
        }
    }

    #[test]
    fn a_deadline_that_moves_away_is_woken_for_once_per_stay_at_most() {
        let mut wheel = Wheel::new(0);
        let mut wakes = 0;
        let mut fired = Vec::new();
        for now in 0..100_000 {
            wheel.set(3, now + 10_000);
            if wheel.next().unwrap() <= now {
                wakes += 1;
                wheel.expire(now, &mut fired);
            }
        }
        assert_eq!(fired, []);
        assert!(wakes <= 40, "{wakes} wake-ups in 100 s of an always busy connection");
    }
}
