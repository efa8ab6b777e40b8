//! HTTP mode before nginx, if it is installed: its keep-alive, its chunks, its PROXY protocol.

mod common;

use common::http::{Message, Peer, http_service};
use common::{Noise, address, relay_of};
use l7_api::ProxyOut;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// A running nginx; killed when dropped.
struct Nginx {
    process: Child,
    folder: PathBuf,
    plain: SocketAddr,
    proxied: SocketAddr,
}

impl Nginx {
    /// None, if there is no nginx here.
    fn start(name: &str, page: &[u8]) -> Option<Self> {
        Command::new("nginx").arg("-v").stderr(Stdio::null()).status().ok()?;
        let folder = std::env::temp_dir().join(format!("relay-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("page"), page).unwrap();
        let [plain, proxied] = [common::nobody(), common::nobody()];
        let path = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/errors;
             worker_rlimit_nofile 1024;
             events {{ worker_connections 256; }}
             http {{
               access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
               fastcgi_temp_path {path}/fcgi; uwsgi_temp_path {path}/uwsgi;
               scgi_temp_path {path}/scgi; keepalive_requests 7;
               server {{
                 listen {plain}; listen {proxied} proxy_protocol; root {path};
                 location /who {{ return 200 \"$proxy_protocol_addr $http_x_forwarded_for\"; }}
                 location /page {{ gzip on; gzip_types *; gzip_min_length 1; }}
               }}
             }}"
        );
        fs::write(folder.join("config"), config).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("config"))
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(plain).is_err() {
            assert!(start.elapsed() < common::PATIENCE, "nginx does not begin to listen");
            thread::yield_now();
        }
        Some(Self { process, folder, plain, proxied })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ask(client: &mut Peer, method: &str, fields: &str) -> Message {
    client.send(format!("{method} /page HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
    client.response(method == "HEAD").unwrap()
}

#[test]
fn nginx_serves_pages_parts_and_chunks() {
    let mut page = vec![0; 300_000];
    Noise::new(11).fill(&mut page);
    let Some(nginx) = Nginx::start("pages", &page) else { return };
    let service = http_service(1, vec![common::server(1, nginx.plain)]);
    let relay = relay_of(1, &service);
    let mut client = Peer::connect(address(&service));
    for _ in 0..50 {
        let whole = ask(&mut client, "GET", "");
        assert!(whole.status() == 200 && whole.body == page);
        let part = ask(&mut client, "GET", "Range: bytes=100-199\r\n");
        assert!(part.status() == 206 && part.body == page[100..200]);
        assert_eq!(ask(&mut client, "HEAD", "").values("Content-Length"), ["300000"]);
        let tag = whole.values("ETag")[0];
        let unchanged = ask(&mut client, "GET", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((unchanged.status(), unchanged.body.len()), (304, 0));
        let packed = ask(&mut client, "GET", "Accept-Encoding: gzip\r\n");
        assert_eq!(packed.values("Transfer-Encoding"), ["chunked"]);
        assert!(packed.body.starts_with(&[0x1f, 0x8b]));
    }
    let counters = relay.counters();
    assert_eq!(counters.services[0].gateway_errors, 0);
    assert!(counters.servers[0].reused > 200, "{counters:#?}");
}

#[test]
fn nginx_learns_the_client_from_both_sources() {
    let Some(nginx) = Nginx::start("who", b"") else { return };
    let mut service = http_service(1, vec![common::server(1, nginx.proxied)]);
    service.proxy_out = ProxyOut::V2;
    let _relay = relay_of(1, &service);
    let mut client = Peer::new(common::connect_from([127, 0, 0, 77].into(), address(&service)));
    for _ in 0..10 {
        assert_eq!(client.get("/who").unwrap().text(), "127.0.0.77 127.0.0.77");
    }
}
