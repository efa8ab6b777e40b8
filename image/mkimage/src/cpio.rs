//! A tree as the kernel unpacks it: cpio, format "newc" (Linux, Documentation/driver-api/
//! early-userspace/buffer-format.rst).

use crate::tree::{Node, Tree};
use anyhow::{Context, Result};
use std::os::unix::ffi::OsStrExt;

const FOLDER: u32 = 0o040755;
const LINK: u32 = 0o120777;
const PLAIN: u32 = 0o100644;
const PROGRAM: u32 = 0o100755;
/// A character device, for root alone.
const DEVICE: u32 = 0o020600;

/// The archive. Owner, times and inode numbers are the same for the same tree: root, the epoch,
/// the position. `/dev/console` is in it, which the kernel opens for PID 1 before anything is
/// mounted.
///
/// # Errors
/// When a file is too long for the format (4 GiB).
pub fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.entry(b"dev", FOLDER, (0, 0), b"")?;
    archive.entry(b"dev/console", DEVICE, (5, 1), b"")?;
    for (path, node) in tree.entries().filter(|(path, _)| path.as_os_str() != "dev") {
        let bytes = match node {
            Node::Folder => &[][..],
            Node::Link(target) => target.as_os_str().as_bytes(),
            Node::File { bytes, .. } => &bytes[..],
        };
        let mode = mode(node);
        let name = path.as_os_str().as_bytes();
        archive.entry(name, mode, (0, 0), bytes).with_context(|| path.display().to_string())?;
    }
    archive.entry(b"TRAILER!!!", 0, (0, 0), b"")?;
    Ok(archive.0)
}

/// What is in the archive but for the console: mode in octal and path, a line each.
pub fn list(tree: &Tree) -> String {
    tree.entries().map(|(path, node)| format!("{:06o} {}\n", mode(node), path.display())).collect()
}

fn mode(node: &Node) -> u32 {
    match node {
        Node::Folder => FOLDER,
        Node::Link(_) => LINK,
        Node::File { executable: true, .. } => PROGRAM,
        Node::File { executable: false, .. } => PLAIN,
    }
}

#[derive(Default)]
struct Archive(Vec<u8>, u32);

impl Archive {
    fn entry(&mut self, name: &[u8], mode: u32, device: (u32, u32), bytes: &[u8]) -> Result<()> {
        let size: u32 = bytes.len().try_into().context("4 GiB or more")?;
        let links = if mode == FOLDER { 2 } else { 1 };
        self.1 += 1;
        let name_size = name.len() as u32 + 1;
        self.0.extend(b"070701");
        let (major, minor) = device;
        // Inode, mode, user, group, links, time, size, device, special device, name, checksum.
        for field in [self.1, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0] {
            self.0.extend(format!("{field:08x}").bytes());
        }
        self.0.extend(name);
        self.0.push(0);
        self.pad();
        self.0.extend(bytes);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_the_format_says() {
        let mut tree = Tree::default();
        tree.program("/init", "#!").unwrap();
        tree.link("/dev/x", "y").unwrap();
        let archive = archive(&tree).unwrap();
        assert_eq!(list(&tree), "040755 dev\n120777 dev/x\n100755 init\n");
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive);
        let headers: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(headers.len(), 5, "dev, dev/console, dev/x, init, trailer");
        let console = &text[headers[1]..];
        assert_eq!(&console[14..22], "00002180");
        assert_eq!(&console[78..94], "0000000500000001");
        assert!(console[110..].starts_with("dev/console\0"));
        let init = &text[headers[3]..];
        assert_eq!(&init[14..22], "000081ed");
        assert_eq!(&init[54..62], "00000002");
        assert_eq!(&init[110..118], "init\0\0#!", "padded after the name");
        assert!(text[headers[4]..].contains("TRAILER!!!\0"));
    }
}
