//! The API over a Unix socket that only root can open.

use crate::node::{Node, Shared};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;

/// Serves until the task is dropped.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(path: &Path, core: Shared) -> Result<()> {
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    axum::serve(listener, rest::router(Arc::new(Node(core)), Arc::new(rest::Root))).await?;
    Ok(())
}
