//! The whole plan.

use crate::hash::Set;
use crate::{
    Address, BackendPlan, PlanError, PortPlan, Service, Short, compile, directory::Directory,
};
use api::{BackendId, PortId, ServiceId, Snapshot};

/// Everything the packet path forwards by, immutable.
#[derive(Debug)]
pub struct Plan {
    pub(crate) generation: u64,
    pub(crate) ports: Vec<PortPlan>,
    pub(crate) directory: Directory,
    /// By service number.
    pub(crate) services: Vec<Option<Box<Service>>>,
    /// By backend number.
    pub(crate) backends: Vec<Option<BackendPlan>>,
    /// The short form of each.
    pub(crate) shorts: Vec<Short>,
    pub(crate) two_way_servers: Set<Address>,
    pub(crate) any_local: bool,
    pub(crate) any_tunnel: bool,
}

impl Plan {
    /// Checks a snapshot and builds its tables.
    pub fn compile(snapshot: &Snapshot) -> Result<Self, PlanError> {
        compile::plan(snapshot, None)
    }

    /// Like [`Plan::compile`], taking over the tables of services whose candidates did not change
    /// (a large Maglev table takes milliseconds to fill).
    pub fn compile_after(snapshot: &Snapshot, previous: &Self) -> Result<Self, PlanError> {
        compile::plan(snapshot, Some(previous))
    }

    /// The snapshot's number.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// One of our ports.
    pub fn port(&self, port: PortId) -> Option<&PortPlan> {
        self.ports.get(usize::from(port))
    }

    /// The service that has this address, protocol (6 or 17) and port.
    pub fn service(&self, address: &Address, protocol: u8, port: u16) -> Option<&Service> {
        self.service_by_id(self.directory.service(address, protocol, port)?)
    }

    /// The service of this number.
    pub fn service_by_id(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(usize::from(id))?.as_deref()
    }

    /// The backend of this number.
    pub fn backend(&self, id: BackendId) -> Option<&BackendPlan> {
        self.backends.get(id as usize)?.as_ref()
    }

    /// What common packets of established connections need to know of backends, by number.
    #[inline]
    pub fn shorts(&self) -> &[Short] {
        &self.shorts
    }

    /// Whether any service has this address.
    pub fn is_virtual(&self, address: &Address) -> bool {
        self.directory.has_address(address)
    }

    /// Whether this is the address of a real server whose replies pass through us.
    pub fn is_two_way_server(&self, address: &Address) -> bool {
        self.two_way_servers.contains(address)
    }

    /// Whether replies may come from our own host (a local fallback exists).
    pub const fn any_local(&self) -> bool {
        self.any_local
    }

    /// Whether any backend is behind a tunnel.
    pub const fn any_tunnel(&self) -> bool {
        self.any_tunnel
    }
}
