//! What the tools need of their own host.

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::IpAddr;

/// Allows as many open files as this machine lets a process have.
pub fn many_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// The host's own addresses.
pub fn addresses() -> Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for interface in nix::ifaddrs::getifaddrs()? {
        let Some(address) = interface.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            found.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            // A link-local address needs a scope to be bound to; nobody asks for one.
            if v6.ip().segments()[0] != 0xfe80 {
                found.push(IpAddr::V6(v6.ip()));
            }
        }
    }
    Ok(found)
}

/// A number that tells apart what was sent from what something else sent.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
