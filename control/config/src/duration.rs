//! Durations with a unit: `500ms`, `2s`, `15m`, `1h`, `7d`.

use crate::finding::Problem;
use crate::net::{clip, decimal};
use std::time::Duration;

const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Longest duration that means anything here: a year.
const LONGEST_MS: u64 = 365 * 86_400_000;

/// A number and its unit, nothing else.
pub(crate) fn parse(text: &str) -> Result<Duration, Problem> {
    const WANTED: &str = "a number and one of the units ms, s, m, h, d, such as \"5s\" or \"15m\"";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let Some(number) = decimal(number) else {
        return Err(Problem::new(format!("\"{}\" is not a duration", clip(text)), WANTED));
    };
    let Some((_, milliseconds)) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()) else {
        let what = if unit.is_empty() {
            format!("\"{number}\" has no unit")
        } else {
            format!("\"{}\" is not a unit of time", clip(unit))
        };
        return Err(Problem::new(what, WANTED));
    };
    match number.checked_mul(*milliseconds).filter(|&ms| ms <= LONGEST_MS) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => {
            Err(Problem::new(format!("{} is more than a year", clip(text)), "at most \"365d\""))
        }
    }
}

/// As the file would have it, in the largest unit that is exact.
pub(crate) fn show(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let exact = UNITS.iter().rev().find(|(_, unit)| ms > 0 && ms.is_multiple_of(*unit));
    match exact {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => "0s".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("2s", 2_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(ms), "{text}");
            assert_eq!(show(parse(text).unwrap()), text);
        }
        for bad in ["", "s", "5", "5 fortnights", "-5s", "1.5s", "99999999999999999999s", "366d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
