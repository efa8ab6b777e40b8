//! What the device says of itself.

use std::fs;
use std::io;
use std::path::Path;

/// One queue's account, as its polling thread wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Time-stamp counter.
    pub tsc: u64,
    /// CPU time of the polling thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Frames delivered.
    pub rx: u64,
    /// Frames taken.
    pub tx: u64,
    /// Frames taken that were looked at.
    pub checked: u64,
    /// Those of them that were no whole IP packets with right checksums.
    pub wrong: u64,
    /// Polls for which the pool had no buffers left.
    pub empty: u64,
    /// Whether every connection is open: the device delivers what it goes on with.
    pub settled: bool,
    /// Polls that came more than 50 µs after the last without a switch of threads between, where
    /// the trace asks for that.
    pub late: u64,
}

const WORDS: usize = 16;
/// The last phase of a queue, as the device numbers them.
const FORWARD: u64 = 2;
/// Reading while the thread writes happens once in a million; twice in a row, never.
const ATTEMPTS: usize = 100;

impl Report {
    /// Reads the account of a queue. All zeros before the first interval is over.
    ///
    /// # Errors
    /// When the file is not a report of the device.
    pub fn read(path: &Path, queue: usize) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let (first, second) = (words(path, queue)?, words(path, queue)?);
            // Even, and no write began between: the first reading is whole.
            if first[0].is_multiple_of(2) && first[0] == second[0] {
                let [_, tsc, cpu_ns, rx, tx, checked, wrong, empty, phase, late, ..] = first;
                let settled = phase == FORWARD;
                return Ok(Self { tsc, cpu_ns, rx, tx, checked, wrong, empty, settled, late });
            }
        }
        Err(io::Error::other("the device's report never rests"))
    }

    /// What happened since an earlier account.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            tsc: self.tsc - earlier.tsc,
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
            rx: self.rx - earlier.rx,
            tx: self.tx - earlier.tx,
            checked: self.checked - earlier.checked,
            wrong: self.wrong - earlier.wrong,
            empty: self.empty - earlier.empty,
            settled: self.settled && earlier.settled,
            late: self.late - earlier.late,
        }
    }
}

fn words(path: &Path, queue: usize) -> io::Result<[u64; WORDS]> {
    let bytes = fs::read(path)?;
    let line = bytes.chunks_exact(WORDS * 8).nth(queue);
    let line = line.ok_or_else(|| io::Error::other("the device has no such queue"))?;
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(line.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whole_or_not_at_all() {
        let path = std::env::temp_dir().join(format!("incore-report-{}", std::process::id()));
        let line = |sequence: u64| {
            let mut words: [u64; WORDS] = std::array::from_fn(|n| n as u64);
            (words[0], words[8]) = (sequence, FORWARD);
            words.map(u64::to_ne_bytes).concat()
        };
        fs::write(&path, [line(2), line(3)].concat()).unwrap();
        let whole = Report::read(&path, 0).unwrap();
        assert_eq!((whole.tsc, whole.rx, whole.wrong, whole.empty), (1, 3, 6, 7));
        assert_eq!(whole.since(&whole), Report { settled: true, ..Report::default() });
        assert!(Report::read(&path, 1).is_err(), "it is being written");
        assert!(Report::read(&path, 2).is_err(), "there is none");
        fs::remove_file(path).unwrap();
    }
}
