//! Taking a table over from a process that is gone, wherever it was when it died.

use crate::entry::Entry;
use crate::gauge;
use crate::key::KeyKind;
use crate::layout::{Cell, Class, Form, Status};
use crate::sync::Relaxed;
use crate::table::{Table, UNITS_SHARE};

impl Table {
    /// Makes everything but the entries themselves anew: cells, gauges and free lists from what
    /// is live. What was half made when the predecessor died becomes free.
    pub(crate) fn rebuild(&self) -> u64 {
        for gauge in self.memory.gauges() {
            gauge.store(0, Relaxed);
        }
        for cell in self.memory.buckets().iter().flat_map(|b| &b.cells) {
            cell.store(0, Relaxed);
        }
        let geometry = *self.memory.geometry();
        let mut live = 0;
        // Slabs are given out in order, but the predecessor may have died between taking one and
        // marking it, after another of its workers had marked a later one.
        let mut unassigned = None;
        for slab in 0..geometry.slabs() {
            let word = &self.memory.slabs()[slab as usize];
            if let Some(class) = Class::from_word(word.load(Relaxed)) {
                self.slabs[class.index()].fetch_add(1, Relaxed);
                live += self.rebuild_slab(slab * geometry.slab_units, class);
            } else {
                word.store(0, Relaxed);
                unassigned.get_or_insert(slab);
            }
        }
        self.next_slab.store(unassigned.unwrap_or(geometry.slabs()), Relaxed);
        live
    }

    fn rebuild_slab(&self, first: u32, class: Class) -> u64 {
        let end = first + self.memory.geometry().slab_units;
        let (mut live, mut free, mut count) = (0, 0, 0);
        for unit in (first..end).step_by(class.units() as usize) {
            let entry = self.unit(unit);
            if entry.status.load(Relaxed) == Status::LIVE && self.readmit(unit, class) {
                live += 1;
            } else {
                entry.status.store(Status::FREE, Relaxed);
                entry.link.store(free, Relaxed);
                free = unit + 1;
                count += 1;
            }
        }
        if let Some(head) = free.checked_sub(1) {
            self.push_batch(class, head, count);
        }
        live
    }

    /// Makes a live entry findable again and counts it. False if it makes no sense in its slab,
    /// which only a damaged file can cause.
    fn readmit(&self, number: u32, class: Class) -> bool {
        let entry = Entry::new(self.memory.units(), number);
        let (form, words) = (entry.form(), entry.key().words());
        let second = entry.recipe().map(|key| key.words());
        let is_whole = form.class() == class && form == Form::of(&words, second.as_ref());
        if !is_whole || !entry.is_plausible() {
            return false;
        }
        let hash = self.secrets.hash(&words);
        let cell = Cell::new(hash, number, form, false);
        if !self.place(hash, cell, true) {
            return false;
        }
        if let Some(key) = entry.reply() {
            let reply_hash = self.secrets.hash(&key.words());
            if !self.place(reply_hash, Cell::new(reply_hash, number, form, true), true) {
                self.unplace(hash, cell);
                return false;
            }
        }
        if entry.kind() == KeyKind::Connection
            && let Some(gauge) = self.memory.gauges().get(entry.backend() as usize)
        {
            gauge::add(gauge, 1);
        }
        let shares = &self.epochs.participant(0).shares;
        for (what, units) in [(entry.kind() as usize, 1), (UNITS_SHARE, class.units().into())] {
            shares[what].fetch_add(units, Relaxed);
        }
        true
    }
}
