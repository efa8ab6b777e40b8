//! The data plane process: ports and workers, a steward for time and link state, and the socket
//! that control speaks to.
#![forbid(unsafe_code)]

pub mod args;
mod clock;
pub mod egress;
mod engine;
mod idle;
pub mod mailbox;
mod persistence;
mod ports;
mod reader;
mod remembered;
mod rows;
mod server;
pub mod worker;

use anyhow::{Context, Result};
use api::MAX_BACKENDS;
use args::Args;
use conn::{Backing, Table, TableConfig};
use crossbeam::utils::CachePadded;
use egress::Egress;
use engine::{Applied, Engine};
use forward::{Balancer, Counts, Setup};
use mailbox::Mailbox;
use nic_dpdk::{Eal, EalOptions, Mbuf, Pool, PoolConfig, RxQueue, TxQueue};
use ports::{Pair, Share};
use reader::Reader;
use remembered::Remembered;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use worker::{Shared, Worker};

/// How often the steward sets the time.
const BEAT: Duration = Duration::from_millis(5);
/// Beats between two looks at the links.
const LINK_BEATS: u32 = 100;

/// Forwards until a signal says otherwise.
///
/// # Errors
/// When the table, a device or the socket cannot be had, or a worker ends by itself.
pub fn run(args: &Args) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    fs::create_dir_all(&args.runtime_dir)
        .with_context(|| format!("cannot make {}", args.runtime_dir.display()))?;
    let table = args.table.clone().unwrap_or_else(|| args.runtime_dir.join("table"));
    // The table first: its lock says whether another data plane is at work here.
    let opened = Table::open(
        &TableConfig {
            units: args.table_entries.saturating_mul(2).min(conn::MOST_UNITS),
            backends: MAX_BACKENDS as u32,
            participants: u32::from(args.workers) + 1,
        },
        Backing::File(table),
    )?;
    if let Some(why) = &opened.discarded {
        log::warn!("the connection table found here was not taken over: {why}");
    }
    log::info!("{} connections taken over", opened.taken_over);

    let eal = Eal::init(&EalOptions {
        no_huge: args.no_huge,
        memory_mib: args.no_huge.then(|| memory_mib(args)),
        arguments: args.eal.clone(),
        ..EalOptions::default()
    })?;
    let pool = Pool::new(&eal, &PoolConfig::for_mtu(buffers(args), args.mtu))?;
    let remembered = Remembered::new(&args.runtime_dir);
    let (mut pairs, shares) = ports::bring_up(&eal, &pool, args, remembered.is_there())?;
    let counts: Vec<Arc<Counts>> =
        shares.iter().map(|_| Arc::new(Counts::new(pairs.len(), MAX_BACKENDS))).collect();
    let shared = Arc::new(Shared {
        tick: CachePadded::new(AtomicU32::new(clock::now())),
        stop: AtomicBool::new(false),
        removed: AtomicU32::new(0),
    });
    let engine = Arc::new(Engine {
        mailboxes: shares.iter().map(|_| Arc::new(Mailbox::default())).collect(),
        counts,
        reader: Reader::new(opened.table.handle().context("no place at the table is left")?),
        table: opened.table,
        taken_over: opened.taken_over,
        ports: Mutex::new(pairs.iter().map(|pair| pair.status().clone()).collect()),
        remembered,
        applied: Mutex::new(Applied::default()),
        published: AtomicU64::new(0),
        started: Instant::now(),
    });
    go_on(&engine);
    let workers = start_workers(args, &eal, &pool, &pairs, shares, &shared, &engine)?;
    let socket = args.runtime_dir.join("dataplane.sock");
    server::listen(&socket, engine.clone())?;
    log::info!("{} workers forward; control speaks to {}", workers.len(), socket.display());

    steward(&shared, &engine, &mut pairs, &stop, &workers);
    shared.stop.store(true, Relaxed);
    let asked = stop.load(Relaxed);
    for worker in workers {
        anyhow::ensure!(
            worker.join().is_ok(),
            "a worker panicked; this is a bug, please report it"
        );
    }
    anyhow::ensure!(asked, "a worker ended by itself; this is a bug, please report it");
    // A clean stop leaves nothing behind; after any other end a successor takes over.
    let _ = fs::remove_file(socket);
    engine.remembered.forget();
    engine.table.remove_file();
    log::info!("stopped");
    Ok(())
}

