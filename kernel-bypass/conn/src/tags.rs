//! Which cells of a bucket have a hash's tag. Unsafe, since to the compiler vectors are no atomics.

use crate::layout::{Bucket, CELLS, Cell, Place};
use crate::order::CELL_READ;
#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
use crate::sync::Relaxed;

/// The cells of a bucket that have the hash's tag, as bits. Only a hint: whoever follows it loads
/// the cell again, with the ordering that a cell needs.
#[inline]
pub(crate) fn matching(bucket: &Bucket, hash: u64) -> u32 {
    equal::<UPPER_HALVES>(bucket, hash as u32) & 0xff
}

/// How the first cell that has a hash's tag is found, chosen once for a burst.
pub(crate) trait Tags: Copy {
    /// Where this cell leads at that moment; nowhere, if there is none.
    fn first(self, bucket: &Bucket, hash: u64) -> Place;
}

/// By what every processor has.
#[derive(Clone, Copy)]
pub(crate) struct Narrow;

/// By AVX-512: a bucket at once. There is one only where the processor has that.
#[derive(Clone, Copy)]
pub(crate) struct Wide(());

impl Tags for Narrow {
    #[inline(always)]
    fn first(self, bucket: &Bucket, hash: u64) -> Place {
        let matching = equal::<UPPER_HALVES>(bucket, hash as u32);
        if matching == 0 {
            return Place::NOWHERE;
        }
        Cell(bucket.cells[matching.trailing_zeros() as usize % CELLS].load(CELL_READ)).place()
    }
}

impl Wide {
    /// If the processor has it.
    #[inline]
    pub fn new() -> Option<Self> {
        #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
        {
            std::is_x86_feature_detected!("avx512f").then_some(Self(()))
        }
        #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
        None
    }
}

impl Tags for Wide {
    #[inline(always)]
    fn first(self, bucket: &Bucket, hash: u64) -> Place {
        #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
        {
            let bucket = std::ptr::from_ref(bucket);
            let halves: u32;
            // SAFETY: a `Wide` exists only where the processor has AVX-512, and the system keeps its
            // registers. It writes two of those, which no caller expects to be kept, and of which the
            // compiler knows only if it may use them itself. The first sixteen vectors would have
            // to be cleared again. Of the memory the same is true as in `equal`.
            unsafe {
                std::arch::asm!(
                    "vpbroadcastd zmm16, {tag:e}",
                    "vpcmpeqd k1, zmm16, [{bucket}]",
                    "kmovw {halves:e}, k1",
                    tag = in(reg) hash as u32,
                    bucket = in(reg) bucket,
                    halves = lateout(reg) halves,
                    #[cfg(target_feature = "avx512f")] out("zmm16") _,
                    #[cfg(target_feature = "avx512f")] out("k1") _,
                    options(nostack, readonly, preserves_flags),
                );
            }
            // Every other half is a tag.
            let halves = halves & 0xaaaa;
            if halves == 0 {
                return Place::NOWHERE;
            }
            let place: u32;
            // SAFETY: one of the odd bits up to the fifteenth is set, so that this is the lower half of
            // one of the bucket's cells, which is read as a whole, as in `equal`. On x86 no load
            // comes before an earlier one: what `CELL_READ` asks for.
            unsafe {
                std::arch::asm!(
                    "mov {place:e}, dword ptr [{bucket} + 4 * {tag} - 4]",
                    bucket = in(reg) bucket,
                    tag = in(reg) u64::from(halves.trailing_zeros()),
                    place = lateout(reg) place,
                    options(nostack, readonly, preserves_flags),
                );
            }
            Place(place)
        }
        #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
        Narrow.first(bucket, hash)
    }
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
            let hash = 0x1234_5678 << 32 | tag;
            assert_eq!(matching(&bucket, hash), wanted);
            let first = bucket.cells.get(wanted.trailing_zeros() as usize);
            let first = first.map_or(Place::NOWHERE, |cell| {
                Place(cell.fetch_add(wanted.into(), Relaxed) as u32 + wanted)
            });
            assert_eq!(Narrow.first(&bucket, hash), first);
            if let Some(wide) = Wide::new() {
                assert_eq!(wide.first(&bucket, hash), first);
            }
            assert_eq!(vacant(&bucket), 0);
            for (n, cell) in bucket.cells.iter().enumerate() {
                // A cell whose tag is 0 is not empty.
                cell.store(u64::from(wanted >> n & 1 == 0), Relaxed);
            }
            assert_eq!(vacant(&bucket), wanted);
        }
    }
}
