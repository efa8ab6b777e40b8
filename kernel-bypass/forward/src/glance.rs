//! The first two stages of the short way: what is a packet, and where may its connection be?

use crate::state;
use conn::{Finder, Hint, Words};
use nic::{BURST, Burst};
use wire::{
    Packet, RxChecksum, TcpFlags, mac,
    short::{self, Traits, Tuple},
};

/// A recognised packet, between the stages of a burst: a cache line.
#[derive(Clone, Copy)]
pub(crate) struct Glance {
    pub words: Words,
    pub hash: u64,
    pub traits: Traits,
}

/// What the first stage found out about a burst. Kept from burst to burst, so that room for it is
/// not made anew.
pub(crate) struct Glances {
    each: [Glance; BURST],
    /// Which of them were recognised, as bits.
    common: u32,
    /// Which of those ask for a new connection.
    asking: u32,
    /// There is IPv6 among them.
    any_v6: bool,
}

/// What the first stage has gone through.
struct Seen {
    /// Packets that were recognised before the first one that was not.
    front: usize,
    /// The length of frames.
    bytes: usize,
    /// What any of the recognised has.
    traits: Traits,
}

const _: () = assert!(BURST <= u32::BITS as usize);

impl Glances {
    pub fn new() -> Self {
        let none = Glance { words: Words::NONE, hash: 0, traits: Traits::NONE };
        Self { each: [none; BURST], common: 0, asking: 0, any_v6: false }
    }

    /// First stage: recognises packets to this station. Returns the length of all frames.
    // Each stage is a function of its own, so that it has the registers for itself; and so is the loop
    // of each family, and of what virtual NICs receive, which look at no checksums.
    #[inline(never)]
    pub fn look<P: Packet>(&mut self, burst: &Burst<P>, own: mac::Word, finder: &Finder) -> usize {
        let recognise = |packet: &P, glance: &mut Glance| recognise_v4(packet, own, finder, glance);
        let mut seen = self.look_at_front(burst, recognise);
        if seen.front == 0 {
            seen = self.look_for_unverified(burst, own, finder);
        }
        if seen.front == 0 {
            seen = self.look_for_v6(burst, own, finder);
        }
        (self.common, self.asking) = (low_bits(seen.front), 0);
        if seen.front != burst.len() {
            self.look_at_rest(burst, &mut seen, own, finder);
        }
        self.any_v6 = seen.traits.is_v6();
        if seen.traits.tcp_flags().contains(TcpFlags::SYN) {
            self.look_for_askers(finder);
        }
        seen.bytes
    }

    #[inline(never)]
    fn look_for_unverified<P: Packet>(
        &mut self,
        burst: &Burst<P>,
        own: mac::Word,
        finder: &Finder,
    ) -> Seen {
        self.look_at_front(burst, |packet, glance| {
            recognise_unverified(packet, own, finder, glance)
        })
    }

    #[inline(never)]
    fn look_for_v6<P: Packet>(
        &mut self,
        burst: &Burst<P>,
        own: mac::Word,
        finder: &Finder,
    ) -> Seen {
        self.look_at_front(burst, |packet, glance| recognise_v6(packet, own, finder, glance))
    }

    /// Up to the first packet that is not recognised.
    #[inline(always)]
    fn look_at_front<P>(
        &mut self,
        burst: &Burst<P>,
        recognise: impl Fn(&P, &mut Glance) -> bool,
    ) -> Seen
    where
        P: Packet,
    {
        let (mut traits, mut bytes, mut front) = (Traits::NONE, 0, 0);
        for (packet, glance) in burst.iter().zip(&mut self.each) {
            if !recognise(packet, glance) {
                break;
            }
            traits = traits.or(glance.traits);
            bytes += packet.bytes().len();
            front += 1;
        }
        Seen { front, bytes, traits }
    }

    /// From the first one on that is not as those before it.
    // Not called for each packet from the loops above, which then need no register for that.
    #[inline(never)]
    fn look_at_rest<P: Packet>(
        &mut self,
        burst: &Burst<P>,
        seen: &mut Seen,
        own: mac::Word,
        finder: &Finder,
    ) {
        let rest = burst.iter().zip(&mut self.each).enumerate().skip(seen.front);
        for (at, (packet, glance)) in rest {
            seen.bytes += packet.bytes().len();
            if recognise(packet, own, finder, glance) {
                self.common |= 1 << at;
                seen.traits = seen.traits.or(glance.traits);
            }
        }
    }

