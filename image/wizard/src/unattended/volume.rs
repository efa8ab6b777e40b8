//! Files on other volumes of the machine: a config drive, the boot partition.

use super::iso::Volume;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What a config drive is called (cloud-init, data source NoCloud), in either case.
const LABEL: &str = "cidata";
/// The boot partition's name in the table of partitions.
const BOOT: &str = "PARTNAME=ESP";
/// Where a FAT volume is mounted while it is read.
const PLACE: &str = "/run/lbwizard";

/// Files of a config drive.
pub struct Drive {
    /// The device.
    pub device: PathBuf,
    /// `user-data`.
    pub user_data: Option<Vec<u8>>,
    /// `meta-data`.
    pub meta_data: Option<Vec<u8>>,
    /// Whether there is `network-config`.
    pub has_network: bool,
}

/// The first config drive, by the names of the devices.
///
/// # Errors
/// Which one could not be read, and why.
pub fn drive(root: &Path, most: usize) -> Option<Result<Drive, String>> {
    devices(root).into_iter().find_map(|device| {
        let file = File::open(&device).ok()?;
        let read = match kind(&file)? {
            Kind::Iso => from_iso(&file, &device, most),
            Kind::Fat => from_fat(&device, most),
        };
        Some(read.map_err(|e| format!("{}: {e}", device.display())))
    })
}

/// A file of the boot partition, if there is such a file.
pub fn boot_file(root: &Path, name: &str, most: usize) -> Option<Result<Vec<u8>, String>> {
    let entries = fs::read_dir(root.join("sys/class/block")).ok()?.flatten();
    let is_boot = |text: String| text.lines().any(|line| line == BOOT);
    let name_of = entries
        .filter(|entry| fs::read_to_string(entry.path().join("uevent")).is_ok_and(is_boot))
        .map(|entry| entry.file_name())
        .min()?;
    let device = root.join("dev").join(name_of);
    match mounted(&device, |folder| bounded(&folder.join(name), most)) {
        Ok(found) => found.map(Ok),
        Err(e) => Some(Err(format!("{}: {e}", device.display()))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Iso,
    Fat,
}

/// Which kind of config drive it is, if it is one.
fn kind(file: &File) -> Option<Kind> {
    if Volume::open(file).is_some_and(|volume| volume.label().eq_ignore_ascii_case(LABEL)) {
        return Some(Kind::Iso);
    }
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, 0).ok()?;
    let is = |at: usize| {
        let label = sector.get(at..at + 11).unwrap_or_default();
        String::from_utf8_lossy(label).trim_end().eq_ignore_ascii_case(LABEL)
    };
    // FAT32 has its label at 71, FAT12 and FAT16 at 43; the signature ends every boot sector.
    (sector.ends_with(&[0x55, 0xaa]) && (is(71) || is(43))).then_some(Kind::Fat)
}

fn from_iso(file: &File, device: &Path, most: usize) -> io::Result<Drive> {
    let volume = Volume::open(file).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Drive {
        device: device.to_owned(),
        user_data: volume.read("user-data", most)?,
        meta_data: volume.read("meta-data", most)?,
        has_network: volume.read("network-config", most)?.is_some(),
    })
}

fn from_fat(device: &Path, most: usize) -> io::Result<Drive> {
    mounted(device, |folder| {
        Ok(Drive {
            device: device.to_owned(),
            user_data: bounded(&folder.join("user-data"), most)?,
            meta_data: bounded(&folder.join("meta-data"), most)?,
            has_network: folder.join("network-config").exists(),
        })
    })
}

/// Every disk, partition and CD; not what is only in memory.
fn devices(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("sys/class/block")).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    let memory = |name: &str| name.starts_with("loop") || name.starts_with("ram");
    names.retain(|name| name.to_str().is_some_and(|name| !memory(name)));
    names.sort();
    names.iter().map(|name| root.join("dev").join(name)).collect()
}

fn mounted<T>(device: &Path, read: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    fs::create_dir_all(PLACE)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(device, PLACE, "vfat", flags, c"umask=0077")?;
    let result = read(Path::new(PLACE));
    unmount(PLACE, UnmountFlags::empty())?;
    result
}

/// A file; `None` without one, or when it is longer than `most`.
fn bounded(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::iso::tests::volume;
    use super::*;

    #[test]
    fn a_config_drive_is_known_by_its_label() {
        assert_eq!(kind(&volume("CIDATA", b"X", &[], None)), Some(Kind::Iso));
        assert_eq!(kind(&volume("DEBIAN", b"X", &[], None)), None);
        for (at, label, end, expected) in [
            (71, b"CIDATA     ", 0xaa, Some(Kind::Fat)),
            (43, b"cidata     ", 0xaa, Some(Kind::Fat)),
            (43, b"cidata2    ", 0xaa, None),
            (71, b"CIDATA     ", 0, None),
            (60, b"CIDATA     ", 0xaa, None),
        ] {
            let mut sector = [0; 512];
            sector[at..at + 11].copy_from_slice(label);
            (sector[510], sector[511]) = (0x55, end);
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&sector, 0).unwrap();
            assert_eq!(kind(&file), expected, "{at}");
        }
    }

    #[test]
    fn what_is_in_memory_is_no_drive_and_a_long_file_is_none() {
        let root = tempfile::tempdir().unwrap();
        for name in ["vda", "loop0", "ram1", "sr0", "vda1"] {
            fs::create_dir_all(root.path().join("sys/class/block").join(name)).unwrap();
        }
        let names = devices(root.path());
        let dev = |name: &str| root.path().join("dev").join(name);
        assert_eq!(names, [dev("sr0"), dev("vda"), dev("vda1")]);
        let file = root.path().join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(bounded(&file, 5).unwrap().as_deref(), Some(&b"12345"[..]));
        assert_eq!(bounded(&file, 4).unwrap(), None);
        assert_eq!(bounded(&root.path().join("none"), 5).unwrap(), None);
    }
}
