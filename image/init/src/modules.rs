//! Kernel modules, by a list that the image's builder put into an order that the kernel accepts.
//!
//! The list has parts, which are loaded at once: forwarding waits for no console keyboard.

use crate::log;
use rustix::io::Errno;
use rustix::system::finit_module;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Between the files of a line and the devices that they are for.
const CONDITION: &str = "if";

/// A part of the list, by its heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the data plane and the host path need.
    Network,
    /// What the state partition may lie on, and its file system.
    State,
    /// What nothing waits for.
    Later,
}

impl Part {
    fn heading(self) -> &'static str {
        match self {
            Self::Network => "[network]",
            Self::State => "[state]",
            Self::Later => "[later]",
        }
    }
}

/// A line of the list: modules to load one after another, and patterns of the devices that they
/// are for; without any they are loaded on every machine.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    files: Vec<&'a str>,
    devices: Vec<&'a str>,
}

/// Loads modules, each once, for several threads.
#[derive(Debug)]
pub struct Loader {
    list: String,
    sys: PathBuf,
    /// Whether it went in, of each that somebody has begun with.
    files: Mutex<BTreeMap<String, Arc<OnceLock<bool>>>>,
}

impl Loader {
    /// By the list in a file. `sys` is `/sys`.
    pub fn open(list: &Path, sys: &Path) -> Self {
        let text = fs::read_to_string(list).unwrap_or_else(|error| {
            log::error(&format!("no modules: {}: {error}", list.display()));
            String::new()
        });
        Self { list: text, sys: sys.to_owned(), files: Mutex::default() }
    }

    /// Loads what this machine has a use for of a part, until there is enough. One that cannot be
    /// loaded is logged and left out.
    pub fn load(&self, part: Part, is_enough: impl Fn() -> bool) {
        let begun = Instant::now();
        let mut count = 0;
        for line in part_of(&self.list, part) {
            if is_enough() {
                break;
            }
            // Looked at anew each time: one module's device is what the next one waits for.
            if line.devices.is_empty() || line.is_wanted(&devices(&self.sys)) {
                count += self.load_line(&line, insert);
            }
        }
        if count > 0 {
            let took = begun.elapsed().as_millis();
            log::line(&format!("{} {count} kernel modules, {took} ms", part.heading()));
        }
    }

    /// How many went in that had not before. A module without those before it on its line would
    /// only be refused.
    fn load_line(&self, line: &Line, insert: impl Fn(&Path) -> io::Result<()>) -> usize {
        let mut count = 0;
        for file in &line.files {
            let once = self.once(file);
            let is_in = once.get_or_init(|| {
                let result = insert(Path::new(file));
                match &result {
                    Ok(()) => count += 1,
                    Err(error) => log::error(&format!("module {file}: {error}")),
                }
                result.is_ok()
            });
            if !is_in {
                break;
            }
        }
        count
    }

    /// Who comes second waits until the first has loaded it.
    fn once(&self, file: &str) -> Arc<OnceLock<bool>> {
        let mut files = self.files.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        files.entry(file.to_owned()).or_default().clone()
    }
}

/// Lines `FILE… [if DEVICE…]` under the heading of a part, to the next heading.
fn part_of(list: &str, part: Part) -> impl Iterator<Item = Line<'_>> {
    let after = list.lines().skip_while(move |line| *line != part.heading()).skip(1);
    after.take_while(|line| !line.starts_with('[')).map(parse_line)
}

fn parse_line(line: &str) -> Line<'_> {
    let mut words = line.split_whitespace();
    let files = words.by_ref().take_while(|word| *word != CONDITION).collect();
    Line { files, devices: words.collect() }
}

impl Line<'_> {
    fn is_wanted(&self, present: &BTreeSet<String>) -> bool {
        self.devices.iter().any(|pattern| present.iter().any(|name| fits(pattern, name)))
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
    fn a_list_has_parts_of_files_and_the_devices_that_they_are_for() {
        let list = "[network]\n/b.ko\n[state]\n/c.ko  /a.ko if pci:v1* acpi*:X:\n/d.ko\n[later]\n";
        let line = |files: &[&'static str], devices: &[&'static str]| Line {
            files: files.to_vec(),
            devices: devices.to_vec(),
        };
        let of = |part| part_of(list, part).collect::<Vec<_>>();
        assert_eq!(of(Part::Network), [line(&["/b.ko"], &[])]);
        let state = [line(&["/c.ko", "/a.ko"], &["pci:v1*", "acpi*:X:"]), line(&["/d.ko"], &[])];
        assert_eq!(of(Part::State), state);
        assert_eq!(of(Part::Later), []);
        assert_eq!(part_of("", Part::Later).count(), 0, "a kernel without modules");
    }

    #[test]
    fn a_module_goes_in_once_and_without_what_it_needs_not_at_all() {
        let loader = Loader::open(Path::new("/nowhere"), Path::new("/nowhere"));
        let tried = Mutex::new(Vec::new());
        let insert = |file: &Path| {
            tried.lock().unwrap().push(file.to_str().unwrap().to_owned());
            match file.ends_with("broken.ko") {
                true => Err(io::Error::other("it is broken")),
                false => Ok(()),
            }
        };
        let load = |text| loader.load_line(&parse_line(text), insert);
        assert_eq!(load("/a.ko /b.ko"), 2);
        assert_eq!(load("/a.ko /c.ko /broken.ko /d.ko"), 1);
        assert_eq!(load("/broken.ko /e.ko"), 0);
        assert_eq!(*tried.lock().unwrap(), ["/a.ko", "/b.ko", "/c.ko", "/broken.ko"]);
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
        let line = parse_line("/x.ko if virtio:d00000002v*");
        assert!(!line.is_wanted(&devices(sys.path())));
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("modalias"), "virtio:d00000002v00001AF4\n").unwrap();
        assert!(line.is_wanted(&devices(sys.path())));
    }
}
