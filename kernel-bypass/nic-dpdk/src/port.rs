//! Ports: what was probed becomes configured becomes started, and only a started port has queues.

use crate::companion::Companion;
use crate::device::{Device, Shape};
use crate::eal::Eal;
use crate::errno::Errno;
use crate::failure::{PortError, PortFailure};
use crate::handle::Handle;
use crate::packet_socket;
use crate::pool::Pool;
use crate::queue::{RxQueue, TxQueue};
use crate::removal;
use crate::setup::{Setup, TAP};
use crate::tap_signals;
use dpdk_sys as sys;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is wanted of a port.
#[derive(Clone, Copy, Debug)]
pub struct PortConfig {
    /// Receive and transmit queues, one pair per worker. A driver may offer fewer: see
    /// [`Port::queues`].
    pub queues: u16,
    /// Largest layer 3 packet, in bytes.
    pub mtu: u16,
    /// Receive descriptors per queue; the driver's limits apply.
    pub rx_descriptors: u16,
    /// Transmit descriptors per queue; the driver's limits apply.
    pub tx_descriptors: u16,
    /// Receive frames for other MAC addresses too.
    pub promiscuous: bool,
    /// Let the NIC verify checksums where it can.
    pub verify_checksums: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            queues: 1,
            mtu: 1500,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            promiscuous: false,
            verify_checksums: true,
        }
    }
}

/// State: known, not set up.
#[derive(Debug)]
pub struct Probed(());
/// State: has queues and buffers, does not move packets.
#[derive(Debug)]
pub struct Configured(());
/// State: moves packets.
#[derive(Debug)]
pub struct Started(());

/// A device under our control. Closed, and a virtual one removed, when it and its queues are dropped.
#[derive(Debug)]
pub struct Port<State> {
    handle: Arc<Handle>,
    device: String,
    config: PortConfig,
    queues: u16,
    driver: String,
    mac: [u8; 6],
    hashes: bool,
    state: State,
}

/// What a started port gives out: one pair of queues per worker.
#[derive(Debug)]
pub struct Queues {
    /// Receive queues, in order.
    pub rx: Vec<RxQueue>,
    /// Transmit queues, in order.
    pub tx: Vec<TxQueue>,
}

/// State of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Frames can pass.
    pub up: bool,
    /// Mbit/s, where known.
    pub mbps: Option<u32>,
}

/// The driver's own counters, since the port was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames lost because no descriptor was free: the workers were too slow.
    pub rx_missed: u64,
    /// Frames received broken.
    pub rx_errors: u64,
    /// Frames lost because the pool was empty.
    pub rx_no_buffer: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that the driver took and could not send.
    pub tx_errors: u64,
}

impl<State> Port<State> {
    /// The device, as the operator wrote it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The driver's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The port's MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Pairs of queues: what was wanted, or fewer where the driver offers no more.
    pub fn queues(&self) -> u16 {
        self.queues
    }

    /// Largest layer 3 packet, in bytes.
    pub fn mtu(&self) -> u16 {
        self.config.mtu
    }

    /// Whether arriving flows are spread over the queues by a hash that the NIC was told to use.
    pub fn spreads_flows(&self) -> bool {
        self.hashes && self.queues > 1
    }

    /// State of the wire, without waiting for it.
    pub fn link(&self) -> Link {
        let (mut mbps, mut up) = (0, 0);
        // SAFETY: the port exists as long as its handle; two integers are written.
        let result = unsafe { sys::shim_link(self.handle.id, &mut mbps, &mut up) };
        let known = result == 0 && mbps != 0 && mbps != u32::MAX;
        Link { up: result == 0 && up != 0, mbps: known.then_some(mbps) }
    }

    /// The driver's counters; all 0 where it has none.
    pub fn stats(&self) -> PortStats {
        let mut raw = MaybeUninit::<sys::rte_eth_stats>::zeroed();
        // SAFETY: the port exists as long as its handle; all zeroes is a value of this C struct.
        let raw = unsafe {
            sys::rte_eth_stats_get(self.handle.id, raw.as_mut_ptr());
            raw.assume_init()
        };
        PortStats {
            rx_packets: raw.ipackets,
            rx_bytes: raw.ibytes,
            rx_missed: raw.imissed,
            rx_errors: raw.ierrors,
            rx_no_buffer: raw.rx_nombuf,
            tx_packets: raw.opackets,
            tx_bytes: raw.obytes,
            tx_errors: raw.oerrors,
        }
    }

    fn fail(&self, failure: PortFailure) -> PortError {
        PortError { device: self.device.clone(), failure }
    }

    fn into<Next>(self, state: Next) -> Port<Next> {
        let Self { handle, device, config, queues, driver, mac, hashes, state: _ } = self;
        Port { handle, device, config, queues, driver, mac, hashes, state }
    }
}

impl Port<Probed> {
    /// Probes a device of the configuration.
    ///
    /// # Errors
    /// When no driver takes it, its driver cannot open it, or it cannot carry the wanted MTU.
    pub fn probe(eal: &Eal, device: &Device, config: &PortConfig) -> Result<Self, PortError> {
        let _one = one_at_a_time();
        match Self::probe_with(eal, device, config) {
            // Where others offer fewer queues, this driver refuses what the interface does not have.
            Err(_) if device.is_xdp() && config.queues > 1 => {
                Self::probe_with(eal, device, &PortConfig { queues: 1, ..*config })
            }
            result => result,
        }
    }

