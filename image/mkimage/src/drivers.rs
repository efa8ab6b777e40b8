//! DPDK's plug-ins, and which NICs they say they drive.

use crate::elf::Libraries;
use crate::modules::lines;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// Begins the description that each driver carries for DPDK's own `dpdk-pmdinfo`.
const MARK: &[u8] = b"PMD_INFO_STRING= ";
/// Any device of a vendor.
const ANY: u64 = 0xffff;

/// Adds the plug-ins of `wanted`, at the place where DPDK looks for them, and at `list` the NICs
/// that they are for, as init reads it.
///
/// # Errors
/// When a plug-in is not installed.
pub fn add(tree: &mut Tree, libraries: &mut Libraries, wanted: &str, list: &Path) -> Result<()> {
    let folder = plug_ins()?;
    let mut nics = BTreeSet::new();
    for name in lines(wanted) {
        // The name that it is loaded by; a link to the file that its soname leads to as well. A
        // copy would be loaded twice.
        let path = folder.join(format!("librte_{name}.so"));
        libraries.add_file(tree, &path)?;
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        nics.extend(descriptions(&bytes).iter().flat_map(supported));
    }
    let text: String = nics.into_iter().map(|line| line + "\n").collect();
    tree.file(list, text)
}

fn plug_ins() -> Result<PathBuf> {
    let dpdk = Path::new(LIBRARIES).join("dpdk");
    let entries = fs::read_dir(&dpdk).with_context(|| dpdk.display().to_string())?;
    let folders: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("pmds-"))
        .collect();
    match &folders[..] {
        [one] => Ok(one.path()),
        others => bail!("{}: {} versions of DPDK", dpdk.display(), others.len()),
    }
}

fn descriptions(bytes: &[u8]) -> Vec<Value> {
    let starts = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let text = |(at, _): (usize, &[u8])| {
        let rest = &bytes[at + MARK.len()..];
        serde_json::from_slice(rest.split(|byte| *byte == 0).next()?).ok()
    };
    starts.filter_map(text).collect()
}

/// Lines `VENDOR:DEVICE DRIVER [shared]`.
fn supported(driver: &Value) -> Vec<String> {
    let name = driver["name"].as_str().unwrap_or_default();
    let by_kernel = driver["kmod"].as_str().unwrap_or_default();
    let shared = if by_kernel.contains("vfio") || by_kernel.contains("uio_pci_generic") {
        ""
    } else {
        " shared"
    };
    let ids = driver["pci_ids"].as_array().into_iter().flatten();
    let line = |id: &Value| {
        let (vendor, device) = (id[0].as_u64()?, id[1].as_u64()?);
        let device = if device == ANY { "*".to_owned() } else { format!("{device:04x}") };
        Some(format!("{vendor:04x}:{device} {name}{shared}"))
    };
    ids.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_tells_its_nics() {
        let plug_in = b"\x7fELF PMD_INFO_STRING= {\"name\": \"net_x\", \"kmod\": \"* vfio-pci\", \
            \"pci_ids\": [[6900, 4096, 65535, 65535], [5555, 65535, 1, 2]]}\0\
            PMD_INFO_STRING= {\"name\": \"mlx\", \"kmod\": \"* ib_uverbs\", \"pci_ids\": \
            [[1, 2, 3, 4]]}\0PMD_INFO_STRING= broken";
        let lines: Vec<_> = descriptions(plug_in).iter().flat_map(supported).collect();
        assert_eq!(lines, ["1af4:1000 net_x", "15b3:* net_x", "0001:0002 mlx shared"]);
    }
}
