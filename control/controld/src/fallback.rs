//! The local fallback page on TCP 9081: what clients see when no real server can answer.

use lower::FALLBACK_PORT;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Clients served at the same time; more wait in the kernel's queue.
const MOST_CLIENTS: usize = 256;
/// A client has this long for its request and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a request that are looked at; enough for any honest head.
const MOST_REQUEST: usize = 8 << 10;

const BODY: &str = "<!doctype html><title>Service unavailable</title>\
<h1>Service unavailable</h1><p>No server can answer at the moment. Please try again later.</p>\n";

/// Serves the page on every address until the task is dropped.
pub async fn serve() {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, FALLBACK_PORT));
    let clients = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => accept(&listener, &clients).await,
            Err(e) => log::error!("no fallback page: port {FALLBACK_PORT}: {e}"),
        }
        sleep(Duration::from_secs(5)).await;
    }
}

async fn accept(listener: &TcpListener, clients: &Arc<Semaphore>) {
    loop {
        let Ok(permit) = clients.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    let _ = timeout(PATIENCE, answer(stream)).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, most likely; do not spin.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(1024);
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MOST_REQUEST {
        let got = stream.read(&mut part).await?;
        if got == 0 {
            break;
        }
        request.extend_from_slice(&part[..got]);
    }
    let body = if request.starts_with(b"HEAD ") { "" } else { BODY };
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Retry-After: 10\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
