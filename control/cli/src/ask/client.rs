//! HTTP over control's Unix socket.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// Why there is no answer: what is wrong and where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who is at fault, and of what.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Asks control of one runtime folder.
pub struct Client {
    socket: PathBuf,
    runtime: Runtime,
}

type Anything = Box<dyn Error + Send + Sync>;

impl Client {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the kernel refuses what an event loop needs.
    pub fn new(runtime_dir: &Path) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| Failure {
            what: format!("this host refuses an event loop: {e}"),
            remedy: "see the limit of open files (`ulimit -n`)".into(),
        })?;
        Ok(Self { socket: runtime_dir.join("control.sock"), runtime })
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// When control cannot be reached, does not answer in time, or answers with an error.
    pub fn call(&self, method: &Method, path: &str) -> Result<Value, Failure> {
        self.send(method, path, None)
    }

    /// As [`Self::call`], with a body in JSON.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(Value::to_string);
        self.runtime.block_on(async {
            let stream = timeout(PATIENCE, UnixStream::connect(&self.socket))
                .await
                .map_err(|_| self.too_slow())?
                .map_err(|e| self.unreachable(&e))?;
            let (status, body) = timeout(PATIENCE, exchange(stream, method, path, body))
                .await
                .map_err(|_| self.too_slow())?
                .map_err(|e| self.broken(e.as_ref()))?;
            let value = serde_json::from_slice(&body);
            match value {
                Ok(value) if status.is_success() => Ok(value),
                Ok(value) => Err(refusal(status, &value)),
                Err(_) if !status.is_success() => Err(refusal(status, &Value::Null)),
                Err(e) => Err(self.broken(&e)),
            }
        })
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "run this as root: the socket is root's".into(),
            _ => format!(
                "is `fulcrum run` running with this --runtime-dir? Look at its log; start it with \
                 `fulcrum run FILE --runtime-dir {}`",
                self.socket.parent().unwrap_or(Path::new(".")).display()
            ),
        };
        Failure { what: format!("control does not answer on {socket}: {error}"), remedy }
    }

    fn too_slow(&self) -> Failure {
        let (socket, seconds) = (self.socket.display(), PATIENCE.as_secs());
        Failure {
            what: format!("control does not answer on {socket} within {seconds} s"),
            remedy: "look at the log of `fulcrum run`; forwarding goes on without control. If it \
                     stays so, end the process fulcrum-control: it is started again by itself"
                .into(),
        }
    }

    fn broken(&self, error: &dyn Error) -> Failure {
        let socket = self.socket.display();
        Failure {
            what: format!("control's answer on {socket} cannot be read: {error}"),
            remedy: "ask again; if it stays so, look at the log of `fulcrum run`".into(),
        }
    }
}

async fn exchange(
    stream: UnixStream,
    method: &Method,
    path: &str,
    body: Option<String>,
) -> Result<(StatusCode, Bytes), Anything> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come out of the request as well.
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "fulcrum")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.unwrap_or_default()))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await?.to_bytes();
    driver.abort();
    Ok((status, body))
}

/// Control says itself what is wrong and what to do.
fn refusal(status: StatusCode, value: &Value) -> Failure {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let mut what = text("error").unwrap_or_else(|| format!("control refused this with {status}"));
    for finding in value["findings"].as_array().into_iter().flatten() {
        let word = |key: &str| finding[key].as_str().unwrap_or_default();
        let line = finding["line"].as_u64().map_or(String::new(), |line| format!("line {line}: "));
        let (severity, key) = (word("severity"), word("key"));
        what += &format!(" | {line}{severity}: {key}: {}; write: {}", word("what"), word("remedy"));
    }
    Failure {
        what,
        remedy: text("remedy").unwrap_or_else(|| "look at the log of `fulcrum run`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_says_what_control_says() {
        let said = json!({"error": "no real server WEB9", "remedy": "see the list"});
        let failure = refusal(StatusCode::NOT_FOUND, &said);
        assert_eq!(failure.what, "no real server WEB9");
        assert_eq!(failure.remedy, "see the list");
        let mute = refusal(StatusCode::NOT_FOUND, &Value::Null);
        assert_eq!(mute.what, "control refused this with 404 Not Found");
    }
}
