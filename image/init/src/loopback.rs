//! The loopback interface, up.

use crate::log;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, sendto, socket_with};
use std::io;

/// Its index in every network namespace.
const INDEX: u32 = 1;
const IFF_UP: u32 = 1;

/// Sets `lo` up.
pub fn up() {
    if let Err(error) = ask() {
        log::error(&format!("the loopback interface stays down: {error}"));
    }
}

fn ask() -> io::Result<()> {
    // No protocol is number 0, which is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    match error_of(&answer[..length.min(answer.len())]) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("an answer that is none")),
    }
}

/// RTM_NEWLINK with `struct ifinfomsg` (rtnetlink(7)), to be acknowledged.
fn request() -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence number and sender, then family, padding and type of the interface.
    message.extend([0; 12]);
    message.extend(INDEX.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message
}

/// The code of an NLMSG_ERROR; 0 is an acknowledgement.
fn error_of(answer: &[u8]) -> Option<i32> {
    const NLMSG_ERROR: [u8; 2] = 2u16.to_ne_bytes();
    (answer.get(4..6)? == NLMSG_ERROR).then_some(())?;
    Some(i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_length_that_it_says() {
        let request = request();
        assert_eq!(request.len(), 32);
        assert_eq!(request[..4], 32u32.to_ne_bytes());
        assert_eq!(request[20..24], INDEX.to_ne_bytes());
    }

    #[test]
    fn only_an_acknowledgement_is_one() {
        let mut answer = [0; 36];
        answer[4..6].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(error_of(&answer), Some(0));
        answer[16..20].copy_from_slice(&(-1i32).to_ne_bytes());
        assert_eq!(error_of(&answer), Some(-1));
        answer[4] = 3;
        assert_eq!(error_of(&answer), None);
        assert_eq!(error_of(&[]), None);
    }
}
