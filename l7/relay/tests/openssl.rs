//! The proxy as the `openssl` command sees it: another implementation of TLS.

mod common;
use common::encrypted::{certificate, encrypted, snapshot_with};
use common::*;
use l7_api::{Reencryption, Service, Termination, TlsMode, Verify};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// Connects, says this, and hears the answer to its end.
fn s_client(to: SocketAddr, options: &str, question: &[u8]) -> Output {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &to.to_string(), "-quiet"])
        .args(options.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    client.stdin.take().unwrap().write_all(question).unwrap();
    client.wait_with_output().unwrap()
}

/// Answers to a line with a line, and ends.
fn greeter() -> RealServer {
    RealServer::new(|stream| {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(&stream));
        let Some(Ok(name)) = lines.next() else { return };
        let _ = (&stream).write_all(format!("hello {name}\n").as_bytes());
    })
}

fn serve(service: &Service) -> relay::Relay {
    let mut relay = relay(1);
    let own = certificate("a.example");
    assert_eq!(relay.apply(snapshot_with(1, &[service], &[&own])).unwrap(), []);
    relay
}

#[test]
fn s_client_is_served_in_each_version_group_and_suite() {
    let greeter = greeter();
    let mut service = encrypted(1, vec![server(1, greeter.address)]);
    let mut served = |mode: TlsMode, options: &str| {
        service.tls = Some(Termination { mode, ..Termination::new(vec![1]) });
        let _relay = serve(&service);
        let options = format!("-servername a.example {options}");
        let Output { stdout, stderr, .. } = s_client(address(&service), &options, b"world\n");
        // Shown if the test fails.
        eprintln!("{options}: {}", String::from_utf8_lossy(&stderr));
        stdout == b"hello world\n"
    };
    for options in [
        "-tls1_3",
        "-tls1_2",
        "-tls1_3 -groups P-256",
        "-tls1_3 -groups P-384",
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
        "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
    ] {
        assert!(served(TlsMode::High, options), "{options}");
        assert!(served(TlsMode::Compatible, options), "{options}");
    }
    for options in [
        "-tls1_1 -cipher DEFAULT@SECLEVEL=0",
        "-tls1_2 -cipher AES128-SHA",
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA",
    ] {
        assert!(!served(TlsMode::Compatible, options), "{options}");
    }
    let custom = |version: &str| TlsMode::Custom {
        versions: vec![version.to_owned()],
        suites: Vec::new(),
        groups: Vec::new(),
        own_order: true,
        require_extended_master_secret: false,
    };
    assert!(served(custom("1.2"), "-tls1_2") && !served(custom("1.2"), "-tls1_3"));
    assert!(served(custom("1.3"), "-tls1_3") && !served(custom("1.3"), "-tls1_2"));
}

#[test]
fn s_client_resumes_its_session() {
    let greeter = greeter();
    let service = encrypted(1, vec![server(1, greeter.address)]);
    let relay = serve(&service);
    for version in ["-tls1_2", "-tls1_3"] {
        let kept = std::env::temp_dir().join(format!("relay-{}{version}", std::process::id()));
        let path = kept.display();
        for option in ["-sess_out", "-sess_in"] {
            let options = format!("{version} {option} {path}");
            let output = s_client(address(&service), &options, b"world\n");
            assert_eq!(output.stdout, b"hello world\n", "{version} {option}");
        }
        std::fs::remove_file(&kept).unwrap();
    }
    let counters = until(&relay, "idle", |c| c.services[0].active == 0).services[0];
    assert_eq!((counters.tls_handshakes, counters.tls_resumed), (4, 2));
}

/// `openssl s_server` that turns round what it is told, line by line.
struct Turning {
    child: Child,
    address: SocketAddr,
    files: PathBuf,
}

impl Turning {
    fn new(options: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = std::env::temp_dir().join(format!("relay-{}.pem", address.port()));
        std::fs::write(&files, &*certificate("real.example").to_pem()).unwrap();
        let child = Command::new("openssl")
            .args(["s_server", "-rev", "-quiet", "-accept", &address.to_string(), "-cert"])
            .arg(&files)
            .args(options.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        // It is there when it can be connected to.
        let start = std::time::Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "s_server does not listen");
            std::thread::yield_now();
        }
        Self { child, address, files }
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.files);
    }
}

#[test]
fn s_server_is_spoken_to_in_each_version() {
    for options in ["-tls1_3", "-tls1_2", "-tls1_3 -groups P-256", "-tls1_3 -num_tickets 4"] {
        let turning = Turning::new(options);
        let mut service = common::service(1, vec![server(1, turning.address)]);
        service.reencrypt = Some(Reencryption::new(Verify::AcceptAnything));
        let _relay = relay_of(1, &service);
        for _ in 0..3 {
            let mut stream = connect(address(&service));
            stream.write_all(b"desserts\n").unwrap();
            let mut answer = [0; 9];
            std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
            assert_eq!(&answer, b"stressed\n", "{options}");
        }
    }
}
