//! The API over HTTPS (TLS 1.2 and 1.3; HTTP/1.1), for whoever has a password or a token.

mod certificate;

use anyhow::{Context, Result};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rest::Peer;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections at once, of all clients together. More wait to be accepted.
const MOST_CONNECTIONS: usize = 512;
/// A handshake, and each request's head, must be there within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// An address that cannot be listened on is tried again after this time.
const AGAIN: Duration = Duration::from_secs(2);

/// What every connection shares.
#[derive(Clone)]
struct Server {
    tls: TlsAcceptor,
    router: Router,
    free: Arc<Semaphore>,
}

/// Serves `router` wherever `listen` says, which may change. Does not return unless the certificate
/// can be neither read nor made.
///
/// # Errors
/// When there is no certificate.
pub async fn serve(
    state_dir: &Path,
    node: &str,
    router: Router,
    mut listen: watch::Receiver<Vec<SocketAddr>>,
) -> Result<()> {
    // In a thread of its own: making one takes a slow machine a second, in which nothing would be
    // forwarded yet.
    let (folder, name) = (state_dir.to_owned(), node.to_owned());
    let tls = spawn_blocking(move || certificate::load_or_make(&folder, &name)).await?;
    let tls = tls.context("the API's certificate")?;
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let server = Server { tls: TlsAcceptor::from(tls), router, free };
    loop {
        let mut listeners = JoinSet::new();
        for address in listen.borrow_and_update().iter() {
            listeners.spawn(server.clone().listen(*address));
        }
        if listen.changed().await.is_err() {
            // Control stops.
            return Ok(());
        }
        listeners.shutdown().await;
    }
}

impl Server {
    /// Until the task is dropped. Connections that were accepted go on without it.
    async fn listen(self, address: SocketAddr) {
        let listener = bound(address).await;
        log::info!("the API answers at https://{address} under /api/v1");
        loop {
            // Dropped only when the semaphore is, which is never.
            let Ok(place) = self.free.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, from)) => {
                    let server = self.clone();
                    tokio::spawn(async move {
                        server.converse(stream, from).await;
                        drop(place);
                    });
                }
                // No more file descriptors, or a client that is gone already.
                Err(e) => {
                    log::debug!("{address}: {e}");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn converse(self, stream: TcpStream, from: SocketAddr) {
        let Ok(Ok(stream)) = timeout(PATIENCE, self.tls.accept(stream)).await else { return };
        let peer = Peer(from.ip().to_canonical());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            self.router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(e) = connection.await {
            log::debug!("{from}: {e}");
        }
    }
}

/// Listens there as soon as that is possible: the address may yet have to come up.
async fn bound(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match bind(address) {
            Ok(listener) => return listener,
            Err(e) if !told => {
                log::warn!("the API cannot listen on {address}, which is tried again: {e}");
                told = true;
            }
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            // [::] beside 0.0.0.0, each for its own family.
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}
