//! Every frame that can be made is one that others read too, and so is every answer.

use std::collections::HashSet;
use std::sync::Arc;
use traffic::{
    Ethernet, FlowSet, Kind, Pattern, Ranges, Segment, Share, Stamp, Traffic, TrafficError, answer,
};
use wire::{Frame, L4, Parsed, TcpFlags, checksum};

const TCP: Pattern = Pattern::Connections { data: 2, window: 4, close: true };

fn ethernet(vlan: Option<u16>) -> Ethernet {
    Ethernet { to: [2, 0, 0, 0, 0, 1], from: [2, 0, 0, 0, 0, 2], vlan }
}

fn traffic(
    ipv6: bool,
    pattern: Pattern,
    vlan: Option<u16>,
    sizes: &str,
) -> Result<Traffic, TrafficError> {
    let (clients, services) = match ipv6 {
        true => ("fd00::1-fd00::ff", "fd01::1"),
        false => ("10.0.0.1-10.0.0.200", "10.1.0.1-10.1.0.2"),
    };
    let ranges = Ranges {
        clients: clients.parse().unwrap(),
        client_ports: "1024-65535".parse().unwrap(),
        services: services.parse().unwrap(),
        service_ports: "80-89".parse().unwrap(),
    };
    let flows = Arc::new(FlowSet::draw(ranges, 50, 3).unwrap());
    let share = Share { stream: 0, of: 1 };
    let mut traffic = Traffic::new(flows, sizes.parse().unwrap(), pattern, ethernet(vlan), share)?;
    traffic.answered = true;
    Ok(traffic)
}

/// All kinds of traffic, each with the frames of four connections and more.
fn every_kind() -> impl Iterator<Item = (String, Traffic)> {
    let patterns = [("udp", Pattern::Datagrams), ("tcp", TCP)];
    patterns.into_iter().flat_map(|(name, pattern)| {
        [false, true].into_iter().flat_map(move |ipv6| {
            [None, Some(77)].into_iter().flat_map(move |vlan| {
                ["102", "103:1,640:2,1518:1"].into_iter().map(move |sizes| {
                    let text = format!("{name} ipv6 {ipv6} {vlan:?} {sizes}");
                    (text, traffic(ipv6, pattern, vlan, sizes).unwrap())
                })
            })
        })
    })
}

fn written(traffic: &Traffic, n: u64) -> (Vec<u8>, Stamp) {
    let planned = traffic.plan(n);
    let stamp =
        Stamp { kind: planned.kind, trial: 9, stream: 0, number: n, time: n * 1_000_000_007 };
    // What was in the buffer before must not show.
    let mut frame = vec![0xee; planned.len.into()];
    traffic.write(&mut frame, &planned, &stamp);
    (frame, stamp)
}

fn checked(frame: &[u8], what: &str) -> Parsed {
    let Ok(Frame::Ip(parsed)) = wire::parse(frame) else { panic!("{what}: not IP") };
    assert!(checksum::transport_is_right(frame, &parsed), "{what}: checksum");
    assert_eq!(usize::from(parsed.l3_off + parsed.l3_len), frame.len(), "{what}: padding");
    let sliced = etherparse::SlicedPacket::from_ethernet(frame);
    assert!(sliced.is_ok_and(|it| it.net.is_some() && it.transport.is_some()), "{what}");
    parsed
}

#[test]
fn every_frame_is_right_and_says_which_it_is() {
    for (what, traffic) in every_kind() {
        for n in 0..60 {
            let what = format!("{what} frame {n}");
            let (frame, stamp) = written(&traffic, n);
            let parsed = checked(&frame, &what);
            assert_eq!(Stamp::find(&frame, &parsed), Some(stamp), "{what}");
            let planned = traffic.plan(n);
            assert_eq!(wire::unmapped(&parsed.src), planned.flow.client);
            assert_eq!(wire::unmapped(&parsed.dst), planned.flow.service);
            assert_eq!(parsed.sport, planned.flow.client_port);
            assert_eq!(parsed.dport, planned.flow.service_port);
            assert_eq!(parsed.vlan, traffic.ethernet.vlan);
            assert_eq!(wire::mac::destination(&frame), traffic.ethernet.to);
        }
    }
}

#[test]
fn every_answer_is_right_and_goes_back() {
    for (what, traffic) in every_kind() {
        for n in 0..60 {
            let what = format!("{what} frame {n}");
            let (mut frame, stamp) = written(&traffic, n);
            let before = checked(&frame, &what);
            let asked = frame.clone();
            if stamp.kind == Kind::Notice {
                assert!(!answer(&mut frame, &before, &stamp) && frame == asked, "{what}");
                continue;
            }
            assert!(answer(&mut frame, &before, &stamp), "{what}");
            let after = checked(&frame, &what);
            assert_eq!((after.src, after.sport), (before.dst, before.dport), "{what}");
            assert_eq!((after.dst, after.dport), (before.src, before.sport), "{what}");
            assert_eq!(wire::mac::destination(&frame), traffic.ethernet.from);
            assert_eq!(wire::mac::source(&frame), traffic.ethernet.to);
            let reply = Stamp { kind: Kind::Reply, ..stamp };
            assert_eq!(Stamp::find(&frame, &after), Some(reply), "{what}");
        }
    }
}

