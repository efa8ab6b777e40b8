//! Kernel settings of the network namespace.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Writes `value` to the setting `path`, dotted as in `net.ipv4.ip_forward`.
///
/// A dot inside a name (an interface such as `eth0.5`) is written as a slash: `net.ipv4.conf.eth0/5.forwarding`.
///
/// # Errors
/// When the path has an empty part, the setting does not exist, or the kernel refuses the value.
pub fn set(path: &str, value: &str) -> io::Result<()> {
    let file = file(path)?;
    std::fs::write(&file, value).map_err(|error| {
        let message = format!("cannot set {path} to {value}: {error}");
        io::Error::new(error.kind(), message)
    })
}

fn file(path: &str) -> io::Result<PathBuf> {
    let mut file = PathBuf::from("/proc/sys");
    for part in path.split('.') {
        let part = part.replace('/', ".");
        // An interface may not be called so either: the path cannot leave the directory.
        if part.is_empty() || part == "." || part == ".." || part.contains('\0') {
            let message = format!("{path:?} is not the name of a kernel setting");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        file.push(part);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_part_and_slashes_are_dots() {
        let path = |name| file(name).unwrap().into_os_string().into_string().unwrap();
        assert_eq!(path("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(
            path("net.ipv4.conf.eth0/5.rp_filter"),
            "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"
        );
    }

    #[test]
    fn a_path_does_not_leave_the_settings() {
        for name in ["", ".", "net..x", "net.//.x", "net./.x", "/./.etc"] {
            assert!(file(name).is_err(), "{name:?}");
        }
    }
}
