//! Versions, cipher suites and groups.
//!
//! | mode | versions | suites | groups | besides |
//! |---|---|---|---|---|
//! | high | 1.2, 1.3 | ECDHE with AES-GCM or ChaCha20-Poly1305 | post-quantum hybrid first | TLS 1.2 needs the extended master secret (RFC 7627) |
//! | compatible | the same | the same | X25519 first | clients without the extended master secret come in (before 2016) |
//! | custom | as said | as said | as said | as said |
//!
//! What compatible cannot do: TLS 1.0 and 1.1, key exchange by RSA or finite-field Diffie-Hellman,
//! CBC, RC4, 3DES. The library does not have them. Clients that know nothing better (Windows 7
//! without updates, Android before 4.4, Java before 8) need a TCP-mode service whose real servers
//! end TLS themselves. In every mode the client's order of suites is followed, because it knows
//! whether it has AES in hardware, unless custom says otherwise. There is no early data (0-RTT):
//! it can be replayed.

use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use std::fmt;
use std::str::FromStr;

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// The safest that clients of the last ten years speak.
    #[default]
    High,
    /// The most clients that can be served.
    Compatible,
    /// As the operator says.
    Custom(Custom),
}

/// What an operator says of versions, suites and groups. Lists are in the order of preference; an
/// empty one stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Custom {
    /// Versions.
    pub versions: Vec<Version>,
    /// Cipher suites of all versions.
    pub suites: Vec<Suite>,
    /// Key exchange groups.
    pub groups: Vec<Group>,
    /// Whether our order of suites counts, not the client's.
    pub own_order: bool,
    /// Whether TLS 1.2 without extended master secret (RFC 7627) is refused.
    pub require_extended_master_secret: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A cipher suite: its place in the list of those there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suite(usize);

/// A key exchange group: its place in the list of those there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Group(usize);

/// IANA's name, OpenSSL's name, the suite.
static SUITES: [(&str, &str, SupportedCipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// IANA's name, NIST's name, the group; in the order of high.
static GROUPS: [(&str, &str, &dyn SupportedKxGroup); 5] = [
    ("X25519MLKEM768", "X25519MLKEM768", kx_group::X25519MLKEM768),
    ("x25519", "X25519", kx_group::X25519),
    ("secp256r1", "P-256", kx_group::SECP256R1),
    ("secp384r1", "P-384", kx_group::SECP384R1),
    ("SecP256r1MLKEM768", "SecP256r1MLKEM768", kx_group::SECP256R1MLKEM768),
];

/// The order of compatible: hybrid last, for those that insist.
const COMPATIBLE_GROUPS: [usize; 5] = [1, 2, 3, 0, 4];

/// A name of a version, suite or group that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} cannot be had: {why}; known are {known}")]
pub struct Unknown {
    /// "cipher suite", "group", "version".
    pub what: &'static str,
    /// As written.
    pub name: String,
    /// What is known of it.
    pub why: &'static str,
    /// Those that there are.
    pub known: String,
}

impl Unknown {
    fn new(what: &'static str, name: &str, why: &'static str, known: &[&str]) -> Self {
        Self { what, name: name.chars().take(100).collect(), why, known: known.join(", ") }
    }
}

impl FromStr for Suite {
    type Err = Unknown;

    /// IANA's name or OpenSSL's.
    fn from_str(name: &str) -> Result<Self, Unknown> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let place = SUITES.iter().position(|(iana, openssl, _)| is(iana) || is(openssl));
        place.map(Self).ok_or_else(|| {
            let known: Vec<&str> = SUITES.iter().map(|(iana, ..)| *iana).collect();
            Unknown::new("cipher suite", name, "only ECDHE with AEAD is offered", &known)
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SUITES[self.0].0)
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Group {
    type Err = Unknown;

    /// IANA's name or NIST's.
    fn from_str(name: &str) -> Result<Self, Unknown> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let place = GROUPS.iter().position(|(iana, nist, _)| is(iana) || is(nist));
        place.map(Self).ok_or_else(|| {
            let known: Vec<&str> = GROUPS.iter().map(|(iana, ..)| *iana).collect();
            Unknown::new("group", name, "the library does not have it", &known)
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(GROUPS[self.0].0)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Version {
    type Err = Unknown;

    /// `1.2`, `TLS 1.2`, `TLSv1.2`.
    fn from_str(name: &str) -> Result<Self, Unknown> {
        let upper = name.to_ascii_uppercase();
        match upper.trim_start_matches("TLS").trim_start_matches(['V', ' ']) {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            "1.0" | "1.1" => {
                Err(Unknown::new("version", name, "withdrawn by RFC 8996", &["1.2", "1.3"]))
            }
            _ => Err(Unknown::new("version", name, "there is none of that name", &["1.2", "1.3"])),
        }
    }
}

impl Mode {
    /// The library with this mode's suites and groups.
    #[must_use]
    pub fn provider(&self) -> CryptoProvider {
        let every = || (0..SUITES.len()).collect();
        let (suites, groups): (Vec<usize>, Vec<usize>) = match self {
            Self::High => (every(), (0..GROUPS.len()).collect()),
            Self::Compatible => (every(), COMPATIBLE_GROUPS.to_vec()),
            Self::Custom(custom) => {
                let suites = custom.suites.iter().map(|suite| suite.0).collect::<Vec<_>>();
                let groups = custom.groups.iter().map(|group| group.0).collect::<Vec<_>>();
                (
                    if suites.is_empty() { every() } else { suites },
                    if groups.is_empty() { COMPATIBLE_GROUPS.to_vec() } else { groups },
                )
            }
        };
        CryptoProvider {
            cipher_suites: suites.into_iter().map(|at| SUITES[at].2).collect(),
            kx_groups: groups.into_iter().map(|at| GROUPS[at].2).collect(),
            ..aws_lc_rs::default_provider()
        }
    }

    /// The versions, the newest first.
    #[must_use]
    pub fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let said = |version| match self {
            Self::Custom(custom) => {
                custom.versions.is_empty() || custom.versions.contains(&version)
            }
            _ => true,
        };
        let newest_first = [(Version::Tls13, &TLS13), (Version::Tls12, &TLS12)];
        newest_first.into_iter().filter(|(version, _)| said(*version)).map(|(_, v)| v).collect()
    }

    /// Whether TLS 1.2 without extended master secret is refused.
    #[must_use]
    pub fn requires_extended_master_secret(&self) -> bool {
        match self {
            Self::High => true,
            Self::Compatible => false,
            Self::Custom(custom) => custom.require_extended_master_secret,
        }
    }

    /// Whether our order of suites counts.
    #[must_use]
    pub fn has_own_order(&self) -> bool {
        matches!(self, Self::Custom(custom) if custom.own_order)
    }
}
