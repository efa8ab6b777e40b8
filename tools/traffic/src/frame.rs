//! Frames: from a packet's number to its bytes.

use crate::flows::{Flow, FlowSet, mix};
use crate::pattern::{Pattern, Segment};
use crate::sizes::{FCS, LEAST, Sizes};
use crate::stamp::{self, Kind, Stamp};
use std::net::IpAddr;
use std::sync::Arc;
use wire::checksum::Sum;
use wire::{TcpFlags, proto};

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination: the balancer's port, or the next router.
    pub to: [u8; 6],
    /// Source: our port.
    pub from: [u8; 6],
    /// 802.1Q tag.
    pub vlan: Option<u16>,
}

/// What one sender sends, packet by packet. The same numbers give the same packets.
#[derive(Clone, Debug)]
pub struct Traffic {
    flows: Arc<FlowSet>,
    sizes: Sizes,
    pattern: Pattern,
    /// The Ethernet header of every frame.
    pub ethernet: Ethernet,
    /// Whether real servers answer, and answers are counted.
    pub answered: bool,
    /// Which of how many senders this is: the flows are shared out among them.
    pub share: Share,
}

/// One of several senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its number.
    pub stream: u8,
    /// How many there are.
    pub of: u8,
}

/// Why there is no such traffic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrafficError {
    /// A frame without room for number and time.
    #[error("frames of {size} bytes have no room for number and time: these headers need {least}")]
    Small {
        /// The shortest wanted.
        size: u16,
        /// The shortest possible.
        least: u16,
    },
    /// More side by side than there are flows.
    #[error("{window} connections side by side need as many flows, there are {flows} for a sender")]
    Window {
        /// Side by side.
        window: u32,
        /// Flows of one sender.
        flows: u64,
    },
}

/// A packet before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its ends.
    pub flow: Flow,
    /// What it is.
    pub segment: Segment,
    /// Who is to count it.
    pub kind: Kind,
    /// Bytes in a buffer, without the check sequence.
    pub len: u16,
    /// First sequence number of the client in this connection.
    isn: u32,
    /// Bytes in each of the connection's data segments.
    payload: u32,
}

/// The real server's first sequence number, from the client's: neither side has to remember anything.
pub(crate) const fn server_isn(client_isn: u32) -> u32 {
    client_isn.rotate_left(16) ^ 0x5bd1_e995
}

impl Traffic {
    /// Of these flows, with these lengths, in this order.
    ///
    /// # Errors
    /// See [`TrafficError`].
    pub fn new(
        flows: Arc<FlowSet>,
        sizes: Sizes,
        pattern: Pattern,
        ethernet: Ethernet,
        share: Share,
    ) -> Result<Self, TrafficError> {
        let it = Self { flows, sizes, pattern, ethernet, share, answered: false };
        let (size, least) = (it.sizes.least(), it.least());
        if size < least {
            return Err(TrafficError::Small { size, least });
        }
        let flows = it.flows.count() / u64::from(share.of.max(1));
        match pattern {
            Pattern::Connections { window, .. } if u64::from(window) > flows => {
                Err(TrafficError::Window { window, flows })
            }
            _ => Ok(it),
        }
    }

    /// The shortest frame, check sequence counted, that has room for number and time.
    pub fn least(&self) -> u16 {
        (self.headers() as u16 + self.stamp_room() as u16 + FCS).max(LEAST)
    }

    /// The pattern.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Packet number `n`.
    pub fn plan(&self, n: u64) -> Planned {
        let place = self.pattern.place(n);
        let of = u64::from(self.share.of.max(1));
        let connection = place.flow.wrapping_mul(of).wrapping_add(self.share.stream.into());
        // All data segments of a connection have one length, so that sequence numbers need no memory.
        let size = match self.pattern {
            Pattern::Datagrams => self.sizes.nth(n, self.flows.count() / of),
            Pattern::Connections { .. } => self.sizes.nth(connection, u64::MAX),
        };
        let payload = size - self.headers() as u16 - self.stamp_room() as u16 - FCS;
        let size = match place.segment {
            Segment::Datagram | Segment::Data(_) => size,
            _ => self.least(),
        };
        Planned {
            flow: self.flows.flow(connection),
            segment: place.segment,
            kind: match self.answered && place.segment.is_answered() {
                true => Kind::Request,
                false => Kind::Notice,
            },
            len: size - FCS,
            isn: mix(connection) as u32,
            payload: payload.into(),
        }
    }

