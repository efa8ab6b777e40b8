//! The API under `/api/v1`, over a Unix socket that only root can open.

use crate::core::Core;
use crate::views;
use anyhow::{Context, Result};
use api::Reply;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lower::RealServerKey;
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::Mutex;

/// Control's state as handlers share it.
pub type Shared = Arc<Mutex<Core>>;

/// Rows of one page of connections, unless asked otherwise.
const PAGE: u32 = 1_000;

/// An error as clients see it: what is wrong, and what to do.
struct Problem(StatusCode, String, &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1, "remedy": self.2}))).into_response()
    }
}

type Answer = Result<Json<serde_json::Value>, Problem>;

/// Every route.
pub fn router(core: Shared) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/services", get(services))
        .route("/api/v1/connections", get(connections))
        .route("/api/v1/counters", get(counters))
        .route("/api/v1/services/{service}/real-servers/{real_server}/{action}", post(request))
        .method_not_allowed_fallback(|| async {
            let what = "this path has no such method".to_owned();
            Problem(StatusCode::METHOD_NOT_ALLOWED, what, "GET to look, POST to ask for a state")
        })
        .fallback(|| async {
            Problem(StatusCode::NOT_FOUND, "no such path".into(), "see the API's description")
        })
        .layer(middleware::from_fn(to_the_end))
        .with_state(core)
}

/// What was begun is finished, whether or not the client still waits: half a conversation with
/// the data plane would cost the next client its answer.
async fn to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let what = "the request failed inside of control".to_owned();
            let remedy = "this is a bug; please report it with the log of fulcrum run";
            Problem(StatusCode::INTERNAL_SERVER_ERROR, what, remedy).into_response()
        }
    }
}

/// Serves the API until the task is dropped.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(path: &std::path::Path, core: Shared) -> Result<()> {
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    axum::serve(listener, router(core)).await?;
    Ok(())
}

async fn status(State(core): State<Shared>) -> Answer {
    let mut core = core.lock().await;
    let plane = match core.plane.ask(&api::Request::Status).await {
        Ok(Reply::Status(status)) => Some(status),
        _ => None,
    };
    Ok(Json(views::status(&core, plane.as_ref())))
}

async fn services(State(core): State<Shared>) -> Answer {
    let mut core = core.lock().await;
    // Without a data plane the list is still worth showing.
    let counters = core.counters().await.unwrap_or_default();
    Ok(Json(views::services(&core, &counters)))
}

async fn counters(State(core): State<Shared>) -> Answer {
    let mut core = core.lock().await;
    let counters = core.counters().await.map_err(unavailable)?;
    Ok(Json(views::counters(&core, &counters)))
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<u32>,
    limit: Option<u32>,
}

async fn connections(
    State(core): State<Shared>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let Query(page) = page.map_err(|e| malformed(e.body_text()))?;
    let mut core = core.lock().await;
    let request = api::Request::Connections {
        cursor: page.cursor.unwrap_or(0),
        limit: page.limit.unwrap_or(PAGE),
    };
    match core.plane.ask(&request).await.map_err(unavailable)? {
        Reply::Connections { rows, next } => Ok(Json(views::connections(&core, &rows, next))),
        _ => Err(unavailable(anyhow::anyhow!("the data plane answered something else"))),
    }
}

async fn request(
    State(core): State<Shared>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answer {
    let Path((service, real_server, action)) = path.map_err(|e| malformed(e.body_text()))?;
    let states = config::State::WORDS;
    let Some((_, state)) = states.iter().find(|(word, _)| *word == action) else {
        let what = format!("{action:?} cannot be asked of a real server");
        return Err(Problem(StatusCode::NOT_FOUND, what, "ask for online, drain or halt"));
    };
    let mut core = core.lock().await;
    let known =
        core.config.service(&service).is_some_and(|s| s.real_server(&real_server).is_some());
    if !known {
        let what = format!("there is no real server {real_server:?} in a service {service:?}");
        return Err(Problem(StatusCode::NOT_FOUND, what, "see the list of services"));
    }
    let key = RealServerKey::new(&service, &real_server);
    let generation = core.request(key, *state).await.map_err(unavailable)?;
    Ok(Json(json!({
        "service": service, "real_server": real_server, "requested": action,
        "generation": generation,
    })))
}

fn malformed(what: String) -> Problem {
    Problem(StatusCode::BAD_REQUEST, what, "numbers in decimal, names in percent-encoded UTF-8")
}

fn unavailable(e: anyhow::Error) -> Problem {
    Problem(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{e:#}"),
        "see the log of fulcrum run; the data plane is restarted by itself when it dies",
    )
}
