//! The access log: what was done is what is written.

mod common;

use common::encrypted::{certificate, encrypted, snapshot_with};
use common::http::{Peer, http_service, ok, server as server_of, with};
use common::{PATIENCE, RealServer, address, ask, connect, nobody, relay, server, snapshot, until};
use l7_api::{
    AccessLog, Action, LogFormat, LogTarget, Queue, Retries, Rule, Service, SyslogAddress,
    SyslogHeader, Timeouts,
};
use relay::Relay;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

/// A folder of this test's own, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("access-log-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn to_file(format: LogFormat, path: &std::path::Path) -> Option<AccessLog> {
    Some(AccessLog { format, to: LogTarget::File(path.to_str().unwrap().to_owned()) })
}

/// The lines of a file, once there are so many.
fn lines(path: &std::path::Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            assert_eq!(text.lines().count(), count, "{text}");
            return text.lines().map(str::to_owned).collect();
        }
        assert!(start.elapsed() < PATIENCE, "only {text:?}");
        thread::yield_now();
    }
}

/// The next line that a receiver gets, without its header.
struct Receiver(UdpSocket);

impl Receiver {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn log(&self, format: LogFormat) -> Option<AccessLog> {
        let to = SyslogAddress::Udp(self.0.local_addr().unwrap());
        let to = LogTarget::Syslog { to, header: SyslogHeader::Rfc5424, facility: 16 };
        Some(AccessLog { format, to })
    }

    fn line(&self) -> String {
        let mut buffer = vec![0; 65_536];
        let count = self.0.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
        let (header, line) = text.split_once(" access - ").unwrap();
        assert!(header.starts_with("<134>1 2") && header.contains(" fulcrum-l7 "), "{header}");
        line.to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

fn applied(service: &Service) -> Relay {
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot(1, &[service])).unwrap(), []);
    relay
}

fn only_once() -> Retries {
    Retries { attempts: 0, pause_ms: 1 }
}

#[test]
fn each_format_says_what_was_done() {
    let folder = Folder::new("formats");
    let real = server_of(|_| ok(b"twelve bytes"));
    let mut service = http_service(1, vec![server(1, real.address)]);
    let mut relay = relay(1);
    let request = "POST /a?b=c HTTP/1.1\r\nHost: www.example:80\r\nUser-Agent: curl/8 \"x\"\r\n\
                   Referer: http://r/\r\nContent-Length: 3\r\n\r\nxyz";
    let mut written = Vec::new();
    let mut from = String::new();
    for (number, format) in [LogFormat::Http, LogFormat::Tcp, LogFormat::Combined, LogFormat::Json]
        .into_iter()
        .enumerate()
    {
        let path = folder.file(&format!("{number}"));
        service.access_log = to_file(format, &path);
        relay.apply(snapshot(number as u64 + 1, &[&service])).unwrap();
        let mut peer = Peer::connect(address(&service));
        from = peer.reader.get_ref().local_addr().unwrap().to_string();
        peer.send(request.as_bytes()).unwrap();
        assert_eq!(peer.response(false).unwrap().status(), 200);
        written.push((from.clone(), lines(&path, 1).remove(0)));
    }
    let sent = ok(b"twelve bytes").len();
    let (from_then, line) = &written[0];
    let fields: Vec<&str> = line.split(' ').collect();
    assert_eq!(fields[0], from_then);
    assert!(fields[1].starts_with('[') && fields[1].len() == "[06/Feb/2009:12:14:14.655]".len());
    assert_eq!(fields[2..4], ["service-1", "service-1/server-1"]);
    let timers: Vec<u64> = fields[4].split('/').map(|ms| ms.parse().unwrap()).collect();
    assert!(timers.len() == 5 && timers.iter().all(|ms| *ms < 10_000), "{line}");
    let said: usize = fields[6].parse().unwrap();
    assert!(fields[5] == "200" && said >= sent && said < sent + 40, "{line}");
    assert_eq!(fields[7..12], ["-", "-", "----", "1/1/1/1/0", "0/0"]);
    assert_eq!(fields[12..16], ["\"POST", "/a?b=c", "HTTP/1.1\"", "done"]);
    assert_eq!((fields[16].len(), fields.len()), (32, 17));

    let fields: Vec<&str> = written[1].1.split(' ').collect();
    assert_eq!(fields[2..4], ["service-1", "service-1/server-1"]);
    assert_eq!(fields[4].split('/').count(), 3);
    assert_eq!(fields[6..], ["--", "1/1/1/1/0", "0/0", "done"]);

    let (_, line) = &written[2];
    assert!(line.starts_with("127.0.0.1 - - [") && line.contains(" +0000] "), "{line}");
    let end = format!("\"POST /a?b=c HTTP/1.1\" 200 {said} \"http://r/\" \"curl/8 \\x22x\\x22\"");
    assert!(line.ends_with(&end), "{line}");

    let (_, line) = &written[3];
    let json: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| json[key].as_str().unwrap_or("?").to_owned();
    assert_eq!(format!("{}:{}", text("client"), json["client_port"]), from);
    let there = address(&service);
    assert_eq!(format!("{}:{}", text("destination"), json["destination_port"]), there.to_string());
    for (key, value) in [
        ("service", "service-1"),
        ("server", "server-1"),
        ("mode", "http"),
        ("method", "POST"),
        ("target", "/a?b=c"),
        ("version", "HTTP/1.1"),
        ("host", "www.example:80"),
        ("referer", "http://r/"),
        ("user_agent", "curl/8 \"x\""),
        ("code", "--"),
        ("reason", "done"),
    ] {
        assert_eq!(text(key), value, "{key}");
    }
    assert_eq!(
        (json["status"].as_u64(), json["bytes_out"].as_u64()),
        (Some(200), Some(said as u64))
    );
    assert_eq!(json["bytes_in"].as_u64(), Some(request.len() as u64));
    for key in ["request_ms", "queue_ms", "connect_ms", "response_ms", "total_ms"] {
        assert!(json[key].as_u64().is_some_and(|ms| ms < 10_000), "{key}: {line}");
    }
    assert!(json["tls_version"].is_null() && json["redispatched"] == false);
    assert_eq!(relay.counters().services[0].log_lost, 0);
}

