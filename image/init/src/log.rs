//! Lines for the serial port and the screen, by way of the kernel's log: it has the clock, keeps
//! the order with its own messages, and writes to every console there is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::OnceLock;

/// Longer lines are cut: one record of the kernel's log holds about a kilobyte.
const LONGEST: usize = 800;

static KERNEL: OnceLock<Option<File>> = OnceLock::new();

/// What is worth a line on the screen at every boot.
pub fn line(text: &str) {
    write(5, "init", text);
}

/// What is wrong, and what the machine goes on without.
pub fn error(text: &str) {
    write(3, "init", text);
}

/// Passes on what a program writes, line by line, until it closes its end.
pub fn follow(name: &'static str, pipe: impl Read + Send + 'static) {
    let mut lines = BufReader::new(pipe);
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // Bounded, whatever the program writes: a line without end comes in pieces.
        while (&mut lines).take(LONGEST as u64).read_until(b'\n', &mut text).is_ok_and(|n| n > 0) {
            write(5, name, String::from_utf8_lossy(&text).trim_end());
            text.clear();
        }
    });
}

/// `level` as in syslog(2): 3 error, 5 notice.
fn write(level: u8, name: &str, text: &str) {
    let kernel = KERNEL.get_or_init(|| File::options().write(true).open("/dev/kmsg").ok());
    for part in text.lines().filter(|part| !part.is_empty()) {
        let record = record(level, name, part);
        match kernel {
            // One write is one record.
            Some(kernel) => drop((&mut &*kernel).write_all(record.as_bytes())),
            None => eprintln!("{}", record.trim_end()),
        }
    }
}

fn record(level: u8, name: &str, text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("<{level}>{name}: {}\n", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_cut_between_characters() {
        assert_eq!(record(5, "init", "7 modules"), "<5>init: 7 modules\n");
        let long = "é".repeat(LONGEST);
        let cut = record(3, "x", &format!("a{long}"));
        assert_eq!(cut.len(), "<3>x: \n".len() + LONGEST - 1);
        assert!(cut.ends_with("é\n"));
    }
}
