//! Sessions: what somebody gets for their password, so that it need not be sent with every request.
//! They are kept in memory alone: a restart ends them all.

use crate::accounts::Bond;
use crate::secret::Secret;
use crate::token::{TokenText, digest};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// A session ends after so long without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long, whatever happens.
pub const SESSION_LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Most sessions of one user; with one more, the one that was idle longest ends.
pub const MAX_SESSIONS: usize = 16;

/// Who has logged in. Time is that of any clock that never goes back.
#[derive(Default)]
pub struct Sessions {
    /// By the digest of their texts, which are kept nowhere. 256 random bits need no slow hash.
    all: HashMap<String, Session>,
    number: u64,
}

/// One session.
#[derive(Clone)]
pub struct Session {
    /// Its number; no two since the start share one.
    pub number: u64,
    /// Whose it is.
    pub user: String,
    /// From where they logged in.
    pub from: IpAddr,
    /// When.
    pub begun: Duration,
    /// The last request.
    pub seen: Duration,
    bond: Bond,
}

impl Sessions {
    /// A new one for whoever gave the password that `bond` stands for.
    pub fn begin(
        &mut self,
        (user, bond): (&str, Bond),
        from: IpAddr,
        text: &TokenText,
        now: Duration,
    ) {
        self.forget(now);
        let own = |session: &Session| session.user == user;
        if self.all.values().filter(|it| own(it)).count() >= MAX_SESSIONS {
            let longest_idle = self.all.values().filter(|it| own(it)).min_by_key(|it| it.seen);
            if let Some(number) = longest_idle.map(|it| it.number) {
                self.end(number);
            }
        }
        self.number += 1;
        let (number, user) = (self.number, user.to_owned());
        self.all.insert(text.sha256(), Session { number, user, from, begun: now, seen: now, bond });
    }

    /// Whose session this is, which is used herewith. `bond` says what somebody's password is now:
    /// a session ends with the password that it was begun with.
    pub fn by_text(
        &mut self,
        given: &Secret,
        now: Duration,
        bond: impl FnOnce(&str) -> Option<Bond>,
    ) -> Option<&Session> {
        let sha256 = digest(given.reveal());
        let session = self.all.get(&sha256)?;
        if session.is_over(now) || bond(&session.user).as_ref() != Some(&session.bond) {
            self.all.remove(&sha256);
            return None;
        }
        let session = self.all.get_mut(&sha256)?;
        session.seen = now;
        Some(session)
    }

    /// Ends one. Whether it was there.
    pub fn end(&mut self, number: u64) -> bool {
        let before = self.all.len();
        self.all.retain(|_, session| session.number != number);
        self.all.len() < before
    }

    /// Those that are not over, by number.
    pub fn list(&mut self, now: Duration, bond: impl Fn(&str) -> Option<Bond>) -> Vec<Session> {
        self.forget(now);
        self.all.retain(|_, session| bond(&session.user).as_ref() == Some(&session.bond));
        let mut list: Vec<_> = self.all.values().cloned().collect();
        list.sort_by_key(|session| session.number);
        list
    }

    fn forget(&mut self, now: Duration) {
        self.all.retain(|_, session| !session.is_over(now));
    }
}

impl Session {
    /// When it ends at the latest.
    pub fn end(&self) -> Duration {
        (self.begun + SESSION_LONGEST).min(self.seen + SESSION_IDLE)
    }

    fn is_over(&self, now: Duration) -> bool {
        now >= self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accounts, Role};
    use std::net::Ipv4Addr;

