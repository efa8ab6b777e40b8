//! Every operation of the document, called by nobody and by each role.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use rest::types::*;
use rest::{Caller, Control, Done, Gate, Problem, Role, document, router};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tower::ServiceExt;

/// Answers everything with a status that no gate gives.
struct Reached;

const REACHED: StatusCode = StatusCode::IM_A_TEAPOT;

fn reached<T>() -> Result<T, Problem> {
    Err(Problem::new(REACHED, "reached", "nothing"))
}

#[async_trait::async_trait]
impl Control for Reached {
    async fn status(&self) -> Result<Status, Problem> {
        reached()
    }
    async fn services(&self, _: Page) -> Result<Services, Problem> {
        reached()
    }
    async fn service(&self, _: &str) -> Result<Service, Problem> {
        reached()
    }
    async fn connections(&self, _: Page) -> Result<Connections, Problem> {
        reached()
    }
    async fn persistence(&self, _: &str, _: Page) -> Result<Persistence, Problem> {
        reached()
    }
    async fn forget(&self, _: &str, _: &str, which: Forget) -> Result<Forgotten, Problem> {
        Err(Problem::new(REACHED, format!("{:?}", which.client), "nothing"))
    }
    async fn counters(&self) -> Result<Counters, Problem> {
        reached()
    }
    async fn metrics(&self, _: &str, _: &str) -> Result<(&'static str, String), Problem> {
        reached()
    }
    async fn request(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: Requested,
    ) -> Result<RequestNoted, Problem> {
        reached()
    }
    async fn config(&self) -> Result<ConfigText, Problem> {
        reached()
    }
    async fn check(&self, _: &str) -> Result<Checked, Problem> {
        reached()
    }
    async fn plan(&self, _: &str) -> Result<Plan, Problem> {
        reached()
    }
    async fn apply(
        &self,
        who: &str,
        _: Candidate,
        expected: Option<u64>,
    ) -> Result<Applied, Problem> {
        assert_eq!(who, "somebody");
        Err(Problem::new(REACHED, format!("{expected:?}"), "nothing"))
    }
    async fn edit(&self, _: Edits, expected: Option<u64>) -> Result<Edited, Problem> {
        Err(Problem::new(REACHED, format!("{expected:?}"), "nothing"))
    }
    async fn patch(&self, who: &str, _: Patch, expected: Option<u64>) -> Result<Applied, Problem> {
        assert_eq!(who, "somebody");
        Err(Problem::new(REACHED, format!("{expected:?}"), "nothing"))
    }
    async fn confirm(&self, _: &str) -> Result<Revision, Problem> {
        reached()
    }
    async fn rollback(&self, _: &str, _: Rollback) -> Result<Applied, Problem> {
        reached()
    }
    async fn revisions(&self, _: Page) -> Result<Revisions, Problem> {
        reached()
    }
    async fn revision(&self, _: u64) -> Result<RevisionText, Problem> {
        reached()
    }
    async fn certificates(&self) -> Result<CertificateList, Problem> {
        reached()
    }
    async fn certificate(&self, _: &str) -> Result<CertificateText, Problem> {
        reached()
    }
    async fn import_certificate(
        &self,
        who: &str,
        _: &str,
        _: CertificateUpload,
    ) -> Result<CertificateKept, Problem> {
        assert_eq!(who, "somebody");
        reached()
    }
    async fn request_certificate(
        &self,
        _: &str,
        _: &str,
        request: NewRequest,
    ) -> Result<RequestMade, Problem> {
        assert_eq!(request.key, NewKeyType::EcdsaP256);
        reached()
    }
    async fn sign_certificate(
        &self,
        _: &str,
        _: &str,
        _: NewSelfSigned,
    ) -> Result<CertificateKept, Problem> {
        reached()
    }
    async fn remove_certificate(&self, _: &str, _: &str) -> Result<Nothing, Problem> {
        reached()
    }
    async fn users(&self) -> Result<Users, Problem> {
        reached()
    }
    async fn add_user(&self, _: NewUser) -> Result<User, Problem> {
        reached()
    }
    async fn set_password(&self, _: &str, _: NewPassword) -> Result<User, Problem> {
        reached()
    }
    async fn set_role(&self, _: &str, _: NewRole) -> Result<User, Problem> {
        reached()
    }
    async fn remove_user(&self, _: &str) -> Result<Nothing, Problem> {
        reached()
    }
    async fn tokens(&self) -> Result<Tokens, Problem> {
        reached()
    }
    async fn add_token(&self, _: NewToken) -> Result<TokenMade, Problem> {
        reached()
    }
    async fn remove_token(&self, _: &str) -> Result<Nothing, Problem> {
        reached()
    }
    async fn log_in(&self, _: Option<rest::Peer>, _: Login) -> Result<SessionMade, Problem> {
        reached()
    }
    async fn log_out(&self, _: &Caller) -> Result<Nothing, Problem> {
        reached()
    }
    async fn sessions(&self) -> Result<Sessions, Problem> {
        reached()
    }
    async fn end_session(&self, _: u64) -> Result<Nothing, Problem> {
        reached()
    }
    async fn audit(&self) -> Result<AuditLog, Problem> {
        reached()
    }
    async fn events(&self) -> Result<Events, Problem> {
        reached()
    }
    async fn follow(&self) -> broadcast::Receiver<Event> {
        broadcast::channel(1).1
    }
}

