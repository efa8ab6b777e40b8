//! What the tests of the command share.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod run;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A file without a fault.
pub const GOOD: &str = r#"[node]
name = "lb1"

[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["192.168.100.10/24"]
gateway = "192.168.100.1"

[[service]]
name = "WEB"
mode = "l4-dr"
address = "192.168.100.100"
ports = "80"
check = { type = "connect", port = 80 }

[[service.real_server]]
name = "WEB1"
address = "192.168.100.110"
weight = 100
"#;

/// A folder that is gone with the test. Short, because a socket's path has at most 107 bytes.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fulcrum-cli-{}-{}", process::id(), NEXT.fetch_add(1, Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The command under test.
pub fn fulcrum() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fulcrum"))
}
