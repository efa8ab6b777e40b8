//! TCP connection states as a balancer sees them: in one direction (DR, TUN: only the client's
//! segments pass) or in both (NAT, SNAT). The states serve expiry and reuse, not validation.

/// Flags of a segment that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// SYN.
    pub syn: bool,
    /// ACK.
    pub ack: bool,
    /// FIN.
    pub fin: bool,
    /// RST.
    pub rst: bool,
}

/// Who sent a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Client to service.
    Forward,
    /// Real server to client.
    Reply,
}

/// State of a connection; the low byte of an entry's state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// TCP: the client's SYN was seen.
    SynSent = 0,
    /// TCP: the server's SYN-ACK was seen (two-way only).
    SynReceived = 1,
    /// UDP: no states.
    Udp = 2,
    /// TCP: data flows.
    Established = 3,
    /// TCP: the client has closed its side.
    ClientClosed = 4,
    /// TCP: the server has closed its side (two-way only).
    ServerClosed = 5,
    /// TCP: both sides have closed.
    TimeWait = 6,
    /// TCP: a reset was seen.
    Closed = 7,
}

/// Which idle timeout applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutClass {
    /// The handshake is not complete.
    Opening,
    /// Established.
    Established,
    /// One side has closed.
    Closing,
    /// Both have, or a reset was seen.
    Closed,
    /// UDP.
    Udp,
}

impl State {
    /// From the low byte of a state word; what is no state counts as [`State::Closed`].
    #[inline]
    pub const fn from_word(word: u32) -> Self {
        match word as u8 {
            0 => Self::SynSent,
            1 => Self::SynReceived,
            2 => Self::Udp,
            3 => Self::Established,
            4 => Self::ClientClosed,
            5 => Self::ServerClosed,
            6 => Self::TimeWait,
            _ => Self::Closed,
        }
    }

