//! Where a handle's free entries come from, and where its removed ones wait until nobody can hold them.

use super::{Handle, ROUNDS_PER_ADVANCE};
use crate::entry::Entry;
use crate::epoch::GRACE;
use crate::layout::{Class, Form};
use crate::sync::Relaxed;
use std::ops::Range;

/// Free entries that change hands at once, at most: a fourth of a slab, and more than a worker removes
/// in one epoch, so that where a batch ends is hardly ever looked for.
const BATCH: u32 = if cfg!(loom) { 2 } else { 1024 };
/// Free entries that the memory is asked for ahead of the next one.
const STEPS_AHEAD: u32 = 3;
/// Limbo lists: one per epoch that can be waiting, so that each is reused only when due.
pub(super) const LIMBO: usize = GRACE as usize + 1;

/// Entries of one class and epoch that wait for their grace period, chained by their links.
#[derive(Clone, Copy, Default)]
pub(super) struct Waiting {
    epoch: u64,
    head: u32,
    count: u32,
}

/// Free entries of one class at hand: a chain, and a slab not yet used.
#[derive(Default)]
pub(super) struct Stock {
    head: u32,
    count: u32,
    fresh: Range<u32>,
}

impl Handle {
    /// A free entry of the form's class.
    pub(super) fn take(&self, form: Form) -> Option<u32> {
        let class = form.class();
        let mut stock = self.stock[class.index()].borrow_mut();
        if stock.count == 0 && stock.fresh.is_empty() {
            match self.table.pop_batch(class) {
                Some((first, count)) => (stock.head, stock.count) = (first + 1, count),
                None => stock.fresh = self.table.claim_slab(class)?,
            }
        }
        if stock.count == 0 {
            let number = stock.fresh.start;
            stock.fresh.start += class.units();
            return Some(number);
        }
        let number = stock.head - 1;
        stock.head = self.table.unit(number).link.load(Relaxed);
        stock.count -= 1;
        if let Some(next) = stock.head.checked_sub(1) {
            self.table.prefetch_units(next, form);
            // Those that were freed together lie at equal distances, mostly. The next one alone would
            // be asked for too late, where one is taken soon after another.
            let step = next.wrapping_sub(number);
            self.table.prefetch_unit(next.wrapping_add(step.wrapping_mul(STEPS_AHEAD)));
        }
        Some(number)
    }

    pub(super) fn retire(&self, entry: &Entry<'_>) {
        self.wait(entry.class(), entry.number());
    }

    /// Puts an unlinked entry on the limbo list of the epoch now.
    fn wait(&self, class: Class, number: u32) {
        let epoch = self.table.epochs.now();
        let slot = &self.limbo[class.index()][epoch as usize % LIMBO];
        let mut list = slot.get();
        if list.count != 0 && list.epoch != epoch {
            // At least LIMBO epochs old, which is more than the grace period.
            self.restock(class, list);
            list = Waiting::default();
        }
        self.table.unit(number).link.store(list.head, Relaxed);
        slot.set(Waiting { epoch, head: number + 1, count: list.count + 1 });
        self.waiting.set(self.waiting.get() + 1);
    }

    #[cold]
    pub(super) fn reclaim(&mut self, epoch: u64) {
        if self.rounds.is_multiple_of(ROUNDS_PER_ADVANCE) {
            self.table.epochs.try_advance();
        }
        for class in [Class::Single, Class::Double] {
            for n in 0..LIMBO {
                let list = self.limbo[class.index()][n].get();
                if list.count != 0 && list.epoch + GRACE <= epoch {
                    self.limbo[class.index()][n].take();
                    self.restock(class, list);
                }
            }
        }
    }

    /// Entries whose grace period is over, in batches: one is kept if this handle has none, the
    /// others are given to all (whoever sweeps much would hoard them otherwise).
    fn restock(&self, class: Class, list: Waiting) {
        self.waiting.set(self.waiting.get() - list.count);
        let mut left = list.count;
        let mut head = list.head;
        while left != 0 {
            let count = left.min(BATCH);
            left -= count;
            // One batch at most, nearly always, and nothing behind it to be looked for.
            let next = if left == 0 { 0 } else { self.behind(head, count) };
            let mut stock = self.stock[class.index()].borrow_mut();
            if stock.count == 0 {
                (stock.head, stock.count) = (head, count);
            } else {
                self.table.push_batch(class, head - 1, count);
            }
            head = next;
        }
    }

    /// The head of what is left of a chain without its first `count` entries.
    fn behind(&self, head: u32, count: u32) -> u32 {
        (0..count).fold(head, |head, _| self.table.unit(head - 1).link.load(Relaxed))
    }

    /// Entries whose remover is gone wait here, from now on (later than due is always safe).
    pub(super) fn adopt_orphans(&self) {
        let orphans = self.table.orphans.lock().map(|mut all| std::mem::take(&mut *all));
        for (class, head) in orphans.unwrap_or_default() {
            let mut next = head;
            while let Some(number) = next.checked_sub(1) {
                next = self.table.unit(number).link.load(Relaxed);
                self.wait(class, number);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.settle();
        for class in [Class::Single, Class::Double] {
            let stock = self.stock[class.index()].get_mut();
            if stock.count != 0 {
                self.table.push_batch(class, stock.head - 1, stock.count);
            }
            let (mut head, mut count) = (0, 0);
            for number in stock.fresh.clone().step_by(class.units() as usize) {
                self.table.unit(number).link.store(head, Relaxed);
                (head, count) = (number + 1, count + 1);
            }
            if count != 0 {
                self.table.push_batch(class, head - 1, count);
            }
            if let Ok(mut orphans) = self.table.orphans.lock() {
                let lists = self.limbo[class.index()].iter().map(|slot| slot.take());
                orphans.extend(lists.filter(|l| l.count != 0).map(|l| (class, l.head)));
            }
        }
        self.table.epochs.leave(self.index);
    }
}
