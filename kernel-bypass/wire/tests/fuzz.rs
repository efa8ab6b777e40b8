//! Whatever bytes arrive: parsing does not panic, and no edit of what it accepts leaves the frame,
//! panics, or makes of it what parsing refuses.
//!
//! Each target runs for a second; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p wire --test
//! fuzz` for as long as wanted. A failure prints the input that makes it fail again.

use std::time::Duration;
use wire::encap::{Encap, Outer, enclose, open};
use wire::rewrite::{Flow, decrement_ttl, translate};
use wire::{
    Buffer, Fragment, Frame, IpVersion, L4, Packet, Parsed, checksum, fragment, icmp, mac, mapped,
    parse, proto,
};

fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

#[test]
fn raw_bytes() {
    bolero::check!().with_test_time(time()).with_max_len(2048).for_each(|frame: &[u8]| {
        if let Ok(Frame::Ip(parsed)) = parse(frame) {
            assert_within(frame, &parsed);
        }
    });
}

#[test]
fn every_edit_of_whatever_is_accepted() {
    bolero::check!().with_test_time(time()).with_max_len(1024).for_each(|input: &[u8]| {
        let mut dice = Dice(input);
        let edits: Vec<u8> = (0..4).map(|_| dice.byte()).collect();
        let numbers = dice.bytes(16).to_vec();
        let mut packet = Buffer::new(&shaped(&mut dice));
        for edit in edits {
            let Ok(Frame::Ip(parsed)) = parse(packet.bytes()) else { return };
            assert_within(packet.bytes(), &parsed);
            change(&mut packet, &parsed, edit, &mut Dice(&numbers));
        }
    });
}

/// Decisions from the fuzzer's bytes; zeros when they are used up.
struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The remaining bytes as a frame, mostly helped past the first checks, which random bytes hardly
/// ever pass: EtherType, version, lengths, header checksum, transport protocol.
fn shaped(dice: &mut Dice) -> Vec<u8> {
    let shape = dice.byte();
    if shape < 16 {
        return dice.0.to_vec();
    }
    let mut frame = dice.bytes(12).to_vec();
    frame.resize(12, 2);
    for _ in 0..(shape >> 4) % 3 {
        frame.extend_from_slice(&[0x81, 0]);
        frame.extend_from_slice(&dice.word().to_be_bytes());
    }
    let protos = [proto::TCP, proto::UDP, proto::ICMP, proto::ICMPV6, 4, 41, 47, 44, 0, 60, 43];
    let number = protos.get(usize::from(dice.byte() % 16)).copied();
    let (v4, padding) = (shape & 1 == 0, usize::from(shape & 6));
    frame.extend_from_slice(if v4 { &[0x08, 0x00] } else { &[0x86, 0xdd] });
    let mut ip = dice.0.to_vec();
    if v4 {
        shape_v4(&mut ip, number, padding)
    } else {
        shape_v6(&mut ip, number, padding)
    }
    [frame, ip].concat()
}

