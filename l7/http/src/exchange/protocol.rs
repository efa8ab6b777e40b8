//! The protocol a client asked to change to.

use crate::request::RequestHead;

/// Longer than any registered token that is used over HTTP/1.
const MAX_NAME: usize = 16;

/// At most one protocol is offered to the server, so that its consent can mean nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Protocol {
    text: [u8; MAX_NAME],
    len: u8,
}

impl Protocol {
    /// The first that the client offers and that is allowed.
    pub(super) fn choose(head: &RequestHead, bytes: &[u8], allowed: &[&str]) -> Protocol {
        let matching = |offer: &[u8]| {
            let mut allowed = allowed.iter().filter(|name| name.len() <= MAX_NAME);
            allowed.any(|name| name.as_bytes().eq_ignore_ascii_case(offer))
        };
        let chosen = head.upgrades(bytes).find(|offer| matching(offer));
        let mut protocol = Protocol::default();
        for (slot, byte) in protocol.text.iter_mut().zip(chosen.unwrap_or_default()) {
            *slot = byte.to_ascii_lowercase();
            protocol.len += 1;
        }
        protocol
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        self.text.get(..self.len.into()).filter(|name| !name.is_empty())
    }
}
