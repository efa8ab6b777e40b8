//! The operations. Each is documented where it is; the document is made of that.

mod certificates;
mod people;

use crate::control::Control;
use crate::problem::{Body, Problem};
use crate::role::Caller;
use crate::types::*;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::{self, Stream};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Largest body that is read, in bytes: a configuration of the largest size, escaped.
const MOST_BYTES: usize = 70 << 20;

/// What is behind the operations.
pub type Behind = Arc<dyn Control>;

type Answer<T> = Result<Json<T>, Problem>;

/// Every operation.
pub fn all() -> OpenApiRouter<Behind> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(services))
        .routes(routes!(service))
        .routes(routes!(request))
        .routes(routes!(connections))
        .routes(routes!(persistence, forget))
        .routes(routes!(counters))
        .routes(routes!(config, apply, patch))
        .routes(routes!(check))
        .routes(routes!(plan))
        .routes(routes!(edit))
        .routes(routes!(confirm))
        .routes(routes!(rollback))
        .routes(routes!(revisions))
        .routes(routes!(revision))
        .routes(routes!(schema))
        .routes(routes!(events))
        .routes(routes!(follow))
        .routes(routes!(metrics))
        .merge(certificates::all())
        .merge(people::all())
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// Is all well?
#[utoipa::path(get, path = "/api/v1/status", tag = "state",
    responses((status = 200, body = Status), (status = "default", body = Body)))]
async fn status(State(behind): State<Behind>) -> Answer<Status> {
    behind.status().await.map(Json)
}

/// Every service with its real servers.
#[utoipa::path(get, path = "/api/v1/services", tag = "state", params(Page),
    responses((status = 200, body = Services), (status = "default", body = Body)))]
async fn services(
    State(behind): State<Behind>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Services> {
    behind.services(paged(page)?).await.map(Json)
}

/// One service with its real servers.
#[utoipa::path(get, path = "/api/v1/services/{service}", tag = "state",
    params(("service" = String, Path, description = "The service's name")),
    responses((status = 200, body = Service), (status = "default", body = Body)))]
async fn service(
    State(behind): State<Behind>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<Service> {
    let Path(name) = name.map_err(|e| Problem::malformed(e.body_text()))?;
    behind.service(&name).await.map(Json)
}

/// Takes a real server out of service (`drain`, `halt`), or back in (`online`).
#[utoipa::path(post, path = "/api/v1/services/{service}/real-servers/{real_server}/{action}",
    tag = "state",
    params(("service" = String, Path, description = "The service's name"),
        ("real_server" = String, Path, description = "The real server's name"),
        ("action" = Requested, Path, description = "What is wanted of it")),
    responses((status = 200, body = RequestNoted), (status = "default", body = Body)))]
async fn request(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answer<RequestNoted> {
    let Path((service, real_server, action)) =
        path.map_err(|e| Problem::malformed(e.body_text()))?;
    let state = match action.as_str() {
        "online" => Requested::Online,
        "drain" => Requested::Drain,
        "halt" => Requested::Halt,
        _ => {
            let what = format!("{action:?} cannot be asked of a real server");
            return Err(Problem::not_found(what, "ask for online, drain or halt"));
        }
    };
    behind.request(&caller.name, &service, &real_server, state).await.map(Json)
}

/// Connections of both layers, page by page.
#[utoipa::path(get, path = "/api/v1/connections", tag = "state", params(Page),
    responses((status = 200, body = Connections), (status = "default", body = Body)))]
async fn connections(
    State(behind): State<Behind>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Connections> {
    behind.connections(paged(page)?).await.map(Json)
}

/// Clients that a service remembers, page by page.
#[utoipa::path(get, path = "/api/v1/services/{service}/persistence", tag = "state",
    params(("service" = String, Path, description = "The service's name"), Page),
    responses((status = 200, body = Persistence), (status = "default", body = Body)))]
async fn persistence(
    State(behind): State<Behind>,
    name: Result<Path<String>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Persistence> {
    let Path(name) = name.map_err(|e| Problem::malformed(e.body_text()))?;
    behind.persistence(&name, paged(page)?).await.map(Json)
}

/// Forgets clients that a service remembers. Connections go on; only where the next ones go is open
/// again.
#[utoipa::path(delete, path = "/api/v1/services/{service}/persistence", tag = "state",
    params(("service" = String, Path, description = "The service's name"), Forget),
    responses((status = 200, body = Forgotten), (status = "default", body = Body)))]
async fn forget(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    which: Result<Query<Forget>, QueryRejection>,
) -> Answer<Forgotten> {
    let Path(name) = name.map_err(|e| Problem::malformed(e.body_text()))?;
    let Query(which) = which.map_err(|e| Problem::malformed(e.body_text()))?;
    behind.forget(&caller.name, &name, which).await.map(Json)
}

