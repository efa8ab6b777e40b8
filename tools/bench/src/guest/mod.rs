//! The data plane in a guest, as most of them will be: one virtio NIC, DPDK's driver for it, beside testpmd
//! in the same guest, program after program in one boot. The generator is at the other end of the NIC, in
//! memory that it shares with the guest, and sends as much as is taken.
//!
//! Where the guest's CPU can only be emulated, the same driver on the host's own CPU (`--here`) tells what is
//! the emulation's and what is the programs'.

mod forwarder;
mod initramfs;
pub mod inside;
mod load;
mod machine;

use crate::l4::mode;
use crate::median;
use crate::testpmd::Device;
use anyhow::{Context, Result, ensure};
use forwarder::{Forwarder, Spot, TESTPMD};
use incore::Trace;
use machine::{MAC, Machine, Parts};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What `bench guest` is told.
#[derive(clap::Args)]
pub struct Guest {
    /// Modes that are measured: dr, nat, snat, tun.
    #[arg(long, value_delimiter = ',', default_value = "dr,nat,snat,tun")]
    modes: Vec<String>,
    /// The forwarding mode of testpmd that they are beside: macswap, io, 5tswap.
    #[arg(long, default_value = "macswap")]
    reference: String,
    /// Runs of each program, in turn.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Seconds of a run.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Different flows.
    #[arg(long, default_value_t = 1000)]
    flows: u32,
    /// Length of frames with their check sequence.
    #[arg(long, default_value_t = 64)]
    size: u16,
    /// Folder of the appliance's image for virtual machines; `image-vm` beside this program without it.
    #[arg(long)]
    image: Option<PathBuf>,
    /// Data planes, each of which is measured; that of the image without it.
    #[arg(long)]
    dataplane: Vec<PathBuf>,
    /// The generator's executable; beside this one without it.
    #[arg(long)]
    generator: Option<PathBuf>,
    /// More properties of QEMU's NIC: packed=on, mrg_rxbuf=off, …
    #[arg(long, default_value = "rx_queue_size=1024,tx_queue_size=1024")]
    nic: String,
    /// No guest: its driver in a process of the host, at the other end of the same memory.
    #[arg(long)]
    here: bool,
    /// The host's CPU that the guest has.
    #[arg(long, default_value_t = 1)]
    guest_cpu: u16,
    /// The host's CPU that the generator has.
    #[arg(long, default_value_t = 0)]
    generator_cpu: u16,
    /// Do without huge pages on the host.
    #[arg(long)]
    no_huge: bool,
    /// Also print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What is measured.
struct Row {
    name: String,
    order: String,
    /// Million packets a second that came back; and for a second that the emulated CPU had.
    figures: [Vec<f64>; 2],
    /// Part of what was sent that did not come back.
    lost: Vec<f64>,
}

/// Measures every mode, and the reference.
///
/// # Errors
/// When the guest does not start, or a program in it does not forward.
pub fn run(args: &Guest) -> Result<()> {
    let folder = PathBuf::from(format!("/run/fulcrum-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {} (root is needed)", folder.display()))?;
    let result = if args.here { args.all_here(&folder) } else { args.all(&folder) };
    let _ = fs::remove_dir_all(&folder);
    result
}

impl Guest {
    fn all(&self, folder: &Path) -> Result<()> {
        let image = crate::beside(self.image.as_ref(), "image-vm")?;
        let kernel = image.join("vmlinuz");
        ensure!(kernel.is_file(), "{}: no image; run tools/image --flavour vm", image.display());
        let taken: Vec<_> = (1..).map(|n| format!("/dataplane-{n}")).zip(&self.dataplane).collect();
        let more: Vec<_> = taken.iter().map(|(at, file)| ((*file).clone(), at.clone())).collect();
        let initramfs = initramfs::write(folder, &image, &more)?;
        let image_has = vec!["/usr/bin/fulcrum-dataplane".to_owned()];
        let places: Vec<_> = more.iter().map(|(_, place)| place.clone()).collect();
        let mut rows = self.rows(if places.is_empty() { &image_has } else { &places })?;
        let nic = if self.nic.is_empty() { String::new() } else { format!(",{}", self.nic) };
        let parts = Parts {
            folder,
            kernel: &kernel,
            initramfs: &initramfs,
            nic: &nic,
            cpu: self.guest_cpu,
        };
        let mut machine = Machine::start(&parts)?;
        let idle = load::Idle::start(self, folder)?;
        machine.wait()?;
        drop(idle);
        self.measure(&mut Place::Guest(machine), folder, &mut rows)
    }

    fn all_here(&self, folder: &Path) -> Result<()> {
        let own = crate::beside(None, "fulcrum-dataplane")?;
        let executables =
            if self.dataplane.is_empty() { vec![own] } else { self.dataplane.clone() };
        let names: Vec<_> = executables.iter().map(|path| path.display().to_string()).collect();
        self.measure(&mut Place::Here(None), folder, &mut self.rows(&names)?)
    }

