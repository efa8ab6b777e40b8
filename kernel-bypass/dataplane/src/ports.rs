//! Ports brought up, with their companions, and their queues dealt out to the workers.

use crate::args::{Args, PortArg};
use crate::egress::{Handover, Outlet, PortOutlets};
use crate::worker::Intake;
use anyhow::{Context, Result, ensure};
use api::{MAX_PORTS, PortId, PortStatus};
use crossbeam::queue::ArrayQueue;
use nic_dpdk::{
    Companion, CompanionKind, Device, Eal, Mbuf, Pool, Port, PortConfig, Queues, RxQueue, Started,
    TxQueue,
};
use std::path::Path;
use std::sync::Arc;

/// Packets that may wait for a queue of another worker.
const HANDOVER: usize = 1024;

/// One port with its companion.
pub struct Pair {
    /// Dropped when its device was taken out of the machine and no worker polls it any more: the
    /// kernel may wait for that.
    port: Option<Port<Started>>,
    _companion: Option<Port<Started>>,
    status: PortStatus,
}

/// What one worker gets of all ports.
pub struct Share {
    /// By port.
    pub intakes: Vec<Intake<RxQueue>>,
    /// By port.
    pub outlets: Vec<PortOutlets<TxQueue>>,
}

/// Brings all ports up, in order, and deals their queues out. Where it is a `successor` who asks, a
/// NIC that is not in the machine was taken out of it; before the first start, its name may be a slip.
///
/// # Errors
/// When a device cannot be used; the message names it.
pub fn bring_up(
    eal: &Eal,
    pool: &Pool,
    args: &Args,
    successor: bool,
) -> Result<(Vec<Pair>, Vec<Share>)> {
    ensure!(args.ports.len() <= MAX_PORTS, "at most {MAX_PORTS} ports");
    let workers = usize::from(args.workers);
    let mut shares: Vec<Share> =
        (0..workers).map(|_| Share { intakes: Vec::new(), outlets: Vec::new() }).collect();
    let mut pairs = Vec::new();
    for (number, port) in args.ports.iter().enumerate() {
        let device: Device = port.device.parse()?;
        let config = PortConfig { queues: args.workers, mtu: args.mtu, ..PortConfig::default() };
        let wire = match successor && device.is_missing(Path::new("/sys")) {
            true => None,
            false => Some(Port::probe(eal, &device, &config)?.configure(pool)?.start()?),
        };
        let (wire, queues) = wire.unzip();
        let mac = wire.as_ref().map_or(stand_in(number), Port::mac);
        let companion = match args.no_companion {
            true => None,
            false => Some(companion(eal, pool, &port.name, mac, args)?),
        };
        let (companion, host) = companion.unzip();
        deal(number as PortId, queues, host, &mut shares);
        pairs.push(Pair::new(port, mac, wire, companion));
    }
    Ok((pairs, shares))
}

/// The Ethernet address of a companion whose port has none, as it is not there.
fn stand_in(number: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, number as u8]
}

fn companion(
    eal: &Eal,
    pool: &Pool,
    name: &str,
    mac: [u8; 6],
    args: &Args,
) -> Result<(Port<Started>, Queues)> {
    let wanted = Companion {
        name: name.into(),
        mac,
        queues: args.workers,
        mtu: args.mtu,
        by: CompanionKind::available(),
    };
    let made = Port::companion(eal, &wanted).and_then(|p| p.configure(pool)?.start());
    made.with_context(|| format!("companion interface {name}"))
}

/// Queue `n` goes to worker `n`. Where there are fewer queues than workers, the others receive
/// nothing from this port and hand their packets to the worker whose number is theirs modulo the
/// number of queues.
fn deal(port: PortId, wire: Option<Queues>, host: Option<Queues>, shares: &mut [Share]) {
    let [(wire_rx, wire_tx), (host_rx, host_tx)] = [wire, host].map(|queues| match queues {
        Some(queues) => dealt(queues, shares.len()),
        None => (none(shares.len()), shares.iter().map(|_| Outlet::None).collect()),
    });
    let rx = wire_rx.into_iter().zip(host_rx);
    let tx = wire_tx.into_iter().zip(host_tx);
    for (share, ((wire_rx, host_rx), (wire_tx, host_tx))) in shares.iter_mut().zip(rx.zip(tx)) {
        share.intakes.push(Intake { port, wire: wire_rx, host: host_rx });
        share.outlets.push(PortOutlets { wire: wire_tx, host: host_tx });
    }
}

fn none<T>(count: usize) -> Vec<Option<T>> {
    (0..count).map(|_| None).collect()
}

type Dealt = (Vec<Option<RxQueue>>, Vec<Outlet<TxQueue>>);

fn dealt(queues: Queues, workers: usize) -> Dealt {
    let owners = queues.tx.len();
    let handovers: Vec<Option<Handover<Mbuf>>> = (0..owners)
        .map(|_| (owners < workers).then(|| Arc::new(ArrayQueue::new(HANDOVER))))
        .collect();
    let mut rx: Vec<Option<RxQueue>> = queues.rx.into_iter().map(Some).collect();
    rx.resize_with(workers, || None);
    let mut tx: Vec<Outlet<TxQueue>> = queues
        .tx
        .into_iter()
        .zip(&handovers)
        .map(|(queue, handover)| Outlet::own(queue, handover.clone()))
        .collect();
    for worker in owners..workers {
        tx.push(match &handovers[worker % owners] {
            Some(handover) => Outlet::Handed(handover.clone()),
            None => Outlet::None,
        });
    }
    (rx, tx)
}

impl Pair {
    fn new(
        arg: &PortArg,
        mac: [u8; 6],
        port: Option<Port<Started>>,
        companion: Option<Port<Started>>,
    ) -> Self {
        let status = PortStatus {
            name: arg.name.clone(),
            device: arg.device.clone(),
            driver: port.as_ref().map_or("", Port::driver).into(),
            mac,
            link_up: port.as_ref().is_some_and(|port| port.link().up),
            companion: companion.is_some(),
            removed: port.is_none(),
        };
        let PortStatus { name, device, driver, .. } = &status;
        match &port {
            Some(port) => {
                let mac = mac_text(mac);
                log::info!("{name}: {device} ({driver}), {} queues, {mac}", port.queues());
            }
            None => tell_of_removal(&status),
        }
        Self { port, _companion: companion, status }
    }

    /// As control was told last.
    pub fn status(&self) -> &PortStatus {
        &self.status
    }

    /// Looks at the device anew.
    pub fn look(&mut self) {
        let Some(port) = &self.port else { return };
        if !port.is_removed() {
            self.status.link_up = port.link().up;
            return;
        }
        if !self.status.removed {
            (self.status.removed, self.status.link_up) = (true, false);
            tell_of_removal(&self.status);
        }
        if port.is_idle() {
            self.port = None;
        }
    }
}

fn tell_of_removal(PortStatus { name, device, .. }: &PortStatus) {
    log::error!(
        "{name}: {device} was taken out of the machine; the other ports go on. Put it, or another \
         NIC, in that place and restart the machine, or take the interface out of the configuration"
    );
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
