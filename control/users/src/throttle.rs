//! Guessing made slow: attempts to come in, counted by where they come from and by whose name they
//! use, and delayed when there are too many. Nobody is locked out for good.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Sources and names that are remembered, of each kind. Beyond, the one that tried longest ago goes.
const REMEMBERED: usize = 4_096;
/// After so long without an attempt, nothing is held against anybody.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);
/// The first delay; the next ones double.
const FIRST: Duration = Duration::from_secs(1);

/// Counts attempts. Time is that of any clock that never goes back.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    /// One user from one place: the user who mistypes, or who is guessed at.
    pairs: Meter<(IpAddr, String), 5, 300>,
    /// One place, whatever the names: an attacker with a list of names.
    sources: Meter<IpAddr, 20, 300>,
    /// One name, from wherever: an attacker with many places. It waits only for a moment, because
    /// the user themselves waits as long.
    names: Meter<String, 50, 10>,
}

/// Attempts of each `K`: after `FREE` failures in a row the next ones wait, at most `LONGEST`
/// seconds.
#[derive(Clone, Debug)]
struct Meter<K, const FREE: u32, const LONGEST: u64> {
    known: HashMap<K, Tries>,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    last: Duration,
}

impl Throttle {
    /// Whether somebody may try now. The attempt counts as failed until [`Throttle::succeeded`] says
    /// otherwise, so that many at once are not worth more than one after the other.
    ///
    /// # Errors
    /// How long to wait before the next attempt.
    pub fn admit(&mut self, from: IpAddr, name: &str, now: Duration) -> Result<(), Duration> {
        let source = network(from);
        let pair = (source, name.to_owned());
        let waits = [
            self.pairs.wait(&pair, now),
            self.sources.wait(&source, now),
            self.names.wait(&pair.1, now),
        ];
        let wait = waits.into_iter().max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        self.names.count(pair.1.clone(), now);
        self.sources.count(source, now);
        self.pairs.count(pair, now);
        Ok(())
    }

    /// The attempt that was admitted was right.
    pub fn succeeded(&mut self, from: IpAddr, name: &str) {
        let source = network(from);
        self.pairs.known.remove(&(source, name.to_owned()));
        // Others may have tried the same name or from the same place: only this one is taken back.
        self.sources.take_back(&source);
        self.names.take_back(&name.to_owned());
    }
}

impl<K: Hash + Eq + Clone, const FREE: u32, const LONGEST: u64> Meter<K, FREE, LONGEST> {
    fn wait(&self, key: &K, now: Duration) -> Duration {
        let Some(tries) = self.known.get(key) else { return Duration::ZERO };
        let Some(over) = tries.failures.checked_sub(FREE) else { return Duration::ZERO };
        let delay = FIRST.saturating_mul(2_u32.saturating_pow(over));
        let delay = delay.min(Duration::from_secs(LONGEST));
        (tries.last + delay).saturating_sub(now)
    }

    fn count(&mut self, key: K, now: Duration) {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&key) {
            self.make_room(now);
        }
        let tries = self.known.entry(key).or_insert(Tries { failures: 0, last: now });
        if now.saturating_sub(tries.last) >= FORGIVEN {
            tries.failures = 0;
        }
        tries.failures = tries.failures.saturating_add(1);
        tries.last = now;
    }

    fn take_back(&mut self, key: &K) {
        if let Some(tries) = self.known.get_mut(key) {
            tries.failures = tries.failures.saturating_sub(1);
        }
    }

    fn make_room(&mut self, now: Duration) {
        self.known.retain(|_, tries| now.saturating_sub(tries.last) < FORGIVEN);
        while self.known.len() >= REMEMBERED {
            let oldest = self.known.iter().min_by_key(|(_, tries)| tries.last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.known.remove(&oldest);
        }
    }
}

impl<K, const FREE: u32, const LONGEST: u64> Default for Meter<K, FREE, LONGEST> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 /64.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(prefix).into()
        }
        v4 => v4,
    }
}
