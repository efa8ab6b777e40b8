//! What a machine is made of.

use std::path::Path;

/// How a machine comes to its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// QEMU puts kernel and initramfs into memory.
    Direct,
    /// From the disk, by SeaBIOS and GRUB.
    Bios,
    /// From the disk, by OVMF and systemd-boot.
    Uefi,
    /// The same by firmware that starts only what was signed.
    SecureUefi,
    /// From the disk in the OVA, on the disk controller that it asks for, by SeaBIOS: Debian's OVMF
    /// has no driver for that one.
    Ova,
}

/// What a machine is given for its first boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given<'a> {
    /// Nothing: it asks.
    Nothing,
    /// A configuration: on the state partition, or in the command line where there is no disk.
    Config(&'a str),
    /// `user-data` on a config drive that is a CD.
    Iso(&'a str),
    /// `user-data` on a config drive that is a disk.
    Fat(&'a str),
    /// The file on the boot partition.
    BootFile(&'a str),
    /// A whole disk, as it is.
    Disk(&'a Path),
}

/// What is wrong with slot A of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Its kernel finds no programs and panics: three times.
    Crashes,
    /// Its kernel runs and so does PID 1, but the balancer never answers: once, as it has one try.
    NeverAnswers,
    /// It is sound, has one try, and its kernel can be made to hang ([`super::Machine::hang`]).
    Hangs,
}

/// What a machine's disk is attached to, unless it is the one in the OVA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The hypervisor itself: virtio-blk.
    Virtio,
    /// A SCSI controller of the hypervisor's: virtio-scsi.
    VirtioScsi,
    /// The chipset's SATA controller.
    Ahci,
    /// An IDE controller.
    Ide,
    /// PCI Express.
    Nvme,
}

impl Disk {
    /// QEMU's devices: the controller, where it is none of the machine's own, and the disk.
    pub(super) fn devices(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Virtio => (None, "virtio-blk-pci,addr=0x10"),
            Self::VirtioScsi => (Some("virtio-scsi-pci,id=disks,addr=0x10"), "scsi-hd,bus=disks.0"),
            Self::Ahci => (None, "ide-hd,bus=ide.0"),
            Self::Ide => (Some("piix4-ide,id=disks,addr=0x10"), "ide-hd,bus=disks.0"),
            Self::Nvme => (None, "nvme,serial=fulcrum,addr=0x10"),
        }
    }
}

/// What stands between the NICs and the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iommu {
    /// Nothing.
    None,
    /// Intel's, which the kernel has to be told to use.
    Intel,
    /// The one for virtual machines alone.
    Virtio,
}

impl Iommu {
    /// For the kernel's command line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Intel => "intel_iommu=on iommu=pt",
            Self::None => "",
            // It keeps NICs from memory, but not from sending any interrupt.
            Self::Virtio => "vfio_iommu_type1.allow_unsafe_interrupts=1",
        }
    }
}

/// The hardware of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Hardware<'a> {
    /// How it boots.
    pub boot: Boot,
    /// What is wrong with slot A of its disk; slot B is what that was.
    pub fault: Fault,
    /// Memory in MiB.
    pub memory: u32,
    /// What its disk is attached to.
    pub disk: Disk,
    /// Whether its disk is the image's qcow2, and not the raw one; for images that have one.
    pub is_qcow2: bool,
    /// What stands between the NICs and the memory.
    pub iommu: Iommu,
    /// Whether each NIC is in a slot of its own, that it can be pulled out of. They are at PCI
    /// addresses from 0000:01:00.0 then.
    pub has_slots: bool,
    /// Whether everything that its disk is told is written down.
    pub is_recorded: bool,
    /// Whether somebody is inside who ends processes; for machines that are booted directly.
    pub is_manned: bool,
    /// Network and QEMU's name of the model, of each NIC, at PCI addresses from 0000:00:02.0.
    pub nics: &'a [(&'a str, &'a str)],
}

impl<'a> Hardware<'a> {
    /// A sound one with a gigabyte.
    pub fn new(boot: Boot, nics: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            boot,
            fault: Fault::None,
            memory: 1024,
            disk: Disk::Virtio,
            is_qcow2: false,
            iommu: Iommu::None,
            has_slots: false,
            is_recorded: false,
            is_manned: false,
            nics,
        }
    }
}
