//! Who comes in: users with passwords, programs with tokens, root by the local socket. What they do is
//! written down.

use anyhow::Result;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rest::{Caller, Done, Gate, Peer, Problem, Role};
use rustls::crypto::SecureRandom;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Kept;
use tokio::sync::Semaphore;
use users::{Accounts, Audit, Bond, Cost, Entry, Secret, Session, Sessions, Throttle, TokenText};

/// A password that was right is not hashed again for so long: whoever asks ten times a second would
/// keep a core busy with it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Passwords that are verified at once; each takes 19 MiB meanwhile.
const VERIFIERS: usize = 2;
/// Bytes of each of the audit log's two files.
const AUDIT_BYTES: u64 = 8 << 20;
/// Named in the audit log when a token is nobody's. No user's name has brackets.
const TOKEN: &str = "(token)";
/// The same for a session that is over, or never was.
const SESSION: &str = "(session)";

/// Accounts, and what guards them.
pub struct Door {
    accounts: Mutex<Kept<Accounts>>,
    audit: Mutex<Audit>,
    throttle: Mutex<Throttle>,
    right: Mutex<HashMap<String, Right>>,
    sessions: Mutex<Sessions>,
    verifiers: Semaphore,
    random: &'static dyn SecureRandom,
    /// Keeps digests of passwords in memory from being worth anything outside of it.
    pepper: [u8; 32],
    begun: Instant,
}

/// A password that was right.
struct Right {
    digest: [u8; 32],
    bond: Bond,
    until: Duration,
}

impl Door {
    /// Opens what is kept of it.
    ///
    /// # Errors
    /// When the audit log cannot be written, or there is no randomness.
    pub fn open(state_dir: &Path) -> Result<Self> {
        let (accounts, finding) = Kept::open(&state_dir.join("accounts"));
        if let Some(finding) = finding {
            log::error!("users are lost, set a password anew: {finding}");
        }
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        let mut pepper = [0; 32];
        random.fill(&mut pepper).map_err(|_| anyhow::anyhow!("the kernel gives no randomness"))?;
        Ok(Self {
            accounts: Mutex::new(accounts),
            audit: Mutex::new(Audit::open(&state_dir.join("audit"), AUDIT_BYTES)?),
            throttle: Mutex::default(),
            right: Mutex::default(),
            sessions: Mutex::default(),
            verifiers: Semaphore::new(VERIFIERS),
            random,
            pepper,
            begun: Instant::now(),
        })
    }

    /// Looks at the accounts.
    pub fn accounts<T>(&self, look: impl FnOnce(&Accounts) -> T) -> T {
        look(lock(&self.accounts).value())
    }

