//! DPDK's environment as a token: who holds an [`Eal`] may make ports and pools.

use crate::errno::Errno;
use crate::{messages, removal};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What the environment is started with.
#[derive(Clone, Debug, Default)]
pub struct EalOptions {
    /// Do without huge pages. Enough for virtual devices, not for NICs.
    pub no_huge: bool,
    /// Memory to reserve, in MiB. Without huge pages all there will be (default 256), otherwise what
    /// is reserved at the start (default: as it is needed).
    pub memory_mib: Option<u32>,
    /// Let DPDK keep its files under /run and huge page files, and take secondary processes.
    pub shared_files: bool,
    /// Let DPDK open its telemetry socket.
    pub telemetry: bool,
    /// Further arguments, passed as they are, each one word: `-d`, `FILE.so`, …
    pub arguments: Vec<String>,
}

/// Why the environment did not start.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// A process has one environment, once.
    #[error("DPDK was already initialised in this process")]
    Twice,
    /// An argument that cannot be passed to C.
    #[error("EAL argument {0:?} holds a NUL byte")]
    Argument(String),
    /// DPDK refused; its own messages under the log target `dpdk` say more.
    #[error("DPDK did not start with {arguments:?}: {errno}")]
    Refused {
        /// What was passed.
        arguments: Vec<String>,
        /// Its reason.
        errno: Errno,
    },
    /// A thread could not be made known to DPDK.
    #[error("thread not registered with DPDK: {0}")]
    Thread(Errno),
}