/// What became of every packet, by port.
#[utoipa::path(get, path = "/api/v1/counters", tag = "state",
    responses((status = 200, body = Counters), (status = "default", body = Body)))]
async fn counters(State(behind): State<Behind>) -> Answer<Counters> {
    behind.counters().await.map(Json)
}

/// Prometheus' view, as text or as OpenMetrics. The query may name `scope`, `service` and `only`.
#[utoipa::path(get, path = "/metrics", tag = "state",
    responses((status = 200, content_type = "text/plain", body = String),
        (status = "default", body = Body)))]
async fn metrics(
    State(behind): State<Behind>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) =
        behind.metrics(&query.unwrap_or_default(), accept.unwrap_or_default()).await?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The configuration in force. Its revision is the `ETag`.
#[utoipa::path(get, path = "/api/v1/config", tag = "configuration",
    responses((status = 200, body = ConfigText, headers(("etag" = String))),
        (status = "default", body = Body)))]
async fn config(State(behind): State<Behind>) -> Result<Response, Problem> {
    let config = behind.config().await?;
    Ok(([(header::ETAG, format!("\"{}\"", config.revision))], Json(config)).into_response())
}

/// Applies a configuration. With `If-Match` only if the revision in force is still that one. With
/// `confirm_within_s` it returns by itself unless it is confirmed in time.
#[utoipa::path(put, path = "/api/v1/config", tag = "configuration", request_body = Candidate,
    params(("if-match" = Option<String>, Header, pattern = r#"^("[0-9]{1,18}"|\*)$"#,
        description = "The `ETag` that was read")),
    responses((status = 200, body = Applied), (status = "default", body = Body)))]
async fn apply(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    candidate: Result<Json<Candidate>, JsonRejection>,
) -> Answer<Applied> {
    let expected = expected(&headers)?;
    let candidate = body(candidate)?;
    time_limit(candidate.confirm_within_s)?;
    short(&candidate.message)?;
    behind.apply(&caller.name, candidate, expected).await.map(Json)
}

/// Edits the configuration in force and applies it: the same as a `PUT` of the edited text, with
/// `If-Match` and `confirm_within_s` as there. What the edits do not concern stays as it was written.
#[utoipa::path(patch, path = "/api/v1/config", tag = "configuration", request_body = Patch,
    params(("if-match" = Option<String>, Header, pattern = r#"^("[0-9]{1,18}"|\*)$"#,
        description = "The `ETag` that was read")),
    responses((status = 200, body = Applied), (status = "default", body = Body)))]
async fn patch(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    patch: Result<Json<Patch>, JsonRejection>,
) -> Answer<Applied> {
    let expected = expected(&headers)?;
    let patch = body(patch)?;
    some(&patch.edits)?;
    time_limit(patch.confirm_within_s)?;
    short(&patch.message)?;
    behind.patch(&caller.name, patch, expected).await.map(Json)
}

/// What edits would make of the configuration in force: the text, and what it would touch. Nothing
/// is applied; the text can be, by a `PUT` with the `ETag` as `If-Match`.
#[utoipa::path(post, path = "/api/v1/config/edit", tag = "configuration", request_body = Edits,
    params(("if-match" = Option<String>, Header, pattern = r#"^("[0-9]{1,18}"|\*)$"#,
        description = "The `ETag` that was read")),
    responses((status = 200, body = Edited, headers(("etag" = String))),
        (status = "default", body = Body)))]
async fn edit(
    State(behind): State<Behind>,
    headers: HeaderMap,
    edits: Result<Json<Edits>, JsonRejection>,
) -> Result<Response, Problem> {
    let expected = expected(&headers)?;
    let edits = body(edits)?;
    some(&edits.edits)?;
    let edited = behind.edit(edits, expected).await?;
    let tag = format!("\"{}\"", edited.plan.revision);
    Ok(([(header::ETAG, tag)], Json(edited)).into_response())
}

/// Looks at a configuration. Nothing is kept of it, nothing is applied.
#[utoipa::path(post, path = "/api/v1/config/check", tag = "configuration",
    request_body = Look,
    responses((status = 200, body = Checked), (status = "default", body = Body)))]
async fn check(
    State(behind): State<Behind>,
    look: Result<Json<Look>, JsonRejection>,
) -> Answer<Checked> {
    behind.check(&body(look)?.text).await.map(Json)
}

/// What a configuration would touch, and how many live connections it would break. Nothing is
/// applied.
#[utoipa::path(post, path = "/api/v1/config/plan", tag = "configuration",
    request_body = Look,
    responses((status = 200, body = Plan), (status = "default", body = Body)))]
