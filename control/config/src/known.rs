//! Certificates that are there, for whoever wants the file held against them.

use std::collections::BTreeMap;

/// What there is, by the name that the file would speak of it.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<String, What>);

/// What there is under a name.
#[derive(Clone, Debug)]
pub enum What {
    /// A certificate with its key.
    Certificate(KnownCertificate),
    /// Authorities.
    Authorities,
    /// A key whose certificate is not there yet.
    Waiting,
}

/// What matters of a certificate here.
#[derive(Clone, Debug)]
pub struct KnownCertificate {
    /// Whether it names any host.
    pub has_names: bool,
    /// What clients will notice of it: that it has expired, and the like.
    pub warnings: Vec<String>,
}

impl Known {
    pub(crate) fn get(&self, name: &str) -> Option<&What> {
        self.0.get(name)
    }
}

impl FromIterator<(String, What)> for Known {
    fn from_iter<T: IntoIterator<Item = (String, What)>>(all: T) -> Self {
        Self(all.into_iter().collect())
    }
}
