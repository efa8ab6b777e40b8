//! IPv6 extension headers (RFC 8200 section 4), of a packet or of a quoted one.

use crate::bytes::{be16, be32};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const IPV6_HEADER: usize = 40;
/// Headers that are looked behind; more have no honest use.
const MOST: usize = 8;

/// Where the extension headers end.
pub(crate) struct End {
    /// The protocol that follows them.
    pub(crate) proto: u8,
    /// Where it follows in the packet; it may be behind the packet's end.
    pub(crate) at: usize,
    /// The fragment header, if there is one.
    pub(crate) part: Option<Part>,
}

/// A fragment header.
pub(crate) struct Part {
    /// Identification.
    pub(crate) id: u32,
    /// Where the part belongs, in bytes.
    pub(crate) offset: u16,
    /// Whether others follow.
    pub(crate) more: bool,
    /// Where it begins in the packet.
    pub(crate) at: usize,
}

/// Walks from the IPv6 header, whose next header is `proto`, to the transport header, to the
/// payload of a later fragment, or to a routing header that has not come to its end: there the
/// destination is not the transport's own. `None` if a header is cut off, there are too many, or
/// a fragment lies in a fragment.
pub(crate) fn walk(packet: &[u8], mut proto: u8) -> Option<End> {
    let (mut at, mut part) = (IPV6_HEADER, None);
    for _ in 0..=MOST {
        if !matches!(proto, HOP_BY_HOP | ROUTING | DESTINATION | FRAGMENT) {
            return Some(End { proto, at, part });
        }
        let &[next, units, _, left] = packet.get(at..)?.first_chunk()?;
        if proto == ROUTING && left != 0 {
            return Some(End { proto, at, part });
        }
        if proto == FRAGMENT {
            let field = be16(packet, at + 2)?;
            let (offset, more) = (field & 0xfff8, field & 1 != 0);
            let found = Part { id: be32(packet, at + 4)?, offset, more, at: at + 8 };
            if part.replace(found).is_some() {
                return None;
            }
            if offset != 0 {
                return Some(End { proto: next, at: at + 8, part });
            }
            at += 8;
        } else {
            at += 8 + usize::from(units) * 8;
        }
        proto = next;
    }
    None
}
