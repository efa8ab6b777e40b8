//! What every program under measurement runs on: one device, one trace, one folder.

use anyhow::{Context, Result, ensure};
use incore::{Report, Trace};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take until it forwards.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the plug-in, the trace and the device's report; removed when dropped.
pub struct Bed {
    folder: PathBuf,
    plugin: PathBuf,
    /// What the device delivers.
    pub trace: Trace,
    /// Queues of the device, and threads of the program.
    pub queues: usize,
}

impl Bed {
    /// Writes the trace and the plug-in.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(trace: Trace, queues: usize) -> Result<Self> {
        // Below no folder that everybody may write to: DPDK loads no plug-in from there.
        let folder = PathBuf::from(format!("/run/fulcrum-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {} (root is needed)", folder.display()))?;
        let plugin = incore::install(&folder)?;
        let bed = Self { folder, plugin, trace, queues };
        trace.write(&bed.file("trace"))?;
        Ok(bed)
    }

    /// Removes the last program's report, so that nobody reads it for the next one's.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let report = self.file("report");
        match report.exists() {
            true => Ok(fs::remove_file(report)?),
            false => Ok(()),
        }
    }

    /// Where a program may keep its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The plug-in.
    pub fn plugin(&self) -> &Path {
        &self.plugin
    }

    /// The device, as DPDK is told.
    pub fn device(&self) -> String {
        incore::device(&self.file("trace"), &self.file("report"))
    }

    /// Measures the forwarding that goes on.
    ///
    /// # Errors
    /// When nothing is forwarded, or not everything, or what is sent is broken: a figure is only a
    /// figure when every packet was forwarded.
    pub fn measure(&self, interval: Duration) -> Result<Sample> {
        let before = self.reports()?;
        thread::sleep(interval);
        self.since(&before)
    }

    /// What happened since, by the same conditions.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn since(&self, before: &[Report]) -> Result<Sample> {
        let mut sample = Sample::default();
        for (now, before) in self.reports()?.iter().zip(before) {
            let now = now.since(before);
            ensure!(now.settled, "connections were still opening");
            ensure!(now.tx * 1000 >= now.rx * 999, "of {} packets {} were sent", now.rx, now.tx);
            ensure!(now.wrong == 0, "{} of {} packets sent are broken", now.wrong, now.checked);
            ensure!(now.empty * 1000 <= now.rx, "the pool is too small: {now:?}");
            sample.threads.push((now.tx, Duration::from_nanos(now.cpu_ns)));
            sample.late += now.late;
        }
        Ok(sample)
    }

    /// Waits until every connection is open and was used once.
    ///
    /// # Errors
    /// When nothing is forwarded.
    pub fn warm_up(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut settled = None;
        loop {
            let reports = self.reports().unwrap_or_default();
            let sent: u64 = reports.iter().map(|report| report.tx).sum();
            if !reports.is_empty() && reports.iter().all(|report| report.settled) {
                let begun = *settled.get_or_insert(sent);
                if sent > begun + self.trace.frames() {
                    break;
                }
            }
            ensure!(Instant::now() < deadline, "not every flow is forwarded: {reports:?}");
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// What each queue's thread says.
    ///
    /// # Errors
    /// When the device has written nothing yet.
    pub fn reports(&self) -> Result<Vec<Report>> {
        let report = self.file("report");
        (0..self.queues).map(|queue| Ok(Report::read(&report, queue)?)).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Packets and the forwarding threads' CPU time over the measured interval.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    threads: Vec<(u64, Duration)>,
    late: u64,
}

impl Sample {
    /// Rounds that took more than 50 µs, where the trace asks for that.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// CPU time of all threads.
    pub fn cpu(&self) -> Duration {
        self.threads.iter().map(|(_, cpu)| *cpu).sum()
    }

    /// Million packets per CPU-second of each thread, all threads together.
    pub fn mpps(&self) -> f64 {
        let rate = |(packets, cpu): &(u64, Duration)| *packets as f64 / cpu.as_secs_f64().max(1e-9);
        self.threads.iter().map(rate).sum::<f64>() / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_had_half_the_time_counts_as_much() {
        let threads =
            vec![(4_000_000, Duration::from_secs(2)), (1_000_000, Duration::from_secs(1))];
        let sample = Sample { threads, late: 0 };
        assert_eq!((sample.mpps(), sample.cpu()), (3.0, Duration::from_secs(3)));
    }
}