    /// A new connection's key may come into either bucket, and is in neither.
    // Not in the loop over all, which has enough to keep in registers.
    #[cold]
    #[inline(never)]
    fn look_for_askers(&mut self, finder: &Finder) {
        for (at, glance) in self.each.iter().enumerate() {
            if self.is_common(at) && glance.asks() {
                finder.prefetch_second(glance.hash);
                self.asking |= 1 << at;
            }
        }
    }

    /// Second stage: where their connections may be. What was not recognised gets a hint, too, from
    /// an earlier burst's hash, which nobody follows. Asks the memory for the next burst meanwhile.
    // Few requests to the memory can be under way at once: beside each other, they would wait.
    #[inline(never)]
    pub fn hints<'t, P: Packet>(&self, finder: &Finder<'t>, hints: &mut [Hint<'t>], next: &[P]) {
        let (beside, rest) = next.split_at(hints.len().min(next.len()));
        let hashes = self.each.iter().enumerate().map(|(at, glance)| {
            if let Some(packet) = beside.get(at) {
                packet.prefetch();
            }
            glance.hash
        });
        finder.hints(hashes, hints, self.any_v6);
        rest.iter().for_each(P::prefetch);
    }

    /// Those that ask for a new connection, as bits.
    pub const fn asking(&self) -> u32 {
        self.asking
    }

    /// What was recognised at each place of the burst.
    pub const fn each(&self) -> &[Glance; BURST] {
        &self.each
    }

    /// Whether anything was recognised at this place.
    pub const fn is_common(&self, at: usize) -> bool {
        self.common >> at & 1 == 1
    }

    /// How many were recognised.
    pub const fn common(&self) -> usize {
        self.common.count_ones() as usize
    }

    /// How many were, of those at the front.
    pub const fn common_in_front(&self) -> usize {
        self.common.trailing_ones() as usize
    }
}

/// Whether the packet is a common one to this station; if so, `glance` becomes what it is.
fn recognise(packet: &impl Packet, own: mac::Word, finder: &Finder, glance: &mut Glance) -> bool {
    recognise_v4(packet, own, finder, glance)
        || recognise_v6(packet, own, finder, glance)
        || recognise_unverified(packet, own, finder, glance)
}

/// The same of IPv4 alone, and only if the NIC has found the checksums right.
#[inline(always)]
fn recognise_v4(
    packet: &impl Packet,
    own: mac::Word,
    finder: &Finder,
    glance: &mut Glance,
) -> bool {
    if packet.is_plain()
        && let Some(t) = short::v4(packet.bytes(), own, true)
    {
        glance.become_v4(&t, finder);
        return true;
    }
    false
}

/// The same of IPv6, whose header has no checksum.
#[inline(always)]
fn recognise_v6(
    packet: &impl Packet,
    own: mac::Word,
    finder: &Finder,
    glance: &mut Glance,
) -> bool {
    if packet.rx_checksum() == RxChecksum::Bad || !packet.contiguous() {
        return false;
    }
    let Some(t) = short::v6(packet.bytes(), own) else { return false };
    glance.words.set_v6(&t.addresses, t.ports);
    // Not on the wire, and in our keys they mean IPv4.
    if glance.words.any_v4() {
        return false;
    }
    glance.hash = finder.hash(&glance.words);
    glance.traits = t.traits;
    true
}

/// The same of IPv4 of which the NIC says nothing.
#[inline(always)]
fn recognise_unverified(
    packet: &impl Packet,
    own: mac::Word,
    finder: &Finder,
    glance: &mut Glance,
) -> bool {
    if packet.rx_checksum() != RxChecksum::Unknown || !packet.contiguous() {
        return false;
    }
    let Some(t) = short::v4(packet.bytes(), own, false) else { return false };
    glance.become_v4(&t, finder);
    true
}

/// So many bits set.
const fn low_bits(n: usize) -> u32 {
    ((1 << n) - 1_u64) as u32
}

impl Glance {
    #[inline(always)]
    fn become_v4(&mut self, t: &Tuple<8>, finder: &Finder) {
        self.words.set_v4(t.addresses, t.ports);
        self.hash = finder.hash(&self.words);
        self.traits = t.traits;
    }

