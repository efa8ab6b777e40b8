//! Health checks to run, each once however many services ask for it.

use crate::observed::RealServerKey;
use config::{Config, Probe};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One connect check. Its verdict is every user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckTarget {
    /// Where to connect to.
    pub address: IpAddr,
    /// TCP port there.
    pub port: u16,
    /// Our address to connect from; `None` leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// From one check's begin to the next one's.
    pub interval: Duration,
    /// No answer for this long is a failure.
    pub timeout: Duration,
    /// Successes in a row until up.
    pub rise: u32,
    /// Failures in a row until down.
    pub fall: u32,
    /// Who wants to know, in file order.
    pub users: Vec<RealServerKey>,
}

/// All checks of `config`, in no meaningful but a stable order. Real servers with checks `on` and
/// `off` have none.
pub fn checks(config: &Config) -> Vec<CheckTarget> {
    let mut targets: BTreeMap<_, CheckTarget> = BTreeMap::new();
    for service in &config.services {
        for real_server in &service.real_servers {
            let check = real_server.check;
            let Probe::Connect { port } = check.probe else { continue };
            let config::Check { interval, timeout, rise, fall, source, .. } = check;
            let address = real_server.address;
            let what = (address, port, source, interval, timeout, rise, fall);
            let target = targets.entry(what).or_insert_with(|| CheckTarget {
                address,
                port,
                source,
                interval,
                timeout,
                rise,
                fall,
                users: Vec::new(),
            });
            target.users.push(RealServerKey::new(&service.name, &real_server.name));
        }
    }
    targets.into_values().collect()
}
