//! Lines for a syslog receiver: a datagram each, many in one call, and none is waited for.

use super::text::Dates;
use l7_api::{SyslogAddress, SyslogHeader};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, UnixAddr, sendmmsg,
};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

/// Datagrams of one call.
const CALL: usize = 64;
/// Octets that the kernel may hold for us.
const SEND_BUFFER: usize = 1 << 20;
/// Severity of every line: informational.
const SEVERITY: u8 = 6;

/// See the module.
#[derive(Debug)]
pub struct Datagrams {
    socket: Socket,
    header: SyslogHeader,
    /// `<134>`, with what may stand before the time.
    priority: Vec<u8>,
    /// What stands between time and line.
    sender: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket, SockaddrStorage),
    Unix(UnixDatagram, UnixAddr),
}

impl Datagrams {
    /// For this receiver, which need not be there.
    ///
    /// # Errors
    /// When there is no socket to be had, or its address is none.
    pub fn new(to: &SyslogAddress, header: SyslogHeader, facility: u8) -> io::Result<Self> {
        let socket = match to {
            SyslogAddress::Udp(to) => {
                let socket = match to {
                    SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
                    SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
                };
                socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER)?;
                socket.set_nonblocking(true)?;
                Socket::Udp(socket, SockaddrStorage::from(*to))
            }
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Socket::Unix(socket, UnixAddr::new(path.as_str())?)
            }
        };
        let priority = u32::from(facility) * 8 + u32::from(SEVERITY);
        let process = std::process::id();
        let (priority, sender) = match header {
            SyslogHeader::Rfc5424 => {
                let host = host_name();
                (format!("<{priority}>1 "), format!(" {host} fulcrum-l7 {process} access - "))
            }
            SyslogHeader::Rfc3164 => (format!("<{priority}>"), format!(" fulcrum-l7[{process}]: ")),
        };
        Ok(Self { socket, header, priority: priority.into_bytes(), sender: sender.into_bytes() })
    }

    /// Appends what stands before a line of this moment.
    pub fn begin(&self, dates: &mut Dates, ms: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.priority);
        match self.header {
            SyslogHeader::Rfc5424 => dates.iso(out, ms),
            SyslogHeader::Rfc3164 => dates.bsd(out, ms),
        }
        out.extend_from_slice(&self.sender);
    }

    /// Sends lines, each of which ends where `ends` says; the number of those that went.
    pub fn send(&self, bytes: &[u8], ends: &[usize]) -> usize {
        match &self.socket {
            Socket::Udp(socket, to) => send_all(socket.as_raw_fd(), *to, bytes, ends),
            Socket::Unix(socket, to) => send_all(socket.as_raw_fd(), *to, bytes, ends),
        }
    }
}

fn send_all<A: SockaddrLike + Copy>(fd: RawFd, to: A, bytes: &[u8], ends: &[usize]) -> usize {
    let (mut start, mut sent) = (0, 0);
    let mut lines = Vec::with_capacity(ends.len());
    for end in ends {
        lines.push([IoSlice::new(bytes.get(start..*end).unwrap_or_default())]);
        start = *end;
    }
    let addresses = [Some(to); CALL];
    let nothing_else: [ControlMessage; 0] = [];
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        let count = rest.len().min(CALL);
        let mut headers = MultiHeaders::preallocate(count, None);
        let call = sendmmsg(
            fd,
            &mut headers,
            rest.iter().take(count),
            &addresses[..count],
            nothing_else,
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
        );
        match call.map(Iterator::count) {
            Ok(went @ 1..) => {
                sent += went;
                rest = rest.get(went..).unwrap_or_default();
            }
            Err(Errno::EINTR) => {}
            // This one is too long for a datagram; those behind it may not be.
            Err(Errno::EMSGSIZE) => rest = rest.get(1..).unwrap_or_default(),
            Ok(_) | Err(_) => break,
        }
    }
    sent
}

/// As a header may have it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_datagram_and_what_does_not_fit_is_left_out() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SyslogAddress::Udp(receiver.local_addr().unwrap());
        let datagrams = Datagrams::new(&to, SyslogHeader::Rfc3164, 16).unwrap();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for line in 0..150 {
            bytes.extend_from_slice(format!("line {line}").as_bytes());
            if line == 70 {
                bytes.resize(bytes.len() + 70_000, b'x');
            }
            ends.push(bytes.len());
        }
        assert_eq!(datagrams.send(&bytes, &ends), 149);
        let mut buffer = [0; 2048];
        for line in (0..150).filter(|line| *line != 70) {
            let count = receiver.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..count], *format!("line {line}").as_bytes());
        }
    }

    #[test]
    fn headers_are_those_of_their_rfc() {
        let to = SyslogAddress::Unix("/nowhere".to_owned());
        let says = |header| {
            let mut out = Vec::new();
            let datagrams = Datagrams::new(&to, header, 16).unwrap();
            datagrams.begin(&mut Dates::default(), 951_827_696_007, &mut out);
            assert_eq!(datagrams.send(b"nobody", &[6]), 0);
            String::from_utf8(out).unwrap()
        };
        let id = std::process::id();
        let new = says(SyslogHeader::Rfc5424);
        assert!(new.starts_with("<134>1 2000-02-29T12:34:56.007Z "), "{new}");
        assert!(new.ends_with(&format!(" fulcrum-l7 {id} access - ")), "{new}");
        assert_eq!(new.split(' ').count(), 8, "{new}");
        let old = says(SyslogHeader::Rfc3164);
        assert_eq!(old, format!("<134>Feb 29 12:34:56 fulcrum-l7[{id}]: "));
    }
}
