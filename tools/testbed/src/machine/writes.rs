//! What a disk was told, in its order, and what is left of that on a disk whose power failed.
//!
//! A disk that has been told to flush keeps what came before. Of what came since, it may have kept
//! any part, and of the write that it was at any of the sectors. QEMU writes down every write and
//! flush (driver `blklogwrites`; the format is that of Linux, admin-guide/device-mapper/
//! log-writes.rst), so that one run gives as many power cuts as are wanted, at any moment of it.

use super::TOOL;
use crate::lab::process;
use crate::servers::files::SplitMix;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAGIC: u64 = 0x006a_7366_7773_6872;
/// Of the log and of the disk.
const SECTOR: u64 = 512;
const DISCARD: u64 = 4;

/// A log, and the disk as it was before.
#[derive(Debug)]
pub struct Writes {
    log: PathBuf,
    before: PathBuf,
}

/// One thing that the disk was told, which ends at this byte of the log.
#[derive(Clone, Copy, Debug)]
struct Told {
    what: What,
    end: u64,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Bytes of the log from `from` on are the disk's from `to` on.
    Write {
        to: u64,
        from: u64,
        length: u64,
    },
    Flush,
    /// Nobody needs these sectors any more; they may as well stay.
    Discard,
}

impl Writes {
    /// Keeps `disk` as it is now, and begins an empty log beside it.
    pub(super) fn begin(disk: &Path) -> Result<Self> {
        let (log, before) = (disk.with_extension("log"), disk.with_extension("before"));
        copy(disk, &before)?;
        File::create(&log)?;
        Ok(Self { log, before })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// How long the log is by now.
    pub fn length(&self) -> Result<u64> {
        Ok(self.log.metadata()?.len())
    }

    /// So many moments between two lengths of the log, with the same numbers the same ones. Of
    /// each, how long the log was.
    pub fn moments(
        &self,
        between: (u64, u64),
        many: usize,
        seed: &mut SplitMix,
    ) -> Result<Vec<u64>> {
        let told = self.told()?;
        let ends = told.iter().map(|told| told.end);
        let ends: Vec<u64> = ends.filter(|end| (between.0..=between.1).contains(end)).collect();
        ensure!(!ends.is_empty(), "the disk was told nothing between {between:?}");
        Ok((0..many).map(|_| ends[(seed.next() % ends.len() as u64) as usize]).collect())
    }

    /// Writes to `target` what a disk may have, whose power failed at that moment.
    pub fn cut(&self, moment: u64, seed: &mut SplitMix, target: &Path) -> Result<()> {
        copy(&self.before, target)?;
        let mut told = self.told()?;
        told.retain(|told| told.end <= moment);
        let flushed = told.iter().rposition(|told| matches!(told.what, What::Flush));
        let (log, disk) = (File::open(&self.log)?, File::options().write(true).open(target)?);
        let last = told.len().saturating_sub(1);
        for (number, told) in told.iter().enumerate() {
            let What::Write { to, from, length } = told.what else { continue };
            let is_flushed = flushed.is_some_and(|flush| number < flush);
            if !is_flushed && number == last {
                for at in
                    (0..length).step_by(SECTOR as usize).filter(|_| seed.next().is_multiple_of(2))
                {
                    put(&log, from + at, &disk, to + at, SECTOR)?;
                }
            } else if is_flushed || seed.next().is_multiple_of(2) {
                put(&log, from, &disk, to, length)?;
            }
        }
        Ok(())
    }

    fn told(&self) -> Result<Vec<Told>> {
        let file = File::open(&self.log)?;
        let length = file.metadata()?.len();
        ensure!(long(&file, 0)? == MAGIC, "{} is no log of writes", self.log.display());
        let (mut at, mut told) = (SECTOR, Vec::new());
        while at + SECTOR <= length {
            let (to, sectors, flags) =
                (long(&file, at)?, long(&file, at + 8)?, long(&file, at + 16)?);
            let from = at + SECTOR;
            let what = match (flags & DISCARD, sectors) {
                (DISCARD, _) => What::Discard,
                (_, 0) => What::Flush,
                _ => What::Write { to: to * SECTOR, from, length: sectors * SECTOR },
            };
            at = match what {
                What::Write { length, .. } => from + length,
                What::Flush | What::Discard => from,
            };
            told.push(Told { what, end: at });
        }
        Ok(told)
    }
}

fn long(file: &File, at: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_le_bytes(bytes))
}

fn put(from: &File, at: u64, to: &File, place: u64, length: u64) -> Result<()> {
    let mut bytes = vec![0; usize::try_from(length)?];
    from.read_exact_at(&mut bytes, at).context("the log of writes is cut short")?;
    Ok(to.write_all_at(&bytes, place)?)
}

/// Holes stay holes.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.arg("--sparse=always").arg(from).arg(to);
    process::succeed(copy, TOOL).map(drop)
}