    /// Changes the accounts, on disk before it returns.
    ///
    /// # Errors
    /// What `change` says, or that the disk does not take it; nothing has changed then.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, users::Error>,
    ) -> Result<T, Problem> {
        let mut kept = lock(&self.accounts);
        let mut accounts = kept.value().clone();
        let value = change(&mut accounts).map_err(refused)?;
        kept.set(accounts).map_err(crate::applying::not_kept)?;
        // Whoever was right may be so no longer.
        lock(&self.right).clear();
        Ok(value)
    }

    /// A new token's text.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn token(&self) -> Result<TokenText, Problem> {
        self.random_bytes().map(TokenText::from_random)
    }

    /// A session for somebody who has given their password: its text, and what they may do.
    ///
    /// # Errors
    /// 401 when it is not their password, 429 when somebody tries too often.
    pub async fn log_in(
        self: &Arc<Self>,
        from: Peer,
        name: &str,
        given: Secret,
    ) -> Result<(TokenText, Role), Problem> {
        let text = self.random_bytes().map(TokenText::for_session)?;
        let (caller, bond) = self.verified(from, name, given).await?;
        lock(&self.sessions).begin((name, bond), from.0, &text, self.begun.elapsed());
        self.write_down(entry(name, Some(from), "log in", 200)).await;
        Ok((text, caller.role))
    }

    /// Ends a session. Whether there was one of that number.
    pub fn end_session(&self, number: u64) -> bool {
        lock(&self.sessions).end(number)
    }

    /// All sessions, and what time it is for them.
    pub fn sessions(&self) -> (Vec<Session>, Duration) {
        let now = self.begun.elapsed();
        let accounts = lock(&self.accounts);
        (lock(&self.sessions).list(now, |user| accounts.value().bond(user)), now)
    }

    fn random_bytes(&self) -> Result<[u8; 32], Problem> {
        let mut bytes = [0; 32];
        let filled = self.random.fill(&mut bytes);
        filled.map_err(|_| Problem::unavailable("the kernel gives no randomness"))?;
        Ok(bytes)
    }

    /// The audit log, newest first, and how many lines were torn.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn written(&self, most: usize) -> std::io::Result<(Vec<Entry>, usize)> {
        lock(&self.audit).last(most)
    }

    /// Somebody at the local socket is root.
    pub fn local(self: &Arc<Self>) -> Arc<dyn Gate> {
        Arc::new(Local(self.clone()))
    }

    async fn by_password(
        self: &Arc<Self>,
        from: Peer,
        name: &str,
        given: Secret,
    ) -> Result<Caller, Problem> {
        let digest = self.digest(name, &given);
        let now = self.accounts(|a| a.role(name).zip(a.bond(name)));
        if let Some((role, bond)) = now
            && self.was_right(name, &digest, &bond)
        {
            return Ok(Caller { name: name.to_owned(), role, session: None });
        }
        let (caller, bond) = self.verified(from, name, given).await?;
        let until = self.begun.elapsed() + REMEMBERED;
        lock(&self.right).insert(name.to_owned(), Right { digest, bond, until });
        Ok(caller)
    }

    /// Whose name and password these are, and what stands for the password: it may be set anew
    /// while it is verified.
    async fn verified(
        self: &Arc<Self>,
        from: Peer,
        name: &str,
        given: Secret,
    ) -> Result<(Caller, Bond), Problem> {
        let now = self.begun.elapsed();
        let admitted = lock(&self.throttle).admit(from.0, name, now);
        admitted.map_err(too_often)?;
        let (verification, bond) =
            self.accounts(|a| (a.verification(name, given, Cost::STRONG), a.bond(name)));
        let _one_of_few = self.verifiers.acquire().await;
        let is_right = tokio::task::spawn_blocking(|| verification.run()).await.unwrap_or(false);
        let role = self.accounts(|a| a.role(name)).filter(|_| is_right);
        let Some((role, bond)) = role.zip(bond) else {
            self.write_down(entry(name, Some(from), "log in", 401)).await;
            return Err(self.unknown());
        };
        lock(&self.throttle).succeeded(from.0, name);
        Ok((Caller { name: name.to_owned(), role, session: None }, bond))
    }

    /// A session's text or a token's.
    async fn by_text(self: &Arc<Self>, from: Peer, given: &Secret) -> Result<Caller, Problem> {
        match TokenText::is_session(given) {
            true => self.by_session(from, given).await,
            false => self.by_token(from, given).await,
        }
    }

    async fn by_session(self: &Arc<Self>, from: Peer, given: &Secret) -> Result<Caller, Problem> {
        let caller = {
            let (accounts, now) = (lock(&self.accounts), self.begun.elapsed());
            let mut sessions = lock(&self.sessions);
            let bond = |user: &str| accounts.value().bond(user);
            sessions.by_text(given, now, bond).and_then(|session| {
                let role = accounts.value().role(&session.user)?;
                Some(Caller { name: session.user.clone(), role, session: Some(session.number) })
            })
        };
        match caller {
            Some(caller) => Ok(caller),
            None => Err(self.nobodys(SESSION, from).await),
        }
    }

    async fn by_token(self: &Arc<Self>, from: Peer, given: &Secret) -> Result<Caller, Problem> {
        let of_token = |accounts: &Accounts| {
            let (token, owner, role) = accounts.by_token(given, seconds())?;
            Some(Caller { name: format!("{owner} ({token})"), role, session: None })
        };
        if let Some(caller) = self.accounts(of_token) {
            return Ok(caller);
        }
        Err(self.nobodys(TOKEN, from).await)
    }

    /// Nobody guesses 256 bits. That the audit log is not flooded is reason enough to count.
    async fn nobodys(self: &Arc<Self>, what: &str, from: Peer) -> Problem {
        let counted = lock(&self.throttle).admit(from.0, what, self.begun.elapsed());
        if counted.is_ok() {
            self.write_down(entry(what, Some(from), "log in", 401)).await;
        }
        self.unknown()
    }

    fn digest(&self, name: &str, given: &Secret) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.pepper);
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        digest.update(given.reveal());
        digest.finalize().into()
    }

    fn was_right(&self, name: &str, digest: &[u8; 32], bond: &Bond) -> bool {
        let now = self.begun.elapsed();
        let mut right = lock(&self.right);
        right.retain(|_, it| it.until > now);
        right.get(name).is_some_and(|it| it.digest == *digest && it.bond == *bond)
    }

    /// The same answer whatever was wrong.
    fn unknown(&self) -> Problem {
        let remedy = match self.accounts(Accounts::is_empty) {
            true => "nobody has a password yet: run `fulcrum user set-password` on the node",
            false => "give a user's name and password, or a token",
        };
        Problem::new(StatusCode::UNAUTHORIZED, "who is it?", remedy)
    }

    async fn write_down(self: &Arc<Self>, entry: Entry) {
        tell(&entry);
        let door = self.clone();
        let written = tokio::task::spawn_blocking(move || lock(&door.audit).add(&entry)).await;
        if let Ok(Err(e)) = written {
            log::error!("the audit log cannot be written: {e}");
        }
    }

    async fn write_down_done(self: &Arc<Self>, done: Done) {
        let Done { who, from, action, outcome } = done;
        self.write_down(entry(&who, from, &action, outcome.as_u16())).await;
    }
}

