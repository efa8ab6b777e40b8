//! The API over a Unix socket that only root can open.

use anyhow::{Context, Result};
use axum::Router;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::UnixListener;

/// Serves until the task is dropped.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(path: &Path, router: Router) -> Result<()> {
    let _ = fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    axum::serve(listener, router).await?;
    Ok(())
}
