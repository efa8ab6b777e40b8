//! A device as the operator writes it: a PCI address, or `PMD:argument` for a virtual one.

use crate::packet_socket::{RingLayout, page_size};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// One device of the configuration.
///
/// | written | driver |
/// |---|---|
/// | `0000:01:00.0[,key=value…]`, `01:00.0` | the PCI NIC |
/// | `af_packet:IFACE[,key=value…]` | a kernel interface by packet sockets |
/// | `af_xdp:IFACE[,…]` | a kernel interface by XDP sockets |
/// | `tap:NAME[,…]` | a new TAP interface |
/// | `pcap:rx=FILE,tx=FILE[,…]` | capture files |
/// | `memif:key=value,…`, `virtio_user:key=value,…` | as their drivers say |
/// | `vhost:SOCKET[,…]` | a vhost-user socket |
/// | `ring`, `null`, `ring:key=value,…` | inside the process |
/// | `net_xxx…` | passed to DPDK as it is, for drivers loaded by `-d` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Pci { devargs: String },
    Virtual { pmd: Pmd, arguments: String },
    AsWritten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pmd {
    AfPacket,
    AfXdp,
    Tap,
    Pcap,
    Memif,
    VirtioUser,
    Vhost,
    Ring,
    Null,
}

/// A device that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither a PCI address nor a known virtual device.
    #[error(
        "{0:?} names no device: write a PCI address (0000:01:00.0), one of af_packet:IFACE, \
         af_xdp:IFACE, tap:NAME, pcap:rx=FILE,tx=FILE, memif:…, virtio_user:…, vhost:SOCKET, ring, \
         null, or a DPDK device (net_…)"
    )]
    Unknown(String),
    /// A virtual device without what it needs.
    #[error("{device:?}: {missing}")]
    Missing {
        /// As written.
        device: String,
        /// What to write.
        missing: &'static str,
    },
    /// Characters that DPDK would read as something else.
    #[error("{0:?} holds a character that no device has (white space, a control character)")]
    Character(String),
}

/// What a virtual device is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Its number among the virtual devices.
    pub index: u32,
    /// Queues in each direction.
    pub queues: u16,
    /// Largest layer 3 packet, in bytes.
    pub mtu: u16,
}

impl Device {
    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The kernel interface behind an `af_packet` or `af_xdp` device.
    pub fn kernel_interface(&self) -> Option<&str> {
        match &self.kind {
            Kind::Virtual { pmd: Pmd::AfPacket | Pmd::AfXdp, arguments } => {
                Some(arguments.split(',').next().unwrap_or(arguments))
            }
            _ => None,
        }
    }

    /// Whether it is a PCI device and the machine has none at that address. `sys` is `/sys`.
    pub fn is_missing(&self, sys: &Path) -> bool {
        let Kind::Pci { devargs } = &self.kind else { return false };
        let address = devargs.split(',').next().unwrap_or(devargs);
        !sys.join("bus/pci/devices").join(address).exists()
    }

    pub(crate) fn is_xdp(&self) -> bool {
        matches!(self.kind, Kind::Virtual { pmd: Pmd::AfXdp, .. })
    }

    /// The rings that DPDK is told to make, of an `af_packet` device in either way of writing it.
    pub(crate) fn packet_rings(devargs: &str) -> Option<RingLayout> {
        if !devargs.starts_with(Pmd::AfPacket.driver()) {
            return None;
        }
        let number = |key, default| {
            let mut pairs = devargs.split(',').filter_map(|pair| pair.split_once('='));
            match pairs.find(|(name, _)| *name == key) {
                Some((_, value)) => value.parse::<u32>().ok(),
                None => Some(default),
            }
        };
        // The driver's own defaults.
        let (frame, block) = (number("framesz", 2048)?, number("blocksz", page_size())?);
        let bypass = number("qdisc_bypass", 1)? != 0;
        let whole = frame != 0 && block >= frame;
        whole.then_some(RingLayout { frame, block, frames: number("framecnt", 512)?, bypass })
    }

