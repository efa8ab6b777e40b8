//! Rates as an operator writes them.

use std::fmt;
use std::str::FromStr;
use traffic::Sizes;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// As fast as can be.
    Most,
    /// Packets per second.
    Packets(u64),
    /// Bits per second of wire, gaps counted.
    Bits(u64),
    /// Percent of the line's.
    Percent(f64),
}

/// A rate that cannot be read, or needs to know the line's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No rate.
    #[error(
        "{0:?}: write max, packets per second (1500000, 1.5M), bits per second (10Gbit) or 40%"
    )]
    Unknown(String),
    /// A share of nothing.
    #[error("the port does not say how fast its line is: give --line, for example 10Gbit")]
    Line,
}

impl Rate {
    /// Packets per second of these lengths on a line of so many bits per second; `None`: as many as
    /// can be.
    ///
    /// # Errors
    /// When a share of the line is asked for and the line's rate is not known.
    pub fn packets(self, sizes: &Sizes, line: Option<u64>) -> Result<Option<u64>, RateError> {
        Ok(match self {
            Self::Most => None,
            Self::Packets(packets) => Some(packets),
            Self::Bits(bits) => Some(sizes.frames_per_second(bits).max(1)),
            Self::Percent(share) => {
                let all = sizes.frames_per_second(line.ok_or(RateError::Line)?);
                Some(((all as f64 * share / 100.0) as u64).max(1))
            }
        })
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "max" {
            return Some(Self::Most);
        }
        if let Some(share) = text.strip_suffix('%') {
            let share = share.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 100.0);
            return share.map(Self::Percent);
        }
        match text.strip_suffix("bit") {
            Some(bits) => scaled(bits).map(Self::Bits),
            None => scaled(text).map(Self::Packets),
        }
    }
}

/// A number with k, M or G behind it, at least 1.
fn scaled(text: &str) -> Option<u64> {
    let (digits, scale) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        b'G' => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = digits.parse::<f64>().ok().filter(|_| plain)? * scale;
    (1.0..=1e12).contains(&value).then_some(value as u64)
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text).ok_or_else(|| RateError::Unknown(text.into()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Most => write!(f, "max"),
            Self::Packets(packets) => write!(f, "{packets}"),
            Self::Bits(bits) => write!(f, "{bits}bit"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_become_packets() {
        let sizes: Sizes = "64".parse().unwrap();
        let line = Some(10_000_000_000);
        for (text, packets) in [
            ("max", None),
            ("1500", Some(1500)),
            ("1.5M", Some(1_500_000)),
            ("2k", Some(2000)),
            ("10Gbit", Some(14_880_952)),
            ("672bit", Some(1)),
            ("1bit", Some(1)),
            ("50%", Some(7_440_476)),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.packets(&sizes, line), Ok(packets), "{text}");
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        assert_eq!(Rate::Percent(5.0).packets(&sizes, None), Err(RateError::Line));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in
            ["", "0", "-1", "1e6", "101%", "0%", "x%", "NaN", "inf", "k", "0.5", "5Mbits", "9999G"]
        {
            assert_eq!(text.parse::<Rate>(), Err(RateError::Unknown(text.into())), "{text}");
        }
    }
}
