//! The state partition, made as large as the disk: an image is small, and what it is copied to is
//! not. The table (GPT; UEFI specification, 5.3) is written here, the kernel is told by
//! `resizepart`, and the file system follows by `resize2fs` while it is mounted.

use crate::log;
use crate::superblock::Superblock;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

const SECTOR: u64 = 512;
const HEADER: usize = 92;
const ENTRY: usize = 128;
const ENTRIES: usize = 128;
/// Sectors of the list of partitions, and of its copy before the copy of the header at the end.
const LIST: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;
/// Less than this is not worth a write: partitions end at whole MiB.
const WORTH: u64 = (2 << 20) / SECTOR;

/// Enlarges the partition `device` (such as `/dev/vda3`) if it is the last of its disk and the
/// disk goes on behind it.
pub fn partition(device: &str) {
    match try_partition(Path::new("/"), device) {
        Ok(None) => {}
        Ok(Some(mib)) => log::line(&format!("{device} has {mib} MiB now, to the disk's end")),
        Err(error) => log::error(&format!("{device} stays as small as it is: {error:#}")),
    }
}

/// Enlarges the file system on `device`, which is mounted, to its partition.
pub fn file_system(device: &str) {
    let Ok(Some(block)) = File::open(device).and_then(|file| Superblock::read(&file)) else {
        return;
    };
    let size = size_of(Path::new("/"), device).unwrap_or(0) * SECTOR;
    if size.saturating_sub(block.file_system()) >= WORTH * SECTOR
        && let Err(error) = run("/usr/sbin/resize2fs", &[device])
    {
        log::error(&format!("the file system on {device} stays as small as it is: {error:#}"));
    }
}

fn try_partition(root: &Path, device: &str) -> Result<Option<u64>> {
    let name = device.trim_start_matches("/dev/");
    let folder = root.join("sys/class/block").join(name);
    let number: usize = number(&folder, "partition")?.try_into()?;
    let disk = folder.canonicalize()?.parent().and_then(Path::file_name).map(|it| it.to_owned());
    let disk = disk.context("a partition without a disk")?;
    let disk = disk.to_str().context("a disk without a name")?;
    let path = format!("/dev/{disk}");
    let sectors = size_of(root, &path)?;
    let file = File::options().read(true).write(true).open(&path).context(path.clone())?;
    let Some(length) = enlarge(&file, number, sectors)? else { return Ok(None) };
    run("/usr/bin/resizepart", &[&path, &number.to_string(), &length.to_string()])?;
    Ok(Some((length * SECTOR) >> 20))
}

/// Sectors of 512 bytes, whatever the disk's own are.
fn size_of(root: &Path, device: &str) -> Result<u64> {
    number(&root.join("sys/class/block").join(device.trim_start_matches("/dev/")), "size")
}

fn number(folder: &Path, name: &str) -> Result<u64> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim().parse()?)
}

/// Writes the table anew if partition `number` can be larger. Its new length in sectors. A table
/// that the power failed in is written again from its copy at the end.
fn enlarge(disk: &File, number: usize, sectors: u64) -> Result<Option<u64>> {
    let last = sectors - 1;
    let (mut table, is_torn) = match Table::read(disk, 1, 2) {
        Ok(table) => (table, false),
        Err(error) => (Table::read(disk, last, last - LIST).map_err(|_| error)?, true),
    };
    let length = table.enlarge(number, sectors)?;
    if length.is_some() {
        // The copy first: whenever the power fails, one of the two is whole.
        disk.write_all_at(&table.entries, (last - LIST) * SECTOR)?;
        disk.write_all_at(&table.header(last, 1, last - LIST), last * SECTOR)?;
        disk.sync_all()?;
    }
    if length.is_some() || is_torn {
        disk.write_all_at(&table.entries, 2 * SECTOR)?;
        disk.write_all_at(&table.header(1, last, 2), SECTOR)?;
        disk.sync_all()?;
    }
    Ok(length)
}

/// What is in the first sectors of a disk.
struct Table {
    header: [u8; HEADER],
    entries: Vec<u8>,
}

impl Table {
    /// With its header and its list of partitions at these sectors.
    fn read(disk: &File, own: u64, list: u64) -> Result<Self> {
        let (mut header, mut entries) = ([0; HEADER], vec![0; ENTRIES * ENTRY]);
        disk.read_exact_at(&mut header, own * SECTOR)?;
        disk.read_exact_at(&mut entries, list * SECTOR)?;
        let table = Self { header, entries };
        ensure!(table.header.starts_with(b"EFI PART"), "the disk has no GPT of 512-byte sectors");
        let usual = table.word(12) == HEADER as u32
            && table.long(72) == list
            && table.word(80) == ENTRIES as u32
            && table.word(84) == ENTRY as u32;
        ensure!(usual, "the table is laid out as no image of ours is");
        let mut sealed = table.header;
        sealed[16..20].fill(0);
        ensure!(crc32(&sealed) == table.word(16), "the table's checksum is wrong");
        ensure!(crc32(&table.entries) == table.word(88), "the partitions' checksum is wrong");
        Ok(table)
    }

    fn enlarge(&mut self, number: usize, sectors: u64) -> Result<Option<u64>> {
        let spans: Vec<(u64, u64)> = self.entries.chunks(ENTRY).map(span).collect();
        let (first, last) =
            *number.checked_sub(1).and_then(|n| spans.get(n)).context("no entry")?;
        let end = spans.iter().map(|(_, last)| *last).max().unwrap_or(0);
        ensure!(first > 0 && last >= first, "there is no partition {number}");
        // The last whole MiB before the copy of the table.
        let usable = sectors.saturating_sub(LIST + 1);
        let new = ((usable * SECTOR) >> 20 << 20) / SECTOR;
        if end > last || new < last + 1 + WORTH {
            return Ok(None);
        }
        let at = (number - 1) * ENTRY + 40;
        self.entries[at..at + 8].copy_from_slice(&(new - 1).to_le_bytes());
        self.header[48..56].copy_from_slice(&(usable - 1).to_le_bytes());
        Ok(Some(new - first))
    }

