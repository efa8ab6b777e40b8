//! One line of input, edited byte by byte, as a terminal in raw mode sends it.

/// Most bytes of a line: the longest password. What comes beyond is not taken, and the bell rings.
pub const LONGEST: usize = users::MAX_PASSWORD_BYTES;

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Enter.
    Line(String),
    /// Ctrl-C, or Ctrl-D on an empty line.
    Leave,
}

/// A line that is being typed.
#[derive(Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    escape: Escape,
    /// Whether the last byte was a carriage return, with which a line feed may come.
    returned: bool,
}

/// How far a sequence of a function key has come, of which none is of use here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Within,
}

impl Line {
    /// Takes a byte. What to show of it goes to `echo`, unless the line is `secret`.
    pub fn take(&mut self, byte: u8, secret: bool, echo: &mut Vec<u8>) -> Option<Typed> {
        let after_return = std::mem::take(&mut self.returned);
        if self.is_escaped(byte) {
            return None;
        }
        match byte {
            b'\n' if after_return => None,
            b'\r' | b'\n' => {
                self.returned = byte == b'\r';
                echo.extend(b"\r\n");
                Some(Typed::Line(self.text()))
            }
            0x03 => self.leave(echo),
            0x04 if self.bytes.is_empty() => self.leave(echo),
            0x08 | 0x7f => {
                self.rub_out(secret, echo);
                None
            }
            0x15 => {
                while !self.bytes.is_empty() {
                    self.rub_out(secret, echo);
                }
                None
            }
            0x00..=0x1f => None,
            _ if self.bytes.len() >= LONGEST => {
                echo.push(0x07);
                None
            }
            _ => {
                self.bytes.push(byte);
                if !secret {
                    echo.push(byte);
                }
                None
            }
        }
    }

    /// Forgets what was typed so far.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.escape = Escape::None;
    }

    /// What has been typed so far and shown, to be shown again.
    pub fn shown(&self) -> &[u8] {
        &self.bytes
    }

    fn text(&mut self) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn leave(&mut self, echo: &mut Vec<u8>) -> Option<Typed> {
        self.bytes.clear();
        echo.extend(b"\r\n");
        Some(Typed::Leave)
    }

    /// Removes a character, which may be several bytes and is one place on the screen.
    fn rub_out(&mut self, secret: bool, echo: &mut Vec<u8>) {
        const CONTINUATION: std::ops::RangeInclusive<u8> = 0x80..=0xbf;
        let Some(mut last) = self.bytes.pop() else { return };
        while CONTINUATION.contains(&last) {
            let Some(before) = self.bytes.pop() else { break };
            last = before;
        }
        if !secret {
            echo.extend(b"\x08 \x08");
        }
    }

    /// Whether a byte belongs to a sequence that begins with Escape (ECMA-48, 5.4).
    fn is_escaped(&mut self, byte: u8) -> bool {
        self.escape = match (self.escape, byte) {
            (_, 0x1b) => Escape::Begun,
            // What is no part of a sequence ends it: Enter is not to be lost.
            (_, 0x00..=0x1f) | (Escape::None, _) => Escape::None,
            (Escape::Begun, b'[' | b'O') => Escape::Within,
            (Escape::Within, 0x20..=0x3f) => Escape::Within,
            (Escape::Begun | Escape::Within, _) => {
                self.escape = Escape::None;
                return true;
            }
        };
        self.escape != Escape::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was typed, and what was shown of it.
    fn typed(bytes: &[u8], secret: bool) -> (Vec<Typed>, String) {
        let (mut line, mut echo) = (Line::default(), Vec::new());
        let typed = bytes.iter().filter_map(|byte| line.take(*byte, secret, &mut echo)).collect();
        (typed, String::from_utf8(echo).unwrap())
    }

    fn lines(lines: &[&str]) -> Vec<Typed> {
        lines.iter().map(|line| Typed::Line(line.to_string())).collect()
    }

    #[test]
    fn lines_are_edited_and_end_with_any_kind_of_enter() {
        assert_eq!(typed(b"a\rb\nc\r\nd\r", false).0, lines(&["a", "b", "c", "d"]));
        assert_eq!(typed(b"ax\x7fb\x08\x08\x08z\r", false).0, lines(&["z"]));
        assert_eq!(typed("xß\x7fy\r".as_bytes(), false).0, lines(&["xy"]));
        assert_eq!(typed(b"gone\x15kept\r", false).0, lines(&["kept"]));
        assert_eq!(typed(b"\x1b[A\x1b[3~\x1bOPon\x1b\rx\r", false).0, lines(&["on", "x"]));
    }

    #[test]
    fn ctrl_c_leaves_and_ctrl_d_where_nothing_was_typed() {
        assert_eq!(typed(b"abc\x03", false).0, [Typed::Leave]);
        assert_eq!(typed(b"\x04", false).0, [Typed::Leave]);
        assert_eq!(typed(b"a\x04b\r", false).0, lines(&["ab"]));
        assert_eq!(typed(b"abc\x03\r", false).0[1..], lines(&[""]));
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let (typed, shown) = typed(b"secreX\x7ft\x1b[A\r", true);
        assert_eq!(typed, lines(&["secret"]));
        assert_eq!(shown, "\r\n");
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let (mut line, mut echo) = (Line::default(), Vec::new());
        for _ in 0..LONGEST + 7 {
            assert_eq!(line.take(b'x', true, &mut echo), None);
        }
        assert_eq!(echo, [7; 7], "the bell");
        assert_eq!(line.take(b'\r', true, &mut echo), Some(Typed::Line("x".repeat(LONGEST))));
    }
}
