//! What every program under measurement runs on: one device, one trace, one folder.

use anyhow::{Context, Result, ensure};
use incore::{Report, Trace};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take until it forwards.
const PATIENCE: Duration = Duration::from_secs(60);
/// What has to pass before a figure is taken: every flow twice, so that its connection is open.
const PASSES: u64 = 2;

/// A folder with the plug-in, the trace and the device's report; removed when dropped.
pub struct Bed {
    folder: PathBuf,
    plugin: PathBuf,
    /// What the device delivers.
    pub trace: Trace,
}

impl Bed {
    /// Writes the trace and the plug-in.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(trace: Trace) -> Result<Self> {
        // Below no folder that everybody may write to: DPDK loads no plug-in from there.
        let folder = PathBuf::from(format!("/run/fulcrum-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {} (root is needed)", folder.display()))?;
        let plugin = incore::install(&folder)?;
        let bed = Self { folder, plugin, trace };
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
        let before = self.report()?;
        thread::sleep(interval);
        let now = self.report()?.since(&before);
        ensure!(now.tx * 1000 >= now.rx * 999, "of {} packets only {} were sent", now.rx, now.tx);
        ensure!(now.wrong == 0, "{} of {} packets sent are broken", now.wrong, now.checked);
        ensure!(now.empty * 1000 <= now.rx, "the pool is too small: {now:?}");
        Ok(Sample { packets: now.tx, cpu: Duration::from_nanos(now.cpu_ns) })
    }

    /// Waits until every connection is open.
    ///
    /// # Errors
    /// When nothing is forwarded.
    pub fn warm_up(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut begun = None;
        loop {
            let sent = self.report().map_or(0, |report| report.tx);
            let begun = *begun.get_or_insert(sent);
            if sent >= begun + PASSES * u64::from(self.trace.flows) && sent > begun {
                break;
            }
            ensure!(Instant::now() < deadline, "nothing is forwarded; run it by hand to see why");
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn report(&self) -> Result<Report> {
        Ok(Report::read(&self.file("report"), 0)?)
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

/// Packets and the forwarding thread's CPU time over the measured interval.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    packets: u64,
    cpu: Duration,
}

impl Sample {
    /// Million packets per CPU-second.
    pub fn mpps(self) -> f64 {
        self.packets as f64 / self.cpu.as_secs_f64().max(1e-9) / 1e6
    }
}
