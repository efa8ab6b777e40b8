//! Heads that come in pieces: where the search for their end stopped.

use crate::limits::Limits;
use crate::refusal::Reason;

/// Method, version, two spaces and CRLF beside the target, generously.
const REQUEST_LINE_REST: usize = 46;

/// How far an incomplete head has been looked at, so that a sender of single octets costs no more
/// than the octets it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scan {
    at: u16,
    /// Where the current line begins.
    line: u16,
    begun: bool,
}

impl Scan {
    /// Has an attempt at the whole head found it incomplete?
    pub(crate) fn has_begun(self) -> bool {
        self.begun
    }

    /// Behind the empty line, once it has been found.
    pub(crate) fn end(self) -> usize {
        usize::from(self.at) + 2
    }

    /// Looks at the octets not seen yet. `true`: the empty line has come.
    ///
    /// `from` is where the first line begins. Errors: a bare CR or LF, a control character, a
    /// first line or a head too long.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        from: usize,
        limits: &Limits,
    ) -> Result<bool, Reason> {
        if !self.begun {
            *self = Scan { at: from as u16, line: from as u16, begun: true };
        }
        let within = bytes.get(..limits.head.into()).unwrap_or(bytes);
        let mut rest = within.get(self.at.into()..).unwrap_or_default();
        while let [byte, after @ ..] = rest {
            rest = match (byte, after) {
                (b'\r', []) => break,
                (b'\r', [b'\n', next @ ..]) => {
                    if self.line == self.at && usize::from(self.at) != from {
                        return Ok(true);
                    }
                    self.at += 2;
                    self.line = self.at;
                    next
                }
                (b'\t' | b' '..=0x7e | 0x80.., _) => {
                    self.at += 1;
                    after
                }
                _ => return Err(Reason::LineEnd),
            };
        }
        self.bounded(bytes.len(), from, limits)
    }

    /// An incomplete head of `len` octets: may it still become one?
    fn bounded(&self, len: usize, from: usize, limits: &Limits) -> Result<bool, Reason> {
        let in_first_line = usize::from(self.line) == from;
        if in_first_line && len - from > usize::from(limits.target) + REQUEST_LINE_REST {
            return Err(Reason::TargetTooLong);
        }
        if len >= limits.head.into() {
            return Err(Reason::HeadTooLarge);
        }
        Ok(false)
    }
}

/// Why the tokeniser stopped in a field section or first line.
pub(crate) fn reason(error: httparse::Error, first_line: Reason, folded: bool) -> Reason {
    match error {
        httparse::Error::HeaderName if folded => Reason::Fold,
        httparse::Error::HeaderName => Reason::FieldName,
        httparse::Error::HeaderValue => Reason::FieldValue,
        httparse::Error::NewLine => Reason::LineEnd,
        httparse::Error::TooManyHeaders => Reason::TooManyFields,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => first_line,
    }
}

/// Does any line of the section begin with white space? Only asked when it was refused.
pub(crate) fn is_folded(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &[u8], limits: &Limits) -> Result<Option<usize>, Reason> {
        let mut scan = Scan::default();
        for end in 1..=text.len() {
            if scan.advance(&text[..end], 0, limits)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    #[test]
    fn the_empty_line_is_found_octet_by_octet() {
        let limits = Limits::default();
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        assert_eq!(feed(head, &limits), Ok(Some(head.len() - 4)));
        assert_eq!(feed(&head[..head.len() - 5], &limits), Ok(None));
    }

    #[test]
    fn bare_line_ends_and_controls_are_seen_at_once() {
        let limits = Limits::default();
        for text in ["a\n", "a\rb", "a\r\r", "a\0", "a\x7f", "a\x0b", "a\r\nb\n"] {
            assert_eq!(feed(text.as_bytes(), &limits), Err(Reason::LineEnd), "{text:?}");
        }
    }

    #[test]
    fn a_head_without_end_is_bounded() {
        let limits = Limits { head: 300, target: 100, ..Limits::default() };
        assert_eq!(feed(&[b'a'; 146], &limits), Ok(None));
        assert_eq!(feed(&[b'a'; 147], &limits), Err(Reason::TargetTooLong));
        let lines = [b"a\r\n".as_slice(), &[b'b'; 297]].concat();
        assert_eq!(feed(&lines[..299], &limits), Ok(None));
        assert_eq!(feed(&lines, &limits), Err(Reason::HeadTooLarge));
    }
}
