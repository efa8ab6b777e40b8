//! The frames that the device delivers, one per flow.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use wire::{Packet, TcpFlags, build::Build};

/// The device's own address.
pub const PORT_MAC: [u8; 6] = [0x02, 0x69, 0x6e, 0x63, 0x6f, 0x00];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAGIC: u64 = 0x3143_5254_434e_4946;
const HEADER_WORDS: usize = 8;
/// Clients have this many flows each.
const FLOWS_PER_CLIENT: u32 = 16;
/// Without the checksum of 4 bytes that the wire adds. A NIC's smallest frame has 60; with 64 the
/// payload of IPv6 UDP has somewhere to be.
const SMALLEST: usize = 64;

/// What a trace consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Connections, each one frame.
    pub flows: u32,
    /// IPv6, not IPv4.
    pub ipv6: bool,
    /// TCP, not UDP. SYNs until each was sent on, then ACKs.
    pub tcp: bool,
}

impl Trace {
    /// The service's port.
    pub const PORT: u16 = 53;

    /// The service's address.
    pub const fn service(&self) -> IpAddr {
        match self.ipv6 {
            false => IpAddr::V4(Ipv4Addr::new(10, 9, 0, 100)),
            true => IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 0x100)),
        }
    }

    /// Writes the file that the device reads.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(fs::File::create(path)?);
        let length = self.frame(0).len();
        let stride = length.next_multiple_of(64);
        let mut header = [0; HEADER_WORDS];
        header[0] = MAGIC;
        header[1] = u64::from(self.flows) | (stride as u64) << 32;
        header[2] = length as u64 | u64::from(self.ipv6) << 32;
        header[3] = u64::from(self.tcp);
        for word in header {
            file.write_all(&word.to_le_bytes())?;
        }
        for n in 0..self.flows {
            let mut frame = self.frame(n);
            frame.resize(stride, 0);
            file.write_all(&frame)?;
        }
        file.flush()
    }

    fn frame(&self, n: u32) -> Vec<u8> {
        let client = n / FLOWS_PER_CLIENT;
        let port = 1024 + (n % FLOWS_PER_CLIENT) as u16;
        let client = match self.ipv6 {
            false => IpAddr::V4(Ipv4Addr::from(0x0a10_0000 + client)),
            true => IpAddr::V6(Ipv6Addr::from((0xfd10 << 112) + u128::from(client))),
        };
        let build = Build::new(client, self.service()).macs(PORT_MAC, ROUTER_MAC);
        let frame = |payload: &[u8]| match self.tcp {
            true => build.tcp((port, Self::PORT), TcpFlags::SYN, (1, 1), payload),
            false => build.udp(port, Self::PORT, payload),
        };
        let bare = frame(&[]).bytes().len();
        frame(&vec![0; SMALLEST.saturating_sub(bare)]).bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_of_one_size_and_flows_differ() {
        for (ipv6, tcp, length) in
            [(false, false, 64), (false, true, 64), (true, false, 64), (true, true, 74)]
        {
            let trace = Trace { flows: 100, ipv6, tcp };
            let mut frames: Vec<_> = (0..trace.flows).map(|n| trace.frame(n)).collect();
            assert!(frames.iter().all(|frame| frame.len() == length), "{trace:?}");
            frames.dedup();
            assert_eq!(frames.len(), 100);
        }
    }

    #[test]
    fn the_file_is_header_and_frames() {
        let path = std::env::temp_dir().join(format!("incore-trace-{}", std::process::id()));
        let trace = Trace { flows: 3, ipv6: true, tcp: true };
        trace.write(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(bytes.len(), 64 + 3 * 128);
        assert_eq!(&bytes[..16], b"FINCTRC1\x03\0\0\0\x80\0\0\0");
        assert_eq!(bytes[64 + 128..][..74], trace.frame(1));
    }
}
