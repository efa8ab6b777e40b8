//! Listening sockets: one per address and worker, so that workers do not share an accept queue.

use l7_api::SocketKey;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::SocketAddr;

/// Connections that the kernel may hold for us; `net.core.somaxconn` may make it less.
const BACKLOG: i32 = 4_096;

/// A socket that listens.
#[derive(Debug)]
pub struct Socket {
    /// Where, and for which worker.
    pub key: SocketKey,
    fd: OwnedFd,
}

impl Socket {
    /// Begins to listen. The address need not be ours yet: a floating address comes and goes.
    ///
    /// # Errors
    /// When somebody else listens there, or descriptors have run out.
    pub fn open(key: SocketKey) -> io::Result<Self> {
        let address = key.address;
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => {
                socket.set_only_v6(true)?;
                socket.set_freebind_v6(true)?;
            }
        }
        // Accepted connections inherit it: a system call less for each.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { key, fd: socket.into() })
    }

    /// Takes over a socket that a predecessor listened on.
    ///
    /// # Errors
    /// When it is not what `key` says.
    pub fn adopt(key: SocketKey, fd: OwnedFd) -> io::Result<Self> {
        let socket = socket2::SockRef::from(&fd);
        if !socket.is_listener()? || socket.local_addr()?.as_socket() != Some(key.address) {
            return Err(io::Error::other(format!("not a socket listening on {}", key.address)));
        }
        socket.set_nonblocking(true)?;
        Ok(Self { key, fd })
    }

    /// What a listener that cannot be opened means for the operator.
    pub fn explain(error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens on this address and port: stop it, or change the service"
                    .into()
            }
            io::ErrorKind::PermissionDenied => {
                "the proxy may not listen on this port: it needs CAP_NET_BIND_SERVICE".into()
            }
            _ => format!("{error}"),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