    /// What DPDK is given to probe.
    pub(crate) fn devargs(&self, shape: Shape) -> String {
        match &self.kind {
            Kind::Pci { devargs } => devargs.clone(),
            Kind::AsWritten => self.text.clone(),
            Kind::Virtual { pmd, arguments } => pmd.devargs(arguments, shape),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(DeviceError::Character(text.into()));
        }
        let kind = if let Some(devargs) = pci(text) {
            Kind::Pci { devargs }
        } else if text.strip_prefix("net_").is_some_and(|rest| !rest.is_empty()) {
            Kind::AsWritten
        } else {
            let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
            let pmd = Pmd::by_name(name).ok_or_else(|| DeviceError::Unknown(text.into()))?;
            if let Some(missing) = pmd.missing(arguments) {
                return Err(DeviceError::Missing { device: text.into(), missing });
            }
            Kind::Virtual { pmd, arguments: arguments.into() }
        };
        Ok(Self { text: text.into(), kind })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `[DDDD:]BB:DD.F[,key=value…]`, with the domain filled in.
fn pci(text: &str) -> Option<String> {
    let (address, arguments) = match text.split_once(',') {
        Some((address, arguments)) => (address, Some(arguments)),
        None => (text, None),
    };
    let parts: Vec<&str> = address.split([':', '.']).collect();
    let hex = |part: &&str, digits| part.len() == digits && u32::from_str_radix(part, 16).is_ok();
    let full = match parts.as_slice() {
        [domain, bus, slot, function]
            if hex(domain, 4) && hex(bus, 2) && hex(slot, 2) && hex(function, 1) =>
        {
            format!("{domain}:{bus}:{slot}.{function}")
        }
        [bus, slot, function] if hex(bus, 2) && hex(slot, 2) && hex(function, 1) => {
            format!("0000:{bus}:{slot}.{function}")
        }
        _ => return None,
    };
    // The separators, which the split did not look at.
    if !address.ends_with(&full[full.len() - 7..]) {
        return None;
    }
    Some(match arguments {
        Some(arguments) => format!("{full},{arguments}"),
        None => full,
    })
}

impl Pmd {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "af_packet" => Self::AfPacket,
            "af_xdp" => Self::AfXdp,
            "tap" => Self::Tap,
            "pcap" => Self::Pcap,
            "memif" => Self::Memif,
            "virtio_user" => Self::VirtioUser,
            "vhost" => Self::Vhost,
            "ring" => Self::Ring,
            "null" => Self::Null,
            _ => return None,
        })
    }

    /// What an argument lacks.
    fn missing(self, arguments: &str) -> Option<&'static str> {
        let first = arguments.split(',').next().unwrap_or("");
        let named = !first.is_empty() && !first.contains('=');
        match self {
            Self::AfPacket | Self::AfXdp => (!named || first.len() > 15)
                .then_some("name the interface, for example af_packet:lb0"),
            Self::Tap => (!named || first.len() > 15)
                .then_some("name the interface to make, for example tap:lab0"),
            Self::Pcap => (!arguments.split(',').any(|pair| pair.contains('=')))
                .then_some("name the files, for example pcap:rx=in.pcap,tx=out.pcap"),
            Self::VirtioUser => (!arguments.split(',').any(|pair| pair.starts_with("path=")))
                .then_some("name the back end, for example virtio_user:path=/dev/vhost-net"),
            Self::Vhost => (!named).then_some("name the socket, for example vhost:/run/vm1.sock"),
            Self::Memif | Self::Ring | Self::Null => None,
        }
    }

    fn devargs(self, arguments: &str, shape: Shape) -> String {
        let Shape { index, queues, mtu } = shape;
        let mut line = Line::new(format!("{}{index}", self.driver()));
        match self {
            Self::AfPacket => {
                line.first("iface", arguments);
                line.unless_given("qpairs", queues);
                let rings = rings_for_mtu(mtu);
                line.unless_given("blocksz", rings.block);
                line.unless_given("framesz", rings.frame);
                line.unless_given("framecnt", rings.frames);
            }
            Self::AfXdp => {
                line.first("iface", arguments);
                line.unless_given("queue_count", queues);
            }
            Self::Tap => line.first("iface", arguments),
            Self::Vhost => {
                line.first("iface", arguments);
                line.unless_given("queues", queues);
            }
            Self::Pcap => {
                for pair in arguments.split(',') {
                    line.push(match pair.split_once('=') {
                        Some(("rx", file)) => format!("rx_pcap={file}"),
                        Some(("tx", file)) => format!("tx_pcap={file}"),
                        _ => pair.to_owned(),
                    });
                }
            }
            Self::VirtioUser => {
                line.rest(arguments);
                line.unless_given("queues", queues);
            }
            Self::Memif | Self::Ring | Self::Null => line.rest(arguments),
        }
        line.0
    }

    fn driver(self) -> &'static str {
        match self {
            Self::AfPacket => "net_af_packet",
            Self::AfXdp => "net_af_xdp",
            Self::Tap => "net_tap",
            Self::Pcap => "net_pcap",
            Self::Memif => "net_memif",
            Self::VirtioUser => "net_virtio_user",
            Self::Vhost => "net_vhost",
            Self::Ring => "net_ring",
            Self::Null => "net_null",
        }
    }
}

/// The rings of a packet socket: slots for the socket's own header, an Ethernet header with two tags
/// and the packet, a power of two; and of them what holds a few milliseconds of small packets.
fn rings_for_mtu(mtu: u16) -> RingLayout {
    const OVERHEAD: u32 = 128;
    const BYTES: u32 = 8 << 20;
    let frame = (u32::from(mtu) + OVERHEAD).next_power_of_two().max(2048);
    RingLayout { frame, block: frame.max(1 << 16), frames: BYTES / frame, bypass: true }
}

/// A device and its arguments, as DPDK reads them.
struct Line(String);

impl Line {
    fn new(name: String) -> Self {
        Self(name)
    }

    fn push(&mut self, pair: String) {
        self.0.push(',');
        self.0.push_str(&pair);
    }

    fn rest(&mut self, arguments: &str) {
        if !arguments.is_empty() {
            self.push(arguments.to_owned());
        }
    }