#[test]
fn the_time_is_that_of_the_wall_and_timers_are_those_of_the_way() {
    let receiver = Receiver::new();
    let slow = server_of(|_| {
        thread::sleep(Duration::from_millis(60));
        ok(b"x")
    });
    let mut service = http_service(1, vec![server(1, slow.address)]);
    service.access_log = receiver.log(LogFormat::Json);
    let _relay = applied(&service);
    let mut peer = Peer::connect(address(&service));
    let unix = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = unix();
    peer.send(b"GET / HTTP/1.1\r\n").unwrap();
    thread::sleep(Duration::from_millis(300));
    peer.send(b"Host: a\r\n\r\n").unwrap();
    assert_eq!(peer.response(false).unwrap().status(), 200);
    let json = receiver.json();
    let ms = |key: &str| json[key].as_u64().unwrap();
    assert!(ms("request_ms") >= 150 && ms("response_ms") >= 55, "{json}");
    assert!(ms("total_ms") >= ms("request_ms") + ms("response_ms"), "{json}");
    let time = json["time"].as_str().unwrap();
    let seconds: Vec<u64> = time[11..19].split(':').map(|part| part.parse().unwrap()).collect();
    let of_day = seconds[0] * 3_600 + seconds[1] * 60 + seconds[2];
    let late = (of_day + 86_400 - before % 86_400) % 86_400;
    assert!(late <= 30 || late >= 86_399, "{time}");
}

/// One service, one thing that happens to it, and how its line ends.
struct Case {
    name: &'static str,
    service: Service,
    act: fn(&Service),
    code: &'static str,
    reason: &'static str,
    status: Option<u64>,
}

fn get(service: &Service) {
    let _ = Peer::connect(address(service)).get("/");
}

fn case(
    name: &'static str,
    service: Service,
    act: fn(&Service),
    (code, reason, status): (&'static str, &'static str, Option<u64>),
) -> Case {
    Case { name, service, act, code, reason, status }
}

/// Reads the request and then does something unkind.
fn unkind(act: fn(Peer)) -> RealServer {
    RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        let _ = peer.request();
        act(peer);
    })
}

