//! How other threads speak to a worker: a list behind a lock, and an eventfd that wakes it.

use crate::list::Page;
use crate::listen::Socket;
use crate::plan::Plan;
use crate::slab::Key;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Work by this plan, and accept from these sockets and no others. The worker answers with
    /// the generation.
    Apply(Arc<Plan>, Vec<Arc<Socket>>),
    /// A place may be free for this connection, which waits for one.
    Retry(Key),
    /// List connections from this number on, at most so many.
    List(u32, usize, Sender<Page>),
    /// A successor accepts: close the listening sockets. What is open after so many milliseconds
    /// is cut (`None`: never).
    Retire(Option<u64>),
    /// End now, cutting what is open.
    Stop,
}

/// The mailboxes of all workers, by worker number.
#[derive(Debug)]
pub struct Mailboxes(Vec<Mailbox>);

#[derive(Debug)]
struct Mailbox {
    commands: Mutex<Vec<Command>>,
    event: OwnedFd,
}

impl Mailboxes {
    /// One for each worker.
    ///
    /// # Errors
    /// When the kernel gives no eventfd.
    pub fn new(workers: usize) -> io::Result<Self> {
        let mailbox = || {
            let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
            Ok(Mailbox { commands: Mutex::default(), event })
        };
        (0..workers).map(|_| mailbox()).collect::<io::Result<_>>().map(Self)
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts a command into a worker's mailbox.
    pub fn send(&self, worker: usize, command: Command) {
        let mailbox = &self.0[worker];
        let mut commands = mailbox.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.push(command);
        if commands.len() == 1 {
            // Cannot fail but by overflow, and then the worker is awake already.
            let _ = rustix::io::write(&mailbox.event, &1u64.to_ne_bytes());
        }
    }

    /// Everything in a worker's mailbox.
    pub fn take(&self, worker: usize) -> Vec<Command> {
        let mailbox = &self.0[worker];
        let mut commands = mailbox.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = rustix::io::read(&mailbox.event, &mut [0; 8]);
        std::mem::take(&mut commands)
    }

    /// Readable while there is something in a worker's mailbox.
    pub fn event(&self, worker: usize) -> BorrowedFd<'_> {
        self.0[worker].event.as_fd()
    }
}
