//! HTTP over a Unix socket, one request for each connection.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

pub fn get(socket: &Path, path: &str) -> Option<Answer> {
    call(socket, "GET", path, b"")
}

pub fn call(socket: &Path, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    call_with(socket, method, path, "", body)
}

/// As [`call`], with further header lines.
pub fn call_with(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Option<Answer> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    let mut stream = raw(socket, &[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

/// Sends a request and leaves the answer for later, or for nobody.
pub fn begin(socket: &Path, method: &str, path: &str, body: &[u8]) -> Option<UnixStream> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw(socket, &[head.as_bytes(), body].concat())
}

/// Sends bytes as they are.
pub fn raw(socket: &Path, bytes: &[u8]) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    // Control may hang up in the middle of nonsense.
    let _ = stream.write_all(bytes);
    Some(stream)
}

pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    Some(Answer { status, body: bytes[head..].to_vec() })
}
