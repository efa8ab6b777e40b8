//! What was answered, brought to the state folder: the user, revision 1, the operator's file.

use crate::answers::Answers;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use store::{Kept, Meta, Store, sha256};
use users::{Accounts, Cost, Role, Secret};

/// Answers that may not be complete yet.
const DRAFT: &str = "answers.toml";
/// Revisions are the control process's; these are the names that it knows them by.
const REVISIONS: &str = "config";
const ACCOUNTS: &str = "accounts";
const AGREED: &str = "agreed";
const FILE: &str = "fulcrum.toml";

/// A password, or what is kept of one.
#[derive(Clone)]
pub enum Password {
    /// As somebody chose it.
    Plain(Secret),
    /// PHC string of Argon2id, checked.
    Hash(String),
}

/// The folder of what outlives a reboot, before control has it.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

impl State {
    /// An existing folder.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The operator's file.
    pub fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// Whether there is a configuration.
    pub fn is_configured(&self) -> bool {
        self.file().exists()
    }

    /// Whether somebody may come in at all.
    pub fn has_user(&self) -> bool {
        !self.accounts().value().is_empty()
    }

    /// Whether a password is that of somebody with that name who may do everything.
    pub fn is_administrator(&self, name: &str, password: Secret) -> bool {
        let kept = self.accounts();
        let accounts = kept.value();
        let is_right = accounts.verification(name, password, Cost::STRONG).run();
        is_right && accounts.role(name) == Some(Role::Admin)
    }

    /// The draft of answers.
    pub fn draft(&self) -> Answers {
        Answers::parse(&fs::read_to_string(self.0.join(DRAFT)).unwrap_or_default())
    }

    /// Keeps a draft. It has no secret.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_draft(&self, answers: &Answers) -> Result<()> {
        write(&self.0.join(DRAFT), answers.to_text().as_bytes())
    }

    /// Gives a user a password, who may do everything.
    ///
    /// # Errors
    /// When the password is none, or the disk does not take it.
    pub fn keep_user(&self, name: &str, password: &Password) -> Result<()> {
        let hash = match password {
            Password::Plain(password) => users::hash(password, Cost::STRONG)?,
            Password::Hash(hash) => hash.clone(),
        };
        let mut kept = self.accounts();
        let mut accounts: Accounts = kept.value().clone();
        let now = jiff::Timestamp::now().as_second().try_into().unwrap_or_default();
        match accounts.role(name) {
            Some(_) => accounts.set_password(name, hash, now)?,
            None => accounts.add(name, Role::Admin, hash, now)?,
        }
        kept.set(accounts).context("the first user is not kept")
    }

    /// Keeps a configuration as revision 1 (or the next one), in force, and writes the operator's
    /// file last: that is what the balancer starts by.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_configuration(&self, text: &str, message: &str) -> Result<u64> {
        let (mut store, _) = Store::open(&self.0.join(REVISIONS))?;
        let (author, at) = ("wizard".to_owned(), jiff::Timestamp::now());
        let revision = store.add(text, Meta { author, at, message: message.into() })?;
        store.set_applied(revision.number, None)?;
        let (mut agreed, _) = Kept::open(&self.0.join(AGREED));
        agreed.set(sha256(text.as_bytes()))?;
        write(&self.file(), text.as_bytes())?;
        Ok(revision.number)
    }

    fn accounts(&self) -> Kept<Accounts> {
        Kept::open(&self.0.join(ACCOUNTS)).0
    }
}

/// A file is there as a whole, and on the medium, or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = || path.display().to_string();
    let aside = path.with_extension("partly");
    let mut file = File::create(&aside).with_context(name)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(name)?;
    fs::rename(&aside, path).with_context(name)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse";

    #[test]
    fn what_is_kept_is_what_control_reads() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        assert!(!state.is_configured() && !state.has_user());
        state.keep_user("loadbalancer", &Password::Plain(Secret::new(PASSWORD))).unwrap();
        assert!(!state.is_configured());
        assert!(state.is_administrator("loadbalancer", Secret::new(PASSWORD)));
        assert!(!state.is_administrator("loadbalancer", Secret::new("wrong horse..")));
        assert!(!state.is_administrator("somebody", Secret::new(PASSWORD)));
        assert_eq!(state.keep_configuration("version = 1\n", "why").unwrap(), 1);
        assert!(state.is_configured() && state.has_user());
        let (store, findings) = Store::open(&folder.path().join("config")).unwrap();
        assert!(findings.is_empty());
        assert_eq!(store.current().map(|it| (it.applied, it.confirmed)), Some((1, 1)));
        let (revision, text) = store.get(1).unwrap();
        assert_eq!((revision.author.as_str(), revision.message.as_str()), ("wizard", "why"));
        assert_eq!(fs::read_to_string(state.file()).unwrap(), text);
        let (agreed, _) = Kept::<String>::open(&folder.path().join("agreed"));
        assert_eq!(*agreed.value(), revision.sha256);
        let kept = fs::read_to_string(folder.path().join("accounts")).unwrap();
        assert!(kept.contains("$argon2id$") && !kept.contains(PASSWORD));
    }

    #[test]
    fn a_wizard_that_died_in_between_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        let first = Password::Plain(Secret::new("the first password"));
        state.keep_user("loadbalancer", &first).unwrap();
        let answers = Answers { arms: Some(2), ..Answers::default() };
        state.keep_draft(&answers).unwrap();
        assert_eq!(state.draft(), answers);
        state.keep_user("loadbalancer", &Password::Plain(Secret::new(PASSWORD))).unwrap();
        assert!(state.is_administrator("loadbalancer", Secret::new(PASSWORD)));
        assert!(!state.is_administrator("loadbalancer", Secret::new("the first password")));
        let short = Password::Plain(Secret::new("short"));
        assert!(state.keep_user("loadbalancer", &short).is_err());
    }
}