/// Sequence and acknowledgement numbers and the bytes of data of one segment.
fn numbers(frame: &[u8]) -> (TcpFlags, u32, u32, u32) {
    let Ok(Frame::Ip(parsed)) = wire::parse(frame) else { panic!("not IP") };
    assert_eq!(parsed.kind, L4::Tcp);
    let header = &frame[parsed.l4_off.into()..];
    let word = |at: usize| u32::from_be_bytes(*header[at..].first_chunk().unwrap());
    let data = header.len() - usize::from(header[12] >> 4) * 4;
    (parsed.tcp_flags, word(4), word(8), data as u32)
}

/// One connection as both ends' TCP would see it: every segment is the next one in order, and
/// acknowledges all that the other side has sent.
#[test]
fn a_connection_adds_up() {
    let traffic = traffic(false, TCP, None, "200").unwrap();
    let (mut client_next, mut server_next, mut flags_seen) = (None, None, Vec::new());
    for n in (0..28).filter(|&n| traffic.plan(n).flow == traffic.plan(0).flow) {
        let (mut frame, stamp) = written(&traffic, n);
        let (flags, seq, ack, data) = numbers(&frame);
        flags_seen.push(flags);
        let counted = data + u32::from(flags.intersects(TcpFlags::SYN | TcpFlags::FIN));
        assert_eq!(seq, client_next.unwrap_or(seq), "packet {n}");
        client_next = Some(seq.wrapping_add(counted));
        if let Some(server_next) = server_next {
            assert_eq!(ack, server_next, "packet {n}");
        }
        let is_data = matches!(traffic.plan(n).segment, Segment::Data(_));
        assert_eq!(data, if is_data { 200 - 4 - 14 - 20 - 40 } else { 0 });
        let Ok(Frame::Ip(parsed)) = wire::parse(&frame) else { panic!("not IP") };
        if answer(&mut frame, &parsed, &stamp) {
            let (flags, seq, ack, data) = numbers(&frame);
            let counted = data + u32::from(flags.intersects(TcpFlags::SYN | TcpFlags::FIN));
            assert_eq!(seq, server_next.unwrap_or(seq), "answer to {n}");
            assert_eq!(Some(ack), client_next, "answer to {n}");
            server_next = Some(seq.wrapping_add(counted));
        }
    }
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let data = TcpFlags::PSH | ack;
    assert_eq!(flags_seen, [syn, ack, data, data, TcpFlags::FIN | ack, ack]);
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let (mut frame, stamp) = written(&traffic(false, Pattern::Datagrams, None, "64").unwrap(), 1);
    frame[40] ^= 1;
    let Ok(Frame::Ip(parsed)) = wire::parse(&frame) else { panic!("not IP") };
    assert!(answer(&mut frame, &parsed, &stamp));
    assert!(!checksum::transport_is_right(&frame, &parsed));
}

#[test]
fn the_least_frame_is_where_the_stamp_ends() {
    for (ipv6, pattern, vlan, least) in [
        (false, Pattern::Datagrams, None, 64),
        (false, Pattern::Datagrams, Some(1), 66),
        (true, Pattern::Datagrams, None, 82),
        (false, TCP, None, 78),
        (true, TCP, Some(1), 102),
    ] {
        assert!(traffic(ipv6, pattern, vlan, &least.to_string()).is_ok());
        if least > 64 {
            let error = traffic(ipv6, pattern, vlan, &(least - 1).to_string()).unwrap_err();
            assert_eq!(error, TrafficError::Small { size: least - 1, least });
        }
    }
    let wide = Pattern::Connections { data: 0, window: 51, close: true };
    let error = traffic(false, wide, None, "128").unwrap_err();
    assert_eq!(error, TrafficError::Window { window: 51, flows: 50 });
}

/// Several senders share the flows: none is sent by two, all by somebody.
#[test]
fn flows_are_shared_out() {
    let mut all = HashSet::new();
    for stream in 0..2 {
        let mut part = traffic(false, Pattern::Datagrams, None, "64").unwrap();
        part.share = Share { stream, of: 2 };
        let own: HashSet<_> = (0..200).map(|n| part.plan(n).flow).collect();
        assert_eq!(own.len(), 25);
        all.extend(own);
    }
    assert_eq!(all.len(), 50);
}
