//! Gives NICs to the data plane.

mod bind;
mod discover;
mod supported;

use crate::command_line::CommandLine;
use crate::log;
use bind::Binding;
use discover::Nic;
use std::fs;
use std::path::Path;
use supported::Supported;

/// Binds every NIC that this image has a driver for, except those that `fulcrum.skip=` names
/// (addresses with commas between them), which stay the kernel's. `sys` is `/sys`; `list` says
/// which NICs there are drivers for.
pub fn take(sys: &Path, list: &Path, line: &CommandLine) {
    let supported = match fs::read_to_string(list) {
        Ok(text) => Supported::parse(&text),
        Err(error) => return log::error(&format!("no NIC drivers: {}: {error}", list.display())),
    };
    let skip: Vec<&str> = line.value("fulcrum.skip").unwrap_or_default().split(',').collect();
    let nics = discover::nics(sys);
    if nics.is_empty() {
        log::error("this machine has no PCI NIC");
    }
    let without = Binding::without_iommu(sys);
    for nic in &nics {
        match plan(nic, &supported, &skip, without) {
            Plan::Skipped => log::line(&format!("{nic}: skipped, as asked")),
            Plan::Unsupported => log::error(&format!(
                "{nic}: this image has no driver for it; it is not used. Give the machine a NIC for \
                 one of {}",
                supported.names()
            )),
            Plan::Shared { driver } => {
                log::line(&format!("{nic}: {driver}, which shares it with the kernel"));
            }
            Plan::Bind { driver, binding } => match binding.apply(sys, nic) {
                Ok(()) => log::line(&format!("{nic}: {driver} by {binding}")),
                Err(error) => log::error(&format!("{nic}: {driver} by {binding}: {error}")),
            },
        }
    }
}

/// What becomes of one NIC.
#[derive(Debug, PartialEq, Eq)]
enum Plan<'a> {
    Skipped,
    Unsupported,
    /// The data plane's driver works beside the kernel's (mlx5): nothing to bind.
    Shared {
        driver: &'a str,
    },
    Bind {
        driver: &'a str,
        binding: Binding,
    },
}

fn plan<'a>(
    nic: &Nic,
    supported: &'a Supported,
    skip: &[&str],
    without_iommu: Binding,
) -> Plan<'a> {
    if skip.contains(&nic.address.as_str()) {
        return Plan::Skipped;
    }
    match supported.driver(nic.vendor, nic.device) {
        None => Plan::Unsupported,
        Some(driver) if driver.shared => Plan::Shared { driver: &driver.name },
        Some(driver) => Plan::Bind {
            driver: &driver.name,
            binding: Binding::for_nic(nic.has_iommu, without_iommu),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic(address: &str, device: u16, has_iommu: bool) -> Nic {
        Nic { address: address.into(), vendor: 0x8086, device, has_iommu }
    }

    #[test]
    fn each_nic_gets_what_the_machine_and_the_image_can_do() {
        let supported = Supported::parse("8086:100e net_e1000_em\n8086:1017 mlx5_pci shared\n");
        let without = Binding::UioPciGeneric;
        let of =
            |device, iommu| plan(&nic("0000:00:03.0", device, iommu), &supported, &["x"], without);
        let bound = |binding| Plan::Bind { driver: "net_e1000_em", binding };
        assert_eq!(of(0x100e, false), bound(Binding::UioPciGeneric));
        assert_eq!(of(0x100e, true), bound(Binding::VfioPci));
        assert_eq!(of(0x1017, true), Plan::Shared { driver: "mlx5_pci" });
        assert_eq!(of(0x8139, true), Plan::Unsupported);
        let skipped = nic("0000:00:03.0", 0x100e, true);
        assert_eq!(plan(&skipped, &supported, &["0000:00:03.0"], without), Plan::Skipped);
    }
}
