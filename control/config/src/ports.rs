//! Ports and lists of them.

use crate::finding::Problem;
use crate::net::{clip, decimal};
use std::fmt;
use std::str::FromStr;

/// Most ranges that one list of ports may have.
pub const MAX_PORT_RANGES: usize = 256;

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, not less than `first`.
    pub last: u16,
}

/// The ports of a service: disjoint ranges in the order the operator wrote them, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<PortRange>);

impl PortRange {
    /// The range of one port.
    pub const fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Whether `port` lies in the range.
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether the two ranges have a port in common.
    pub const fn intersects(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for PortRange {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_port(first)?, parse_port(last)?);
        if first > last {
            return Err(Problem::new(
                format!("the range {first}-{last} runs backwards"),
                format!("\"{last}-{first}\""),
            ));
        }
        Ok(Self { first, last })
    }
}

impl Ports {
    /// Every port.
    pub fn all() -> Self {
        Self(vec![PortRange { first: 0, last: u16::MAX }])
    }

    /// The one port of a service that has only one.
    pub fn single(&self) -> Option<u16> {
        match self.0[..] {
            [range] if range.first == range.last => Some(range.first),
            _ => None,
        }
    }

    /// Whether every port is meant.
    pub fn is_all(&self) -> bool {
        self.0.first().is_some_and(|r| r.first == 0 && r.last == u16::MAX)
    }

    /// Whether some range has more than one port.
    pub fn has_range(&self) -> bool {
        self.0.iter().any(|r| r.first != r.last)
    }

    /// The ranges, disjoint, as written.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        for (i, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Ports {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text.trim() == "all" {
            return Ok(Self::all());
        }
        let mut ranges: Vec<PortRange> = Vec::new();
        for part in text.split(',') {
            if ranges.len() == MAX_PORT_RANGES {
                return Err(Problem::new(
                    format!("more than {MAX_PORT_RANGES} entries"),
                    "ranges instead of single ports, or \"all\"",
                ));
            }
            let range: PortRange = part.trim().parse()?;
            if let Some(other) = ranges.iter().find(|other| other.intersects(&range)) {
                return Err(Problem::new(
                    format!("{range} and {other} have ports in common"),
                    "each port once",
                ));
            }
            ranges.push(range);
        }
        Ok(Self(ranges))
    }
}

/// Port numbers start at 1.
pub(crate) fn parse_port(text: &str) -> Result<u16, Problem> {
    let text = text.trim();
    match decimal(text) {
        Some(port @ 1..=65_535) => Ok(port as u16),
        Some(port) => {
            Err(Problem::new(format!("{port} is not a port number"), "a number from 1 to 65535"))
        }
        None => Err(Problem::new(
            format!("\"{}\" is not a port or a range of ports", clip(text)),
            "for example \"80\", \"80,443\", \"5000-5100\" or \"all\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_all_their_forms() {
        for (text, shown) in [
            ("80", "80"),
            ("80,443", "80,443"),
            ("5000-5100", "5000-5100"),
            (" 80, 5000-5100 ", "80,5000-5100"),
            ("all", "all"),
        ] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), shown);
        }
        for bad in ["", "0", "65536", "80-", "90-80", "80,80", "80,70-90", "+80", "http", "80,,81"]
        {
            assert!(bad.parse::<Ports>().is_err(), "{bad}");
        }
        assert!("1-65535".parse::<Ports>().is_ok_and(|p| !p.is_all()));
    }
}
