//! One message as RFC 5424 section 6 writes it.

use crate::Facility;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 10000-01-01: RFC 3339 has four digits for the year.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);
/// Before text that is more than ASCII.
const BOM: char = '\u{feff}';

/// How bad it is (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Severity {
    /// Error conditions.
    Error = 3,
    /// Warning conditions.
    Warning = 4,
    /// Normal but significant.
    Notice = 5,
    /// Informational.
    Informational = 6,
    /// Debug messages.
    Debug = 7,
}

/// One message. Whatever the fields hold, what is written is one well-formed message without
/// control characters: these become `#` and three octal digits for each byte; characters that a
/// header field cannot hold become `_`.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What it is filed under.
    pub facility: Facility,
    /// How bad it is.
    pub severity: Severity,
    /// When; written as unknown before 1970 and after 9999.
    pub time: SystemTime,
    /// HOSTNAME, at most 255 characters.
    pub hostname: &'a str,
    /// APP-NAME, at most 48 characters.
    pub app_name: &'a str,
    /// PROCID, at most 128 characters.
    pub process: &'a str,
    /// MSGID, at most 32 characters.
    pub id: &'a str,
    /// STRUCTURED-DATA.
    pub data: &'a [Element<'a>],
    /// MSG, the text.
    pub text: fmt::Arguments<'a>,
}

/// An element of structured data (RFC 5424 section 6.3).
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// SD-ID: registered, or with the number of an enterprise.
    pub id: &'a str,
    /// Names and values.
    pub parameters: &'a [(&'a str, &'a str)],
}

impl Message<'_> {
    /// The message, at most `limit` bytes but never less than its header. The text loses its end
    /// first, an element that does not fit is left out whole.
    pub fn line(&self, limit: usize) -> String {
        let mut line = String::with_capacity(limit.min(512));
        self.header(&mut line);
        self.structured_data(&mut line, limit);
        self.message(&mut line, limit);
        line
    }

    fn header(&self, line: &mut String) {
        let priority = self.facility as u8 * 8 + self.severity as u8;
        append(line, format_args!("<{priority}>1 "));
        match self.time.duration_since(UNIX_EPOCH) {
            Ok(since) if since < END_OF_TIME => {
                append(line, format_args!("{}", humantime::format_rfc3339_micros(self.time)));
            }
            _ => line.push('-'),
        }
        let fields =
            [(self.hostname, 255), (self.app_name, 48), (self.process, 128), (self.id, 32)];
        for (field, most) in fields {
            line.push(' ');
            name(line, field, most, "");
        }
        line.push(' ');
    }

    fn structured_data(&self, line: &mut String, limit: usize) {
        let begin = line.len();
        for element in self.data {
            let before = line.len();
            element.write(line);
            if line.len() > limit {
                line.truncate(before);
            }
        }
        if line.len() == begin {
            line.push('-');
        }
    }

    fn message(&self, line: &mut String, limit: usize) {
        let begin = line.len() + 1 + BOM.len_utf8();
        let mut text = Plain { text: String::new(), room: limit.saturating_sub(begin) };
        // Formatting ends early when there is no room left.
        let _ = text.write_fmt(self.text);
        let text = text.text;
        if text.is_empty() {
            return;
        }
        line.push(' ');
        if !text.is_ascii() {
            line.push(BOM);
        }
        line.push_str(&text);
    }
}

impl Element<'_> {
    fn write(&self, line: &mut String) {
        const RESERVED: &str = "=]\"";
        line.push('[');
        name(line, self.id, 32, RESERVED);
        for (parameter, value) in self.parameters {
            line.push(' ');
            name(line, parameter, 32, RESERVED);
            line.push_str("=\"");
            for character in value.chars() {
                if matches!(character, '"' | '\\' | ']') {
                    line.push('\\');
                }
                plain(line, character);
            }
            line.push('"');
        }
        line.push(']');
    }
}

/// A field of printable ASCII without blanks; `-` if it is empty.
fn name(line: &mut String, text: &str, most: usize, reserved: &str) {
    let good = |c: char| c.is_ascii_graphic() && !reserved.contains(c);
    line.extend(text.chars().take(most).map(|c| if good(c) { c } else { '_' }));
    if text.is_empty() {
        line.push('-');
    }
}

/// Text without control characters, and not more of it than there is room.
struct Plain {
    text: String,
    room: usize,
}

impl Write for Plain {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let before = self.text.len();
            plain(&mut self.text, character);
            if self.text.len() > self.room {
                self.text.truncate(before);
                self.room = before;
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

fn plain(line: &mut String, character: char) {
    if !character.is_control() {
        return line.push(character);
    }
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        append(line, format_args!("#{byte:03o}"));
    }
}

fn append(line: &mut String, arguments: fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = line.write_fmt(arguments);
}

impl From<log::Level> for Severity {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Error => Self::Error,
            log::Level::Warn => Self::Warning,
            log::Level::Info => Self::Informational,
            log::Level::Debug | log::Level::Trace => Self::Debug,
        }
    }
}
