//! Which NICs the drivers of this image work on.

use std::collections::BTreeSet;

/// A driver of the data plane.
#[derive(Debug, PartialEq, Eq)]
pub struct Driver {
    /// As DPDK calls it.
    pub name: String,
    /// Whether the NIC stays with its kernel driver.
    pub shared: bool,
}

/// The list that the image's builder read from the drivers themselves.
#[derive(Debug)]
pub struct Supported(Vec<(u16, Option<u16>, Driver)>);

impl Supported {
    /// Lines `VENDOR:DEVICE DRIVER [shared]`, numbers in hexadecimal, `*` for every device of a
    /// vendor. What is no such line is left out.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    /// All drivers, as DPDK calls them.
    pub fn names(&self) -> String {
        let names: BTreeSet<&str> =
            self.0.iter().map(|(.., driver)| driver.name.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The driver of a NIC.
    pub fn driver(&self, vendor: u16, device: u16) -> Option<&Driver> {
        let fits = |of: &&(u16, Option<u16>, Driver)| {
            of.0 == vendor && of.1.is_none_or(|listed| listed == device)
        };
        self.0.iter().find(fits).map(|(_, _, driver)| driver)
    }
}

fn parse_line(line: &str) -> Option<(u16, Option<u16>, Driver)> {
    let mut words = line.split_whitespace();
    let (vendor, device) = words.next()?.split_once(':')?;
    let vendor = u16::from_str_radix(vendor, 16).ok()?;
    let device = match device {
        "*" => None,
        number => Some(u16::from_str_radix(number, 16).ok()?),
    };
    let name = words.next()?.to_owned();
    Some((vendor, device, Driver { name, shared: words.next() == Some("shared") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nic_is_found_by_its_numbers() {
        let supported = Supported::parse("1af4:1000 net_virtio\nnonsense\n15b3:* mlx5 shared\n");
        let name = |vendor, device| supported.driver(vendor, device).map(|d| d.name.as_str());
        assert_eq!(name(0x1af4, 0x1000), Some("net_virtio"));
        assert_eq!(name(0x1af4, 0x1001), None);
        assert_eq!(name(0x15b3, 7), Some("mlx5"));
        assert!(supported.driver(0x15b3, 7).unwrap().shared);
        assert_eq!(supported.0.len(), 2);
        assert_eq!(supported.names(), "mlx5, net_virtio");
    }
}
