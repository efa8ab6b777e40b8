//! The thread that sends.

use crate::forwarder::{Counts, Handle, Report};
use crate::link::Link;
use crate::wire::Wire;
use crate::{Severity, Transport};
use crossbeam::channel::{Receiver, RecvTimeoutError, never, select};
use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// Losses are told at most this often, so that telling them loses no more.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Courier {
    handle: Handle,
    inbox: Receiver<String>,
    /// Disconnected when it is time to stop.
    stopped: Receiver<Infallible>,
    report: Box<dyn FnMut(Report) + Send>,
    link: Link,
    wire: Option<Wire>,
    told: Told,
    begin: Instant,
}

/// What the server knows of losses.
#[derive(Default)]
struct Told {
    lost: u64,
    /// When, and what it knew before.
    last: Option<(Duration, u64)>,
}

/// What to do next.
enum Task {
    Send(String),
    TellLosses,
    Stop,
}

impl Courier {
    pub(crate) fn new(
        handle: Handle,
        inbox: Receiver<String>,
        stopped: Receiver<Infallible>,
        report: Box<dyn FnMut(Report) + Send>,
    ) -> Self {
        let link = Link::new(handle.settings().retry);
        let (wire, told, begin) = (None, Told::default(), Instant::now());
        Self { handle, inbox, stopped, report, link, wire, told, begin }
    }

    pub(crate) fn run(mut self) {
        loop {
            match self.next() {
                Task::Send(line) => self.deliver(Some(&line)),
                Task::TellLosses => self.deliver(None),
                Task::Stop => return self.send_the_rest(),
            }
        }
    }

    fn next(&self) -> Task {
        let tell = match self.untold() {
            0 => never(),
            _ => crossbeam::channel::after(self.told.wait(self.now())),
        };
        select! {
            recv(self.stopped) -> _ => Task::Stop,
            recv(self.inbox) -> line => line.map_or(Task::Stop, Task::Send),
            recv(tell) -> _ => Task::TellLosses,
        }
    }

    /// Sends a message, or only what there is to tell. Over TCP it stays at it until it is told
    /// to stop; a datagram is tried once.
    fn deliver(&mut self, line: Option<&str>) {
        loop {
            if let Some(pause) = self.link.pause(self.now())
                && self.stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
            {
                return self.lose(u64::from(line.is_some()));
            }
            match self.send(line) {
                Ok(()) => return,
                Err(_) if line.is_none() => return,
                Err(_) if self.handle.settings().transport == Transport::Udp => {
                    return self.lose(1);
                }
                Err(_) => {}
            }
        }
    }

    /// Tries once, and notes how that went.
    fn send(&mut self, line: Option<&str>) -> io::Result<()> {
        let result = self.try_send(line);
        let now = self.now();
        match &result {
            Ok(()) => {
                self.counts().sent.fetch_add(u64::from(line.is_some()), Ordering::Relaxed);
                if self.link.worked(now) {
                    (self.report)(Report::Works { lost: self.handle.status().lost });
                }
            }
            Err(error) => {
                self.wire = None;
                self.told.doubt(now);
                if self.link.failed(now) {
                    let error = io::Error::new(error.kind(), error.to_string());
                    (self.report)(Report::Failed(error));
                }
            }
        }
        self.counts().up.store(self.link.is_up(), Ordering::Relaxed);
        result
    }

    fn try_send(&mut self, line: Option<&str>) -> io::Result<()> {
        let wire = match &mut self.wire {
            Some(wire) => wire,
            none => none.insert(Wire::connect(self.handle.settings())?),
        };
        let (lost, now) = (self.handle.status().lost, self.begin.elapsed());
        if lost > self.told.lost && self.told.wait(now).is_zero() {
            let new = lost - self.told.lost;
            let text = format_args!(
                "{new} messages were lost, {lost} since the start: the queue was full, or this \
                 server did not take them"
            );
            wire.send(&self.handle.line(Severity::Warning, SystemTime::now(), "LOST", text))?;
            self.told = Told { lost, last: Some((now, self.told.lost)) };
        }
        line.map_or(Ok(()), |line| wire.send(line))
    }

    /// Once told to stop: each message gets one try, and all together the time for one.
    fn send_the_rest(mut self) {
        let end = self.now() + self.handle.settings().timeout;
        while let Ok(line) = self.inbox.try_recv() {
            let reachable = self.link.pause(self.now()).is_none() && self.now() < end;
            if !reachable || self.send(Some(&line)).is_err() {
                self.lose(1);
            }
        }
    }

    fn lose(&self, messages: u64) {
        self.counts().lost.fetch_add(messages, Ordering::Relaxed);
    }

    fn untold(&self) -> u64 {
        self.handle.status().lost - self.told.lost
    }

    fn counts(&self) -> &Counts {
        self.handle.counts()
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }
}

impl Told {
    /// How long until losses may be told.
    fn wait(&self, now: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |(at, _)| (at + TELL_EVERY).saturating_sub(now))
    }

    /// What was said just before a failure may not have arrived: it is to be said again.
    fn doubt(&mut self, now: Duration) {
        if let Some((_, before)) = self.last.take_if(|(at, _)| now - *at < TELL_EVERY) {
            self.lost = before;
        }
    }
}