    /// The first word is the value of `key`, what follows is passed on.
    fn first(&mut self, key: &str, arguments: &str) {
        self.push(format!("{key}={arguments}"));
    }

    fn unless_given(&mut self, key: &str, value: impl fmt::Display) {
        if !self.0.split(',').any(|pair| pair.split('=').next() == Some(key)) {
            self.push(format!("{key}={value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devargs(text: &str) -> String {
        let device: Device = text.parse().unwrap_or_else(|error| panic!("{error}"));
        device.devargs(Shape { index: 3, queues: 2, mtu: 1500 })
    }

    #[test]
    fn only_a_pci_device_is_missing_where_sysfs_has_none() {
        let sys = std::env::temp_dir().join(format!("fulcrum-device-{}", std::process::id()));
        std::fs::create_dir_all(sys.join("bus/pci/devices/0000:3b:00.1")).unwrap();
        let missing = |text: &str| text.parse::<Device>().unwrap().is_missing(&sys);
        assert!(!missing("3b:00.1") && !missing("0000:3b:00.1,mac=1"));
        assert!(missing("0000:3b:00.2"));
        assert!(!missing("tap:x0") && !missing("net_lab0"), "nobody knows");
        std::fs::remove_dir_all(sys).unwrap();
    }

    #[test]
    fn every_form_reaches_dpdk() {
        for (written, passed) in [
            ("0000:01:00.0", "0000:01:00.0"),
            ("3b:00.1", "0000:3b:00.1"),
            ("0000:01:00.0,mac=1", "0000:01:00.0,mac=1"),
            (
                "af_packet:lb0",
                "net_af_packet3,iface=lb0,qpairs=2,blocksz=65536,framesz=2048,framecnt=4096",
            ),
            (
                "af_packet:lb0,qpairs=1,framesz=4096",
                "net_af_packet3,iface=lb0,qpairs=1,framesz=4096,blocksz=65536,framecnt=4096",
            ),
            ("af_xdp:lb0", "net_af_xdp3,iface=lb0,queue_count=2"),
            ("tap:x0,mac=fixed", "net_tap3,iface=x0,mac=fixed"),
            ("pcap:rx=a.pcap,tx=b.pcap", "net_pcap3,rx_pcap=a.pcap,tx_pcap=b.pcap"),
            ("pcap:iface=lo", "net_pcap3,iface=lo"),
            ("virtio_user:path=/dev/vhost-net", "net_virtio_user3,path=/dev/vhost-net,queues=2"),
            ("vhost:/run/a.sock,client=1", "net_vhost3,iface=/run/a.sock,client=1,queues=2"),
            ("memif:role=server,id=0", "net_memif3,role=server,id=0"),
            ("ring", "net_ring3"),
            ("null:size=64,copy=1", "net_null3,size=64,copy=1"),
            ("net_lab0,flows=10", "net_lab0,flows=10"),
        ] {
            assert_eq!(devargs(written), passed, "{written}");
        }
    }

    #[test]
    fn what_is_no_device_says_what_to_write() {
        for wrong in ["", "eth0", "net_", "0000:01:00", "1:2:3", "zz:00.0", "01.00:0", "01:00:0"] {
            let error = wrong.parse::<Device>().unwrap_err();
            assert_eq!(error, DeviceError::Unknown(wrong.into()), "{wrong}");
        }
        for wrong in [
            "af_packet:",
            "af_packet",
            "af_packet:qpairs=1",
            "af_packet:an-interface-name-too-long",
            "tap:",
            "pcap:file",
            "vhost:",
            "virtio_user:queues=1",
        ] {
            let error = wrong.parse::<Device>().unwrap_err();
            assert!(matches!(error, DeviceError::Missing { .. }), "{wrong}: {error}");
        }
        for wrong in ["tap:a b", "null\n", "net_x\0"] {
            let error = wrong.parse::<Device>().unwrap_err();
            assert!(matches!(error, DeviceError::Character(_)), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_rings_are_those_that_dpdk_was_told() {
        for (written, frame, block, frames, bypass) in [
            ("af_packet:lb0", 2048, 65_536, 4096, true),
            ("af_packet:lb0,framesz=4096,framecnt=8,qdisc_bypass=0", 4096, 65_536, 8, false),
            ("net_af_packet0,iface=lb0,blocksz=8192", 2048, 8192, 512, true),
        ] {
            let rings = Device::packet_rings(&devargs(written));
            assert_eq!(rings, Some(RingLayout { frame, block, frames, bypass }), "{written}");
        }
        for no_rings in ["net_af_packet0,framesz=0", "net_af_packet0,framecnt=x", "net_tap0"] {
            assert_eq!(Device::packet_rings(no_rings), None, "{no_rings}");
        }
    }

    #[test]
    fn packet_rings_fit_their_frames() {
        for mtu in [1280, 1500, 1920, 1921, 3000, 9000] {
            let ring = rings_for_mtu(mtu);
            assert!(ring.frame >= u32::from(mtu) + 18 + 64);
            assert_eq!(ring.block % 4096, 0);
            assert_eq!(ring.block % ring.frame, 0);
            assert_eq!(ring.frames % (ring.block / ring.frame), 0);
        }
    }
}
