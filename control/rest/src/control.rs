//! What the API needs of the process behind it.

use crate::problem::Problem;
use crate::types::*;
use tokio::sync::broadcast;

/// What control can be asked. One implementation runs a node; tests have another.
#[async_trait::async_trait]
pub trait Control: Send + Sync + 'static {
    /// Is all well?
    async fn status(&self) -> Result<Status, Problem>;
    /// Every service with its real servers, or those from `cursor` on.
    async fn services(&self, page: Page) -> Result<Services, Problem>;
    /// One service.
    async fn service(&self, name: &str) -> Result<Service, Problem>;
    /// Connections from `cursor` on.
    async fn connections(&self, page: Page) -> Result<Connections, Problem>;
    /// What became of every packet.
    async fn counters(&self) -> Result<Counters, Problem>;
    /// An operator wants something of a real server.
    async fn request(
        &self,
        who: &str,
        service: &str,
        real_server: &str,
        state: Requested,
    ) -> Result<RequestNoted, Problem>;
    /// Looks at a configuration; nothing is kept of it.
    async fn check(&self, text: &str) -> Result<Checked, Problem>;
    /// What a configuration would change.
    async fn plan(&self, text: &str) -> Result<Plan, Problem>;
    /// The last events.
    async fn events(&self) -> Result<Events, Problem>;
    /// Events from now on.
    async fn follow(&self) -> broadcast::Receiver<Event>;
}
