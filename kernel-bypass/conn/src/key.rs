//! What a connection is found by.

use std::net::{IpAddr, Ipv6Addr};

/// 64-bit words of a key.
pub(crate) const KEY_WORDS: usize = 5;
/// The one that has the ports and what else is no address; the others are the addresses in their order.
/// It is the second one, so that all of an IPv4 key is sixteen bytes beside each other.
pub(crate) const PORTS: usize = 1;

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// A connection: client to virtual service, or (reply key) real server to what it sees as
    /// the client.
    Connection = 0,
    /// A datagram in fragments: source, destination, protocol and the identification split over
    /// the port fields.
    Fragment = 1,
    /// A client's real server: masked client as source, service number as destination port.
    Persistence = 2,
}

/// The exact identity of an entry. IPv4 addresses are mapped (`::ffff:a.b.c.d`), so that one
/// type serves both families. Compared whole: the hash finds, it never decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Key {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
    /// See [`KeyKind`].
    pub kind: KeyKind,
    /// Separates what must not meet although the addresses are equal; 0 where unused.
    pub zone: u16,
}

impl Key {
    /// A connection's key.
    pub const fn connection(
        proto: u8,
        (src, sport): ([u8; 16], u16),
        (dst, dport): ([u8; 16], u16),
    ) -> Self {
        Self { src, dst, sport, dport, proto, kind: KeyKind::Connection, zone: 0 }
    }

    /// The key of packets the other way round.
    pub const fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..*self }
    }

    /// The key as the table holds it: see [`Words`](crate::Words).
    #[inline]
    pub(crate) fn words(&self) -> [u64; KEY_WORDS] {
        let (src, dst) = (halves(&self.src), halves(&self.dst));
        let (sport, dport) = (self.sport.to_be_bytes(), self.dport.to_be_bytes());
        let ports = u64::from(u16::from_le_bytes(sport))
            | u64::from(u16::from_le_bytes(dport)) << 16
            | u64::from(self.proto) << 32
            | (self.kind as u64) << KIND_SHIFT
            | u64::from(self.zone) << 48;
        match is_mapped(src) && is_mapped(dst) {
            true => [src[1] >> 32 | dst[1] >> 32 << 32, ports | IS_V4, 0, 0, 0],
            false => [src[0], ports, src[1], dst[0], dst[1]],
        }
    }

    pub(crate) fn from_words(words: &[u64; KEY_WORDS]) -> Self {
        let ports = words[PORTS];
        let (src, dst) = addresses(words);
        let port = |shift: u32| u16::from_be_bytes(((ports >> shift) as u16).to_le_bytes());
        Self {
            src,
            dst,
            sport: port(0),
            dport: port(16),
            proto: (ports >> 32) as u8,
            kind: KeyKind::of(ports),
            zone: (ports >> 48) as u16,
        }
    }
}

impl KeyKind {
    /// From a key's [`PORTS`] word.
    pub(crate) const fn of(ports: u64) -> Self {
        match ports >> KIND_SHIFT & 0x7f {
            1 => Self::Fragment,
            2 => Self::Persistence,
            _ => Self::Connection,
        }
    }
}

const KIND_SHIFT: u32 = 40;
/// In a key's [`PORTS`] word, whose kind has seven bits: both addresses are IPv4.
pub(crate) const IS_V4: u64 = 1 << 47;
/// What a mapped IPv4 address has in front, as the lower half of its second word.
const MAPPED: u32 = 0xffff_0000;

/// Source and destination.
#[inline]
fn addresses(words: &[u64; KEY_WORDS]) -> ([u8; 16], [u8; 16]) {
    let [first, ports, src_high, dst_low, dst_high] = *words;
    if ports & IS_V4 != 0 {
        let mapped = |address: u64| whole(0, address << 32 | MAPPED as u64);
        return (mapped(first), mapped(first >> 32));
    }
    (whole(first, src_high), whole(dst_low, dst_high))
}

/// Whether an address in two words is IPv4.
#[inline]
pub(crate) const fn is_mapped([low, high]: [u64; 2]) -> bool {
    low == 0 && high as u32 == MAPPED
}

