//! The files of an image, in memory, by their absolute paths.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A symbolic link, to this target.
    Link(PathBuf),
    /// A file.
    File {
        /// Whether it is a program or a shared object.
        executable: bool,
        /// What is in it.
        bytes: Vec<u8>,
    },
}

/// Entries in the order of their paths, which do not begin with a slash. Every entry's folder is
/// there and comes before it.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<PathBuf, Node>);

impl Tree {
    /// Adds an empty folder.
    ///
    /// # Errors
    /// When something else has that name.
    pub fn folder(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.add(path.as_ref(), Node::Folder)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// When something else has that name.
    pub fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) -> Result<()> {
        self.add(path.as_ref(), Node::Link(target.into()))
    }

    /// Adds a file that is no program.
    ///
    /// # Errors
    /// When something else has that name.
    pub fn file(&mut self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path.as_ref(), Node::File { executable: false, bytes: bytes.into() })
    }

    /// Adds a program or shared object.
    ///
    /// # Errors
    /// When something else has that name.
    pub fn program(&mut self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path.as_ref(), Node::File { executable: true, bytes: bytes.into() })
    }

    /// Adds a file of this machine at the place it has here; a symbolic link with what it leads
    /// to. Links among folders are resolved first, so that a file has one place, however it was
    /// named. Gives that place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn as_here(&mut self, path: &Path) -> Result<PathBuf> {
        let shown = || path.display().to_string();
        let name = path.file_name().with_context(shown)?;
        let folder = path.parent().with_context(shown)?.canonicalize().with_context(shown)?;
        let place = folder.join(name);
        if self.has(&place) {
            return Ok(place);
        }
        let about = fs::symlink_metadata(&place).with_context(shown)?;
        if about.is_symlink() {
            let target = fs::read_link(&place)?;
            self.as_here(&folder.join(&target))?;
            self.link(&place, target)?;
        } else {
            ensure!(about.is_file(), "{} is no file", shown());
            let bytes = fs::read(&place).with_context(shown)?;
            let executable = about.permissions().mode() & 0o111 != 0;
            self.add(&place, Node::File { executable, bytes })?;
        }
        Ok(place)
    }

    /// Whether there is something at a path.
    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(relative(path))
    }

    /// Path and entry, each folder before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_path(), node))
    }

    /// Bytes of all files whose path the test accepts.
    pub fn size(&self, mut counts: impl FnMut(&Path) -> bool) -> u64 {
        let size = |(path, node): (&Path, &Node)| match node {
            Node::File { bytes, .. } if counts(path) => bytes.len() as u64,
            _ => 0,
        };
        self.entries().map(size).sum()
    }

    fn add(&mut self, path: &Path, node: Node) -> Result<()> {
        let path = relative(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            match self.0.get(parent) {
                None => self.add(parent, Node::Folder)?,
                Some(Node::Folder) => {}
                Some(_) => bail!("{} is no folder in the image", parent.display()),
            }
        }
        let was = self.0.insert(path.to_owned(), node.clone());
        ensure!(
            was.as_ref().is_none_or(|was| *was == node),
            "{} is in the image twice, and differs",
            path.display()
        );
        Ok(())
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_by_themselves_and_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.file("/b/c/d", "x").unwrap();
        tree.link("/a", "b").unwrap();
        tree.folder("/b").unwrap();
        let paths: Vec<_> = tree.entries().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["a", "b", "b/c", "b/c/d"]);
        assert!(tree.file("/b", "a folder of that name").is_err());
        assert!(tree.file("/a/x", "below a link").is_err());
        assert_eq!(tree.size(|path| path.ends_with("d")), 1);
    }

    #[test]
    fn a_link_brings_along_what_it_leads_to_once() {
        let here = tempfile::tempdir().unwrap();
        let here = here.path().canonicalize().unwrap();
        fs::create_dir(here.join("real")).unwrap();
        fs::write(here.join("real/lib.so.1.2"), "code").unwrap();
        std::os::unix::fs::symlink("real/lib.so.1.2", here.join("lib.so.1")).unwrap();
        std::os::unix::fs::symlink("real", here.join("other")).unwrap();
        let mut tree = Tree::default();
        assert_eq!(tree.as_here(&here.join("lib.so.1")).unwrap(), here.join("lib.so.1"));
        let real = here.join("real/lib.so.1.2");
        assert!(tree.has(&real));
        let place = tree.as_here(&here.join("other/lib.so.1.2")).unwrap();
        assert_eq!(place, real, "by another way");
        assert_eq!(tree.size(|_| true), 4);
        assert!(tree.as_here(&here.join("nothing")).is_err());
    }
}
