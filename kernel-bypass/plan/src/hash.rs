//! Mixing functions. None of them is an identity: whoever hashes compares whole keys afterwards
//! or only picks a slot by it.

use crate::Address;
use std::hash::{BuildHasherDefault, Hasher};

/// Maps with keys that only the operator chooses (so that no client can make them collide).
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<MixHasher>>;

/// The same for sets.
pub(crate) type Set<K> = std::collections::HashSet<K, BuildHasherDefault<MixHasher>>;

/// A finaliser whose every output bit depends on every input bit.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hash of an address and one more word under `seed`; the same on every node.
pub(crate) fn address(seed: u64, address: &Address, word: u64) -> u64 {
    let whole = u128::from_be_bytes(*address);
    let high = mix(seed ^ (whole >> 64) as u64);
    mix(mix(high ^ whole as u64) ^ word)
}

/// Scales a hash to `0..n` without a division.
pub(crate) const fn scale(hash: u64, n: usize) -> usize {
    ((hash as u128 * n as u128) >> 64) as usize
}

/// A `Hasher` over [`mix`].
#[derive(Default)]
pub(crate) struct MixHasher(u64);

impl Hasher for MixHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.0 = mix(self.0 ^ u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.0 = mix(self.0 ^ u64::from(value));
    }

    fn write_usize(&mut self, _length_prefix: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
