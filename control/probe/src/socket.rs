//! Sockets as a target wants them.

use crate::patience::{Over, Patience};
use crate::{Failure, Target};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::interval;

/// A TCP socket that is not connected yet. When it is closed the connection is reset: nothing of
/// it stays behind, neither here nor on the real server.
pub fn tcp(target: &Target) -> Result<TcpSocket, Failure> {
    let made = open(target, Type::STREAM, Protocol::TCP).and_then(|socket| {
        socket.set_linger(Some(Duration::ZERO))?;
        Ok(TcpSocket::from_std_stream(socket.into()))
    });
    made.map_err(|e| Failure::ours(target.whom(), e))
}

/// A UDP socket that is connected to the real server.
pub fn udp(target: &Target) -> Result<UdpSocket, Failure> {
    open(target, Type::DGRAM, Protocol::UDP)
        .and_then(|socket| connected(target, target.address.port(), socket))
        .map_err(|e| Failure::ours(target.whom(), e))
}

/// A socket that sends ICMP or ICMPv6 messages to the real server and hears what it sends of them.
///
/// Unprivileged if the host allows that (`net.ipv4.ping_group_range`), otherwise a raw one, which
/// needs `CAP_NET_RAW`. Either is a datagram socket to the runtime, whatever its protocol.
pub fn icmp(target: &Target) -> Result<UdpSocket, Failure> {
    let protocol = if target.address.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
    let made = open(target, Type::DGRAM, protocol).or_else(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => open(target, Type::RAW, protocol),
        _ => Err(e),
    });
    made.and_then(|socket| connected(target, 0, socket))
        .map_err(|e| Failure::ours(target.address.ip(), e))
}

/// Sends `request` until there is an `answer`, at most three times within the patience: a packet
/// that gets lost is no fault of the real server.
pub async fn insist<T>(
    socket: &UdpSocket,
    request: &[u8],
    answer: impl Future<Output = io::Result<T>>,
    patience: &Patience,
) -> Result<io::Result<T>, Over> {
    // A little more than a third: a fourth request would go out as the patience ends.
    let mut again = interval(patience.whole().0 / 3 + Duration::from_millis(1));
    let mut answer = pin!(answer);
    let sent_until_answered = async {
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = again.tick() => socket.send(request).await?,
            };
        }
    };
    patience.lasts(sent_until_answered).await
}

/// It only hears the real server from here on, and hears of errors that it or a router reports.
fn connected(target: &Target, port: u16, socket: Socket) -> io::Result<UdpSocket> {
    let mut to = target.address;
    to.set_port(port);
    socket.connect(&to.into())?;
    UdpSocket::from_std(socket.into())
}

/// A non-blocking socket with mark and source, whose errors are ours: no packet has left.
fn open(target: &Target, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target.address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    let mut source = target.source;
    if let Some(mark) = target.mark {
        socket.set_mark(mark)?;
        // A port that is chosen now is no other's; one that is chosen when connecting may be.
        source = source.or(Some(match target.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }));
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}
