//! The access log: a line for each request in HTTP mode and each connection in TCP mode.
//!
//! ```text
//!  connection ─ Trace ─► Clerk of the worker: a buffer for each service
//!                          │ at the end of a turn, or when 64 KB are full
//!                          ├─► Datagrams: sendmmsg, without waiting
//!                          └─► Tray ─► Scribe, the thread that writes to files
//! ```
//!
//! `trace.rs` is what is remembered until then, `cause.rs` why it ended, `line.rs` the formats,
//! `text.rs` numbers, times and what is hostile. Nothing waits for a destination: what it does
//! not take is lost and counted.

mod cause;
mod datagrams;
mod line;
mod scribe;
mod text;
mod trace;

pub use cause::{Cause, Stage};
pub use line::Line;
pub use trace::{Part, Trace};

use crate::plan::Service;
use crate::shared::ServiceShared;
use datagrams::Datagrams;
use l7_api::{AccessLog, LogFormat, LogTarget, MAX_PATH_BYTES, ServiceId, SyslogAddress};
use scribe::{Batch, LogFile, Scribe, Tray};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Weak};
use text::Dates;

/// Octets of a service's lines that wait for the end of a turn.
const FULL: usize = 64 << 10;

/// The log of a service, made ready.
#[derive(Debug)]
pub struct Journal {
    format: LogFormat,
    destination: Arc<Destination>,
}

/// Shared by all services whose lines go there.
#[derive(Debug)]
enum Destination {
    File(Arc<LogFile>, Arc<Tray>),
    Datagrams(Datagrams),
}

/// What the engine keeps of logs from snapshot to snapshot.
#[derive(Debug, Default)]
pub struct Office {
    destinations: HashMap<LogTarget, Weak<Destination>>,
    /// Started with the first file.
    scribe: Option<Scribe>,
}

/// What a worker has of logs.
#[derive(Debug)]
pub struct Clerk {
    worker: usize,
    pens: HashMap<ServiceId, Pen>,
    /// Those with something in them.
    wet: Vec<ServiceId>,
    dates: Dates,
    /// When the worker's clock began, in milliseconds since 1970.
    pub epoch: u64,
    /// Open connections of the worker.
    pub connections: u32,
    /// Of no other worker and process.
    seed: u64,
    requests: u64,
}

#[derive(Debug)]
struct Pen {
    journal: Arc<Journal>,
    service: Arc<ServiceShared>,
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

/// Whether a log can be kept.
///
/// # Errors
/// What is wrong with it.
pub fn check(log: &AccessLog) -> Result<(), String> {
    let path = match &log.to {
        LogTarget::File(path) => path,
        LogTarget::Syslog { facility: 24.., .. } => {
            return Err("a facility of syslog is 0 to 23".to_owned());
        }
        LogTarget::Syslog { to: SyslogAddress::Unix(path), .. } => path,
        LogTarget::Syslog { .. } => return Ok(()),
    };
    if !path.starts_with('/') || path.len() > MAX_PATH_BYTES || path.contains('\0') {
        return Err(format!("the access log goes to an absolute path, which {path:?} is not"));
    }
    Ok(())
}

impl Office {
    /// A service's log, and what may keep it from being written.
    pub fn journal(&mut self, log: &AccessLog) -> (Option<Arc<Journal>>, Option<String>) {
        let known = self.destinations.get(&log.to).and_then(Weak::upgrade);
        let made = match known {
            Some(destination) => Ok(destination),
            None => self.destination(&log.to),
        };
        let destination = match made {
            Ok(destination) => destination,
            Err(e) => return (None, Some(format!("its access log is not written: {e}"))),
        };
        self.destinations.retain(|_, destination| destination.strong_count() > 0);
        self.destinations.insert(log.to.clone(), Arc::downgrade(&destination));
        let problem = match &*destination {
            Destination::File(file, _) => file.check().err(),
            Destination::Datagrams(_) => None,
        };
        let problem = problem.map(|e| format!("its access log cannot be written for now: {e}"));
        (Some(Arc::new(Journal { format: log.format, destination })), problem)
    }

