//! TLS over a socket: rustls' own buffers hold what is encrypted or decrypted and not yet passed
//! on, one record or so each way; what came from the socket and was not looked at is in a buffer
//! of the pool.

use crate::pools::{Buffer, Pools};
use crate::side::{Read, Side, Written};
use rustls::{Connection, HandshakeKind, Writer};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use tls::server::Client as Identity;

/// Reads of the socket for one read of bytes: a peer may send records with nothing in them.
const READS: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct Secure {
    side: Side,
    connection: Connection,
    /// The peer has said something.
    heard: bool,
    /// From the socket, not looked at.
    incoming: Option<(Buffer, usize, usize)>,
    /// Decrypted bytes that wait.
    plain: usize,
    /// The peer will say no more.
    ended: bool,
    /// It did not say that itself.
    truncated: bool,
    /// Why no more can be said or heard.
    error: Option<rustls::Error>,
    ending: Ending,
}

/// How far our own end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    /// It is said when everything before it is sent.
    Said,
    Sent,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// The peer is to speak.
    Pending,
    /// Bytes may flow.
    Done,
    /// It will never be done.
    Failed,
}

/// What was taken from the socket.
enum Taken {
    Something,
    Nothing,
    Reset,
}

impl Secure {
    /// Nothing said yet.
    pub fn new(side: Side, mut connection: Connection) -> Self {
        // Two records, so that a slow reader is noticed.
        connection.set_buffer_limit(Some(crate::pools::BUFFER_BYTES));
        Self {
            side,
            connection,
            heard: false,
            incoming: None,
            plain: 0,
            ended: false,
            truncated: false,
            error: None,
            ending: Ending::NotYet,
        }
    }

    /// The socket.
    pub fn side(&self) -> &Side {
        &self.side
    }

    pub(super) fn side_mut(&mut self) -> &mut Side {
        &mut self.side
    }

    /// The application protocol that was agreed.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The name that the client asked for.
    pub fn name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// Who the client has shown itself to be.
    pub fn identity(&self) -> Identity {
        Identity::of(self.connection.peer_certificates())
    }

