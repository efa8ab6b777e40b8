//! What the state word of an entry holds beside the TCP state in its low byte.

use conn::tcp::{Direction, Flags, State};
use wire::TcpFlags;

/// The client has answered something that only the holder of its address can have received (TCP),
/// or has come a second time (UDP). Entries without it go first when the table fills up.
pub(crate) const CONFIRMED: u32 = 1 << 8;

/// Where the state word keeps a trace of the SYN that opened the connection.
const TRACE_SHIFT: u32 = 9;

/// The state word of a TCP connection that this SYN opens, a frame whose TCP header is at `l4_off`.
#[inline]
pub(crate) fn opening(syn: &[u8], l4_off: u16) -> u32 {
    State::SynSent as u32 | trace(syn, l4_off) << TRACE_SHIFT
}

/// Whether the connection may be the one that this very SYN opened: a copy of it that the network
/// kept back or the client sent again. A client that has given its old connection up begins at
/// another sequence number; one in eight million of those is taken for a copy, and stays where it
/// was.
#[inline]
pub(crate) fn is_opened_by(word: u32, syn: &[u8], l4_off: u16) -> bool {
    word >> TRACE_SHIFT == trace(syn, l4_off)
}

/// 23 bits of a segment's sequence number, which every bit of it has a part in.
#[inline]
fn trace(segment: &[u8], l4_off: u16) -> u32 {
    let at = usize::from(l4_off) + 4;
    let sequence = segment.get(at..at + 4).and_then(|octets| octets.try_into().ok());
    let sequence = u32::from_be_bytes(sequence.unwrap_or_default());
    (sequence ^ sequence >> 23) & 0x7f_ffff
}

/// The state of a new UDP flow.
pub(crate) const UDP: u32 = State::Udp as u32;

/// The state word after a packet, given its flags if it is TCP's.
#[inline]
pub(crate) fn next(word: u32, direction: Direction, two_way: bool, tcp: Option<TcpFlags>) -> u32 {
    let Some(flags) = tcp.map(flags) else {
        return match direction {
            Direction::Forward => word | CONFIRMED,
            Direction::Reply => word,
        };
    };
    let before = State::from_word(word);
    let after = if two_way { before.two_way(direction, flags) } else { before.one_way(flags) };
    let confirmed = if after == State::Established { CONFIRMED } else { 0 };
    (word & !0xff) | after as u32 | confirmed
}

/// Whether a segment of these flags asks for a new connection.
#[inline]
pub(crate) const fn asks(flags: TcpFlags) -> bool {
    const ALL: TcpFlags =
        TcpFlags::SYN.union(TcpFlags::ACK).union(TcpFlags::RST).union(TcpFlags::FIN);
    flags.intersection(ALL).bits() == TcpFlags::SYN.bits()
}

/// Whether a packet without SYN, FIN and RST leaves the word as it is, whichever way it goes and
/// whether one direction is seen or both: the client has shown itself, and a TCP connection is
/// past its handshake.
#[inline]
pub(crate) const fn is_settled(word: u32) -> bool {
    // One comparison: the states of a handshake come first.
    const LEAST: u32 = CONFIRMED | (State::SynReceived as u32 + 1);
    word & (CONFIRMED | 0xff) >= LEAST
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of every state word that there can be: settled means that nothing moves it.
    #[test]
    fn what_is_settled_stays() {
        let tcp = [TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH, TcpFlags::empty()].map(Some);
        for word in (0..8).flat_map(|state| [state, state | CONFIRMED]) {
            let packets: &[_] = if word as u8 == State::Udp as u8 { &[None] } else { &tcp };
            let moves = packets.iter().any(|&flags| {
                [Direction::Forward, Direction::Reply].into_iter().any(|direction| {
                    [true, false].map(|both| next(word, direction, both, flags)) != [word; 2]
                })
            });
            assert!(!(is_settled(word) && moves), "{word:#x}");
        }
        let settled = |state: State| is_settled(state as u32 | CONFIRMED);
        assert!(settled(State::Established) && settled(State::Udp) && settled(State::ClientClosed));
        assert!(!is_settled(UDP) && !is_settled(State::SynSent as u32));
    }
}
