//! How long frames are. Lengths are Ethernet's, with the four bytes of the check sequence, as RFC 2544
//! section 9 counts them; in a buffer a frame is four bytes shorter.

use std::fmt;
use std::str::FromStr;

/// The frame check sequence, which is in the length and not in the buffer.
pub const FCS: u16 = 4;
/// What a frame takes on the wire beside its length: preamble, start and the least gap.
pub const GAP: u32 = 20;
/// The least frame of Ethernet.
pub const LEAST: u16 = 64;
/// The longest frame that is made.
pub const MOST: u16 = 9216;

/// A pattern of lengths that repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    text: String,
    cycle: Vec<u16>,
}

/// Lengths that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}: write a length from {LEAST} to {MOST}, imix, or LENGTH:WEIGHT,… with at most 1000 in all"
)]
pub struct SizesError(String);

/// The simple IMIX: seven small, four middle, one large.
const IMIX: &str = "64:7,594:4,1518:1";
/// Weights in all, at most.
const MOST_WEIGHT: usize = 1000;

impl Sizes {
    /// One length, brought within the bounds.
    pub fn fixed(size: u16) -> Self {
        let size = size.clamp(LEAST, MOST);
        Self { text: size.to_string(), cycle: vec![size] }
    }

    /// The length of frame number `n`. The second pass over the flows begins elsewhere in the pattern,
    /// so that no flow keeps one length.
    pub fn nth(&self, n: u64, flows: u64) -> u16 {
        let step = n.wrapping_add(n / flows.max(1));
        self.cycle[(step % self.cycle.len() as u64) as usize]
    }

    /// The shortest of them.
    pub fn least(&self) -> u16 {
        self.cycle.iter().copied().min().unwrap_or(LEAST)
    }

    /// The longest of them.
    pub fn most(&self) -> u16 {
        self.cycle.iter().copied().max().unwrap_or(LEAST)
    }

    /// Frames per second that fill `bits` per second of wire, gaps and preambles counted (RFC 2544
    /// section 20 and appendix B).
    pub fn frames_per_second(&self, bits: u64) -> u64 {
        let all: u64 = self.cycle.iter().map(|&size| u64::from(size) + u64::from(GAP)).sum();
        (u128::from(bits) * self.cycle.len() as u128 / (u128::from(all) * 8)) as u64
    }

    /// Bits per second of wire that this many frames per second take.
    pub fn bits_per_second(&self, frames: f64) -> f64 {
        let all: u64 = self.cycle.iter().map(|&size| u64::from(size) + u64::from(GAP)).sum();
        frames * all as f64 * 8.0 / self.cycle.len() as f64
    }

    fn parse(text: &str) -> Option<Vec<u16>> {
        let mut parts = Vec::new();
        for part in text.split(',') {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            let size = size.parse().ok().filter(|size| (LEAST..=MOST).contains(size))?;
            let weight = weight.parse().ok().filter(|weight| (1..=MOST_WEIGHT).contains(weight))?;
            parts.push((size, weight));
        }
        let total = parts.iter().map(|(_, weight)| weight).sum::<usize>();
        (total <= MOST_WEIGHT).then(|| spread(&parts, total))
    }
}

/// Each length as evenly over the cycle as its weight allows: the one that is furthest behind comes next.
fn spread(parts: &[(u16, usize)], total: usize) -> Vec<u16> {
    let mut used = vec![0usize; parts.len()];
    let mut cycle = Vec::with_capacity(total);
    for place in 1..=total {
        let behind = |&at: &usize| (place * parts[at].1) as i64 - (used[at] * total) as i64;
        let Some(next) = (0..parts.len()).max_by_key(behind) else { break };
        used[next] += 1;
        cycle.push(parts[next].0);
    }
    cycle
}

impl FromStr for Sizes {
    type Err = SizesError;

    fn from_str(text: &str) -> Result<Self, SizesError> {
        let meant = if text == "imix" { IMIX } else { text };
        let cycle = Self::parse(meant).ok_or_else(|| SizesError(text.into()))?;
        Ok(Self { text: text.into(), cycle })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Sizes {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_mix_has_its_weights_in_every_cycle() {
        let imix = sizes("imix");
        let count = |size| (0..12).filter(|&n| imix.nth(n, u64::MAX) == size).count();
        assert_eq!([64, 594, 1518].map(count), [7, 4, 1]);
        assert_eq!((imix.least(), imix.most()), (64, 1518));
        let run = (0..24).map(|n| imix.nth(n, u64::MAX)).collect::<Vec<_>>();
        assert!(!run.windows(3).any(|three| three == [594; 3]), "spread, not in blocks: {run:?}");
    }

    #[test]
    fn no_flow_keeps_its_length() {
        let mix = sizes("64:1,128:1");
        let of_flow_zero: Vec<_> = (0..4).map(|pass| mix.nth(pass * 10, 10)).collect();
        assert!(of_flow_zero.contains(&64) && of_flow_zero.contains(&128));
    }

    /// The figures that everybody knows: 14.88 million smallest frames on 10 Gbit/s.
    #[test]
    fn line_rate_counts_the_gaps() {
        for (size, at_10g) in [("64", 14_880_952), ("512", 2_349_624), ("1518", 812_743)] {
            assert_eq!(sizes(size).frames_per_second(10_000_000_000), at_10g);
        }
        let bits = sizes("64").bits_per_second(14_880_952.38);
        assert!((bits / 1e10 - 1.0).abs() < 1e-6, "{bits}");
        assert_eq!(sizes("imix").frames_per_second(10_000_000_000), 3_273_679);
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["", "63", "9217", "64:0", "64:", "64,,65", "64:999,65:2", "mix"] {
            assert_eq!(text.parse::<Sizes>(), Err(SizesError(text.into())));
        }
        assert_eq!(sizes("64:999,65:1").nth(0, 1), 64);
        assert_eq!(Sizes::fixed(1), sizes("64"));
    }
}