/// Tells the log as well. What somebody calls themselves may hold anything.
fn tell(entry: &Entry) {
    const SHOWN: usize = 128;
    let Entry { from, outcome, .. } = entry;
    let plain = |text: &str| text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let (who, action): (String, String) = (plain(&entry.who), plain(&entry.action));
    let level = if *outcome < 400 { log::Level::Info } else { log::Level::Warn };
    log::log!(target: "audit", level, "{who} from {from}: {action}: {outcome}");
}

fn entry(who: &str, from: Option<Peer>, action: &str, outcome: u16) -> Entry {
    let from = from.map_or_else(|| "local".into(), |Peer(address)| address.to_string());
    Entry { at: seconds(), who: who.to_owned(), from, action: action.to_owned(), outcome }
}

/// Callers over the network.
pub struct Network(pub Arc<Door>);

#[async_trait::async_trait]
impl Gate for Network {
    async fn caller(&self, from: Option<Peer>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(from) = from else { return Err(self.0.unknown()) };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, given)) = given.and_then(|value| value.split_once(' ')) else {
            return Err(self.0.unknown());
        };
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.0.by_text(from, &Secret::new(given)).await;
        }
        let pair = BASE64.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((name, password)) if scheme.eq_ignore_ascii_case("basic") => {
                self.0.by_password(from, name, Secret::new(password)).await
            }
            _ => Err(self.0.unknown()),
        }
    }

    async fn done(&self, done: Done) {
        self.0.write_down_done(done).await;
    }
}

/// Callers at a socket that only root can open.
struct Local(Arc<Door>);

#[async_trait::async_trait]
impl Gate for Local {
    async fn caller(&self, _: Option<Peer>, _: &HeaderMap) -> Result<Caller, Problem> {
        Ok(Caller { name: "root".into(), role: Role::Admin, session: None })
    }

    async fn done(&self, done: Done) {
        self.0.write_down_done(done).await;
    }
}

/// Seconds since 1970-01-01 UTC.
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// An error of the accounts, whose text says what to do.
pub fn refused(e: users::Error) -> Problem {
    use users::Error::*;
    let status = match &e {
        Nobody(..) => StatusCode::NOT_FOUND,
        Exists(..) | LastAdmin(_) | ManyUsers | ManyTokens => StatusCode::CONFLICT,
        Name(..) | Short(_) | Long(_) => StatusCode::UNPROCESSABLE_ENTITY,
        TooMuch(_) => StatusCode::FORBIDDEN,
        Hash(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let text = e.to_string();
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see the description"));
    Problem::new(status, what, remedy)
}

fn too_often(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let mut problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too many attempts that failed",
        format!("wait {seconds} s"),
    );
    problem.retry_after = Some(seconds);
    problem
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
