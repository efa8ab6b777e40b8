//! What happened, counted. Every packet ends as exactly one counted fate:
//! `rx = forwarded + answered + to_host + Σ dropped + held`.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// Every reason, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name shown to operators and used as a metric label.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    /// Why a packet was dropped. The text is what an operator reads.
    DropReason {
        /// Header lengths, versions or offsets contradict each other or the frame.
        Malformed = "malformed",
        /// IPv4 header checksum wrong, or the NIC reported a bad checksum.
        BadChecksum = "bad-checksum",
        /// The frame is for another station's MAC (flooded or mirrored).
        OtherHost = "other-host",
        /// More than one mbuf: the port's buffers are too small for its MTU.
        Segmented = "segmented",
        /// TTL or hop limit reached zero and no answer may be sent.
        TtlExpired = "ttl-expired",
        /// The connection table has no free entry.
        TableFull = "table-full",
        /// Every port of the SNAT pool is in use towards that real server.
        SnatPoolExhausted = "snat-pool-exhausted",
        /// No real server can take the connection and there is no fallback.
        NoBackend = "no-backend",
        /// All real servers (and the fallback) are at their connection limit.
        ConnectionLimit = "connection-limit",
        /// The real server's MAC address is not known (yet).
        NeighbourUnresolved = "neighbour-unresolved",
        /// The client's own reply path is not known (a connection taken over before it spoke).
        LastHopUnknown = "last-hop-unknown",
        /// Too big for the next hop and not allowed, or not worth, an answer.
        TooBig = "too-big",
        /// No head room or no free buffer for an outer header or a fragment.
        NoBuffer = "no-buffer",
        /// A fragment whose first fragment did not come in time.
        FragmentTimeout = "fragment-timeout",
        /// No room to hold another fragment.
        FragmentLimit = "fragment-limit",
        /// A packet of a connection whose backend was halted or removed, not worth an answer.
        BackendGone = "backend-gone",
        /// A TCP segment of no known connection that must not be answered (a reset).
        NoConnection = "no-connection",
        /// An ICMP error about a connection we do not know, addressed to a service.
        IcmpUnrelated = "icmp-unrelated",
        /// Our own rate limit for answers was reached.
        AnswerLimit = "answer-limit",
        /// The transmit queue of the port was full.
        TxFull = "tx-full",
        /// The host's queue (companion interface) was full.
        HostFull = "host-full",
        /// The frame came in by a port that the running snapshot does not know.
        UnknownPort = "unknown-port",
        /// Address families of client and real server differ in a mode that cannot translate.
        FamilyMismatch = "family-mismatch",
    }
}

reasons! {
    /// Why a packet went to the Linux host stack.
    PuntReason {
        /// ARP, LLDP, LACP and every EtherType that is neither IPv4 nor IPv6.
        NotIp = "not-ip",
        /// IP, and no service has that address, protocol and port.
        NoService = "no-service",
        /// ICMP that is not an error about one of our connections.
        Icmp = "icmp",
        /// Broadcast or multicast.
        Multicast = "multicast",
        /// A connection to the local fallback.
        LocalFallback = "local-fallback",
        /// A transport protocol we do not balance.
        Protocol = "protocol",
        /// No snapshot has been applied yet.
        NoPlan = "no-plan",
    }
}

/// Counters of one port, summed over workers. Packets unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCounters {
    /// Received from the wire.
    pub rx: u64,
    /// Bytes received from the wire.
    pub rx_bytes: u64,
    /// Received here and sent on as balanced traffic (by whatever port).
    pub forwarded: u64,
    /// Received here and turned into an answer of our own (reset, ICMP error).
    pub answered: u64,
    /// Received here and handed to the host stack, by [`PuntReason`] order.
    pub to_host: Vec<u64>,
    /// Received here and dropped, by [`DropReason`] order.
    pub dropped: Vec<u64>,
    /// Fragments received here that wait for their first fragment now.
    pub held: u64,
    /// Sent to the wire, from whatever source (including packets that we made ourselves).
    pub tx: u64,
    /// Bytes sent to the wire.
    pub tx_bytes: u64,
    /// Read from the companion interface.
    pub host_rx: u64,
    /// Read from the companion interface and sent to the wire.
    pub host_tx: u64,
    /// Read from the companion interface and dropped, by [`DropReason`] order.
    pub host_dropped: Vec<u64>,
}

impl PortCounters {
    /// The conservation law; `Err` holds the difference `rx - Σ fates`.
    pub fn conserved(&self) -> Result<(), i128> {
        let fates = self.forwarded as i128
            + self.answered as i128
            + self.to_host.iter().map(|&n| n as i128).sum::<i128>()
            + self.dropped.iter().map(|&n| n as i128).sum::<i128>()
            + self.held as i128;
        let wire = self.rx as i128 - fates;
        let host = self.host_rx as i128
            - self.host_tx as i128
            - self.host_dropped.iter().map(|&n| n as i128).sum::<i128>();
        if wire != 0 {
            Err(wire)
        } else if host != 0 {
            Err(host)
        } else {
            Ok(())
        }
    }
}

/// Counters of one backend, summed over workers (but `connections`, which is exact and shared).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendCounters {
    /// Which one.
    pub id: u32,
    /// Concurrent connections now.
    pub connections: u32,
    /// Connections given to it since start.
    pub total: u64,
    /// Packets from clients to it.
    pub packets: u64,
    /// Layer 3 bytes from clients to it.
    pub bytes: u64,
    /// Packets from it to clients (NAT and SNAT; 0 in DR and TUN, where replies bypass us).
    pub reply_packets: u64,
    /// Layer 3 bytes from it to clients.
    pub reply_bytes: u64,
}

/// The connection table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCounters {
    /// Connections now.
    pub connections: u64,
    /// Persistence entries now.
    pub persistence: u64,
    /// Fragment entries now.
    pub fragments: u64,
    /// 64-byte units in use.
    pub units_used: u64,
    /// 64-byte units altogether.
    pub units: u64,
    /// Bytes of the segment.
    pub bytes: u64,
    /// Connections taken over from a predecessor at start.
    pub taken_over: u64,
}

/// All counters of the data plane at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By port number.
    pub ports: Vec<PortCounters>,
    /// Backends that carry connections or have counted something.
    pub backends: Vec<BackendCounters>,
    /// The connection table.
    pub table: TableCounters,
}