/// An address in two words.
#[inline]
const fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

#[inline]
const fn whole(low: u64, high: u64) -> [u8; 16] {
    ((high as u128) << 64 | low as u128).to_le_bytes()
}

/// An address as keys hold it.
pub fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The address that a key holds.
pub fn unmapped(bytes: &[u8; 16]) -> IpAddr {
    Ipv6Addr::from(*bytes).to_canonical()
}

/// Secrets of the hash. Unknown outside, so that nobody can aim many connections at one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secrets(pub [u64; 6]);

impl Secrets {
    /// Folded multiplication: each part of the key is multiplied by a secret-masked other part,
    /// the 128-bit product folded to 64. The ports' part is folded twice: multiplied once only,
    /// neighbouring ports would hash to equal distances, which for some addresses means to few
    /// buckets. IPv4 has both addresses in one word, so that one multiplication takes in all of it.
    #[inline]
    pub fn hash(&self, words: &[u64; KEY_WORDS]) -> u64 {
        let s = &self.0;
        let [a, ports, b, c, d] = *words;
        if ports & IS_V4 != 0 {
            return fold(fold(a ^ s[0], ports ^ s[1]) ^ s[2], s[3]);
        }
        let source = fold(a ^ s[0], b ^ s[1]);
        let destination = fold(c ^ s[2], d ^ s[3]);
        // The three parts do not wait for each other.
        let rest = fold(ports ^ s[4], s[5]);
        fold(source ^ rest, destination)
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_words() {
        let key = Key {
            src: *b"0123456789abcdef",
            dst: *b"fedcba9876543210",
            sport: 0x1234,
            dport: 0xfedc,
            proto: 17,
            kind: KeyKind::Persistence,
            zone: 0xabcd,
        };
        assert_eq!(Key::from_words(&key.words()), key);
        assert_eq!(key.reversed().reversed(), key);
        assert_ne!(key.reversed(), key);
    }

    #[test]
    fn addresses_survive_mapping() {
        for text in ["10.0.0.1", "2001:db8::1", "::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(unmapped(&mapped(address)), address);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "many hashes and no memory")]
    fn neighbouring_keys_spread_evenly() {
        let secrets = Secrets([3, 0x1234_5678_9abc_def1, 77, 0xfeed, 0x5555_aaaa, 0x9e37_79b9]);
        let secrets = Secrets(secrets.0.map(|s| s.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut counts = [0u32; 64];
        for n in 0..64_000u32 {
            let client = mapped(IpAddr::from((0x0a00_0000 + n / 16).to_be_bytes()));
            let key = Key::connection(6, (client, 1024 + (n % 16) as u16), ([0; 16], 80));
            counts[(secrets.hash(&key.words()) >> 58) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (800..1200).contains(n)), "{counts:?}");
    }

    /// One client's ports, one server's ports, zones: whatever the secrets, no bucket of 1,024
    /// gets far more than its share of 4.
    #[test]
    #[cfg_attr(miri, ignore = "many hashes and no memory")]
    fn neighbouring_ports_spread_evenly() {
        for seed in 1..=400 {
            let secrets = Secrets([1, 2, 3, 4, 5, 6].map(|n: u64| {
                let mixed = fold(seed ^ 0x9e37_79b9_7f4a_7c15, n ^ 0xd134_2543_de82_ef95);
                mixed.wrapping_mul(0x2545_f491_4f6c_dd1d)
            }));
            let v4 = |n| mapped(IpAddr::from([n; 4]));
            let both = [([10; 16], [11; 16]), (v4(10), v4(11))];
            let words = both.map(|(a, b)| Key::connection(6, (a, 0), (b, 0)).words());
            for (words, shift) in words.iter().flat_map(|w| [0, 16, 48].map(|shift| (w, shift))) {
                let mut counts = [0u32; 1024];
                for n in 0..4096 {
                    let mut words = *words;
                    words[PORTS] += n << shift;
                    counts[(secrets.hash(&words) >> 54) as usize] += 1;
                }
                let most = counts.iter().max();
                assert!(most < Some(&24), "seed {seed}, shift {shift}: {most:?}");
            }
        }
    }
}
