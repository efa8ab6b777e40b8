//! How it is on disk.

use crate::error::Error;
use crate::held::{Content, Held};
use crate::prepared::Prepared;
use rustls::pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tls::File;
use tls::request::WaitingKey;
use zeroize::Zeroizing;

/// One file's value.
#[derive(Serialize, Deserialize)]
pub struct Row {
    number: u32,
    /// Key, certificate and chain, PEM.
    certificate: Option<Zeroizing<String>>,
    /// Authorities and their revocation lists, PEM.
    authorities: Option<String>,
    waiting: Option<Waiting>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    /// PEM.
    key: Zeroizing<String>,
    /// PEM.
    request: String,
}

impl Row {
    pub fn new(held: &Held) -> Self {
        let (certificate, authorities) = match &held.content {
            None => (None, None),
            Some(Content::Certificate { pem, .. }) => (Some((**pem).clone()), None),
            Some(Content::Authorities(those)) => (None, Some(those.pem.to_string())),
        };
        let waiting = held.waiting.as_ref().map(|waiting| Waiting {
            key: Zeroizing::new(waiting.key_pem().to_owned()),
            request: waiting.request_pem().to_owned(),
        });
        Self { number: held.number, certificate, authorities, waiting }
    }

    /// What it says.
    ///
    /// # Errors
    /// When it is not what was once written.
    pub fn read(&self, name: &str, now: UnixTime) -> Result<Held, Error> {
        let content = match (&self.certificate, &self.authorities) {
            (Some(pem), _) => {
                let files = [File { name, bytes: pem.as_bytes() }];
                Some(Prepared::certificate(&files, None, None, now)?.content)
            }
            (None, Some(pem)) => {
                let files = [File { name, bytes: pem.as_bytes() }];
                Some(Prepared::authorities(&files)?.content)
            }
            (None, None) => None,
        };
        let waiting = self.waiting.as_ref().map(|waiting| {
            Arc::new(WaitingKey::kept(waiting.key.clone(), waiting.request.clone()))
        });
        Ok(Held { number: self.number, content, waiting })
    }
}
