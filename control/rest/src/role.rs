//! Who may call what.

use axum::http::Method;
use users::Role;

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their name, for the list of revisions and the audit log.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The number of their session, where they came with one.
    pub session: Option<u64>,
}

/// Paths that only administrators may even read.
const ADMINS_OWN: &[&str] =
    &["/api/v1/users", "/api/v1/tokens", "/api/v1/sessions", "/api/v1/audit"];

/// Whether an operation is for whoever asks: it is how they prove who they are.
pub fn is_open(method: &Method, path: &str) -> bool {
    (method, path) == (&Method::POST, "/api/v1/sessions")
}

/// The least role for an operation, by its path as the document has it. What is not named here is
/// for administrators. To be asked only where [`is_open`] says no.
pub fn needed(method: &Method, path: &str) -> Role {
    match (method, path) {
        // A look at a candidate changes nothing, but its text may hold what a viewer's own
        // configuration view does not.
        (&Method::POST, "/api/v1/config/check" | "/api/v1/config/plan" | "/api/v1/config/edit") => {
            Role::Operator
        }
        (&Method::POST, "/api/v1/services/{service}/real-servers/{real_server}/{action}") => {
            Role::Operator
        }
        (&Method::DELETE, "/api/v1/services/{service}/persistence") => Role::Operator,
        // Whoever came in may go.
        (&Method::DELETE, "/api/v1/sessions/current") => Role::Viewer,
        (&Method::GET, path) if !ADMINS_OWN.iter().any(|own| path.starts_with(own)) => Role::Viewer,
        _ => Role::Admin,
    }
}
