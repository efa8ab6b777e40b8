//! Opening connections to real servers.

use l7_api::Source;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use std::net::{IpAddr, SocketAddr};

/// Whether there is something to say as soon as a connection is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// There is.
    First,
    /// Perhaps not before the real server has spoken.
    Later,
}

/// Begins to connect; the socket becomes writable when that is done.
///
/// # Errors
/// The kernel's. [`is_ours`] tells whether the real server is to blame.
pub fn dial(
    to: SocketAddr,
    source: Source,
    (client, vip): (IpAddr, IpAddr),
    speech: Speech,
) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if speech == Speech::First {
        // What is said acknowledges the server's SYN: one segment less.
        sockopt::set_tcp_quickack(&socket, false)?;
    }
    match source {
        Source::Own => {}
        Source::Vip => bind_to(&socket, vip, to)?,
        Source::Given(address) => bind_to(&socket, address, to)?,
        // Our own page: the kernel gives nobody an answer from there but a client of its own.
        Source::Client if to.ip().is_loopback() && !client.is_loopback() => {}
        Source::Client => bind_to(&socket, client, to)?,
    }
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(e) => Err(e),
    }
}

/// Whether an attempt failed by our own want of descriptors, memory, ports or rights.
pub fn is_ours(error: Errno) -> bool {
    is_shortage(error)
        || matches!(error, Errno::ADDRNOTAVAIL | Errno::PERM | Errno::ACCESS | Errno::INVAL)
}

/// Whether descriptors or memory have run out.
pub fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC)
}

/// Binds to an address that need not be ours: a floating address that has just left, or the
/// client's. Not to a port, which the kernel picks when it knows the far end, so that one port
/// serves for many real servers.
fn bind_to(socket: &OwnedFd, address: IpAddr, to: SocketAddr) -> Result<(), Errno> {
    if address.is_ipv4() != to.is_ipv4() {
        // The client's family or the VIP's is not the real server's.
        return Err(Errno::INVAL);
    }
    let options = socket2::SockRef::from(socket);
    let transparent = match address {
        IpAddr::V4(_) => options.set_ip_transparent_v4(true),
        IpAddr::V6(_) => options.set_ip_transparent_v6(true),
    };
    if transparent.is_err() {
        // Without the right to be transparent an address of our own can still be had.
        let freebind = match address {
            IpAddr::V4(_) => options.set_freebind_v4(true),
            IpAddr::V6(_) => options.set_freebind_v6(true),
        };
        freebind.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::INVAL))?;
    }
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)
        .map_err(|e| Errno::from_raw_os_error(e as i32))?;
    bind(socket, &SocketAddr::new(address, 0))
}
