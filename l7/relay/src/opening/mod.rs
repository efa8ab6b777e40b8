//! What both sides of a connection in TCP mode say first, looked at for what persistence knows a
//! client by. Nothing of it is changed: it goes on as it came.

mod hello;
mod rdp;

use hello::Whose;
use l7_api::{PersistenceBy, PersistenceKey};
use std::net::{SocketAddr, SocketAddrV4};

/// Milliseconds that a client has for its first words. RDP and TLS let the client begin; where
/// nothing comes in this time, neither is spoken, and the connection goes on without.
pub const PATIENCE_MS: u64 = 5_000;

/// Octets that are looked at in either direction, at most.
pub const LONGEST: usize = rdp::LONGEST;

/// What the octets so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// More are needed; there is a bound on how many.
    More,
    /// This.
    Said(T),
    /// Something else.
    Other,
}

/// See the module.
#[derive(Debug)]
pub struct Opening {
    look: Look,
    /// What came of the client so far.
    said: Vec<u8>,
    /// What came of the real server so far; `None`: it is not, or no longer, looked at.
    answer: Option<Vec<u8>>,
    key: Option<PersistenceKey>,
    server: Option<SocketAddrV4>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Rdp,
    Session,
}

impl Opening {
    /// Where persistence goes by what is said first.
    pub fn of(by: &PersistenceBy) -> Option<Self> {
        let look = match by {
            PersistenceBy::RdpCookie => Look::Rdp,
            PersistenceBy::TlsSession => Look::Session,
            PersistenceBy::Address | PersistenceBy::Cookie(_) => return None,
        };
        Some(Self { look, said: Vec::new(), answer: None, key: None, server: None })
    }

    /// Octets of the client that may be read before it has to be decided.
    pub fn room(&self) -> usize {
        self.most().saturating_sub(self.said.len())
    }

    /// The client goes on. True: it is decided whether it says anything of use.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        self.said.extend_from_slice(bytes);
        match self.look {
            Look::Rdp => self.hear_rdp(),
            Look::Session => self.hear_hello(),
        }
    }

    fn hear_rdp(&mut self) -> bool {
        match rdp::cookie(&self.said) {
            Seen::More => false,
            Seen::Other => true,
            Seen::Said(cookie) => {
                // Names of users do not differ by the size of letters.
                let key = PersistenceKey::said(&cookie.text.to_ascii_lowercase());
                (self.key, self.server) = (Some(key), cookie.server);
                true
            }
        }
    }

    fn hear_hello(&mut self) -> bool {
        match hello::session(&self.said, Whose::Client) {
            Seen::More => false,
            Seen::Other => true,
            Seen::Said(id) => {
                self.key = (!id.is_empty()).then(|| PersistenceKey::said(id));
                self.answer = Some(Vec::new());
                true
            }
        }
    }

    /// Octets of the real server that may be read before it has to be decided; `None`: they are
    /// not looked at.
    pub fn answer_room(&self) -> Option<usize> {
        let most = self.most();
        self.answer.as_ref().map(|answer| most.saturating_sub(answer.len()))
    }

    /// The real server goes on, and may have `ended`. Once it is decided whether it says anything
    /// of use, all that came, with the client that it is for: one who is given a new session. An
    /// id that the client came with is known already, or a mere echo (TLS 1.3, RFC 8446 section
    /// 4.1.3; tickets, RFC 5077 section 3.4).
    pub fn answered(
        &mut self,
        bytes: &[u8],
        ended: bool,
    ) -> Option<(Vec<u8>, Option<PersistenceKey>)> {
        let answer = self.answer.as_mut()?;
        answer.extend_from_slice(bytes);
        let key = match hello::session(answer, Whose::Server) {
            Seen::More if !ended => return None,
            Seen::More | Seen::Other | Seen::Said([]) => None,
            Seen::Said(id) => Some(PersistenceKey::said(id)),
        };
        let key = key.filter(|key| self.key.as_ref() != Some(key));
        Some((self.answer.take()?, key))
    }

    /// What the client is known by, if it has said it.
    pub fn key(&self) -> Option<&PersistenceKey> {
        self.key.as_ref()
    }

    /// The real server that the client wants.
    pub fn server(&self) -> Option<SocketAddr> {
        self.server.map(Into::into)
    }

    /// Whether nothing of use was said.
    pub fn is_of_no_use(&self) -> bool {
        self.key.is_none() && self.answer.is_none()
    }

    /// What the client has said so far.
    pub fn said(&self) -> &[u8] {
        &self.said
    }

    fn most(&self) -> usize {
        match self.look {
            Look::Rdp => rdp::LONGEST,
            Look::Session => hello::LONGEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(kind: u8, id: u8) -> Vec<u8> {
        let head = [22, 3, 3, 0, 80, kind, 0, 0, 76, 3, 3];
        [&head[..], &[7; 32], &[32], &[id; 32], &[0; 9]].concat()
    }

    fn answered(asked: u8, with: u8) -> Option<PersistenceKey> {
        let mut opening = Opening::of(&PersistenceBy::TlsSession).unwrap();
        assert!(opening.hear(&hello(1, asked)));
        opening.answered(&hello(2, with), false).unwrap().1
    }

    #[test]
    fn a_new_session_is_learned_and_an_echo_is_not() {
        assert_eq!(answered(1, 2), Some(PersistenceKey::said(&[2; 32])));
        assert_eq!(answered(1, 1), None);
    }

    #[test]
    fn an_answer_goes_on_as_it_came() {
        let mut opening = Opening::of(&PersistenceBy::TlsSession).unwrap();
        assert!(opening.answer_room().is_none());
        opening.hear(&hello(1, 1));
        let whole = hello(2, 2);
        assert_eq!(opening.answer_room(), Some(hello::LONGEST));
        assert_eq!(opening.answered(&whole[..20], false), None);
        assert_eq!(opening.answer_room(), Some(hello::LONGEST - 20));
        let (bytes, key) = opening.answered(&whole[20..], false).unwrap();
        assert_eq!((bytes, key.is_some()), (whole.clone(), true));
        assert!(opening.answer_room().is_none(), "nothing is looked at twice");

        let mut opening = Opening::of(&PersistenceBy::TlsSession).unwrap();
        opening.hear(&hello(1, 1));
        assert_eq!(opening.answered(&whole[..20], true), Some((whole[..20].to_vec(), None)));
    }

    #[test]
    fn users_differ_by_name_and_not_by_letters() {
        let key = |line: &[u8]| {
            let length = 11 + line.len() as u8;
            let bytes = [&[3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0], line].concat();
            let mut opening = Opening::of(&PersistenceBy::RdpCookie).unwrap();
            assert!(opening.hear(&bytes));
            (opening.key().cloned(), opening.is_of_no_use())
        };
        let alice = key(b"Cookie: mstshash=Alice\r\n");
        assert_eq!(alice, key(b"Cookie: mstshash=aLICE\r\n"));
        assert_ne!(alice, key(b"Cookie: mstshash=bob\r\n"));
        assert_eq!(key(b""), (None, true));
    }
}