fn reset(peer: Peer) {
    let stream = peer.reader.into_inner();
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(&stream).set_linger(linger).unwrap();
}

fn never(mut peer: Peer) {
    let _ = peer.reader.read(&mut [0; 1]);
}

fn cases_of_clients() -> Vec<Case> {
    let real = server_of(|_| ok(&vec![b'x'; 8 << 20]));
    let one = || http_service(1, vec![server(1, real.address)]);
    let short = Timeouts { client_ms: 60, ..Timeouts::default() };
    vec![
        case(
            "nonsense",
            one(),
            |s| drop(ask(address(s), b"what\r\n\r\n")),
            ("PR", "bad-request", Some(400)),
        ),
        case(
            "a head that does not end",
            with(one(), |http| http.head_ms = 60),
            |s| {
                let mut stream = connect(address(s));
                stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            },
            ("cR", "head-timeout", Some(408)),
        ),
        case(
            "gone within a head",
            one(),
            |s| drop(ask(address(s), b"GET / HTTP/1.1\r\n")),
            ("CR", "client-closed", Some(400)),
        ),
        case(
            "gone within a response",
            one(),
            |s| {
                let mut stream = connect(address(s));
                stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                let _ = stream.read(&mut [0; 64]);
            },
            ("CD", "client-reset", Some(200)),
        ),
        case(
            "a body that does not come",
            Service { timeouts: short, ..one() },
            |s| {
                let mut stream = connect(address(s));
                let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx";
                stream.write_all(head.as_bytes()).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            },
            ("cH", "client-timeout", Some(408)),
        ),
        case(
            "a body too long",
            with(one(), |http| http.limits.body = 5),
            |s| {
                let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
                drop(ask(address(s), head.as_bytes()));
            },
            ("PR", "body-limit", Some(413)),
        ),
        case(
            "a rule",
            with(one(), |http| {
                let then = vec![Action::Deny { status: 403 }];
                http.rules = vec![Rule { when: Vec::new(), then }];
            }),
            get,
            ("LR", "answered-here", Some(403)),
        ),
    ]
}

fn cases_of_servers() -> Vec<Case> {
    let to = |real: &RealServer| Service {
        retries: only_once(),
        ..http_service(1, vec![server(1, real.address)])
    };
    // Only where time is what ends it: a machine with much to do is slow.
    let hurried = |real: &RealServer| Service {
        timeouts: Timeouts { server_ms: 60, connect_ms: 60, ..Timeouts::default() },
        ..to(real)
    };
    let nobody = Service { retries: only_once(), ..http_service(1, vec![server(1, nobody())]) };
    let mut down = to(&unkind(never));
    down.servers[0].state = l7_api::ServerState::Down;
    let silent = RealServer::new(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut tls = hurried(&silent);
    tls.reencrypt = Some(l7_api::Reencryption::new(l7_api::Verify::AcceptAnything));
    let no_tls = RealServer::new(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let mut wrong = to(&no_tls);
    wrong.reencrypt.clone_from(&tls.reencrypt);
    let cut = unkind(|mut peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    });
    let stuck = unkind(|mut peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
        never(peer);
    });
    let odd = unkind(|mut peer| {
        let _ = peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\nx");
        never(peer);
    });
    vec![
        case("nobody listens", nobody, get, ("SC", "server-refused", Some(503))),
        case("all are down", down, get, ("SC", "no-server", Some(503))),
        case("no handshake", tls, get, ("sC", "server-tls-timeout", Some(503))),
        case("no TLS", wrong, get, ("SC", "server-tls", Some(502))),
        case("closed unanswered", to(&unkind(drop)), get, ("SH", "server-closed", Some(502))),
        case("reset unanswered", to(&unkind(reset)), get, ("SH", "server-reset", Some(502))),
        case("no answer", hurried(&unkind(never)), get, ("sH", "server-timeout", Some(504))),
        case("nonsense", to(&odd), get, ("PH", "bad-response", Some(502))),
        case("closed within a body", to(&cut), get, ("SD", "server-closed", Some(200))),
        case("stuck within a body", hurried(&stuck), get, ("sD", "server-timeout", Some(200))),
    ]
}

