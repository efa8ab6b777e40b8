//! Splitting an IPv4 packet: the pieces make up the original, wherever it is split.

mod frames;

use frames::*;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::fragment::{NotSplit, split_v4};
use wire::{Buffer, Fragment, Packet, Parsed, build::Build, proto};

/// Splits; the pieces in order, the one that stayed in the packet last.
fn split(frame: &[u8], mtu: u16, buffers: usize) -> (Vec<Vec<u8>>, Result<(), NotSplit>, Buffer) {
    let mut packet = Buffer::new(frame);
    let (mut left, mut pieces) = (buffers, Vec::new());
    let alloc = || {
        left = left.checked_sub(1)?;
        Some(Buffer::new(b""))
    };
    let emit = |piece: Buffer| pieces.push(piece.bytes().to_vec());
    let result = split_v4(&mut packet, &parsed(frame), mtu, alloc, emit);
    if result.is_ok() {
        pieces.push(packet.bytes().to_vec());
    }
    (pieces, result, packet)
}

fn header_len(frame: &[u8], p: &Parsed) -> usize {
    usize::from(frame[usize::from(p.l3_off)] & 15) * 4
}

/// Offset, whether more follow, payload.
fn part(frame: &[u8]) -> (usize, bool, &[u8]) {
    let p = parsed(frame);
    let l3 = usize::from(p.l3_off);
    let field = word(frame, l3 + 6);
    let payload = &frame[l3 + header_len(frame, &p)..l3 + usize::from(p.l3_len)];
    (usize::from(field & 0x1fff) * 8, field & 0x2000 != 0, payload)
}

/// IPv4 packets that may be split: whole ones, first, middle and last fragments, with no-op
/// options, with padding behind.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let place = prop_oneof![
        Just((0, false)),
        Just((0, true)),
        (1u16..3000).prop_flat_map(|units| any::<bool>().prop_map(move |more| (units * 8, more)))
    ];
    (builds_of(false), place, vec(any::<u8>(), 8..700), 0usize..11, 0usize..20).prop_map(
        |(build, (offset, more), mut payload, options, padding)| {
            if more {
                payload.truncate(payload.len() & !7);
            }
            let packet = build.fragment(99, &payload, build.id.into(), offset, more);
            let mut frame = with_ip_options(packet.bytes(), &vec![1; options * 4]);
            frame.extend(std::iter::repeat_n(0xee, padding));
            frame
        },
    )
}

proptest! {
    #[test]
    fn the_pieces_make_up_the_original(frame in packets(), mtu in 68u16..800) {
        let p = parsed(&frame);
        let (offset, more, payload) = part(&frame);
        let (pieces, result, _) = split(&frame, mtu, 100);
        prop_assert_eq!(result, Ok(()));
        let mut done = 0;
        for (n, piece) in pieces.iter().enumerate() {
            let (is_last, at) = (n + 1 == pieces.len(), parsed(piece));
            let (piece_offset, piece_more, part) = part(piece);
            prop_assert!(at.l3_len <= mtu);
            prop_assert_eq!(piece.len(), usize::from(at.l3_off) + usize::from(at.l3_len));
            prop_assert!(header_ok(piece, at.l3_off.into()));
            prop_assert_eq!(piece_offset, offset + done);
            prop_assert_eq!(piece_more, !is_last || more);
            prop_assert!(is_last || part.len() % 8 == 0);
            prop_assert_eq!(part, &payload[done..done + part.len()]);
            let l3 = usize::from(p.l3_off);
            prop_assert_eq!(&piece[..l3], &frame[..l3], "Ethernet");
            prop_assert_eq!((at.src, at.dst, at.proto), (p.src, p.dst, p.proto));
            prop_assert_eq!((at.ttl, at.tos, at.dont_fragment), (p.ttl, p.tos, false));
            prop_assert_eq!(word(piece, l3 + 4), word(&frame, l3 + 4), "identification");
            done += part.len();
        }
        prop_assert_eq!(done, payload.len());
    }

    /// No more pieces than needed, and what fits is one piece: itself without padding.
    #[test]
    fn pieces_are_as_large_as_may_be(frame in packets(), mtu in 68u16..800) {
        let p = parsed(&frame);
        let header = header_len(&frame, &p);
        let payload = usize::from(p.l3_len) - header;
        let room = (usize::from(mtu) - header) & !7;
        let (pieces, ..) = split(&frame, mtu, 100);
        if p.l3_len <= mtu {
            let end = usize::from(p.l3_off) + usize::from(p.l3_len);
            prop_assert_eq!(pieces, vec![frame[..end].to_vec()]);
        } else {
            prop_assert!(pieces.len() <= payload.div_ceil(room));
            prop_assert!(pieces.len() >= 2);
        }
    }

    #[test]
    fn without_buffers_the_packet_stays(
        frame in packets(), mtu in 68u16..200, buffers in 0usize..5
    ) {
        let (all, ..) = split(&frame, mtu, 100);
        let (pieces, result, packet) = split(&frame, mtu, buffers);
        if all.len() <= buffers + 1 {
            prop_assert_eq!((result, &pieces), (Ok(()), &all));
        } else {
            prop_assert_eq!(result, Err(NotSplit));
            prop_assert_eq!(&pieces, &all[..buffers], "those that went are right");
            prop_assert_eq!(packet.bytes(), frame.as_slice());
        }
    }

    #[test]
    fn a_header_that_leaves_no_room_is_refused(frame in packets(), mtu in 0u16..68) {
        let p = parsed(&frame);
        let least = header_len(&frame, &p) + 8;
        let (pieces, result, packet) = split(&frame, mtu, 100);
        prop_assert_eq!(result.is_ok(), usize::from(mtu) >= least);
        if result.is_err() {
            prop_assert!(pieces.is_empty());
            prop_assert_eq!(packet.bytes(), frame.as_slice());
        }
    }
}