/// Believes the header `role`, and remembers what was done.
#[derive(Default)]
struct Believing(Arc<Mutex<Vec<Done>>>);

#[async_trait::async_trait]
impl Gate for Believing {
    async fn caller(&self, _: Option<rest::Peer>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let role = match headers.get("role").map(|v| v.as_bytes()) {
            Some(b"viewer") => Role::Viewer,
            Some(b"operator") => Role::Operator,
            Some(b"admin") => Role::Admin,
            _ => return Err(Problem::new(StatusCode::UNAUTHORIZED, "who is it?", "log in")),
        };
        Ok(Caller { name: "somebody".into(), role, session: None })
    }
    async fn done(&self, done: Done) {
        self.0.lock().unwrap().push(done);
    }
}

struct Operation {
    method: Method,
    path: String,
    /// `None`: for whoever asks.
    role: Option<Role>,
}

fn operations() -> Vec<Operation> {
    let document = document();
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let role = match operation["x-role"].as_str() {
                Some("viewer") => Some(Role::Viewer),
                Some("operator") => Some(Role::Operator),
                Some("admin") => Some(Role::Admin),
                Some(other) => panic!("{other}"),
                None => {
                    assert_eq!(operation["security"], serde_json::json!([]), "{method} {path}");
                    None
                }
            };
            let method = method.to_uppercase().parse().unwrap();
            all.push(Operation { method, path: path.clone(), role });
        }
    }
    all
}

async fn call(
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, String) {
    let path = path
        .replace("{action}", "drain")
        .replace("{number}", "1")
        .replace("{session}", "1")
        .replace(['{', '}'], "");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response =
        router(Arc::new(Reached), Arc::new(Believing::default())).oneshot(request).await.unwrap();
    let status = response.status();
    // The stream of events has no end, and the schema is there without a control.
    let kind = &response.headers()["content-type"];
    if kind == "text/event-stream" || kind == SCHEMA {
        return (REACHED, String::new());
    }
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn a_body(method: &Method, path: &str) -> &'static str {
    match path.rsplit('/').next() {
        Some("{certificate}") => r#"{"files": [{"name": "a.pem", "text": ""}]}"#,
        Some("request" | "self-signed") => r#"{"names": ["a.example"]}"#,
        Some("edit") => EDIT,
        Some("config") if *method == Method::PATCH => EDIT,
        Some("rollback") => r#"{"to": 1}"#,
        Some("users") => r#"{"name": "eve", "role": "viewer", "password": "x"}"#,
        Some("password") => r#"{"password": "x"}"#,
        Some("role") => r#"{"role": "viewer"}"#,
        Some("sessions") => r#"{"name": "eve", "password": "x"}"#,
        Some("tokens") => r#"{"name": "t", "owner": "eve", "role": "viewer"}"#,
        _ => r#"{"text": ""}"#,
    }
}