    /// Makes a companion: a new kernel interface whose other end is this port.
    ///
    /// # Errors
    /// When the interface cannot be made: no /dev/net/tun, no privilege, the name is taken.
    pub fn companion(eal: &Eal, companion: &Companion) -> Result<Self, PortError> {
        let _one = one_at_a_time();
        let devargs = companion.devargs(eal.next_virtual_device());
        Self::from_devargs(eal, &companion.name, &devargs, &companion.port_config())
    }

    /// Sets queues, buffers, offloads and the receive hash up.
    ///
    /// # Errors
    /// When the driver refuses something that it said it has, or a queue.
    pub fn configure(mut self, pool: &Pool) -> Result<Port<Configured>, PortError> {
        let handle = Arc::get_mut(&mut self.handle).expect("queues exist from the start on only");
        let setup =
            Setup { handle, config: &self.config, queues: self.queues, driver: &self.driver };
        let result = setup.run(pool);
        match result {
            Ok(hashes) => self.hashes = hashes,
            Err(failure) => return Err(self.fail(failure)),
        }
        Ok(self.into(Configured(())))
    }

    fn probe_with(eal: &Eal, device: &Device, config: &PortConfig) -> Result<Self, PortError> {
        let failed = |error: std::io::Error| PortError {
            device: device.text().into(),
            failure: PortFailure::PacketSocket(error.to_string()),
        };
        let index = eal.next_virtual_device();
        let queues = config.queues.max(1);
        let devargs = device.devargs(Shape { index, queues, mtu: config.mtu });
        let Some(rings) = Device::packet_rings(&devargs) else {
            return Self::from_devargs(eal, device.text(), &devargs, config);
        };
        let before = packet_socket::open().map_err(failed)?;
        let port = Self::from_devargs(eal, device.text(), &devargs, config)?;
        // SAFETY: the port was just made with these rings and is not started, and the sockets that
        // appeared are its own, since no other port was probed meanwhile.
        unsafe { packet_socket::replace_since(&before, rings) }.map_err(failed)?;
        Ok(port)
    }

    fn from_devargs(
        eal: &Eal,
        text: &str,
        devargs: &str,
        config: &PortConfig,
    ) -> Result<Self, PortError> {
        let failed = |failure| PortError { device: text.into(), failure };
        log::debug!("probing {devargs}");
        if devargs.starts_with(TAP) {
            tap_signals::withhold().map_err(|e| failed(PortFailure::TapSignals(e.to_string())))?;
        }
        let handle =
            Handle::probe(eal, devargs).map_err(|errno| failed(PortFailure::Probe(errno)))?;
        let info = handle.info().map_err(|errno| failed(PortFailure::Describe(errno)))?;
        let offered = info.max_rx_queues.min(info.max_tx_queues).max(1);
        let mac = mac(&handle).map_err(|errno| failed(PortFailure::Describe(errno)))?;
        if config.mtu < info.min_mtu || config.mtu > info.max_mtu {
            return Err(failed(PortFailure::Mtu {
                wanted: config.mtu,
                least: info.min_mtu,
                most: info.max_mtu,
            }));
        }
        Ok(Self {
            handle: Arc::new(handle),
            device: text.into(),
            config: *config,
            queues: config.queues.clamp(1, offered),
            driver: text_of(info.driver_name),
            mac,
            hashes: false,
            state: Probed(()),
        })
    }
}

impl Port<Configured> {
    /// Starts the device, and gives its queues out.
    ///
    /// # Errors
    /// When the driver does not start it.
    pub fn start(mut self) -> Result<(Port<Started>, Queues), PortError> {
        let handle = Arc::get_mut(&mut self.handle).expect("queues exist from the start on only");
        if let Err(errno) = handle.start() {
            return Err(self.fail(PortFailure::Start(errno)));
        }
        // SAFETY: the port is started with this many queues, and this is the only place that makes
        // them: each number goes to one owner.
        let queues = unsafe {
            Queues {
                rx: (0..self.queues).map(|queue| RxQueue::new(&self.handle, queue)).collect(),
                tx: (0..self.queues).map(|queue| TxQueue::new(&self.handle, queue)).collect(),
            }
        };
        Ok((self.into(Started(())), queues))
    }
}

impl Port<Started> {
    /// Whether its device is taken out of the machine. The port moves nothing more, and is to be
    /// dropped with its queues: the kernel may wait for that.
    pub fn is_removed(&self) -> bool {
        removal::is_noted(self.handle.id)
    }

    /// Whether all of its queues were dropped.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.handle) == 1
    }

    /// The state, for a reader of types: a started port moves packets until it and its queues go.
    pub fn state(&self) -> &Started {
        &self.state
    }
}

/// Held while a port is probed: what the process opens meanwhile is that port's.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static PROBING: Mutex<()> = Mutex::new(());
    PROBING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mac(handle: &Handle) -> Result<[u8; 6], Errno> {
    let mut mac = sys::rte_ether_addr { addr_bytes: [0; 6] };
    // SAFETY: the port exists as long as its handle; six bytes are written.
    Errno::check(unsafe { sys::rte_eth_macaddr_get(handle.id, &mut mac) })?;
    Ok(mac.addr_bytes)
}

fn text_of(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return "unknown".into();
    }
    // SAFETY: the driver's name, a static NUL-terminated text.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
