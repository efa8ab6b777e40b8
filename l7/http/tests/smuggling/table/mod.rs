//! Byte streams made to be read in two ways, and what has to come of each. Data alone: the crate's
//! own test and the one over the wire look at the same rows.
//!
//! By theme: `lines` (line ends, request lines, versions, names), `targets` (target forms, Host),
//! `lengths` (Content-Length, Transfer-Encoding), `chunks` (chunked bodies, trailers), `hops`
//! (Connection and what is for one hop), `answers` (responses).

mod answers;
mod chunks;
mod hops;
mod lengths;
mod lines;
mod targets;

/// Name, bytes, what comes of them.
pub type Row = (&'static str, &'static [u8], Expect);

/// Name, request, response, what comes of it.
pub type AnswerRow = (&'static str, &'static [u8], &'static [u8], Expect);

/// Requests.
pub const REQUESTS: [&[Row]; 5] =
    [lines::ROWS, targets::ROWS, lengths::ROWS, chunks::ROWS, hops::ROWS];

/// Responses.
pub const ANSWERS: &[AnswerRow] = answers::ROWS;

/// What comes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Refused with this status, nothing forwarded.
    Refused(u16),
    /// Refused with this status in the midst of a message: this was forwarded, and is no whole
    /// message.
    Cut(u16, &'static [u8]),
    /// Whole messages are forwarded, then what follows is refused with this status.
    Then(u16, &'static [u8]),
    /// Exactly this is forwarded.
    Becomes(&'static [u8]),
    /// This is forwarded as it comes, and the message is not whole.
    Half(&'static [u8]),
    /// It is no whole head: nothing is forwarded until more comes.
    Waits,
}
