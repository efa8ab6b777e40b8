//! What is said to the peer: heads, DATA, trailers.

use std::fmt;

use super::Connection;
use crate::frame::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER_LEN, HEADERS};
use crate::head::Field;
use crate::stream::{Stream, StreamId};

/// The stream is closed, or what it is to carry was ended by us before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream is closed")
    }
}

impl std::error::Error for Gone {}

/// Why a request cannot be sent on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// As many streams are open as the peer allows: later, or on another connection.
    Busy,
    /// The connection takes no more requests: another one is needed.
    Closing,
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotOpened::Busy => "the peer allows no more streams at once",
            NotOpened::Closing => "the connection takes no more requests",
        })
    }
}

impl std::error::Error for NotOpened {}

/// What the pseudo-fields of a request say (section 8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:scheme`.
    pub scheme: &'a [u8],
    /// `:authority`.
    pub authority: &'a [u8],
    /// `:path` with the query.
    pub path: &'a [u8],
    /// `:protocol` of an extended CONNECT (RFC 8441), if the peer's settings allow one.
    pub protocol: Option<&'a [u8]>,
}

impl Connection {
    /// Sends a response head, or an interim one (1xx), after which another follows.
    ///
    /// Names come in any case and are sent in lower case. Connection-specific fields must not be
    /// among them: [`crate::bridge`] leaves them out.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn respond<'f>(
        &mut self,
        stream: StreamId,
        status: u16,
        fields: impl IntoIterator<Item: Into<Field<'f>>>,
        end: bool,
    ) -> Result<(), Gone> {
        self.open_for_sending(stream)?;
        let at = self.begin_section(stream.0, end);
        self.encoder.status(status, &mut self.output);
        self.encode_fields(fields);
        self.end_section(at, stream.0);
        if end {
            self.end_sending(stream.0);
        }
        Ok(())
    }

    /// Opens a stream and sends a request head (client role).
    ///
    /// # Errors
    /// The peer takes no more streams, or not now.
    pub fn request<'f>(
        &mut self,
        request: &Request,
        fields: impl IntoIterator<Item: Into<Field<'f>>>,
        end: bool,
    ) -> Result<StreamId, NotOpened> {
        let id = self.next_id()?;
        let mut stream = Stream::new(id, self.allowed.window, self.first_window());
        stream.bodiless = request.method == b"HEAD";
        self.streams.insert(stream);
        let at = self.begin_section(id, end);
        self.encode_request(request);
        self.encode_fields(fields);
        self.end_section(at, id);
        if end {
            self.end_sending(id);
        }
        Ok(StreamId(id))
    }

    fn next_id(&mut self) -> Result<u32, NotOpened> {
        let id = self.next_own;
        if !self.takes_requests() {
            return Err(NotOpened::Closing);
        }
        if self.streams.len() >= self.most_requests() {
            return Err(NotOpened::Busy);
        }
        self.next_own += 2;
        Ok(id)
    }

    fn encode_request(&mut self, request: &Request) {
        let (encoder, out) = (&mut self.encoder, &mut self.output);
        encoder.method(request.method, out);
        let bare = request.method == b"CONNECT" && request.protocol.is_none();
        if !bare {
            encoder.scheme(request.scheme, out);
            encoder.path(request.path, out);
        }
        if let Some(protocol) = request.protocol {
            encoder.field(b":protocol", protocol, false, out);
        }
        encoder.field(b":authority", request.authority, false, out);
    }

    /// Sends as much of a body as the windows and the output's bound allow, and tells how much
    /// that is. `end`: nothing follows; it is said if all of `data` went.
    ///
    /// If it was less than all, the output is full ([`Connection::is_full`]) and is to be drained
    /// first, or a window is, and [`crate::Event::Room`] tells when to go on; or both.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn send_data(&mut self, stream: StreamId, data: &[u8], end: bool) -> Result<usize, Gone> {
        let found = self.streams.find(stream.0).filter(|stream| !stream.local_ended).ok_or(Gone)?;
        if data.is_empty() && !end {
            return Ok(0);
        }
        let largest = (self.allowed.frame as usize).min(frame::MIN_MAX_LEN);
        let mut rest = data;
        loop {
            let window = found.send_window.min(self.send_window).max(0) as usize;
            let room = self.settings.output.saturating_sub(self.output.len() + HEADER_LEN);
            let len = rest.len().min(window).min(room).min(largest);
            if len == 0 && !rest.is_empty() {
                found.starved |= found.send_window <= 0;
                self.starved |= self.send_window <= 0;
                return Ok(data.len() - rest.len());
            }
            let (piece, after) = rest.split_at(len);
            let ends = end && after.is_empty();
            let flags = if ends { END_STREAM } else { 0 };
            frame::header(&mut self.output, len, DATA, flags, stream.0);
            self.output.extend_from_slice(piece);
            found.send_window -= len as i64;
            self.send_window -= len as i64;
            self.budget.data();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        if end {
            self.end_sending(stream.0);
        }
        Ok(data.len())
    }

    /// Sends trailers, which end the stream.
    ///
    /// # Errors
    /// The stream is closed.
    pub fn send_trailers<'f>(
        &mut self,
        stream: StreamId,
        fields: impl IntoIterator<Item: Into<Field<'f>>>,
    ) -> Result<(), Gone> {
        self.open_for_sending(stream)?;
        let at = self.begin_section(stream.0, true);
        self.encode_fields(fields);
        self.end_section(at, stream.0);
        self.end_sending(stream.0);
        Ok(())
    }

    /// How many octets [`Connection::send_data`] would take now; 0 if the stream is closed.
    pub fn room(&self, stream: StreamId) -> usize {
        let Some(stream) = self.streams.get(stream.0) else { return 0 };
        let window = stream.send_window.min(self.send_window).max(0) as usize;
        let frame = self.output.len() + HEADER_LEN;
        window.min(self.settings.output.saturating_sub(frame))
    }

    #[inline]
    fn encode_fields<'f>(&mut self, fields: impl IntoIterator<Item: Into<Field<'f>>>) {
        for field in fields {
            let Field { name, value, never_indexed, .. } = field.into();
            self.encoder.field(name, value, never_indexed, &mut self.output);
        }
    }

    fn open_for_sending(&mut self, stream: StreamId) -> Result<(), Gone> {
        let open = self.streams.find(stream.0).is_some_and(|stream| !stream.local_ended);
        if open { Ok(()) } else { Err(Gone) }
    }

    fn end_sending(&mut self, id: u32) {
        if let Some(stream) = self.streams.find(id) {
            stream.local_ended = true;
        }
        self.close_if_ended(id);
    }

    /// Writes a HEADERS frame's header, to be completed by [`Connection::end_section`].
    #[inline]
    pub(super) fn begin_section(&mut self, id: u32, end: bool) -> usize {
        let at = self.output.len();
        let flags = if end { END_HEADERS | END_STREAM } else { END_HEADERS };
        frame::header(&mut self.output, 0, HEADERS, flags, id);
        self.encoder.begin(&mut self.output);
        at
    }

    #[inline]
    pub(super) fn end_section(&mut self, at: usize, id: u32) {
        let len = self.output.len() - at - HEADER_LEN;
        if len > frame::MIN_MAX_LEN {
            return self.cut_section(at, id);
        }
        self.write_len(at, len);
    }

    fn write_len(&mut self, at: usize, len: usize) {
        let [_, octets @ ..] = (len as u32).to_be_bytes();
        if let Some(slot) = self.output.get_mut(at..at + 3) {
            slot.copy_from_slice(&octets);
        }
    }

    /// A section larger than a frame goes on in CONTINUATION.
    #[cold]
    fn cut_section(&mut self, at: usize, id: u32) {
        let rest = self.output.split_off(at + HEADER_LEN + frame::MIN_MAX_LEN);
        self.write_len(at, frame::MIN_MAX_LEN);
        if let Some(flags) = self.output.get_mut(at + 4) {
            *flags &= !END_HEADERS;
        }
        let mut pieces = rest.chunks(frame::MIN_MAX_LEN).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            frame::header(&mut self.output, piece.len(), CONTINUATION, flags, id);
            self.output.extend_from_slice(piece);
        }
    }
}
