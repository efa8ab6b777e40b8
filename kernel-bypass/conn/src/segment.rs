//! A table's memory and its header: who may take over what from whom.

use crate::key::Secrets;
use crate::layout::Geometry;
use crate::memory::Memory;
use crate::sync::Relaxed;
use crate::table::{Backing, TableError};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering::Release;

/// "FULCRUM" and the version of everything in `layout`, to be raised with every change of it.
const MAGIC: u64 = u64::from_be_bytes(*b"FULCRUM\x08");
/// Header words: magic, sizes, secrets.
const SIZES_AT: usize = 1;
const SECRETS_AT: usize = 8;

pub(crate) struct Segment {
    pub memory: Memory,
    pub secrets: Secrets,
    /// Why the file's content was not taken over.
    pub discarded: Option<String>,
}

pub(crate) fn open(geometry: Geometry, backing: &Backing) -> Result<Segment, TableError> {
    match backing {
        Backing::Heap => Ok(begin(Memory::heap(geometry), None)),
        #[cfg(not(loom))]
        Backing::File(path) => file::open(geometry, path),
        #[cfg(loom)]
        Backing::File(_) => Err(TableError::Config("no files under the model checker")),
    }
}

/// Writes the header of a zeroed segment. The magic comes last: a segment that a crash left
/// without it is not taken over.
fn begin(memory: Memory, discarded: Option<String>) -> Segment {
    let secrets = fresh_secrets();
    let header = memory.header();
    for (word, value) in header[SIZES_AT..].iter().zip(sizes(memory.geometry())) {
        word.store(value, Relaxed);
    }
    for (word, value) in header[SECRETS_AT..].iter().zip(secrets.0) {
        word.store(value, Relaxed);
    }
    header[0].store(MAGIC, Release);
    Segment { memory, secrets, discarded }
}

fn sizes(geometry: &Geometry) -> [u64; 4] {
    [geometry.units, geometry.slab_units, geometry.buckets, geometry.backends].map(u64::from)
}

/// The standard library's hasher keys come from the system's random source; one per word.
fn fresh_secrets() -> Secrets {
    if cfg!(loom) {
        return Secrets([1, 2, 3, 4, 5, 6].map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    Secrets([0; 6].map(|n: u64| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(n);
        hasher.finish() | 1
    }))
}

#[cfg(not(loom))]
mod file {
    use super::*;
    use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, fstatfs, ftruncate};
    use rustix::io::Errno;
    use std::fs::{File, OpenOptions};
    use std::path::Path;

    const HUGETLBFS_MAGIC: i64 = 0x9584_58f6;
    /// The only huge page size in use.
    const HUGE_PAGE: usize = 2 << 20;
    const PAGE: usize = 4096;

    pub fn open(geometry: Geometry, path: &Path) -> Result<Segment, TableError> {
        let system = |what| move |error| TableError::System { path: path.into(), what, error };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| system("open it")(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
            Errno::WOULDBLOCK => TableError::InUse(path.into()),
            error => system("lock it")(error),
        })?;
        let huge = fstatfs(&file).map_err(system("look at it"))?.f_type as i64 == HUGETLBFS_MAGIC;
        let page = if huge { HUGE_PAGE } else { PAGE };
        let len = Memory::bytes(&geometry).next_multiple_of(page);
        let (file, discarded) = match misfit(&file, &geometry, len).map_err(system("read it"))? {
            None => return take_over(geometry, file, len).map_err(system("map it")),
            Some(why) => (file, why),
        };
        // Down to nothing first, so that all of it reads as zero.
        ftruncate(&file, 0).map_err(system("empty it"))?;
        ftruncate(&file, len as u64).map_err(system("size it"))?;
        if !huge {
            // Reserves the memory now, so that a full tmpfs is an error here and no signal later.
            fallocate(&file, FallocateFlags::empty(), 0, len as u64)
                .map_err(system("reserve memory for it"))?;
        }
        let memory = Memory::map(geometry, file, len).map_err(system("map it"))?;
        Ok(begin(memory, discarded))
    }

    fn take_over(geometry: Geometry, file: File, len: usize) -> rustix::io::Result<Segment> {
        let memory = Memory::map(geometry, file, len)?;
        let header = memory.header();
        let secrets =
            Secrets([0, 1, 2, 3, 4, 5].map(|n: usize| header[SECRETS_AT + n].load(Relaxed)));
        Ok(Segment { memory, secrets, discarded: None })
    }

    /// `None` if the file can be taken over; else why not (`Some(None)`: it is new).
    fn misfit(
        file: &File,
        geometry: &Geometry,
        len: usize,
    ) -> rustix::io::Result<Option<Option<String>>> {
        let found = rustix::fs::fstat(file)?.st_size as usize;
        if found == 0 {
            return Ok(Some(None));
        }
        if found != len {
            return Ok(Some(Some(format!("it has {found} bytes where {len} are wanted"))));
        }
        // Read through a mapping: hugetlbfs files cannot be read otherwise.
        let memory = Memory::map(*geometry, file.try_clone().map_err(|_| Errno::MFILE)?, len)?;
        let header = memory.header();
        if header[0].load(Relaxed) != MAGIC {
            return Ok(Some(Some("it is of another version".into())));
        }
        let found = [0, 1, 2, 3].map(|n: usize| header[SIZES_AT + n].load(Relaxed));
        if found != sizes(geometry) {
            return Ok(Some(Some("it was made for other sizes".into())));
        }
        Ok(None)
    }
}
