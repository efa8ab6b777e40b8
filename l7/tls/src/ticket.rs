//! Session tickets (RFC 5077, RFC 8446 section 4.6.1) whose keys roll, and can be carried over a
//! restart of the process or to the other half of a pair.
//!
//! Time is cut into periods. Each period has a secret, made from the one before by a one-way
//! function, so that two processes that shared a seed once stay in step, while a secret that leaks
//! does not open tickets of the periods before it. What is kept on disk is the secret of the period
//! before the current one: the oldest that is still accepted.
//!
//! Each service's ticket keys are its own: a session of a service without client certificates must
//! not resume at one that demands them.

use crate::certificate::hex;
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How long one key makes tickets; it opens them for as long again.
pub const PERIOD_SECONDS: u64 = 6 * 60 * 60;

/// More periods than a process sleeps through (34 years); beyond, a new seed costs less.
const MAX_STEPS: u64 = 50_000;
const SEED_BYTES: usize = 8 + 32;
const EPOCH_BYTES: usize = 4;

/// What tickets' keys are made from, to be kept where nobody else reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    /// The number of the period that `secret` is of.
    epoch: u64,
    secret: Zeroizing<[u8; 32]>,
}

impl Seed {
    /// A new one, for the time `now`. `None` when the system has no randomness to give.
    #[must_use]
    pub fn random(now: UnixTime) -> Option<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(&mut *secret).ok()?;
        Some(Self { epoch: epoch(now).saturating_sub(1), secret })
    }

    /// One that was kept: what [`Self::to_bytes`] gave. `None` when it is not that.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (epoch, secret) = bytes.split_first_chunk::<8>()?;
        let secret = Zeroizing::new(<[u8; 32]>::try_from(secret).ok()?);
        Some(Self { epoch: u64::from_le_bytes(*epoch), secret })
    }

    /// 40 bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SEED_BYTES));
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&*self.secret);
        bytes
    }

    fn next(&self) -> Self {
        let secret = derived(&self.secret, &[b"fulcrum ticket seed"]);
        Self { epoch: self.epoch.saturating_add(1), secret }
    }

    /// The seed whose next period is the one of `now`, or an equally good new one when that
    /// cannot be reached: the clock went back, or very far forward.
    fn at(&self, now: UnixTime) -> Option<Self> {
        let now_epoch = epoch(now);
        // One period back is a clock that was corrected across a boundary.
        let target = now_epoch.saturating_sub(1);
        if target == self.epoch || now_epoch == self.epoch {
            return Some(self.clone());
        }
        match target.checked_sub(self.epoch) {
            Some(steps) if steps <= MAX_STEPS => {
                Some((0..steps).fold(self.clone(), |seed, _| seed.next()))
            }
            _ => Self::random(now),
        }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

fn epoch(now: UnixTime) -> u64 {
    now.as_secs() / PERIOD_SECONDS
}

fn derived(secret: &[u8; 32], message: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in message {
        context.update(part);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// The seed of a process and its clock; makes each service's tickets.
pub struct Tickets {
    seed: Mutex<Seed>,
    clock: Arc<dyn TimeProvider>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Tickets {
    /// Goes on from `seed`.
    #[must_use]
    pub fn new(seed: Seed, clock: Arc<dyn TimeProvider>) -> Arc<Self> {
        Arc::new(Self { seed: Mutex::new(seed), clock })
    }

    /// What to keep: it moves on with each period, and an older one is as good for resumption but
    /// opens older tickets, too.
    #[must_use]
    pub fn seed(&self) -> Option<Seed> {
        let now = self.clock.current_time()?;
        let mut seed = self.seed.lock().unwrap_or_else(PoisonError::into_inner);
        *seed = seed.at(now)?;
        Some(seed.clone())
    }

    /// Tickets that open in `scope` alone.
    pub(crate) fn scoped(self: &Arc<Self>, scope: [u8; 32]) -> Option<Arc<dyn ProducesTickets>> {
        let ring = ArcSwap::from_pointee(Ring::new(&self.seed()?, &scope)?);
        Some(Arc::new(Scoped { tickets: Arc::clone(self), scope, ring }))
    }
}

/// The keys of two periods.
struct Ring {
    epoch: u64,
    current: LessSafeKey,
    previous: LessSafeKey,
}

impl Ring {
    fn new(seed: &Seed, scope: &[u8; 32]) -> Option<Self> {
        // GCM-SIV: a random nonce that repeats, after billions of tickets, does no harm.
        let key = |seed: &Seed| {
            let bytes = derived(&seed.secret, &[b"fulcrum ticket key", scope]);
            UnboundKey::new(&AES_256_GCM_SIV, &*bytes).ok().map(LessSafeKey::new)
        };
        let next = seed.next();
        Some(Self { epoch: next.epoch, current: key(&next)?, previous: key(seed)? })
    }

    fn key(&self, epoch: [u8; EPOCH_BYTES]) -> Option<&LessSafeKey> {
        match epoch {
            e if e == short(self.epoch) => Some(&self.current),
            e if e == short(self.epoch.wrapping_sub(1)) => Some(&self.previous),
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "neighbours differ in the low bits")]
fn short(epoch: u64) -> [u8; EPOCH_BYTES] {
    (epoch as u32).to_le_bytes()
}

/// One service's tickets: period, nonce, sealed state.
struct Scoped {
    tickets: Arc<Tickets>,
    scope: [u8; 32],
    ring: ArcSwap<Ring>,
}

impl Scoped {
    /// The keys of now. Rolled by whichever connection is first in a new period.
    fn ring(&self) -> Option<Arc<Ring>> {
        let now = epoch(self.tickets.clock.current_time()?);
        let ring = self.ring.load();
        if now == ring.epoch || now.saturating_add(1) == ring.epoch {
            return Some(Arc::clone(&ring));
        }
        let rolled = Arc::new(Ring::new(&self.tickets.seed()?, &self.scope)?);
        self.ring.store(Arc::clone(&rolled));
        Some(rolled)
    }
}

impl ProducesTickets for Scoped {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        (2 * PERIOD_SECONDS) as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let ring = self.ring()?;
        let epoch = short(ring.epoch);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let aad = Aad::from(epoch);
        ring.current
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .ok()?;
        Some([&epoch[..], &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (epoch, rest) = ticket.split_first_chunk::<EPOCH_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let ring = self.ring()?;
        let key = ring.key(*epoch)?;
        let mut state = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(*epoch), &mut state).ok()?.len();
        state.truncate(length);
        Some(state)
    }
}

impl fmt::Debug for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("scope", &hex(&self.scope)).finish_non_exhaustive()
    }
}
