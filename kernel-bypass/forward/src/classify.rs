//! First stage: what is this frame, and under which key would the table know it?

use crate::{Step, Verdict, fate::lost};
use api::{DropReason, PuntReason};
use conn::{Handle, Key, KeyKind};
use wire::{
    Fragment, Frame, IpVersion, L4, Malformed, Packet, Parsed, RxChecksum, icmp::Inner, is_v4, mac,
};

/// A packet that has to be looked up. Small, because a burst of them is kept; what is rarely
/// needed is found out again.
#[derive(Clone)]
pub(crate) struct Look {
    pub parsed: Parsed,
    /// Hash of the key.
    pub hash: u64,
    pub subject: Subject,
}

/// What kind of packet it is.
#[derive(Clone, Copy)]
pub(crate) enum Subject {
    /// TCP or UDP, whole or a first fragment; the key is its own tuple.
    Flow,
    /// A later fragment; the key is the datagram's.
    LaterFragment,
    /// A first fragment of what we do not balance. It is not looked up, but the later ones do not
    /// tell that they are not for us.
    ForHost(PuntReason),
    /// An ICMP error; the key is the quoted tuple turned round.
    IcmpError,
}

/// Classifies a frame that came in at a port with this MAC.
#[inline]
pub(crate) fn from_wire(packet: &impl Packet, own: mac::Word, table: &Handle) -> Step<Look> {
    if !packet.contiguous() {
        return lost(DropReason::Segmented);
    }
    let Some(destination) = packet.bytes().first_chunk::<6>() else {
        return lost(DropReason::Malformed);
    };
    let group = destination[0] & 1 == 1;
    if !group && mac::Word::new(*destination) != own {
        return lost(DropReason::OtherHost);
    }
    let parsed = parse(packet)?;
    if parsed.version == IpVersion::V6 && (is_v4(&parsed.src) || is_v4(&parsed.dst)) {
        // On the wire these addresses do not occur (RFC 4291 section 2.5.5.2); in our keys they
        // mean IPv4, and must not be forged.
        return lost(DropReason::Malformed);
    }
    if group {
        return Err(Verdict::Host(PuntReason::Multicast));
    }
    look(packet.bytes(), parsed, table)
}

/// Classifies a frame that our own host sends. Whatever is odd about it is the host's business.
pub(crate) fn from_host(packet: &impl Packet, table: &Handle) -> Step<Look> {
    const UNCHANGED: Verdict = Verdict::Host(PuntReason::NotIp);
    if !packet.contiguous() {
        return Err(UNCHANGED);
    }
    let parsed = parse(packet).map_err(|_| UNCHANGED)?;
    look(packet.bytes(), parsed, table)
}

#[inline]
fn parse(packet: &impl Packet) -> Step<Parsed> {
    if packet.rx_checksum() == RxChecksum::Bad {
        return lost(DropReason::BadChecksum);
    }
    match wire::parse(packet.bytes()) {
        Ok(Frame::Ip(parsed)) => Ok(parsed),
        Ok(Frame::NotIp) => Err(Verdict::Host(PuntReason::NotIp)),
        Err(Malformed::Checksum) => lost(DropReason::BadChecksum),
        Err(_) => lost(DropReason::Malformed),
    }
}

#[inline]
fn look(frame: &[u8], parsed: Parsed, table: &Handle) -> Step<Look> {
    let (key, subject) = match (parsed.fragment, parsed.kind) {
        (Fragment::Later { id, .. }, _) => (fragment_key(&parsed, id), Subject::LaterFragment),
        (_, L4::Tcp | L4::Udp) => (flow_key(&parsed), Subject::Flow),
        (Fragment::First { id }, kind) => {
            (fragment_key(&parsed, id), Subject::ForHost(host_reason(kind)))
        }
        (Fragment::Whole, kind) => match wire::icmp::inner(frame, &parsed) {
            Some(inner) => (quoted_key(&inner), Subject::IcmpError),
            None => return Err(Verdict::Host(host_reason(kind))),
        },
    };
    let hash = table.hash(&key);
    table.prefetch(hash);
    Ok(Look { parsed, hash, subject })
}

const fn host_reason(kind: L4) -> PuntReason {
    match kind {
        L4::Icmp { .. } => PuntReason::Icmp,
        _ => PuntReason::Protocol,
    }
}

/// The packet's own tuple.
#[inline]
pub(crate) fn flow_key(parsed: &Parsed) -> Key {
    Key {
        src: parsed.src,
        dst: parsed.dst,
        sport: parsed.sport,
        dport: parsed.dport,
        proto: parsed.proto,
        kind: KeyKind::Connection,
        zone: 0,
    }
}

/// The quoted packet went the other way, so the one that it belongs to comes like this.
pub(crate) fn quoted_key(inner: &Inner) -> Key {
    Key {
        src: inner.flow.dst,
        dst: inner.flow.src,
        sport: inner.flow.dport,
        dport: inner.flow.sport,
        proto: inner.proto,
        kind: KeyKind::Connection,
        zone: 0,
    }
}

/// All fragments of one datagram (RFC 791 section 3.2, RFC 8200 section 4.5).
pub(crate) fn fragment_key(parsed: &Parsed, id: u32) -> Key {
    Key {
        src: parsed.src,
        dst: parsed.dst,
        sport: (id >> 16) as u16,
        dport: id as u16,
        proto: parsed.proto,
        kind: KeyKind::Fragment,
        zone: 0,
    }
}
