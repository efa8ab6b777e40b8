//! Errors as clients see them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Body {
    /// What is wrong, and with what.
    pub error: String,
    /// What to do.
    pub remedy: String,
    /// Findings in a configuration, where that is what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One finding in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// `error`, `warning` or `note`. Nothing with an error is applied.
    pub severity: Severity,
    /// The place as a JSON pointer (RFC 6901) into the configuration, for example
    /// `/service/0/real_server/1/weight`; empty for the whole.
    pub pointer: String,
    /// The key as an operator would say it, for example `service[WEB].ports`.
    pub key: String,
    /// Line of the text, from 1; `null` where no one line is at fault.
    pub line: Option<u32>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, and will not do what was probably meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is said.
    pub body: Body,
    /// Seconds after which trying again makes sense (`Retry-After`).
    pub retry_after: Option<u64>,
}

impl Problem {
    /// An answer without findings.
    pub fn new(status: StatusCode, error: impl Into<String>, remedy: impl Into<String>) -> Self {
        let body = Body { error: error.into(), remedy: remedy.into(), findings: Vec::new() };
        Self { status, body, retry_after: None }
    }

    /// 400: the request itself is at fault.
    pub fn malformed(error: impl Into<String>) -> Self {
        let remedy = "see the description of this operation at /api/v1/openapi.json";
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }

    /// 404: there is nothing of that name.
    pub fn not_found(error: impl Into<String>, remedy: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, remedy)
    }

    /// 409: it contradicts what is the case.
    pub fn conflict(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error, remedy)
    }

    /// 422: a configuration with errors in it.
    pub fn findings(findings: Vec<Finding>) -> Self {
        let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
        let what = match errors {
            1 => "the configuration has an error; nothing was applied".into(),
            n => format!("the configuration has {n} errors; nothing was applied"),
        };
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, what, "each finding says what to write");
        problem.body.findings = findings;
        problem
    }

    /// 503: it cannot be done now.
    pub fn unavailable(error: impl Into<String>) -> Self {
        let remedy = "see the log of fulcrum run; what died is started again by itself";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error, remedy)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    }
}
