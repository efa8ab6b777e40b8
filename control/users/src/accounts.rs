//! Users and their tokens.

use crate::error::Error;
use crate::password::{Cost, Verification};
use crate::role::Role;
use crate::secret::Secret;
use crate::token::{Token, TokenText, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most users.
pub const MAX_USERS: usize = 1_000;
/// Most tokens, of all users together.
pub const MAX_TOKENS: usize = 10_000;

/// Everybody who may come in. Nobody, at first: there is no default password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    users: BTreeMap<String, Account>,
    /// By name; names are unique over all users.
    tokens: BTreeMap<String, Token>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What they may do.
    pub role: Role,
    /// PHC string of the password.
    pub(crate) hash: String,
    /// When the password was set, in seconds since 1970-01-01 UTC.
    pub changed: u64,
}

/// Stands for somebody's password as it was set: it is another one when the password was set anew,
/// be it to the same word, and when the user is another of the same name.
#[derive(Clone, PartialEq, Eq)]
pub struct Bond(String);

impl Accounts {
    /// Whether nobody has a password yet.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Everybody, by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.users.iter().map(|(name, account)| (name.as_str(), account))
    }

    /// What somebody may do; `None` when there is no such user.
    pub fn role(&self, name: &str) -> Option<Role> {
        self.users.get(name).map(|account| account.role)
    }

    /// A new user, with a password that was hashed by [`crate::hash`].
    ///
    /// # Errors
    /// When the name is taken or no name, or there are too many.
    pub fn add(&mut self, name: &str, role: Role, hash: String, now: u64) -> Result<(), Error> {
        check_name(name, "user")?;
        if self.users.contains_key(name) {
            return Err(Error::Exists(name.into(), "user"));
        }
        if self.users.len() >= MAX_USERS {
            return Err(Error::ManyUsers);
        }
        self.users.insert(name.into(), Account { role, hash, changed: now });
        Ok(())
    }

    /// Another password, hashed by [`crate::hash`].
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_password(&mut self, name: &str, hash: String, now: u64) -> Result<(), Error> {
        let account = self.users.get_mut(name).ok_or_else(|| nobody(name))?;
        (account.hash, account.changed) = (hash, now);
        Ok(())
    }

    /// Another role. Tokens of that user that may do more do as much from now on.
    ///
    /// # Errors
    /// When there is no such user, or no administrator would be left.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), Error> {
        if role != Role::Admin {
            self.keep_an_admin(name)?;
        }
        self.users.get_mut(name).ok_or_else(|| nobody(name))?.role = role;
        Ok(())
    }

    /// Removes a user and their tokens.
    ///
    /// # Errors
    /// When there is no such user, or no administrator would be left.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.keep_an_admin(name)?;
        self.users.remove(name).ok_or_else(|| nobody(name))?;
        self.tokens.retain(|_, token| token.owner != name);
        Ok(())
    }

    /// What a session is bound to; `None` when there is no such user.
    pub fn bond(&self, name: &str) -> Option<Bond> {
        // The hash has salt of its own.
        self.users.get(name).map(|account| Bond(account.hash.clone()))
    }

    /// To find out whether a password is somebody's. The same work is done for nobody.
    pub fn verification(&self, name: &str, password: Secret, cost: Cost) -> Verification {
        let hash = self.users.get(name).map(|account| account.hash.clone());
        Verification { hash, password, cost }
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(name, token)| (name.as_str(), token))
    }

    /// A new token, whose text is shown once.
    ///
    /// # Errors
    /// When its owner does not exist or may not do as much, or its name is taken or no name.
    pub fn add_token(
        &mut self,
        name: &str,
        (owner, role): (&str, Role),
        text: &TokenText,
        (created, expires): (u64, Option<u64>),
    ) -> Result<(), Error> {
        check_name(name, "token")?;
        let most = self.role(owner).ok_or_else(|| nobody(owner))?;
        if role > most {
            return Err(Error::TooMuch(owner.into()));
        }
        if self.tokens.contains_key(name) {
            return Err(Error::Exists(name.into(), "token"));
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(Error::ManyTokens);
        }
        let (owner, sha256) = (owner.to_owned(), text.sha256());
        self.tokens.insert(name.into(), Token { owner, role, created, expires, sha256 });
        Ok(())
    }

    /// Removes a token.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove_token(&mut self, name: &str) -> Result<(), Error> {
        let gone = self.tokens.remove(name);
        gone.map(drop).ok_or_else(|| Error::Nobody(name.into(), "token"))
    }

    /// Whose token this is: its name, its owner, and what it may do now.
    pub fn by_token(&self, given: &Secret, now: u64) -> Option<(&str, &str, Role)> {
        let sha256 = digest(given.reveal());
        let (name, token) = self.tokens.iter().find(|(_, token)| token.is(&sha256))?;
        if token.has_expired(now) {
            return None;
        }
        let role = self.role(&token.owner)?.min(token.role);
        Some((name, &token.owner, role))
    }

    fn keep_an_admin(&self, but: &str) -> Result<(), Error> {
        let is_admin = |(_, account): &(&str, &Account)| account.role == Role::Admin;
        let mut admins = self.users().filter(is_admin).map(|(name, _)| name);
        let (first, second) = (admins.next(), admins.next());
        match first == Some(but) && second.is_none() {
            true => Err(Error::LastAdmin(but.into())),
            false => Ok(()),
        }
    }
}

