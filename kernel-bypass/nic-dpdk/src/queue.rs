//! One receive or transmit queue, owned by the thread that polls it.

use crate::handle::Handle;
use crate::mbuf::Mbuf;
use dpdk_sys as sys;
use nic::Burst;
use std::sync::Arc;

/// A receive queue of a started port. The port stays open while it lives.
#[derive(Debug)]
pub struct RxQueue {
    port: u16,
    queue: u16,
    _handle: Arc<Handle>,
}

/// A transmit queue of a started port. The port stays open while it lives.
#[derive(Debug)]
pub struct TxQueue {
    port: u16,
    queue: u16,
    _handle: Arc<Handle>,
}

impl RxQueue {
    /// # Safety
    /// The port is started, has this queue, and nobody else receives from it.
    pub(crate) unsafe fn new(handle: &Arc<Handle>, queue: u16) -> Self {
        Self { port: handle.id, queue, _handle: Arc::clone(handle) }
    }

    /// Its number within the port.
    pub fn index(&self) -> u16 {
        self.queue
    }
}

impl TxQueue {
    /// # Safety
    /// The port is started, has this queue, and nobody else sends to it.
    pub(crate) unsafe fn new(handle: &Arc<Handle>, queue: u16) -> Self {
        Self { port: handle.id, queue, _handle: Arc::clone(handle) }
    }

    /// Its number within the port.
    pub fn index(&self) -> u16 {
        self.queue
    }
}

impl nic::Rx for RxQueue {
    type Packet = Mbuf;

    /// Appends what has arrived, as far as there is room.
    #[inline]
    fn receive(&mut self, into: &mut Burst<Mbuf>) {
        let old = into.len();
        let room = into.capacity() - old;
        // SAFETY: this queue is ours alone (`new`). The spare part of the array has place for `room`
        // pointers and a Mbuf is one; the driver fills the first `got` with buffers that it forgets.
        unsafe {
            let spare = into.as_mut_ptr().add(old).cast::<*mut sys::rte_mbuf>();
            let got = sys::shim_rx_burst(self.port, self.queue, spare, room as u16);
            into.set_len(old + usize::from(got));
        }
    }
}

impl nic::Tx for TxQueue {
    type Packet = Mbuf;

    /// Hands frames to the driver from the front; those that its ring had no place for stay.
    #[inline]
    fn send(&mut self, from: &mut Burst<Mbuf>) {
        let len = from.len();
        if len == 0 {
            return;
        }
        // SAFETY: this queue is ours alone (`new`). The array starts with `len` pointers to buffers;
        // the driver takes the first `sent` over, which are forgotten here, and the rest moves up.
        unsafe {
            let array = from.as_mut_ptr();
            let raw = array.cast::<*mut sys::rte_mbuf>();
            let sent = usize::from(sys::shim_tx_burst(self.port, self.queue, raw, len as u16));
            if sent != 0 && sent != len {
                std::ptr::copy(array.add(sent), array, len - sent);
            }
            from.set_len(len - sent);
        }
    }
}
