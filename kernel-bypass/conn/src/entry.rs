//! One entry of the table, as found.

use crate::key::{KEY_WORDS, Key, KeyKind, PORTS};
use crate::last_hop::LastHop;
use crate::layout::{Class, Form, PACKED_HOP, Status, Unit};
use crate::sync::{AtomicU64, Relaxed};
use crate::words::Words;

/// Time on the packet path: 10 ms units of the monotonic clock, wrapping.
pub type Tick = u32;

/// Ticks in a second.
pub const TICKS_PER_SECOND: u32 = 100;

/// The second key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// There is none: one 64-byte unit.
    None,
    /// The entry is found by it too: the key of the replies.
    Reply(Key),
    /// It is stored (how to translate), but the entry is not found by it.
    Recipe(Key),
}

/// An entry to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New {
    /// What it is found by.
    pub key: Key,
    /// See [`Other`].
    pub other: Other,
    /// The backend; a connection holds one of its gauge, which the caller has acquired.
    pub backend: u32,
    /// The service.
    pub service: u16,
    /// For the caller's use; the lower 12 bits are kept.
    pub flags: u16,
    /// First value of the state word.
    pub state: u32,
    /// Where the client's packets come from; kept only with a second key.
    pub last_hop: LastHop,
    /// Now.
    pub now: Tick,
}

const FLAG_BITS: u64 = 0xfff;
/// Both keys are IPv6's. Entries of a data plane that did not know this bit have it not, and take the long
/// way until they end: no reason to give a predecessor's table up.
const PURE_V6: u64 = 1 << 60;
/// See [`Form::Packed`].
const PACKED: u64 = 1 << 61;
const SHAPE_REPLY: u64 = 1 << 62;
const SHAPE_RECIPE: u64 = 2 << 62;
const SHAPE: u64 = 3 << 62;

impl New {
    /// The immutable word of the first unit.
    pub(crate) fn word(&self, form: Form) -> u64 {
        let shape = match self.other {
            Other::None => 0,
            Other::Reply(_) => SHAPE_REPLY,
            Other::Recipe(_) => SHAPE_RECIPE,
        };
        u64::from(self.backend)
            | u64::from(self.service) << 32
            | (u64::from(self.flags) & FLAG_BITS) << 48
            | if form == Form::Packed { PACKED } else { 0 }
            | if self.is_pure_v6() { PURE_V6 } else { 0 }
            | shape
    }

    /// One of nothing but its keys, for tests.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn plain(key: Key, other: Other) -> Self {
        let last_hop = LastHop::UNKNOWN;
        Self { key, other, backend: 0, service: 0, flags: 0, state: 0, last_hop, now: 0 }
    }

    /// Whether there are two keys, and neither has an IPv4 address.
    fn is_pure_v6(&self) -> bool {
        match &self.other {
            Other::None => false,
            Other::Reply(other) | Other::Recipe(other) => {
                [&self.key, other].iter().all(|key| !Words(key.words()).any_v4())
            }
        }
    }
}

/// A live entry (or one that was live when it was found). It cannot outlive the next quiescent
/// point of the handle that found it.
#[derive(Clone, Copy)]
pub struct Entry<'t> {
    first: &'t Unit,
    second: &'t Unit,
    number: u32,
    word: u64,
}

impl<'t> Entry<'t> {
    #[inline]
    pub(crate) fn new(units: &'t [Unit], number: u32) -> Self {
        let first = &units[number as usize];
        let word = first.recipe.load(Relaxed);
        let is_pair = word & SHAPE != 0 && word & PACKED == 0;
        let second = if is_pair { &units[number as usize | 1] } else { first };
        Self { first, second, number, word }
    }

    /// The same, where both units are at hand (one twice, if only one is used).
    #[inline]
    pub(crate) fn of(first: &'t Unit, second: &'t Unit, number: u32) -> Self {
        Self { first, second, number, word: first.recipe.load(Relaxed) }
    }

    /// The first unit's number: the same entry while it lives.
    #[inline]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The key it was inserted with.
    #[inline]
    pub fn key(&self) -> Key {
        Key::from_words(&self.words())
    }

    /// The second key, whether or not the entry is found by it.
    #[inline]
    pub fn recipe(&self) -> Option<Key> {
        (self.word & SHAPE != 0).then(|| Key::from_words(&self.second_words()))
    }

    /// The second key, if the entry is found by it.
    #[inline]
    pub fn reply(&self) -> Option<Key> {
        self.reply_words().map(|words| Key::from_words(&words))
    }

    /// Whether the entry is found by a second key.
    #[inline]
    pub fn is_two_way(&self) -> bool {
        self.word & SHAPE == SHAPE_REPLY
    }

