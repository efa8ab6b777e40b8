//! Which shared objects a program needs, and where they lie: what the dynamic loader would find,
//! without running anything.

use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use object::elf;
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{LittleEndian, ReadRef};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian's loader looks without being told.
const FOLDERS: [&str; 4] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"];

/// Adds to a tree whatever shared objects its programs need.
#[derive(Debug, Default)]
pub struct Libraries {
    done: BTreeSet<String>,
}

impl Libraries {
    /// Adds what the ELF file `bytes` needs, and what that needs. `path` is for errors.
    ///
    /// # Errors
    /// When a shared object is not on this machine.
    pub fn add(&mut self, tree: &mut Tree, path: &Path, bytes: &[u8]) -> Result<()> {
        let needs = needs(bytes).with_context(|| path.display().to_string())?;
        for name in needs {
            if self.done.insert(name.clone()) {
                let found = find(&name).with_context(|| format!("for {}", path.display()))?;
                self.add_file(tree, &found)?;
            }
        }
        Ok(())
    }

    /// Adds an ELF file of this machine where it is, with what it needs.
    ///
    /// # Errors
    /// As of [`Self::add`].
    pub fn add_file(&mut self, tree: &mut Tree, path: &Path) -> Result<()> {
        tree.as_here(path)?;
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        self.add(tree, path, &bytes)
    }
}

fn find(name: &str) -> Result<PathBuf> {
    let absolute = Path::new(name);
    if absolute.is_absolute() {
        return Ok(absolute.to_owned());
    }
    let places = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    let mut found = places.filter(|place| place.is_file());
    match found.next() {
        Some(place) => Ok(place),
        // The loader itself, which nobody searches for.
        None if name.starts_with("ld-linux") => Ok(Path::new("/lib64").join(name)),
        None => bail!("{name} is not installed"),
    }
}

/// Names of shared objects (DT_NEEDED), and the loader (PT_INTERP).
fn needs(bytes: &[u8]) -> Result<Vec<String>> {
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes)?;
    let endian = header.endian()?;
    let mut names = Vec::new();
    for segment in header.program_headers(endian, bytes)? {
        use object::read::elf::ProgramHeader;
        if let Some(loader) = segment.interpreter(endian, bytes)? {
            names.push(String::from_utf8(loader.to_owned())?);
        }
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED)) {
            let name = entry.string(endian, strings)?;
            names.push(String::from_utf8(name.to_owned())?);
        }
    }
    Ok(names)
}

/// The bytes of one section; none if there is no such section.
///
/// # Errors
/// When `bytes` is no ELF file.
pub fn section<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    use object::{Object, ObjectSection};
    let file = ElfFile64::<LittleEndian>::parse(bytes)?;
    let Some(section) = file.section_by_name(name) else { return Ok(None) };
    let Some((start, size)) = section.file_range() else { return Ok(None) };
    Ok(bytes.read_bytes_at(start, size).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_needs_the_c_library_and_a_loader() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&own).unwrap();
        assert!(needs.iter().any(|name| name == "libc.so.6"), "{needs:?}");
        assert!(needs.iter().any(|name| name.starts_with("/lib64/ld-linux")), "{needs:?}");
        let mut tree = Tree::default();
        Libraries::default().add(&mut tree, Path::new("test"), &own).unwrap();
        let libc = Path::new("/lib/x86_64-linux-gnu/libc.so.6").canonicalize().unwrap();
        assert!(tree.has(&libc));
        assert!(section(&own, ".text").unwrap().is_some_and(|text| text.len() > 1000));
        assert!(section(&own, ".nonsense").unwrap().is_none());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = find("libnowhere.so.7").unwrap_err();
        assert!(error.to_string().contains("libnowhere.so.7"));
        assert!(section(b"no ELF", "x").is_err());
    }
}