/// The initialised environment. Cleaned up when the last of this, its clones, pools and ports goes.
#[derive(Clone, Debug)]
pub struct Eal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    virtual_devices: AtomicU32,
    /// What DPDK makes and leaves behind even when it keeps no files: an empty folder.
    folder: Option<PathBuf>,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts DPDK. The calling thread becomes its main thread and keeps its CPU affinity; no other
    /// worker is started, threads register themselves. No device is probed.
    ///
    /// # Errors
    /// When called a second time in this process, or when DPDK refuses (no huge pages, bad argument).
    pub fn init(options: &EalOptions) -> Result<Self, EalError> {
        let words = command_line(options, is_without_iommu(Path::new("/dev/vfio")));
        let owned = words
            .iter()
            .map(|word| CString::new(word.as_str()).map_err(|_| EalError::Argument(word.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::Twice);
        }
        if let Err(errno) = messages::redirect() {
            log::warn!("DPDK's messages go to stderr: {errno}");
        }
        // DPDK keeps pointers into its arguments, so they live on; getopt may reorder the array.
        let mut pointers: Vec<*mut c_char> = owned.into_iter().map(CString::into_raw).collect();
        pointers.push(std::ptr::null_mut());
        let count = pointers.len() as i32 - 1;
        // SAFETY: an argc/argv pair, NULL-terminated, of strings that are never freed.
        if unsafe { dpdk_sys::rte_eal_init(count, pointers.leak().as_mut_ptr()) } < 0 {
            return Err(EalError::Refused { arguments: words, errno: Errno::last() });
        }
        if let Err(errno) = removal::watch() {
            log::warn!("a NIC that is taken out of the machine will not be noticed: {errno}");
        }
        // SAFETY: EAL is initialised; the text is static and NUL-terminated.
        let folder = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
        let folder = PathBuf::from(folder.to_string_lossy().into_owned());
        let inner = Inner {
            virtual_devices: AtomicU32::new(0),
            folder: (!options.shared_files).then_some(folder),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes the calling thread known to DPDK, which gives it a buffer cache of its own and lets it
    /// take part in quiescence. Pin the thread first. Not needed on the thread that called `init`.
    ///
    /// # Errors
    /// When too many threads take part.
    pub fn register_thread(&self) -> Result<Registered, EalError> {
        // SAFETY: EAL is initialised, as `self` shows.
        if unsafe { dpdk_sys::rte_thread_register() } < 0 {
            return Err(EalError::Thread(Errno::last()));
        }
        Ok(Registered { _eal: self.clone(), _here: PhantomData })
    }

    /// The version of the DPDK in use.
    pub fn version(&self) -> String {
        // SAFETY: answers a static NUL-terminated text.
        unsafe { CStr::from_ptr(dpdk_sys::shim_version()) }.to_string_lossy().into_owned()
    }

    /// A number that no virtual device has had yet.
    pub(crate) fn next_virtual_device(&self) -> u32 {
        self.inner.virtual_devices.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the last holder goes: every pool and port holds a clone, so none is left, and a
        // pool whose buffers are still out keeps its clone for ever.
        let result = unsafe { dpdk_sys::rte_eal_cleanup() };
        if let Err(errno) = Errno::check(result) {
            log::warn!("DPDK's clean-up: {errno}");
        }
        // Folders that another process uses are not empty, and stay.
        if let Some(folder) = &self.folder
            && std::fs::remove_dir(folder).is_ok()
            && let Some(parent) = folder.parent()
        {
            let _ = std::fs::remove_dir(parent);
        }
    }
}

/// Shows that this thread is known to DPDK; undone on drop, on the same thread.
#[derive(Debug)]
pub struct Registered {
    _eal: Eal,
    _here: PhantomData<*const ()>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: this thread registered itself and, the guard not being Send, is this thread.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
}

/// An address that no NIC has. Allowing only this one keeps EAL from probing every NIC it may drive:
/// ports are probed one by one, in the order that the operator wrote.
const NOTHING: &str = "0000:00:00.0";

/// Whether the kernel hands NICs out by vfio-pci without an IOMMU, of which `folder` tells. DPDK takes
/// the groups that it makes for them for an IOMMU's, and would choose virtual addresses.
fn is_without_iommu(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("noiommu-"))
}

fn command_line(options: &EalOptions, is_without_iommu: bool) -> Vec<String> {
    let given = |names: &[&str]| {
        options.arguments.iter().any(|word| {
            names.iter().any(|name| {
                word == name
                    || (name.starts_with("--") && word.starts_with(&format!("{name}=")))
                    || (!name.starts_with("--")
                        && word.starts_with(name)
                        && !word.starts_with("--"))
            })
        })
    };
    let mut words = vec!["dataplane".to_owned()];
    if !options.shared_files && !given(&["--in-memory", "--no-shconf", "--file-prefix"]) {
        // DPDK 22.11 refuses the stronger one without huge pages ("--legacy-mem is not compatible").
        words.push(if options.no_huge { "--no-shconf" } else { "--in-memory" }.into());
    }
    if !options.telemetry && !given(&["--no-telemetry", "--telemetry"]) {
        words.push("--no-telemetry".into());
    }
    if options.no_huge && !given(&["--no-huge"]) {
        words.push("--no-huge".into());
    }
    let memory = options.memory_mib.or(options.no_huge.then_some(256));
    if let Some(mib) = memory.filter(|_| !given(&["-m", "--socket-mem"])) {
        words.extend(["-m".into(), mib.to_string()]);
    }
    if !given(&["-a", "--allow", "-b", "--block", "--no-pci"]) {
        words.extend(["-a".into(), NOTHING.into()]);
    }
    // Without huge pages nothing is known of where memory lies, and no such NIC can be driven.
    if is_without_iommu && !options.no_huge && !given(&["--iova-mode"]) {
        words.push("--iova-mode=pa".into());
    }
    if !given(&["-l", "-c", "--lcores"]) {
        words.push(format!("--lcores=0@({})", affinity()));
    }
    words.extend(options.arguments.iter().cloned());
    words
}

/// The CPUs this thread may run on, as DPDK writes them.
fn affinity() -> String {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let cpus: Vec<String> =
        (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).map(|cpu| cpu.to_string()).collect();
    if cpus.is_empty() { "0".into() } else { cpus.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &EalOptions) -> String {
        command_line(options, false).join(" ")
    }

    #[test]
    fn nics_without_an_iommu_are_told_physical_addresses() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vfio"), "").unwrap();
        std::fs::write(folder.path().join("12"), "").unwrap();
        assert!(!is_without_iommu(folder.path()) && !is_without_iommu(Path::new("/nowhere")));
        std::fs::write(folder.path().join("noiommu-0"), "").unwrap();
        assert!(is_without_iommu(folder.path()));
        let line = |no_huge, is_without| {
            let options = EalOptions { no_huge, ..EalOptions::default() };
            command_line(&options, is_without).join(" ")
        };
        assert!(line(false, true).contains("--iova-mode=pa"));
        assert!(
            !line(false, false).contains("--iova-mode") && !line(true, true).contains("--iova")
        );
    }

    #[test]
    fn leaves_no_files_and_probes_nothing_by_itself() {
        let line = words(&EalOptions::default());
        for part in ["--in-memory", "--no-telemetry", "-a 0000:00:00.0", "--lcores=0@("] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("--no-huge"));
    }

    #[test]
    fn what_the_operator_says_wins() {
        let arguments = ["-l", "1", "--allow=0000:01:00.0", "-m512", "-d", "x.so"];
        let line = words(&EalOptions {
            no_huge: true,
            arguments: arguments.map(str::to_owned).to_vec(),
            ..EalOptions::default()
        });
        assert!(!line.contains("--lcores"), "{line}");
        assert!(!line.contains(NOTHING), "{line}");
        assert!(!line.contains("-m 256"), "{line}");
        assert!(line.ends_with("-l 1 --allow=0000:01:00.0 -m512 -d x.so"), "{line}");
    }
}
