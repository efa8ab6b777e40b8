//! Who makes room when descriptors are scarce: those who have kept us waiting for longest without
//! ever having asked for anything whole, then those who have been idle for longest since. Whoever
//! is being served, or waits for a real server, stays.
//!
//! The search goes round a few connections at a time, so that it delays nobody.

use crate::connection::Happening;
use crate::core::Core;
use crate::slab::Key;

/// Connections looked at in one search.
const SEARCHED: u32 = 256;
/// Those of them that are ended, at most.
const ENDED: usize = 16;
/// Milliseconds that everybody may take for a first request.
const GRACE: u64 = 1_000;
/// Milliseconds that everybody may be idle between two requests: most come sooner, and whoever
/// floods us with connections shall not drive our customers away.
const GRACE_BETWEEN: u64 = 5_000;
/// Milliseconds between two searches.
const PAUSE: u64 = 1;
/// Milliseconds between two words in the log.
const SILENCE: u64 = 10_000;

/// See the module. One of each worker.
#[derive(Debug, Default)]
pub struct Shedder {
    /// Where the next search begins.
    cursor: u32,
    search_at: u64,
    tell_at: u64,
    /// Ended since that was last told.
    ended: u64,
    /// Not served since then, for want of a descriptor for the real server.
    unserved: u64,
}

impl Shedder {
    /// Somebody is not served, for want of a descriptor.
    pub fn count_unserved(&mut self) {
        self.unserved += 1;
    }
}

impl Core {
    /// Ends some of those who wait, if descriptors are scarce.
    pub fn make_room(&mut self) {
        if self.now < self.shedder.search_at || !self.files.are_scarce() {
            return;
        }
        self.shedder.search_at = self.now + PAUSE;
        for key in self.longest_waiting() {
            self.tell(key, Happening::Shed);
            self.shedder.ended += 1;
            if !self.files.are_scarce() {
                break;
            }
        }
        self.tell_of_shed();
    }

    fn longest_waiting(&mut self) -> Vec<Key> {
        let now = self.now;
        let is_over = |&(was_served, since): &(bool, u64)| {
            now.saturating_sub(since) >= if was_served { GRACE_BETWEEN } else { GRACE }
        };
        let slots = self.connections.slots();
        let mut found = Vec::new();
        for _ in 0..SEARCHED.min(slots) {
            let index = self.shedder.cursor % slots;
            self.shedder.cursor = index + 1;
            let Some(key) = self.connections.key_at(index) else { continue };
            let waits = self.connections.get_mut(key).and_then(|connection| connection.waits());
            if let Some((was_served, since)) = waits.filter(is_over) {
                found.push((was_served, since, key));
            }
        }
        found.sort_unstable_by_key(|(was_served, since, _)| (*was_served, *since));
        found.into_iter().map(|(.., key)| key).take(ENDED).collect()
    }

    fn tell_of_shed(&mut self) {
        let Shedder { tell_at, ended, unserved, .. } = &mut self.shedder;
        if *ended + *unserved > 0 && *tell_at <= self.now {
            log::warn!(
                "worker {}: open files are scarce: {ended} clients who had asked for nothing whole \
                 were ended to make room, {unserved} could not be served; if they meant well, \
                 raise the limit of open files",
                self.worker
            );
            (*tell_at, *ended, *unserved) = (self.now + SILENCE, 0, 0);
        }
    }
}
