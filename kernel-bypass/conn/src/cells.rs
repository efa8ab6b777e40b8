//! Placing and clearing cells.

use crate::layout::{CELLS, Cell};
use crate::order::CELL_PUBLISH;
use crate::sync::Relaxed;
use crate::table::Table;

/// Cells of the first bucket that are filled before the second one is considered.
const PREFERRED: usize = CELLS * 5 / 8;

impl Table {
    /// Puts a cell into the emptier of the two buckets of a hash (the first one while it has
    /// room); false when both are full.
    pub(crate) fn place(&self, hash: u64, cell: Cell) -> bool {
        let buckets = self.memory.buckets();
        let [first, second] = self.memory.geometry().buckets_of(hash);
        let used = |bucket: usize| {
            buckets[bucket].cells.iter().filter(|c| c.load(Relaxed) != Cell::EMPTY).count()
        };
        let in_first = used(first);
        let order = if in_first < PREFERRED || in_first <= used(second) {
            [first, second]
        } else {
            [second, first]
        };
        order.iter().any(|&bucket| {
            (0..CELLS).any(|n| {
                let slot = &buckets[bucket].cells[n];
                slot.load(Relaxed) == Cell::EMPTY
                    && slot.compare_exchange(Cell::EMPTY, cell.0, CELL_PUBLISH, Relaxed).is_ok()
            })
        })
    }

    pub(crate) fn unplace(&self, hash: u64, cell: Cell) {
        for bucket in self.memory.geometry().buckets_of(hash) {
            for slot in &self.memory.buckets()[bucket].cells {
                if slot.load(Relaxed) == cell.0 {
                    slot.store(Cell::EMPTY, CELL_PUBLISH);
                    return;
                }
            }
        }
    }
}
