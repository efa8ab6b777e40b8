//! What a packet says of itself: which it is, and when it was made.
//!
//! In UDP it is the first sixteen bytes of the payload, in TCP an option of the kind for experiments
//! (RFC 6994), so that a SYN needs no data. All of it lies at even offsets.

use wire::{L4, Parsed};

/// Bytes that it takes.
pub const LEN: usize = 16;
/// The TCP option that holds it, and two bytes of filling in front.
pub(crate) const OPTION: usize = LEN + 4;
/// The header of UDP.
const UDP: usize = 8;
/// The header of TCP without options.
const TCP: usize = 20;
/// No operation twice, the kind for experiments, its length.
const OPTION_START: [u8; 4] = [1, 1, 253, 2 + LEN as u8];
/// A number or a time has 48 bits.
const WORD: u64 = (1 << 48) - 1;

/// Who is to count the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whoever gets it; it is not answered.
    Notice,
    /// The real server, which answers.
    Request,
    /// The client.
    Reply,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Who is to count it.
    pub kind: Kind,
    /// The trial it belongs to, so that a straggler of the one before is not counted.
    pub trial: u8,
    /// The sender, each with numbers of its own.
    pub stream: u8,
    /// Its number among those of this kind and stream, from 0; 48 bits.
    pub number: u64,
    /// When it was made, in nanoseconds of the generator's clock; 48 bits (78 hours).
    pub time: u64,
}

impl Kind {
    /// Also the identifier of RFC 6994's experiments.
    const fn magic(self) -> u16 {
        match self {
            Self::Notice => 0xf51a,
            Self::Request => 0xf51b,
            Self::Reply => 0xf51c,
        }
    }

    const fn of(magic: u16) -> Option<Self> {
        match magic {
            0xf51a => Some(Self::Notice),
            0xf51b => Some(Self::Request),
            0xf51c => Some(Self::Reply),
            _ => None,
        }
    }
}

impl Stamp {
    /// As it is on the wire.
    pub fn bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..2].copy_from_slice(&self.kind.magic().to_be_bytes());
        bytes[2..4].copy_from_slice(&[self.trial, self.stream]);
        bytes[4..10].copy_from_slice(&(self.number & WORD).to_be_bytes()[2..]);
        bytes[10..].copy_from_slice(&(self.time & WORD).to_be_bytes()[2..]);
        bytes
    }

    /// From the wire; `None` when it is something else.
    pub fn of(bytes: &[u8; LEN]) -> Option<Self> {
        let word =
            |at: usize| bytes[at..at + 6].iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        Some(Self {
            kind: Kind::of(u16::from_be_bytes([bytes[0], bytes[1]]))?,
            trial: bytes[2],
            stream: bytes[3],
            number: word(4),
            time: word(10),
        })
    }

    /// The stamp of a packet, if it has one.
    pub fn find(frame: &[u8], parsed: &Parsed) -> Option<Self> {
        frame.get(place(frame, parsed)?..)?.first_chunk().and_then(Self::of)
    }
}

/// The option around a stamp.
pub(crate) fn option(stamp: &Stamp) -> [u8; OPTION] {
    let mut bytes = [0; OPTION];
    bytes[..4].copy_from_slice(&OPTION_START);
    bytes[4..].copy_from_slice(&stamp.bytes());
    bytes
}

/// Where a packet would have its stamp, within the IP packet.
pub(crate) fn place(frame: &[u8], parsed: &Parsed) -> Option<usize> {
    let l4 = usize::from(parsed.l4_off);
    let at = match parsed.kind {
        L4::Udp => l4 + UDP,
        L4::Tcp => {
            let header = frame.get(l4..l4 + TCP + OPTION)?;
            let long_enough = usize::from(header[12] >> 4) * 4 >= TCP + OPTION;
            (long_enough && header[TCP..].starts_with(&OPTION_START)).then_some(l4 + TCP + 4)?
        }
        _ => return None,
    };
    let end = usize::from(parsed.l3_off) + usize::from(parsed.l3_len);
    (at + LEN <= end.min(frame.len())).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Notice), Just(Kind::Request), Just(Kind::Reply)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in kind(), trial: u8, stream: u8, number in 0..=WORD, time in 0..=WORD,
        ) {
            let stamp = Stamp { kind, trial, stream, number, time };
            prop_assert_eq!(Stamp::of(&stamp.bytes()), Some(stamp));
        }

        #[test]
        fn other_bytes_are_none(bytes: [u8; LEN]) {
            let magic = u16::from_be_bytes([bytes[0], bytes[1]]);
            prop_assert_eq!(Stamp::of(&bytes).is_some(), (0xf51a..=0xf51c).contains(&magic));
        }
    }
}
