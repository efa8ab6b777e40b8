//! All operations behind one gate, and their document.

use crate::paths::{self, Behind};
use crate::problem::Problem;
use crate::role::{Caller, Role};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::openapi::{Info, OpenApi};
use utoipa_axum::router::OpenApiRouter;

/// Says who calls.
#[async_trait::async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whose request has these headers.
    ///
    /// # Errors
    /// 401 when it is nobody's, 429 when somebody tries too often.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem>;
}

/// A gate for a socket that only root can open: everybody is root.
pub struct Root;

#[async_trait::async_trait]
impl Gate for Root {
    async fn caller(&self, _: &HeaderMap) -> Result<Caller, Problem> {
        Ok(Caller { name: "root".into(), role: Role::Admin })
    }
}

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
            "description": "An API token: `fulcrum user token`"},
        "password": {"type": "http", "scheme": "basic"},
    });
    document["security"] = json!([{"token": []}, {"password": []}]);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let method = method.to_uppercase().parse().unwrap_or_default();
            operation["x-role"] = json!(Role::needed(&method, path).text());
        }
    }
    document
}

/// Nobody passes without a name, and nobody does what their role does not allow.
async fn guard(State(gate): State<Arc<dyn Gate>>, mut request: Request, next: Next) -> Response {
    let caller = match gate.caller(request.headers()).await {
        Ok(caller) => caller,
        Err(problem) => return challenged(problem),
    };
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let needed = Role::needed(request.method(), path);
    if caller.role < needed {
        let what = format!(
            "{} is a {}, this needs the role {}",
            caller.name,
            caller.role.text(),
            needed.text()
        );
        let remedy = "ask an administrator: `fulcrum user role NAME ROLE`";
        return Problem::new(StatusCode::FORBIDDEN, what, remedy).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
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
