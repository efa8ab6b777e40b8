//! A file is there as it was or as it shall be, whatever happens in between.

use crate::disk::Disk;
use crate::disk::Os;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Ends the name of a file that is still being written.
pub(crate) const UNFINISHED: &str = ".new";

/// Where the new content is written before it gets its name.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Brings new content to the medium beside the file, which is not touched. What was written is
/// removed again if that fails, so that a full disk does not stay full of it.
pub(crate) fn stage(disk: &impl Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = aside(path);
    let written = disk.create(&aside).and_then(|mut file| {
        disk.write(&mut file, bytes)?;
        disk.sync(&file)
    });
    written.map_err(|e| {
        unstage(disk, path);
        Error::disk("write", &aside)(e)
    })
}

/// Takes back what [`stage`] did.
pub(crate) fn unstage(disk: &impl Disk, path: &Path) {
    // What cannot be removed now is removed when the folder is opened the next time.
    let _ = disk.remove(&aside(path));
}

/// Gives staged content its name. It is on the medium under that name once the folder is synced.
pub(crate) fn put_in_place(disk: &impl Disk, path: &Path) -> Result<()> {
    disk.rename(&aside(path), path).map_err(|e| {
        unstage(disk, path);
        Error::disk("replace", path)(e)
    })
}

/// Replaces a file of somebody else's, whole or not at all; on the medium before it returns. A link
/// stays a link, and the file's permissions stay.
///
/// # Errors
/// When there is no such file, or the disk does not take it; the old content stays then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = &fs::canonicalize(path).map_err(Error::disk("find", path))?;
    let permissions = fs::metadata(path).map_err(Error::disk("look at", path))?.permissions();
    stage(&Os, path, bytes)?;
    if let Err(e) = fs::set_permissions(aside(path), permissions) {
        unstage(&Os, path);
        return Err(Error::disk("write", path)(e));
    }
    put_in_place(&Os, path)?;
    sync_folder_of(&Os, path).map_err(Error::disk("keep", path))
}

/// Replaces `path`, of which `old` is the content, whole or not at all.
pub(crate) fn replace(disk: &impl Disk, path: &Path, old: Option<&[u8]>, new: &[u8]) -> Result<()> {
    stage(disk, path, new)?;
    put_in_place(disk, path)?;
    let Err(source) = sync_folder_of(disk, path) else { return Ok(()) };
    // The new content is visible and may not last. Who is told of a failure must not find it done.
    match put_back(disk, path, old) {
        Ok(()) => Err(Error::disk("replace", path)(source)),
        Err(_) => Err(Error::Unsure { path: path.to_owned(), source }),
    }
}

/// Removes `path`, of which `old` is the content.
pub(crate) fn remove(disk: &impl Disk, path: &Path, old: &[u8]) -> Result<()> {
    disk.remove(path).map_err(Error::disk("remove", path))?;
    let Err(source) = sync_folder_of(disk, path) else { return Ok(()) };
    // The file is gone and may be back. Who is told of a failure must not find it done.
    match put_back(disk, path, Some(old)) {
        Ok(()) => Err(Error::disk("remove", path)(source)),
        Err(_) => Err(Error::Unsure { path: path.to_owned(), source }),
    }
}

fn put_back(disk: &impl Disk, path: &Path, old: Option<&[u8]>) -> Result<()> {
    match old {
        Some(old) => {
            stage(disk, path, old)?;
            put_in_place(disk, path)?;
        }
        None => disk.remove(path).map_err(Error::disk("remove", path))?,
    }
    sync_folder_of(disk, path).map_err(Error::disk("replace", path))
}

fn sync_folder_of(disk: &impl Disk, path: &Path) -> io::Result<()> {
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}
