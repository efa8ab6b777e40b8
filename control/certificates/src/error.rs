//! Why something was not done. Each text ends in `; ` and what to do.

use crate::MAX_CERTIFICATES;

/// Why something was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was given is at fault.
    #[error(transparent)]
    Refused(#[from] tls::Refusal),
    /// What a certificate is to say cannot be said.
    #[error("{0}; correct it and try again")]
    Unfit(#[from] tls::request::Unfit),
    /// There is nothing under that name.
    #[error("there is no certificate {0:?}; see the list of certificates")]
    Unknown(String),
    /// A service would lose its certificate for something that is none.
    #[error("under the name {name:?} there is something else ({kind}); choose another name")]
    OtherKind {
        /// The name.
        name: String,
        /// What there is.
        kind: &'static str,
    },
    /// More than are kept.
    #[error("there are {MAX_CERTIFICATES} certificates already; remove some first")]
    TooMany,
    /// The disk.
    #[error(transparent)]
    Disk(#[from] store::Error),
}
