//! From fields to octets (RFC 7541 section 6).

use super::dynamic::Dynamic;
use super::static_table::{STATIC, index_of_name};
use super::{DEFAULT_TABLE, ENTRY_OVERHEAD, Kind, huffman, integer};

const INDEXED: u8 = 0x80;
const WITH_INDEXING: u8 = 0x40;
const RESIZE: u8 = 0x20;
const NEVER_INDEXED: u8 = 0x10;

/// Longer names are written as they are: none that repeats is.
const MAX_NAME: usize = 64;
/// Longer values are not looked for in the table.
const MAX_VALUE: usize = 256;
/// Fields that can be remembered at once; a power of two.
const SLOTS: usize = 128;

/// A field that was written before: its hash, and which entry of the table it became.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u32,
    /// The entry's serial number and one; 0 if it was seen once and is not in the table.
    serial: u32,
}

/// Encodes the field sections of one connection, in the order they are sent.
///
/// A field goes into the table the second time it is sent, so that what differs from message to
/// message does not drive out what repeats. No memory until the first field.
#[derive(Debug)]
pub(crate) struct Encoder {
    table: Dynamic,
    slots: Vec<Slot>,
    /// The least size since the last section, if the size has changed.
    resized: Option<usize>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { table: Dynamic::new(DEFAULT_TABLE as usize), slots: Vec::new(), resized: None }
    }
}

impl Encoder {
    /// The peer allows a table of this size.
    pub(crate) fn resize(&mut self, allowed: u32) {
        let size = allowed.min(DEFAULT_TABLE) as usize;
        if size != self.table.max() {
            self.resized = Some(self.resized.unwrap_or(size).min(size));
            self.table.resize(size);
        }
    }

    /// Begins a section.
    #[inline]
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(least) = self.resized.take() {
            integer::write(RESIZE, 5, least, out);
            if least != self.table.max() {
                integer::write(RESIZE, 5, self.table.max(), out);
            }
        }
    }

    /// Appends `:status`.
    #[inline]
    pub(crate) fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                return self.field(b":status", &[digit(100), digit(10), digit(1)], false, out);
            }
        };
        out.push(INDEXED | index);
    }

    /// Appends `:method`.
    #[inline]
    pub(crate) fn method(&mut self, method: &[u8], out: &mut Vec<u8>) {
        match method {
            b"GET" => out.push(INDEXED | 2),
            b"POST" => out.push(INDEXED | 3),
            _ => self.field(b":method", method, false, out),
        }
    }

    /// Appends `:scheme`.
    #[inline]
    pub(crate) fn scheme(&mut self, scheme: &[u8], out: &mut Vec<u8>) {
        match scheme {
            b"http" => out.push(INDEXED | 6),
            b"https" => out.push(INDEXED | 7),
            _ => self.field(b":scheme", scheme, false, out),
        }
    }

    /// Appends `:path`.
    #[inline]
    pub(crate) fn path(&mut self, path: &[u8], out: &mut Vec<u8>) {
        match path {
            b"/" => out.push(INDEXED | 4),
            _ => self.field(b":path", path, false, out),
        }
    }

    /// Appends one field, its name in lower case. `never`: no hop may keep it in a table.
    #[inline]
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8], never: bool, out: &mut Vec<u8>) {
        if never || name.len() > MAX_NAME || value.len() > MAX_VALUE {
            return self.literal(name, value, never, out);
        }
        let hash = hash(name, value);
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot::default());
        }
        let slot = self.slots[hash as usize % SLOTS];
        if slot.hash != hash {
            self.slots[hash as usize % SLOTS] = Slot { hash, serial: 0 };
            return self.literal(name, value, false, out);
        }
        if slot.serial != 0
            && let back = self.table.inserted().wrapping_sub(slot.serial) as usize
            && let Some((entry, octets)) = self.table.entry(back)
            && octets.split_at(entry.name_len as usize) == (name, value)
        {
            return integer::write(INDEXED, 7, STATIC.len() + 1 + back, out);
        }
        self.insert(hash, name, value, out);
    }

    pub(crate) fn memory(&self) -> usize {
        self.table.memory() + self.slots.capacity() * size_of::<Slot>()
    }

    /// The second time: into the table, and coded, since it is sent once only. Our side of the
    /// table is for finding it again, and so holds the name as it was spelt.
    fn insert(&mut self, hash: u32, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let mut lower = [0; MAX_NAME];
        let lower = lowered(name, &mut lower);
        if matches!(Kind::of(lower), Kind::Secret | Kind::Cookie) {
            return self.literal(name, value, true, out);
        }
        let index = index_of_name(lower);
        if name.len() + value.len() + ENTRY_OVERHEAD > self.table.max() {
            return write_literal(0, 4, index, lower, value, false, out);
        }
        self.table.insert(name, value, Kind::Other, None);
        write_literal(WITH_INDEXING, 6, index, lower, value, true, out);
        self.slots[hash as usize % SLOTS] = Slot { hash, serial: self.table.inserted() };
    }

    fn literal(&self, name: &[u8], value: &[u8], never: bool, out: &mut Vec<u8>) {
        let mut lower = [0; MAX_NAME];
        let name = lowered(name, &mut lower);
        let secret = never || matches!(Kind::of(name), Kind::Secret | Kind::Cookie);
        let pattern = if secret { NEVER_INDEXED } else { 0 };
        write_literal(pattern, 4, index_of_name(name), name, value, false, out);
    }
}

/// The name in lower case, unless it is too long for the space: such a one is lowered when it is
/// written.
fn lowered<'a>(name: &'a [u8], space: &'a mut [u8; MAX_NAME]) -> &'a [u8] {
    let Some(space) = space.get_mut(..name.len()) else { return name };
    space.copy_from_slice(name);
    space.make_ascii_lowercase();
    space
}

fn write_literal(
    pattern: u8,
    bits: u32,
    index: u8,
    name: &[u8],
    value: &[u8],
    coded: bool,
    out: &mut Vec<u8>,
) {
    integer::write(pattern, bits, index.into(), out);
    if index == 0 {
        integer::write(0, 7, name.len(), out);
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    let len = if coded { huffman::encoded_len(value) } else { value.len() };
    if len < value.len() {
        integer::write(0x80, 7, len, out);
        return huffman::encode(value, out);
    }
    integer::write(0, 7, value.len(), out);
    out.extend_from_slice(value);
}

/// Of a name and a value; what collides is told apart by the octets themselves.
#[inline]
fn hash(name: &[u8], value: &[u8]) -> u32 {
    let lens = (name.len() as u64) << 32 | value.len() as u64;
    let hash = absorb(absorb(lens, name), value);
    (hash ^ hash >> 32) as u32
}

/// Eight octets at a time; the last eight again, if they are no whole word.
#[inline]
fn absorb(mut hash: u64, part: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(ODD).rotate_left(29);
    if let (Some(last), words) = (part.last_chunk::<8>(), part.as_chunks::<8>().0) {
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        mix(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (part.first_chunk::<4>(), part.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        mix(u64::from(first) | u64::from(last) << 32);
    } else {
        mix(part.iter().fold(1, |word, &octet| word << 8 | u64::from(octet)));
    }
    hash
}
