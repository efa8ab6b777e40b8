//! The memory of a table, handed out as typed slices of atomics. This is the one module with
//! unsafe code: a segment that outlives the process is raw bytes first.

use crate::layout::{Bucket, CELLS, Geometry, HEADER_WORDS, Unit};
#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
use crate::sync::Relaxed;
use crate::sync::{AtomicU32, AtomicU64};

#[cfg(not(loom))]
pub(crate) use real::Memory;

/// Asks the memory for the cache line that holds the start of `value`.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: a prefetch reads nothing into the program and faults on no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = value;
}

/// The same of one of many, whether or not there are as many.
#[inline]
pub(crate) fn prefetch_nth<T>(values: &[T], n: usize) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(n).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = (values, n);
}

/// The cells of a bucket that have the hash's tag, as bits. Only a hint: whoever follows it loads
/// the cell again, with the ordering that a cell needs.
#[inline]
pub(crate) fn matching(bucket: &Bucket, hash: u64) -> u32 {
    equal::<UPPER_HALVES>(bucket, (hash >> 32) as u32) & 0xff
}

/// The first of these cells.
#[inline]
pub(crate) fn first_matching(bucket: &Bucket, hash: u64) -> Option<usize> {
    let matching = equal::<UPPER_HALVES>(bucket, (hash >> 32) as u32);
    (matching != 0).then(|| matching.trailing_zeros() as usize % CELLS)
}

/// The cells of a bucket that are empty, as bits, at this moment.
#[inline]
pub(crate) fn vacant(bucket: &Bucket) -> u32 {
    // No place is 0.
    const LOWER_HALVES: u8 = 0b10_00_10_00;
    equal::<LOWER_HALVES>(bucket, 0) & 0xff
}

const UPPER_HALVES: u8 = 0b11_01_11_01;

/// The cells of which this half is `value`; of four halves in a row, `HALVES` says which, two bits
/// each. Bits above the lower eight repeat these.
#[inline]
fn equal<const HALVES: u8>(bucket: &Bucket, value: u32) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    {
        // Written out, since to the compiler vectors are no atomics. A bucket's line is read in four
        // aligned pieces, of which each cell's half is whole, as x86 has it; a stale one does no harm.
        // About 12 instructions where the loop takes 40, or mispredicts.
        let mask: u32;
        // SAFETY: SSE2 is part of x86_64. The bucket is 64 readable bytes, aligned to 64; nothing is
        // written, and other threads write it only by atomic stores.
        unsafe {
            std::arch::asm!(
                "movd {value}, {wanted:e}",
                "pshufd {value}, {value}, 0",
                "movaps {low}, [{bucket}]",
                "shufps {low}, [{bucket} + 16], {halves}",
                "movaps {high}, [{bucket} + 32]",
                "shufps {high}, [{bucket} + 48], {halves}",
                "pcmpeqd {low}, {value}",
                "pcmpeqd {high}, {value}",
                "packssdw {low}, {high}",
                "packsswb {low}, {low}",
                "pmovmskb {mask:e}, {low}",
                halves = const HALVES,
                wanted = in(reg) value,
                bucket = in(reg) std::ptr::from_ref(bucket),
                value = out(xmm_reg) _,
                low = out(xmm_reg) _,
                high = out(xmm_reg) _,
                mask = lateout(reg) mask,
                options(nostack, readonly, preserves_flags),
            );
        }
        mask
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    {
        let shift = u32::from(HALVES & 1) * 32;
        let halves = bucket.cells.iter().map(|cell| (cell.load(Relaxed) >> shift) as u32);
        halves.enumerate().fold(0, |mask, (n, half)| mask | u32::from(half == value) << n)
    }
}

#[cfg(not(loom))]
mod real {
    use super::*;
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
    use std::fs::File;
    use std::ptr::NonNull;

    const PAGE: usize = 4096;

    /// Where each part begins, in bytes; all multiples of 64.
    #[derive(Clone, Copy)]
    struct Offsets {
        gauges: usize,
        slabs: usize,
        buckets: usize,
        units: usize,
        end: usize,
    }

    impl Offsets {
        fn new(geometry: &Geometry) -> Self {
            let line = |bytes: usize| bytes.next_multiple_of(64);
            let gauges = line(HEADER_WORDS * 8);
            let slabs = gauges + line(geometry.backends as usize * 4);
            // Blocks of buckets are pages.
            let buckets = (slabs + line(geometry.slabs() as usize * 4)).next_multiple_of(PAGE);
            let units = buckets + geometry.buckets as usize * size_of::<Bucket>();
            let end = units + geometry.units as usize * size_of::<Unit>();
            Self { gauges, slabs, buckets, units, end }
        }
    }

    enum Owner {
        Heap(Layout),
        /// The file stays open: its lock keeps a second process away.
        Map {
            _file: File,
            len: usize,
        },
    }

    /// See the module.
    pub(crate) struct Memory {
        base: NonNull<u8>,
        geometry: Geometry,
        offsets: Offsets,
        owner: Owner,
    }

    // SAFETY: the memory is owned by this value alone (or shared with other processes) and is
    // reached only through slices of atomics, which may be used from any thread.
    unsafe impl Send for Memory {}
    // SAFETY: as above; all access is atomic.
    unsafe impl Sync for Memory {}

    impl Memory {
        /// Bytes that a table of this geometry takes.
        pub fn bytes(geometry: &Geometry) -> usize {
            Offsets::new(geometry).end
        }

        /// Zeroed memory of this process alone.
        pub fn heap(geometry: Geometry) -> Self {
            let offsets = Offsets::new(&geometry);
            let layout = Layout::from_size_align(offsets.end, PAGE)
                .expect("a table is smaller than the address space");
            // SAFETY: the layout's size is not zero (the header alone takes 512 bytes).
            let base = unsafe { alloc_zeroed(layout) };
            let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
            Self { base, geometry, offsets, owner: Owner::Heap(layout) }
        }

