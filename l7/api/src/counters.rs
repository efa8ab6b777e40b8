//! What the proxy counts. All values only grow, save those called a gauge, and are summed over
//! the workers when they are asked for.

use crate::{ServerId, ServiceId};
use serde::{Deserialize, Serialize};

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Services of the snapshot in force, and removed ones that still have connections.
    pub services: Vec<ServiceCounters>,
    /// Real servers, likewise.
    pub servers: Vec<ServerCounters>,
    /// Times that accepting was paused because descriptors or memory had run out.
    pub accept_pauses: u64,
}

/// One service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCounters {
    /// Which one.
    pub id: ServiceId,
    /// Gauge: connections that have a place.
    pub active: u32,
    /// Gauge: connections that wait for a place.
    pub queued: u32,
    /// Gauge: clients remembered for persistence.
    pub persistent: u32,
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Given up because the queue was full.
    pub queue_full: u64,
    /// Given up because the wait for a place took too long.
    pub queue_timeout: u64,
    /// Given up because no real server could take the connection.
    pub no_server: u64,
    /// Given up because we ourselves were out of descriptors, ports or memory.
    pub our_fault: u64,
    /// Ended by the client's reset.
    pub client_reset: u64,
    /// Ended by the client's or the tunnel's idle timeout.
    pub client_timeout: u64,
    /// Cut because the service, or the real server, was removed, halted or down.
    pub cut: u64,
    /// HTTP mode: requests.
    pub requests: u64,
    /// HTTP mode: requests that we answered ourselves, because of what they were (4xx, 501, 505).
    pub client_errors: u64,
    /// HTTP mode: requests that we answered ourselves, because no real server did (502, 503,
    /// 504).
    pub gateway_errors: u64,
    /// TLS handshakes with clients that were completed.
    pub tls_handshakes: u64,
    /// Those among them that resumed a session.
    pub tls_resumed: u64,
    /// TLS handshakes with clients that failed.
    pub tls_failed: u64,
    /// TCP mode: connections whose first octets did not say what persistence goes by; the
    /// scheduler decided.
    pub unnamed: u64,
    /// Ended because a client that must begin with a PROXY protocol header did not.
    pub proxy_refused: u64,
    /// Ended because a client was not done with header or handshake in time.
    pub handshake_timeout: u64,
    /// Lines of the access log that were given to their destination.
    pub logged: u64,
    /// Lines of the access log that their destination did not take.
    pub log_lost: u64,
    /// HTTP/2: connections of clients. They are among `accepted`.
    pub h2_connections: u64,
    /// HTTP/2: streams on which a request came. They are among `requests`.
    pub h2_streams: u64,
    /// HTTP/2: those that the client reset before they were answered whole.
    pub h2_resets: u64,
    /// HTTP/2: streams that were reset because their request was malformed.
    pub h2_malformed: u64,
    /// HTTP/2: streams that were refused because the client had too many open.
    pub h2_refused: u64,
    /// HTTP/2: connections ended because the client broke the protocol.
    pub h2_errors: u64,
    /// HTTP/2: connections ended because the client let too many streams be reset, itself or by
    /// what it sent (CVE-2023-44487, CVE-2025-8671).
    pub h2_reset_floods: u64,
    /// HTTP/2: connections ended because of a head without end, or too large (CVE-2024-27316).
    pub h2_head_floods: u64,
    /// HTTP/2: connections ended because of too many frames that do nothing: SETTINGS, PING,
    /// empty DATA, WINDOW_UPDATE, PRIORITY and unknown ones.
    pub h2_frame_floods: u64,
    /// Ended because descriptors were scarce, and nothing whole had been asked for: those who had
    /// kept us waiting for longest.
    pub shed: u64,
}

/// One real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCounters {
    /// The service it belongs to.
    pub service: ServiceId,
    /// Which one.
    pub id: ServerId,
    /// Gauge: connections that have a place, those being opened among them.
    pub active: u32,
    /// Connections established.
    pub connected: u64,
    /// Attempts that were refused or found no route.
    pub refused: u64,
    /// Attempts that took too long.
    pub connect_timeout: u64,
    /// Connections taken to another real server because this one failed.
    pub redispatched: u64,
    /// Bytes to the server.
    pub bytes_in: u64,
    /// Bytes from the server.
    pub bytes_out: u64,
    /// Ended by the server's reset.
    pub server_reset: u64,
    /// Ended by the server's idle timeout.
    pub server_timeout: u64,
    /// HTTP mode: requests sent, those repeated among them.
    pub requests: u64,
    /// HTTP mode: those of them that found an idle connection.
    pub reused: u64,
    /// HTTP mode: requests sent again, because the server had closed the idle connection.
    pub repeated: u64,
    /// HTTP mode: responses that were not forwarded, or not to their end, because of what they
    /// were.
    pub bad_responses: u64,
    /// TLS handshakes that failed.
    pub tls_failed: u64,
}