fn nobody(name: &str) -> Error {
    Error::Nobody(name.into(), "user")
}

fn check_name(name: &str, what: &'static str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Error::Name(name.chars().take(80).collect(), what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        for (name, role) in [("ann", Role::Admin), ("otto", Role::Operator)] {
            accounts.add(name, role, "hash".into(), 1).unwrap();
        }
        accounts
    }

    #[test]
    fn there_is_always_an_administrator() {
        let mut accounts = accounts();
        assert_eq!(accounts.remove("ann"), Err(Error::LastAdmin("ann".into())));
        assert_eq!(accounts.set_role("ann", Role::Viewer), Err(Error::LastAdmin("ann".into())));
        accounts.set_role("otto", Role::Admin).unwrap();
        accounts.remove("ann").unwrap();
        assert_eq!(accounts.set_role("otto", Role::Operator), Err(Error::LastAdmin("otto".into())));
        accounts.set_role("otto", Role::Admin).unwrap();
    }

    #[test]
    fn names_are_plain_and_unique() {
        let mut accounts = accounts();
        for name in ["", "a b", "a/b", "\u{1b}", &"x".repeat(65)] {
            let refused = accounts.add(name, Role::Viewer, String::new(), 1);
            assert!(matches!(refused, Err(Error::Name(..))), "{name:?}");
        }
        let again = accounts.add("ann", Role::Viewer, String::new(), 1);
        assert_eq!(again, Err(Error::Exists("ann".into(), "user")));
        assert_eq!(accounts.set_password("eve", String::new(), 1), Err(nobody("eve")));
        assert_eq!(accounts.remove("eve"), Err(nobody("eve")));
    }

    #[test]
    fn a_token_may_never_do_more_than_its_owner() {
        let mut accounts = accounts();
        let text = TokenText::from_random([7; 32]);
        let too_much = accounts.add_token("t", ("otto", Role::Admin), &text, (10, None));
        assert_eq!(too_much, Err(Error::TooMuch("otto".into())));
        accounts.add_token("t", ("otto", Role::Operator), &text, (10, Some(20))).unwrap();
        let given = Secret::new(text.reveal());
        assert!(text.reveal().starts_with("fulcrum_0707"));
        assert_eq!(accounts.by_token(&given, 19), Some(("t", "otto", Role::Operator)));
        assert_eq!(accounts.by_token(&given, 20), None, "it has expired");
        assert_eq!(accounts.by_token(&Secret::new("fulcrum_07"), 19), None);
        accounts.set_role("otto", Role::Viewer).unwrap();
        assert_eq!(accounts.by_token(&given, 19), Some(("t", "otto", Role::Viewer)));
        accounts.remove("otto").unwrap();
        assert_eq!(accounts.by_token(&given, 19), None);
        assert_eq!(accounts.tokens().count(), 0);
    }

    #[test]
    fn no_secret_is_in_what_is_kept() {
        let mut accounts = accounts();
        let text = TokenText::from_random([9; 32]);
        accounts.add_token("t", ("ann", Role::Admin), &text, (10, None)).unwrap();
        let kept = serde_json::to_string(&accounts).unwrap();
        assert!(!kept.contains(&text.reveal()["fulcrum_".len()..]), "{kept}");
        assert_eq!(serde_json::from_str::<Accounts>(&kept).unwrap(), accounts);
    }
}