    /// Neither opens a connection nor ends one.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        !self.traits.tcp_flags().intersects(TcpFlags::SYN.union(TcpFlags::FIN).union(TcpFlags::RST))
    }

    /// Asks for a new connection.
    #[inline]
    pub const fn asks(&self) -> bool {
        state::asks(self.traits.tcp_flags())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RxChecksum::{Bad, Good, Unknown};
    use conn::{Backing, Handle, Key, Table, TableConfig};
    use wire::{Buffer, Frame, build::Build, parse};

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// A frame, and what the NIC says of it.
    #[derive(Clone)]
    struct Said(Buffer, RxChecksum);

    impl Packet for Said {
        fn bytes(&self) -> &[u8] {
            self.0.bytes()
        }

        fn bytes_mut(&mut self) -> &mut [u8] {
            self.0.bytes_mut()
        }

        fn prepend(&mut self, n: usize) -> bool {
            self.0.prepend(n)
        }

        fn strip_front(&mut self, n: usize) -> bool {
            self.0.strip_front(n)
        }

        fn set_len(&mut self, len: usize) -> bool {
            self.0.set_len(len)
        }

        fn rx_checksum(&self) -> RxChecksum {
            self.1
        }

        fn contiguous(&self) -> bool {
            self.0.contiguous()
        }
    }

    /// Every kind of frame with everything a NIC may say, and whether it is a common one.
    fn kinds() -> Vec<(Said, bool)> {
        let v4 = |to| {
            Build::new([10, 0, 0, 1].into(), [10, 9, 0, 100].into()).macs(to, [2, 0, 0, 0, 0, 2])
        };
        let v6 = Build::new([0xfd09; 8].into(), [0xfd10; 8].into()).macs(OWN, [2; 6]);
        let right = v4(OWN).udp(1000, 53, b"query");
        let mut wrong = right.clone();
        wrong.bytes_mut()[24] ^= 1;
        let syn = v4(OWN).tcp((1001, 80), TcpFlags::SYN, (1, 2), b"");
        let foreign = v4([6; 6]).udp(1000, 53, b"query");
        [
            (right, [true, true, false]),
            (syn, [true, true, false]),
            (wrong, [true, false, false]),
            (foreign, [false; 3]),
            (v6.udp(1002, 53, b"query"), [true, true, false]),
        ]
        .into_iter()
        .flat_map(|(frame, common)| {
            [Good, Unknown, Bad]
                .into_iter()
                .zip(common)
                .map(move |(says, common)| (Said(frame.clone(), says), common))
        })
        .collect()
    }

    fn assert_seen(glances: &mut Glances, table: &Handle, burst: &[(&Said, bool)]) {
        let packets: Burst<Said> = burst.iter().map(|(packet, _)| (*packet).clone()).collect();
        let bytes = glances.look(&packets, mac::Word::new(OWN), &table.finder());
        assert_eq!(bytes, packets.iter().map(|packet| packet.bytes().len()).sum::<usize>());
        for (at, (Said(frame, says), common)) in burst.iter().enumerate() {
            let what = format!("packet {at}, {says:?}: {:x?}", frame.bytes());
            assert_eq!(glances.is_common(at), *common, "{what}");
            let Ok(Frame::Ip(parsed)) = parse(frame.bytes()) else { continue };
            let asks = parsed.tcp_flags == TcpFlags::SYN && *common;
            assert_eq!(glances.asking() >> at & 1 == 1, asks, "{what}");
            if !common {
                continue;
            }
            let ends = ((parsed.src, parsed.sport), (parsed.dst, parsed.dport));
            let glance = &glances.each()[at];
            let key = Key::connection(parsed.proto, ends.0, ends.1);
            assert_eq!((glance.words.key(), glance.hash), (key, table.hash(&key)), "{what}");
            assert_eq!(glance.traits.l3_len(), parsed.l3_len, "{what}");
        }
    }

    /// Whatever comes beside whatever, first or last.
    #[test]
    fn each_packet_is_what_it_is_whichever_its_neighbours_are() {
        let config = TableConfig { units: 4096, backends: 1, participants: 1 };
        let table = Table::open(&config, Backing::Heap).unwrap().table.handle().unwrap();
        let (kinds, mut glances) = (kinds(), Glances::new());
        assert_eq!(kinds.iter().filter(|(_, common)| *common).count(), 7);
        let kinds = || kinds.iter().map(|(packet, common)| (packet, *common));
        for (a, b) in kinds().flat_map(|a| kinds().map(move |b| (a, b))) {
            for c in kinds() {
                assert_seen(&mut glances, &table, &[a, b, c]);
            }
            assert_seen(&mut glances, &table, &[b; BURST]);
            assert_seen(&mut glances, &table, &[a]);
        }
    }
}
