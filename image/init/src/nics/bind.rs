//! Takes a NIC from its kernel driver and gives it to one that lets a process drive it.

use super::discover::Nic;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Lets vfio-pci have NICs without an IOMMU.
const SWITCH: &str = "module/vfio/parameters/enable_unsafe_noiommu_mode";

/// Until another driver lets go: it may have more devices to look at first.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The kernel's side of a user-space driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Behind an IOMMU: the NIC reaches the data plane's memory and no other.
    VfioPci,
    /// Without one, by a kernel that was built to allow that. The NIC reaches all memory; its
    /// registers and interrupts are still the kernel's to hand out, as under lockdown they must be.
    VfioWithoutIommu,
    /// The same by any other kernel. Does not work under lockdown (Secure Boot).
    UioPciGeneric,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VfioPci => "vfio-pci, behind an IOMMU",
            Self::VfioWithoutIommu => "vfio-pci, without an IOMMU",
            Self::UioPciGeneric => "uio_pci_generic, without an IOMMU",
        })
    }
}

impl Binding {
    /// The safest that machine and kernel can do.
    pub fn for_nic(has_iommu: bool, without: Self) -> Self {
        if has_iommu { Self::VfioPci } else { without }
    }

    /// What becomes of NICs without an IOMMU. The kernel has a switch for it only if it can.
    pub fn without_iommu(sys: &Path) -> Self {
        if sys.join(SWITCH).exists() { Self::VfioWithoutIommu } else { Self::UioPciGeneric }
    }

    /// Binds. The kernel probes a device by the driver that `driver_override` names, and says
    /// nothing when that fails: what counts is the driver afterwards.
    ///
    /// # Errors
    /// What could not be written, or that the driver did not take the NIC.
    pub fn apply(self, sys: &Path, nic: &Nic) -> io::Result<()> {
        self.apply_within(PATIENCE, sys, nic)
    }

    fn apply_within(self, patience: Duration, sys: &Path, nic: &Nic) -> io::Result<()> {
        let bus = sys.join("bus/pci");
        let folder = bus.join("devices").join(&nic.address);
        let driver = self.driver();
        if bound(&folder).as_deref() == Some(driver) {
            return Ok(());
        }
        if self == Self::VfioWithoutIommu {
            // Off until somebody who knows what that means puts it on; and where it is on, DPDK
            // takes no NIC that is behind an IOMMU unless all are given physical addresses.
            fs::write(sys.join(SWITCH), "Y")?;
        }
        // First: from then on no other driver takes it.
        fs::write(folder.join("driver_override"), driver)?;
        let deadline = Instant::now() + patience;
        loop {
            // One that is just being loaded may have taken it before. It is found there before the
            // kernel lets anybody take a device from it.
            let unbound = match bound(&folder) {
                Some(other) if other != driver => {
                    fs::write(folder.join("driver/unbind"), &nic.address)
                }
                _ => Ok(()),
            };
            fs::write(bus.join("drivers_probe"), &nic.address)?;
            let error = match bound(&folder) {
                Some(found) if found == driver => return Ok(()),
                Some(other) => match unbound {
                    Ok(()) => format!("{other} took it"),
                    Err(error) => format!("{other} does not let go of it: {error}"),
                },
                None => {
                    return Err(io::Error::other(
                        "the kernel's driver refuses it, or is not loaded",
                    ));
                }
            };
            if Instant::now() >= deadline {
                return Err(io::Error::other(error));
            }
            thread::sleep(PAUSE);
        }
    }

    fn driver(self) -> &'static str {
        match self {
            Self::VfioPci | Self::VfioWithoutIommu => "vfio-pci",
            Self::UioPciGeneric => "uio_pci_generic",
        }
    }
}

/// The name of the driver that a device has.
fn bound(folder: &Path) -> Option<String> {
    let target = fs::read_link(folder.join("driver")).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::discover::{self, tests::sys};
    use super::*;
    use std::os::unix::fs::symlink;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_nic_is_unbound_named_and_probed_and_the_driver_afterwards_decides() {
        let address = "0000:00:02.0";
        let sys = sys(&[(address, "0x020000", "0x1af4", "0x1000")]);
        let bus = sys.path().join("bus/pci");
        let folder = bus.join("devices").join(address);
        let old = bus.join("drivers/virtio-pci");
        fs::create_dir_all(&old).unwrap();
        symlink(&old, folder.join("driver")).unwrap();
        let nic = &discover::nics(sys.path())[0];

        let error = Binding::UioPciGeneric.apply_within(AT_ONCE, sys.path(), nic).unwrap_err();
        assert_eq!(error.to_string(), "virtio-pci took it");
        let wrote = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(wrote(&old.join("unbind")), address);
        assert_eq!(wrote(&folder.join("driver_override")), "uio_pci_generic");
        assert_eq!(wrote(&bus.join("drivers_probe")), address);

        fs::remove_file(folder.join("driver")).unwrap();
        let error = Binding::VfioPci.apply(sys.path(), nic).unwrap_err();
        assert!(error.to_string().contains("refuses"), "{error}");

        symlink(bus.join("drivers/vfio-pci"), folder.join("driver")).unwrap();
        fs::remove_file(bus.join("drivers_probe")).unwrap();
        Binding::VfioPci.apply(sys.path(), nic).unwrap();
        assert!(!bus.join("drivers_probe").exists(), "bound already, and probed again");
    }

    #[test]
    fn a_driver_that_is_being_loaded_lets_go_of_its_nic_later() {
        let address = "0000:00:02.0";
        let sys = sys(&[(address, "0x020000", "0x1af4", "0x1000")]);
        let bus = sys.path().join("bus/pci");
        let (old, link) = (bus.join("drivers/virtio-pci"), bus.join("devices").join(address));
        let link = link.join("driver");
        symlink(&old, &link).unwrap();
        let nic = &discover::nics(sys.path())[0];
        let kernel = thread::spawn(move || {
            thread::sleep(4 * PAUSE);
            fs::create_dir_all(&old).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while !old.join("unbind").exists() && Instant::now() < deadline {
                thread::yield_now();
            }
            // At once: what has no driver in between was refused by it.
            let new = old.join("new");
            symlink(bus.join("drivers/uio_pci_generic"), &new).unwrap();
            fs::rename(new, &link).unwrap();
        });
        let result = Binding::UioPciGeneric.apply(sys.path(), nic);
        kernel.join().unwrap();
        result.unwrap();
    }

    #[test]
    fn a_kernel_that_can_do_without_an_iommu_is_told_to_when_a_nic_has_none() {
        let sys = sys(&[("0000:00:02.0", "0x020000", "0x1af4", "0x1000")]);
        let nic = &discover::nics(sys.path())[0];
        assert_eq!(Binding::without_iommu(sys.path()), Binding::UioPciGeneric);
        let switch = sys.path().join(SWITCH);
        fs::create_dir_all(switch.parent().unwrap()).unwrap();
        fs::write(&switch, "N").unwrap();
        let without = Binding::without_iommu(sys.path());
        assert_eq!(without, Binding::VfioWithoutIommu);
        assert_eq!(Binding::for_nic(true, without), Binding::VfioPci);
        assert_eq!(Binding::for_nic(false, without), without);
        // Whether they are bound is another question: there is no kernel here.
        for (binding, expected) in [(Binding::VfioPci, "N"), (without, "Y")] {
            let _ = binding.apply_within(AT_ONCE, sys.path(), nic);
            assert_eq!(fs::read_to_string(&switch).unwrap(), expected);
        }
    }
}