fn shape_v4(ip: &mut Vec<u8>, number: Option<u8>, padding: usize) {
    ip.resize(ip.len().max(52 + padding), 0);
    let header = if ip[0] & 0x80 == 0 { 20 } else { 20 + usize::from(ip[0] & 3) * 4 };
    ip[0] = 0x40 | (header / 4) as u8;
    let len = (ip.len() - padding) as u16;
    ip[2..4].copy_from_slice(&len.to_be_bytes());
    if ip[4] & 3 != 0 {
        ip[6] &= 0x40;
        ip[7] = 0;
    }
    ip[9] = number.unwrap_or(ip[9]);
    shape_transport(&mut ip[header..], number, usize::from(len) - header);
    ip[10..12].fill(0);
    let sum = checksum::Sum::default().plus(&ip[..header]).checksum();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn shape_v6(ip: &mut Vec<u8>, number: Option<u8>, padding: usize) {
    ip.resize(ip.len().max(60 + padding), 0);
    ip[0] = 0x60 | ip[0] & 15;
    let len = (ip.len() - 40 - padding) as u16;
    ip[4..6].copy_from_slice(&len.to_be_bytes());
    ip[6] = number.unwrap_or(ip[6]);
    shape_transport(&mut ip[40..], number, len.into());
}

/// A length or an offset that fits, and for errors something quoted.
fn shape_transport(body: &mut [u8], number: Option<u8>, len: usize) {
    match number {
        Some(proto::TCP) => body[12] = 5 << 4 | body[12] & 15,
        Some(proto::UDP) => body[4..6].copy_from_slice(&(len as u16).to_be_bytes()),
        Some(proto::ICMP) if body[1] & 1 == 0 && body.len() > 36 => {
            body[0] = [3, 11, 12, 4][usize::from(body[0] & 3)];
            (body[8], body[17]) = (0x45, if body[9] & 1 == 0 { proto::TCP } else { proto::UDP });
            (body[14], body[15]) = (0, 0);
        }
        Some(proto::ICMPV6) if body[1] & 1 == 0 && body.len() > 48 => {
            body[0] = 1 + (body[0] & 3);
            body[8] = 0x60 | body[8] & 15;
            body[14] = [proto::TCP, proto::UDP, 44, 60][usize::from(body[9] & 3)];
        }
        // A chain of extension headers often comes to something.
        Some(0 | 43 | 44 | 60) => body[0] = [17, 6, 58, 44, 60, 43][usize::from(body[0] % 6)],
        _ => {}
    }
}

fn assert_within(frame: &[u8], p: &Parsed) {
    let (l3, l4) = (usize::from(p.l3_off), usize::from(p.l4_off));
    let end = l3 + usize::from(p.l3_len);
    let header = if p.version == IpVersion::V4 { 20 } else { 40 };
    assert!([14, 18, 22].contains(&l3) && l3 + header <= l4 && l4 <= end && end <= frame.len());
    let least = match (p.fragment, p.kind) {
        (Fragment::Later { .. }, kind) => {
            assert_eq!(kind, L4::Other);
            1
        }
        (_, L4::Tcp) => 20,
        (_, L4::Udp | L4::Icmp { .. }) => 8,
        (_, L4::Other) => 0,
    };
    assert!(end - l4 >= least, "{p:?}");
    let ports = matches!(p.kind, L4::Tcp | L4::Udp);
    assert!(ports || (p.sport, p.dport) == (0, 0));
}

#[track_caller]
fn parsed(packet: &Buffer) -> Parsed {
    match parse(packet.bytes()) {
        Ok(Frame::Ip(parsed)) => parsed,
        other => panic!("{other:?} of {:02x?}", packet.bytes()),
    }
}

fn flow(version: IpVersion, dice: &mut Dice) -> Flow {
    let address = |n: u16| match version {
        IpVersion::V4 => mapped([10, 1, (n >> 8) as u8, n as u8].into()),
        IpVersion::V6 => mapped([0x2001, 0xdb8, 0, 0, 0, 0, 1, n].into()),
    };
    Flow {
        src: address(dice.word()),
        sport: dice.word(),
        dst: address(dice.word()),
        dport: dice.word(),
    }
}

/// One edit, and what has to hold after it.
fn change(packet: &mut Buffer, p: &Parsed, edit: u8, dice: &mut Dice) {
    let before = packet.clone();
    match edit % 11 {
        0 => translated(packet, p, dice),
        1 => {
            decrement_ttl(packet.bytes_mut(), p);
            assert_eq!(parsed(packet), Parsed { ttl: p.ttl.saturating_sub(1), ..*p });
        }
        2 => quote_translated(packet, p, dice),
        3..=5 => answered(packet, p, edit, dice),
        6 => tunnelled(packet, p, dice),
        7 => {
            let opened = open(packet, p, p.dport);
            assert!(opened || *packet == before);
        }
        8 => split(packet, p, dice.word() % 600),
        9 => not_translated(packet, p, dice),
        _ => {
            let tagged = mac::is_tagged(before.bytes());
            if mac::set_tag(packet, dice.word()) && !tagged {
                mac::remove_tag(packet);
            }
            assert!(tagged || *packet == before);
        }
    }
}

fn translated(packet: &mut Buffer, p: &Parsed, dice: &mut Dice) {
    let before = packet.clone();
    let right = checksum::transport_is_right(before.bytes(), p);
    let new = flow(p.version, dice);
    translate(packet.bytes_mut(), p, &new);
    let after = parsed(packet);
    assert_eq!((after.src, after.dst), (new.src, new.dst));
    assert_eq!((after.l4_off, after.fragment, after.kind), (p.l4_off, p.fragment, p.kind));
    if p.kind != L4::Other {
        assert_eq!(checksum::transport_is_right(packet.bytes(), &after), right);
    }
}

fn quote_translated(packet: &mut Buffer, p: &Parsed, dice: &mut Dice) {
    let Some(inner) = icmp::inner(packet.bytes(), p) else { return };
    let right = icmp::checksum_is_right(packet.bytes(), p);
    let (outer, quoted) = (flow(p.version, dice), flow(p.version, dice));
    icmp::translate_inner(packet.bytes_mut(), p, &inner, (outer.src, outer.dst), &quoted);
    let after = parsed(packet);
    assert_eq!((after.src, after.dst, after.l3_len), (outer.src, outer.dst, p.l3_len));
    assert_eq!(icmp::inner(packet.bytes(), &after).map(|inner| inner.flow), Some(quoted));
    assert_eq!(icmp::checksum_is_right(packet.bytes(), &after), right);
}

/// Addresses of the other family, or of both, change nothing.
fn not_translated(packet: &mut Buffer, p: &Parsed, dice: &mut Dice) {
    let before = packet.clone();
    let other = if p.version == IpVersion::V4 { IpVersion::V6 } else { IpVersion::V4 };
    let (own, foreign) = (flow(p.version, dice), flow(other, dice));
    for mixed in [foreign, Flow { dst: foreign.dst, ..own }, Flow { src: foreign.src, ..own }] {
        translate(packet.bytes_mut(), p, &mixed);
        if let Some(inner) = icmp::inner(packet.bytes(), p) {
            let frame = packet.bytes_mut();
            icmp::translate_inner(frame, p, &inner, (mixed.src, mixed.dst), &own);
            icmp::translate_inner(frame, p, &inner, (own.src, own.dst), &mixed);
        }
    }
    assert_eq!(*packet, before);
}

fn answered(packet: &mut Buffer, p: &Parsed, edit: u8, dice: &mut Dice) {
    let before = packet.clone();
    let own = flow(p.version, dice).src;
    let result = match edit / 11 % 4 {
        0 => icmp::too_big(packet, p, dice.word(), &own),
        1 => icmp::time_exceeded(packet, p, &own),
        2 => icmp::port_unreachable(packet, p, &own),
        _ => icmp::tcp_reset(packet, p),
    };
    if result.is_err() {
        assert_eq!(*packet, before);
        return;
    }
    let answer = parsed(packet);
    assert_eq!((answer.dst, answer.l3_off, answer.vlan), (p.src, p.l3_off, p.vlan));
    assert!(checksum::transport_is_right(packet.bytes(), &answer));
    assert_eq!(mac::destination(packet.bytes()), mac::source(before.bytes()));
    let most = if p.version == IpVersion::V4 { 576 } else { 1280 };
    assert!(answer.l3_len <= most);
}

fn tunnelled(packet: &mut Buffer, p: &Parsed, dice: &mut Dice) {
    let before = packet.clone();
    let choice = dice.byte();
    let version = if choice & 4 == 0 { IpVersion::V4 } else { IpVersion::V6 };
    let ends = flow(version, dice);
    let encap = match choice % 3 {
        0 => Encap::Ip,
        1 => Encap::Gre,
        _ => Encap::Gue { sport: ends.sport, dport: ends.dport },
    };
    let outer = Outer { src: ends.src, dst: ends.dst, ttl: 64, id: 7 };
    if !enclose(packet, p, &outer, encap) {
        assert_eq!(*packet, before);
        return;
    }
    let around = parsed(packet);
    assert_eq!((around.src, around.dst, around.tos), (ends.src, ends.dst, p.tos));
    let mut opened = packet.clone();
    assert!(open(&mut opened, &around, ends.dport));
    let end = usize::from(p.l3_off + p.l3_len);
    assert_eq!(opened.bytes(), &before.bytes()[..end], "the packet, without padding");
}

fn split(packet: &mut Buffer, p: &Parsed, mtu: u16) {
    let before = packet.clone();
    let mut pieces = Vec::new();
    let alloc = || Some(Buffer::new(&[]));
    if fragment::split_v4(packet, p, mtu, alloc, |piece| pieces.push(piece)).is_err() {
        assert!(*packet == before && pieces.is_empty());
        return;
    }
    pieces.push(packet.clone());
    let body = |packet: &Buffer, p: &Parsed| {
        packet.bytes()[p.l4_off.into()..(p.l3_off + p.l3_len).into()].to_vec()
    };
    let mut joined = Vec::new();
    for piece in &pieces {
        let Ok(Frame::Ip(part)) = parse(piece.bytes()) else {
            // Cut so small that the first does not hold its transport header.
            assert!(mtu < 88);
            return;
        };
        assert!(part.l3_len <= mtu);
        joined.extend(body(piece, &part));
    }
    assert_eq!(joined, body(&before, p));
}
