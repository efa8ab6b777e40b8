//! A conversation over the control socket: frames both ways, and descriptors one way.

use anyhow::{Context, Result, bail};
use l7_api::{HEADER_BYTES, Reply, Request};
use rustix::cmsg_space;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A peer that stops in the middle of a frame is given up after this long.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer may need all workers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Descriptors sent with one byte. The kernel takes 253 at most.
const DESCRIPTORS: usize = 128;

/// One end of a conversation.
#[derive(Debug)]
pub struct Link(UnixStream);

impl Link {
    /// Speaks to the process at this socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(FRAME_TIMEOUT))?;
        Ok(Self(stream))
    }

    /// The end of whoever accepted.
    ///
    /// # Errors
    /// When the kernel refuses the timeouts.
    pub fn accepted(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(FRAME_TIMEOUT))?;
        Ok(Self(stream))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the other side closes, stops or speaks nonsense.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.0.write_all(&l7_api::encode(request)?)?;
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact(&mut header).context("no answer")?;
        let body = self.read_body(header)?;
        Ok(l7_api::decode(&body)?)
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// When the other side does not take it.
    pub fn answer(&mut self, reply: &Reply) -> Result<()> {
        Ok(self.0.write_all(&l7_api::encode(reply)?)?)
    }

    /// The next request; `None` when the peer has closed between two.
    ///
    /// # Errors
    /// When the peer stops in the middle of one or speaks nonsense.
    pub fn next_request(&mut self) -> Result<Option<Request>> {
        // The first byte may take as long as it likes, the others may not.
        self.0.set_read_timeout(None)?;
        let mut header = [0; HEADER_BYTES];
        let (first, others) = header.split_at_mut(1);
        let read = loop {
            match self.0.read(first) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if read == 0 {
            return Ok(None);
        }
        self.0.set_read_timeout(Some(FRAME_TIMEOUT))?;
        self.0.read_exact(others)?;
        let body = self.read_body(header)?;
        Ok(Some(l7_api::decode(&body)?))
    }

    /// Sends descriptors.
    ///
    /// # Errors
    /// When the other side does not take them.
    pub fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        for some in descriptors.chunks(DESCRIPTORS) {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(some)) {
                bail!("{} descriptors do not fit into one message", some.len());
            }
            sendmsg(&self.0, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }

    /// Receives so many descriptors.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn receive_descriptors(&self, count: usize) -> Result<Vec<OwnedFd>> {
        let mut descriptors = Vec::new();
        while descriptors.len() < count {
            let before = descriptors.len();
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let mut room = [IoSliceMut::new(&mut byte)];
            recvmsg(&self.0, &mut room, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            if descriptors.len() == before {
                bail!("{before} listening sockets came, {count} were announced");
            }
        }
        Ok(descriptors)
    }

    /// Memory grows with what arrives, not with what the header says.
    fn read_body(&mut self, header: [u8; HEADER_BYTES]) -> Result<Vec<u8>> {
        let length = l7_api::read_header(header)?;
        let mut body = Vec::new();
        (&mut self.0).take(length as u64).read_to_end(&mut body)?;
        if body.len() < length {
            bail!("the peer closed in the middle of a frame");
        }
        Ok(body)
    }
}
