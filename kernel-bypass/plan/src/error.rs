//! Why a snapshot cannot be forwarded by. The guilty party is always whoever made the snapshot.

use api::{MAX_BACKENDS, MAX_PORTS, MAX_SERVICES};

/// What is wrong with a snapshot. The plan in use stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// More ports than an entry's four bits can name.
    #[error("{0} ports, at most {MAX_PORTS} are possible")]
    TooManyPorts(usize),
    /// More services than an entry can name.
    #[error("{0} services, at most {MAX_SERVICES} are possible")]
    TooManyServices(usize),
    /// A service number out of bounds.
    #[error("service {name}: number {id} is not below {MAX_SERVICES}")]
    ServiceNumber {
        /// The service.
        name: String,
        /// Its number.
        id: u16,
    },
    /// Two services with one number.
    #[error("service {name}: number {id} belongs to service {other} too")]
    DuplicateService {
        /// The service.
        name: String,
        /// The number.
        id: u16,
        /// The one that came first.
        other: String,
    },
    /// A backend number out of bounds.
    #[error("service {service}, real server {name}: number {id} is not below {MAX_BACKENDS}")]
    BackendNumber {
        /// The service.
        service: String,
        /// The real server.
        name: String,
        /// Its number.
        id: u32,
    },
    /// Two backends with one number.
    #[error("service {service}, real server {name}: number {id} is given twice")]
    DuplicateBackend {
        /// The service.
        service: String,
        /// The real server.
        name: String,
        /// The number.
        id: u32,
    },
    /// A service without ports, or a range whose last port is below its first.
    #[error("service {service}: no ports, or an empty port range")]
    EmptyPorts {
        /// The service.
        service: String,
    },
    /// A service without a transport protocol.
    #[error("service {service}: neither TCP nor UDP")]
    NoProtocol {
        /// The service.
        service: String,
    },
    /// One address, protocol and port that two services (or two ranges of one) claim.
    #[error("services {first} and {second} both claim {address} protocol {protocol} port {port}")]
    Overlap {
        /// One service.
        first: String,
        /// The other.
        second: String,
        /// The virtual address.
        address: std::net::IpAddr,
        /// 6 or 17.
        protocol: u8,
        /// The lowest port that both claim.
        port: u16,
    },
    /// A hop by a port that the snapshot does not have.
    #[error("service {service}, real server {name}: there is no port {port}")]
    HopPort {
        /// The service.
        service: String,
        /// The real server.
        name: String,
        /// The port.
        port: u8,
    },
    /// A VLAN identifier that does not exist.
    #[error("service {service}, real server {name}: VLAN {vlan} is not within 1 to 4094")]
    Vlan {
        /// The service.
        service: String,
        /// The real server.
        name: String,
        /// The identifier.
        vlan: u16,
    },
    /// TUN mode without the outer header, or with addresses of two families in it.
    #[error("service {service}, real server {name}: no tunnel, or one of the wrong family")]
    Tunnel {
        /// The service.
        service: String,
        /// The real server.
        name: String,
    },
    /// A prefix length that the family does not have.
    #[error("service {service}: persistence mask longer than the address")]
    PersistenceMask {
        /// The service.
        service: String,
    },
    /// A SNAT pool address without a port.
    #[error("service {service}: empty port range in the SNAT pool")]
    EmptyPool {
        /// The service.
        service: String,
    },
}