/// Forwards by what a predecessor was told, until control says otherwise.
fn go_on(engine: &Engine) {
    if let Some(snapshot) = engine.remembered.load() {
        let generation = snapshot.generation;
        match engine.take_up(snapshot) {
            Err(reason) => log::warn!("the last snapshot is not used: {reason}"),
            Ok(()) => log::info!("forwarding by snapshot {generation} of the predecessor"),
        }
    }
}

fn start_workers(
    args: &Args,
    eal: &Eal,
    pool: &Pool,
    pairs: &[Pair],
    shares: Vec<Share>,
    shared: &Arc<Shared>,
    engine: &Engine,
) -> Result<Vec<JoinHandle<()>>> {
    let macs: Vec<_> = pairs.iter().map(|pair| pair.status().mac).collect();
    let mut threads = Vec::new();
    for (number, share) in shares.into_iter().enumerate() {
        let counts = engine.counts[number].clone();
        let balancer: Balancer<Mbuf> = Balancer::new(Setup {
            table: engine.table.handle().context("no place at the table is left")?,
            counts: counts.clone(),
            macs: &macs,
            worker: number as u32,
            workers: args.workers.into(),
            seed: u64::from(clock::now()) << 8 | number as u64,
        });
        let worker: Worker<RxQueue, TxQueue, Pool> = Worker {
            mailbox: engine.mailboxes[number].clone(),
            shared: shared.clone(),
            balancer,
            intakes: share.intakes,
            egress: Egress::new(share.outlets, counts),
            pool: pool.clone(),
            idle: args.idle,
        };
        let (eal, cpu) = (eal.clone(), args.cpus.get(number).copied());
        let name = format!("worker-{number}");
        threads.push(thread::Builder::new().name(name).spawn(move || {
            pin(cpu);
            match eal.register_thread() {
                Ok(_registered) => worker.run(),
                Err(e) => log::error!("{e}"),
            }
        })?);
    }
    Ok(threads)
}

fn pin(cpu: Option<u16>) {
    let Some(cpu) = cpu else { return };
    let mut set = CpuSet::new();
    set.set(cpu.into());
    if let Err(e) = sched_setaffinity(None, &set) {
        log::warn!("a worker cannot be pinned to CPU {cpu}: {e}");
    }
}

/// Keeps the time and the states of the ports until told to stop, or until a worker is gone.
fn steward(
    shared: &Shared,
    engine: &Engine,
    pairs: &mut [Pair],
    stop: &AtomicBool,
    workers: &[JoinHandle<()>],
) {
    let mut beats = 0u32;
    while !stop.load(Relaxed) && !workers.iter().any(JoinHandle::is_finished) {
        shared.tick.store(clock::now(), Relaxed);
        if beats.is_multiple_of(LINK_BEATS) {
            pairs.iter_mut().for_each(Pair::look);
            let ports: Vec<_> = pairs.iter().map(|pair| pair.status().clone()).collect();
            let bits = ports.iter().enumerate().map(|(n, port)| u32::from(port.removed) << n);
            shared.removed.store(bits.sum(), Relaxed);
            *engine::lock(&engine.ports) = ports;
        }
        beats = beats.wrapping_add(1);
        thread::sleep(BEAT);
    }
}

/// Buffers for every descriptor of every queue, for what waits between, and a reserve.
fn buffers(args: &Args) -> u32 {
    if args.buffers != 0 {
        return args.buffers;
    }
    let queues = args.ports.len() as u32 * u32::from(args.workers) * 2;
    (queues * 2 * 1024 + 8192).next_power_of_two() - 1
}

/// Memory without huge pages: the buffers, and what DPDK needs for itself.
fn memory_mib(args: &Args) -> u32 {
    PoolConfig::for_mtu(buffers(args), args.mtu).memory_mib() + 128
}
