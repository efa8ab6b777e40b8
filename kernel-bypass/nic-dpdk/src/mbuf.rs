//! A packet buffer of DPDK, owned.

use dpdk_sys as sys;
use std::ptr::NonNull;
use wire::{Packet, RxChecksum};

/// A packet in a buffer from a [`Pool`](crate::Pool). One pointer wide; dropping it gives the buffer
/// back to its pool, sending it gives it to the driver, which does.
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: an Mbuf is the only handle to its buffer, and DPDK lets any thread use or free a buffer.
// It is not Sync: nothing in it is atomic.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `raw` is a buffer with one reference that nobody else will use or free.
    pub(crate) unsafe fn from_raw(raw: NonNull<sys::rte_mbuf>) -> Self {
        Self(raw)
    }

    /// The receive hash that the NIC computed over addresses and ports, if it did.
    #[inline]
    pub fn rss_hash(&self) -> Option<u32> {
        let hashed = self.flags() & sys::SHIM_RX_RSS_HASH != 0;
        hashed.then(|| self.field::<u32>(sys::MBUF_HASH_RSS))
    }

    /// Bytes in front of the frame that [`Packet::prepend`] can take.
    #[inline]
    pub fn head_room(&self) -> usize {
        usize::from(self.data_off())
    }

    /// Bytes behind the frame that [`Packet::set_len`] can take.
    #[inline]
    pub fn tail_room(&self) -> usize {
        usize::from(self.buf_len() - self.data_off() - self.data_len())
    }

    #[inline]
    fn field<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: `offset` is that of a field of this type within the buffer's header, computed by
        // the C compiler; the header is initialised and, by `self`, not being written.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset as usize).cast::<T>().read() }
    }

    #[inline]
    fn set_field<T: Copy>(&mut self, offset: u32, value: T) {
        // SAFETY: as in `field`, and `self` is the buffer's only handle.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset as usize).cast::<T>().write(value) }
    }

    #[inline]
    fn data_off(&self) -> u16 {
        self.field(sys::MBUF_DATA_OFF)
    }

    #[inline]
    fn data_len(&self) -> u16 {
        self.field(sys::MBUF_DATA_LEN)
    }

    #[inline]
    fn buf_len(&self) -> u16 {
        self.field(sys::MBUF_BUF_LEN)
    }

    #[inline]
    fn flags(&self) -> u64 {
        self.field(sys::MBUF_OL_FLAGS)
    }

    #[inline]
    fn data(&self) -> *mut u8 {
        let start: *mut u8 = self.field(sys::MBUF_BUF_ADDR);
        start.wrapping_add(usize::from(self.data_off()))
    }

    /// Sets where the frame starts and how long it is. Of a chain, the first buffer.
    #[inline]
    fn set_bounds(&mut self, data_off: u16, data_len: u16) {
        let rest = self.field::<u32>(sys::MBUF_PKT_LEN) - u32::from(self.data_len());
        self.set_field(sys::MBUF_DATA_OFF, data_off);
        self.set_field(sys::MBUF_DATA_LEN, data_len);
        self.set_field(sys::MBUF_PKT_LEN, rest + u32::from(data_len));
    }
}