    /// Writes a packet into a frame of its length.
    ///
    /// # Panics
    /// When the frame is shorter than the headers and the stamp.
    pub fn write(&self, frame: &mut [u8], planned: &Planned, stamp: &Stamp) {
        frame.fill(0);
        let l3 = self.ethernet_header(frame);
        let l4 = self.ip_header(frame, l3, &planned.flow);
        match self.pattern.is_tcp() {
            true => self.tcp_header(frame, l4, planned, stamp),
            false => udp_header(frame, l4, &planned.flow, stamp),
        }
        let place = l4 + if self.pattern.is_tcp() { 16 } else { 6 };
        let sum = self.transport_sum(frame, l4, &planned.flow);
        frame[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    }

    fn ethernet_header(&self, frame: &mut [u8]) -> usize {
        wire::mac::set(frame, &self.ethernet.to, &self.ethernet.from);
        let kind = if self.flows.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] };
        let Some(vlan) = self.ethernet.vlan else {
            frame[12..14].copy_from_slice(&kind);
            return 14;
        };
        frame[12..14].copy_from_slice(&[0x81, 0x00]);
        frame[14..16].copy_from_slice(&(vlan & 0xfff).to_be_bytes());
        frame[16..18].copy_from_slice(&kind);
        18
    }

    fn ip_header(&self, frame: &mut [u8], l3: usize, flow: &Flow) -> usize {
        let protocol = self.protocol();
        let length = frame.len() - l3;
        match (flow.client, flow.service) {
            (IpAddr::V4(client), IpAddr::V4(service)) => {
                let header = &mut frame[l3..l3 + 20];
                // Version and length; the whole packet's length; DF; TTL 64.
                header[0] = 0x45;
                header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                header[6..10].copy_from_slice(&[0x40, 0, 64, protocol]);
                header[12..16].copy_from_slice(&client.octets());
                header[16..20].copy_from_slice(&service.octets());
                let sum = Sum::default().plus(header).checksum();
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                l3 + 20
            }
            (client, service) => {
                let header = &mut frame[l3..l3 + 40];
                header[0] = 0x60;
                header[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
                header[6..8].copy_from_slice(&[protocol, 64]);
                header[8..24].copy_from_slice(&wire::mapped(client));
                header[24..40].copy_from_slice(&wire::mapped(service));
                l3 + 40
            }
        }
    }

    fn tcp_header(&self, frame: &mut [u8], l4: usize, planned: &Planned, stamp: &Stamp) {
        let (isn, theirs) = (planned.isn, server_isn(planned.isn));
        // A server answers data by as much of its own.
        let after = |segments: u16, more: u32| {
            let sent = u32::from(segments).wrapping_mul(planned.payload).wrapping_add(more);
            (isn.wrapping_add(sent), theirs.wrapping_add(sent))
        };
        let ((seq, ack), flags) = match planned.segment {
            Segment::Syn => ((isn, 0), TcpFlags::SYN),
            Segment::Ack | Segment::Datagram => (after(0, 1), TcpFlags::ACK),
            Segment::Data(n) => (after(n, 1), TcpFlags::PSH | TcpFlags::ACK),
            Segment::Fin(n) => (after(n, 1), TcpFlags::FIN | TcpFlags::ACK),
            Segment::Last(n) => (after(n, 2), TcpFlags::ACK),
        };
        let header = &mut frame[l4..];
        header[..2].copy_from_slice(&planned.flow.client_port.to_be_bytes());
        header[2..4].copy_from_slice(&planned.flow.service_port.to_be_bytes());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        let words = (20 + stamp::OPTION) / 4;
        header[12..16].copy_from_slice(&[(words as u8) << 4, flags.bits(), 0xff, 0xff]);
        header[20..20 + stamp::OPTION].copy_from_slice(&stamp::option(stamp));
    }

    fn transport_sum(&self, frame: &[u8], l4: usize, flow: &Flow) -> u16 {
        // What follows the stamp is zeros.
        let summed = if self.pattern.is_tcp() { 20 + stamp::OPTION } else { 8 + stamp::LEN };
        let sum = match (flow.client, flow.service) {
            (IpAddr::V4(client), IpAddr::V4(service)) => {
                Sum::default().plus(&client.octets()).plus(&service.octets())
            }
            (client, service) => {
                Sum::default().plus(&wire::mapped(client)).plus(&wire::mapped(service))
            }
        };
        let sum = sum.plus16((frame.len() - l4) as u16).plus16(self.protocol().into());
        match sum.plus(&frame[l4..l4 + summed]).checksum() {
            // Zero would say that there is none (RFC 768).
            0 if !self.pattern.is_tcp() => 0xffff,
            sum => sum,
        }
    }

    fn protocol(&self) -> u8 {
        if self.pattern.is_tcp() { proto::TCP } else { proto::UDP }
    }

    fn headers(&self) -> usize {
        let ethernet = if self.ethernet.vlan.is_some() { 18 } else { 14 };
        let ip = if self.flows.is_ipv6() { 40 } else { 20 };
        ethernet + ip + if self.pattern.is_tcp() { 20 } else { 8 }
    }

    fn stamp_room(&self) -> usize {
        if self.pattern.is_tcp() { stamp::OPTION } else { stamp::LEN }
    }
}

fn udp_header(frame: &mut [u8], l4: usize, flow: &Flow, stamp: &Stamp) {
    let length = (frame.len() - l4) as u16;
    let header = &mut frame[l4..];
    header[..2].copy_from_slice(&flow.client_port.to_be_bytes());
    header[2..4].copy_from_slice(&flow.service_port.to_be_bytes());
    header[4..6].copy_from_slice(&length.to_be_bytes());
    header[8..8 + stamp::LEN].copy_from_slice(&stamp.bytes());
}