fn check(cases: Vec<Case>) {
    for Case { name, mut service, act, code, reason, status } in cases {
        let receiver = Receiver::new();
        service.access_log = receiver.log(LogFormat::Json);
        let relay = applied(&service);
        act(&service);
        let json = receiver.json();
        let text = |key: &str| json[key].as_str().unwrap_or("?").to_owned();
        assert_eq!((&*text("code"), &*text("reason")), (code, reason), "{name}: {json}");
        assert_eq!(json["status"].as_u64(), status, "{name}: {json}");
        until(&relay, "one line", |c| c.services[0].logged == 1 && c.services[0].log_lost == 0);
    }
}

#[test]
fn the_end_that_a_client_makes_is_told_from_others() {
    check(cases_of_clients());
}

#[test]
fn the_end_that_a_server_makes_is_told_from_others() {
    check(cases_of_servers());
}

#[test]
fn a_wait_for_a_place_is_told_from_having_none() {
    let receiver = Receiver::new();
    let stuck = unkind(never);
    let mut service = http_service(1, vec![server(1, stuck.address)]);
    service.access_log = receiver.log(LogFormat::Json);
    service.max_connections = 1;
    service.queue = Queue { length: 1, timeout_ms: 300 };
    let relay = applied(&service);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut holds = connect(address(&service));
    holds.write_all(request).unwrap();
    until(&relay, "one has the place", |c| c.services[0].active == 1);
    let mut waits = connect(address(&service));
    waits.write_all(request).unwrap();
    until(&relay, "one waits", |c| c.services[0].queued == 1);
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 503);
    let full = receiver.json();
    assert_eq!((full["code"].as_str(), full["reason"].as_str()), (Some("PQ"), Some("queue-full")));
    assert!(full["server"].is_null() && full["queue_ms"].is_null(), "{full}");
    let late = receiver.json();
    assert_eq!(
        (late["code"].as_str(), late["reason"].as_str()),
        (Some("sQ"), Some("queue-timeout"))
    );
    assert!(late["total_ms"].as_u64() >= Some(290), "{late}");
    // A client that goes while it is served, and one that is cut.
    drop(holds);
    drop(waits);
}

#[test]
fn in_tcp_mode_a_line_is_a_connection() {
    let receiver = Receiver::new();
    let echo = RealServer::echo();
    let mut service = common::service(1, vec![server(1, echo.address)]);
    service.access_log = receiver.log(LogFormat::Http);
    let mut relay = applied(&service);
    assert_eq!(ask(address(&service), b"there?").unwrap(), b"there?");
    let line = receiver.line();
    let fields: Vec<&str> = line.split(' ').collect();
    assert_eq!(fields[2..4], ["service-1", "service-1/server-1"]);
    assert!(fields[4].split('/').all(|ms| ms.parse::<u32>().unwrap() < 10_000), "{line}");
    assert_eq!(fields[5..], ["6", "--", "1/1/1/1/0", "0/0", "done"]);

    service.access_log = receiver.log(LogFormat::Json);
    relay.apply(snapshot(2, &[&service])).unwrap();
    let mut stream = connect(address(&service));
    stream.write_all(b"half").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    service.servers[0].state = l7_api::ServerState::Halt;
    relay.apply(snapshot(3, &[&service])).unwrap();
    let json = receiver.json();
    assert_eq!((json["code"].as_str(), json["reason"].as_str()), (Some("KD"), Some("cut")));
    assert_eq!((json["mode"].as_str(), json["bytes_in"].as_u64()), (Some("tcp"), Some(4)));
    service.servers = vec![server(2, nobody())];
    service.retries = only_once();
    relay.apply(snapshot(4, &[&service])).unwrap();
    assert!(common::is_turned_away(address(&service)));
    let json = receiver.json();
    assert_eq!(
        (json["code"].as_str(), json["reason"].as_str()),
        (Some("SC"), Some("server-refused"))
    );
    assert!(json["connect_ms"].is_null() && json["server"] == "server-2", "{json}");
}

