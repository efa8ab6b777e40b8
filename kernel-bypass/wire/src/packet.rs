//! The packet trait, and a packet in ordinary memory.

/// What the NIC says of the checksums of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// It checked them.
    Good,
    /// At least one is wrong.
    Bad,
    /// It did not look.
    Unknown,
}

/// A frame from the Ethernet header on, in one piece, with room in front and behind.
pub trait Packet: Sized {
    /// The frame.
    fn bytes(&self) -> &[u8];

    /// The frame, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Adds `n` bytes in front; what they hold is not defined. False, and nothing happens, when
    /// there is no room.
    #[must_use]
    fn prepend(&mut self, n: usize) -> bool;

    /// Removes `n` bytes in front. False, and nothing happens, when there are fewer.
    fn strip_front(&mut self, n: usize) -> bool;

    /// Shortens or lengthens the frame at its end; what new bytes hold is not defined. False, and
    /// nothing happens, when there is no room.
    fn set_len(&mut self, len: usize) -> bool;

    /// What the NIC says of the checksums.
    fn rx_checksum(&self) -> RxChecksum;

    /// False when the frame is in more than one piece and [`Packet::bytes`] shows only the first.
    fn contiguous(&self) -> bool;

    /// Asks the memory for what is read of any frame first.
    #[inline]
    fn prefetch(&self) {}

    /// In one piece, and the NIC has found the checksums right.
    #[inline]
    fn is_plain(&self) -> bool {
        self.rx_checksum() == RxChecksum::Good && self.contiguous()
    }
}

/// Room in front of a [`Buffer`]'s frame.
const HEAD_ROOM: usize = 128;
/// The longest frame of a [`Buffer`].
const MOST: usize = 65_535;

/// A packet in ordinary memory, for tests, simulation and files.
#[derive(Clone, Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// A packet that holds a copy of `frame` (its first 65,535 bytes).
    pub fn new(frame: &[u8]) -> Self {
        let mut memory = vec![0; HEAD_ROOM];
        memory.extend_from_slice(&frame[..frame.len().min(MOST)]);
        Self { memory, start: HEAD_ROOM }
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Buffer {}

impl Packet for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..]
    }

    fn prepend(&mut self, n: usize) -> bool {
        match self.start.checked_sub(n) {
            Some(start) => {
                self.start = start;
                true
            }
            None => false,
        }
    }

    fn strip_front(&mut self, n: usize) -> bool {
        if n > self.bytes().len() {
            return false;
        }
        self.start += n;
        true
    }

    fn set_len(&mut self, len: usize) -> bool {
        if len > MOST && len > self.bytes().len() {
            return false;
        }
        self.memory.resize(self.start + len, 0);
        true
    }

    fn rx_checksum(&self) -> RxChecksum {
        RxChecksum::Unknown
    }

    fn contiguous(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_and_end_move_within_the_room() {
        let mut packet = Buffer::new(b"abcdef");
        assert!(packet.strip_front(2) && !packet.strip_front(5));
        assert_eq!(packet.bytes(), b"cdef");
        assert!(packet.prepend(130) && !packet.prepend(1));
        assert_eq!(packet.bytes().len(), 134);
        assert!(packet.set_len(3) && !packet.set_len(70_000));
        assert_eq!(packet.bytes().len(), 3);
    }

    #[test]
    fn what_a_prefix_made_too_long_may_be_shortened() {
        let mut packet = Buffer::new(&[0; MOST]);
        assert!(packet.prepend(40) && !packet.set_len(MOST + 41));
        assert!(packet.set_len(MOST + 20));
        assert_eq!(packet.bytes().len(), MOST + 20);
    }
}
