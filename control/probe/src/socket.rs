//! Sockets as a target wants them.

use crate::{Failure, Target};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpSocket;

/// A TCP socket that is not connected yet. When it is closed the connection is reset: nothing of
/// it stays behind, neither here nor on the real server.
pub fn tcp(target: &Target) -> Result<TcpSocket, Failure> {
    let made = open(target, Type::STREAM, Protocol::TCP).and_then(|socket| {
        socket.set_linger(Some(Duration::ZERO))?;
        Ok(TcpSocket::from_std_stream(socket.into()))
    });
    made.map_err(|e| Failure::ours(target.address, e))
}

/// A non-blocking socket with mark and source, whose errors are ours: no packet has left.
fn open(target: &Target, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target.address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if let Some(mark) = target.mark {
        socket.set_mark(mark)?;
    }
    if let Some(source) = target.source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}