#[test]
fn who_does_not_get_through_the_handshake_is_written_of() {
    let receiver = Receiver::new();
    let real = server_of(|_| ok(b"x"));
    let mut service = Service {
        tls: encrypted(1, Vec::new()).tls,
        ..http_service(1, vec![server(1, real.address)])
    };
    service.access_log = receiver.log(LogFormat::Http);
    service.timeouts.handshake_ms = 60;
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let _ = ask(address(&service), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let line = receiver.line();
    assert!(line.contains(" service-1~ service-1/<NOSRV> -1/-1/-1/-1/"), "{line}");
    assert!(line.contains(" 0 0 - - PR-- ") && line.contains("\"<BADREQ>\" client-tls "), "{line}");
    let _ = connect(address(&service)).read(&mut [0; 1]);
    let line = receiver.line();
    assert!(line.contains(" cR-- ") && line.contains(" handshake-timeout "), "{line}");
    // And one that does.
    let config = common::encrypted::client(&common::encrypted::settings());
    let stream = common::encrypted::shake(&config, "a.example", address(&service)).unwrap();
    let mut peer = Peer::over(stream);
    service.access_log = receiver.log(LogFormat::Json);
    relay.apply(snapshot_with(2, &[&service], &[&own])).unwrap();
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    peer.response(false).unwrap();
    let json = receiver.json();
    assert_eq!(
        (json["tls_version"].as_str(), json["tls_name"].as_str()),
        (Some("TLSv1.3"), Some("a.example"))
    );
}

#[test]
fn a_changed_protocol_is_written_of_when_it_ends() {
    let receiver = Receiver::new();
    let real = unkind(|mut peer| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                    Upgrade: websocket\r\n\r\n";
        let _ = peer.send(head.as_bytes());
        let mut bytes = Vec::new();
        let _ = peer.reader.read_to_end(&mut bytes);
        let _ = peer.send(&bytes);
    });
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.access_log = receiver.log(LogFormat::Json);
    let _relay = applied(&service);
    let mut peer = Peer::connect(address(&service));
    let head = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    peer.send(head.as_bytes()).unwrap();
    assert_eq!(peer.response(false).unwrap().status(), 101);
    peer.send(&[b'x'; 1_000]).unwrap();
    peer.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    peer.reader.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), 1_000);
    let json = receiver.json();
    assert_eq!((json["status"].as_u64(), json["target"].as_str()), (Some(101), Some("/chat")));
    assert_eq!((json["code"].as_str(), json["reason"].as_str()), (Some("--"), Some("done")));
    assert_eq!(json["bytes_in"].as_u64(), Some(head.len() as u64 + 1_000));
}

#[test]
fn a_request_has_one_number_for_the_log_and_for_the_server() {
    let receiver = Receiver::new();
    let real = server_of(|request| ok(request.values("X-Request-ID").join(",").as_bytes()));
    let mut service = with(http_service(1, vec![server(1, real.address)]), |http| {
        http.request_id = Some("X-Request-ID".to_owned());
    });
    service.access_log = receiver.log(LogFormat::Json);
    let mut relay = applied(&service);
    let mut known = std::collections::HashSet::new();
    let mut peer = Peer::connect(address(&service));
    for _ in 0..20 {
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nx-request-id: forged\r\n\r\n").unwrap();
        let told = peer.response(false).unwrap().text().to_owned();
        assert_eq!(receiver.json()["id"].as_str(), Some(&*told));
        assert!(told.len() == 32 && known.insert(told.clone()), "{told}");
    }
    service.access_log = None;
    relay.apply(snapshot(2, &[&service])).unwrap();
    let told = peer.get("/").unwrap();
    assert!(known.insert(told.text().to_owned()) && told.body.len() == 32, "without a log too");
}

#[test]
fn hostile_octets_stay_within_their_line() {
    let folder = Folder::new("hostile");
    let real = server_of(|_| ok(b"x"));
    let mut service = http_service(1, vec![server(1, real.address)]);
    let mut relay = relay(1);
    let said: &[u8] =
        b"GET /?\"\\\xff\xc3\xa4 HTTP/1.1\r\nHost: a\r\nUser-Agent: \x80\"},{\\\t\r\n\r\n";
    for (number, format) in
        [LogFormat::Http, LogFormat::Combined, LogFormat::Json].into_iter().enumerate()
    {
        let path = folder.file(&format!("{number}"));
        service.access_log = to_file(format, &path);
        relay.apply(snapshot(number as u64 + 1, &[&service])).unwrap();
        let mut peer = Peer::connect(address(&service));
        peer.send(said).unwrap();
        let _ = peer.response(false);
        let line = lines(&path, 1).remove(0);
        if format == LogFormat::Json {
            let json: Value = serde_json::from_str(&line).unwrap();
            assert!(json["reason"].is_string(), "{line}");
        } else {
            assert!(line.is_ascii() && !line.contains('\t'), "{line}");
        }
    }
}

