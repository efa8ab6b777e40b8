//! Devices that the data plane can be told to drive.

use crate::finding::Problem;
use crate::net::clip;
use std::fmt;
use std::str::FromStr;

/// What the data plane drives as a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Device {
    /// A device on a bus, by its address: `0000:03:00.0` (PCI) or a VMBus UUID, in lower case.
    Bus(String),
    /// A DPDK virtual device.
    Virtual {
        /// Poll mode driver, for example `af_packet`.
        driver: String,
        /// What follows the colon; may be empty.
        argument: String,
    },
}

/// Poll mode drivers that a virtual device may name without anything else being loaded.
pub(crate) const VIRTUAL_DRIVERS: &[&str] =
    &["af_packet", "af_xdp", "memif", "null", "pcap", "ring", "tap", "vhost", "virtio_user"];

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(address) => f.write_str(address),
            Self::Virtual { driver, argument } if argument.is_empty() => f.write_str(driver),
            Self::Virtual { driver, argument } => write!(f, "{driver}:{argument}"),
        }
    }
}

impl FromStr for Device {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.bytes().any(|b| b.is_ascii_control() || b == b' ') || text.len() > 256 {
            return Err(device_problem(text));
        }
        if let Some(address) = pci_address(text).or_else(|| vmbus_uuid(text)) {
            return Ok(Self::Bus(address));
        }
        let (driver, argument) = text.split_once(':').unwrap_or((text, ""));
        let named = driver.starts_with(|c: char| c.is_ascii_lowercase())
            && driver.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if named && driver.len() <= 32 {
            Ok(Self::Virtual { driver: driver.into(), argument: argument.into() })
        } else {
            Err(device_problem(text))
        }
    }
}

fn device_problem(text: &str) -> Problem {
    Problem::new(
        format!("\"{}\" is neither a PCI address nor PMD:argument", clip(text)),
        "\"0000:03:00.0\" for a NIC, or \"af_packet:lb0\" for a virtual device",
    )
}

/// `[DDDD:]BB:DD.F` in full form. The domain may be left out.
fn pci_address(text: &str) -> Option<String> {
    let (bus_part, function) = text.rsplit_once('.')?;
    let function = hex(function, 1).filter(|&function| function < 8)?;
    let mut parts = bus_part.rsplit(':');
    let device = hex(parts.next()?, 2).filter(|&device| device < 32)?;
    let bus = hex(parts.next()?, 2)?;
    let domain = parts.next().map_or(Some(0), |part| hex(part, 4))?;
    parts.next().is_none().then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
}

fn vmbus_uuid(text: &str) -> Option<String> {
    let lengths = text.split('-').map(|part| hex_digits(part).then_some(part.len()));
    lengths.eq([8, 4, 4, 4, 12].map(Some)).then(|| text.to_ascii_lowercase())
}

fn hex(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && hex_digits(text)).then(|| u32::from_str_radix(text, 16).ok())?
}

fn hex_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_bus_address_or_driver() {
        for (text, shown) in [
            ("03:00.0", "0000:03:00.0"),
            ("0000:AF:1f.7", "0000:af:1f.7"),
            ("af_packet:lb0", "af_packet:lb0"),
            ("null", "null"),
            ("pcap:rx_pcap=a.pcap,tx_pcap=b.pcap", "pcap:rx_pcap=a.pcap,tx_pcap=b.pcap"),
            ("635a7ae3-091e-4410-ad59-667c4f8c04c3", "635a7ae3-091e-4410-ad59-667c4f8c04c3"),
        ] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), shown);
        }
        for bad in ["", "0000:03:20.0", "03:00.8", "3:0.0", "eth 0", "AF_PACKET:lb0", ":lb0"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