    /// The header as it is at `own`, with the other one and its list of partitions.
    fn header(&self, own: u64, other: u64, list: u64) -> [u8; SECTOR as usize] {
        let mut header = self.header;
        for (at, value) in [(24, own), (32, other), (72, list)] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        header[88..92].copy_from_slice(&crc32(&self.entries).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        let mut sector = [0; SECTOR as usize];
        sector[..HEADER].copy_from_slice(&header);
        sector
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|n| self.header[at + n]))
    }

    fn long(&self, at: usize) -> u64 {
        u64::from(self.word(at)) | (u64::from(self.word(at + 4)) << 32)
    }
}

/// First and last sector of an entry; zeros for an empty one.
fn span(entry: &[u8]) -> (u64, u64) {
    let long = |at: usize| {
        let bytes = entry.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    (long(32), long(40))
}

/// CRC-32 of IEEE 802.3, as the table has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    let output = command.output().context(program.to_owned())?;
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}: {}", output.status, wrong.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 2_048;

    /// A disk of so many MiB, as the image has it: its second partition ends at 8 MiB of 9.
    fn disk(mib: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(mib * MIB * SECTOR).unwrap();
        let mut table = Table { header: [0; HEADER], entries: vec![0; ENTRIES * ENTRY] };
        table.header[..8].copy_from_slice(b"EFI PART");
        table.header[12..16].copy_from_slice(&(HEADER as u32).to_le_bytes());
        table.header[80..84].copy_from_slice(&(ENTRIES as u32).to_le_bytes());
        table.header[84..88].copy_from_slice(&(ENTRY as u32).to_le_bytes());
        for (number, (first, last)) in
            [(MIB, 2 * MIB - 1), (2 * MIB, 8 * MIB - 1)].iter().enumerate()
        {
            let at = number * ENTRY;
            table.entries[at + 32..at + 40].copy_from_slice(&first.to_le_bytes());
            table.entries[at + 40..at + 48].copy_from_slice(&last.to_le_bytes());
        }
        file.write_all_at(&table.entries, 2 * SECTOR).unwrap();
        file.write_all_at(&table.header(1, 9 * MIB - 1, 2), SECTOR).unwrap();
        file
    }

    #[test]
    fn the_checksum_is_the_one_that_everybody_has() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_last_partition_grows_to_the_end_once_and_both_tables_say_so() {
        let (file, sectors) = (disk(100), 100 * MIB);
        assert_eq!(enlarge(&file, 1, sectors).unwrap(), None, "not the last one");
        assert_eq!(enlarge(&file, 2, sectors).unwrap(), Some(97 * MIB));
        assert_eq!(enlarge(&file, 2, sectors).unwrap(), None, "the second time");
        let table = Table::read(&file, 1, 2).unwrap();
        assert_eq!((table.long(24), table.long(32)), (1, sectors - 1));
        assert_eq!(table.long(48), sectors - LIST - 2);
        let spans: Vec<_> = table.entries.chunks(ENTRY).map(span).take(3).collect();
        assert_eq!(spans, [(MIB, 2 * MIB - 1), (2 * MIB, 99 * MIB - 1), (0, 0)]);
        // The copy is as good: put in the first one's place but for where it says that it is.
        let mut copy = vec![0; HEADER];
        file.read_exact_at(&mut copy, (sectors - 1) * SECTOR).unwrap();
        assert_eq!(copy[24..32], (sectors - 1).to_le_bytes());
        assert_eq!(copy[72..80], (sectors - 1 - LIST).to_le_bytes());
        let sum = copy[16..20].to_vec();
        copy[16..20].fill(0);
        assert_eq!(crc32(&copy).to_le_bytes(), sum[..]);
        let mut list = vec![0; ENTRIES * ENTRY];
        file.read_exact_at(&mut list, (sectors - 1 - LIST) * SECTOR).unwrap();
        assert_eq!(list, table.entries);
    }

    #[test]
    fn a_table_that_the_power_failed_in_is_written_again_from_its_copy() {
        let sectors = 100 * MIB;
        let (before, after) = (disk(100), disk(100));
        enlarge(&after, 2, sectors).unwrap();
        let (before, whole) = (read(&before), read(&after));
        // The header has not come to the disk any more, or it alone has.
        for torn in [SECTOR, 2 * SECTOR] {
            let at = torn as usize..(torn + SECTOR) as usize;
            after.write_all_at(&before[at], torn).unwrap();
            assert!(Table::read(&after, 1, 2).is_err());
            assert_eq!(enlarge(&after, 2, sectors).unwrap(), None, "it is as large as it can be");
            assert!(read(&after) == whole, "not mended");
        }
    }

    #[test]
    fn a_disk_without_room_or_with_a_damaged_table_is_left_alone() {
        let file = disk(9);
        assert_eq!(enlarge(&file, 2, 9 * MIB).unwrap(), None);
        for at in [SECTOR, SECTOR + 48, 2 * SECTOR + 40, SECTOR + 80] {
            let file = disk(100);
            file.write_all_at(&[7], at).unwrap();
            let before = read(&file);
            assert!(enlarge(&file, 2, 100 * MIB).is_err(), "{at}");
            assert!(read(&file) == before, "{at}: written to");
        }
        assert!(enlarge(&disk(100), 0, 100 * MIB).is_err());
        assert!(enlarge(&disk(100), 3, 100 * MIB).is_err());
    }

    fn read(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }
}
