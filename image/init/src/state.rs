//! The folder of what outlives a reboot.

use crate::superblock::{self, Superblock};
use crate::{grow, log};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::{self, File};
use std::io;

/// Where control keeps revisions, accounts and the operator's file.
pub const FOLDER: &str = "/var/lib/fulcrum";
/// The name of the partition.
const PARTITION: &str = "FULCRUM-STATE";
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// What the wizard is told when the state cannot be read; see `image/wizard/src/first_boot.rs`.
const TROUBLE: &str = "/run/state-trouble";

/// Mounts the state partition; without one, memory stands in and is lost with the power. So it does
/// for one that cannot be read, which is left to whoever may save something of it.
pub fn mount_folder() {
    let Some(device) = partition(PARTITION) else {
        log::line("no state partition: what is configured is lost at power-off");
        return mount_memory();
    };
    grow::partition(&device);
    match mount_partition(&device) {
        Ok(()) => {
            grow::file_system(&device);
            log::line(&format!("state on {device}"));
        }
        Err(error) => {
            let trouble =
                format!("the state on {device} cannot be read, and is left as it is: {error}");
            log::error(&trouble);
            mount_memory();
            if let Err(error) = fs::write(TROUBLE, trouble) {
                log::error(&format!("{TROUBLE}: {error}"));
            }
        }
    }
}

fn mount_memory() {
    if let Err(error) = mount("state", FOLDER, "tmpfs", FLAGS, c"mode=0700,size=25%") {
        log::error(&format!("{FOLDER} is not mounted: {error}"));
    }
}

fn mount_partition(device: &str) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(device)?;
    if superblock::mend(&file)? {
        log::line(&format!("{device}: the power failed while its superblock was written"));
    }
    let is_journal_ahead = Superblock::read(&file)?.is_some_and(|block| block.needs_recovery());
    drop(file);
    mount_whole(device, is_journal_ahead)
}

/// Mounts it twice if its journal is to be gone through. By that it may become larger, when the power
/// failed while it grew, and Linux has looked at its size before: it would find blocks in groups
/// that it does not know, and call the file system broken.
fn mount_whole(device: &str, is_journal_ahead: bool) -> io::Result<()> {
    let mount = || mount(device, FOLDER, "ext4", FLAGS, c"errors=remount-ro");
    if is_journal_ahead {
        mount()?;
        unmount(FOLDER, UnmountFlags::empty())?;
    }
    Ok(mount()?)
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
