//! Who may call what.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do; each role may do what those before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Take real servers out of service and back in.
    Operator,
    /// Everything.
    Admin,
}

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their name, for the list of revisions and the audit log.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

impl Role {
    /// The word for it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The least role for an operation, by its path as the document has it. What is not named here
    /// is for administrators.
    pub fn needed(method: &Method, path: &str) -> Self {
        match (method, path) {
            // A look at a candidate changes nothing, but its text may hold what a viewer's own
            // configuration view does not.
            (&Method::POST, "/api/v1/config/check" | "/api/v1/config/plan") => Self::Operator,
            (&Method::POST, "/api/v1/services/{service}/real-servers/{real_server}/{action}") => {
                Self::Operator
            }
            (&Method::GET, path) if !path.starts_with("/api/v1/users") => Self::Viewer,
            _ => Self::Admin,
        }
    }
}
