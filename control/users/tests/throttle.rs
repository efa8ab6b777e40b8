//! What guessing costs, against a plain model of the rules.

use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;
use users::Throttle;

const HOUR: u64 = 3_600;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Attempts that are admitted within a time, by somebody who tries again at once, always in vain.
fn guesses(
    throttle: &mut Throttle,
    seconds: u64,
    mut who: impl FnMut(u64) -> (IpAddr, String),
) -> u64 {
    let mut admitted = 0;
    for tick in 0..seconds * 10 {
        let (from, name) = who(tick);
        let now = Duration::from_millis(tick * 100);
        admitted += u64::from(throttle.admit(from, &name, now).is_ok());
    }
    admitted
}

#[test]
fn an_hour_of_guessing_is_worth_a_few_guesses() {
    let here = ip("192.0.2.7");
    // 5 free ones, 1 + 2 + … + 256 s, then one each 5 min.
    let one = guesses(&mut Throttle::default(), HOUR, |_| (here, "ann".into()));
    assert!((20..=26).contains(&one), "{one}");
    let list = guesses(&mut Throttle::default(), HOUR, |t| (here, format!("user{t}")));
    assert!((33..=42).contains(&list), "{list}");
    // From everywhere: one each 10 s at most. The user waits no longer than that.
    let everywhere = |t: u64| (IpAddr::from([10, 0, (t >> 8) as u8, t as u8]), "ann".into());
    let all = guesses(&mut Throttle::default(), HOUR, everywhere);
    assert!((380..=430).contains(&all), "{all}");
}

#[test]
fn an_ipv6_network_is_one_place_and_mapped_addresses_are_ipv4() {
    let mut throttle = Throttle::default();
    let all =
        guesses(&mut throttle, HOUR, |t| (ip(&format!("2001:db8::{:x}", t + 1)), "ann".into()));
    assert!((20..=26).contains(&all), "{all}");
    let now = Duration::from_secs(HOUR);
    assert!(throttle.admit(ip("2001:db8:0:1::1"), "otto", now).is_ok());
    for _ in 0..5 {
        assert!(throttle.admit(ip("::ffff:192.0.2.7"), "eve", now).is_ok());
    }
    assert_eq!(throttle.admit(ip("192.0.2.7"), "eve", now), Err(Duration::from_secs(1)));
}

#[test]
fn being_right_forgives_and_so_does_time() {
    let mut throttle = Throttle::default();
    let (here, now) = (ip("192.0.2.7"), Duration::from_secs(100));
    for _ in 0..1_000 {
        throttle.admit(here, "ann", now).unwrap();
        throttle.succeeded(here, "ann");
    }
    for _ in 0..5 {
        throttle.admit(here, "ann", now).unwrap();
    }
    assert_eq!(throttle.admit(here, "ann", now), Err(Duration::from_secs(1)));
    let later = now + Duration::from_secs(15 * 60);
    for _ in 0..5 {
        throttle.admit(here, "ann", later).unwrap();
    }
    assert!(throttle.admit(here, "ann", later).is_err());
}

proptest! {
    /// Whoever always waits as long as they are told is always admitted then.
    #[test]
    fn nobody_is_locked_out(tries in prop::collection::vec((0_u8..4, 0_u8..4, 0_u64..5_000), 1..300)) {
        let mut throttle = Throttle::default();
        let mut now = Duration::ZERO;
        for (place, name, wait) in tries {
            now += Duration::from_millis(wait);
            let (from, name) = (IpAddr::from([10, 0, 0, place]), format!("user{name}"));
            if let Err(wait) = throttle.admit(from, &name, now) {
                prop_assert!(wait <= Duration::from_secs(300));
                prop_assert!(throttle.admit(from, &name, now + wait - Duration::from_nanos(1)).is_err());
                now += wait;
                prop_assert!(throttle.admit(from, &name, now).is_ok());
            }
        }
    }

    /// Memory is bounded, and a flood of names does not free the one who floods.
    #[test]
    fn a_flood_frees_nobody(seed in any::<u32>()) {
        let mut throttle = Throttle::default();
        let here = ip("192.0.2.7");
        let now = Duration::from_secs(1);
        for _ in 0..5 {
            throttle.admit(here, "ann", now).unwrap();
        }
        let admitted = (0..10_000_u32)
            .filter(|n| throttle.admit(here, &format!("{}", n ^ seed), now).is_ok())
            .count();
        prop_assert!(admitted <= 20);
        prop_assert!(throttle.admit(here, "ann", now).is_err());
    }
}
