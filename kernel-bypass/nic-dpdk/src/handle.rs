//! The port that DPDK numbers, closed when nobody uses it any more.

use crate::eal::Eal;
use crate::errno::Errno;
use crate::pool::Pool;
use crate::removal;
use dpdk_sys as sys;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// DPDK's lists of devices and drivers have no lock of their own: what makes, sets up or removes a
/// port is done by one thread at a time.
static CONTROL: Mutex<()> = Mutex::new(());

/// Held while a control function runs that looks beyond its own port.
pub(crate) fn control() -> MutexGuard<'static, ()> {
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A probed port. Its owner may call every control function; its queues belong to their holders.
#[derive(Debug)]
pub(crate) struct Handle {
    pub id: u16,
    started: bool,
    // Dropped after `drop` below closed the port, in this order.
    pools: Vec<Pool>,
    _eal: Eal,
}

impl Handle {
    /// Probes one device, and finds the one port that it makes.
    pub(crate) fn probe(eal: &Eal, devargs: &str) -> Result<Self, Errno> {
        let devargs = CString::new(devargs).map_err(|_| Errno::INVALID)?;
        let _control = control();
        // SAFETY: EAL is initialised, as `eal` shows; the text is copied.
        Errno::check(unsafe { sys::rte_dev_probe(devargs.as_ptr()) })?;
        let mut iterator = MaybeUninit::<sys::rte_dev_iterator>::zeroed();
        // SAFETY: the iterator is initialised by the first call, which copies the text, and cleaned
        // up by the last unless it ran to its end, which does the same.
        let id = unsafe {
            Errno::check(sys::rte_eth_iterator_init(iterator.as_mut_ptr(), devargs.as_ptr()))?;
            let id = sys::rte_eth_iterator_next(iterator.as_mut_ptr());
            if id != Self::NONE {
                sys::rte_eth_iterator_cleanup(iterator.as_mut_ptr());
            }
            id
        };
        if id == Self::NONE {
            return Err(Errno::NO_DEVICE);
        }
        removal::forget(id);
        Ok(Self { id, started: false, pools: Vec::new(), _eal: eal.clone() })
    }

    /// "No port", as DPDK writes it.
    const NONE: u16 = sys::RTE_MAX_ETHPORTS as u16;

    pub(crate) fn info(&self) -> Result<sys::rte_eth_dev_info, Errno> {
        let mut info = MaybeUninit::<sys::rte_eth_dev_info>::zeroed();
        // SAFETY: the port exists as long as `self`; all zeroes is a value of this C struct.
        unsafe {
            Errno::check(sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr()))?;
            Ok(info.assume_init())
        }
    }

    /// Keeps a pool alive for as long as the port's queues are filled from it.
    pub(crate) fn keep(&mut self, pool: &Pool) {
        self.pools.push(pool.clone());
    }

    pub(crate) fn start(&mut self) -> Result<(), Errno> {
        let _control = control();
        // SAFETY: the port exists as long as `self`.
        Errno::check(unsafe { sys::rte_eth_dev_start(self.id) })?;
        self.started = true;
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _control = control();
        let device = self.info().map(|info| info.device);
        // SAFETY: the port exists, and no queue of it is left (each holds this handle).
        unsafe {
            if self.started {
                sys::rte_eth_dev_stop(self.id);
            }
            sys::rte_eth_dev_close(self.id);
            // Closing gives the port number back; the device (a TAP, a socket) goes with its removal.
            if let Ok(device) = device
                && !device.is_null()
                && sys::rte_dev_remove(device) < 0
            {
                log::debug!("port {}: its device stays until the end", self.id);
            }
        }
    }
}