    const MINUTE: Duration = Duration::from_secs(60);
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        for name in ["ann", "otto"] {
            accounts.add(name, Role::Admin, format!("hash of {name}"), 1).unwrap();
        }
        accounts
    }

    fn text(number: u8) -> TokenText {
        TokenText::for_session([number; 32])
    }

    fn begin(sessions: &mut Sessions, accounts: &Accounts, user: &str, number: u8, now: Duration) {
        let bond = accounts.bond(user).expect("there is such a user");
        sessions.begin((user, bond), HERE, &text(number), now);
    }

    fn whose(
        sessions: &mut Sessions,
        accounts: &Accounts,
        number: u8,
        now: Duration,
    ) -> Option<String> {
        let given = Secret::new(text(number).reveal());
        sessions.by_text(&given, now, |user| accounts.bond(user)).map(|it| it.user.clone())
    }

    #[test]
    fn a_session_ends_when_it_is_idle_and_after_half_a_day() {
        let (mut sessions, accounts) = (Sessions::default(), accounts());
        begin(&mut sessions, &accounts, "ann", 1, MINUTE);
        assert_eq!(whose(&mut sessions, &accounts, 1, 30 * MINUTE).as_deref(), Some("ann"));
        assert_eq!(whose(&mut sessions, &accounts, 2, 30 * MINUTE), None);
        // Thirty minutes after the last request, to the second.
        let last = 60 * MINUTE - Duration::from_secs(1);
        assert!(whose(&mut sessions, &accounts, 1, last).is_some());
        assert!(whose(&mut sessions, &accounts, 1, last + SESSION_IDLE).is_none());

        begin(&mut sessions, &accounts, "ann", 3, MINUTE);
        let end = MINUTE + SESSION_LONGEST;
        let mut now = MINUTE;
        while now + 20 * MINUTE < end {
            now += 20 * MINUTE;
            assert!(whose(&mut sessions, &accounts, 3, now).is_some(), "{now:?}");
        }
        assert!(whose(&mut sessions, &accounts, 3, end).is_none());
    }

    #[test]
    fn a_session_ends_with_its_password_and_its_user() {
        let (mut sessions, mut accounts) = (Sessions::default(), accounts());
        begin(&mut sessions, &accounts, "ann", 1, MINUTE);
        begin(&mut sessions, &accounts, "otto", 2, MINUTE);
        accounts.set_password("ann", "another hash".into(), 1).unwrap();
        assert_eq!(sessions.list(MINUTE, |user| accounts.bond(user)).len(), 1);
        assert!(whose(&mut sessions, &accounts, 1, MINUTE).is_none());
        assert!(whose(&mut sessions, &accounts, 2, MINUTE).is_some());
        accounts.remove("otto").unwrap();
        assert!(whose(&mut sessions, &accounts, 2, MINUTE).is_none());
        accounts.add("otto", Role::Admin, "a new one".into(), 1).unwrap();
        assert!(whose(&mut sessions, &accounts, 2, MINUTE).is_none());
    }

    #[test]
    fn each_user_has_so_many() {
        let (mut sessions, accounts) = (Sessions::default(), accounts());
        begin(&mut sessions, &accounts, "otto", 99, MINUTE);
        for number in 0..MAX_SESSIONS as u8 {
            begin(&mut sessions, &accounts, "ann", number, 2 * MINUTE);
        }
        assert!(whose(&mut sessions, &accounts, 0, 3 * MINUTE).is_some());
        for number in 1..MAX_SESSIONS as u8 - 1 {
            assert!(whose(&mut sessions, &accounts, number, 3 * MINUTE).is_some(), "{number}");
        }
        begin(&mut sessions, &accounts, "ann", 50, 4 * MINUTE);
        let idle_longest = MAX_SESSIONS as u8 - 1;
        assert!(whose(&mut sessions, &accounts, idle_longest, 4 * MINUTE).is_none());
        assert!(whose(&mut sessions, &accounts, 0, 4 * MINUTE).is_some());
        assert!(whose(&mut sessions, &accounts, 99, 4 * MINUTE).is_some(), "another's");
        let list = sessions.list(4 * MINUTE, |user| accounts.bond(user));
        assert_eq!(list.len(), MAX_SESSIONS + 1);
        assert!(sessions.end(list[0].number) && !sessions.end(list[0].number));
        assert!(whose(&mut sessions, &accounts, 99, 4 * MINUTE).is_none());
    }
}
