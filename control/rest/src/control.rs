//! What the API needs of the process behind it.

use crate::problem::Problem;
use crate::role::Caller;
use crate::router::Peer;
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
    /// Clients that a service remembers, from `cursor` on.
    async fn persistence(&self, service: &str, page: Page) -> Result<Persistence, Problem>;
    /// Clients that a service remembers are forgotten. Connections go on.
    async fn forget(&self, who: &str, service: &str, which: Forget) -> Result<Forgotten, Problem>;
    /// What became of every packet.
    async fn counters(&self) -> Result<Counters, Problem>;
    /// Prometheus' view: the media type, and the text. `query` is the request's, undecoded;
    /// `accept` its header of that name.
    async fn metrics(&self, query: &str, accept: &str) -> Result<(&'static str, String), Problem>;
    /// An operator wants something of a real server.
    async fn request(
        &self,
        who: &str,
        service: &str,
        real_server: &str,
        state: Requested,
    ) -> Result<RequestNoted, Problem>;
    /// The configuration in force.
    async fn config(&self) -> Result<ConfigText, Problem>;
    /// Looks at a configuration; nothing is kept of it.
    async fn check(&self, text: &str) -> Result<Checked, Problem>;
    /// What a configuration would change.
    async fn plan(&self, text: &str) -> Result<Plan, Problem>;
    /// Applies a configuration, if the one in force is still `expected` (where that is given).
    async fn apply(
        &self,
        who: &str,
        candidate: Candidate,
        expected: Option<u64>,
    ) -> Result<Applied, Problem>;
    /// What edits would make of the configuration, if the one in force is still `expected`.
    async fn edit(&self, edits: Edits, expected: Option<u64>) -> Result<Edited, Problem>;
    /// Applies edits, if the configuration in force is still `expected`.
    async fn patch(
        &self,
        who: &str,
        patch: Patch,
        expected: Option<u64>,
    ) -> Result<Applied, Problem>;
    /// The applied revision stays.
    async fn confirm(&self, who: &str) -> Result<Revision, Problem>;
    /// Back to an earlier revision.
    async fn rollback(&self, who: &str, rollback: Rollback) -> Result<Applied, Problem>;
    /// Revisions, newest first.
    async fn revisions(&self, page: Page) -> Result<Revisions, Problem>;
    /// One revision.
    async fn revision(&self, number: u64) -> Result<RevisionText, Problem>;
    /// All certificates.
    async fn certificates(&self) -> Result<CertificateList, Problem>;
    /// One certificate.
    async fn certificate(&self, name: &str) -> Result<CertificateText, Problem>;
    /// Files are taken under a name.
    async fn import_certificate(
        &self,
        who: &str,
        name: &str,
        upload: CertificateUpload,
    ) -> Result<CertificateKept, Problem>;
    /// A new key, and a request for its certificate.
    async fn request_certificate(
        &self,
        who: &str,
        name: &str,
        request: NewRequest,
    ) -> Result<RequestMade, Problem>;
    /// A new key with a certificate that signs itself.
    async fn sign_certificate(
        &self,
        who: &str,
        name: &str,
        new: NewSelfSigned,
    ) -> Result<CertificateKept, Problem>;
    /// Removes what there is under a name.
    async fn remove_certificate(&self, who: &str, name: &str) -> Result<Nothing, Problem>;
    /// All users.
    async fn users(&self) -> Result<Users, Problem>;
    /// A new user.
    async fn add_user(&self, user: NewUser) -> Result<User, Problem>;
    /// Another password. The first user of all is made by it, as an administrator.
    async fn set_password(&self, user: &str, password: NewPassword) -> Result<User, Problem>;
    /// Another role.
    async fn set_role(&self, user: &str, role: NewRole) -> Result<User, Problem>;
    /// Removes a user with their tokens.
    async fn remove_user(&self, user: &str) -> Result<Nothing, Problem>;
    /// All tokens.
    async fn tokens(&self) -> Result<Tokens, Problem>;
    /// A new token.
    async fn add_token(&self, token: NewToken) -> Result<TokenMade, Problem>;
    /// Removes a token.
    async fn remove_token(&self, token: &str) -> Result<Nothing, Problem>;
    /// Somebody gives a name and a password for a session.
    async fn log_in(&self, from: Option<Peer>, login: Login) -> Result<SessionMade, Problem>;
    /// The caller's session ends.
    async fn log_out(&self, caller: &Caller) -> Result<Nothing, Problem>;
    /// All sessions.
    async fn sessions(&self) -> Result<Sessions, Problem>;
    /// Ends anybody's session.
    async fn end_session(&self, number: u64) -> Result<Nothing, Problem>;
    /// What was done lately, and by whom.
    async fn audit(&self) -> Result<AuditLog, Problem>;
    /// The last events.
    async fn events(&self) -> Result<Events, Problem>;
    /// Events from now on.
    async fn follow(&self) -> broadcast::Receiver<Event>;
}
