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
/// The device makes new clients by adding to one word of an address what it takes from the last
/// one, up to 14 bits.
const FIRST_CLIENT: u32 = 0x4000;
/// Without the checksum of 4 bytes that the wire adds. A NIC's smallest frame has 60; with 64 the
/// payload of IPv6 UDP has somewhere to be.
const SMALLEST: usize = 64;

/// What a trace consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Connections, each one frame.
    pub flows: u32,
    /// IPv6, not IPv4.
    pub ipv6: bool,
    /// TCP, not UDP. SYNs until each was sent on, then ACKs.
    pub tcp: bool,
    /// The device is the real servers, too: half of the frames are replies, made of what was sent.
    pub replies: bool,
    /// A flow's replies come in by another queue than its requests, where there are several.
    pub apart: bool,
    /// TCP: each flow is a place for one connection after the other, from SYN to FIN, places next
    /// to each other at different segments. Four segments each, eight with replies.
    pub opening: bool,
    /// Of the flows, once all are open, only this many go on; 0: all of them.
    pub active: u32,
    /// The device looks for polls that come late, which costs it a little.
    pub gaps: bool,
    /// The device says nothing of checksums, as virtio does.
    pub unchecked: bool,
}

impl Trace {
    /// The service's port.
    pub const PORT: u16 = 53;

    /// Segments that a connection has, where one follows the other.
    pub const fn segments(&self) -> u64 {
        if self.replies { 8 } else { 4 }
    }

    /// Frames in one pass over what the device delivers once all connections are open.
    pub const fn frames(&self) -> u64 {
        let flows = if self.active == 0 { self.flows } else { self.active };
        flows as u64 * if self.replies && !self.opening { 2 } else { 1 }
    }

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
        header[3] = u64::from(self.tcp) | u64::from(self.replies) << 32;
        header[4] = u64::from(self.apart) | u64::from(self.opening) << 32;
        header[5] = u64::from(self.active) | u64::from(self.gaps) << 32;
        header[6] = u64::from(self.unchecked);
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
        let client = FIRST_CLIENT + n / FLOWS_PER_CLIENT;
        let port = 1024 + (n % FLOWS_PER_CLIENT) as u16;
        let client = match self.ipv6 {
            false => IpAddr::V4(Ipv4Addr::from(0x1000_0000 + client)),
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
            let trace = Trace { flows: 100, ipv6, tcp, ..Trace::default() };
            let mut frames: Vec<_> = (0..trace.flows).map(|n| trace.frame(n)).collect();
            assert!(frames.iter().all(|frame| frame.len() == length), "{trace:?}");
            frames.dedup();
            assert_eq!(frames.len(), 100);
        }
    }

    #[test]
    fn the_file_is_header_and_frames() {
        let path = std::env::temp_dir().join(format!("incore-trace-{}", std::process::id()));
        let yes = Trace { ipv6: true, tcp: true, replies: true, apart: true, ..Trace::default() };
        let trace =
            Trace { flows: 3, active: 2, opening: true, gaps: true, unchecked: true, ..yes };
        trace.write(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(bytes.len(), 64 + 3 * 128);
        assert_eq!(&bytes[..16], b"FINCTRC1\x03\0\0\0\x80\0\0\0");
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let words: Vec<u32> = (16..56).step_by(4).map(word).collect();
        assert_eq!(words, [74, 1, 1, 1, 1, 1, 2, 1, 1, 0]);
        assert_eq!(bytes[64 + 128..][..74], trace.frame(1));
    }
}
