//! Packet buffers, allocated once.

use crate::eal::Eal;
use crate::errno::Errno;
use crate::mbuf::Mbuf;
use dpdk_sys as sys;
use nic::Burst;
use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many buffers, and how large.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Buffers in all. Each port holds its receive and transmit descriptors' worth, each thread up to
    /// one and a half caches.
    pub buffers: u32,
    /// Buffers that a thread keeps at hand without asking the pool, at most 512.
    pub cache: u32,
    /// Bytes of a frame that fit without the head room.
    pub frame_room: u16,
}

impl PoolConfig {
    /// Room in front of every received frame: two encapsulation headers fit.
    pub const HEAD_ROOM: usize = sys::RTE_PKTMBUF_HEADROOM as usize;

    /// Memory the pool takes, in MiB, rounded up.
    pub fn memory_mib(&self) -> u32 {
        // The buffer's header, the pool's, and rounding to cache lines.
        const EXTRA: u64 = 128 + 64 + 64;
        let each = u64::from(self.frame_room) + Self::HEAD_ROOM as u64 + EXTRA;
        (u64::from(self.buffers) * each).div_ceil(1 << 20) as u32
    }

    /// For ports with this MTU.
    pub fn for_mtu(buffers: u32, mtu: u16) -> Self {
        // A packet socket's frame is as large as its ring slot, a power of two.
        let frame = (u32::from(mtu) + 128).next_power_of_two().clamp(2048, 32_768);
        Self { buffers, cache: 256, frame_room: frame as u16 }
    }
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Not enough memory, most often.
    #[error("no pool of {buffers} packet buffers of {room} bytes: {errno}")]
    Refused {
        /// Buffers asked for.
        buffers: u32,
        /// Bytes each, with head room.
        room: u32,
        /// DPDK's reason.
        errno: Errno,
    },
}

/// A pool of packet buffers; clones share it. Freed when the last clone and the last port that fills
/// its queues from it are gone; if packets are still out then, it stays, and the environment with it.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    raw: NonNull<sys::rte_mempool>,
    buffers: u32,
    frame_room: u16,
    eal: ManuallyDrop<Eal>,
}

// SAFETY: DPDK's pools are made for use by many threads at once.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Pool {
    /// Allocates all buffers.
    ///
    /// # Errors
    /// When there is not enough memory (huge pages, or what `EalOptions::memory_mib` says).
    pub fn new(eal: &Eal, config: &PoolConfig) -> Result<Self, PoolError> {
        let name = format!("pool{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).expect("digits and letters");
        let room = u32::from(config.frame_room) + sys::RTE_PKTMBUF_HEADROOM;
        let refused = |errno| PoolError::Refused { buffers: config.buffers, room, errno };
        let room_16 = u16::try_from(room).map_err(|_| refused(Errno::INVALID))?;
        // DPDK wants a cache of at most two thirds of the pool.
        let cache = config.cache.min(512).min(config.buffers / 2);
        // SAFETY: EAL is initialised, as `eal` shows; the name is copied.
        let raw = unsafe {
            sys::rte_pktmbuf_pool_create(
                name.as_ptr(),
                config.buffers,
                cache,
                0,
                room_16,
                sys::SHIM_SOCKET_ANY as i32,
            )
        };
        let raw = NonNull::new(raw).ok_or_else(|| refused(Errno::last()))?;
        let eal = ManuallyDrop::new(eal.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                raw,
                buffers: config.buffers,
                frame_room: config.frame_room,
                eal,
            }),
        })
    }

    /// Fills a burst with empty packets, as far as there is room in it. False: none was taken,
    /// because the pool has too few.
    pub fn fill(&self, burst: &mut Burst<Mbuf>) -> bool {
        let room = burst.capacity() - burst.len();
        // SAFETY: the spare part of the array has place for `room` pointers, and a Mbuf is one; on
        // success all are buffers with one reference that the pool has forgotten.
        unsafe {
            let spare = burst.as_mut_ptr().add(burst.len()).cast::<*mut sys::rte_mbuf>();
            if sys::shim_alloc_bulk(self.raw(), spare, room as u32) != 0 {
                return false;
            }
            burst.set_len(burst.len() + room);
        }
        true
    }

    /// Buffers in all.
    pub fn capacity(&self) -> u32 {
        self.inner.buffers
    }

    /// Bytes of a frame that fit into one buffer, without the head room.
    pub fn frame_room(&self) -> u16 {
        self.inner.frame_room
    }

    /// Buffers that nobody holds. Walks all threads' caches: for statistics and tests.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is alive; the count is a sum of racy reads.
        unsafe { sys::rte_mempool_avail_count(self.raw()) }
    }

    pub(crate) fn raw(&self) -> *mut sys::rte_mempool {
        self.inner.raw.as_ptr()
    }
}

impl nic::Pool for Pool {
    type Packet = Mbuf;

    fn alloc(&mut self) -> Option<Mbuf> {
        // SAFETY: the pool is alive.
        let raw = NonNull::new(unsafe { sys::shim_alloc(self.raw()) })?;
        // SAFETY: a fresh buffer with one reference that the pool has forgotten.
        Some(unsafe { Mbuf::from_raw(raw) })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the pool is alive.
        let available = unsafe { sys::rte_mempool_avail_count(self.raw.as_ptr()) };
        if available == self.buffers {
            // SAFETY: every buffer is back, no port uses the pool (each holds a clone), and this is
            // the last clone. The environment goes after it, and is not touched again.
            unsafe {
                sys::rte_mempool_free(self.raw.as_ptr());
                ManuallyDrop::drop(&mut self.eal);
            }
        } else {
            log::warn!(
                "{} packet buffers are still out; their pool stays",
                self.buffers - available
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_has_room_for_the_mtu_and_the_size_of_a_packet_sockets_slot() {
        for (mtu, room) in [(1280, 2048), (1500, 2048), (1920, 2048), (1921, 4096), (9000, 16_384)]
        {
            assert_eq!(PoolConfig::for_mtu(1, mtu).frame_room, room, "{mtu}");
        }
    }

    #[test]
    fn memory_counts_every_buffer() {
        let pool = PoolConfig { buffers: 1 << 20, cache: 0, frame_room: 2048 };
        assert_eq!(pool.memory_mib(), 2048 + 128 + 256);
        assert_eq!(PoolConfig { buffers: 1, ..pool }.memory_mib(), 1);
    }
}
