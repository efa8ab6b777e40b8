//! A receive queue that loses, repeats, delays and damages packets, the same way for the same
//! seed.

use crate::{BURST, Burst, Rx};
use wire::{Buffer, Packet};

/// How often, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A packet is lost.
    pub lose: u16,
    /// A packet comes twice.
    pub repeat: u16,
    /// A packet is held back for a while; later ones pass it.
    pub delay: u16,
    /// A packet is cut short.
    pub truncate: u16,
    /// One bit of a packet is flipped.
    pub flip: u16,
}

/// Packets that are held back at most.
const LATE: usize = 8;

/// See the module.
pub struct Faulty<R> {
    inner: R,
    faults: Faults,
    dice: u64,
    late: heapless::Vec<Buffer, LATE>,
    ready: heapless::Deque<Buffer, { 3 * BURST }>,
}

impl<R: Rx<Packet = Buffer>> Faulty<R> {
    /// Wraps a queue.
    pub const fn new(inner: R, faults: Faults, seed: u64) -> Self {
        Self {
            inner,
            faults,
            // Zero would stay zero.
            dice: if seed == 0 { u64::MAX } else { seed },
            late: heapless::Vec::new(),
            ready: heapless::Deque::new(),
        }
    }

    fn roll(&mut self) -> u64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn strikes(&mut self, thousandths: u16) -> bool {
        self.roll() % 1000 < u64::from(thousandths)
    }

    fn disturb(&mut self, mut packet: Buffer) {
        if self.strikes(self.faults.lose) {
            return;
        }
        let len = packet.bytes().len() as u64;
        if len > 0 && self.strikes(self.faults.truncate) {
            let shorter = (self.roll() % len) as usize;
            packet.set_len(shorter);
        }
        let len = packet.bytes().len() as u64;
        if len > 0 && self.strikes(self.faults.flip) {
            let (at, bit) = ((self.roll() % len) as usize, self.roll() % 8);
            packet.bytes_mut()[at] ^= 1 << bit;
        }
        if self.strikes(self.faults.repeat) {
            let _ = self.ready.push_back(packet.clone());
        }
        if self.strikes(self.faults.delay) && !self.late.is_full() {
            let _ = self.late.push(packet);
        } else {
            let _ = self.ready.push_back(packet);
        }
    }
}

impl<R: Rx<Packet = Buffer>> Rx for Faulty<R> {
    type Packet = Buffer;

    fn receive(&mut self, into: &mut Burst<Buffer>) {
        let mut burst = Burst::new();
        if self.ready.is_empty() {
            self.inner.receive(&mut burst);
        }
        let quiet = burst.is_empty();
        for packet in burst.drain(..) {
            self.disturb(packet);
        }
        // Late ones come when it is quiet, or by chance.
        while !self.late.is_empty() && (quiet || self.strikes(125)) {
            let at = (self.roll() % self.late.len() as u64) as usize;
            let _ = self.ready.push_back(self.late.swap_remove(at));
        }
        while !into.is_full() {
            let Some(packet) = self.ready.pop_front() else { return };
            let _ = into.push(packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_queue;

    fn run(faults: Faults, seed: u64) -> Vec<u8> {
        let (tx, rx) = memory_queue(200);
        for n in 0..200 {
            assert!(tx.push(Buffer::new(&[n])).is_ok());
        }
        let mut faulty = Faulty::new(rx, faults, seed);
        let mut seen = Vec::new();
        for _ in 0..50 {
            let mut burst = Burst::new();
            faulty.receive(&mut burst);
            seen.extend(burst.iter().filter_map(|p| p.bytes().first().copied()));
        }
        seen
    }

    #[test]
    fn nothing_asked_nothing_done() {
        assert_eq!(run(Faults::default(), 1), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = Faults { lose: 100, repeat: 100, delay: 100, ..Faults::default() };
        assert_eq!(run(faults, 7), run(faults, 7));
        assert_ne!(run(faults, 7), run(faults, 8));
    }

    /// What happens to packets of 64 zeros.
    fn damaged(faults: Faults) -> Vec<Buffer> {
        let (tx, rx) = memory_queue(200);
        for _ in 0..200 {
            assert!(tx.push(Buffer::new(&[0; 64])).is_ok());
        }
        let mut faulty = Faulty::new(rx, faults, 5);
        let mut seen = Vec::new();
        for _ in 0..50 {
            let mut burst = Burst::new();
            faulty.receive(&mut burst);
            seen.extend(burst);
        }
        seen
    }

    #[test]
    fn a_flip_is_one_bit_and_a_cut_only_a_cut() {
        let ones = |packet: &Buffer| packet.bytes().iter().map(|b| b.count_ones()).sum::<u32>();
        let flipped = damaged(Faults { flip: 1000, ..Faults::default() });
        assert!(flipped.len() == 200 && flipped.iter().all(|p| ones(p) == 1));
        let places: std::collections::HashSet<_> =
            flipped.iter().map(|p| p.bytes().iter().position(|b| *b != 0)).collect();
        assert!(places.len() > 32, "not always the same byte");
        let cut = damaged(Faults { truncate: 1000, ..Faults::default() });
        assert!(cut.len() == 200 && cut.iter().all(|p| p.bytes().len() < 64 && ones(p) == 0));
    }

    /// All at once and as often as can be: every packet still comes, twice at most.
    #[test]
    fn the_worst_is_bounded() {
        let faults = Faults { lose: 0, repeat: 1000, delay: 1000, truncate: 1000, flip: 1000 };
        assert_eq!(damaged(faults).len(), 400);
        assert!(damaged(Faults { lose: 1000, ..faults }).is_empty());
    }

    #[test]
    fn delay_loses_nothing_and_repetition_only_adds() {
        let mut seen = run(Faults { delay: 300, ..Faults::default() }, 3);
        assert_ne!(seen, (0..200).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        assert!(run(Faults { repeat: 300, ..Faults::default() }, 3).len() > 220);
        assert!(run(Faults { lose: 300, ..Faults::default() }, 3).len() < 180);
    }

    #[test]
    fn neighbouring_seeds_differ() {
        let faults = Faults { lose: 300, ..Faults::default() };
        assert_ne!(run(faults, 6), run(faults, 7));
        assert_ne!(run(faults, 0), run(faults, 1));
    }
}
