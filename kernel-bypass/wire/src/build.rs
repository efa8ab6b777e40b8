//! Frames with right lengths and checksums, for tests and tools. Not for the packet path.

use crate::address::v4;
use crate::checksum::Sum;
use crate::packet::Buffer;
use crate::parse::{TcpFlags, proto};
use std::net::IpAddr;

/// A frame to be built. Fields may be set as they are or by the methods.
#[derive(Clone, Debug)]
pub struct Build {
    /// Destination MAC.
    pub to: [u8; 6],
    /// Source MAC.
    pub from: [u8; 6],
    /// 802.1Q tags (TPID, TCI), outermost first.
    pub tags: Vec<(u16, u16)>,
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// IPv4 DF.
    pub df: bool,
    /// IPv4 identification.
    pub id: u16,
}

impl Build {
    /// Between two addresses of one family, with default MACs, TTL 64 and DF.
    ///
    /// # Panics
    /// When the families differ.
    pub fn new(src: IpAddr, dst: IpAddr) -> Self {
        assert_eq!(src.is_ipv4(), dst.is_ipv4(), "families differ");
        Self {
            to: [2, 0, 0, 0, 0, 1],
            from: [2, 0, 0, 0, 0, 2],
            tags: Vec::new(),
            src,
            dst,
            ttl: 64,
            tos: 0,
            df: true,
            id: 0,
        }
    }

    /// With these MACs.
    #[must_use]
    pub fn macs(mut self, to: [u8; 6], from: [u8; 6]) -> Self {
        (self.to, self.from) = (to, from);
        self
    }

    /// With this 802.1Q tag inside those it has.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((0x8100, id));
        self
    }

    /// With this TTL or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// With this type of service.
    #[must_use]
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// With or without DF, and with this identification.
    #[must_use]
    pub fn fragmentable(mut self, id: u16) -> Self {
        (self.df, self.id) = (false, id);
        self
    }

    /// A UDP datagram.
    pub fn udp(&self, sport: u16, dport: u16, payload: &[u8]) -> Buffer {
        self.ip(proto::UDP, &self.udp_segment(sport, dport, payload))
    }

    /// A UDP datagram without checksum.
    pub fn udp_unchecked(&self, sport: u16, dport: u16, payload: &[u8]) -> Buffer {
        let mut segment = self.udp_segment(sport, dport, payload);
        segment[6..8].fill(0);
        self.ip(proto::UDP, &segment)
    }

    /// A TCP segment.
    pub fn tcp(
        &self,
        (sport, dport): (u16, u16),
        flags: TcpFlags,
        (seq, ack): (u32, u32),
        payload: &[u8],
    ) -> Buffer {
        let mut segment = Vec::with_capacity(20 + payload.len());
        segment.extend_from_slice(&sport.to_be_bytes());
        segment.extend_from_slice(&dport.to_be_bytes());
        segment.extend_from_slice(&seq.to_be_bytes());
        segment.extend_from_slice(&ack.to_be_bytes());
        segment.extend_from_slice(&[5 << 4, flags.bits(), 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(payload);
        let sum = self.transport_sum(proto::TCP, &segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ip(proto::TCP, &segment)
    }

    /// An ICMP or ICMPv6 message: type, code, the four bytes after the checksum, and the rest.
    pub fn icmp(&self, kind: u8, code: u8, word: u32, rest: &[u8]) -> Buffer {
        let mut message = vec![kind, code, 0, 0];
        message.extend_from_slice(&word.to_be_bytes());
        message.extend_from_slice(rest);
        let number = if self.src.is_ipv4() { proto::ICMP } else { proto::ICMPV6 };
        let sum = if self.src.is_ipv4() {
            Sum::default().plus(&message).checksum()
        } else {
            self.transport_sum(number, &message)
        };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(number, &message)
    }

    /// The IP packets of a UDP datagram cut into fragments of at most `piece` payload bytes (a
    /// multiple of 8).
    pub fn udp_fragments(
        &self,
        (sport, dport): (u16, u16),
        payload: &[u8],
        id: u32,
        piece: usize,
    ) -> Vec<Buffer> {
        let segment = self.udp_segment(sport, dport, payload);
        let count = segment.len().div_ceil(piece);
        segment
            .chunks(piece)
            .enumerate()
            .map(|(n, part)| self.fragment(proto::UDP, part, id, (n * piece) as u16, n + 1 < count))
            .collect()
    }

    /// One fragment: this part of an IP payload.
    pub fn fragment(&self, proto: u8, part: &[u8], id: u32, offset: u16, more: bool) -> Buffer {
        if self.src.is_ipv4() {
            let field = (offset / 8) | if more { 0x2000 } else { 0 };
            return self.v4(proto, part, id as u16, field);
        }
        let mut payload = vec![proto, 0];
        payload.extend_from_slice(&(offset | u16::from(more)).to_be_bytes());
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(part);
        self.ip(44, &payload)
    }

    /// An IP packet of any protocol.
    pub fn ip(&self, proto: u8, payload: &[u8]) -> Buffer {
        if self.src.is_ipv4() {
            return self.v4(proto, payload, self.id, if self.df { 0x4000 } else { 0 });
        }
        let mut packet = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
        packet.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        packet.extend_from_slice(&[proto, self.ttl]);
        packet.extend_from_slice(&self.addresses());
        packet.extend_from_slice(payload);
        self.ethernet(0x86dd, &packet)
    }

    /// An Ethernet frame of any kind.
    pub fn ethernet(&self, ether_type: u16, payload: &[u8]) -> Buffer {
        let mut frame = [self.to, self.from].concat();
        for (tpid, tci) in &self.tags {
            frame.extend_from_slice(&tpid.to_be_bytes());
            frame.extend_from_slice(&tci.to_be_bytes());
        }
        frame.extend_from_slice(&ether_type.to_be_bytes());
        frame.extend_from_slice(payload);
        Buffer::new(&frame)
    }

    fn v4(&self, proto: u8, payload: &[u8], id: u16, field: u16) -> Buffer {
        let mut packet = vec![0x45, self.tos];
        packet.extend_from_slice(&((20 + payload.len()) as u16).to_be_bytes());
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend_from_slice(&field.to_be_bytes());
        packet.extend_from_slice(&[self.ttl, proto, 0, 0]);
        packet.extend_from_slice(&self.addresses());
        let sum = Sum::default().plus(&packet).checksum();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(payload);
        self.ethernet(0x0800, &packet)
    }

    fn udp_segment(&self, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
        let mut segment = Vec::with_capacity(8 + payload.len());
        segment.extend_from_slice(&sport.to_be_bytes());
        segment.extend_from_slice(&dport.to_be_bytes());
        segment.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(payload);
        let sum = match self.transport_sum(proto::UDP, &segment) {
            0 => 0xffff,
            sum => sum,
        };
        segment[6..8].copy_from_slice(&sum.to_be_bytes());
        segment
    }

    fn transport_sum(&self, proto: u8, segment: &[u8]) -> u16 {
        let len = (segment.len() as u32).to_be_bytes();
        let sum = Sum::default().plus(&self.addresses()).plus(&len).plus16(proto.into());
        sum.plus(segment).checksum()
    }

    fn addresses(&self) -> Vec<u8> {
        let octets = |address: IpAddr| {
            let mapped = crate::mapped(address);
            v4(&mapped).map_or_else(|| mapped.to_vec(), |v4| v4.to_vec())
        };
        [octets(self.src), octets(self.dst)].concat()
    }
}
