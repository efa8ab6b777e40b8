//! All operations behind one gate, and their document.

use crate::paths::{self, Behind};
use crate::problem::Problem;
use crate::role::{Caller, is_open, needed};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use users::Role;
use utoipa::openapi::{Info, OpenApi};
use utoipa_axum::router::OpenApiRouter;

/// Says who calls, and writes down what they did.
#[async_trait::async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whose request from there has these headers.
    ///
    /// # Errors
    /// 401 when it is nobody's, 429 when somebody tries too often.
    async fn caller(&self, from: Option<Peer>, headers: &HeaderMap) -> Result<Caller, Problem>;
    /// Something was done, or refused to a caller. Reading is not told. Of those that it did not let
    /// in the gate knows itself, and of those that log in whoever lets them.
    async fn done(&self, done: Done);
}

/// What the audit log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Who.
    pub who: String,
    /// From where; `None` is the local socket.
    pub from: Option<Peer>,
    /// Method and path.
    pub action: String,
    /// What came of it.
    pub outcome: StatusCode,
}

/// Where a request comes from. Whoever serves [`router`] over a network puts it among the request's
/// extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Every operation; callers come through `gate`.
pub fn router(behind: Behind, gate: Arc<dyn Gate>) -> Router {
    let (router, document) =
        OpenApiRouter::with_openapi(about()).merge(paths::all()).split_for_parts();
    let document = Arc::new(described(document));
    let serve = axum::routing::get(move || {
        let document = document.clone();
        async move { Json((*document).clone()) }
    });
    router
        .route("/api/v1/openapi.json", serve)
        .method_not_allowed_fallback(|| async {
            let what = "this path has no such method";
            let remedy = "see /api/v1/openapi.json for what it has";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, what, remedy)
        })
        .layer(middleware::from_fn_with_state(gate.clone(), guard))
        .fallback(|| async {
            Problem::not_found("no such path", "see /api/v1/openapi.json for what there is")
        })
        .layer(middleware::from_fn(to_the_end))
        .with_state(behind)
}

/// The OpenAPI 3.1 document, as it is served.
pub fn document() -> Value {
    let (_, document) =
        OpenApiRouter::<Behind>::with_openapi(about()).merge(paths::all()).split_for_parts();
    described(document)
}

fn about() -> OpenApi {
    let mut info = Info::new("Fulcrum", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Everything that the command line and the user interface do is an operation here.".into(),
    );
    OpenApi::new(info, utoipa::openapi::Paths::new())
}

/// With what the derived document does not say: who may call, and how they prove who they are.
fn described(document: OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer",
            "description": "An API token (`fulcrum token add`), or a session's text"},
        "password": {"type": "http", "scheme": "basic"},
    });
    document["security"] = json!([{"token": []}, {"password": []}]);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let method = method.to_uppercase().parse().unwrap_or_default();
            match is_open(&method, path) {
                true => operation["security"] = json!([]),
                false => operation["x-role"] = json!(needed(&method, path).text()),
            }
        }
    }
    document
}

/// Nobody passes without a name but to get one, nobody does what their role does not allow, and nothing is done
/// that is not written down.
async fn guard(State(gate): State<Arc<dyn Gate>>, mut request: Request, next: Next) -> Response {
    let from = request.extensions().get().copied();
    let reading = request.method().is_safe();
    let action = format!("{} {}", request.method(), request.uri().path());
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if is_open(request.method(), path) {
        return next.run(request).await;
    }
    let caller = match gate.caller(from, request.headers()).await {
        Ok(caller) => caller,
        Err(problem) => return challenged(problem),
    };
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let least = needed(request.method(), path);
    let who = caller.name.clone();
    let response = if caller.role < least {
        forbidden(&caller, least)
    } else {
        request.extensions_mut().insert(caller);
        next.run(request).await
    };
    let outcome = response.status();
    if !reading || outcome == StatusCode::FORBIDDEN {
        gate.done(Done { who, from, action, outcome }).await;
    }
    response
}

fn forbidden(caller: &Caller, least: Role) -> Response {
    let Caller { name, role, .. } = caller;
    let what = format!("{name} is a {}, this needs the role {}", role.text(), least.text());
    let remedy = "ask an administrator: `fulcrum user role NAME ROLE`";
    Problem::new(StatusCode::FORBIDDEN, what, remedy).into_response()
}

fn challenged(problem: Problem) -> Response {
    let unknown = problem.status == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if unknown {
        let challenge = axum::http::HeaderValue::from_static("Bearer, Basic realm=\"Fulcrum\"");
        response.headers_mut().insert("www-authenticate", challenge);
    }
    response
}

/// What was begun is finished, whether or not the client still waits: half a conversation with
/// the data plane would cost the next client its answer.
async fn to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let what = "the request failed inside of control";
            let remedy = "this is a bug; please report it with the log of fulcrum run";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what, remedy).into_response()
        }
    }
}