        /// The whole of a file, which is at least [`Memory::bytes`] long and `len` bytes are
        /// mapped of it.
        pub fn map(geometry: Geometry, file: File, len: usize) -> rustix::io::Result<Self> {
            use rustix::mm::{MapFlags, ProtFlags, mmap};
            let offsets = Offsets::new(&geometry);
            assert!(len >= offsets.end, "the file is shorter than the table");
            let flags = MapFlags::SHARED | MapFlags::POPULATE;
            // SAFETY: a new mapping chosen by the kernel aliases nothing of this process. The
            // file is at least `len` long (the caller made it so) and is locked, so no process
            // of ours shortens it; whatever bytes it holds are valid for atomics.
            let base = unsafe {
                let protection = ProtFlags::READ | ProtFlags::WRITE;
                mmap(std::ptr::null_mut(), len, protection, flags, &file, 0)?
            };
            let base = NonNull::new(base.cast()).expect("mmap does not map address 0");
            Ok(Self { base, geometry, offsets, owner: Owner::Map { _file: file, len } })
        }

        /// The geometry it was made for.
        pub fn geometry(&self) -> &Geometry {
            &self.geometry
        }

        /// Header words.
        #[inline]
        pub fn header(&self) -> &[AtomicU64] {
            self.part(0, HEADER_WORDS)
        }

        /// Connections by backend.
        #[inline]
        pub fn gauges(&self) -> &[AtomicU32] {
            self.part(self.offsets.gauges, self.geometry.backends as usize)
        }

        /// Class by slab.
        #[inline]
        pub fn slabs(&self) -> &[AtomicU32] {
            self.part(self.offsets.slabs, self.geometry.slabs() as usize)
        }

        /// The hash buckets.
        #[inline]
        pub fn buckets(&self) -> &[Bucket] {
            self.part(self.offsets.buckets, self.geometry.buckets as usize)
        }

        /// The entries.
        #[inline]
        pub fn units(&self) -> &[Unit] {
            self.part(self.offsets.units, self.geometry.units as usize)
        }

        #[inline]
        fn part<T: Part>(&self, offset: usize, count: usize) -> &[T] {
            debug_assert!(offset + count * size_of::<T>() <= self.offsets.end);
            // SAFETY: `offset` and `count` come from `Offsets` only, so the range lies within
            // the allocation or mapping, which lives as long as `self`. Offsets are multiples of
            // 64 and the base is aligned to a page, which satisfies
            // every `Part`. The bytes are initialised (zeroed, or a file's), and every bit
            // pattern is valid for atomics. Parts do not overlap, and sharing is by atomics.
            unsafe { std::slice::from_raw_parts(self.base.add(offset).cast().as_ptr(), count) }
        }
    }

    /// Types that consist of atomic integers only: any bytes are a valid value.
    trait Part {}
    impl Part for AtomicU64 {}
    impl Part for AtomicU32 {}
    impl Part for Bucket {}
    impl Part for Unit {}

    impl Drop for Memory {
        fn drop(&mut self) {
            match &self.owner {
                // SAFETY: allocated in `heap` with this very layout, freed once.
                Owner::Heap(layout) => unsafe { dealloc(self.base.as_ptr(), *layout) },
                Owner::Map { len, .. } => {
                    // SAFETY: mapped in `map` with this length; no slice outlives `self`.
                    let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), *len) };
                }
            }
        }
    }
}

/// Under the model checker: the same parts as plain vectors of its atomics.
#[cfg(loom)]
pub(crate) struct Memory {
    geometry: Geometry,
    header: Vec<AtomicU64>,
    gauges: Vec<AtomicU32>,
    slabs: Vec<AtomicU32>,
    buckets: Vec<Bucket>,
    units: Vec<Unit>,
}

#[cfg(loom)]
impl Memory {
    pub fn bytes(_: &Geometry) -> usize {
        0
    }

    pub fn heap(geometry: Geometry) -> Self {
        fn many<T: Default>(n: u32) -> Vec<T> {
            (0..n).map(|_| T::default()).collect()
        }
        Self {
            geometry,
            header: many(HEADER_WORDS as u32),
            gauges: many(geometry.backends),
            slabs: many(geometry.slabs()),
            buckets: many(geometry.buckets),
            units: many(geometry.units),
        }
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub fn header(&self) -> &[AtomicU64] {
        &self.header
    }

    pub fn gauges(&self) -> &[AtomicU32] {
        &self.gauges
    }

    pub fn slabs(&self) -> &[AtomicU32] {
        &self.slabs
    }

    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub fn units(&self) -> &[Unit] {
        &self.units
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn each_cell_has_its_bit() {
        let tag = 0xdead_beef;
        for wanted in 0..=255 {
            let bucket = Bucket::default();
            for (n, cell) in bucket.cells.iter().enumerate() {
                // Elsewhere the tag is in the lower half, or nearly right.
                let [right, wrong] = [tag << 32 | 7, (tag ^ 1 << (n * 4)) << 32 | tag];
                cell.store(if wanted >> n & 1 == 1 { right } else { wrong }, Relaxed);
            }
            assert_eq!(matching(&bucket, tag << 32 | 0x1234_5678), wanted);
            assert_eq!(vacant(&bucket), 0);
            for (n, cell) in bucket.cells.iter().enumerate() {
                // A cell whose tag is 0 is not empty.
                cell.store(u64::from(wanted >> n & 1 == 0), Relaxed);
            }
            assert_eq!(vacant(&bucket), wanted);
        }
    }
}