#[tokio::test]
async fn what_is_done_or_refused_is_written_down() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let ask = async |method: Method, path: &str, role: &str| {
        let request = Request::builder().method(method).uri(path).header("role", role);
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(rest::Peer([192, 0, 2, 7].into()));
        let gate = Arc::new(Believing(written.clone()));
        router(Arc::new(Reached), gate).oneshot(request).await.unwrap();
    };
    ask(Method::GET, "/api/v1/status", "viewer").await;
    ask(Method::GET, "/api/v1/users", "viewer").await;
    ask(Method::DELETE, "/api/v1/users/eve?x", "admin").await;
    ask(Method::GET, "/api/v1/status", "nobody").await;
    let written = written.lock().unwrap();
    let rows: Vec<_> = written.iter().map(|done| (&*done.who, &*done.action)).collect();
    let expected = [("somebody", "GET /api/v1/users"), ("somebody", "DELETE /api/v1/users/eve")];
    assert_eq!(rows, expected);
    let outcomes: Vec<_> = written.iter().map(|done| done.outcome.as_u16()).collect();
    assert_eq!(outcomes, [403, REACHED.as_u16()]);
    assert!(written.iter().all(|done| done.from == Some(rest::Peer([192, 0, 2, 7].into()))));
}

#[tokio::test]
async fn nobody_and_the_wrong_role_are_refused_everywhere() {
    let operations = operations();
    assert!(operations.len() >= 17, "{}", operations.len());
    let json = ("content-type", "application/json");
    for Operation { method, path, role } in &operations {
        let name = format!("{method} {path}");
        let (status, text) = call(method, path, &[json], a_body(method, path)).await;
        let expected = if role.is_some() { StatusCode::UNAUTHORIZED } else { REACHED };
        assert_eq!(status, expected, "{name}: {text}");
        for caller in [Role::Viewer, Role::Operator, Role::Admin] {
            let headers = [json, ("role", caller.text())];
            let (status, text) = call(method, path, &headers, a_body(method, path)).await;
            let expected = if role.is_some_and(|role| caller < role) {
                StatusCode::FORBIDDEN
            } else {
                REACHED
            };
            assert_eq!(status, expected, "{name} as {}: {text}", caller.text());
        }
    }
}

