//! What the machine has that the questions depend on.

use std::fmt;
use std::fs;
use std::path::Path;

/// Below this much memory the connection table is made smaller.
const SMALL_MIB: u64 = 2_048;

/// NICs and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// NICs that the data plane can have, in the order of their addresses.
    pub nics: Vec<Nic>,
    /// Memory in MiB.
    pub memory: u64,
}

/// A NIC that is bound to a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// `DDDD:BB:DD.F`.
    pub address: String,
    /// Vendor and device in hexadecimal.
    pub kind: String,
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind.split(':').next() {
            Some("1af4") => "virtio",
            Some("15ad") => "VMware vmxnet3",
            Some("8086") => "Intel",
            Some("15b3") => "NVIDIA Mellanox",
            Some("14e4") => "Broadcom",
            _ => "NIC",
        };
        write!(f, "{} ({name}, {})", self.address, self.kind)
    }
}

impl Machine {
    /// This one. `root` is `/`.
    pub fn here(root: &Path) -> Self {
        let folder = root.join("sys/bus/pci/devices");
        let devices = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut nics: Vec<Nic> = devices.filter_map(|entry| nic(&entry.path())).collect();
        nics.sort_by(|a, b| a.address.cmp(&b.address));
        let memory = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        Self { nics, memory: memory_mib(&memory) }
    }

    /// Whether there is too little memory for the usual table of connections.
    pub fn is_small(&self) -> bool {
        self.memory < SMALL_MIB
    }
}

/// A NIC without a driver is one that was left alone on purpose, or that nothing drives.
fn nic(folder: &Path) -> Option<Nic> {
    const NETWORK: &str = "0x02";
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    if !read("class")?.starts_with(NETWORK) || !folder.join("driver").exists() {
        return None;
    }
    let number = |text: String| Some(text.trim().strip_prefix("0x")?.to_owned());
    let kind = format!("{}:{}", number(read("vendor")?)?, number(read("device")?)?);
    Some(Nic { address: folder.file_name()?.to_str()?.to_owned(), kind })
}

/// What the kernel leaves of 2 GiB is a little less.
fn memory_mib(text: &str) -> u64 {
    const KERNEL: u64 = 128;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib / 1024 + KERNEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_with_a_driver_count_in_order() {
        let root = tempfile::tempdir().unwrap();
        for (address, class, bound) in [
            ("0000:00:03.0", "0x020000", true),
            ("0000:00:02.0", "0x020000", true),
            ("0000:00:04.0", "0x020000", false),
            ("0000:00:05.0", "0x010000", true),
        ] {
            let folder = root.path().join("sys/bus/pci/devices").join(address);
            fs::create_dir_all(&folder).unwrap();
            for (name, value) in [("class", class), ("vendor", "0x1af4"), ("device", "0x1000")] {
                fs::write(folder.join(name), format!("{value}\n")).unwrap();
            }
            if bound {
                fs::create_dir(folder.join("driver")).unwrap();
            }
        }
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/meminfo"), "MemTotal:  1000000 kB\n").unwrap();
        let machine = Machine::here(root.path());
        let shown: Vec<_> = machine.nics.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["0000:00:02.0 (virtio, 1af4:1000)", "0000:00:03.0 (virtio, 1af4:1000)"]);
        assert!(machine.is_small());
        assert_eq!(memory_mib("MemTotal: 2014000 kB"), 2_094);
    }
}
