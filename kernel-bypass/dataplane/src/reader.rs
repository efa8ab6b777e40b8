//! The way into the connection table for whoever asks about it.

use crate::engine::lock;
use conn::Handle;
use std::sync::Mutex;

/// A handle that takes part in the table only while it is used. One that idles without saying so
/// would keep every entry that is removed meanwhile from being used again, until the table is full.
pub struct Reader(Mutex<Handle>);

impl Reader {
    /// Of this handle.
    pub fn new(mut handle: Handle) -> Self {
        handle.park();
        Self(Mutex::new(handle))
    }

    /// Looks at the table; one after the other.
    pub fn read<T>(&self, look: impl FnOnce(&mut Handle) -> T) -> T {
        let mut handle = lock(&self.0);
        handle.unpark();
        let seen = look(&mut handle);
        handle.park();
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conn::{Backing, InsertError, Key, LastHop, New, Other, Table, TableConfig};

    const UNITS: u32 = 8192;

    #[test]
    fn entries_are_used_again_while_nobody_asks() {
        let config = TableConfig { units: UNITS, backends: 1, participants: 2 };
        let table = Table::open(&config, Backing::Heap).expect("memory").table;
        let mut worker = table.handle().expect("a place");
        let reader = Reader::new(table.handle().expect("a place"));
        let mut live = 0;
        for n in 0..10 * UNITS {
            if n == UNITS {
                reader.read(|handle| {
                    handle.for_each_from(0, UNITS, |_| live += 1);
                });
            }
            let client = [(n >> 16) as u8, (n >> 8) as u8, n as u8, 1];
            let key = Key::connection(6, (conn::mapped(client.into()), 1), ([0; 16], 80));
            let new = New {
                key,
                other: Other::None,
                backend: 0,
                service: 0,
                flags: 0,
                state: 0,
                last_hop: LastHop::UNKNOWN,
                now: 0,
            };
            match worker.insert(worker.hash(&key), &new) {
                Ok(entry) => assert!(worker.remove(&entry)),
                Err(InsertError::Full) => panic!("full after {n}, and nothing in it"),
                Err(_) => panic!("the key is new"),
            }
            worker.quiesce();
        }
        assert_eq!(live, 0);
    }
}