async fn plan(
    State(behind): State<Behind>,
    look: Result<Json<Look>, JsonRejection>,
) -> Answer<Plan> {
    behind.plan(&body(look)?.text).await.map(Json)
}

/// The applied revision stays.
#[utoipa::path(post, path = "/api/v1/config/confirm", tag = "configuration",
    responses((status = 200, body = Revision), (status = "default", body = Body)))]
async fn confirm(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
) -> Answer<Revision> {
    behind.confirm(&caller.name).await.map(Json)
}

/// Back to an earlier revision.
#[utoipa::path(post, path = "/api/v1/config/rollback", tag = "configuration",
    request_body = Rollback,
    responses((status = 200, body = Applied), (status = "default", body = Body)))]
async fn rollback(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    rollback: Result<Json<Rollback>, JsonRejection>,
) -> Answer<Applied> {
    let rollback = body(rollback)?;
    time_limit(rollback.confirm_within_s)?;
    behind.rollback(&caller.name, rollback).await.map(Json)
}

/// Revisions of the configuration, newest first.
#[utoipa::path(get, path = "/api/v1/config/revisions", tag = "configuration", params(Page),
    responses((status = 200, body = Revisions), (status = "default", body = Body)))]
async fn revisions(
    State(behind): State<Behind>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Revisions> {
    behind.revisions(paged(page)?).await.map(Json)
}

/// One revision, with its text and how it differs from the one before.
#[utoipa::path(get, path = "/api/v1/config/revisions/{number}", tag = "configuration",
    params(("number" = u64, Path, description = "The revision's number")),
    responses((status = 200, body = RevisionText), (status = "default", body = Body)))]
async fn revision(
    State(behind): State<Behind>,
    number: Result<Path<u64>, PathRejection>,
) -> Answer<RevisionText> {
    let Path(number) = number.map_err(|e| Problem::malformed(e.body_text()))?;
    behind.revision(number).await.map(Json)
}

/// The JSON Schema (2020-12) of the configuration, for the TOML as JSON.
#[utoipa::path(get, path = "/api/v1/schema/config", tag = "configuration",
    responses((status = 200, content_type = "application/schema+json", body = Object),
        (status = "default", body = Body)))]
async fn schema() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| ::config::schema().to_string());
    ([(header::CONTENT_TYPE, "application/schema+json")], TEXT.as_str())
}

/// The last events, newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "state",
    responses((status = 200, body = Events), (status = "default", body = Body)))]
async fn events(State(behind): State<Behind>) -> Answer<Events> {
    behind.events().await.map(Json)
}

/// Events from now on, as a stream (server-sent events); the data of each is an `Event` in JSON.
/// `id` is its number: a gap says how many a slow reader missed.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "state",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = Body)))]
async fn follow(
    State(behind): State<Behind>,
) -> Sse<impl Stream<Item = Result<axum::response::sse::Event, Infallible>>> {
    let events = stream::unfold(behind.follow().await, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(event) => {
                    let sent = axum::response::sse::Event::default()
                        .id(event.number.to_string())
                        .event(&event.kind)
                        .data(serde_json::to_string(&event).unwrap_or_default());
                    return Some((Ok(sent), receiver));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

fn paged(page: Result<Query<Page>, QueryRejection>) -> Result<Page, Problem> {
    let Query(page) = page.map_err(|e| Problem::malformed(e.body_text()))?;
    match page.limit {
        Some(0 | 10_001..) => Err(Problem::malformed("limit is not between 1 and 10000")),
        _ => Ok(page),
    }
}

fn body<T>(json: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    json.map(|Json(value)| value).map_err(|e| {
        let mut problem = Problem::malformed(e.body_text());
        problem.status = e.status();
        problem
    })
}

fn some<T>(edits: &[T]) -> Result<(), Problem> {
    match edits.len() {
        1..=100 => Ok(()),
        _ => Err(Problem::malformed("there are not between 1 and 100 edits")),
    }
}

fn short(message: &str) -> Result<(), Problem> {
    match message.chars().count() {
        0..=1_000 => Ok(()),
        _ => Err(Problem::malformed("the message has more than 1000 characters")),
    }
}

fn time_limit(seconds: Option<u32>) -> Result<(), Problem> {
    match seconds {
        Some(0 | 86_401..) => {
            Err(Problem::malformed("confirm_within_s is not between 1 and 86400 seconds"))
        }
        _ => Ok(()),
    }
}

/// The revision that `If-Match` names; `*` is any.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).map(str::parse);
    match number {
        Some(Ok(number)) => Ok(Some(number)),
        _ => Err(Problem::malformed("If-Match is not the ETag of a revision")),
    }
}