impl Packet for Mbuf {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: DPDK keeps data_off + data_len ≤ buf_len, as do the methods here; a pool's memory
        // comes zeroed from the system, so every byte is initialised; `self` borrows it.
        unsafe { std::slice::from_raw_parts(self.data(), usize::from(self.data_len())) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is the buffer's only handle.
        unsafe { std::slice::from_raw_parts_mut(self.data(), usize::from(self.data_len())) }
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> bool {
        let (off, len) = (self.data_off(), self.data_len());
        match u16::try_from(n) {
            // The sum stays below buf_len: what is added to the one is taken from the other.
            Ok(n) if n <= off => self.set_bounds(off - n, len + n),
            _ => return false,
        }
        true
    }

    #[inline]
    fn strip_front(&mut self, n: usize) -> bool {
        let (off, len) = (self.data_off(), self.data_len());
        match u16::try_from(n) {
            Ok(n) if n <= len => self.set_bounds(off + n, len - n),
            _ => return false,
        }
        true
    }

    fn set_len(&mut self, len: usize) -> bool {
        let (off, old) = (self.data_off(), self.data_len());
        match u16::try_from(len) {
            Ok(len) if self.contiguous() && len <= self.buf_len() - off => {
                self.set_bounds(off, len);
                // What an earlier packet left there must not go out.
                if let Some(new) = self.bytes_mut().get_mut(usize::from(old)..) {
                    new.fill(0);
                }
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn rx_checksum(&self) -> RxChecksum {
        checksum_verdict(self.flags())
    }

    #[inline]
    fn contiguous(&self) -> bool {
        self.field::<u16>(sys::MBUF_NB_SEGS) == 1
    }

    // Not where the header says that the frame begins, for that would have to be waited for, but where
    // it nearly always does.
    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let header = self.0.as_ptr().cast::<i8>();
            // SAFETY: SSE is part of x86_64, and a prefetch never faults.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(header);
                _mm_prefetch::<_MM_HINT_T0>(header.wrapping_add(USUAL_START));
            }
        }
    }

    #[inline]
    fn is_plain(&self) -> bool {
        self.field::<u64>(sys::MBUF_NB_SEGS) & PLAIN_MASK == PLAIN
    }
}

/// Where a frame begins, from its buffer's header on, if its driver has left the usual room in front.
const USUAL_START: usize = (sys::MBUF_SIZE + sys::MBUF_HEADROOM) as usize;

/// The number of pieces, the port, and the lower half of the flags lie beside each other, so that
/// one comparison does for what is asked of every packet.
const _: () = assert!(
    cfg!(target_endian = "little")
        && sys::MBUF_OL_FLAGS == sys::MBUF_NB_SEGS + 4
        && CHECKSUM_MASK <= u32::MAX as u64
);
const PLAIN_MASK: u64 = CHECKSUM_MASK << 32 | u16::MAX as u64;
const PLAIN: u64 = CHECKSUM_GOOD << 32 | 1;

const CHECKSUM_MASK: u64 = sys::SHIM_RX_IP_CKSUM_MASK | sys::SHIM_RX_L4_CKSUM_MASK;
const CHECKSUM_GOOD: u64 = sys::SHIM_RX_IP_CKSUM_GOOD | sys::SHIM_RX_L4_CKSUM_GOOD;

/// Good only when the NIC verified both the IPv4 header and the layer 4 sum; for IPv6 frames there is
/// no header sum, NICs then say nothing about it, and software checks what is left.
#[inline]
fn checksum_verdict(flags: u64) -> RxChecksum {
    // What nearly every packet has, by one comparison.
    if flags & CHECKSUM_MASK == CHECKSUM_GOOD {
        return RxChecksum::Good;
    }
    let ip = flags & sys::SHIM_RX_IP_CKSUM_MASK;
    let l4 = flags & sys::SHIM_RX_L4_CKSUM_MASK;
    match ip == sys::SHIM_RX_IP_CKSUM_BAD || l4 == sys::SHIM_RX_L4_CKSUM_BAD {
        true => RxChecksum::Bad,
        false => RxChecksum::Unknown,
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the only handle goes; the pool outlives its buffers (see `Pool`).
        unsafe { sys::shim_free(self.0.as_ptr()) };
    }
}

impl std::fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.data_len())
            .field("head_room", &self.data_off())
            .field("contiguous", &self.contiguous())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nic_must_vouch_for_both_sums() {
        const IP_GOOD: u64 = sys::SHIM_RX_IP_CKSUM_GOOD;
        const IP_BAD: u64 = sys::SHIM_RX_IP_CKSUM_BAD;
        const L4_GOOD: u64 = sys::SHIM_RX_L4_CKSUM_GOOD;
        const L4_BAD: u64 = sys::SHIM_RX_L4_CKSUM_BAD;
        for (flags, verdict) in [
            (0, RxChecksum::Unknown),
            (IP_GOOD, RxChecksum::Unknown),
            (L4_GOOD, RxChecksum::Unknown),
            (IP_GOOD | L4_GOOD, RxChecksum::Good),
            (IP_GOOD | L4_BAD, RxChecksum::Bad),
            (IP_BAD | L4_GOOD, RxChecksum::Bad),
            (IP_BAD, RxChecksum::Bad),
            (IP_GOOD | sys::SHIM_RX_L4_CKSUM_NONE, RxChecksum::Unknown),
        ] {
            assert_eq!(checksum_verdict(flags), verdict, "{flags:#x}");
        }
    }
}
