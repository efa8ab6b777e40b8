//! Classic pcap files as queues: microseconds, Ethernet, either byte order.

use crate::{Burst, Rx, Tx};
use std::io::{self, Read, Write};
use wire::{Buffer, Packet};

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
/// Longest frame that is read or written; a file that claims more is refused.
const SNAP_LEN: u32 = 65_535;

/// Why a capture cannot be read.
#[derive(Debug)]
pub enum PcapError {
    /// The file does not begin as a classic Ethernet pcap does.
    NotPcap,
    /// A record is longer than [`SNAP_LEN`] or ends early.
    Broken,
    /// Reading failed.
    Io(io::Error),
}

impl std::fmt::Display for PcapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotPcap => write!(f, "not a classic pcap file of Ethernet frames"),
            Self::Broken => write!(f, "a record is broken or longer than {SNAP_LEN} bytes"),
            Self::Io(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for PcapError {}

impl From<io::Error> for PcapError {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::UnexpectedEof { Self::Broken } else { Self::Io(e) }
    }
}

/// Frames of a capture, in order. As a queue it delivers until the end or the first broken
/// record, which [`PcapReader::error`] keeps.
pub struct PcapReader<R> {
    from: R,
    swapped: bool,
    error: Option<PcapError>,
}

impl<R: Read> PcapReader<R> {
    /// Reads the file's header.
    ///
    /// # Errors
    /// See [`PcapError`].
    pub fn new(mut from: R) -> Result<Self, PcapError> {
        let mut header = [0; 24];
        from.read_exact(&mut header).map_err(|_| PcapError::NotPcap)?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let swapped = match word(0) {
            MAGIC => false,
            magic if magic.swap_bytes() == MAGIC => true,
            _ => return Err(PcapError::NotPcap),
        };
        let link = if swapped { word(20).swap_bytes() } else { word(20) };
        if link != ETHERNET {
            return Err(PcapError::NotPcap);
        }
        Ok(Self { from, swapped, error: None })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// See [`PcapError`].
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, PcapError> {
        let mut header = [0; 16];
        let begun = loop {
            match self.from.read(&mut header[..1]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if begun == 0 {
            return Ok(None);
        }
        self.from.read_exact(&mut header[1..])?;
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let len = if self.swapped { len.swap_bytes() } else { len };
        if len > SNAP_LEN {
            return Err(PcapError::Broken);
        }
        let mut frame = vec![0; len as usize];
        self.from.read_exact(&mut frame)?;
        Ok(Some(frame))
    }

    /// What ended the queue, if it was not the end of the file.
    pub fn error(&self) -> Option<&PcapError> {
        self.error.as_ref()
    }
}

impl<R: Read> Rx for PcapReader<R> {
    type Packet = Buffer;

    fn receive(&mut self, into: &mut Burst<Buffer>) {
        while self.error.is_none() && !into.is_full() {
            match self.next_frame() {
                Ok(Some(frame)) => {
                    let _ = into.push(Buffer::new(&frame));
                }
                Ok(None) => return,
                Err(e) => self.error = Some(e),
            }
        }
    }
}

/// Writes what is sent to a capture. A queue has no clock: each frame is a microsecond later than
/// the one before.
pub struct PcapWriter<W> {
    to: W,
    frames: u32,
    error: Option<io::Error>,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(&MAGIC.to_le_bytes())?;
        to.write_all(&[2, 0, 4, 0])?;
        to.write_all(&[0; 8])?;
        to.write_all(&SNAP_LEN.to_le_bytes())?;
        to.write_all(&ETHERNET.to_le_bytes())?;
        Ok(Self { to, frames: 0, error: None })
    }

    /// Appends one frame, its first 65,535 bytes.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let kept = &frame[..frame.len().min(SNAP_LEN as usize)];
        let time = [self.frames / 1_000_000, self.frames % 1_000_000];
        for word in [time[0], time[1], kept.len() as u32, frame.len() as u32] {
            self.to.write_all(&word.to_le_bytes())?;
        }
        self.to.write_all(kept)?;
        self.frames = self.frames.wrapping_add(1);
        Ok(())
    }

    /// What it was writing to.
    pub fn into_inner(self) -> W {
        self.to
    }

    /// What ended the queue, if anything did.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl<W: Write> Tx for PcapWriter<W> {
    type Packet = Buffer;

    fn send(&mut self, from: &mut Burst<Buffer>) {
        if self.error.is_some() {
            return;
        }
        let mut kept = Burst::new();
        for packet in from.drain(..) {
            if self.error.is_none() {
                self.error = self.write(packet.bytes()).err();
            }
            if self.error.is_some() {
                let _ = kept.push(packet);
            }
        }
        *from = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn written(frames: &[&[u8]]) -> Vec<u8> {
        let mut writer = PcapWriter::new(Vec::new()).unwrap();
        for frame in frames {
            writer.write(frame).unwrap();
        }
        writer.into_inner()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::new(&mut file).unwrap();
        writer.send(&mut (1..4).map(|n| Buffer::new(&vec![n; usize::from(n) * 20])).collect());
        let mut reader = PcapReader::new(file.as_slice()).unwrap();
        let mut burst = Burst::new();
        reader.receive(&mut burst);
        assert_eq!(burst.iter().map(|p| p.bytes().len()).collect::<Vec<_>>(), [20, 40, 60]);
        assert!(reader.error().is_none());
    }

    /// The file with every word of its headers in the other byte order.
    fn swapped(file: &[u8]) -> Vec<u8> {
        let (mut file, mut at) = (file.to_vec(), 24);
        file[..4].reverse();
        file[4..6].reverse();
        file[6..8].reverse();
        file[8..24].chunks_mut(4).for_each(<[u8]>::reverse);
        while at < file.len() {
            let len =
                u32::from_le_bytes([file[at + 8], file[at + 9], file[at + 10], file[at + 11]]);
            file[at..at + 16].chunks_mut(4).for_each(<[u8]>::reverse);
            at += 16 + len as usize;
        }
        file
    }

    #[test]
    fn the_other_byte_order_is_read() {
        let file = swapped(&written(&[&[1; 60], &[2; 1514]]));
        assert_eq!(file[..4], [0xa1, 0xb2, 0xc3, 0xd4]);
        let mut reader = PcapReader::new(file.as_slice()).unwrap();
        assert_eq!(reader.next_frame().unwrap(), Some(vec![1; 60]));
        assert_eq!(reader.next_frame().unwrap(), Some(vec![2; 1514]));
        assert_eq!(reader.next_frame().unwrap(), None);
    }

    /// Byte by byte what the format says, so that other programs read it.
    #[test]
    fn the_format_is_the_classic_one() {
        let file = written(&[&[7; 2], &[8; 3]]);
        let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let rest = [0xff, 0xff, 0, 0, 1, 0, 0, 0];
        let first = [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 7, 7];
        let second = [0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 8, 8, 8];
        assert_eq!(file, [&header[..], &rest, &first, &second].concat());
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let file = written(&[&vec![3; 70_000]]);
        assert_eq!(file[32..36], 65_535u32.to_le_bytes());
        assert_eq!(file[36..40], 70_000u32.to_le_bytes());
        let frame = PcapReader::new(file.as_slice()).unwrap().next_frame().unwrap();
        assert_eq!(frame.map(|frame| frame.len()), Some(65_535));
    }

    #[test]
    fn other_captures_are_refused() {
        let with = |at: usize, value: u8| {
            let mut file = written(&[]);
            file[at] = value;
            file
        };
        assert!(PcapReader::new(written(&[]).as_slice()).is_ok());
        // Nanoseconds, and raw IP.
        let nanoseconds = [&[0x4d, 0x3c, 0xb2, 0xa1][..], &written(&[])[4..]].concat();
        for file in [nanoseconds, with(20, 101), with(0, 0)] {
            assert!(matches!(PcapReader::new(file.as_slice()), Err(PcapError::NotPcap)));
        }
        assert!(matches!(PcapReader::new(&b"short"[..]), Err(PcapError::NotPcap)));
    }

    #[test]
    fn broken_records_are_refused_and_do_not_cost_memory() {
        let file = written(&[&[0; 60]]);
        for cut in 25..file.len() {
            let mut reader = PcapReader::new(&file[..cut]).unwrap();
            assert!(matches!(reader.next_frame(), Err(PcapError::Broken)), "cut at {cut}");
        }
        for len in [65_536, u32::MAX] {
            let mut huge = file.clone();
            huge[32..36].copy_from_slice(&len.to_le_bytes());
            let mut reader = PcapReader::new(huge.as_slice()).unwrap();
            let mut burst = Burst::new();
            reader.receive(&mut burst);
            assert!(burst.is_empty() && matches!(reader.error(), Some(PcapError::Broken)));
        }
    }

    /// A queue whose file is full keeps what it was given, and says why.
    #[test]
    fn a_full_file_ends_the_queue() {
        let mut room = [0; 24 + 16 + 60 + 7];
        let mut writer = PcapWriter::new(room.as_mut_slice()).unwrap();
        let mut burst: Burst<Buffer> = (0..4).map(|n| Buffer::new(&[n; 60])).collect();
        writer.send(&mut burst);
        assert!(writer.error().is_some());
        assert_eq!(burst.iter().map(|p| p.bytes()[0]).collect::<Vec<_>>(), [1, 2, 3]);
    }

    /// A signal interrupts reading; that is neither end nor error.
    #[test]
    fn an_interruption_is_survived() {
        struct Interrupted<'a>(&'a [u8], bool);
        impl Read for Interrupted<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(into) }
            }
        }
        let file = written(&[&[1; 60]]);
        let mut reader = PcapReader::new(Interrupted(&file, false)).unwrap();
        assert_eq!(reader.next_frame().unwrap(), Some(vec![1; 60]));
        assert_eq!(reader.next_frame().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(noise in vec(any::<u8>(), 0..300), headed in any::<bool>()) {
            let file = if headed { [written(&[]), noise].concat() } else { noise };
            let Ok(mut reader) = PcapReader::new(file.as_slice()) else { return Ok(()) };
            let mut total = 0;
            while let Ok(Some(frame)) = reader.next_frame() {
                total += 16 + frame.len();
            }
            prop_assert!(24 + total <= file.len());
        }

        #[test]
        fn frames_come_back_as_they_were(frames in vec(vec(any::<u8>(), 0..80), 0..20)) {
            let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let file = written(&slices);
            let mut reader = PcapReader::new(file.as_slice()).unwrap();
            for frame in frames {
                prop_assert_eq!(reader.next_frame().unwrap(), Some(frame));
            }
            prop_assert_eq!(reader.next_frame().unwrap(), None);
        }
    }
}
