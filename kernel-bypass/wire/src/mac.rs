//! The Ethernet header: addresses and the 802.1Q tag.

use crate::bytes::{be16, put};
use crate::packet::Packet;

const ADDRESSES: usize = 12;
const TAG: usize = 4;

/// An address in one word, so that it is compared, and written, in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// Of an address.
    #[inline]
    pub const fn new([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self::padded([a, b, c, d, e, f, 0, 0])
    }

    /// Of an address and two zeros. (Something else there would disfigure the other address of a
    /// frame.)
    #[inline]
    pub const fn padded(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// Whether a frame that starts with these bytes is for another station.
    #[inline]
    pub(crate) const fn differs(self, start: [u8; 8]) -> bool {
        (u64::from_le_bytes(start) ^ self.0) << 16 != 0
    }
}

/// Writes both addresses. A frame too short stays as it is.
#[inline]
pub fn set_words(frame: &mut [u8], destination: Word, source: Word) {
    if let Some(header) = frame.first_chunk_mut::<ADDRESSES>() {
        let first = destination.0 | source.0 << 48;
        header[..8].copy_from_slice(&first.to_le_bytes());
        header[8..].copy_from_slice(&((source.0 >> 16) as u32).to_le_bytes());
    }
}

/// The destination; zeros in a frame too short for one.
#[inline]
pub fn destination(frame: &[u8]) -> [u8; 6] {
    frame.first_chunk().copied().unwrap_or_default()
}

/// The source; zeros in a frame too short for one.
#[inline]
pub fn source(frame: &[u8]) -> [u8; 6] {
    frame.get(6..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default()
}

/// Writes both addresses. A frame too short stays as it is.
#[inline]
pub fn set(frame: &mut [u8], destination: &[u8; 6], source: &[u8; 6]) {
    set_words(frame, Word::new(*destination), Word::new(*source));
}

/// Exchanges the addresses.
#[inline]
pub fn swap(frame: &mut [u8]) {
    let (destination, source) = (destination(frame), source(frame));
    set(frame, &source, &destination);
}

/// Whether the frame has a tag.
#[inline]
pub fn is_tagged(frame: &[u8]) -> bool {
    matches!(be16(frame, ADDRESSES), Some(0x8100 | 0x88a8))
}

/// Gives the frame this tag: replaces the identifier of the outermost one (its priority stays) or
/// inserts a new one. False when there is no room in front.
#[must_use]
pub fn set_tag<P: Packet>(packet: &mut P, vlan: u16) -> bool {
    let frame = packet.bytes_mut();
    if is_tagged(frame) {
        let priority = be16(frame, ADDRESSES + 2).unwrap_or_default() & 0xf000;
        put(frame, ADDRESSES + 2, &(priority | (vlan & 0xfff)).to_be_bytes());
        return true;
    }
    if frame.len() < ADDRESSES || !packet.prepend(TAG) {
        return false;
    }
    let frame = packet.bytes_mut();
    frame.copy_within(TAG..TAG + ADDRESSES, 0);
    put(frame, ADDRESSES, &[0x81, 0x00]);
    put(frame, ADDRESSES + 2, &(vlan & 0xfff).to_be_bytes());
    true
}

/// Removes the outermost tag, if there is one.
pub fn remove_tag<P: Packet>(packet: &mut P) {
    let frame = packet.bytes_mut();
    if is_tagged(frame) && frame.len() >= ADDRESSES + TAG {
        frame.copy_within(0..ADDRESSES, TAG);
        packet.strip_front(TAG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Buffer;

    #[test]
    fn a_tag_comes_changes_and_goes() {
        let frame: Vec<u8> = (0..60).collect();
        let mut packet = Buffer::new(&frame);
        assert!(set_tag(&mut packet, 5));
        assert_eq!(packet.bytes()[..18], [&frame[..12], &[0x81, 0, 0, 5], &frame[12..14]].concat());
        packet.bytes_mut()[14] = 0xa0;
        assert!(set_tag(&mut packet, 0xabc));
        assert_eq!(packet.bytes()[14..16], [0xaa, 0xbc], "the priority stays");
        remove_tag(&mut packet);
        assert_eq!(packet.bytes(), frame);
        remove_tag(&mut packet);
        assert_eq!(packet.bytes(), frame);
    }

    #[test]
    fn frames_too_short_are_left_alone() {
        let mut packet = Buffer::new(&[1, 2, 3]);
        assert!(!set_tag(&mut packet, 5));
        remove_tag(&mut packet);
        swap(packet.bytes_mut());
        assert_eq!(packet.bytes(), [1, 2, 3]);
    }
}