    fn destination(&mut self, target: &LogTarget) -> std::io::Result<Arc<Destination>> {
        Ok(Arc::new(match target {
            LogTarget::File(path) => {
                let scribe = match self.scribe.take() {
                    Some(scribe) => scribe,
                    None => Scribe::start()?,
                };
                let tray = self.scribe.insert(scribe).tray().clone();
                Destination::File(Arc::new(LogFile::new(path)), tray)
            }
            LogTarget::Syslog { to, header, facility } => {
                Destination::Datagrams(Datagrams::new(to, *header, *facility)?)
            }
        }))
    }
}

impl Journal {
    /// Whether referer and user agent are written.
    pub fn tells_of_fields(&self) -> bool {
        matches!(self.format, LogFormat::Combined | LogFormat::Json)
    }
}

impl Clerk {
    /// Of a worker.
    pub fn new(worker: usize) -> Self {
        Self {
            worker,
            pens: HashMap::new(),
            wet: Vec::new(),
            dates: Dates::default(),
            epoch: 0,
            connections: 0,
            seed: RandomState::new().build_hasher().finish(),
            requests: 0,
        }
    }

    /// A number that no other request has.
    pub fn number(&mut self) -> u128 {
        self.requests += 1;
        let of_worker = (self.worker as u64) << 48 | self.requests & ((1 << 48) - 1);
        u128::from(self.seed) << 64 | u128::from(of_worker)
    }

    /// Writes a line of a service, if that has a log.
    pub fn write(&mut self, service: &Arc<Service>, line: &Line) {
        let Some(journal) = &service.journal else { return };
        let id = service.config.id;
        let pen = self.pens.entry(id).or_insert_with(|| Pen::new(journal, &service.shared));
        if !Arc::ptr_eq(&pen.journal, journal) {
            pen.flush();
            *pen = Pen::new(journal, &service.shared);
        }
        if pen.bytes.is_empty() {
            self.wet.push(id);
        }
        if let Destination::Datagrams(datagrams) = &*journal.destination {
            datagrams.begin(&mut self.dates, self.epoch + line.now, &mut pen.bytes);
        }
        line.write(journal.format, &mut self.dates, &mut pen.bytes);
        if let Destination::File(..) = &*journal.destination {
            pen.bytes.push(b'\n');
        }
        pen.ends.push(pen.bytes.len());
        if pen.bytes.len() >= FULL {
            pen.flush();
        }
    }

    /// A turn is over: what was written goes out.
    pub fn flush(&mut self) {
        for id in self.wet.drain(..) {
            if let Some(pen) = self.pens.get_mut(&id) {
                pen.flush();
            }
        }
    }

    /// Other services may have logs from now on.
    pub fn forget(&mut self) {
        self.flush();
        self.pens.clear();
    }
}

impl Pen {
    fn new(journal: &Arc<Journal>, service: &Arc<ServiceShared>) -> Self {
        let (journal, service) = (journal.clone(), service.clone());
        Self { journal, service, bytes: Vec::new(), ends: Vec::new() }
    }

    fn flush(&mut self) {
        let lines = self.ends.len() as u64;
        if lines == 0 {
            return;
        }
        match &*self.journal.destination {
            Destination::Datagrams(datagrams) => {
                let sent = datagrams.send(&self.bytes, &self.ends) as u64;
                self.service.count_lines(sent, lines - sent);
                self.bytes.clear();
            }
            Destination::File(file, tray) => {
                // The next turn brings about as much.
                let room = Vec::with_capacity(self.bytes.len());
                let bytes = std::mem::replace(&mut self.bytes, room);
                let (file, service) = (file.clone(), self.service.clone());
                tray.put(Batch { file, service, bytes, lines });
            }
        }
        self.ends.clear();
    }
}
