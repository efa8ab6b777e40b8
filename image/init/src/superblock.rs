//! The superblock of the state partition's file system, ext4 (Linux, Documentation/filesystems/ext4/
//! super.rst), before it is mounted.
//!
//! It has two sectors. A disk writes each of them whole, but its power may fail between the two.
//! Whatever Linux goes by and changes while a file system is in use stands in the first one, and
//! in the second the checksum of both: a torn superblock is the one before or the one after, with
//! the checksum of the other. Linux refuses it. A copy elsewhere would not help: the file system of
//! the image has none until it has grown, and later ones are as old as that.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where it begins, in bytes, and its length.
const PLACE: u64 = 1024;
const LENGTH: usize = 1024;
const BLOCKS: usize = 0x04;
const BLOCK_SIZE: usize = 0x18;
const MAGIC: usize = 0x38;
const INCOMPATIBLE: usize = 0x60;
const READ_ONLY_COMPATIBLE: usize = 0x64;
const CHECKSUM_TYPE: usize = 0x175;
const CHECKSUM: usize = 0x3fc;

const EXT4: [u8; 2] = [0x53, 0xef];
/// The journal is ahead of the file system.
const NEEDS_RECOVERY: u32 = 0x4;
const HAS_CHECKSUMS: u32 = 0x400;
const CRC32C: u8 = 1;

/// One that was read.
pub struct Superblock([u8; LENGTH]);

impl Superblock {
    /// Of a partition, if it has one.
    pub fn read(partition: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; LENGTH];
        partition.read_exact_at(&mut bytes, PLACE)?;
        Ok((bytes[MAGIC..MAGIC + 2] == EXT4).then_some(Self(bytes)))
    }

    /// How large the file system is, in bytes.
    pub fn file_system(&self) -> u64 {
        u64::from(self.word(BLOCKS)) << self.word(BLOCK_SIZE).saturating_add(10).min(16)
    }

    /// Whether the file system was not unmounted.
    pub fn needs_recovery(&self) -> bool {
        self.word(INCOMPATIBLE) & NEEDS_RECOVERY != 0
    }

    /// The checksum that it should have, if it has a wrong one.
    fn due(&self) -> Option<[u8; 4]> {
        let has = self.word(READ_ONLY_COMPATIBLE) & HAS_CHECKSUMS != 0;
        if !has || self.0[CHECKSUM_TYPE] != CRC32C {
            return None;
        }
        // Unlike everybody else, ext4 does not invert it in the end.
        let due = !crc32c::crc32c(&self.0[..CHECKSUM]);
        (due != self.word(CHECKSUM)).then_some(due.to_le_bytes())
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|n| self.0[at + n]))
    }
}

/// Gives a torn superblock the checksum that goes with it; whether there was anything to do. That is
/// one sector, so the power may fail here as well. Whether what it says is true, and no damage of
/// another kind, Linux finds by the checksums of all that it leads to.
pub fn mend(partition: &File) -> io::Result<bool> {
    let Some(due) = Superblock::read(partition)?.and_then(|block| block.due()) else {
        return Ok(false);
    };
    partition.write_all_at(&due, PLACE + CHECKSUM as u64)?;
    partition.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 512;

    /// As mke2fs makes one of 32 MiB, and Linux's next one: mounted, and so its journal ahead.
    fn versions() -> [[u8; LENGTH]; 2] {
        let mut block = [0; LENGTH];
        block[MAGIC..MAGIC + 2].copy_from_slice(&EXT4);
        for (at, value) in [(BLOCKS, 8_192), (BLOCK_SIZE, 2), (INCOMPATIBLE, 0x2c2)] {
            block[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        block[READ_ONLY_COMPATIBLE..READ_ONLY_COMPATIBLE + 4]
            .copy_from_slice(&0x46b_u32.to_le_bytes());
        block[CHECKSUM_TYPE] = CRC32C;
        let mut next = block;
        next[INCOMPATIBLE] |= NEEDS_RECOVERY as u8;
        [block, next].map(sealed)
    }

    fn sealed(block: [u8; LENGTH]) -> [u8; LENGTH] {
        let mut sealed = block;
        let due = Superblock(block).due().unwrap();
        sealed[CHECKSUM..].copy_from_slice(&due);
        sealed
    }

    fn partition(block: &[u8; LENGTH]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        file.write_all_at(block, PLACE).unwrap();
        file
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn it_tells_size_and_journal() {
        let [before, after] = versions().map(Superblock);
        assert_eq!((before.file_system(), after.file_system()), (32 << 20, 32 << 20));
        assert!(!before.needs_recovery() && after.needs_recovery());
        let none = partition(&[0; LENGTH]);
        assert!(Superblock::read(&none).unwrap().is_none());
    }

    #[test]
    fn the_checksum_is_that_of_ext4() {
        let [whole, _] = versions();
        assert_eq!(whole[CHECKSUM..], 0x10ea_a2ef_u32.to_le_bytes());
    }

    #[test]
    fn a_torn_one_is_the_one_before_or_the_one_after() {
        let [before, after] = versions();
        for (first, second) in [(&before, &after), (&after, &before)] {
            let mut torn = *first;
            torn[SECTOR..].copy_from_slice(&second[SECTOR..]);
            let file = partition(&torn);
            assert!(mend(&file).unwrap());
            assert!(content(&file) == content(&partition(first)));
            assert!(!mend(&file).unwrap(), "the second time");
        }
    }

    #[test]
    fn whatever_else_it_is_stays_as_it_is() {
        let [whole, _] = versions();
        let mut no_ext4 = whole;
        no_ext4[MAGIC] = 0;
        let mut unsealed = whole;
        unsealed[READ_ONLY_COMPATIBLE + 1] = 0;
        let mut by_another = whole;
        by_another[CHECKSUM_TYPE] = 2;
        for block in [whole, no_ext4, unsealed, by_another, [0; LENGTH], [0xff; LENGTH]] {
            let file = partition(&block);
            assert!(!mend(&file).unwrap());
            assert!(content(&file) == content(&partition(&block)));
        }
    }
}
