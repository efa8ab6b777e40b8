//! Who is measured, and how each is started: one thread, one processor, the same features on.

use super::bed::{Bed, LOG, PLAIN, SECURE, local};
use super::proxy::{self, Proxy};
use super::running::{Running, await_port};
use anyhow::{Result, bail};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A program in front of the real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// HAProxy; splices in TCP mode.
    HaProxy,
    /// The same with pipes of 1 MiB.
    LargePipes,
    /// nginx.
    Nginx,
    /// stunnel for TLS, HAProxy behind it by PROXY protocol.
    Stunnel,
    /// This executable of ours, and its number among several.
    Fulcrum(PathBuf, usize),
}

/// What clients come to: each is a port of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HTTP.
    Http,
    /// HTTP with an access log.
    Logged,
    /// HTTPS; HTTP/2 for who offers it.
    Https,
    /// HTTPS, and again to the real server.
    Reencrypted,
    /// Bytes.
    Tcp,
    /// stunnel comes here with PROXY protocol.
    Forwarded,
}

/// A peer that runs.
#[derive(Debug)]
pub struct Started {
    processes: Vec<Running>,
    base: u16,
    /// Doors that are not open, and why.
    closed: Vec<(Door, String)>,
}

impl Peer {
    /// Starts it.
    ///
    /// # Errors
    /// When it is not installed, or does not serve.
    pub fn start(&self, bed: &Bed) -> Result<Started> {
        let base = self.base();
        let mut started = Started { processes: Vec::new(), base, closed: Vec::new() };
        match self {
            Self::HaProxy => started.haproxy(bed, "haproxy", "")?,
            Self::LargePipes => started.haproxy(bed, "haproxy-1m", "tune.pipesize 1048576")?,
            Self::Nginx => started.nginx(bed)?,
            Self::Stunnel => {
                started.haproxy(bed, "haproxy-stunnel", "")?;
                started.stunnel(bed)?;
            }
            Self::Fulcrum(executable, number) => {
                let Proxy { process, closed } = proxy::start(bed, executable, *number, base)?;
                started.processes.push(process);
                started.closed = closed;
            }
        }
        Ok(started)
    }

    fn base(&self) -> u16 {
        match self {
            Self::HaProxy => 10_000,
            Self::LargePipes => 10_100,
            Self::Nginx => 10_200,
            // Its own HAProxy's; stunnel itself is at another one.
            Self::Stunnel => 10_300,
            Self::Fulcrum(_, number) => 11_000 + 100 * *number as u16,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HaProxy => "haproxy",
            Self::LargePipes => "haproxy, 1 MiB pipes",
            Self::Nginx => "nginx",
            Self::Stunnel => "stunnel + haproxy",
            Self::Fulcrum(_, 0) => "fulcrum",
            Self::Fulcrum(_, number) => return write!(f, "fulcrum [{number}]"),
        })
    }
}

impl Started {
    /// Where a door is.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn port(&self, door: Door) -> Result<u16> {
        match self.closed.iter().find(|(closed, _)| *closed == door) {
            Some((_, reason)) => bail!("{reason}"),
            None => Ok(self.base + door.offset()),
        }
    }

    /// Its processes: what they use is what the peer uses.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Running::pid).collect()
    }

    fn haproxy(&mut self, bed: &Bed, name: &str, tuning: &str) -> Result<()> {
        let file = bed.folder().join(format!("{name}.cfg"));
        fs::write(&file, haproxy(bed, self.base, tuning))?;
        let mut command = bed.measured("haproxy");
        command.args(["-db", "-q", "-f"]).arg(&file);
        self.processes.push(Running::start(command, &bed.folder().join(format!("{name}.log")))?);
        await_port(self.base + Door::Tcp.offset())
    }

    fn nginx(&mut self, bed: &Bed) -> Result<()> {
        let file = bed.folder().join("nginx.conf");
        fs::write(&file, nginx(bed.folder(), self.base))?;
        let mut command = bed.measured("nginx");
        command.arg("-p").arg(bed.folder()).arg("-c").arg(&file);
        self.processes.push(Running::start(command, &bed.folder().join("nginx.log"))?);
        let reason = || "not measured with nginx".to_owned();
        self.closed = vec![(Door::Tcp, reason()), (Door::Forwarded, reason())];
        await_port(self.base)
    }

    fn stunnel(&mut self, bed: &Bed) -> Result<()> {
        let file = bed.folder().join("stunnel.conf");
        fs::write(&file, stunnel(bed, self.base))?;
        let mut command = bed.measured("stunnel4");
        command.arg(&file);
        self.processes.push(Running::start(command, &bed.folder().join("stunnel.log"))?);
        // Its doors lie above those of the HAProxy behind it; it has one.
        self.base += STUNNEL;
        await_port(self.base + Door::Https.offset())
    }
}

