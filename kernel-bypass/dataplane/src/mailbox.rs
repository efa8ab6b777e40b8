//! How a plan reaches a worker and comes back: published by one store, noticed by one load,
//! freed elsewhere. A worker never frees a plan.

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

/// One worker's mailbox. At most one delivery is under way at a time; [`Mailbox::deliver`] and
/// [`Mailbox::collect`] belong to the publisher, [`Mailbox::exchange`] to the worker.
pub struct Mailbox<T> {
    /// Number of the last delivery.
    delivered: CachePadded<AtomicU64>,
    /// Number of the last delivery that the worker took.
    taken: CachePadded<AtomicU64>,
    inbox: ArrayQueue<T>,
    retired: ArrayQueue<T>,
}

impl<T> Default for Mailbox<T> {
    /// Empty.
    fn default() -> Self {
        Self {
            delivered: CachePadded::new(AtomicU64::new(0)),
            taken: CachePadded::new(AtomicU64::new(0)),
            inbox: ArrayQueue::new(1),
            retired: ArrayQueue::new(1),
        }
    }
}

impl<T> Mailbox<T> {
    /// Puts a value in for the worker. `Err` gives it back when the last one was not taken yet
    /// (the worker hangs): nothing has happened then.
    pub fn deliver(&self, value: T) -> Result<(), T> {
        self.collect();
        self.inbox.push(value)?;
        self.delivered.fetch_add(1, Release);
        Ok(())
    }

    /// Whether the worker has taken everything that was delivered.
    pub fn taken(&self) -> bool {
        self.taken.load(Acquire) == self.delivered.load(Acquire)
    }

    /// Frees what the worker gave back.
    pub fn collect(&self) {
        while self.retired.pop().is_some() {}
    }

    /// The worker's side, once per round: one load when there is nothing new. Swaps `current`
    /// for the delivered value and leaves the old one to be freed by the publisher.
    #[inline]
    pub fn exchange(&self, seen: &mut u64, current: &mut Option<T>) {
        let delivered = self.delivered.load(Acquire);
        if delivered != *seen {
            self.take(delivered, seen, current);
        }
    }

    #[cold]
    fn take(&self, delivered: u64, seen: &mut u64, current: &mut Option<T>) {
        if let Some(old) = self.inbox.pop().and_then(|new| current.replace(new)) {
            // The publisher emptied the retired slot before it delivered, so there is room; a
            // value that did not fit would merely be freed here.
            let _ = self.retired.push(old);
        }
        *seen = delivered;
        self.taken.store(delivered, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_old_value_is_freed_by_the_publisher_and_not_by_the_worker() {
        let mailbox = Mailbox::default();
        let (first, second) = (Arc::new(1), Arc::new(2));
        let (mut seen, mut current) = (0, None);
        assert!(mailbox.deliver(first.clone()).is_ok());
        assert!(!mailbox.taken());
        mailbox.exchange(&mut seen, &mut current);
        assert!(mailbox.taken());
        assert!(mailbox.deliver(second.clone()).is_ok());
        mailbox.exchange(&mut seen, &mut current);
        assert_eq!(current.as_deref(), Some(&2));
        assert_eq!(Arc::strong_count(&first), 2, "the worker must not have freed it");
        mailbox.collect();
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_worker_that_hangs_keeps_what_it_has() {
        let mailbox = Mailbox::default();
        assert!(mailbox.deliver(1).is_ok());
        assert_eq!(mailbox.deliver(2), Err(2));
        let (mut seen, mut current) = (0, None);
        mailbox.exchange(&mut seen, &mut current);
        assert_eq!(current, Some(1));
        assert!(mailbox.taken());
    }
}