    /// What an operator reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::SynSent => "syn-sent",
            Self::SynReceived => "syn-received",
            Self::Established => "established",
            Self::ClientClosed => "client-closed",
            Self::ServerClosed => "server-closed",
            Self::TimeWait => "time-wait",
            Self::Closed => "closed",
        }
    }

    /// Which idle timeout applies.
    #[inline]
    pub const fn timeout_class(self) -> TimeoutClass {
        match self {
            Self::Udp => TimeoutClass::Udp,
            Self::SynSent | Self::SynReceived => TimeoutClass::Opening,
            Self::Established => TimeoutClass::Established,
            Self::ClientClosed | Self::ServerClosed => TimeoutClass::Closing,
            Self::TimeWait | Self::Closed => TimeoutClass::Closed,
        }
    }

    /// Whether the client's SYN on this entry opens a new connection. In the one-way view the
    /// server's FIN is never seen, so a closed client side is as good as both; a client that
    /// sends a SYN has given its old connection up.
    #[inline]
    pub const fn is_reusable(self, one_way: bool) -> bool {
        match self {
            Self::TimeWait | Self::Closed => true,
            Self::ClientClosed => one_way,
            _ => false,
        }
    }

    /// After a client's segment, where only those are seen.
    #[inline]
    pub const fn one_way(self, flags: Flags) -> Self {
        if flags.rst {
            return Self::Closed;
        }
        match self {
            Self::SynSent | Self::SynReceived | Self::Established if flags.fin => {
                Self::ClientClosed
            }
            Self::SynSent | Self::SynReceived if flags.ack && !flags.syn => Self::Established,
            other => other,
        }
    }

    /// After a segment, where both directions are seen.
    #[inline]
    pub const fn two_way(self, direction: Direction, flags: Flags) -> Self {
        if flags.rst {
            return Self::Closed;
        }
        match (self, direction) {
            (Self::SynSent, Direction::Reply) if flags.syn && flags.ack => Self::SynReceived,
            (Self::SynReceived | Self::Established, Direction::Forward) if flags.fin => {
                Self::ClientClosed
            }
            (Self::SynReceived | Self::Established, Direction::Reply) if flags.fin => {
                Self::ServerClosed
            }
            (Self::ClientClosed, Direction::Reply) if flags.fin => Self::TimeWait,
            (Self::ServerClosed, Direction::Forward) if flags.fin => Self::TimeWait,
            (Self::SynReceived, Direction::Forward) if flags.ack && !flags.syn => Self::Established,
            (other, _) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Forward, Reply};
    use super::State::*;
    use super::*;

    const SYN: Flags = Flags { syn: true, ack: false, fin: false, rst: false };
    const SYN_ACK: Flags = Flags { syn: true, ack: true, fin: false, rst: false };
    const ACK: Flags = Flags { syn: false, ack: true, fin: false, rst: false };
    const FIN: Flags = Flags { syn: false, ack: true, fin: true, rst: false };
    const RST: Flags = Flags { syn: false, ack: false, fin: false, rst: true };

    /// Runs segments through the two-way machine and collects the states.
    fn walk(segments: &[(Direction, Flags)]) -> Vec<State> {
        let mut state = SynSent;
        segments
            .iter()
            .map(|&(direction, flags)| {
                state = state.two_way(direction, flags);
                state
            })
            .collect()
    }

    #[test]
    fn a_connection_opens_and_the_client_closes_first() {
        let states =
            walk(&[(Reply, SYN_ACK), (Forward, ACK), (Forward, FIN), (Reply, ACK), (Reply, FIN)]);
        assert_eq!(states, [SynReceived, Established, ClientClosed, ClientClosed, TimeWait]);
    }

    #[test]
    fn the_server_closes_first_and_the_client_half_stays_open() {
        let states = walk(&[
            (Reply, SYN_ACK),
            (Forward, ACK),
            (Reply, FIN),
            (Forward, ACK),
            (Forward, ACK),
            (Forward, FIN),
            (Reply, ACK),
        ]);
        assert_eq!(
            states,
            [
                SynReceived,
                Established,
                ServerClosed,
                ServerClosed,
                ServerClosed,
                TimeWait,
                TimeWait
            ]
        );
    }

    #[test]
    fn both_close_at_once() {
        let states = walk(&[(Reply, SYN_ACK), (Forward, ACK), (Forward, FIN), (Reply, FIN)]);
        assert_eq!(states.last(), Some(&TimeWait));
    }

    #[test]
    fn a_reset_from_either_side_closes_in_any_state() {
        for state in [SynSent, SynReceived, Established, ClientClosed, ServerClosed, TimeWait] {
            assert_eq!(state.two_way(Forward, RST), Closed);
            assert_eq!(state.two_way(Reply, RST), Closed);
            assert_eq!(state.one_way(RST), Closed);
        }
    }

    #[test]
    fn an_answer_without_syn_does_not_open() {
        assert_eq!(SynSent.two_way(Reply, ACK), SynSent);
        assert_eq!(SynSent.two_way(Forward, SYN), SynSent);
        assert_eq!(SynSent.two_way(Forward, ACK), SynSent);
    }

    #[test]
    fn one_way_sees_only_the_client() {
        assert_eq!(SynSent.one_way(SYN), SynSent);
        assert_eq!(SynSent.one_way(ACK), Established);
        assert_eq!(Established.one_way(FIN), ClientClosed);
        assert_eq!(ClientClosed.one_way(ACK), ClientClosed);
        assert_eq!(Established.one_way(SYN), Established);
    }

    #[test]
    fn only_finished_connections_are_reused() {
        assert!(TimeWait.is_reusable(false) && Closed.is_reusable(false));
        assert!(ClientClosed.is_reusable(true) && !ClientClosed.is_reusable(false));
        assert!(!Established.is_reusable(true) && !SynSent.is_reusable(true));
    }

    #[test]
    fn states_survive_the_word() {
        for state in
            [Udp, SynSent, SynReceived, Established, ClientClosed, ServerClosed, TimeWait, Closed]
        {
            assert_eq!(State::from_word(state as u32 | 0xabcd_ef00), state);
        }
    }
}
