//! The real server's part: an answer made of the packet itself.

use crate::frame::server_isn;
use crate::stamp::{self, Kind, Stamp};
use wire::checksum::Change;
use wire::{Fragment, L4, Parsed, TcpFlags};

/// Turns a client's packet into the answer to it: ends exchanged, the same number and time, marked as a
/// reply. A datagram and data are answered by as much, SYN by SYN and ACK, FIN by FIN and ACK. False, and
/// nothing happens, when it is no request of ours.
///
/// Checksums are changed by what changed, so that a wrong one stays wrong.
#[must_use]
pub fn answer(frame: &mut [u8], parsed: &Parsed, stamp: &Stamp) -> bool {
    if stamp.kind != Kind::Request || parsed.fragment != Fragment::Whole {
        return false;
    }
    let Some(place) = stamp::place(frame, parsed) else { return false };
    let reply = Stamp { kind: Kind::Reply, ..*stamp };
    let change = replace(frame, place, reply.bytes().first_chunk::<4>(), Change::default());
    let (l4, sum) = (usize::from(parsed.l4_off), if parsed.kind == L4::Tcp { 16 } else { 6 });
    let change = match parsed.kind {
        L4::Tcp => tcp(frame, parsed, change),
        _ => change,
    };
    wire::mac::swap(frame);
    exchange(frame, addresses(parsed));
    exchange(frame, (l4, 2));
    patch(frame, l4 + sum, change);
    true
}

/// Where the addresses are, and the length of each.
fn addresses(parsed: &Parsed) -> (usize, usize) {
    let l3 = usize::from(parsed.l3_off);
    match parsed.version {
        wire::IpVersion::V4 => (l3 + 12, 4),
        wire::IpVersion::V6 => (l3 + 8, 16),
    }
}

/// Flags and numbers of the answering segment.
fn tcp(frame: &mut [u8], parsed: &Parsed, change: Change) -> Change {
    let l4 = usize::from(parsed.l4_off);
    let Some(header) = frame.get(l4..l4 + 20) else { return change };
    let word =
        |at: usize| header[at..at + 4].iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
    let (seq, ack, offset) = (word(4), word(8), header[12]);
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    let payload = end.saturating_sub(l4 + usize::from(offset >> 4) * 4) as u32;
    let flags = parsed.tcp_flags;
    let (seq, ack, flags) = if flags.contains(TcpFlags::SYN) {
        (server_isn(seq), seq.wrapping_add(1), TcpFlags::SYN | TcpFlags::ACK)
    } else if flags.contains(TcpFlags::FIN) {
        (ack, seq.wrapping_add(payload + 1), TcpFlags::FIN | TcpFlags::ACK)
    } else {
        (ack, seq.wrapping_add(payload), TcpFlags::PSH | TcpFlags::ACK)
    };
    let window = [offset, flags.bits(), header[14], header[15]];
    let change = replace(frame, l4 + 4, Some(&seq.to_be_bytes()), change);
    let change = replace(frame, l4 + 8, Some(&ack.to_be_bytes()), change);
    replace(frame, l4 + 12, Some(&window), change)
}

/// Writes four bytes at an even offset from the transport header, and notes what changed.
fn replace(frame: &mut [u8], at: usize, new: Option<&[u8; 4]>, change: Change) -> Change {
    match (frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()), new) {
        (Some(place), Some(new)) => {
            let change = change.replace(place, new);
            *place = *new;
            change
        }
        _ => change,
    }
}

/// Exchanges two neighbouring fields of one length.
fn exchange(frame: &mut [u8], (at, length): (usize, usize)) {
    if let Some(both) = frame.get_mut(at..at + 2 * length) {
        let (first, second) = both.split_at_mut(length);
        first.swap_with_slice(second);
    }
}

fn patch(frame: &mut [u8], at: usize, change: Change) {
    if let Some(place) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *place = change.apply(u16::from_be_bytes(*place)).to_be_bytes();
    }
}
