//! Opening a TCP connection: a probe of its own, and the first step of others.

use crate::patience::Patience;
use crate::{Failure, Target, socket};
use std::io;
use tokio::net::TcpStream;

/// Whether a connection can be opened.
pub async fn probe(target: &Target, patience: &Patience) -> Result<(), Failure> {
    open(target, patience).await.map(drop)
}

/// An open connection. Dropping it resets it.
pub async fn open(target: &Target, patience: &Patience) -> Result<TcpStream, Failure> {
    let to = target.whom();
    let socket = socket::tcp(target)?;
    let Ok(connected) = patience.lasts(socket.connect(target.address)).await else {
        let whole = patience.whole();
        return Err(Failure::theirs(format!("{to} did not answer a connection within {whole}")));
    };
    connected.map_err(|e| {
        Failure::of_socket(to, &e, || match e.kind() {
            io::ErrorKind::ConnectionRefused => format!("{to} refuses the connection"),
            _ => format!("no connection to {to}: {e}"),
        })
    })
}
