//! The NICs of the machine, as the kernel's PCI folder lists them.

use std::fmt;
use std::fs;
use std::path::Path;

/// One PCI function of the class "network controller".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// `DDDD:BB:DD.F`.
    pub address: String,
    pub vendor: u16,
    pub device: u16,
    /// Whether an IOMMU stands between it and the memory.
    pub has_iommu: bool,
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NIC {} ({:04x}:{:04x})", self.address, self.vendor, self.device)
    }
}

/// All of them, in the order of their addresses.
pub fn nics(sys: &Path) -> Vec<Nic> {
    let devices = fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten();
    let mut nics: Vec<Nic> = devices.filter_map(|entry| nic(&entry.path())).collect();
    nics.sort_by(|a, b| a.address.cmp(&b.address));
    nics
}

fn nic(folder: &Path) -> Option<Nic> {
    const NETWORK: u32 = 0x02;
    let number = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
    };
    (number("class")? >> 16 == NETWORK).then_some(())?;
    Some(Nic {
        address: folder.file_name()?.to_str()?.to_owned(),
        vendor: number("vendor")?.try_into().ok()?,
        device: number("device")?.try_into().ok()?,
        has_iommu: folder.join("iommu_group").exists(),
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A PCI folder with some devices: address, class, vendor, device.
    pub fn sys(devices: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        for (address, class, vendor, device) in devices {
            let folder = sys.path().join("bus/pci/devices").join(address);
            fs::create_dir_all(&folder).unwrap();
            for (name, value) in [("class", class), ("vendor", vendor), ("device", device)] {
                fs::write(folder.join(name), format!("{value}\n")).unwrap();
            }
        }
        sys
    }

    #[test]
    fn only_nics_are_found_in_order_and_broken_entries_are_left_out() {
        let sys = sys(&[
            ("0000:00:1f.2", "0x010601", "0x8086", "0x2922"),
            ("0000:00:03.0", "0x020000", "0x8086", "0x100e"),
            ("0000:00:02.0", "0x020000", "0x1af4", "0x1000"),
            ("0000:00:04.0", "0x020000", "nonsense", "0x1000"),
        ]);
        let group = sys.path().join("bus/pci/devices/0000:00:03.0/iommu_group");
        fs::create_dir(group).unwrap();
        let nic = |address: &str, vendor, device, has_iommu| Nic {
            address: address.into(),
            vendor,
            device,
            has_iommu,
        };
        let expected =
            [nic("0000:00:02.0", 0x1af4, 0x1000, false), nic("0000:00:03.0", 0x8086, 0x100e, true)];
        assert_eq!(nics(sys.path()), expected);
        assert!(nics(Path::new("/nowhere")).is_empty());
    }
}
