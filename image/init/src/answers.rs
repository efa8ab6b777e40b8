//! Asks the balancer how it is, now and again, by the same door as the command line's.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two questions, and the longest that an answer may take.
const PERIOD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
/// No status is as long.
const LONGEST: u64 = 1 << 20;
const QUESTION: &[u8] = b"GET /api/v1/status HTTP/1.0\r\nHost: fulcrum\r\n\r\n";

/// When the balancer last said that its programs answer each other.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<Option<Instant>>>);

impl Answers {
    /// Asks at `socket`, in a thread that ends with the machine.
    pub fn ask(socket: &'static Path) -> Self {
        let answers = Self::default();
        let kept = answers.clone();
        std::thread::spawn(move || {
            loop {
                if is_well(socket).unwrap_or(false) {
                    kept.keep(Instant::now());
                }
                std::thread::sleep(PERIOD);
            }
        });
        answers
    }

    /// The time of the last good answer.
    pub fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn keep(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(now);
    }
}

fn is_well(socket: &Path) -> io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(says_well(&answer))
}

/// Whether control answered, hears the data plane, and the proxy where there is work for it.
fn says_well(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let is_ok = head.split(' ').nth(1) == Some("200");
    let Ok(status) = serde_json::from_str::<serde_json::Value>(body) else { return false };
    let is = |part: &str, what: &str| status[part][what] == true;
    let proxy = is("layer7", "connected") || !is("layer7", "needed");
    is_ok && is("dataplane", "connected") && proxy
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn status(dataplane: bool, needed: bool, layer7: bool) -> String {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{{\"dataplane\":{{\
             \"connected\":{dataplane}}},\"layer7\":{{\"connected\":{layer7},\"needed\":{needed}}}}}"
        )
    }

    #[test]
    fn the_programs_that_have_work_must_be_heard() {
        for (dataplane, needed, layer7, expected) in [
            (true, false, false, true),
            (true, true, false, false),
            (true, true, true, true),
            (false, false, true, false),
        ] {
            let answer = status(dataplane, needed, layer7);
            assert_eq!(says_well(answer.as_bytes()), expected, "{answer}");
            let error = answer.replacen("200 OK", "503 Unavailable", 1);
            assert!(!says_well(error.as_bytes()));
        }
        for nonsense in ["", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n\r\n{", "\r\n\r\n{}"] {
            assert!(!says_well(nonsense.as_bytes()), "{nonsense}");
        }
    }

    #[test]
    fn it_is_asked_at_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        assert!(is_well(&socket).is_err(), "nobody is there");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = [0; QUESTION.len()];
            client.read_exact(&mut asked).unwrap();
            client.write_all(status(true, false, false).as_bytes()).unwrap();
            asked
        });
        assert!(is_well(&socket).unwrap());
        assert_eq!(server.join().unwrap(), QUESTION);
    }
}
