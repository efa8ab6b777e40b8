//! A file in the root folder of an ISO 9660 volume (ECMA-119), by its long name: Joliet or Rock
//! Ridge. Read here and not by the kernel, whose driver would be one more to load for one file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SECTOR: u64 = 2_048;
/// Volume descriptors begin here, one a sector.
const DESCRIPTORS: u64 = 16;
/// More than any volume has.
const MOST_DESCRIPTORS: u64 = 16;
/// Most bytes of the root folder that are looked at.
const MOST_FOLDER: u32 = 1 << 20;

/// A volume.
#[derive(Debug)]
pub struct Volume<'a> {
    file: &'a File,
    label: String,
    root: Extent,
    joliet: bool,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    sector: u32,
    bytes: u32,
}

impl<'a> Volume<'a> {
    /// The volume on a device, if there is one.
    pub fn open(file: &'a File) -> Option<Self> {
        let (mut found, mut sector) = (None, [0; SECTOR as usize]);
        for number in DESCRIPTORS..DESCRIPTORS + MOST_DESCRIPTORS {
            file.read_exact_at(&mut sector, number * SECTOR).ok()?;
            if sector.get(1..6)? != b"CD001" {
                break;
            }
            let joliet = matches!(sector.get(88..91)?, b"%/@" | b"%/C" | b"%/E");
            match (sector[0], &mut found) {
                (1, None) => {
                    let label = String::from_utf8_lossy(sector.get(40..72)?).trim().to_owned();
                    let root = extent(sector.get(156..190)?)?;
                    found = Some(Self { file, label, root, joliet: false });
                }
                (2, Some(volume)) if joliet => {
                    volume.root = extent(sector.get(156..190)?)?;
                    volume.joliet = true;
                }
                (255, _) => break,
                _ => {}
            }
        }
        found
    }

    /// What the primary descriptor calls it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A file of the root folder; `None` if there is none, or it is longer than `most`.
    ///
    /// # Errors
    /// When the device cannot be read.
    pub fn read(&self, name: &str, most: usize) -> io::Result<Option<Vec<u8>>> {
        let folder = self.bytes(Extent { bytes: self.root.bytes.min(MOST_FOLDER), ..self.root })?;
        let found = folder.chunks(SECTOR as usize).find_map(|sector| self.find(sector, name));
        match found {
            Some(extent) if extent.bytes as usize <= most => self.bytes(extent).map(Some),
            _ => Ok(None),
        }
    }

    fn bytes(&self, extent: Extent) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; extent.bytes as usize];
        self.file.read_exact_at(&mut bytes, u64::from(extent.sector) * SECTOR)?;
        Ok(bytes)
    }

    /// Records do not cross sectors; after the last one are zeros.
    fn find(&self, mut sector: &[u8], name: &str) -> Option<Extent> {
        while let Some((record, rest)) = record(sector) {
            const FOLDER: u8 = 2;
            let is_file = record.get(25).is_some_and(|flags| flags & FOLDER == 0);
            if is_file && self.name(record).is_some_and(|it| it == name) {
                return extent(record);
            }
            sector = rest;
        }
        None
    }

    fn name(&self, record: &[u8]) -> Option<String> {
        let length = usize::from(*record.get(32)?);
        let own = record.get(33..33 + length)?;
        let long = match self.joliet {
            true => {
                let units = own.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                char::decode_utf16(units).collect::<Result<String, _>>().ok()
            }
            // Padded to an even length.
            false => record.get(33 + length + (1 - length % 2)..).and_then(rock_ridge),
        };
        let name = long.unwrap_or_else(|| String::from_utf8_lossy(own).to_lowercase());
        let name = name.split(';').next().unwrap_or_default();
        Some(name.trim_end_matches('.').to_owned())
    }
}

/// Extent and length of a record, of which the little-endian half is read (ECMA-119, 9.1).
fn extent(record: &[u8]) -> Option<Extent> {
    let word = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
    Some(Extent { sector: word(2)?, bytes: word(10)? })
}

fn record(sector: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*sector.first()?);
    (length > 33).then(|| sector.split_at_checked(length))?
}

