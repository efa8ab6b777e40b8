//! Placing and clearing cells.

use crate::layout::{CELLS, Cell};
use crate::order::CELL_PUBLISH;
use crate::sync::Relaxed;
use crate::table::Table;
use crate::tags::{matching, vacant};

/// Cells of the first bucket that are filled before the second one is considered. What is in the
/// second one is found later, after a wait: at 66 % of the units in use 9 % of the entries (by
/// simulation), where five preferred cells would make it 19 %, and seven 4 %.
const PREFERRED: usize = CELLS * 6 / 8;
/// The same in a crowded table: at 80 % of the units in use one insert in five million finds no
/// cell (by simulation). With six it would be one in 900,000, with seven one in 27,000.
const PREFERRED_IF_CROWDED: usize = CELLS * 5 / 8;
/// Percent of the units from which on a table is crowded.
const CROWDED: u8 = 70;

impl Table {
    /// Whether there are so many entries that cells have to be sought with more care.
    pub(crate) fn is_crowded(&self) -> bool {
        self.pressure() >= CROWDED
    }

    /// Puts a cell into the emptier of the two buckets of a hash (the first one while it has
    /// room); false when both are full.
    pub(crate) fn place(&self, hash: u64, cell: Cell, is_crowded: bool) -> bool {
        let preferred = if is_crowded { PREFERRED_IF_CROWDED } else { PREFERRED };
        let buckets = self.memory.geometry().buckets_of(hash).map(|n| &self.memory.buckets()[n]);
        let [first, second] = buckets.map(|bucket| (bucket, vacant(bucket)));
        let in_first = CELLS - first.1.count_ones() as usize;
        let order = if in_first < preferred || first.1.count_ones() >= second.1.count_ones() {
            [first, second]
        } else {
            [second, first]
        };
        order.into_iter().any(|(bucket, vacant)| {
            (0..CELLS).filter(|n| vacant >> n & 1 == 1).any(|n| {
                let slot = &bucket.cells[n];
                slot.compare_exchange(Cell::EMPTY, cell.0, CELL_PUBLISH, Relaxed).is_ok()
            })
        })
    }

    /// Clears the cell.
    pub(crate) fn unplace(&self, hash: u64, cell: Cell) {
        for bucket in self.memory.geometry().buckets_of(hash) {
            let bucket = &self.memory.buckets()[bucket];
            let mut left = matching(bucket, hash);
            while left != 0 {
                let slot = &bucket.cells[left.trailing_zeros() as usize % CELLS];
                left &= left - 1;
                if slot.load(Relaxed) == cell.0 {
                    slot.store(Cell::EMPTY, CELL_PUBLISH);
                    return;
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::Form;
    use crate::table::{Backing, TableConfig};

    #[test]
    fn a_crowded_table_spreads_sooner() {
        for (is_crowded, in_first) in [(false, 6), (true, 5)] {
            let config = TableConfig { units: 4096, backends: 1, participants: 1 };
            let table = Table::open(&config, Backing::Heap).unwrap().table;
            // All of one first bucket; their second ones differ, mostly.
            let hashes = (1..=8).map(|n: u64| n << 20 | 1 << 40);
            for (n, hash) in (0..).zip(hashes) {
                assert_eq!(table.memory.geometry().first_bucket_of(hash), 0);
                let cell = Cell::new(hash, n, Form::Single, false);
                assert!(table.place(hash, cell, is_crowded));
                let taken = CELLS - vacant(&table.memory.buckets()[0]).count_ones() as usize;
                assert_eq!(taken, in_first.min(n as usize + 1), "{n}, {is_crowded}");
            }
        }
    }
}
