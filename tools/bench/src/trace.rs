//! The packets that every program under measurement gets: the same file, replayed from memory.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use wire::{Packet, build::Build};

/// A capture of one 60-byte frame (64 with its checksum) per flow, removed when dropped.
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    /// The virtual service that all flows go to.
    pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 100);
    /// Its UDP port.
    pub const PORT: u16 = 53;
    /// The address that DPDK's pcap driver gives its first port.
    const PORT_MAC: [u8; 6] = [0x02, 0x70, 0x63, 0x61, 0x70, 0x00];

    /// Writes a capture of `flows` flows, in an order that is no order in memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(flows: u32) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("fulcrum-bench-{}.pcap", std::process::id()));
        let file =
            fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut writer = nic::PcapWriter::new(std::io::BufWriter::new(file))?;
        for n in 0..flows {
            let client = Ipv4Addr::from(0x0a10_0000 + n / 16);
            let frame = Build::new(IpAddr::V4(client), IpAddr::V4(Self::VIP))
                .macs(Self::PORT_MAC, [2, 0, 0, 0, 0, 1])
                .udp(1024 + (n % 16) as u16, Self::PORT, &[0; 18]);
            writer.write(frame.bytes())?;
        }
        writer.into_inner().flush()?;
        Ok(Self { path })
    }

    /// A device that replays the capture for ever; `prefix` ends with the key of its path.
    pub fn device(&self, prefix: &str) -> String {
        format!("{prefix}{},infinite_rx=1", self.path.display())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
