//! Splitting an IPv4 packet (RFC 791 section 3.2).

use crate::bytes::{be16, put, put16};
use crate::checksum::Sum;
use crate::packet::Packet;
use crate::parse::{IpVersion, Parsed};

/// There is no buffer for a piece, or the packet may not be split, or not this small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSplit;

const MORE: u16 = 0x2000;

/// Splits a packet (which may be a fragment itself) into pieces of at most `mtu` bytes. All but
/// the last are copied into packets from `alloc` and given to `emit`, in order; the last one stays
/// in `packet`. Without an error every byte of the payload is in exactly one piece.
///
/// # Errors
/// [`NotSplit`]: nothing was emitted and the packet is as it was, unless `alloc` ran dry in the
/// middle; the pieces emitted by then are valid fragments.
pub fn split_v4<P: Packet>(
    packet: &mut P,
    parsed: &Parsed,
    mtu: u16,
    mut alloc: impl FnMut() -> Option<P>,
    mut emit: impl FnMut(P),
) -> Result<(), NotSplit> {
    let l2 = usize::from(parsed.l3_off);
    let frame = packet.bytes();
    let header_len = usize::from(frame.get(l2).ok_or(NotSplit)? & 15) * 4;
    let len = usize::from(be16(frame, l2 + 2).ok_or(NotSplit)?);
    let field = be16(frame, l2 + 6).ok_or(NotSplit)?;
    let sensible = parsed.version == IpVersion::V4 && !parsed.dont_fragment;
    if !sensible || header_len < 20 || header_len > len || l2 + len > frame.len() {
        return Err(NotSplit);
    }
    let room = usize::from(mtu).checked_sub(header_len).ok_or(NotSplit)? & !7;
    if room == 0 {
        return Err(NotSplit);
    }
    let head = l2 + header_len;
    let mut done = 0;
    while len - header_len - done > usize::from(mtu) - header_len {
        let mut piece = alloc().ok_or(NotSplit)?;
        if !piece.set_len(head + room) {
            return Err(NotSplit);
        }
        let from = packet.bytes();
        put(piece.bytes_mut(), 0, &from[..head]);
        put(piece.bytes_mut(), head, &from[head + done..head + done + room]);
        finish(piece.bytes_mut(), l2, header_len, Piece { field, done, more: true });
        emit(piece);
        done += room;
    }
    packet.set_len(l2 + len);
    let frame = packet.bytes_mut();
    frame.copy_within(0..head, done);
    packet.strip_front(done);
    finish(packet.bytes_mut(), l2, header_len, Piece { field, done, more: false });
    Ok(())
}

/// Which part of the original a piece is: its fragmentation field, the bytes before the piece.
struct Piece {
    field: u16,
    done: usize,
    more: bool,
}

fn finish(frame: &mut [u8], l2: usize, header_len: usize, piece: Piece) {
    let len = (frame.len() - l2) as u16;
    put16(frame, l2 + 2, len);
    let offset = (piece.field & 0x1fff) + (piece.done / 8) as u16;
    let more = if piece.more { MORE } else { piece.field & MORE };
    put16(frame, l2 + 6, (piece.field & 0xc000) | more | (offset & 0x1fff));
    if piece.done > 0 {
        blank_options(&mut frame[l2 + 20..l2 + header_len]);
    }
    put16(frame, l2 + 10, 0);
    let sum = Sum::default().plus(&frame[l2..l2 + header_len]).checksum();
    put16(frame, l2 + 10, sum);
}

/// Options without the copy bit are in the first fragment only; elsewhere they become no-ops.
fn blank_options(options: &mut [u8]) {
    const NO_OP: u8 = 1;
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let len = match (kind, options.get(at + 1)) {
            (0, _) => return,
            (NO_OP, _) => 1,
            (_, Some(&len)) if len >= 2 && at + usize::from(len) <= options.len() => len.into(),
            _ => options.len() - at,
        };
        if kind & 0x80 == 0 {
            options[at..at + len].fill(NO_OP);
        }
        at += len;
    }
}