/// The alternate name among the fields for the system's use (IEEE P1282, 4.1.4).
fn rock_ridge(mut fields: &[u8]) -> Option<String> {
    loop {
        let (head, length) = (fields.get(..2)?, usize::from(*fields.get(2)?));
        let field = fields.get(..length)?;
        if head == b"NM" {
            return Some(String::from_utf8_lossy(field.get(5..)?).into_owned());
        }
        // A field is at least as long as its head.
        fields = fields.get(length.max(4)..)?;
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Write;

    /// A volume with one file of 5 bytes: the primary folder in sector 20, the Joliet one in 21.
    pub fn volume(label: &str, plain: &[u8], system_use: &[u8], joliet: Option<&str>) -> File {
        let mut image = vec![0; 24 * SECTOR as usize];
        let mut descriptor = |sector: usize, kind: u8, folder: u32| {
            let it = &mut image[sector * 2048..][..2048];
            it[0] = kind;
            it[1..6].copy_from_slice(b"CD001");
            it[40..72].fill(b' ');
            it[40..40 + label.len()].copy_from_slice(label.as_bytes());
            it[156..190].copy_from_slice(&entry(&[0], &[], folder, 2048, 2)[..34]);
        };
        descriptor(16, 1, 20);
        match joliet {
            Some(_) => {
                descriptor(17, 2, 21);
                descriptor(18, 255, 0);
            }
            None => descriptor(17, 255, 0),
        }
        image[17 * 2048 + 88..][..3].copy_from_slice(b"%/E");
        let folder = entry(b"A", &[], 20, 2048, 2);
        let file = entry(plain, system_use, 22, 5, 0);
        let records = [folder, file].concat();
        image[20 * 2048..][..records.len()].copy_from_slice(&records);
        if let Some(name) = joliet {
            let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let record = entry(&wide, &[], 22, 5, 0);
            image[21 * 2048..][..record.len()].copy_from_slice(&record);
        }
        image[22 * 2048..][..5].copy_from_slice(b"hello");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&image).unwrap();
        file
    }

    fn entry(name: &[u8], system_use: &[u8], sector: u32, bytes: u32, flags: u8) -> Vec<u8> {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&bytes.to_le_bytes());
        record[25] = flags;
        record[32] = name.len() as u8;
        record.extend(name);
        record.resize(record.len().next_multiple_of(2), 0);
        record.extend(system_use);
        record[0] = record.len() as u8;
        record
    }

    fn read(file: &File, name: &str) -> Option<Vec<u8>> {
        Volume::open(file).unwrap().read(name, 100).unwrap()
    }

    #[test]
    fn a_file_is_found_by_either_kind_of_long_name() {
        let rock_ridge = b"RR\x05\x01\x81NM\x0e\x01\x00user-data";
        for file in [
            volume("CIDATA", b"USER_DAT.;1", rock_ridge, None),
            volume("cidata", b"USER_DAT.;1", &[], Some("user-data")),
            volume("cidata", b"USER-DATA.;1", &[], None),
        ] {
            assert_eq!(read(&file, "user-data").as_deref(), Some(&b"hello"[..]));
            assert_eq!(read(&file, "meta-data"), None);
            let volume = Volume::open(&file).unwrap();
            assert!(volume.label().eq_ignore_ascii_case("cidata"));
            assert_eq!(volume.read("user-data", 4).unwrap(), None, "too long");
        }
    }

    #[test]
    fn a_damaged_volume_is_no_panic() {
        assert!(Volume::open(&tempfile::tempfile().unwrap()).is_none());
        let whole = volume("cidata", b"X", b"NM\x03\x00\x00", Some("user-data"));
        let mut image = vec![0; 24 * 2048];
        whole.read_exact_at(&mut image, 0).unwrap();
        // Every byte of descriptors and folders, each with values that lengths do not like.
        for at in (16 * 2048..16 * 2048 + 200).chain(20 * 2048..20 * 2048 + 90) {
            for value in [0, 1, 33, 34, 127, 255] {
                let mut damaged = image.clone();
                damaged[at] = value;
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&damaged).unwrap();
                if let Some(volume) = Volume::open(&file) {
                    let _ = volume.read("user-data", 100);
                }
            }
        }
    }
}
