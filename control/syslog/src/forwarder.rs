//! The two ends of a queue: who logs, and the thread that sends.

use crate::courier::Courier;
use crate::{Element, Message, Settings, Severity};
use crossbeam::channel::{Sender, bounded};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

/// RFC 5424 section 7.3.1: after this number comes 1.
const LAST_SEQUENCE: u64 = 2_147_483_647;

/// Forwards to one server until it is stopped or dropped.
pub struct Forwarder {
    handle: Handle,
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Gives messages to a [`Forwarder`]; may outlive it, and then loses them.
#[derive(Clone)]
pub struct Handle {
    settings: Arc<Settings>,
    queue: Sender<String>,
    counts: Arc<Counts>,
}

/// News of a server, for somewhere else than this server. Told by the forwarding thread.
#[derive(Debug)]
pub enum Report {
    /// It takes no messages any more.
    Failed(io::Error),
    /// It takes messages again.
    Works {
        /// Messages lost since the forwarder started.
        lost: u64,
    },
}

/// What became of the messages for one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Handed to the network.
    pub sent: u64,
    /// Lost, as far as can be known here: the queue was full, or the server could not be reached.
    pub lost: u64,
    /// In the queue.
    pub waiting: usize,
    /// Whether the last one went out.
    pub up: bool,
}

/// Shared by both ends.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) sent: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) up: AtomicBool,
    submitted: AtomicU64,
}

impl Forwarder {
    /// Starts the thread; it connects with the first message.
    ///
    /// # Errors
    /// If the system has no thread for us.
    pub fn start(
        settings: Settings,
        report: impl FnMut(Report) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, inbox) = bounded(settings.queue.max(1));
        let (stop, stopped) = bounded(0);
        let counts = Arc::new(Counts::default());
        let handle = Handle { settings: Arc::new(settings), queue, counts };
        let courier = Courier::new(handle.clone(), inbox, stopped, Box::new(report));
        let thread = thread::Builder::new().name("syslog".into()).spawn(|| courier.run())?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where messages go in.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Sends what waits if the server takes it, and ends. Takes at most twice the timeout of the
    /// settings: for what is under way, and for the rest. What cannot be sent is lost. The same
    /// happens on drop.
    pub fn stop(mut self) -> Status {
        self.end();
        self.handle.status()
    }

    /// Says that it shall end, without waiting for it.
    pub(crate) fn begin_to_end(&mut self) {
        self.stop = None;
    }

    fn end(&mut self) {
        self.begin_to_end();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked sends nothing more, which is what we want.
            let _ = thread.join();
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// Queues a message, without ever waiting. If there is no room, it is lost and counted.
    /// `id` is its MSGID: what kind of message it is.
    pub fn submit(&self, severity: Severity, time: SystemTime, id: &str, text: fmt::Arguments<'_>) {
        if self.queue.try_send(self.line(severity, time, id, text)).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of the messages so far.
    pub fn status(&self) -> Status {
        Status {
            sent: self.counts.sent.load(Ordering::Relaxed),
            lost: self.counts.lost.load(Ordering::Relaxed),
            waiting: self.queue.len(),
            up: self.counts.up.load(Ordering::Relaxed),
        }
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A message of ours in full. Its number is used up whether it is sent or not.
    pub(crate) fn line(
        &self,
        severity: Severity,
        time: SystemTime,
        id: &str,
        text: fmt::Arguments<'_>,
    ) -> String {
        let who = &self.settings.identity;
        let origin = [("software", &*who.app_name), ("swVersion", &who.version)];
        let sequence = self.counts.next_sequence().to_string();
        let data = [
            Element { id: "meta", parameters: &[("sequenceId", &sequence)] },
            Element { id: "origin", parameters: &origin },
        ];
        let message = Message {
            facility: self.settings.facility,
            severity,
            time,
            hostname: &who.hostname,
            app_name: &who.app_name,
            process: &who.process.to_string(),
            id,
            data: &data,
            text,
        };
        message.line(self.settings.limit())
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Counts {
    fn next_sequence(&self) -> u64 {
        self.submitted.fetch_add(1, Ordering::Relaxed) % LAST_SEQUENCE + 1
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, LAST_SEQUENCE};

    #[test]
    fn numbers_begin_at_one_and_again() {
        let counts = Counts::default();
        assert_eq!([counts.next_sequence(), counts.next_sequence()], [1, 2]);
        let counts = Counts { submitted: (LAST_SEQUENCE - 1).into(), ..Counts::default() };
        let numbers = [(); 3].map(|()| counts.next_sequence());
        assert_eq!(numbers, [LAST_SEQUENCE, 1, 2]);
    }
}
