//! PID 1 of the appliance: takes the machine from the kernel's hand to a running balancer, keeps
//! that running, and turns the machine off.
//!
//! Each stage is a module and logs one line with the kernel's clock. What a machine can do without
//! (a module, a NIC) is logged and left out; what it cannot is a panic, which is a kernel panic,
//! which by `panic=` is a reboot.
#![forbid(unsafe_code)]

mod answers;
mod button;
mod command_line;
mod grow;
mod huge_pages;
mod keep;
mod log;
mod loopback;
mod modules;
mod mounts;
mod nics;
mod open_files;
mod power;
mod slots;
mod state;
mod superblock;
mod watchdog;
mod wish;

use command_line::CommandLine;
use keep::{End, Keeper};
use modules::{Loader, Part};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use watchdog::{Guard, Watchdogs};

/// What the image was built with.
const LISTS: &str = "/usr/lib/fulcrum";
/// The operator's file, in the state folder.
const CONFIGURATION: &str = "fulcrum.toml";
/// As `nice` counts.
const LEAST_URGENT: i32 = 19;

fn main() {
    if !rustix::process::getpid().is_init() {
        eprintln!("fulcrum-init: this is PID 1 of the appliance image and of nothing else");
        std::process::exit(2);
    }
    // Anything but an orderly end is a panic of the kernel, and so a reboot.
    let end = boot();
    power::off(end)
}

fn boot() -> End {
    mounts::early();
    log::line("Fulcrum starts");
    open_files::allow(Path::new("/"));
    let line = CommandLine::running();
    let lists = Path::new(LISTS);
    let sys = Path::new("/sys");
    let modules = Arc::new(Loader::open(&lists.join("modules"), sys));
    std::thread::scope(|scope| {
        // The kernel clears them one by one: seconds on a large machine.
        scope.spawn(|| huge_pages::reserve(Path::new("/"), line.value("fulcrum.hugepages")));
        scope.spawn(|| {
            modules.load(Part::Network, || false);
            nics::take(sys, &lists.join("nics"), &line);
        });
        modules.load(Part::State, state::is_there);
        loopback::up();
        state::mount_folder();
    });
    mounts::seal();
    let (send, watchdogs) = mpsc::channel();
    let trial = line.value("fulcrum.trial").and_then(|seconds| seconds.parse().ok());
    let trial = trial.map_or(Guard::TRIAL, Duration::from_secs);
    let guard = Guard::new(Watchdogs::coming(watchdogs), Instant::now(), trial);
    let keeper = Keeper::new(guard);
    // Whoever asks for an orderly end may do so as soon as there is forwarding.
    let mut buttons = BTreeSet::new();
    button::watch(&mut buttons);
    let later = std::thread::spawn(move || {
        let _ = rustix::process::nice(LEAST_URGENT);
        modules.load(Part::State, || false);
        modules.load(Part::Later, || false);
        Watchdogs::open(Path::new("/"), &send);
        button::watch(&mut buttons);
    });
    let folder = Path::new(state::FOLDER);
    wish::fulfil(folder);
    let configuration = folder.join(CONFIGURATION);
    if !configuration.exists() {
        // Answers may lie on any disk.
        let _ = later.join();
    }
    keeper.run(&configuration, &slots::Booted(&line))
}
