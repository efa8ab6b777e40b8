//! The socket towards a server.

use crate::{Settings, Transport};
use rustix::net::RecvFlags;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, UdpSocket};

/// A way by which messages go out.
pub(crate) enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Wire {
    /// Waits no longer than the settings allow, neither here nor later.
    pub(crate) fn connect(settings: &Settings) -> io::Result<Self> {
        match settings.transport {
            Transport::Udp => {
                let any: IpAddr = match settings.server.ip() {
                    IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0))?;
                // So that the kernel tells us of a port where nobody listens.
                socket.connect(settings.server)?;
                socket.set_write_timeout(Some(settings.timeout))?;
                Ok(Self::Udp(socket))
            }
            Transport::Tcp => {
                let stream = TcpStream::connect_timeout(&settings.server, settings.timeout)?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(settings.timeout))?;
                // A server that vanishes acknowledges nothing: noticed after this long, not after
                // a quarter of an hour.
                let patience = u32::try_from(settings.timeout.as_millis()).unwrap_or(u32::MAX);
                rustix::net::sockopt::set_tcp_user_timeout(&stream, patience)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// Sends one message. After an error nothing more may be sent by this wire: a part of the
    /// message may be under way.
    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(line.as_bytes()).map(drop),
            Self::Tcp(stream) => {
                refuse_closed(stream)?;
                stream.write_all(format!("{} {line}", line.len()).as_bytes())
            }
        }
    }
}

/// The first write after the server has closed would succeed, and the message be lost. Whatever a
/// server says is nothing to us.
fn refuse_closed(stream: &TcpStream) -> io::Result<()> {
    match rustix::net::recv(stream, &mut [0; 512], RecvFlags::DONTWAIT) {
        Ok((0, _)) => Err(io::Error::new(ErrorKind::ConnectionReset, "closed by the server")),
        Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use std::net::TcpListener;
    use std::time::Duration;

    fn connected() -> (Wire, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        let address = listener.local_addr().expect("it has an address");
        let mut settings = Settings::new(address, Transport::Tcp, Identity::default());
        settings.timeout = Duration::from_secs(12);
        let wire = Wire::connect(&settings).expect("it listens");
        (wire, listener.accept().expect("it comes").0)
    }

    #[test]
    fn a_server_has_so_long_and_no_longer() {
        let (Wire::Tcp(stream), _server) = connected() else { panic!("not TCP") };
        let timeout = stream.write_timeout().expect("it has one");
        assert_eq!(timeout, Some(Duration::from_secs(12)));
        let patience = rustix::net::sockopt::tcp_user_timeout(&stream);
        assert_eq!(patience.expect("it has one"), 12_000);
    }

    #[test]
    fn nothing_is_sent_once_the_server_has_closed() {
        let (mut wire, server) = connected();
        wire.send("x").expect("it is open");
        server.shutdown(std::net::Shutdown::Write).expect("it can");
        let Wire::Tcp(stream) = &wire else { panic!("not TCP") };
        // Returns when that is known here.
        assert_eq!(stream.peek(&mut [0]).expect("it ends"), 0);
        let error = wire.send("y").expect_err("it is closed");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