    /// The same, and both keys are IPv4's, or else both IPv6's.
    #[inline]
    pub(crate) fn is_two_way_of(&self, v4: bool) -> bool {
        let family = if v4 { PACKED } else { PURE_V6 };
        self.word & (SHAPE | PACKED | PURE_V6) == SHAPE_REPLY | family
    }

    /// What it says of the families of its two keys is so. Not, in a damaged file.
    pub(crate) fn is_plausible(&self) -> bool {
        let is_v6 = |words: [u64; KEY_WORDS]| !Words(words).any_v4();
        self.word & PURE_V6 == 0
            || self.is_double() && is_v6(self.words()) && is_v6(self.second_words())
    }

    /// The words of the key it was inserted with; of IPv4, only the first two.
    #[inline]
    pub(crate) fn words(&self) -> [u64; KEY_WORDS] {
        self.first.key_words()
    }

    /// The words of the second key, if the entry is found by it.
    #[inline]
    pub(crate) fn reply_words(&self) -> Option<[u64; KEY_WORDS]> {
        self.is_two_way().then(|| self.second_words())
    }

    /// What it stands for.
    #[inline]
    pub fn kind(&self) -> KeyKind {
        KeyKind::of(self.first.key[PORTS].load(Relaxed))
    }

    /// The backend.
    #[inline]
    pub fn backend(&self) -> u32 {
        self.word as u32
    }

    /// The service.
    #[inline]
    pub fn service(&self) -> u16 {
        (self.word >> 32) as u16
    }

    /// What [`New::flags`] said.
    #[inline]
    pub fn flags(&self) -> u16 {
        ((self.word >> 48) & FLAG_BITS) as u16
    }

    /// The state word.
    #[inline]
    pub fn state(&self) -> u32 {
        self.first.state.load(Relaxed)
    }

    /// Replaces the state word. Of two packets of one connection that two workers have at the same
    /// time, the change by one is lost: as if that packet had been, for the table, which expires its
    /// entries by the state and has nothing else from it.
    // A compare-and-swap would lose one as well, the later one, and costs 20 cycles.
    #[inline]
    pub fn set_state(&self, new: u32) {
        self.first.state.store(new, Relaxed);
    }

    /// Tick of the last packet.
    #[inline]
    pub fn seen(&self) -> Tick {
        self.first.seen.load(Relaxed)
    }

    /// Ticks since the last packet; zero for an entry that another thread touched after this one
    /// had read the clock: ages beyond half the counter's range are not told from the future.
    #[inline]
    pub fn idle(&self, now: Tick) -> Tick {
        let idle = now.wrapping_sub(self.seen());
        if idle > Tick::MAX / 2 { 0 } else { idle }
    }

    /// Notes a packet. Written only when the tick has changed, so that a busy entry's line stays
    /// shared between workers.
    #[inline]
    pub fn touch(&self, now: Tick) {
        if self.first.seen.load(Relaxed) != now {
            self.first.seen.store(now, Relaxed);
        }
    }

    /// Where the client's packets come from; unknown in entries without a second key.
    #[inline]
    pub fn last_hop(&self) -> LastHop {
        if self.word & SHAPE == 0 {
            return LastHop::UNKNOWN;
        }
        LastHop::from_word(self.hop().load(Relaxed))
    }

    /// Notes where the client's packets come from now. Written only when it has changed.
    #[inline]
    pub fn set_last_hop(&self, hop: LastHop) {
        if self.word & SHAPE != 0 && self.hop().load(Relaxed) != hop.word() {
            self.hop().store(hop.word(), Relaxed);
        }
    }

    /// Where the last hop is, of an entry that has one.
    #[inline]
    fn hop(&self) -> &'t AtomicU64 {
        if self.is_packed() { &self.first.key[PACKED_HOP] } else { &self.second.recipe }
    }

    #[inline]
    fn second_words(&self) -> [u64; KEY_WORDS] {
        if !self.is_packed() {
            return self.second.key_words();
        }
        let [addresses, ports] = self.first.packed(true);
        [addresses, ports, 0, 0, 0]
    }

    /// Whether it has not been removed meanwhile.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.first.status.load(Relaxed) == Status::LIVE
    }

    #[inline]
    pub(crate) fn first(&self) -> &'t Unit {
        self.first
    }

    /// The unit of its second key; the first one, if it has none or is packed.
    #[inline]
    pub(crate) fn second(&self) -> &'t Unit {
        self.second
    }

    #[inline]
    pub(crate) fn is_double(&self) -> bool {
        self.word & SHAPE != 0
    }

    #[inline]
    pub(crate) fn is_packed(&self) -> bool {
        self.word & PACKED != 0
    }

    #[inline]
    pub(crate) fn form(&self) -> Form {
        match (self.is_double(), self.is_packed()) {
            (false, _) => Form::Single,
            (true, false) => Form::Pair,
            (true, true) => Form::Packed,
        }
    }

    #[inline]
    pub(crate) fn class(&self) -> Class {
        self.form().class()
    }
}
