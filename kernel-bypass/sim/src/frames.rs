//! Frames between the parties of a [`crate::scene`], and what may be said about one that left.

use crate::scene::{CLIENT_MAC, port_mac};
use api::PortId;
use std::net::IpAddr;
use wire::{Buffer, Frame, L4, Packet, Parsed, TcpFlags, build::Build};

/// An address and a port.
pub type End = (IpAddr, u16);

/// Headers of a frame from the clients' router to a port of ours.
pub fn inbound(port: PortId, from: IpAddr, to: IpAddr) -> Build {
    Build::new(from, to).macs(port_mac(port), CLIENT_MAC)
}

/// A TCP segment from a client.
pub fn tcp(from: End, to: End, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    segment(&inbound(0, from.0, to.0), from, to, flags, payload)
}

/// A client's SYN.
pub fn syn(from: End, to: End) -> Vec<u8> {
    tcp(from, to, TcpFlags::SYN, &[])
}

/// A client's SYN with this sequence number.
pub fn syn_at(from: End, to: End, sequence: u32) -> Vec<u8> {
    let build = inbound(0, from.0, to.0);
    build.tcp((from.1, to.1), TcpFlags::SYN, (sequence, 0), &[]).bytes().to_vec()
}

/// A client's ACK with some payload.
pub fn ack(from: End, to: End) -> Vec<u8> {
    tcp(from, to, TcpFlags::ACK, b"GET / HTTP/1.0\r\n\r\n")
}

/// A UDP datagram from a client.
pub fn udp(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    inbound(0, from.0, to.0).udp(from.1, to.1, payload).bytes().to_vec()
}

/// A TCP segment within headers that are already there.
pub fn segment(build: &Build, from: End, to: End, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
    build.tcp((from.1, to.1), flags, (1000, 2000), payload).bytes().to_vec()
}

/// The frame as the parser sees it.
///
/// # Panics
/// If it is not an IP packet in order.
pub fn parsed(frame: &[u8]) -> Parsed {
    match wire::parse(frame) {
        Ok(Frame::Ip(parsed)) => parsed,
        other => panic!("{other:?}: {frame:02x?}"),
    }
}

/// Its own IP payload, without padding.
pub fn payload<'a>(frame: &'a [u8], parsed: &Parsed) -> &'a [u8] {
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    &frame[usize::from(parsed.l4_off)..end]
}

/// # Panics
/// If any checksum of the frame is wrong: IP header (the parser looks), TCP, UDP or ICMP.
pub fn assert_checksums(frame: &[u8]) {
    let parsed = parsed(frame);
    match parsed.kind {
        L4::Icmp { .. } => assert!(wire::icmp::checksum_is_right(frame, &parsed), "ICMP checksum"),
        L4::Tcp | L4::Udp if parsed.fragment == wire::Fragment::Whole => {
            assert!(wire::checksum::transport_is_right(frame, &parsed), "checksum of {parsed:?}");
        }
        _ => {}
    }
}

/// Source and destination MAC.
pub fn macs(frame: &[u8]) -> ([u8; 6], [u8; 6]) {
    (wire::mac::source(frame), wire::mac::destination(frame))
}

/// Source and destination.
pub fn ends(frame: &[u8]) -> (End, End) {
    let parsed = parsed(frame);
    let source = (wire::unmapped(&parsed.src), parsed.sport);
    (source, (wire::unmapped(&parsed.dst), parsed.dport))
}

/// A packet from raw bytes.
pub fn buffer(frame: &[u8]) -> Buffer {
    Buffer::new(frame)
}
