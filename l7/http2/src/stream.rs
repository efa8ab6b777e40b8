//! The streams of one connection (RFC 9113 section 5.1).

use crate::settings::DEFAULT_WINDOW;

/// A stream's number on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

impl StreamId {
    /// The number: odd if the client opened it.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// A message body whose length nobody said.
pub(crate) const NO_LENGTH: u64 = u64::MAX;

/// A stream that is open or half closed.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    /// The caller's.
    pub(crate) tag: u64,
    /// What we may send; below 0 if the peer made its initial window smaller.
    pub(crate) send_window: i64,
    /// What the peer may send.
    pub(crate) receive_window: u32,
    /// What was received and not given back.
    pub(crate) held: u32,
    /// What was given back and the peer has not been told.
    pub(crate) untold: u32,
    /// DATA that Content-Length says is still to come, or [`NO_LENGTH`].
    pub(crate) body_left: u64,
    /// The peer's final head has come.
    pub(crate) headed: bool,
    /// The peer has ended it.
    pub(crate) remote_ended: bool,
    /// We have ended it.
    pub(crate) local_ended: bool,
    /// DATA could not be sent for want of window; [`crate::Event::Room`] is owed.
    pub(crate) starved: bool,
    /// Of a HEAD request: a response has a length, and no DATA.
    pub(crate) bodiless: bool,
}

impl Stream {
    pub(crate) fn new(id: u32, send_window: u32, receive_window: u32) -> Stream {
        Stream {
            id,
            tag: 0,
            send_window: send_window.into(),
            receive_window,
            held: 0,
            untold: 0,
            body_left: NO_LENGTH,
            headed: false,
            remote_ended: false,
            local_ended: false,
            starved: false,
            bodiless: false,
        }
    }

    /// Counts DATA; false if it is more than Content-Length said.
    pub(crate) fn count_body(&mut self, octets: u32) -> bool {
        if self.body_left == NO_LENGTH {
            return true;
        }
        let left = self.body_left.checked_sub(octets.into());
        self.body_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Has all come that Content-Length said?
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.body_left, 0 | NO_LENGTH)
    }
}

/// Open streams, in no order. There are few: the settings bound them.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    list: Vec<Stream>,
    /// Where the last one was found.
    last: usize,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> &mut Stream {
        self.last = self.list.len();
        self.list.push_mut(stream)
    }

    /// Most look-ups are of the stream that was looked up before.
    #[inline]
    pub(crate) fn find(&mut self, id: u32) -> Option<&mut Stream> {
        if self.list.get(self.last).is_none_or(|stream| stream.id != id) {
            self.last = self.list.iter().position(|stream| stream.id == id)?;
        }
        self.list.get_mut(self.last)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Stream> {
        let last = self.list.get(self.last).filter(|stream| stream.id == id);
        last.or_else(|| self.list.iter().find(|stream| stream.id == id))
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Stream> {
        self.find(id)?;
        Some(self.list.swap_remove(self.last))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut()
    }

    pub(crate) fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Stream>()
    }

    /// Gives memory back that no stream needs.
    pub(crate) fn rest(&mut self) {
        if self.list.is_empty() {
            self.list = Vec::new();
        }
    }
}

/// The ids of streams that are closed, as many as are remembered.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ids: [u32; 32],
    next: u8,
}

impl Recent {
    #[inline]
    pub(crate) fn add(&mut self, id: u32) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.next) % 32) {
            *slot = id;
        }
        self.next = self.next.wrapping_add(1);
    }

    pub(crate) fn has(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }
}

/// What we let the peer send, of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionWindow {
    /// What the peer may send.
    pub(crate) left: u32,
    /// What was given back and the peer has not been told.
    pub(crate) untold: u32,
    /// All of it.
    pub(crate) whole: u32,
}

impl ConnectionWindow {
    pub(crate) fn new(whole: u32) -> ConnectionWindow {
        ConnectionWindow { left: whole.max(DEFAULT_WINDOW), untold: 0, whole }
    }
}
