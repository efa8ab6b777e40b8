//! The terminals of the machine: a thread reads each, this one writes.

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Where the kernel writes its messages, which is where somebody looks.
const ACTIVE: &str = "/sys/class/tty/console/active";
/// The first number is the level from which on messages are not shown (Linux, sysctl/kernel).
const PRINTK: &str = "/proc/sys/kernel/printk";
/// Errors only.
const QUIET: &str = "4";
/// Most that is read at once.
const BLOCK: usize = 256;
/// Before a terminal that hung up is opened again.
const PAUSE: Duration = Duration::from_secs(2);

/// What happened at a console.
pub enum Event {
    /// It can be written to.
    Opened(usize),
    /// Somebody typed.
    Typed(usize, Vec<u8>),
    /// It hung up.
    Gone(usize),
    /// Nothing, for as long as was to be waited.
    Nothing,
}

enum Heard {
    Opened(File),
    Typed(Vec<u8>),
    Gone,
}

/// All of them.
pub struct Consoles {
    names: Vec<String>,
    writers: Vec<Option<File>>,
    events: Receiver<(usize, Heard)>,
    /// What was in force before it was made quiet.
    level: Option<String>,
}

impl Consoles {
    /// Opens every console that the kernel writes to.
    pub fn open() -> Self {
        let names = names(&fs::read_to_string(ACTIVE).unwrap_or_default());
        let (sender, events) = channel();
        for (number, name) in names.iter().enumerate() {
            let (path, sender) = (format!("/dev/{name}"), sender.clone());
            std::thread::spawn(move || follow(number, &path, &sender));
        }
        let writers = names.iter().map(|_| None).collect();
        Self { names, writers, events, level: None }
    }

    /// In their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Waits at most so long.
    pub fn wait(&mut self, longest: Duration) -> Event {
        let Ok((number, heard)) = self.events.recv_timeout(longest) else { return Event::Nothing };
        let writer = self.writers.get_mut(number);
        match (heard, writer) {
            (Heard::Opened(file), Some(writer)) => {
                *writer = Some(file);
                Event::Opened(number)
            }
            (Heard::Typed(bytes), _) => Event::Typed(number, bytes),
            (Heard::Gone, Some(writer)) => {
                *writer = None;
                Event::Gone(number)
            }
            (_, None) => Event::Nothing,
        }
    }

    /// Shows something. A console that cannot be written to is one that nobody looks at.
    pub fn write(&mut self, number: usize, bytes: &[u8]) {
        if let Some(Some(file)) = self.writers.get_mut(number) {
            let _ = file.write_all(bytes);
        }
    }

    /// Whether the kernel writes errors alone.
    pub fn keep_quiet(&mut self, quiet: bool) {
        match (quiet, self.level.take()) {
            (true, None) => {
                self.level = fs::read_to_string(PRINTK)
                    .ok()
                    .and_then(|levels| levels.split_whitespace().next().map(str::to_owned));
                let _ = fs::write(PRINTK, QUIET);
            }
            (true, level) => self.level = level,
            (false, Some(level)) => drop(fs::write(PRINTK, level)),
            (false, None) => {}
        }
    }
}

/// The kernel calls the screen that is in front tty0; at boot, and ever after, that is the first.
fn names(active: &str) -> Vec<String> {
    let name = |name: &str| if name == "tty0" { "tty1".into() } else { name.to_owned() };
    active.split_whitespace().map(name).collect()
}

/// Reads a terminal for ever.
fn follow(number: usize, path: &str, to: &Sender<(usize, Heard)>) {
    loop {
        if let Some(mut file) = terminal(path)
            && let Ok(writer) = file.try_clone()
        {
            if to.send((number, Heard::Opened(writer))).is_err() {
                return;
            }
            let mut block = [0; BLOCK];
            while let Ok(length @ 1..) = file.read(&mut block) {
                if to.send((number, Heard::Typed(block[..length].to_vec()))).is_err() {
                    return;
                }
            }
            if to.send((number, Heard::Gone)).is_err() {
                return;
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Opened without waiting for a carrier, and raw: editing and echo are ours.
fn terminal(path: &str) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = open(path, flags, Mode::empty()).ok()?.into();
    let mut settings = tcgetattr(&file).ok()?;
    settings.make_raw();
    settings.control_modes |= ControlModes::CLOCAL;
    tcsetattr(&file, OptionalActions::Now, &settings).ok()?;
    let flags = fcntl_getfl(&file).ok()?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn the_screen_and_the_serial_ports_by_the_names_of_their_devices() {
        assert_eq!(names("tty0 ttyS0 hvc0\n"), ["tty1", "ttyS0", "hvc0"]);
        assert!(names("").is_empty());
    }
}
