//! A process that works on a table in a file is killed, wherever it is; the next one takes over.

use conn::*;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

const ROUNDS: u32 = 30;
/// Every so many rounds the file is begun anew, so that the first steps are met as well.
const FRESH: u32 = 3;
const UNITS: u32 = 1024;
const SLAB_UNITS: u32 = 16;
const BACKENDS: u32 = 7;
const THREADS: u32 = 2;
/// Set in the process that is to be killed: the table's file,
const FILE: &str = "CONN_TAKEOVER_FILE";
/// and the first number that it may insert.
const FIRST: &str = "CONN_TAKEOVER_FIRST";
/// Of so many numbers, all but one come and go untold.
const SILENT: u32 = 11;
/// Bytes of what it tells.
const RECORD: usize = 5;
/// Zone of keys that the process never inserts.
const STRANGER: u16 = 9;

fn open(path: &Path) -> Opened {
    let config = TableConfig { units: UNITS, backends: BACKENDS, participants: THREADS };
    Table::open_with_slabs(&config, SLAB_UNITS, Backing::File(path.into())).unwrap()
}

fn key(n: u32) -> Key {
    let [a, b, c, d] = n.to_be_bytes();
    let client = mapped(std::net::IpAddr::from([10, a, b, c]));
    let key = Key::connection(6, (client, d.into()), ([0x30; 16], 80));
    let kind = [KeyKind::Connection, KeyKind::Connection, KeyKind::Fragment, KeyKind::Persistence];
    Key { kind: kind[n as usize / 3 % 4], ..key }
}

/// Everything follows from the number, so that half an entry shows.
fn new(n: u32) -> New {
    let second = key(n).reversed();
    New {
        key: key(n),
        other: [Other::None, Other::Reply(second), Other::Recipe(second)][n as usize % 3],
        backend: n % BACKENDS,
        service: n as u16,
        flags: n as u16 & 0xfff,
        state: n,
        last_hop: LastHop::new(1, None, [n as u8; 6]),
        now: n,
    }
}

/// What the process says it did, or is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Inserted,
    /// It may be there or not.
    Removing,
    Removed,
}

const TOLD: [Told; 3] = [Told::Inserted, Told::Removing, Told::Removed];

/// The process that is killed, started by the test below; by itself it does nothing.
#[test]
fn the_process_that_is_killed() {
    let (Some(path), Ok(first)) = (std::env::var_os(FILE), std::env::var(FIRST)) else { return };
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(1);
    }));
    // Its standard input is the socket that it reports to.
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let told = Mutex::new(UnixStream::from(socket));
    let (table, first) = (open(Path::new(&path)).table, first.parse::<u32>().unwrap());
    let steps = [const { AtomicU32::new(0) }; THREADS as usize];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let worker = Worker { thread, handle: table.handle().unwrap(), told: &told };
            let steps = &steps;
            scope.spawn(move || worker.work(first, steps));
        }
    });
}

struct Worker<'a> {
    thread: u32,
    handle: Handle,
    told: &'a Mutex<UnixStream>,
}

impl Worker<'_> {
    /// Inserts, and from a half full table on removes one for each that it inserts, without an
    /// end.
    fn work(mut self, first: u32, steps: &[AtomicU32; THREADS as usize]) {
        let [own, other] = [self.thread, 1 - self.thread].map(|thread| &steps[thread as usize]);
        let (mut mine, mut in_vain, mut before) = (self.taken_over(), 0, 0);
        for n in (first..).filter(|n| n % THREADS == self.thread) {
            let inserted = insert(&self.handle, n);
            // Most of the time goes by in the table, and so do most kills, if not all is told.
            if inserted && n % SILENT != 0 {
                remove(&self.handle, n);
            } else if inserted {
                self.tell(Told::Inserted, n);
                mine.push_back(n);
            }
            if (!inserted || self.handle.table().pressure() >= 50)
                && let Some(old) = mine.pop_front()
            {
                self.tell(Told::Removing, old);
                remove(&self.handle, old);
                self.tell(Told::Removed, old);
            }
            self.handle.quiesce();
            own.fetch_add(1, Relaxed);
            // What was removed is free once both have gone on; then there must be room.
            if inserted {
                in_vain = 0;
            } else if before != other.load(Relaxed) {
                before = other.load(Relaxed);
                in_vain += 1;
                assert!(in_vain < 10_000, "units are lost");
            }
        }
    }

    fn tell(&self, told: Told, n: u32) {
        let [a, b, c, d] = n.to_be_bytes();
        let mut parent = self.told.lock().unwrap();
        parent.write_all(&[told as u8, a, b, c, d]).expect("the parent listens");
    }

    /// Numbers of this one's share of what was there before.
    fn taken_over(&self) -> VecDeque<u32> {
        let mut all = VecDeque::new();
        self.handle.for_each_from(0, UNITS, |entry| all.push_back(entry.state()));
        all.retain(|n| n % THREADS == self.thread);
        all
    }
}

fn insert(handle: &Handle, n: u32) -> bool {
    let new = new(n);
    let holds = new.key.kind == KeyKind::Connection;
    assert!(!holds || handle.try_acquire(new.backend, 0, 0));
    let inserted = handle.insert(handle.hash(&new.key), &new).is_ok();
    if holds && !inserted {
        handle.release(new.backend);
    }
    inserted
}

fn remove(handle: &Handle, n: u32) {
    let found = handle.lookup(&key(n), handle.hash(&key(n)));
    assert!(handle.remove(&found.expect("nobody else removes it").entry));
}

