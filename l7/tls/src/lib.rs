#![forbid(unsafe_code)]
//! Certificates and TLS configurations of layer 7. No sockets; the clock is given.
//!
//! | module | noun |
//! |---|---|
//! | [`mod@import`] | files of an operator (PEM, DER, PFX) in, a [`Certificate`] with notes or a [`Refusal`] out |
//! | [`certificate`] | a chain with its key, and what there is to say of it |
//! | [`request`] | new keys: signing requests, and certificates that sign themselves |
//! | [`chooser`] | which certificate a client gets, by name and by what it can verify; swapped while it runs |
//! | [`mode`] | versions, cipher suites and groups |
//! | [`server`] | what faces clients: rustls `ServerConfig` |
//! | [`ticket`] | session tickets whose keys roll, and outlive the process if wanted |
//! | [`trust`] | authorities and revocation lists |
//! | [`client`] | what faces real servers: rustls `ClientConfig` |

pub mod certificate;
pub mod chooser;
pub mod client;
pub mod import;
pub mod mode;
pub mod name;
pub mod request;
pub mod server;
pub mod ticket;
pub mod trust;

mod chain;
mod key;
mod pem_file;
mod pfx;
mod refusal;

pub use certificate::{Certificate, Details, Fingerprint, KeyKind};
pub use chooser::Chooser;
pub use import::{File, Imported, Note, import};
pub use refusal::{Reason, Refusal};