fn v4() -> Build {
    Build::new("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap())
}

#[test]
fn what_may_not_be_split_is_refused() {
    let v6 = Build::new("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    for packet in [v4().udp(1, 2, &[0; 100]), v6.udp(1, 2, &[0; 100])] {
        let (pieces, result, after) = split(packet.bytes(), 80, 100);
        assert_eq!((pieces.len(), result, after), (0, Err(NotSplit), packet));
    }
}

#[test]
fn a_datagram_is_whole_again() {
    let whole = v4().vlan(5).fragmentable(77).udp(1000, 53, &(0..=255).collect::<Vec<_>>());
    let (pieces, result, _) = split(whole.bytes(), 100, 100);
    assert_eq!(result, Ok(()));
    let kinds: Vec<_> = pieces.iter().map(|piece| parsed(piece).fragment).collect();
    let later = |offset| Fragment::Later { id: 77, offset };
    assert_eq!(kinds, [Fragment::First { id: 77 }, later(80), later(160), later(240)]);
    let payload: Vec<u8> = pieces.iter().flat_map(|piece| part(piece).2.to_vec()).collect();
    let again = v4().vlan(5).fragmentable(77).ip(proto::UDP, &payload);
    assert_eq!(again, whole);
}

/// RFC 791 section 3.1: only options with the copy bit go into every fragment.
#[test]
fn options_without_the_copy_bit_are_only_in_the_first_piece() {
    let record_route = [7, 7, 4, 0, 0, 0, 0];
    let router_alert = [0x94, 4, 0, 0];
    let tail = [1, 0x82, 3, 9, 0];
    let options = [&record_route[..], &router_alert, &tail].concat();
    let plain = v4().fragmentable(1).udp(1, 2, &[0; 200]);
    let frame = with_ip_options(plain.bytes(), &options);
    let (pieces, result, _) = split(&frame, 120, 100);
    assert_eq!((result, pieces.len()), (Ok(()), 3));
    assert_eq!(pieces[0][34..50], options);
    for piece in &pieces[1..] {
        assert_eq!(piece[34..50], [&[1; 7][..], &router_alert, &tail].concat());
    }
}

/// Options of the packet's sender: lengths may lie.
#[test]
fn broken_options_are_survived() {
    let plain = v4().fragmentable(1).udp(1, 2, &[0; 100]);
    for options in [[7, 0, 1, 1], [7, 1, 1, 1], [7, 9, 1, 1], [1, 1, 1, 7], [0x94, 0, 7, 4]] {
        let frame = with_ip_options(plain.bytes(), &options);
        let (pieces, result, _) = split(&frame, 80, 100);
        assert_eq!((result, pieces.len()), (Ok(()), 2), "{options:?}");
        let last = &pieces[1][34..38];
        let blanked = options[0] & 0x80 == 0;
        assert_eq!(last, if blanked { [1; 4] } else { options });
        assert!(header_ok(&pieces[1], 14));
    }
}
