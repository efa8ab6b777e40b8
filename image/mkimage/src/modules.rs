//! Kernel modules: which ones, in which order. The dependencies are read from the modules
//! themselves, so that no file of depmod's is needed.

use crate::elf;
use crate::tree::Tree;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Begins the name of one that is only loaded where its device is.
const ON_DEMAND: char = '?';

/// A kernel, unpacked from its package.
#[derive(Debug)]
pub struct Kernel {
    folder: PathBuf,
    /// `6.1.0-56-amd64`.
    pub release: String,
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

impl Kernel {
    /// `folder` holds `boot/` and `lib/modules/`, of one release.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub fn open(folder: &Path) -> Result<Self> {
        let modules = folder.join("lib/modules");
        let shown = || modules.display().to_string();
        let entries = fs::read_dir(&modules).with_context(shown)?;
        let releases: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let [release] = &releases[..] else { bail!("{}: not one release", shown()) };
        let release = release.to_str().context("a release that is no text")?.to_owned();
        let mut files = BTreeMap::new();
        collect(&modules.join(&release), &mut files)?;
        let list = modules.join(&release).join("modules.builtin");
        let builtin = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let builtin = builtin.lines().filter_map(|line| name_of(Path::new(line))).collect();
        Ok(Self { folder: folder.to_owned(), release, files, builtin })
    }

    /// The bootable file.
    ///
    /// # Errors
    /// When it is not there.
    pub fn image(&self) -> Result<Vec<u8>> {
        let path = self.folder.join("boot").join(format!("vmlinuz-{}", self.release));
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Adds the modules of `wanted` to a tree, in that order, dependencies by themselves; and the
    /// list that init loads them by at `list`: lines `FILE… [if DEVICE…]`, in parts under headings.
    /// Each part has all that it needs, as they are loaded at once.
    ///
    /// # Errors
    /// When one is not there, nor built in.
    pub fn add_modules(&self, tree: &mut Tree, wanted: &str, list: &Path) -> Result<()> {
        let mut text = String::new();
        for (heading, names) in parts(wanted)? {
            text += &format!("{heading}\n");
            text += &self.add_part(tree, &names)?;
        }
        tree.file(list, text)
    }

    fn add_part(&self, tree: &mut Tree, wanted: &[&str]) -> Result<String> {
        let mut always = Chain::default();
        for name in wanted.iter().filter(|name| !name.starts_with(ON_DEMAND)) {
            self.follow(name, &mut always)?;
        }
        let mut text = String::new();
        for module in &always.modules {
            text += &format!("{}\n", add(tree, module)?);
        }
        for line in wanted.iter().filter_map(|line| line.strip_prefix(ON_DEMAND)) {
            let mut chain = Chain { done: always.done.clone(), modules: Vec::new() };
            let mut names = line.split_whitespace();
            self.follow(names.next().unwrap_or_default(), &mut chain)?;
            let Some(last) = chain.modules.last() else { continue };
            let devices: Vec<String> = values(last.info()?, "alias=")
                .filter(|alias| alias.contains(':'))
                .map(str::to_owned)
                .collect();
            // For what may hang on that device, which appears only later.
            names.try_for_each(|name| self.follow(name, &mut chain))?;
            let files: Result<Vec<String>> = chain.modules.iter().map(|m| add(tree, m)).collect();
            text += &format!("{} if {}\n", files?.join(" "), devices.join(" "));
        }
        Ok(text)
    }

    /// Adds a module to a chain, after what it needs.
    fn follow(&self, name: &str, chain: &mut Chain) -> Result<()> {
        let name = name.replace('-', "_");
        if self.builtin.contains(&name) || !chain.done.insert(name.clone()) {
            return Ok(());
        }
        let path = self.files.get(&name);
        let path = path.with_context(|| format!("kernel {} has no module {name}", self.release))?;
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let module = Module { name, bytes };
        for needed in needs(module.info()?) {
            self.follow(&needed, chain)?;
        }
        // One by the name of an algorithm is an alias; those stand in the list.
        for wished in wishes(module.info()?) {
            if self.files.contains_key(&wished.replace('-', "_")) {
                self.follow(&wished, chain)?;
            }
        }
        chain.modules.push(module);
        Ok(())
    }
}

/// Modules, each after what it needs.
#[derive(Default)]
struct Chain {
    done: BTreeSet<String>,
    modules: Vec<Module>,
}

struct Module {
    name: String,
    bytes: Vec<u8>,
}

impl Module {
    fn info(&self) -> Result<&[u8]> {
        let info = elf::section(&self.bytes, ".modinfo").with_context(|| self.name.clone())?;
        Ok(info.unwrap_or_default())
    }
}

/// Adds a module as it is (stripping would take its signature away). Gives its place.
fn add(tree: &mut Tree, module: &Module) -> Result<String> {
    let place = format!("/usr/lib/modules/{}.ko", module.name);
    tree.file(&place, module.bytes.clone())?;
    Ok(place)
}

/// Lines without comments and empty ones.
pub fn lines(list: &str) -> impl Iterator<Item = &str> {
    let bare = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    bare.filter(|line| !line.is_empty())
}

/// Lines under their headings, which are in brackets.
fn parts(list: &str) -> Result<Vec<(&str, Vec<&str>)>> {
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines(list) {
        match parts.last_mut() {
            _ if line.starts_with('[') => parts.push((line, Vec::new())),
            Some((_, names)) => names.push(line),
            None => bail!("{line} stands before the first heading"),
        }
    }
    Ok(parts)
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if let Some(name) = name_of(&entry.path()) {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// Names use `_` where files use `-` or `_`.
fn name_of(file: &Path) -> Option<String> {
    (file.extension()? == "ko").then_some(())?;
    Some(file.file_stem()?.to_str()?.replace('-', "_"))
}

fn needs(info: &[u8]) -> Vec<String> {
    let all = values(info, "depends=").flat_map(|list| list.split(',').map(str::to_owned));
    all.filter(|name| !name.is_empty()).collect()
}

fn wishes(info: &[u8]) -> Vec<String> {
    let pre = values(info, "softdep=").filter_map(|text| text.strip_prefix("pre:"));
    pre.flat_map(|list| list.split_whitespace().take_while(|word| *word != "post:"))
        .map(str::to_owned)
        .collect()
}

/// Values of one key in a `.modinfo` section: `key=value` texts, each with a NUL at its end.
fn values<'a>(info: &'a [u8], key: &'a str) -> impl Iterator<Item = &'a str> {
    let texts = info.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    texts.filter_map(move |text| text.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"license=GPL\0depends=uio,vfio-pci-core\0softdep=pre: crc32c a post: b\0";

    #[test]
    fn what_a_module_needs_is_in_it() {
        assert_eq!(needs(INFO), ["uio", "vfio-pci-core"]);
        assert_eq!(wishes(INFO), ["crc32c", "a"]);
        assert!(needs(b"depends=\0").is_empty());
        assert!(needs(b"\xff\xfe\0no").is_empty());
    }

    #[test]
    fn a_list_has_parts() {
        let found = parts("# x\n[a]\nuio\n?nvme sr_mod # why\n[b]\n").unwrap();
        assert_eq!(found, [("[a]", vec!["uio", "?nvme sr_mod"]), ("[b]", vec![])]);
        assert!(parts("uio\n[a]\n").is_err());
        assert!(parts("").unwrap().is_empty());
    }

    #[test]
    fn a_list_has_comments() {
        let list: Vec<_> = lines("# NICs\n\nuio x=1 # why\n").collect();
        assert_eq!(list, ["uio x=1"]);
    }
}
