//! The folder of what outlives a reboot.

use crate::{grow, log};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs;

/// Where control keeps revisions, accounts and the operator's file.
pub const FOLDER: &str = "/var/lib/fulcrum";
/// The name of the partition.
const PARTITION: &str = "FULCRUM-STATE";

/// Mounts the state partition; without one, memory stands in and is lost with the power.
pub fn mount_folder() {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let partition = partition(PARTITION);
    if let Some(device) = &partition {
        grow::partition(device);
    }
    let result = match &partition {
        Some(device) => mount_whole(device, flags),
        None => mount("state", FOLDER, "tmpfs", flags, c"mode=0700,size=25%"),
    };
    match (result, partition) {
        (Ok(()), Some(device)) => {
            grow::file_system(&device);
            log::line(&format!("state on {device}"));
        }
        (Ok(()), None) => log::line("no state partition: what is configured is lost at power-off"),
        (Err(error), _) => log::error(&format!("{FOLDER} is not mounted: {error}")),
    }
}

/// Mounts it twice if its journal is to be gone through. By that it may become larger, when the power
/// failed while it grew, and Linux has looked at its size before: it would find blocks in groups
/// that it does not know, and call the file system broken.
fn mount_whole(device: &str, flags: MountFlags) -> rustix::io::Result<()> {
    let mount = || mount(device, FOLDER, "ext4", flags, c"errors=remount-ro");
    if grow::has_journal_to_go_through(device) {
        mount()?;
        unmount(FOLDER, UnmountFlags::empty())?;
    }
    mount()
}

/// Whether a disk with the state partition has been found.
pub fn is_there() -> bool {
    partition(PARTITION).is_some()
}

/// The device of the partition with a name.
pub fn partition(name: &str) -> Option<String> {
    let entries = fs::read_dir("/sys/class/block").ok()?.flatten();
    let wanted = format!("PARTNAME={name}");
    let named = |text: String| text.lines().any(|line| line == wanted);
    let name = entries
        .filter(|entry| fs::read_to_string(entry.path().join("uevent")).is_ok_and(named))
        .map(|entry| entry.file_name())
        .min()?;
    Some(format!("/dev/{}", name.to_string_lossy()))
}
