//! The file systems of the kernel, and a read-only root.

use crate::log;
use rustix::mount::{MountFlags, mount, mount_remount};
use std::ffi::CStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Mounts what every later stage reads and writes.
pub fn early() {
    // The kernel makes the root writable for everybody, and DPDK loads no plug-in from such a place.
    if let Err(error) = fs::set_permissions("/", Permissions::from_mode(0o755)) {
        log::error(&format!("the root's permissions: {error}"));
    }
    at("/proc", "proc", PLAIN, c"");
    at("/sys", "sysfs", PLAIN, c"");
    at("/dev", "devtmpfs", MountFlags::NOSUID.union(MountFlags::NOEXEC), c"mode=0755");
    at("/run", "tmpfs", PLAIN, c"mode=0755,size=25%");
    at("/tmp", "tmpfs", PLAIN, c"mode=1777,size=10%");
    at("/dev/hugepages", "hugetlbfs", PLAIN, c"mode=0700,pagesize=2M");
}

/// Nothing writes to the root from here on: the system is what was booted.
pub fn seal() {
    mount_remount("/", MountFlags::RDONLY, c"").expect("the root becomes read-only");
}

fn at(target: &str, kind: &str, flags: MountFlags, data: &CStr) {
    let _ = fs::create_dir_all(target);
    if let Err(error) = mount(kind, target, kind, flags, data) {
        log::error(&format!("{kind} is not mounted at {target}: {error}"));
    }
}
