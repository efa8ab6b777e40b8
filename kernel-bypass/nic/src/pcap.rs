//! Classic pcap files as queues: microseconds, Ethernet, the writer's byte order or the other.

use crate::{Burst, Rx, Tx};
use std::io::{self, Read, Write};
use wire::{Buffer, Packet};

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
/// Longest frame that is read; a file that claims more is refused.
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
        if self.from.read(&mut header[..1])? == 0 {
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

/// Writes what is sent to a capture. Time stamps count frames: a queue has no clock.
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

    /// Appends one frame.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let len = (frame.len() as u32).to_le_bytes();
        self.to.write_all(&0u32.to_le_bytes())?;
        self.to.write_all(&self.frames.to_le_bytes())?;
        self.to.write_all(&len)?;
        self.to.write_all(&len)?;
        self.to.write_all(frame)?;
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
        for packet in from.drain(..) {
            if let Err(e) = self.write(packet.bytes()) {
                self.error = Some(e);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn broken_files_are_refused_and_do_not_cost_memory() {
        assert!(matches!(PcapReader::new(&b"short"[..]), Err(PcapError::NotPcap)));
        let mut file = Vec::new();
        PcapWriter::new(&mut file).unwrap().write(&[0; 60]).unwrap();
        let cut = &file[..file.len() - 1];
        assert!(matches!(PcapReader::new(cut).unwrap().next_frame(), Err(PcapError::Broken)));
        let mut huge = file.clone();
        huge[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        let result = PcapReader::new(huge.as_slice()).unwrap().next_frame();
        assert!(matches!(result, Err(PcapError::Broken)));
    }
}
