use crate::script::{Do, Server};
use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::{Http, Method, Probe, Target};
use std::time::Duration;
use tokio::net::TcpListener;

const OK: &str = "HTTP/1.1 200 OK\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nit's up";

fn get() -> Http {
    Http {
        tls: None,
        method: Method::Get,
        path: "/health?deep=1".into(),
        host: None,
        headers: Vec::new(),
        statuses: Vec::new(),
        text: None,
    }
}

fn text(text: &str) -> Http {
    Http { text: Some(text.into()), ..get() }
}

fn to(server: &Server, http: Http) -> Target {
    target(server.address, Probe::Http(http))
}

/// Why a server with this script is down, without its address.
async fn why(script: Do, http: Http, patience: Duration) -> String {
    let server = Server::run(script).await;
    let reason = fault(&to(&server, http), patience).await;
    let rest = reason.strip_prefix(&server.address.to_string());
    rest.unwrap_or_else(|| panic!("{reason:?} names no address")).trim_start().to_string()
}

/// The request's head that a server gets.
async fn asked(http: Http) -> String {
    let server = Server::run(Do::Send(FINE.into())).await;
    run(&to(&server, http), LONG).await.unwrap();
    server.request().await.to_lowercase()
}

#[tokio::test]
async fn asks_what_it_is_told_to_ask() {
    let server = Server::run(Do::Send(FINE.into())).await;
    let address = server.address;
    run(&to(&server, get()), LONG).await.unwrap();
    let head = server.request().await.to_lowercase();
    says(&head, &["get /health?deep=1 http/1.1\r\n", &format!("host: {address}\r\n")]);
    says(&head, &["connection: close\r\n", "user-agent: fulcrum\r\n"]);

    let mut http = get();
    http.method = Method::Options;
    http.path = "*".into();
    http.host = Some("example.org".into());
    http.headers = vec![("X-Probe".into(), "1".into()), ("User-Agent".into(), "lb".into())];
    let head = asked(http).await;
    says(&head, &["options * http/1.1\r\n", "host: example.org\r\n", "x-probe: 1\r\n"]);
    says(&head, &["user-agent: lb\r\n"]);
    assert!(!head.contains("fulcrum"), "{head:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_our_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for http in [
        Http { path: "/a b".into(), ..get() },
        Http { headers: vec![("a b".into(), "1".into())], ..get() },
        Http { headers: vec![("a".into(), "1\r\nb: 2".into())], ..get() },
        Http { host: Some("a\nb".into()), ..get() },
    ] {
        ours(&target(address, Probe::Http(http)), LONG).await;
    }
}

#[tokio::test]
async fn a_head_has_no_body_to_wait_for() {
    let script = Do::Send(format!("{OK}Content-Length: 9999\r\n\r\n").into());
    let server = Server::run(script).await;
    run(&to(&server, Http { method: Method::Head, ..get() }), LONG).await.unwrap();
    says(&server.request().await, &["HEAD /health"]);
}

#[tokio::test]
async fn a_status_is_good_if_it_is_expected() {
    let created = Do::Send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into());
    let reason = why(created.clone(), get(), LONG).await;
    assert_eq!(reason, "answered 201 Created, expected 200");
    let server = Server::run(created).await;
    run(&to(&server, Http { statuses: vec![200, 201], ..get() }), LONG).await.unwrap();
    let script = Do::Send("HTTP/1.1 500 All is fine\r\n\r\n".into());
    let reason = why(script, Http { statuses: vec![200, 204], ..get() }, LONG).await;
    assert_eq!(reason, "answered 500 Internal Server Error, expected 200 or 204");
    let reason = why(Do::Send("HTTP/1.1 799 x\r\n\r\n".into()), get(), LONG).await;
    assert_eq!(reason, "answered 799, expected 200");
}

#[tokio::test]
async fn the_text_is_found_wherever_it_is() {
    let script =
        Do::Drip(format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\nit\r\n3\r\n'").into(), b's');
    let server = Server::run(script).await;
    run(&to(&server, text("it's")), LONG).await.unwrap();
    let late = format!("{OK}\r\n{}last", "x".repeat(64 * 1024 - 4));
    let server = Server::run(Do::SendAndClose(late.into())).await;
    run(&to(&server, text("last")), LONG).await.unwrap();
}

#[tokio::test]
async fn a_body_without_the_text_is_a_fault() {
    let reason = why(Do::Send(FINE.into()), text("ok"), LONG).await;
    assert_eq!(reason, ": the body does not contain \"ok\" (7 bytes looked at)");
    let short = format!("{OK}Content-Length: 100\r\n\r\nit's");
    let reason = why(Do::SendAndClose(short.into()), text("up"), LONG).await;
    assert_eq!(reason, ": the body was broken off without \"up\" (4 bytes looked at)");
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_bound() {
    let flood = Do::Flood(format!("{OK}\r\n").into(), vec![b'x'; 10_000]);
    let reason = why(flood.clone(), text("ok"), LONG).await;
    assert_eq!(reason, ": the body does not contain \"ok\" (65536 bytes looked at)");
    let server = Server::run(flood).await;
    run(&to(&server, get()), LONG).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_given_up() {
    let reason = why(Do::Silence, get(), SHORT).await;
    says(&reason, &["sent no answer within 500 ms (connected after "]);
}

#[tokio::test]
async fn who_drips_is_given_up() {
    let reason = why(Do::Drip(OK.into(), b'x'), get(), SHORT).await;
    says(&reason, &["sent no answer within 500 ms"]);
    let script = Do::Drip(format!("{OK}\r\n").into(), b'x');
    let reason = why(script, text("ok"), SHORT * 4).await;
    says(&reason, &[": the body has not ended within 2 s, so far without \"ok\""]);
    let reason =
        why(Do::Flood(vec![], b"HTTP/1.1 100 Continue\r\n\r\n".into()), get(), SHORT).await;
    says(&reason, &["sent no answer within 500 ms"]);
}

#[tokio::test]
async fn what_is_not_http_is_a_fault() {
    for bytes in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\0\xff\x16\x03\x01", b"HTTP/1.1 2x0 OK\r\n\r\n"]
    {
        let reason = why(Do::Send(bytes.into()), get(), LONG).await;
        says(&reason, &["sent no readable HTTP answer: "]);
    }
}

#[tokio::test]
async fn a_huge_head_is_not_read() {
    let huge = Do::Flood(format!("{OK}X-Huge: ").into(), vec![b'x'; 10_000]);
    says(&why(huge, get(), LONG).await, &["sent no readable HTTP answer: ", "too large"]);
    let many = Do::Flood(OK.into(), b"X-Many: x\r\n".repeat(1_000));
    says(&why(many, get(), LONG).await, &["sent no readable HTTP answer: ", "too large"]);
}

#[tokio::test]
async fn who_closes_gives_no_answer() {
    for script in [Do::SendAndClose(vec![]), Do::SendAndClose(OK.into()), Do::Reset] {
        let reason = why(script, get(), LONG).await;
        assert_eq!(reason, "closed the connection without an answer");
    }
}
