//! Kernel modules, by a list that the image's builder put into an order that the kernel accepts.

use crate::log;
use rustix::io::Errno;
use rustix::system::finit_module;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Instant;

/// Between the files of a line and the devices that they are for.
const CONDITION: &str = "if";

/// A line of the list: modules to load one after another, and patterns of the devices that they
/// are for; without any they are loaded on every machine.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    files: Vec<&'a str>,
    devices: Vec<&'a str>,
}

/// Loads the modules of a list that this machine has a use for. One that cannot be loaded is
/// logged and left out. `sys` is `/sys`.
pub fn load(list: &Path, sys: &Path) {
    let begun = Instant::now();
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) => return log::error(&format!("no modules: {}: {error}", list.display())),
    };
    let lines = parse(&text);
    let mut loaded = BTreeSet::new();
    for line in &lines {
        // Looked at anew each time: one module's device is what the next one waits for.
        if line.devices.is_empty() || line.is_wanted(&devices(sys)) {
            line.load(&mut loaded);
        }
    }
    let took = begun.elapsed().as_millis();
    log::line(&format!("{} kernel modules, {took} ms", loaded.len()));
}

/// Lines `FILE… [if DEVICE…]`.
fn parse(text: &str) -> Vec<Line<'_>> {
    text.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Line<'_> {
    let mut words = line.split_whitespace();
    let files = words.by_ref().take_while(|word| *word != CONDITION).collect();
    Line { files, devices: words.collect() }
}

impl<'a> Line<'a> {
    fn is_wanted(&self, present: &BTreeSet<String>) -> bool {
        self.devices.iter().any(|pattern| present.iter().any(|name| fits(pattern, name)))
    }

    /// A module without those before it on its line would only be refused.
    fn load(&self, loaded: &mut BTreeSet<&'a str>) {
        for file in &self.files {
            if !loaded.contains(file) {
                if let Err(error) = insert(Path::new(file)) {
                    return log::error(&format!("module {file}: {error}"));
                }
                loaded.insert(file);
            }
        }
    }
}

/// What the devices of this machine are called when a driver is looked for.
fn devices(sys: &Path) -> BTreeSet<String> {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let devices = folders(&sys.join("bus")).flat_map(|bus| folders(&bus.path().join("devices")));
    let names =
        devices.filter_map(|device| fs::read_to_string(device.path().join("modalias")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Whether a name fits a pattern, in which `*` stands for any text. The kernel's patterns have no
/// other wildcard but in classes of devices that no module of ours is for.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(head) else { return false };
    let mut name = name;
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = parts.split_last() else { return true };
    for part in middle {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

fn insert(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    match finit_module(&file, c"", 0) {
        // The kernel itself brought it along.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_files_and_the_devices_that_they_are_for() {
        let list = "/b.ko\n/c.ko  /a.ko if pci:v1* acpi*:X:\n";
        let line = |files: &[&'static str], devices: &[&'static str]| Line {
            files: files.to_vec(),
            devices: devices.to_vec(),
        };
        let expected = [line(&["/b.ko"], &[]), line(&["/c.ko", "/a.ko"], &["pci:v1*", "acpi*:X:"])];
        assert_eq!(parse(list), expected);
    }

    #[test]
    fn patterns_of_devices() {
        let nic = "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00";
        for (pattern, name, expected) in [
            ("pci:v00001AF4d*sv*sd*bc*sc*i*", nic, true),
            ("pci:v*d*sv*sd*bc02sc00i*", nic, true),
            ("pci:v*d*sv*sd*bc01sc08i02*", nic, false),
            ("pci:v00008086d*", nic, false),
            ("acpi*:PNP0C0C:*", "acpi:PNP0C0C:", true),
            ("acpi*:PNP0C0C:*", "acpi:PNP0C0D:", false),
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("ab*bc", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_module_waits_for_its_device() {
        let sys = tempfile::tempdir().unwrap();
        let device = sys.path().join("bus/virtio/devices/virtio0");
        let list = parse("/x.ko if virtio:d00000002v*");
        assert!(!list[0].is_wanted(&devices(sys.path())));
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("modalias"), "virtio:d00000002v00001AF4\n").unwrap();
        assert!(list[0].is_wanted(&devices(sys.path())));
    }
}
