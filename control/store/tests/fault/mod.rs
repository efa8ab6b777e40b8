//! A disk in memory that fails, or loses its power, at a chosen operation.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use store::Disk;

/// What happens at which operation, counted from 1 since [`FaultDisk::arm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// That operation fails; those after it work again.
    Once(usize, io::ErrorKind),
    /// From that operation on, all that need the medium fail.
    From(usize, io::ErrorKind),
    /// Before that operation the power goes; nothing works any more.
    Crash(usize),
}

/// Shared by all its clones.
#[derive(Clone, Default)]
pub struct FaultDisk(Rc<RefCell<State>>);

struct State {
    /// What processes see.
    files: BTreeMap<PathBuf, usize>,
    /// What the medium has: names, and what happened to them since, in order.
    durable: BTreeMap<PathBuf, usize>,
    pending: Vec<Change>,
    inodes: Vec<Inode>,
    fault: Fault,
    operations: usize,
    locked: bool,
}

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
}

/// To the names in a folder. One of them happens as a whole or not at all.
#[derive(Clone, Debug)]
struct Change {
    remove: Option<PathBuf>,
    insert: Option<(PathBuf, usize)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            inodes: Vec::new(),
            fault: Fault::None,
            operations: 0,
            locked: false,
        }
    }
}

/// Files as they are found after a power cut.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

impl FaultDisk {
    /// A disk with these files, all of them on the medium.
    pub fn with(files: &Files) -> Self {
        let disk = Self::default();
        let mut state = disk.0.borrow_mut();
        for (path, bytes) in files {
            let inode = state.inodes.len();
            state.inodes.push(Inode { now: bytes.clone(), durable: bytes.clone() });
            state.files.insert(path.clone(), inode);
            state.durable.insert(path.clone(), inode);
        }
        drop(state);
        disk
    }

    /// From now on this happens.
    pub fn arm(&self, fault: Fault) {
        let mut state = self.0.borrow_mut();
        (state.fault, state.operations) = (fault, 0);
    }

    /// Operations since [`FaultDisk::arm`].
    pub fn operations(&self) -> usize {
        self.0.borrow().operations
    }

    /// What processes see.
    pub fn files(&self) -> Files {
        let state = self.0.borrow();
        state.files.iter().map(|(path, &i)| (path.clone(), state.inodes[i].now.clone())).collect()
    }

    /// Changes a file behind everybody's back.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.borrow_mut();
        let inode = state.files[path];
        change(&mut state.inodes[inode].now);
        state.inodes[inode].durable = state.inodes[inode].now.clone();
    }

    /// Every state that the medium may be in once the power is gone: each set of unsynced changes
    /// of names, with each way to tear one unsynced file while the others are lost or complete.
    pub fn after_power_cut(&self, mut each: impl FnMut(&Files)) {
        let state = self.0.borrow();
        assert!(state.pending.len() < 12, "too many to try: {:?}", state.pending);
        for chosen in 0_u32..1 << state.pending.len() {
            let mut names = state.durable.clone();
            for (n, change) in state.pending.iter().enumerate() {
                if chosen & (1 << n) != 0 {
                    change.apply(&mut names);
                }
            }
            let unsynced: Vec<usize> = names
                .values()
                .copied()
                .filter(|&inode| state.inodes[inode].now != state.inodes[inode].durable)
                .collect();
            for others_complete in [false, true] {
                let content = |inode: usize| match others_complete {
                    true => state.inodes[inode].now.clone(),
                    false => state.inodes[inode].durable.clone(),
                };
                let mut files: Files =
                    names.iter().map(|(path, &inode)| (path.clone(), content(inode))).collect();
                each(&files);
                for &torn in &unsynced {
                    let paths = names.iter().filter(|(_, inode)| **inode == torn);
                    for (path, _) in paths {
                        for bytes in state.inodes[torn].torn() {
                            files.insert(path.clone(), bytes);
                            each(&files);
                        }
                        files.insert(path.clone(), content(torn));
                    }
                }
            }
        }
    }

    /// Counts an operation, and fails if it is its turn.
    fn step(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.operations += 1;
        match state.fault {
            Fault::Once(k, kind) if state.operations == k => Err(kind.into()),
            Fault::From(k, kind) if state.operations >= k => Err(kind.into()),
            Fault::Crash(k) if state.operations >= k => Err(io::Error::other("no power")),
            _ => Ok(()),
        }
    }

    /// Removing and looking works on a full disk.
    fn step_of_a_full_disk(&self) -> io::Result<()> {
        let full = matches!(self.0.borrow().fault, Fault::From(_, io::ErrorKind::StorageFull));
        if full { Ok(()) } else { self.step() }
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.0.borrow().files.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl State {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.files);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(path) = &self.remove {
            names.remove(path);
        }
        if let Some((path, inode)) = &self.insert {
            names.insert(path.clone(), *inode);
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let named = self.remove.as_ref().or(self.insert.as_ref().map(|(path, _)| path));
        named.and_then(|path| path.parent()) == Some(dir)
    }
}

impl Inode {
    /// Cut at any byte, and with the rest of it as zeros or as it was before.
    fn torn(&self) -> Vec<Vec<u8>> {
        let cuts = 0..self.now.len();
        cuts.flat_map(|at| {
            let cut = self.now[..at].to_vec();
            let mut zeros = cut.clone();
            zeros.resize(self.now.len(), 0);
            let mut mixed = cut.clone();
            mixed.extend(self.durable.get(at..).unwrap_or_default());
            [cut, zeros, mixed]
        })
        .collect()
    }
}

impl Disk for FaultDisk {
    type File = usize;
    type Lock = Lock;

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn lock(&self, _: &Path) -> io::Result<Lock> {
        self.step()?;
        match std::mem::replace(&mut self.0.borrow_mut().locked, true) {
            false => Ok(Lock(self.clone())),
            true => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.step_of_a_full_disk()?;
        let state = self.0.borrow();
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect())
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        self.step_of_a_full_disk()?;
        let bytes = self.0.borrow().inodes[self.inode(path)?].now.clone();
        match bytes.len() as u64 <= most {
            true => Ok(bytes),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        if let Ok(inode) = self.inode(path) {
            self.0.borrow_mut().inodes[inode].now.clear();
            return Ok(inode);
        }
        let mut state = self.0.borrow_mut();
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(Change { remove: None, insert: Some((path.into(), inode)) });
        Ok(inode)
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let result = self.step();
        let part = match (&result, self.0.borrow().fault) {
            (Ok(()), _) => bytes,
            (Err(_), Fault::Crash(_)) => &[],
            (Err(_), _) => &bytes[..bytes.len() / 2],
        };
        self.0.borrow_mut().inodes[*file].now.extend_from_slice(part);
        result
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.step()?;
        let inode = &mut self.0.borrow_mut().inodes[*file];
        inode.durable = inode.now.clone();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let inode = self.inode(from)?;
        let change = Change { remove: Some(from.into()), insert: Some((to.into(), inode)) };
        self.0.borrow_mut().change(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step_of_a_full_disk()?;
        self.inode(path)?;
        self.0.borrow_mut().change(Change { remove: Some(path.into()), insert: None });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.0.borrow_mut();
        let (done, left) = std::mem::take(&mut state.pending)
            .into_iter()
            .partition(|change: &Change| change.is_in(dir));
        state.pending = left;
        let done: Vec<Change> = done;
        for change in done {
            change.apply(&mut state.durable);
        }
        Ok(())
    }
}

/// Held until dropped, also by a process that lost its power.
pub struct Lock(FaultDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.borrow_mut().locked = false;
    }
}