    /// As `TLSv1.3`.
    pub fn version(&self) -> &'static str {
        match self.connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        }
    }

    /// As `TLS13_AES_128_GCM_SHA256`.
    pub fn suite(&self) -> Option<&'static str> {
        self.connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str())
    }

    /// Whether a session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the peer has said anything.
    pub fn has_heard(&self) -> bool {
        self.heard
    }

    /// Why it failed, if the peer or the library said so.
    pub fn error(&self) -> Option<&rustls::Error> {
        self.error.as_ref()
    }

    pub(super) fn is_readable(&self) -> bool {
        self.plain > 0
            || self.ended
            || self.error.is_some()
            || self.incoming.is_some()
            || self.side.is_readable()
    }

    pub(super) fn is_quiet(&mut self) -> bool {
        self.side.is_quiet() && !self.is_readable() && !self.connection.wants_write()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.side.is_writable()
            && !self.connection.wants_write()
            && !self.connection.is_handshaking()
    }

    pub(super) fn is_reset(&self) -> bool {
        self.side.is_reset() || self.error.is_some()
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(super) fn advance(&mut self, pools: &mut Pools) -> Progress {
        while self.connection.is_handshaking() {
            self.flush();
            if self.error.is_some() || self.ended || self.side.is_reset() {
                return Progress::Failed;
            }
            match self.take(pools) {
                Taken::Something => {}
                Taken::Nothing => return Progress::Pending,
                Taken::Reset => return Progress::Failed,
            }
        }
        self.flush();
        Progress::Done
    }

    pub(super) fn read(&mut self, buffer: &mut [u8], pools: &mut Pools) -> Read {
        let mut filled = 0;
        for _ in 0..READS {
            filled += self.take_plain(buffer.get_mut(filled..).unwrap_or_default());
            if filled == buffer.len() || self.ended || self.error.is_some() {
                break;
            }
            match self.take(pools) {
                Taken::Something => {}
                Taken::Nothing => break,
                Taken::Reset if filled == 0 => return Read::Reset,
                Taken::Reset => break,
            }
        }
        match filled {
            0 if self.error.is_some() => Read::Reset,
            0 if self.ended => Read::End,
            0 => Read::Nothing,
            _ => Read::Bytes(filled),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Written {
        self.encrypt(|mut writer| writer.write(bytes))
    }

    /// In one record, where they fit.
    pub(super) fn write_all_of(&mut self, parts: &[IoSlice]) -> Written {
        self.encrypt(|mut writer| writer.write_vectored(parts))
    }

    fn encrypt(&mut self, write: impl FnOnce(Writer) -> io::Result<usize>) -> Written {
        self.flush();
        if self.is_reset() {
            return Written::Broken;
        }
        if !self.is_writable() {
            return Written::Blocked;
        }
        match write(self.connection.writer()) {
            Ok(0) => Written::Blocked,
            Ok(count) => {
                self.flush();
                Written::Bytes(count)
            }
            Err(_) => Written::Broken,
        }
    }

    pub(super) fn finish(&mut self, whole: bool) -> bool {
        if self.ending == Ending::NotYet {
            if whole {
                self.connection.send_close_notify();
            }
            self.ending = Ending::Said;
        }
        self.flush();
        !self.side.is_reset()
    }

    pub(super) fn close(&mut self, whole: bool) -> bool {
        !self.finish(whole) || self.ending == Ending::Sent
    }

    pub(super) fn discard(&mut self, pools: &mut Pools) {
        if let Some((buffer, ..)) = self.incoming.take() {
            pools.put_buffer(buffer);
        }
    }

    fn take_plain(&mut self, room: &mut [u8]) -> usize {
        if self.plain == 0 || room.is_empty() {
            return 0;
        }
        let count = self.connection.reader().read(room).unwrap_or(0);
        self.plain = if count == 0 { 0 } else { self.plain.saturating_sub(count) };
        count
    }

    /// Gives the library a part of what came, or reads the socket first.
    fn take(&mut self, pools: &mut Pools) -> Taken {
        let Some((buffer, mut start, end)) = self.incoming.take() else {
            return self.receive(pools);
        };
        let mut bytes = buffer.get(start..end).unwrap_or_default();
        let left = bytes.len();
        let taken = self.connection.read_tls(&mut bytes);
        start += left - bytes.len();
        self.learn(taken);
        if start < end && !self.ended && self.error.is_none() {
            self.incoming = Some((buffer, start, end));
        } else {
            pools.put_buffer(buffer);
        }
        if self.connection.wants_write() {
            self.flush();
        }
        Taken::Something
    }

    fn receive(&mut self, pools: &mut Pools) -> Taken {
        if !self.side.is_readable() {
            return Taken::Nothing;
        }
        let mut buffer = pools.buffer();
        match self.side.read(&mut buffer[..]) {
            Read::Bytes(count) => {
                (self.incoming, self.heard) = (Some((buffer, 0, count)), true);
                return Taken::Something;
            }
            Read::Nothing => {
                pools.put_buffer(buffer);
                return Taken::Nothing;
            }
            Read::Reset => {
                pools.put_buffer(buffer);
                return Taken::Reset;
            }
            Read::End => pools.put_buffer(buffer),
        }
        (self.ended, self.truncated) = (true, true);
        Taken::Something
    }

    fn learn(&mut self, taken: io::Result<usize>) {
        if !matches!(taken, Ok(1..)) {
            // It takes no more of what must be taken: a message beyond its limits.
            self.error = Some(rustls::Error::General("a message that is too long".to_owned()));
            return;
        }
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.plain = state.plaintext_bytes_to_read();
                self.ended |= state.peer_has_closed();
            }
            Err(e) => self.error = Some(e),
        }
    }

    /// Sends what is encrypted, an alert after an error, and our end behind all of it.
    fn flush(&mut self) {
        while self.connection.wants_write() && self.side.is_writable() {
            match self.connection.write_tls(&mut Out(&mut self.side)) {
                Ok(1..) => {}
                _ => break,
            }
        }
        if self.ending == Ending::Said && !self.connection.wants_write() {
            self.side.finish();
            self.ending = Ending::Sent;
        }
    }
}

/// A socket as rustls wants it.
struct Out<'a>(&'a mut Side);

impl io::Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sent(self.0.write(bytes))
    }

    /// Records that wait go in one call.
    fn write_vectored(&mut self, records: &[IoSlice]) -> io::Result<usize> {
        match records {
            [record] => self.write(record),
            records => sent(self.0.write_all_of(records)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sent(written: Written) -> io::Result<usize> {
    match written {
        Written::Bytes(count) => Ok(count),
        Written::Blocked => Err(ErrorKind::WouldBlock.into()),
        Written::Broken => Err(ErrorKind::BrokenPipe.into()),
    }
}
