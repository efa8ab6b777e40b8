//! The memory of a table, handed out as typed slices of atomics. Unsafe, since a segment that
//! outlives the process is raw bytes first.

use crate::layout::{Bucket, Geometry, HEADER_WORDS, Unit};
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
