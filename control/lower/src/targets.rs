//! Health checks to run, each once however many services ask for it.

use crate::observed::RealServerKey;
use config::{Check, Config, Probe};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One check. Its verdict is every user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckTarget {
    /// Whom to ask.
    pub address: IpAddr,
    /// What to ask: never [`Probe::On`] or [`Probe::Off`].
    pub probe: Probe,
    /// Our address to ask from; `None` leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// From one check's begin to the next one's.
    pub interval: Duration,
    /// The same while a change is under way.
    pub fast_interval: Duration,
    /// No answer for this long is a failure.
    pub timeout: Duration,
    /// Successes in a row until up.
    pub rise: u32,
    /// Failures in a row until down.
    pub fall: u32,
    /// Mere connections between two probes.
    pub connects: u32,
    /// The virtual address of the first user's service, for probes that want to know.
    pub vip: IpAddr,
    /// Whether the real server is asked at that virtual address.
    pub at_vip: bool,
    /// Who wants to know, in file order.
    pub users: Vec<RealServerKey>,
}

/// All checks of `config`, in no meaningful but a stable order. Real servers with checks `on` and
/// `off` have none.
pub fn checks(config: &Config) -> Vec<CheckTarget> {
    let mut targets: BTreeMap<_, CheckTarget> = BTreeMap::new();
    for service in &config.services {
        for real_server in &service.real_servers {
            let Check {
                probe,
                interval,
                fast_interval,
                timeout,
                rise,
                fall,
                connects,
                vip: at_vip,
                source,
            } = real_server.check.clone();
            // A program is told the virtual address, so that two services are two questions.
            let vip = match &probe {
                Probe::On | Probe::Off => continue,
                Probe::Command(_) => Some(service.address),
                _ => at_vip.then_some(service.address),
            };
            let address = real_server.address;
            let times = (interval, fast_interval, timeout, rise, fall, connects);
            let target = targets.entry((address, probe.clone(), source, times, vip));
            let target = target.or_insert_with(|| CheckTarget {
                address,
                probe,
                source,
                interval,
                fast_interval,
                timeout,
                rise,
                fall,
                connects,
                vip: service.address,
                at_vip,
                users: Vec::new(),
            });
            target.users.push(RealServerKey::new(&service.name, &real_server.name));
        }
    }
    targets.into_values().collect()
}
