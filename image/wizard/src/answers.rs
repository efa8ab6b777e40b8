//! What the operator is asked, as it is kept and as a file may say it in advance.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most bytes of a file with answers.
pub const MAX_ANSWERS_BYTES: usize = 64 << 10;

/// Answers; what nobody has said yet is `None`. Passwords are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Whether this is one of a pair.
    pub ha: Option<bool>,
    /// 1: clients and real servers on one network; 2: one network each.
    pub arms: Option<u8>,
    /// The NIC that faces the clients; the first one without it.
    pub port: Option<String>,
    /// Our address there.
    pub address: Option<IpAddr>,
    /// Length of its prefix.
    pub prefix: Option<u8>,
    /// The NIC that faces the real servers, with two arms; the second one without it.
    pub internal_port: Option<String>,
    /// Our address there.
    pub internal_address: Option<IpAddr>,
    /// Length of its prefix.
    pub internal_prefix: Option<u8>,
    /// The default gateway.
    pub gateway: Option<Maybe>,
    /// The name server.
    pub name_server: Option<Maybe>,
    /// How packets reach the real servers, by the word in the configuration.
    pub mode: Option<String>,
    /// The virtual address.
    pub vip: Option<IpAddr>,
    /// Its ports, as in the configuration.
    pub ports: Option<String>,
    /// Address of the first real server.
    pub real_server: Option<IpAddr>,
}

/// An address, or none on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nothing {
    /// There is none.
    None,
}

/// An address, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Maybe {
    /// There is none.
    Not(Nothing),
    /// This one.
    Address(IpAddr),
}

impl Maybe {
    /// There is none.
    pub const NONE: Self = Self::Not(Nothing::None);

    /// The address, if there is one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Not(_) => None,
        }
    }
}

impl Answers {
    /// Whether clients and real servers have a network each.
    pub fn is_two_armed(&self) -> bool {
        self.arms == Some(2)
    }

    /// As a file, which [`Answers::parse`] reads.
    pub fn to_text(&self) -> String {
        // Plain values under plain keys: there is nothing that could fail.
        toml::to_string(self).unwrap_or_default()
    }

    /// Reads a file of ours, a draft of a wizard that was interrupted. What cannot be read is
    /// nothing said.
    pub fn parse(text: &str) -> Self {
        if text.len() > MAX_ANSWERS_BYTES {
            return Self::default();
        }
        toml::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_back_and_a_damaged_one_is_nothing_said() {
        let answers = Answers {
            ha: Some(false),
            arms: Some(2),
            address: Some("2001:db8::1".parse().unwrap()),
            gateway: Some(Maybe::NONE),
            name_server: Some(Maybe::Address([10, 0, 0, 1].into())),
            ..Answers::default()
        };
        assert_eq!(Answers::parse(&answers.to_text()), answers);
        for damaged in ["ha = 3", "nobody = 1", "\0", &" ".repeat(MAX_ANSWERS_BYTES + 1)] {
            assert_eq!(Answers::parse(damaged), Answers::default());
        }
    }
}
