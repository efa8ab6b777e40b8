//! What went over an interface, and whether its checksums are right.

use crate::frame::{self, pseudo, sum};
use crate::lab::{Host, Process, until};
use anyhow::{Context, Result, bail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Frames of `interface` that match a tcpdump filter, from now on.
    pub fn start(host: &Host, interface: &str, filter: &str) -> Result<Self> {
        let name = format!("capture-{interface}");
        let file = host.folder().join(format!("{name}.pcap"));
        let mut command = host.command("tcpdump");
        command.args(["-n", "-U", "-Z", "root", "--immediate-mode", "-B", "65536"]);
        command.args(["-s", "0", "-i", interface, "-w"]).arg(&file).arg(filter);
        let _ = std::fs::remove_file(host.folder().join(format!("{name}.log")));
        let mut process = host.start(&name, command)?;
        until("start of tcpdump", Duration::from_secs(10), || {
            process.must_run()?;
            Ok(process.tail(5).contains("listening on").then_some(()))
        })?;
        Ok(Self { process, file })
    }

    /// Frames captured so far.
    pub fn len(&self) -> Result<usize> {
        Ok(parse_pcap(&std::fs::read(&self.file)?)?.len())
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Ends it and gives the frames. None may have been missed.
    pub fn finish(mut self) -> Result<Vec<Frame>> {
        self.process.stop(Duration::from_secs(10))?;
        let said = self.process.tail(5);
        if !said.contains("\n0 packets dropped by kernel") {
            bail!("the capture is not whole: {said}");
        }
        parse_pcap(&std::fs::read(&self.file)?)
    }
}

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub Vec<u8>);

/// The addresses and the payload of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip<'a> {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub target: IpAddr,
    /// Protocol, behind a fragment header.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Whether it is a piece of a larger packet.
    pub fragment: bool,
    /// What is behind the headers.
    pub payload: &'a [u8],
}

impl Frame {
    /// Destination Ethernet address.
    pub fn target_mac(&self) -> &[u8] {
        self.0.get(..6).unwrap_or_default()
    }

    /// Everything behind the Ethernet header, without padding.
    pub fn packet(&self) -> &[u8] {
        let bytes = self.0.get(14..).unwrap_or_default();
        let len = match bytes {
            [0x45..=0x4f, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            [0x60..=0x6f, _, _, _, high, low, ..] => {
                40 + usize::from(u16::from_be_bytes([*high, *low]))
            }
            _ => bytes.len(),
        };
        bytes.get(..len).unwrap_or(bytes)
    }

    /// Its IP packet, if it is one.
    pub fn ip(&self) -> Option<Ip<'_>> {
        parse_ip(self.packet())
    }

    /// What is wrong with its checksums.
    pub fn bad_checksum(&self) -> Option<&'static str> {
        let packet = self.packet();
        let ip = parse_ip(packet)?;
        let header = usize::from(packet[0] & 15) * 4;
        if ip.source.is_ipv4() && sum(&packet[..header], 0) != 0xffff {
            return Some("IPv4 header");
        }
        let whole = |protocol| {
            sum(ip.payload, pseudo(ip.source, ip.target, protocol, ip.payload.len())) == 0xffff
        };
        let right = match ip.protocol {
            _ if ip.fragment => true,
            frame::TCP | 58 => whole(ip.protocol),
            frame::UDP => {
                let none = ip.payload.get(6..8) == Some(&[0, 0]) && ip.source.is_ipv4();
                none || whole(frame::UDP)
            }
            1 => sum(ip.payload, 0) == 0xffff,
            _ => true,
        };
        (!right).then_some("transport")
    }
}

fn parse_ip(packet: &[u8]) -> Option<Ip<'_>> {
    match packet.first()? >> 4 {
        4 => {
            let header = packet.get(..20)?;
            let address = |at: usize| -> Option<IpAddr> {
                let octets: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            };
            Some(Ip {
                source: address(12)?,
                target: address(16)?,
                protocol: header[9],
                ttl: header[8],
                fragment: header[6] & 0x3f != 0 || header[7] != 0,
                payload: packet.get(usize::from(header[0] & 15) * 4..)?,
            })
        }
        6 => {
            let header = packet.get(..40)?;
            let address = |at: usize| -> Option<IpAddr> {
                let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            };
            let fragment = header[6] == 44;
            Some(Ip {
                source: address(8)?,
                target: address(24)?,
                protocol: if fragment { *packet.get(40)? } else { header[6] },
                ttl: header[7],
                fragment,
                payload: packet.get(if fragment { 48 } else { 40 }..)?,
            })
        }
        _ => None,
    }
}

/// An error that names the first frame with a wrong checksum.
pub fn checksums_must_be_right(place: &str, frames: &[Frame]) -> Result<()> {
    for (number, frame) in frames.iter().enumerate() {
        if let Some(what) = frame.bad_checksum() {
            bail!("{place}: {what} checksum of frame {number} is wrong: {:02x?}", frame.0);
        }
    }
    Ok(())
}

/// Classic pcap with microseconds, written by this machine.
fn parse_pcap(bytes: &[u8]) -> Result<Vec<Frame>> {
    let (header, mut rest) = bytes.split_at_checked(24).context("no pcap header")?;
    if header[..4] != 0xa1b2_c3d4_u32.to_ne_bytes() {
        bail!("not a pcap file");
    }
    let mut frames = Vec::new();
    while let Some((record, behind)) = rest.split_at_checked(16) {
        let len = u32::from_ne_bytes([record[8], record[9], record[10], record[11]]);
        let Some((frame, behind)) = behind.split_at_checked(len as usize) else { break };
        frames.push(Frame(frame.to_vec()));
        rest = behind;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums() {
        let (a, b) = ("[fd00::1]:1000".parse().unwrap(), "[fd00::2]:53".parse().unwrap());
        for (a, b) in [("10.0.0.1:9".parse().unwrap(), "10.0.0.2:53".parse().unwrap()), (a, b)] {
            let udp = frame::datagram(a, b, b"question");
            let packet = frame::packet(a.ip(), b.ip(), frame::UDP, None, &udp);
            let good = frame::ethernet([2; 6], [4; 6], &packet);
            assert_eq!(Frame(good.clone()).bad_checksum(), None);
            let mut bad = good;
            *bad.last_mut().unwrap() ^= 1;
            assert_eq!(Frame(bad).bad_checksum(), Some("transport"));
        }
    }

    #[test]
    fn padding_is_no_part_of_a_packet() {
        let packet =
            frame::packet([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 1, None, &[8, 0, 0xf7, 0xff]);
        let mut bytes = frame::ethernet([2; 6], [4; 6], &packet);
        bytes.resize(60, 0);
        assert_eq!(Frame(bytes.clone()).packet(), packet);
        assert_eq!(Frame(bytes).bad_checksum(), None);
    }
}