/// Distance of stunnel's ports to those of its HAProxy.
const STUNNEL: u16 = 50;

impl Door {
    /// Distance to the peer's first port.
    pub fn offset(self) -> u16 {
        self as u16
    }

    /// Whether clients speak TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Reencrypted)
    }
}

fn haproxy(bed: &Bed, base: u16, tuning: &str) -> String {
    let at = |door: Door| local(base + door.offset());
    let pem = bed.pem().display().to_string();
    let plain = format!("server a {} cookie a", local(PLAIN));
    let secure = format!("server a {} cookie a ssl verify none", local(SECURE));
    let tls = format!("ssl crt {pem} alpn h2,http/1.1");
    let http = |scheme: &str, server: &str| {
        format!(
            "    mode http
    option forwardfor
    http-request set-header X-Forwarded-Proto {scheme}
    http-reuse always
    balance leastconn
    cookie SRV insert indirect nocache
    {server}
"
        )
    };
    format!(
        "global
    nbthread 1
    maxconn 9000
    maxpipes 400
    log {log} local0
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
    {tuning}
defaults
    maxconn 9000
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-request 10s
    timeout http-keep-alive 300s
listen http
    bind {http_at}
{plain_http}
listen logged
    bind {logged_at}
    log global
    option httplog
{plain_http}
listen https
    bind {https_at} {tls}
{secure_http}
listen reencrypted
    bind {reencrypted_at} {tls}
{reencrypted}
listen forwarded
    bind {forwarded_at} accept-proxy
{secure_http}
listen tcp
    bind {tcp_at}
    mode tcp
    option splice-request
    option splice-response
    balance leastconn
    {plain}
",
        log = local(LOG),
        http_at = at(Door::Http),
        logged_at = at(Door::Logged),
        https_at = at(Door::Https),
        reencrypted_at = at(Door::Reencrypted),
        forwarded_at = at(Door::Forwarded),
        tcp_at = at(Door::Tcp),
        plain_http = http("http", &plain),
        secure_http = http("https", &plain),
        reencrypted = http("https", &secure),
    )
}

fn nginx(folder: &Path, base: u16) -> String {
    let folder = folder.display();
    let server = |door: Door, pass: &str, more: &str| {
        let at = local(base + door.offset());
        let (tls, own) = match door.is_secure() {
            true => (
                " ssl http2",
                format!(
                    "ssl_certificate {folder}/bench.crt; ssl_certificate_key {folder}/bench.key;
                ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;"
                ),
            ),
            false => ("", String::new()),
        };
        format!(
            "        server {{
            listen {at}{tls} backlog=4096;
            {own}
            {more}
            location / {{ proxy_pass {pass}; }}
        }}
"
        )
    };
    let log = format!("access_log syslog:server={},nohostname combined;", local(LOG));
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
    worker_rlimit_nofile 19000;
    events {{ worker_connections 19000; }}
    http {{
        access_log off;
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
        client_header_timeout 10s;
        proxy_http_version 1.1;
        proxy_set_header Connection \"\";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        proxy_ssl_protocols TLSv1.3;
        upstream plain {{ least_conn; server {plain}; keepalive 512; keepalive_requests 1000000000; }}
        upstream secure {{ least_conn; server {secure}; keepalive 512; keepalive_requests 1000000000; }}
{http}{logged}{https}{reencrypted}    }}
",
        plain = local(PLAIN),
        secure = local(SECURE),
        http = server(Door::Http, "http://plain", ""),
        logged = server(Door::Logged, "http://plain", &log),
        https = server(Door::Https, "http://plain", ""),
        reencrypted = server(Door::Reencrypted, "https://secure", ""),
    )
}

fn stunnel(bed: &Bed, base: u16) -> String {
    format!(
        "foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[https]
accept = {accept}
connect = {connect}
cert = {pem}
protocol = proxy
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
",
        accept = local(base + STUNNEL + Door::Https.offset()),
        connect = local(base + Door::Forwarded.offset()),
        pem = bed.pem().display(),
    )
}
