//! Real servers with TLS: nginx on the load's processor.

use super::backend::BODIES;
use super::bed::{SECURE, on};
use super::running::{Running, await_port};
use anyhow::Result;
use std::fs;
use std::path::Path;

/// It runs until dropped.
pub struct Origin {
    _process: Running,
}

impl Origin {
    /// Starts it.
    ///
    /// # Errors
    /// When nginx is not installed or does not start.
    pub fn start(folder: &Path, cpu: usize) -> Result<Self> {
        let root = folder.join("origin");
        fs::create_dir_all(&root)?;
        for (path, size) in BODIES {
            fs::write(root.join(path.trim_start_matches('/')), vec![b'x'; size])?;
        }
        let file = folder.join("origin.conf");
        fs::write(&file, configuration(folder))?;
        let mut command = on(cpu, "nginx");
        command.arg("-p").arg(folder).arg("-c").arg(&file);
        let process = Running::start(command, &folder.join("origin.log"))?;
        await_port(SECURE)?;
        Ok(Self { _process: process })
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/origin.pid; error_log stderr;
        events {{ worker_connections 10000; }}
        http {{
            access_log off;
            keepalive_requests 1000000000;
            keepalive_timeout 300s;
            sendfile on;
            open_file_cache max=16;
            default_type application/octet-stream;
            server {{
                listen 127.0.0.1:{SECURE} ssl;
                ssl_certificate {folder}/bench.crt;
                ssl_certificate_key {folder}/bench.key;
                ssl_protocols TLSv1.3;
                ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
                root {folder}/origin;
            }}
        }}
"
    )
}