#[tokio::test]
async fn nobody_in_particular_may_log_in_and_nothing_else() {
    let open = operations().into_iter().filter(|operation| operation.role.is_none());
    let open: Vec<_> = open.map(|it| format!("{} {}", it.method, it.path)).collect();
    assert_eq!(open, ["POST /api/v1/sessions"]);
    let (status, text) = call(&Method::GET, "/api/v1/sessions", &[], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{text}");
}

#[tokio::test]
async fn only_reading_is_for_viewers() {
    for Operation { method, path, role } in operations() {
        let is_own = path == "/api/v1/sessions/current";
        if role == Some(Role::Viewer) && !is_own {
            assert_eq!(method, Method::GET, "{path}");
        }
    }
    let puts: Vec<_> = operations().into_iter().filter(|o| o.method == Method::PUT).collect();
    assert!(puts.iter().any(|o| o.path == "/api/v1/config"));
    assert!(puts.iter().all(|o| o.role == Some(Role::Admin)));
}

#[tokio::test]
async fn what_is_malformed_is_said() {
    let admin = ("role", "admin");
    let json = ("content-type", "application/json");
    let cases = [
        ("GET", "/api/v1/connections?limit=0", "", 400),
        ("GET", "/api/v1/connections?limit=10001", "", 400),
        ("GET", "/api/v1/connections?cursor=-1", "", 400),
        ("GET", "/api/v1/services/%ff", "", 400),
        ("GET", "/api/v1/config/revisions/none", "", 400),
        ("PUT", "/api/v1/config", "", 400),
        ("PUT", "/api/v1/config", "{\"text\": 1}", 422),
        ("PUT", "/api/v1/config", "{\"text\": \"\", \"txet\": \"\"}", 422),
        ("PUT", "/api/v1/config", "{\"text\": \"\", \"confirm_within_s\": 0}", 400),
        ("POST", "/api/v1/services/a/real-servers/b/explode", "", 404),
        ("DELETE", "/api/v1/config", "", 405),
        ("PATCH", "/api/v1/config", "{\"edits\": []}", 400),
        ("POST", "/api/v1/config/edit", "{\"edits\": []}", 400),
        ("POST", "/api/v1/config/edit", "{\"edits\": [{\"edit\": \"explode\"}]}", 422),
        ("GET", "/api/v2/config", "", 404),
        ("DELETE", "/api/v1/sessions/none", "", 400),
        ("DELETE", "/api/v1/services/a/persistence?clients=everybody", "", 400),
        ("DELETE", "/api/v1/services/a/persistence?clint=192.0.2.7", "", 400),
        ("GET", "/api/v1/services/a/persistence?limit=0", "", 400),
        ("POST", "/api/v1/sessions", "{\"name\": \"eve\"}", 422),
        ("PUT", "/api/v1/certificates/a", "{\"files\": []}", 400),
        ("POST", "/api/v1/certificates/a/self-signed", "{\"names\": [], \"dyas\": 1}", 422),
    ];
    for (method, path, body, expected) in cases {
        let (status, text) = call(&method.parse().unwrap(), path, &[admin, json], body).await;
        assert_eq!(status, expected, "{method} {path}: {text}");
        let said: rest::problem::Body = serde_json::from_str(&text).unwrap();
        assert!(!said.error.is_empty() && !said.remedy.is_empty(), "{text}");
    }
}

const SCHEMA: &str = "application/schema+json";

#[tokio::test]
async fn the_schema_is_that_of_the_reader() {
    let request = Request::get("/api/v1/schema/config").header("role", "viewer");
    let request = request.body(Body::empty()).unwrap();
    let gate = Arc::new(Believing::default());
    let response = router(Arc::new(Reached), gate).oneshot(request).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &SCHEMA.parse().unwrap())
    );
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(schema, config::schema());
    let said = &document()["paths"]["/api/v1/schema/config"]["get"]["responses"]["200"]["content"];
    assert_eq!(said[SCHEMA]["schema"]["type"], "object", "{said}");
}

#[tokio::test]
async fn if_match_names_a_revision() {
    let headers =
        |value| [("role", "admin"), ("content-type", "application/json"), ("if-match", value)];
    let put = Method::PUT;
    for (value, expected) in [("\"7\"", "Some(7)"), ("*", "None")] {
        let (status, text) = call(&put, "/api/v1/config", &headers(value), BODY_TEXT).await;
        assert!(status == REACHED && text.contains(expected), "{value}: {text}");
    }
    for value in ["7", "\"x\"", "W/\"7\"", ""] {
        let (status, text) = call(&put, "/api/v1/config", &headers(value), BODY_TEXT).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{value}: {text}");
    }
}

const EDIT: &str =
    r#"{"edits": [{"edit": "set_key", "service": "a", "key": "ports", "value": "80"}]}"#;
const BODY_TEXT: &str = r#"{"text": ""}"#;

#[test]
fn the_document_is_of_version_3_1_and_describes_everything() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for Operation { method, path, .. } in operations() {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        assert!(operation["summary"].is_string(), "{method} {path} says nothing of itself");
        assert!(operation["responses"]["default"].is_object(), "{method} {path}: errors?");
    }
}
