//! What a machine the image is for.

use clap::ValueEnum;

/// One flavour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flavour {
    /// Any machine: the distribution's kernel with modules, and drivers of servers' NICs.
    Hardware,
    /// Virtual machines: a kernel of our own without modules, and drivers of what is emulated.
    Vm,
}

impl Flavour {
    /// Kernel modules, a line each, in the order in which they are loaded.
    pub fn modules(self) -> &'static str {
        match self {
            Self::Hardware => include_str!("../lists/hardware.modules"),
            Self::Vm => "",
        }
    }

    /// DPDK plug-ins, a line each.
    pub fn drivers(self) -> &'static str {
        match self {
            Self::Hardware => include_str!("../lists/hardware.drivers"),
            Self::Vm => include_str!("../lists/vm.drivers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::lines;
    use std::collections::BTreeSet;

    #[test]
    fn what_a_virtual_machine_has_the_hardware_flavour_drives_as_well() {
        let all: BTreeSet<_> = lines(Flavour::Hardware.drivers()).collect();
        let vm: BTreeSet<_> = lines(Flavour::Vm.drivers()).collect();
        assert!(vm.is_subset(&all), "{:?}", vm.difference(&all));
        assert!(vm.len() < all.len() && lines(Flavour::Vm.modules()).next().is_none());
    }
}
