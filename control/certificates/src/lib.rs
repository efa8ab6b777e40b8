//! The certificates of the appliance: each has a name by which the configuration speaks of it, and
//! a file of its own that holds the private key, for its owner alone.
//!
//! Under one name there is a certificate with its key, or a bundle of authorities without any, and
//! besides, or first of all, a key whose request waits for an authority's answer. What takes long
//! (opening a PFX file, making a key) is prepared without the store: [`Prepared`].
#![forbid(unsafe_code)]

mod error;
mod held;
mod prepared;
mod row;

pub use error::Error;
pub use held::{Content, Held, TrustedAuthorities};
pub use prepared::Prepared;

use row::Row;
use rustls::pki_types::UnixTime;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{Finding, Shelf};
use tls::request::WaitingKey;

/// Most names there may be.
pub const MAX_CERTIFICATES: usize = 1_000;

/// The folder within the state folder.
const FOLDER: &str = "certificates";

/// All of them.
pub struct Certificates {
    shelf: Shelf<Row>,
    held: BTreeMap<String, Held>,
}

impl Certificates {
    /// Reads what is kept in a state folder. What cannot be read is left out, and told of.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub fn open(state_dir: &Path, now: UnixTime) -> Result<(Self, Vec<String>), Error> {
        let (shelf, findings) = Shelf::<Row>::open(&state_dir.join(FOLDER))?;
        let mut told: Vec<String> = findings.iter().map(Finding::to_string).collect();
        let mut held = BTreeMap::new();
        for (name, row) in shelf.iter() {
            match row.read(name, now) {
                Ok(row) => drop(held.insert(name.to_owned(), row)),
                Err(e) => told.push(format!("certificate {name} cannot be used: {e}")),
            }
        }
        Ok((Self { shelf, held }, told))
    }

    /// Keeps what was prepared; what was there under that name goes. A key that waits goes on
    /// waiting, unless this is its certificate.
    ///
    /// # Errors
    /// When there is something of another kind under that name, or it cannot be kept.
    pub fn put(&mut self, name: &str, prepared: &Prepared) -> Result<(), Error> {
        let old = self.held.get(name);
        if let Some(kind) = old.and_then(|old| old.content.as_ref()).map(Content::kind)
            && kind != prepared.content.kind()
        {
            return Err(Error::OtherKind { name: name.to_owned(), kind });
        }
        let waiting = old.and_then(|old| old.waiting.clone()).filter(|_| !prepared.answers);
        let content = Some(prepared.content.clone());
        self.keep(name, Held { number: self.number(name)?, content, waiting })
    }

    /// Keeps a key that waits for its certificate; what serves meanwhile stays.
    ///
    /// # Errors
    /// When there are authorities under that name, or it cannot be kept.
    pub fn wait(&mut self, name: &str, key: WaitingKey) -> Result<(), Error> {
        let content = self.held.get(name).and_then(|held| held.content.clone());
        if let Some(kind @ "authorities") = content.as_ref().map(Content::kind) {
            return Err(Error::OtherKind { name: name.to_owned(), kind });
        }
        let number = self.number(name)?;
        self.keep(name, Held { number, content, waiting: Some(Arc::new(key)) })
    }

    /// Removes all there is under a name, keys included.
    ///
    /// # Errors
    /// When there is nothing, or the disk does not do it.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        if !self.shelf.remove(name)? {
            return Err(Error::Unknown(name.to_owned()));
        }
        self.held.remove(name);
        Ok(())
    }

    /// What there is under a name.
    pub fn get(&self, name: &str) -> Option<&Held> {
        self.held.get(name)
    }

    /// Everything, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.held.iter().map(|(name, held)| (name.as_str(), held))
    }

    fn keep(&mut self, name: &str, held: Held) -> Result<(), Error> {
        self.shelf.set(name, Row::new(&held))?;
        self.held.insert(name.to_owned(), held);
        Ok(())
    }

    /// The number that a name has, or a new one.
    fn number(&self, name: &str) -> Result<u32, Error> {
        if let Some(held) = self.held.get(name) {
            return Ok(held.number);
        }
        if self.held.len() >= MAX_CERTIFICATES {
            return Err(Error::TooMany);
        }
        let taken = |number: &u32| self.held.values().any(|held| held.number == *number);
        (1..=u32::MAX).find(|number| !taken(number)).ok_or(Error::TooMany)
    }
}
