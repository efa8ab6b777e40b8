//! Forwards everything between two devices (or back out of one), untouched, and prints the rate: the
//! counterpart of testpmd's `io` mode, to see what the wrapper costs.
//!
//! ```text
//! io [--no-huge] [--seconds N] [--workers N] [--eal ARG]... DEVICE [DEVICE]
//! ```

use nic::{Burst, Rx, Tx};
use nic_dpdk::{
    Device, Eal, EalOptions, Mbuf, Pool, PoolConfig, Port, PortConfig, RxQueue, TxQueue,
};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Arguments {
    eal: EalOptions,
    seconds: u64,
    workers: u16,
    devices: Vec<Device>,
}

/// Frames one worker moved; on a cache line of its own.
#[repr(align(64))]
#[derive(Default)]
struct Moved {
    sent: AtomicU64,
    lost: AtomicU64,
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let arguments = arguments()?;
    let eal = Eal::init(&arguments.eal)?;
    let pool = Pool::new(&eal, &PoolConfig::for_mtu(16_383, 1500))?;
    let config = PortConfig { queues: arguments.workers, ..PortConfig::default() };
    let mut ports = Vec::new();
    let mut queues = Vec::new();
    for device in &arguments.devices {
        let (port, pairs) = Port::probe(&eal, device, &config)?.configure(&pool)?.start()?;
        println!(
            "{device}: {}, {} queues, MTU {}, {:?}",
            port.driver(),
            port.queues(),
            port.mtu(),
            port.link()
        );
        ports.push(port);
        queues.push(pairs);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let workers = ports.iter().map(Port::queues).min().unwrap_or(0);
    let mut threads = Vec::new();
    let mut moved = Vec::new();
    for _ in 0..workers {
        let rx: Vec<RxQueue> = queues.iter_mut().map(|pairs| pairs.rx.remove(0)).collect();
        let mut tx: Vec<TxQueue> = queues.iter_mut().map(|pairs| pairs.tx.remove(0)).collect();
        tx.rotate_left(1);
        let mine = Arc::new(Moved::default());
        moved.push(Arc::clone(&mine));
        let (eal, stop) = (eal.clone(), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || {
            let _registered = eal.register_thread().expect("room for a thread");
            forward(rx, tx, &mine, &stop);
        }));
    }
    report(&moved, arguments.seconds);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")?;
    }
    for port in &ports {
        println!("{}: {:?}", port.device(), port.stats());
    }
    Ok(())
}

/// What the first device receives, the last sends, and so on.
fn forward(mut rx: Vec<RxQueue>, mut tx: Vec<TxQueue>, moved: &Moved, stop: &AtomicBool) {
    let mut burst: Burst<Mbuf> = Burst::new();
    let (mut sent, mut lost) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        for (rx, tx) in rx.iter_mut().zip(&mut tx) {
            rx.receive(&mut burst);
            let got = burst.len() as u64;
            tx.send(&mut burst);
            lost += burst.len() as u64;
            sent += got - burst.len() as u64;
            burst.clear();
        }
        moved.sent.store(sent, Ordering::Relaxed);
        moved.lost.store(lost, Ordering::Relaxed);
    }
}

fn report(moved: &[Arc<Moved>], seconds: u64) {
    let total = |pick: fn(&Moved) -> &AtomicU64| -> u64 {
        moved.iter().map(|one| pick(one).load(Ordering::Relaxed)).sum()
    };
    let (mut before, mut at) = (0, Instant::now());
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let (sent, now) = (total(|one| &one.sent), Instant::now());
        let rate = (sent - before) as f64 / (now - at).as_secs_f64() / 1e6;
        println!("{rate:9.3} Mpps, {sent} sent, {} lost", total(|one| &one.lost));
        (before, at) = (sent, now);
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut result =
        Arguments { eal: EalOptions::default(), seconds: 3, workers: 1, devices: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--no-huge" => result.eal.no_huge = true,
            "--seconds" => result.seconds = value()?.parse()?,
            "--workers" => result.workers = value()?.parse()?,
            "--eal" => {
                let argument = value()?;
                result.eal.arguments.push(argument);
            }
            device => result.devices.push(device.parse()?),
        }
    }
    if result.devices.is_empty() || result.devices.len() > 2 {
        return Err("name one device or two".into());
    }
    Ok(result)
}
