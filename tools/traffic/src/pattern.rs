//! What packet comes when: the order of flows and, in TCP, of a connection's segments.

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// UDP datagrams, one of each flow in turn.
    Datagrams,
    /// TCP connections, each from its SYN on.
    Connections {
        /// Segments with data in each.
        data: u16,
        /// Connections that go side by side: a step of one is followed by the same step of the others,
        /// so that an answer has that long to arrive before the next step.
        window: u32,
        /// End each with FIN; without it they stay open.
        close: bool,
    },
}

/// One packet of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A UDP datagram.
    Datagram,
    /// The first of a connection.
    Syn,
    /// The answer to SYN and ACK; nobody answers it.
    Ack,
    /// Data; its number within the connection.
    Data(u16),
    /// The end of the client's data, after so many segments.
    Fin(u16),
    /// The answer to the other side's FIN, after so many segments; nobody answers it.
    Last(u16),
}

/// A packet's place in the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Datagrams: the flow's number, passes counted. TCP: the connection's.
    pub flow: u64,
    /// What is sent.
    pub segment: Segment,
}

impl Segment {
    /// Whether a real server answers it.
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::Ack | Self::Last(_))
    }
}

impl Pattern {
    /// Whether it is TCP.
    pub const fn is_tcp(self) -> bool {
        matches!(self, Self::Connections { .. })
    }

    /// Packets of each flow or connection.
    pub const fn steps(self) -> u64 {
        match self {
            Self::Datagrams => 1,
            Self::Connections { data, close, .. } => 2 + data as u64 + if close { 2 } else { 0 },
        }
    }

    /// Packet number `n` of the pattern.
    pub const fn place(self, n: u64) -> Place {
        let Self::Connections { data, window, .. } = self else {
            return Place { flow: n, segment: Segment::Datagram };
        };
        let window = if window == 0 { 1 } else { window as u64 };
        let steps = self.steps();
        let (group, within) = (n / (window * steps), n % (window * steps));
        let (step, member) = (within / window, within % window);
        let last = data as u64 + 2;
        let segment = match step {
            0 => Segment::Syn,
            1 => Segment::Ack,
            step if step < last => Segment::Data((step - 2) as u16),
            step if step == last => Segment::Fin(data),
            _ => Segment::Last(data),
        };
        Place { flow: group * window + member, segment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_connection_goes_through_all_its_steps_in_order() {
        let pattern = Pattern::Connections { data: 3, window: 5, close: true };
        let mut seen: HashMap<u64, Vec<Segment>> = HashMap::new();
        for n in 0..10 * pattern.steps() {
            let place = pattern.place(n);
            seen.entry(place.flow).or_default().push(place.segment);
        }
        assert_eq!(seen.len(), 10);
        for (flow, segments) in seen {
            use Segment::{Ack, Data, Fin, Last, Syn};
            assert_eq!(segments, [Syn, Ack, Data(0), Data(1), Data(2), Fin(3), Last(3)], "{flow}");
        }
    }

    #[test]
    fn connections_of_a_window_take_each_step_together() {
        let pattern = Pattern::Connections { data: 0, window: 3, close: false };
        let run: Vec<_> = (0..9).map(|n| pattern.place(n)).map(|p| (p.flow, p.segment)).collect();
        let (syn, ack) = (Segment::Syn, Segment::Ack);
        let first = [(0, syn), (1, syn), (2, syn), (0, ack), (1, ack), (2, ack)];
        assert_eq!(run, [&first[..], &[(3, syn), (4, syn), (5, syn)]].concat());
    }

    #[test]
    fn datagrams_go_round_the_flows_and_a_window_of_none_is_one() {
        assert_eq!(Pattern::Datagrams.place(7), Place { flow: 7, segment: Segment::Datagram });
        let alone = Pattern::Connections { data: 0, window: 0, close: true };
        assert_eq!(alone.place(4), Place { flow: 1, segment: Segment::Syn });
        assert!(alone.is_tcp() && !Pattern::Datagrams.is_tcp());
    }
}