#[test]
fn a_file_that_was_moved_is_begun_anew_and_one_that_cannot_be_is_said() {
    let folder = Folder::new("moved");
    let real = server_of(|_| ok(b"x"));
    let (path, moved) = (folder.file("log"), folder.file("log.1"));
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.access_log = to_file(LogFormat::Combined, &path);
    let mut relay = applied(&service);
    let mut peer = Peer::connect(address(&service));
    peer.get("/before").unwrap();
    assert!(lines(&path, 1)[0].contains("/before"));
    fs::rename(&path, &moved).unwrap();
    let start = Instant::now();
    while !path.exists() {
        peer.get("/after").unwrap();
        assert!(start.elapsed() < PATIENCE);
    }
    let count = relay.counters().services[0].requests as usize;
    until(&relay, "all are written", |c| c.services[0].logged == count as u64);
    let both = lines(&moved, fs::read_to_string(&moved).unwrap().lines().count()).len()
        + fs::read_to_string(&path).unwrap().lines().count();
    assert_eq!(both, count, "no line is lost");

    service.access_log = to_file(LogFormat::Combined, &folder.file("none/log"));
    let problems = relay.apply(snapshot(2, &[&service])).unwrap();
    assert!(problems[0].reason.contains("access log cannot be written"), "{problems:?}");
    assert_eq!(Peer::connect(address(&service)).get("/").unwrap().status(), 200);
    until(&relay, "one is lost", |c| c.services[0].log_lost == 1);
    fs::create_dir(folder.file("none")).unwrap();
    let start = Instant::now();
    while !folder.file("none/log").exists() {
        peer.get("/").unwrap();
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn a_receiver_that_does_not_keep_up_loses_lines_and_stops_nobody() {
    let folder = Folder::new("slow");
    let path = folder.file("socket");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let real = server_of(|_| ok(b"x"));
    let mut service = http_service(1, vec![server(1, real.address)]);
    let to = SyslogAddress::Unix(path.to_str().unwrap().to_owned());
    let to = LogTarget::Syslog { to, header: SyslogHeader::Rfc3164, facility: 16 };
    service.access_log = Some(AccessLog { format: LogFormat::Http, to });
    let relay = applied(&service);
    let mut peer = Peer::connect(address(&service));
    let mut requests = 0;
    while relay.counters().services[0].log_lost < 20 {
        peer.get("/").unwrap();
        requests += 1;
        assert!(requests < 100_000, "nothing is lost");
    }
    let counters = until(&relay, "all are counted", |c| {
        c.services[0].logged + c.services[0].log_lost == requests
    });
    receiver.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4_096];
    let mut received = 0;
    while let Ok(count) = receiver.recv(&mut buffer) {
        assert!(buffer[..count].starts_with(b"<134>"));
        received += 1;
    }
    assert_eq!(received, counters.services[0].logged);
    peer.get("/").unwrap();
    until(&relay, "it goes on", |c| c.services[0].logged == received + 1);
}

#[test]
fn a_log_that_makes_no_sense_is_refused() {
    let mut relay = relay(1);
    let mut refuses = |to: LogTarget| {
        let mut service = common::service(1, Vec::new());
        service.access_log = Some(AccessLog { format: LogFormat::Json, to });
        relay.apply(snapshot(1, &[&service])).is_err()
    };
    assert!(refuses(LogTarget::File("relative".to_owned())));
    assert!(refuses(LogTarget::File("/a\0b".to_owned())));
    let to = SyslogAddress::Udp("127.0.0.1:514".parse().unwrap());
    assert!(refuses(LogTarget::Syslog { to, header: SyslogHeader::Rfc5424, facility: 24 }));
}
