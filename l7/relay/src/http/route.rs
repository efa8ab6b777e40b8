//! The way to a real server: what two connections must have in common to be the same to a
//! request.

use crate::plan::{Server, Service};
use l7_api::{ServerId, Source};
use rustls::pki_types::DnsName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// See the module. A connection by one route never carries a request that goes by another: what
/// was verified of the real server was verified for that policy and that name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose.
    pub server: ServerId,
    /// Its address, and the port, which may be the one that the client came to.
    pub to: SocketAddr,
    /// Our own address, where it is the one that the client came to.
    vip: Option<IpAddr>,
    /// Number of the policy of TLS; `None` is without.
    tls: Option<u64>,
    /// The name asked for, if it is the client's.
    name: Option<Arc<str>>,
}

impl Route {
    /// To this server, for a client that came to `vip` and asked for this name.
    pub fn new(service: &Service, server: &Server, vip: SocketAddr, name: Option<&str>) -> Self {
        let asks = server.tls.as_ref().is_some_and(|tls| tls.asks_for_the_clients_name());
        Self {
            server: server.config.id,
            to: SocketAddr::new(server.config.address, server.config.port.unwrap_or(vip.port())),
            vip: (service.config.source == Source::Vip).then(|| vip.ip()),
            tls: server.policy(),
            name: name.filter(|_| asks).and_then(host_name),
        }
    }

    /// Without TLS, but for a name.
    #[cfg(test)]
    pub fn of(server: ServerId, to: SocketAddr, name: Option<&str>) -> Self {
        Self { server, to, vip: None, tls: None, name: name.map(Into::into) }
    }

    /// The client's name to ask for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Server and policy, as [`Server::policy`] has it.
    pub fn policy(&self) -> (ServerId, Option<u64>) {
        (self.server, self.tls)
    }
}

/// A name as real servers are asked for it; `None` for an address or nonsense.
fn host_name(name: &str) -> Option<Arc<str>> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    DnsName::try_from(name.as_str()).ok()?;
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_any_case_and_addresses_are_none() {
        assert_eq!(host_name("A.Example.").as_deref(), Some("a.example"));
        for none in ["", "10.0.0.1", "[::1]", "::1", "a b", "a..b", "ä"] {
            assert_eq!(host_name(none), None, "{none:?}");
        }
    }
}
