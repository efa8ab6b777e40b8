//! Control against a data plane that only remembers, in a network namespace of its own.

use crate::core::Core;
use crate::http;
use api::{BackendState, Reply, Request, Snapshot, Status, encode};
use axum::body::Body;
use config::State;
use http_body_util::BodyExt;
use lower::RealServerKey;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tower::ServiceExt;

const FILE: &str = r#"
[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["10.0.0.1/24"]
neighbours = [{ address = "10.0.0.11", mac = "02:00:00:00:00:0b" }]
[[service]]
name = "web"
mode = "l4-dr"
address = "10.0.0.100"
ports = "80"
check = { type = "connect", port = 80, interval = "100ms", timeout = "100ms", fall = 2 }
  [[service.real_server]]
  name = "one"
  address = "10.0.0.11"
"#;

/// A data plane that applies everything at once and keeps all it was ever sent.
#[derive(Clone, Default)]
struct FakePlane(Arc<Mutex<Vec<Snapshot>>>);

impl FakePlane {
    fn listen(&self, dir: &Path) {
        let listener = UnixListener::bind(dir.join("dataplane.sock")).unwrap();
        let plane = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(plane.clone().converse(stream));
            }
        });
    }

    async fn converse(self, mut stream: UnixStream) {
        let mut header = [0; 4];
        while stream.read_exact(&mut header).await.is_ok() {
            let mut body = vec![0; api::read_frame_len(header).unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let reply = encode(&self.answer(api::decode(&body).unwrap())).unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }

    fn answer(&self, request: Request) -> Reply {
        let mut sent = self.0.lock().unwrap();
        match request {
            Request::Hello => Reply::Hello {
                pid: 1,
                snapshot: sent.last().cloned().map(Box::new),
                ports: Vec::new(),
            },
            Request::Apply(snapshot) => {
                let generation = snapshot.generation;
                sent.push(*snapshot);
                Reply::Applied { generation }
            }
            Request::Status => Reply::Status(Status {
                generation: sent.last().map_or(0, |s| s.generation),
                ..Status::default()
            }),
            Request::Counters => Reply::Counters(Box::default()),
            Request::Connections { .. } => Reply::Connections { rows: Vec::new(), next: None },
        }
    }

    fn state(&self) -> Option<BackendState> {
        Some(self.0.lock().unwrap().last()?.services[0].backends[0].state)
    }
}

struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn dir(name: &str) -> Dir {
    let path = std::env::temp_dir().join(format!("controld-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    Dir(path)
}

fn core(dir: &Path) -> Core {
    let config = config::parse(FILE, "test.toml").unwrap().config;
    Core::new(config, "test.toml".into(), dir).unwrap()
}

/// Rounds until the data plane has this state, for at most five seconds.
async fn until(core: &mut Core, plane: &FakePlane, state: BackendState) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while plane.state() != Some(state) {
        assert!(Instant::now() < deadline, "{:?}, trouble: {:?}", plane.state(), core.trouble);
        core.round().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the test in a new network namespace, by running this program again. Needs root.
fn in_namespace(test: &str, body: impl Future<Output = ()>) {
    const MARK: &str = "FULCRUM_TEST_NAMESPACE";
    if std::env::var_os(MARK).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.unwrap().block_on(body);
    }
    let set_up = "ip link set lo up && ip link add eth0 type veth peer name lb0 && \
                  ip link set eth0 up && ip link set lb0 up && \
                  ip addr add 10.0.0.11/32 dev lo && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--net", "sh", "-ec", set_up, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .output()
        .expect("unshare (Debian package util-linux)");
    if String::from_utf8_lossy(&output.stderr).contains("Operation not permitted") {
        println!("{test}: skipped, needs root");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_real_servers_life_reaches_the_data_plane() {
    in_namespace("tests::a_real_servers_life_reaches_the_data_plane", async {
        let dir = dir("life");
        let plane = FakePlane::default();
        plane.listen(&dir.0);
        let mut control = core(&dir.0);
        let server = TcpListener::bind("10.0.0.11:80").await.unwrap();
        until(&mut control, &plane, BackendState::Online).await;
        let backend = plane.0.lock().unwrap().last().unwrap().services[0].backends[0].clone();
        assert_eq!(backend.hop.unwrap().mac, [2, 0, 0, 0, 0, 0x0b]);

        drop(server);
        until(&mut control, &plane, BackendState::Down).await;
        let reason = control.checks.verdicts.all().into_values().next().unwrap().reason.unwrap();
        assert_eq!(reason, "10.0.0.11:80 refuses the connection");
        let server = TcpListener::bind("10.0.0.11:80").await.unwrap();
        until(&mut control, &plane, BackendState::Online).await;

        let key = RealServerKey::new("web", "one");
        let generation = control.request(key.clone(), State::Halt).await.unwrap();
        assert_eq!(plane.state(), Some(BackendState::Halt), "applied before it is answered");
        assert_eq!(plane.0.lock().unwrap().last().unwrap().generation, generation);
        control.request(key, State::Online).await.unwrap();
        until(&mut control, &plane, BackendState::Online).await;
        drop(server);
    });
}

#[test]
fn a_successor_takes_nothing_out_and_keeps_every_number() {
    in_namespace("tests::a_successor_takes_nothing_out_and_keeps_every_number", async {
        let dir = dir("successor");
        let plane = FakePlane::default();
        plane.listen(&dir.0);
        let _server = TcpListener::bind("10.0.0.11:80").await.unwrap();
        let mut first = core(&dir.0);
        until(&mut first, &plane, BackendState::Online).await;
        let before = plane.0.lock().unwrap().last().unwrap().clone();
        let sent = plane.0.lock().unwrap().len();
        first.checks.stop();
        drop(first); // as by kill -9: nothing is cleaned up

        let mut second = core(&dir.0);
        for _ in 0..20 {
            second.round().await;
            assert_eq!(second.trouble, None);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let all = plane.0.lock().unwrap();
        for snapshot in &all[sent..] {
            assert_eq!(snapshot.services[0].backends[0].state, BackendState::Online);
        }
        assert_eq!(all.last().unwrap().services, before.services);
    });
}

#[test]
fn fuzz_the_api_answers_whatever_is_asked() {
    in_namespace("tests::fuzz_the_api_answers_whatever_is_asked", async {
        let dir = dir("fuzz");
        let plane = FakePlane::default();
        plane.listen(&dir.0);
        let mut control = core(&dir.0);
        control.round().await;
        let router = http::router(Arc::new(tokio::sync::Mutex::new(control)));
        let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
        let time = Duration::from_secs(seconds.unwrap_or(2));
        let handle = tokio::runtime::Handle::current();
        // A panic ends the test, so a router left half done by one is never used again.
        let shared = std::panic::AssertUnwindSafe((router, handle));
        tokio::task::spawn_blocking(move || {
            bolero::check!().with_test_time(time).with_type::<(bool, Vec<u8>, Vec<u8>)>().for_each(
                |(post, path, body)| {
                    let (router, handle) = &*shared;
                    handle.block_on(ask(router, *post, path, body));
                },
            );
        })
        .await
        .unwrap();
    });
}

/// One request with a path made of arbitrary bytes and of parts that exist. The answer is never a
/// fault of ours.
async fn ask(router: &axum::Router, post: bool, path: &[u8], body: &[u8]) {
    const PARTS: [&str; 12] = [
        "/api/v1",
        "/status",
        "/services",
        "/connections",
        "/counters",
        "/web",
        "/real-servers",
        "/one",
        "/drain",
        "?cursor=",
        "&limit=",
        "99999999999",
    ];
    let mut uri = String::new();
    for byte in path {
        match PARTS.get(usize::from(*byte)) {
            Some(part) => uri.push_str(part),
            None => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    let method = if post { "POST" } else { "GET" };
    let uri = if uri.starts_with('/') { uri } else { format!("/{uri}") };
    let request =
        axum::http::Request::builder().method(method).uri(uri).body(Body::from(body.to_vec()));
    let Ok(request) = request else { return };
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&body));
}
