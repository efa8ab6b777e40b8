//! The rows of the table: what is done, who takes part, and what is aimed at.

use super::peers::{Door, Peer};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As `--rows` names it.
    pub name: &'static str,
    /// What is done.
    pub work: Work,
    /// What our figure is to be.
    pub target: Target,
    /// Ratios are to HAProxy with large pipes, not to the plain one.
    pub large_pipes: bool,
}

/// What is done to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Requests for a path over kept connections, or one for each; so many connections.
    Requests(Door, &'static str, Keep, u32),
    /// Full handshakes of TLS 1.3 with one request each.
    Handshakes,
    /// HTTP/2: connections, streams of each.
    Streams(u32, u32),
    /// Bytes through TCP mode; to the real server or from it.
    Transfer { sends: bool },
    /// Connections that rest after one request.
    Idle(Door),
    /// System calls for a request over a kept connection.
    SystemCalls(Door),
    /// Response time at a fixed rate, less that of the real server alone.
    Latency,
}

/// Whether a connection outlives its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does.
    Alive,
    /// It does not.
    Close,
}

/// What our figure is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At least so many times the reference's.
    Ratio(f64),
    /// At most so many times the reference's.
    RatioBelow(f64),
    /// At most this.
    Below(f64),
}

const fn row(name: &'static str, work: Work, target: Target) -> Row {
    Row { name, work, target, large_pipes: false }
}

const fn requests(name: &'static str, door: Door, path: &'static str, times: f64) -> Row {
    // Large bodies over fewer connections: their buffers would not fit into any cache.
    let connections = if matches!(path.as_bytes(), b"/1m") { 32 } else { 64 };
    row(name, Work::Requests(door, path, Keep::Alive, connections), Target::Ratio(times))
}

const fn transfer(name: &'static str, sends: bool, times: f64, large_pipes: bool) -> Row {
    Row { large_pipes, ..row(name, Work::Transfer { sends }, Target::Ratio(times)) }
}

/// All of them, in the order of the table.
pub const ROWS: [Row; 24] = [
    requests("http-128", Door::Http, "/128", 1.15),
    requests("http-16k", Door::Http, "/16k", 1.3),
    requests("http-1m", Door::Http, "/1m", 1.3),
    requests("log-128", Door::Logged, "/128", 1.3),
    requests("log-16k", Door::Logged, "/16k", 1.3),
    row("http-close", Work::Requests(Door::Http, "/128", Keep::Close, 64), Target::Ratio(1.0)),
    requests("https-128", Door::Https, "/128", 1.25),
    requests("https-16k", Door::Https, "/16k", 1.8),
    requests("https-1m", Door::Https, "/1m", 1.0),
    row("handshakes", Work::Handshakes, Target::Ratio(2.3)),
    requests("reencrypt-128", Door::Reencrypted, "/128", 1.15),
    requests("reencrypt-16k", Door::Reencrypted, "/16k", 1.15),
    row("h2", Work::Streams(16, 16), Target::Ratio(1.0)),
    row("tcp-connect", Work::Requests(Door::Tcp, "/128", Keep::Close, 64), Target::Ratio(1.0)),
    transfer("tcp-down", false, 2.0, false),
    transfer("tcp-up", true, 2.0, false),
    transfer("tcp-down-1m", false, 1.0, true),
    transfer("tcp-up-1m", true, 1.0, true),
    row("idle-http", Work::Idle(Door::Http), Target::Below(11.0)),
    row("idle-https", Work::Idle(Door::Https), Target::Below(100.0)),
    row("idle-tcp", Work::Idle(Door::Tcp), Target::Below(32.0)),
    row("calls-http", Work::SystemCalls(Door::Http), Target::Below(4.5)),
    row("calls-https", Work::SystemCalls(Door::Https), Target::Below(5.5)),
    row("latency", Work::Latency, Target::RatioBelow(1.0)),
];

impl Row {
    /// What figures are in.
    pub fn unit(&self) -> &'static str {
        match self.work {
            Work::Requests(..) | Work::Streams(..) => "requests/CPU-s",
            Work::Handshakes => "handshakes/CPU-s",
            Work::Transfer { .. } => "GB/CPU-s",
            Work::Idle(_) => "MB per 10,000",
            Work::SystemCalls(_) => "calls/request",
            Work::Latency => "ms added to p50",
        }
    }

    /// Whom ratios are to.
    pub fn reference(&self) -> Peer {
        if self.large_pipes { Peer::LargePipes } else { Peer::HaProxy }
    }

    /// Whether this peer takes part.
    pub fn is_for(&self, peer: &Peer) -> bool {
        let door = match self.work {
            Work::Requests(door, ..) | Work::Idle(door) | Work::SystemCalls(door) => door,
            Work::Handshakes | Work::Streams(..) => Door::Https,
            Work::Transfer { .. } => Door::Tcp,
            Work::Latency => Door::Http,
        };
        match peer {
            Peer::Fulcrum(..) => true,
            Peer::LargePipes => self.large_pipes,
            Peer::HaProxy => !self.large_pipes,
            Peer::Nginx => door != Door::Tcp,
            // stunnel speaks no HTTP/2.
            Peer::Stunnel => door == Door::Https && !matches!(self.work, Work::Streams(..)),
        }
    }
}

impl Target {
    /// Whether a figure, and its ratio to the reference's if there is one, reach it.
    pub fn is_met(self, figure: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::Ratio(least) => ratio.is_some_and(|ratio| ratio >= least),
            Self::RatioBelow(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::Below(most) => figure <= most,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ratio(least) => write!(f, ">= {least:.2}x"),
            Self::RatioBelow(most) => write!(f, "<= {most:.2}x"),
            Self::Below(most) => write!(f, "<= {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_point_the_right_way() {
        assert!(Target::Ratio(1.2).is_met(0.0, Some(1.2)));
        assert!(!Target::Ratio(1.2).is_met(9.0, Some(1.1)));
        assert!(!Target::Ratio(1.2).is_met(9.0, None));
        assert!(Target::RatioBelow(1.0).is_met(9.0, Some(0.9)));
        assert!(!Target::RatioBelow(1.0).is_met(0.0, Some(1.1)));
        assert!(Target::Below(4.5).is_met(4.5, None));
        assert!(!Target::Below(4.5).is_met(4.6, Some(0.1)));
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_reference_that_takes_part() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(row.is_for(&row.reference()), "{}", row.name);
            assert!(ROWS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
