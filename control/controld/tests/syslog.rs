//! Syslog servers are told what happens, by a receiver on loopback that knows nothing of us.

mod lab;

use lab::{CONFIG, Lab, action, eventually, http, inside, real_server};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// A receiver of datagrams, with all that came so far.
struct Receiver {
    socket: UdpSocket,
    seen: Vec<String>,
}

impl Receiver {
    fn new(address: &str) -> Self {
        let socket = UdpSocket::bind(address).expect("the namespace is ours");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, seen: Vec::new() }
    }

    fn read(&mut self) {
        let mut buffer = [0; 9_000];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.seen.push(String::from_utf8(buffer[..length].to_vec()).expect("UTF-8"));
        }
    }

    /// Waits for a message that has all of `parts`.
    fn wait(&mut self, parts: &[&str]) -> String {
        let has = |line: &&String| parts.iter().all(|part| line.contains(part));
        eventually(&format!("{parts:?}"), || {
            self.read();
            self.seen.iter().any(|line| has(&line))
        });
        self.seen.iter().find(has).expect("it is there").clone()
    }
}

/// The next message by its length (RFC 6587, section 3.4.1).
fn frame(stream: &mut BufReader<TcpStream>) -> String {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).expect("a length");
    let length = String::from_utf8(length).expect("digits").trim_end().parse().expect("a number");
    let mut text = vec![0; length];
    stream.read_exact(&mut text).expect("a whole message");
    String::from_utf8(text).expect("UTF-8")
}

fn metrics(lab: &Lab) -> String {
    String::from_utf8(lab.get("/metrics").body).expect("UTF-8")
}

fn with(server: &str) -> String {
    format!("{server}\n{CONFIG}")
}

fn apply(lab: &Lab, text: &str) {
    let body = json!({"text": text}).to_string();
    let answer = http::call(&lab.socket(), "PUT", "/api/v1/config", body.as_bytes());
    assert_eq!(answer.expect("control answers").status, 200);
}

const UDP: &str = "[[syslog]]\nserver = \"127.0.0.1\"\nfacility = \"local3\"";

#[test]
fn state_changes_and_the_audit_log_are_told() {
    inside("state_changes_and_the_audit_log_are_told", || {
        let mut receiver = Receiver::new("127.0.0.1:514");
        let servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(&with(UDP));
        // local3 (19) and informational (6): 19 * 8 + 6.
        receiver.wait(&["<158>1 ", " lab fulcrum-control ", " dataplane [meta ", "is process"]);
        receiver.wait(&[" check ", "service WEB, real server one: up"]);
        drop(servers.0);
        receiver.wait(&["<156>1 ", " check ", "service WEB, real server one: down: "]);
        assert_eq!(lab.post(&action("two", "drain")).status, 200);
        receiver.wait(&[" request ", "real server two: root asks for drain"]);
        receiver.wait(&[
            "<158>1 ",
            " audit ",
            "root from local: POST /api/v1/services/WEB/real-servers/two/drain: 200",
        ]);
        assert_eq!(lab.post(&action("nobody", "drain")).status, 404);
        receiver.wait(&["<156>1 ", " audit ", "/nobody/drain: 404"]);
        let metrics = metrics(&lab);
        let sent = "fulcrum_node_syslog_sent_messages_total{server=\"127.0.0.1:514\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(sent)).expect("it is there");
        assert!(count.parse::<u64>().expect("a number") >= 6, "{count}");
        lab.signal("TERM");
        eventually("it has ended", || lab.ended() == Some(true));
        receiver.wait(&["stopped"]);
    });
}

#[test]
fn servers_change_with_the_configuration() {
    inside("servers_change_with_the_configuration", || {
        let mut first = Receiver::new("127.0.0.1:514");
        let second = TcpListener::bind("127.0.0.1:601").expect("the namespace is ours");
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(&with(UDP));
        let tcp = "[[syslog]]\nserver = \"127.0.0.1\"\ntransport = \"tcp\"\nlevel = \"warning\"";
        apply(&lab, &with(tcp));
        let shown = |server: &str| metrics(&lab).contains(&format!("{{server=\"{server}\"}}"));
        eventually("it has changed", || shown("127.0.0.1:601") && !shown("127.0.0.1:514"));
        assert_eq!(lab.post(&action("nobody", "drain")).status, 404);
        let stream = second.accept().expect("control connects").0;
        stream.set_read_timeout(Some(lab::PATIENCE)).expect("a socket");
        let mut stream = BufReader::new(stream);
        let told = frame(&mut stream);
        assert!(told.starts_with("<28>1 ") && told.contains("/nobody/drain: 404"), "{told}");
        first.read();
        assert!(!first.seen.iter().any(|line| line.contains("nobody")), "{:?}", first.seen);

        apply(&lab, CONFIG);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("it ends");
        assert_eq!(rest, "", "only warnings were wanted");
        assert!(!metrics(&lab).contains("fulcrum_node_syslog"));
    });
}

#[test]
fn what_a_server_does_not_take_is_counted_and_holds_nobody_up() {
    inside("what_a_server_does_not_take_is_counted_and_holds_nobody_up", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        // Nobody listens there.
        let tcp = "[[syslog]]\nserver = \"127.0.0.1\"\ntransport = \"tcp\"";
        let lab = Lab::ready(&with(tcp));
        let lost = |lab: &Lab| -> u64 {
            let metrics = metrics(lab);
            let name = "fulcrum_node_syslog_lost_messages_total{server=\"127.0.0.1:601\"} ";
            let count = metrics.lines().find_map(|line| line.strip_prefix(name));
            count.expect("it is there").parse().expect("a number")
        };
        assert!(metrics(&lab).contains("fulcrum_node_syslog_up{server=\"127.0.0.1:601\"} 0"));
        for _ in 0..1_100 {
            assert_eq!(lab.post(&action("nobody", "drain")).status, 404);
        }
        assert!(lost(&lab) > 50, "{}", lost(&lab));
        assert_eq!(lab.get("/api/v1/status").status, 200);
    });
}
