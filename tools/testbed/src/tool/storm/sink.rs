//! Where the frames end: what each real server got.

use crate::tool::packet_socket::PacketSocket;
use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;

/// Connections from one source address.
const PORTS: usize = 1 << 14;
const FIRST_PORT: u16 = 1_024;

/// Connections that are told apart by their source network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Those that stay.
    Standing = 11,
    /// Those that come and go.
    Passing = 12,
}

impl Field {
    /// Where a connection of that number comes from.
    pub fn source(self, number: usize) -> SocketAddr {
        let address = ((self as u32) << 24) | (number / PORTS) as u32;
        let port = FIRST_PORT + (number % PORTS) as u16;
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(address)), port)
    }
}

/// What became of each connection. The threads that listen write it, the others read it.
#[derive(Debug)]
pub struct Seen {
    /// Round of the last packet in the lower half of the word, the server above.
    standing: Vec<AtomicU64>,
    /// See [`Passage`].
    passing: Vec<AtomicU32>,
}

/// A passing connection: bits 0 to 7 say which of its packets came, 8 to 15 to whom, and bit 16
/// whether there were several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage(pub u32);

impl Passage {
    const SEVERAL: u32 = 1 << 16;

    /// Packets that came.
    pub fn packets(self) -> u8 {
        self.0 as u8
    }

    /// The real server, counted from 1.
    pub fn server(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Whether several real servers got packets.
    pub fn is_split(self) -> bool {
        self.0 & Self::SEVERAL != 0
    }

    fn with(self, server: u8, packet: u8) -> Self {
        let split = self.server() != 0 && self.server() != server;
        let split = if split { Self::SEVERAL } else { 0 };
        Self((self.0 & !0xff00) | u32::from(packet) | (u32::from(server) << 8) | split)
    }
}

impl Seen {
    /// The last round that a standing connection was heard in, and by whom.
    pub fn round(&self, number: usize) -> (u32, u8) {
        let word = self.standing[number].load(Relaxed);
        (word as u32, (word >> 32) as u8)
    }

    /// What came of a passing connection.
    pub fn passage(&self, number: usize) -> Passage {
        Passage(self.passing[number].load(Relaxed))
    }

    /// Its number is used for another one.
    pub fn forget(&self, number: usize) {
        self.passing[number].store(0, Relaxed);
    }

    /// Passing connections that there are numbers for.
    pub fn passing(&self) -> usize {
        self.passing.len()
    }

    fn note(&self, server: u8, frame: &[u8]) {
        // Ethernet, IPv4 without options, TCP.
        let (Some(&[0x08, 0x00, 0x45]), Some(&6)) = (frame.get(12..15), frame.get(23)) else {
            return;
        };
        let Some(&[field, a, b, c]) = frame.get(26..30) else { return };
        let Some(&[p, q, _, _, w, x, y, z]) = frame.get(34..42) else { return };
        let address = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let port = u16::from_be_bytes([p, q]).wrapping_sub(FIRST_PORT);
        let number = address * PORTS + usize::from(port);
        let word = u32::from_be_bytes([w, x, y, z]);
        if field == Field::Standing as u8 {
            if let Some(seen) = self.standing.get(number) {
                seen.store(u64::from(server) << 32 | u64::from(word), Relaxed);
            }
        } else if field == Field::Passing as u8
            && let Some(seen) = self.passing.get(number)
        {
            let with = |old| Passage(old).with(server, word as u8).0;
            seen.fetch_update(Relaxed, Relaxed, |old| Some(with(old))).ok();
        }
    }
}

/// A thread in each real server's namespace.
pub struct Sinks {
    /// What they saw.
    pub seen: Arc<Seen>,
    /// Who they are.
    pub names: Vec<String>,
}

impl Sinks {
    /// Listens in these namespaces until the process ends.
    pub fn open(names: &[String]) -> Result<Self> {
        let seen = Arc::new(Seen {
            standing: (0..super::STANDING).map(|_| AtomicU64::new(0)).collect(),
            passing: (0..1 << 20).map(|_| AtomicU32::new(0)).collect(),
        });
        for (number, name) in names.iter().enumerate() {
            let (seen, name, server) = (seen.clone(), name.clone(), u8::try_from(number + 1)?);
            let (ready, opened) = mpsc::channel();
            std::thread::spawn(move || {
                let socket = listen(&name);
                let failed = socket.as_ref().err().map(|e| format!("{e:#}"));
                let _ = ready.send(failed);
                let Ok(socket) = socket else { return };
                let mut frame = [0; 2_048];
                loop {
                    // Nobody is told of an interface that went away: its frames are missing.
                    if let Ok(length) = socket.receive(&mut frame) {
                        seen.note(server, &frame[..length]);
                    }
                }
            });
            if let Some(failed) = opened.recv()? {
                anyhow::bail!("{failed}");
            }
        }
        Ok(Self { seen, names: names.to_vec() })
    }
}

fn listen(namespace: &str) -> Result<PacketSocket> {
    let path = format!("/run/netns/{namespace}");
    let there = std::fs::File::open(&path).with_context(|| path.clone())?;
    move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| path)?;
    PacketSocket::open("eth0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_knows_its_server_and_whether_there_were_several() {
        let one = Passage(0).with(2, 1).with(2, 4);
        assert_eq!((one.packets(), one.server(), one.is_split()), (5, 2, false));
        assert!(one.with(1, 8).is_split());
    }
}
