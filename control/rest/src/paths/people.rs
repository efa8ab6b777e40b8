//! Users, tokens, and what was done by whom.

use super::{Answer, Behind, body};
use crate::problem::{Body, Problem};
use crate::role::Caller;
use crate::router::Peer;
use crate::types::*;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn all() -> OpenApiRouter<Behind> {
    OpenApiRouter::new()
        .routes(routes!(users, add_user))
        .routes(routes!(remove_user))
        .routes(routes!(set_password))
        .routes(routes!(set_role))
        .routes(routes!(tokens, add_token))
        .routes(routes!(remove_token))
        .routes(routes!(sessions, log_in))
        .routes(routes!(log_out))
        .routes(routes!(end_session))
        .routes(routes!(audit))
}

/// All users.
#[utoipa::path(get, path = "/api/v1/users", tag = "users",
    responses((status = 200, body = Users), (status = "default", body = Body)))]
async fn users(State(behind): State<Behind>) -> Answer<Users> {
    behind.users().await.map(Json)
}

/// A new user.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 200, body = User), (status = "default", body = Body)))]
async fn add_user(
    State(behind): State<Behind>,
    user: Result<Json<NewUser>, JsonRejection>,
) -> Answer<User> {
    behind.add_user(body(user)?).await.map(Json)
}

/// Removes a user with their tokens. The last administrator stays.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "The user's name")),
    responses((status = 200, body = Nothing), (status = "default", body = Body)))]
async fn remove_user(
    State(behind): State<Behind>,
    user: Result<Path<String>, PathRejection>,
) -> Answer<Nothing> {
    behind.remove_user(&name(user)?).await.map(Json)
}

/// Another password. While there is no user at all, this makes the first one, an administrator.
#[utoipa::path(put, path = "/api/v1/users/{user}/password", tag = "users",
    request_body = NewPassword,
    params(("user" = String, Path, description = "The user's name")),
    responses((status = 200, body = User), (status = "default", body = Body)))]
async fn set_password(
    State(behind): State<Behind>,
    user: Result<Path<String>, PathRejection>,
    password: Result<Json<NewPassword>, JsonRejection>,
) -> Answer<User> {
    behind.set_password(&name(user)?, body(password)?).await.map(Json)
}

/// Another role.
#[utoipa::path(put, path = "/api/v1/users/{user}/role", tag = "users", request_body = NewRole,
    params(("user" = String, Path, description = "The user's name")),
    responses((status = 200, body = User), (status = "default", body = Body)))]
async fn set_role(
    State(behind): State<Behind>,
    user: Result<Path<String>, PathRejection>,
    role: Result<Json<NewRole>, JsonRejection>,
) -> Answer<User> {
    behind.set_role(&name(user)?, body(role)?).await.map(Json)
}

/// All API tokens; never their texts.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "users",
    responses((status = 200, body = Tokens), (status = "default", body = Body)))]
async fn tokens(State(behind): State<Behind>) -> Answer<Tokens> {
    behind.tokens().await.map(Json)
}

/// A new API token, whose text is shown this once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "users", request_body = NewToken,
    responses((status = 200, body = TokenMade), (status = "default", body = Body)))]
async fn add_token(
    State(behind): State<Behind>,
    token: Result<Json<NewToken>, JsonRejection>,
) -> Answer<TokenMade> {
    let token = body(token)?;
    if token.expires_in_s.is_some_and(|seconds| !(1..=3_153_600_000).contains(&seconds)) {
        return Err(Problem::malformed("expires_in_s is not between 1 s and 100 years"));
    }
    behind.add_token(token).await.map(Json)
}

/// Removes an API token.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "users",
    params(("token" = String, Path, description = "The token's name")),
    responses((status = 200, body = Nothing), (status = "default", body = Body)))]
async fn remove_token(
    State(behind): State<Behind>,
    token: Result<Path<String>, PathRejection>,
) -> Answer<Nothing> {
    behind.remove_token(&name(token)?).await.map(Json)
}

/// All sessions; never their texts.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "users",
    responses((status = 200, body = Sessions), (status = "default", body = Body)))]
async fn sessions(State(behind): State<Behind>) -> Answer<Sessions> {
    behind.sessions().await.map(Json)
}

/// Logs in: a session for a name and a password. The only operation for nobody in particular.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "users", request_body = Login,
    responses((status = 200, body = SessionMade), (status = "default", body = Body)))]
async fn log_in(
    State(behind): State<Behind>,
    from: Option<Extension<Peer>>,
    login: Result<Json<Login>, JsonRejection>,
) -> Answer<SessionMade> {
    behind.log_in(from.map(|Extension(from)| from), body(login)?).await.map(Json)
}

/// Logs out: the session of this request ends.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "users",
    responses((status = 200, body = Nothing), (status = "default", body = Body)))]
async fn log_out(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
) -> Answer<Nothing> {
    behind.log_out(&caller).await.map(Json)
}

/// Ends anybody's session.
#[utoipa::path(delete, path = "/api/v1/sessions/{session}", tag = "users",
    params(("session" = u64, Path, description = "The session's number")),
    responses((status = 200, body = Nothing), (status = "default", body = Body)))]
async fn end_session(
    State(behind): State<Behind>,
    session: Result<Path<u64>, PathRejection>,
) -> Answer<Nothing> {
    let Path(number) = session.map_err(|e| Problem::malformed(e.body_text()))?;
    behind.end_session(number).await.map(Json)
}

/// The audit log: what was done or refused lately, by whom, from where.
#[utoipa::path(get, path = "/api/v1/audit", tag = "users",
    responses((status = 200, body = AuditLog), (status = "default", body = Body)))]
async fn audit(State(behind): State<Behind>) -> Answer<AuditLog> {
    behind.audit().await.map(Json)
}

fn name(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(name)| name).map_err(|e| Problem::malformed(e.body_text()))
}
