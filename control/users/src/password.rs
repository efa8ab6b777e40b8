//! Passwords: Argon2id (RFC 9106), as PHC strings.

use crate::error::Error;
use crate::secret::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Fewest characters of a password (NIST SP 800-63B wants 8 at least; what guards a hospital's
/// traffic may be longer).
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Most bytes of a password; hashing more costs time and nothing is gained.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// What a guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What OWASP's cheat sheet on password storage recommends for Argon2id: 19 MiB and two passes.
    /// Some tens of milliseconds on a core of control.
    pub const STRONG: Self = Self { memory: 19_456, passes: 2 };

    fn argon2(self) -> Result<Argon2<'static>, Error> {
        let params = Params::new(self.memory, self.passes, 1, None);
        let params = params.map_err(|e| Error::Hash(e.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Hashes a password that somebody chose, with a salt of its own. Takes as long as a verification.
///
/// # Errors
/// When it is too short or too long.
pub fn hash(password: &Secret, cost: Cost) -> Result<String, Error> {
    let (bytes, chars) = (password.reveal().len(), password.reveal().chars().count());
    if chars < MIN_PASSWORD_CHARS {
        return Err(Error::Short(chars));
    }
    if bytes > MAX_PASSWORD_BYTES {
        return Err(Error::Long(bytes));
    }
    let hashed = cost.argon2()?.hash_password(password.reveal().as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|e| Error::Hash(e.to_string()))
}

/// A password to be verified. [`Verification::run`] takes tens of milliseconds, so it is done where
/// nobody else waits, and without the accounts.
pub struct Verification {
    /// PHC string; `None` when there is no such user, who costs as much as one that there is.
    pub(crate) hash: Option<String>,
    pub(crate) password: Secret,
    pub(crate) cost: Cost,
}

impl Verification {
    /// Whether the password is the user's.
    pub fn run(self) -> bool {
        let Self { hash, password, cost } = self;
        if password.reveal().len() > MAX_PASSWORD_BYTES {
            return false;
        }
        let Ok(argon2) = cost.argon2() else { return false };
        let given = password.reveal().as_bytes();
        match hash {
            Some(hash) => PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2.verify_password(given, &hash).is_ok()),
            None => {
                let _ = std::hint::black_box(argon2.hash_password(given));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEAK: Cost = Cost { memory: 8, passes: 1 };

    fn verify(hash: Option<&str>, password: &str) -> bool {
        let password = Secret::new(password);
        Verification { hash: hash.map(str::to_owned), password, cost: WEAK }.run()
    }

    #[test]
    fn only_the_password_itself_is_right() {
        let hashed = hash(&Secret::new("correct horse"), WEAK).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hashed}");
        assert!(verify(Some(&hashed), "correct horse"));
        for wrong in ["correct hors", "Correct horse", "", &"x".repeat(2_000)] {
            assert!(!verify(Some(&hashed), wrong), "{wrong}");
        }
        assert!(!verify(None, "correct horse"));
        assert!(!verify(Some("not a PHC string"), "correct horse"));
        let again = hash(&Secret::new("correct horse"), WEAK).unwrap();
        assert_ne!(hashed, again, "a salt of its own");
    }

    #[test]
    fn neither_short_nor_endless() {
        let refused = |text: &str| hash(&Secret::new(text), WEAK).unwrap_err();
        assert_eq!(refused("elevenchars"), Error::Short(11));
        assert_eq!(refused("ääääääääää"), Error::Short(10));
        assert_eq!(refused(&"x".repeat(1_025)), Error::Long(1_025));
    }

    #[test]
    fn the_strong_cost_is_one_that_argon2_takes() {
        let hashed = hash(&Secret::new("correct horse"), Cost::STRONG).unwrap();
        assert!(hashed.contains("$m=19456,t=2,p=1$"), "{hashed}");
    }
}
