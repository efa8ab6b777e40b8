//! What the state word of an entry holds beside the TCP state in its low byte.

use conn::tcp::{Direction, Flags, State};
use wire::{L4, Parsed, TcpFlags};

/// The client has answered something that only the holder of its address can have received (TCP),
/// or has come a second time (UDP). Entries without it go first when the table fills up.
pub(crate) const CONFIRMED: u32 = 1 << 8;

/// The state of a new TCP connection.
pub(crate) const OPENING: u32 = State::SynSent as u32;

/// The state of a new UDP flow.
pub(crate) const UDP: u32 = State::Udp as u32;

/// The state word after a packet.
#[inline]
pub(crate) fn next(word: u32, direction: Direction, two_way: bool, parsed: &Parsed) -> u32 {
    if parsed.kind != L4::Tcp {
        return match direction {
            Direction::Forward => word | CONFIRMED,
            Direction::Reply => word,
        };
    }
    let flags = flags(parsed.tcp_flags);
    let before = State::from_word(word);
    let after = if two_way { before.two_way(direction, flags) } else { before.one_way(flags) };
    let confirmed = if after == State::Established { CONFIRMED } else { 0 };
    (word & !0xff) | after as u32 | confirmed
}

/// Whether this step is the one by which the client showed itself.
pub(crate) const fn newly_confirmed(before: u32, after: u32) -> bool {
    before & CONFIRMED == 0 && after & CONFIRMED != 0
}

/// The same word with the connection closed.
pub(crate) const fn closed(word: u32) -> u32 {
    (word & !0xff) | State::Closed as u32
}

#[inline]
fn flags(flags: TcpFlags) -> Flags {
    Flags {
        syn: flags.contains(TcpFlags::SYN),
        ack: flags.contains(TcpFlags::ACK),
        fin: flags.contains(TcpFlags::FIN),
        rst: flags.contains(TcpFlags::RST),
    }
}
