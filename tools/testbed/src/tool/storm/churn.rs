//! Connections that come and go, at a steady rate.

use super::sink::{Field, Seen};
use super::{ACK, FIN, Report, SYN, TRIES, WAIT, Wire};
use anyhow::{Result, anyhow};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The packets of a connection; each is a bit of what was seen of it.
const PACKETS: [u8; 4] = [SYN, ACK, ACK, FIN];
/// Between two packets of a connection.
const PAUSE: Duration = Duration::from_millis(10);

/// Connections that are open at the same time, at most: a machine that cannot keep up with the rate
/// is not drowned.
const MOST_OPEN: usize = 10_000;

/// A thread that opens connections, speaks on each, and closes it.
pub struct Churn {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<Result<Tally>>,
}

/// What came of them.
struct Tally {
    /// By real server, counted from 1.
    ok: [u64; 256],
    split: u64,
    lost: u64,
    again: u64,
}

/// One of them, in the order in which they are to be looked after.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Connection {
    due: Instant,
    number: usize,
    /// Connections before this one from the same address and port: each begins at a sequence
    /// number of its own, or its SYN would be a copy of the one before.
    life: usize,
    /// Packets that were sent.
    sent: usize,
    last_sent: Instant,
    tries: usize,
}

impl Churn {
    /// `rate` connections per second.
    pub fn start(wire: Arc<Wire>, seen: Arc<Seen>, port: u16, rate: usize) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = stopping.clone();
        let thread = std::thread::spawn(move || {
            let tally = Tally { ok: [0; 256], split: 0, lost: 0, again: 0 };
            Work { wire, seen, port, tally }.run(rate, &stop)
        });
        Self { stopping, thread }
    }

    /// Opens no more, and waits for the rest to end.
    pub fn stop(self, names: &[String]) -> Result<Report> {
        self.stopping.store(true, Relaxed);
        let tally = self.thread.join().map_err(|_| anyhow!("the churn panicked"))??;
        let named = names.iter().cloned().zip(tally.ok.into_iter().skip(1));
        let Tally { split: moved, lost, again, .. } = tally;
        Ok(Report { ok: named.collect(), moved, lost, again, took_ms: 0 })
    }
}

struct Work {
    wire: Arc<Wire>,
    seen: Arc<Seen>,
    port: u16,
    tally: Tally,
}

impl Work {
    fn run(mut self, rate: usize, stop: &AtomicBool) -> Result<Tally> {
        let mut open = BinaryHeap::new();
        let (begun, mut opened) = (Instant::now(), 0);
        while !stop.load(Relaxed) || !open.is_empty() {
            // Time that somebody else had the processor is made up for, but not all at once.
            let wanted = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
            let room = MOST_OPEN.saturating_sub(open.len());
            let late = wanted.saturating_sub(opened).min(500).min(room);
            let more = if stop.load(Relaxed) { 0 } else { late };
            for _ in 0..more {
                let (life, number) = (opened / self.seen.passing(), opened % self.seen.passing());
                opened += 1;
                self.seen.forget(number);
                let now = Instant::now();
                let fresh =
                    Connection { due: now, number, life, sent: 0, last_sent: now, tries: 0 };
                open.extend(self.proceed(fresh)?.map(Reverse));
            }
            let now = Instant::now();
            while open.peek().is_some_and(|Reverse(next)| next.due <= now) {
                let Some(Reverse(next)) = open.pop() else { break };
                open.extend(self.proceed(next)?.map(Reverse));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(self.tally)
    }

    /// What the client does next, unless the connection has come to its end.
    fn proceed(&mut self, it: Connection) -> Result<Option<Connection>> {
        let now = Instant::now();
        let passage = self.seen.passage(it.number);
        let missing = ((1 << it.sent) - 1) & !usize::from(passage.packets());
        let due = now + PAUSE;
        if missing == 0 && it.sent < PACKETS.len() {
            self.send(&it, it.sent)?;
            return Ok(Some(Connection { due, sent: it.sent + 1, last_sent: now, ..it }));
        }
        if missing == 0 {
            match passage.is_split() {
                true => self.tally.split += 1,
                false => self.tally.ok[usize::from(passage.server())] += 1,
            }
            return Ok(None);
        }
        if now.duration_since(it.last_sent) < WAIT {
            return Ok(Some(Connection { due, ..it }));
        }
        if it.tries == TRIES {
            self.tally.lost += 1;
            return Ok(None);
        }
        for place in (0..PACKETS.len()).filter(|place| missing >> place & 1 == 1) {
            self.tally.again += 1;
            self.send(&it, place)?;
        }
        Ok(Some(Connection { due, last_sent: now, tries: it.tries + 1, ..it }))
    }

    fn send(&self, it: &Connection, place: usize) -> Result<()> {
        let word = (it.life as u32) << 8 | 1 << place;
        self.wire.send(Field::Passing, it.number, self.port, PACKETS[place], word)
    }
}