#[test]
fn whoever_is_killed_leaves_a_whole_table() {
    let path = std::env::temp_dir().join(format!("conn-killed-{}", std::process::id()));
    let (mut told, mut inserted) = (HashMap::new(), 0);
    for round in 0..ROUNDS {
        if round % FRESH == 0 {
            let _ = std::fs::remove_file(&path);
            told.clear();
        }
        // From none to far more than fill the half of the table.
        let records = round * 7919 % 2000;
        for (what, n) in work_and_be_killed(&path, round * (1 << 24), records) {
            inserted += u32::from(what == Told::Inserted);
            told.insert(n, what);
        }
        let opened = open(&path);
        // Only a file that nobody has worked on yet may be without a header.
        assert!(opened.discarded.is_none() || told.is_empty(), "{:?}", opened.discarded);
        let mut handle = opened.table.handle().unwrap();
        let live = live(&handle);
        assert_eq!(opened.taken_over, live.len() as u64);
        assert_told(&live, &told);
        assert_counted(&opened.table, &live);
        fill(&mut handle);
        told = live.into_iter().map(|n| (n, Told::Inserted)).collect();
    }
    std::fs::remove_file(&path).unwrap();
    assert!(inserted > ROUNDS * 300, "only {inserted} inserts in all");
}

/// Starts the process, kills it once it has told so many things, and returns all that it told.
fn work_and_be_killed(path: &Path, first: u32, records: u32) -> Vec<(Told, u32)> {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(FILE, path)
        .env(FIRST, first.to_string())
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = vec![0; records as usize * RECORD];
    ours.read_exact(&mut told).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    ours.read_to_end(&mut told).unwrap();
    let (records, rest) = told.as_chunks::<RECORD>();
    assert!(rest.is_empty(), "half a record");
    let record = |&[what, a, b, c, d]: &[u8; RECORD]| {
        (TOLD[usize::from(what)], u32::from_be_bytes([a, b, c, d]))
    };
    records.iter().map(record).collect()
}

/// The numbers of all live entries. Each is whole, there once, and found by what it is found by.
fn live(handle: &Handle) -> HashSet<u32> {
    let mut live = HashSet::new();
    let end = handle.for_each_from(0, UNITS, |entry| {
        let n = entry.state();
        let new = new(n);
        assert_eq!((entry.key(), entry.kind()), (new.key, new.key.kind));
        assert_eq!((entry.backend(), entry.service()), (new.backend, new.service));
        assert_eq!((entry.flags(), entry.seen()), (new.flags, new.now));
        let (recipe, reply, hop) = match new.other {
            Other::None => (None, None, LastHop::UNKNOWN),
            Other::Recipe(key) => (Some(key), None, new.last_hop),
            Other::Reply(key) => (Some(key), Some(key), new.last_hop),
        };
        assert_eq!((entry.recipe(), entry.reply(), entry.last_hop()), (recipe, reply, hop));
        for key in [Some(new.key), reply].into_iter().flatten() {
            let found = handle.lookup(&key, handle.hash(&key)).expect("what is live is found");
            assert_eq!(found.entry.number(), entry.number());
        }
        assert!(live.insert(n), "{n} is there twice");
    });
    assert_eq!(end, None);
    live
}

/// What was told is so; beyond it, each thread had at most one entry not told yet.
fn assert_told(live: &HashSet<u32>, told: &HashMap<u32, Told>) {
    for (n, told) in told {
        match told {
            Told::Inserted => assert!(live.contains(n), "{n} is lost"),
            Told::Removing => {}
            Told::Removed => assert!(!live.contains(n), "{n} is back"),
        }
    }
    let untold = live.iter().filter(|n| !told.contains_key(n)).count();
    assert!(untold <= THREADS as usize, "{untold} that nobody inserted");
}

/// Gauges and totals are those of the entries.
fn assert_counted(table: &Table, live: &HashSet<u32>) {
    let all = || live.iter().map(|n| new(*n));
    let of = |kind| all().filter(move |new| new.key.kind == kind);
    for backend in 0..BACKENDS {
        let holding = of(KeyKind::Connection).filter(|new| new.backend == backend).count();
        assert_eq!(table.connections(backend) as usize, holding, "backend {backend}");
    }
    let units = all().map(|new| if new.other == Other::None { 1 } else { 2 }).sum();
    let totals = table.totals();
    let counted = [totals.connections, totals.fragments, totals.persistence].map(|n| n as usize);
    let kinds = [KeyKind::Connection, KeyKind::Fragment, KeyKind::Persistence];
    assert_eq!(counted, kinds.map(|kind| of(kind).count()));
    assert_eq!(totals.units_used, units);
}

/// No unit is lost: strangers have room in all that is left. They go again.
fn fill(handle: &mut Handle) {
    for other in [Other::None, Other::Recipe(key(0))] {
        for n in 0..2 * UNITS {
            let key = Key { kind: KeyKind::Persistence, zone: STRANGER, ..key(n) };
            let _ = handle.insert(handle.hash(&key), &New { key, other, ..new(0) });
            handle.quiesce();
        }
    }
    assert_eq!(handle.table().totals().units_used, u64::from(UNITS), "units are lost");
    handle.sweep(UNITS, |entry| match entry.key().zone {
        STRANGER => Verdict::Remove,
        _ => Verdict::Keep,
    });
}
