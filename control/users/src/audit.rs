//! The audit log: who did what from where, and what came of it. One JSON object a line; on the medium
//! before the answer goes out. Two files of bounded size, the older one named `….1`.

use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest line; what is longer is cut.
pub const MAX_ENTRY_BYTES: usize = 4_096;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Who.
    pub who: String,
    /// From where: an address, or `local`.
    pub from: String,
    /// What: method and path.
    pub action: String,
    /// What came of it: an HTTP status.
    pub outcome: u16,
}

/// The log in its two files.
pub struct Audit {
    path: PathBuf,
    most_bytes: u64,
    file: File,
    bytes: u64,
}

impl Audit {
    /// Opens it for more; each of its two files has at most `most_bytes` and one line more.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, most_bytes: u64) -> io::Result<Self> {
        let mut file = appended(path)?;
        let bytes = file.metadata()?.len();
        if bytes > 0 && !ends_with_newline(path)? {
            // A power cut tore the last line; the next one shall not be torn with it.
            file.write_all(b"\n")?;
        }
        Ok(Self { path: path.to_owned(), most_bytes, file, bytes })
    }

    /// Adds a line, on the medium before it returns.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        if self.bytes >= self.most_bytes {
            fs::rename(&self.path, older(&self.path))?;
            self.file = appended(&self.path)?;
            self.bytes = 0;
        }
        let mut line = serde_json::to_vec(&short(entry))?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// The last `most` entries, newest first, and how many lines could not be read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn last(&self, most: usize) -> io::Result<(Vec<Entry>, usize)> {
        let (mut entries, mut torn) = (Vec::new(), 0);
        for path in [self.path.clone(), older(&self.path)] {
            let text = match read(&path, self.most_bytes + 2 * MAX_ENTRY_BYTES as u64) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            for line in text.lines().rev().filter(|line| !line.is_empty()) {
                if entries.len() == most {
                    return Ok((entries, torn));
                }
                match serde_json::from_str(line) {
                    Ok(entry) => entries.push(entry),
                    Err(_) => torn += 1,
                }
            }
        }
        Ok((entries, torn))
    }
}

/// With texts that fit into a line: what a client sends is not ours to store without end.
fn short(entry: &Entry) -> Entry {
    let cut = |text: &str| text.chars().take(MAX_ENTRY_BYTES / 32).collect();
    Entry {
        who: cut(&entry.who),
        from: cut(&entry.from),
        action: cut(&entry.action),
        ..entry.clone()
    }
}

fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let mut last = [0];
    file.read_exact_at(&mut last, file.metadata()?.len().saturating_sub(1))?;
    Ok(last == [b'\n'])
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("audit-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn entry(at: u64) -> Entry {
        let action = "PUT /api/v1/config".into();
        Entry { at, who: "ann".into(), from: "192.0.2.7".into(), action, outcome: 200 }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let folder = Folder::new("rotation");
        let path = folder.0.join("audit");
        let mut audit = Audit::open(&path, 1_000).unwrap();
        for at in 0..100 {
            audit.add(&entry(at)).unwrap();
        }
        let (entries, torn) = audit.last(1_000).unwrap();
        assert_eq!((entries[0].at, torn), (99, 0));
        assert!(entries.windows(2).all(|pair| pair[0].at == pair[1].at + 1));
        assert!((10..30).contains(&entries.len()), "{}", entries.len());
        assert_eq!(audit.last(3).unwrap().0.len(), 3);
        for file in [&path, &older(&path)] {
            assert!(fs::metadata(file).unwrap().len() <= 1_000 + MAX_ENTRY_BYTES as u64);
        }
        let (again, _) = Audit::open(&path, 1_000).unwrap().last(1_000).unwrap();
        assert_eq!(again, entries);
    }

    #[test]
    fn a_torn_line_is_told_and_spoils_no_other() {
        let folder = Folder::new("torn");
        let path = folder.0.join("audit");
        let mut audit = Audit::open(&path, 10_000).unwrap();
        audit.add(&entry(1)).unwrap();
        audit.add(&entry(2)).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let mut audit = Audit::open(&path, 10_000).unwrap();
        audit.add(&entry(3)).unwrap();
        let (entries, torn) = audit.last(10).unwrap();
        let times: Vec<u64> = entries.iter().map(|entry| entry.at).collect();
        assert_eq!((times, torn), (vec![3, 1], 1));
    }

    #[test]
    fn what_a_client_sends_is_cut() {
        let folder = Folder::new("cut");
        let mut audit = Audit::open(&folder.0.join("audit"), 10_000).unwrap();
        let mut long = entry(1);
        long.who = "\u{1}".repeat(100_000);
        long.action = "ä".repeat(100_000);
        audit.add(&long).unwrap();
        assert!(audit.bytes <= MAX_ENTRY_BYTES as u64, "{}", audit.bytes);
        assert_eq!(audit.last(10).unwrap().0.len(), 1);
    }
}
