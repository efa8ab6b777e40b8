//! Connections by number, and the tokens that events carry.
//!
//! A number is used again as soon as it is free, so a token carries the generation of its number
//! too: an event or a wake-up for a connection that has gone finds nothing.

/// Connections of one worker, at most: an index is 30 bits of a token.
pub const MAX_CONNECTIONS: usize = 1 << 24;

/// A connection of one worker, past or present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub index: u32,
    generation: u32,
}

/// Which of a connection's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Towards the client.
    Client,
    /// Towards the real server.
    Server,
}

/// What an event of the kernel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// One socket of a connection.
    Connection(Key, End),
    /// The listening socket of this number.
    Listener(u32),
    /// Another thread has put something into the mailbox.
    Mailbox,
    /// A connection to a real server, by its seat in the pool of HTTP mode.
    Seat(Key),
}

impl Token {
    /// As the kernel keeps it: generation, index, kind.
    pub fn pack(self) -> u64 {
        let word =
            |high: u32, low: u32, kind: u64| u64::from(high) << 32 | u64::from(low) << 2 | kind;
        match self {
            Self::Connection(key, End::Client) => word(key.generation, key.index, 0),
            Self::Connection(key, End::Server) => word(key.generation, key.index, 1),
            Self::Listener(number) => word(0, number, 2),
            Self::Mailbox => word(1, 0, 2),
            Self::Seat(seat) => word(seat.generation, seat.index, 3),
        }
    }

    /// The reverse of [`Self::pack`].
    pub fn unpack(word: u64) -> Self {
        let index = word as u32 >> 2;
        let key = Key { index, generation: (word >> 32) as u32 };
        match word & 3 {
            0 => Self::Connection(key, End::Client),
            1 => Self::Connection(key, End::Server),
            2 if key.generation == 0 => Self::Listener(index),
            2 => Self::Mailbox,
            _ => Self::Seat(key),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Stores what `make` makes of its own key.
    pub fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, value: None });
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[index as usize];
        let key = Key { index, generation: entry.generation };
        entry.value = Some(make(key));
        key
    }

    /// The value of this key, unless it has gone.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// Takes the value out, unless it has gone.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.vacate(key);
        Some(value)
    }

    /// Takes the value out for a moment: the key stays its own until [`Self::restore`] or
    /// [`Self::vacate`].
    pub fn take(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.value.take() } else { None }
    }

    /// Puts back what was taken.
    pub fn restore(&mut self, key: Key, value: T) {
        if let Some(entry) = self.entries.get_mut(key.index as usize)
            && entry.generation == key.generation
        {
            entry.value = Some(value);
        }
    }

    /// Nothing is put back: the key is past.
    pub fn vacate(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(key.index as usize)
            && entry.generation == key.generation
        {
            entry.value = None;
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// The key that now has this index.
    pub fn key_at(&self, index: u32) -> Option<Key> {
        let entry = self.entries.get(index as usize)?;
        entry.value.as_ref().map(|_| Key { index, generation: entry.generation })
    }

    /// Keys of everything in it.
    pub fn keys(&self) -> Vec<Key> {
        (0..self.entries.len() as u32).filter_map(|index| self.key_at(index)).collect()
    }

    /// Numbers that have ever been in use, each smaller than this.
    pub fn slots(&self) -> u32 {
        self.entries.len() as u32
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_what_has_gone_finds_nothing() {
        let mut slab = Slab::new();
        let old = slab.insert(|_| 'a');
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert(|_| 'b');
        assert_eq!(old.index, new.index);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get_mut(new), Some(&mut 'b'));
        assert_eq!((slab.len(), slab.keys()), (1, vec![new]));
    }

    #[test]
    fn what_is_taken_keeps_its_key() {
        let mut slab = Slab::new();
        let key = slab.insert(|_| 'a');
        assert_eq!(slab.take(key), Some('a'));
        assert_eq!((slab.take(key), slab.len()), (None, 1));
        let other = slab.insert(|_| 'b');
        assert_ne!(key.index, other.index);
        slab.restore(key, 'c');
        assert_eq!(slab.take(key), Some('c'));
        slab.vacate(key);
        slab.restore(key, 'd');
        assert_eq!(slab.get_mut(key), None);
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.insert(|_| 'e').index, key.index);
    }

    #[test]
    fn a_token_survives_the_kernel() {
        let key = Key { index: MAX_CONNECTIONS as u32 - 1, generation: u32::MAX };
        for token in [
            Token::Connection(key, End::Client),
            Token::Connection(key, End::Server),
            Token::Listener(l7_api::MAX_LISTENERS as u32),
            Token::Mailbox,
            Token::Seat(key),
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