    /// Runs everything in turn, and prints what came of it.
    fn measure(&self, place: &mut Place, folder: &Path, rows: &mut [Row]) -> Result<()> {
        for _ in 0..self.runs.max(1) {
            for row in &mut *rows {
                self.one(place, folder, row)?;
            }
        }
        self.print(rows);
        Ok(())
    }

    /// The reference first.
    fn rows(&self, executables: &[String]) -> Result<Vec<Row>> {
        let mut rows = vec![Row::new(&self.reference, format!("{TESTPMD} {}", self.reference))];
        for name in &self.modes {
            mode(name)?;
            for (number, executable) in executables.iter().enumerate() {
                let title = match executables.len() {
                    1 => name.to_uppercase(),
                    _ => format!("{} [{}]", name.to_uppercase(), number + 1),
                };
                rows.push(Row::new(&title, format!("{executable} {name}")));
            }
        }
        Ok(rows)
    }

    fn one(&self, place: &mut Place, folder: &Path, row: &mut Row) -> Result<()> {
        // The driver agrees on features while somebody is there, and no later.
        let idle = load::Idle::start(self, folder)?;
        place.start(self, folder, &row.order)?;
        drop(idle);
        let (begun, before) = (Instant::now(), place.forwarding_cpu()?);
        let outcome = load::run(self, folder).with_context(|| row.name.clone())?;
        // It polls, so that it would have all of a CPU's time if nobody else wanted any.
        let share = match (before, place.forwarding_cpu()?) {
            (Some(before), Some(now)) => {
                (now - before).as_secs_f64() / begun.elapsed().as_secs_f64()
            }
            _ => 1.0,
        };
        place.stop()?;
        let rate = outcome.arrived / 1e6;
        row.figures[0].push(rate);
        row.figures[1].push(rate / share);
        row.lost.push(outcome.loss());
        Ok(())
    }

    fn print(&self, rows: &mut [Row]) {
        let Self { nic, size, flows, .. } = self;
        let place = match self.here {
            true => "a guest's driver on the host".to_owned(),
            false => format!("guest without KVM, one virtio NIC ({nic})"),
        };
        println!("{place}, {size} bytes, {flows} flows");
        println!(
            "{:<10} {:>8} {:>10} {:>7} {:>7}",
            "program", "Mpps", "Mpps/CPU-s", "ratio", "lost"
        );
        let mut base = None;
        for Row { name, figures, lost, .. } in rows {
            let [rate, by_cpu] = figures.each_mut().map(|figures| median(figures));
            let (lost, ratio) = (median(lost), by_cpu / *base.get_or_insert(by_cpu));
            println!("{name:<10} {rate:>8.3} {by_cpu:>10.3} {ratio:>7.3} {lost:>7.4}");
            if self.json {
                let row = json!({"program": name, "here": self.here, "mpps": rate,
                    "mpps_per_cpu_second": by_cpu, "ratio": ratio, "lost": lost});
                println!("{row}");
            }
        }
    }
}

/// Where the forwarders run.
enum Place {
    Guest(Machine),
    Here(Option<Forwarder>),
}

impl Place {
    fn start(&mut self, args: &Guest, folder: &Path, order: &str) -> Result<()> {
        let running = match self {
            Self::Guest(machine) => return machine.order(order),
            Self::Here(running) => running,
        };
        let socket = machine::socket(folder);
        let way = format!("path={},server=1,queue_size=1024,mac={MAC}", socket.display());
        let (device, port) = (format!("net_virtio_user0,{way}"), format!("virtio_user:{way}"));
        let spot = Spot {
            device: Device::Virtual(&device),
            port: &port,
            folder,
            table: folder,
            no_huge: args.no_huge,
            // The driver stumbles when the generator goes, and the run is over then.
            is_quiet: true,
            cpus: [args.generator_cpu, args.guest_cpu],
        };
        *running = Some(Forwarder::start(order, &spot)?);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        match self {
            Self::Guest(machine) => machine.order(inside::STOP),
            Self::Here(running) => {
                *running = None;
                Ok(())
            }
        }
    }

    /// CPU time of what forwards, where something emulates it.
    fn forwarding_cpu(&self) -> Result<Option<Duration>> {
        match self {
            Self::Guest(machine) => machine.forwarding_cpu().map(Some),
            Self::Here(_) => Ok(None),
        }
    }
}

impl Row {
    fn new(name: &str, order: String) -> Self {
        let figures = Default::default();
        Self { name: name.into(), order, figures, lost: Vec::new() }
    }
}

/// Who the service and its clients are.
fn trace() -> Trace {
    Trace { flows: 1, ..Trace::default() }
}
