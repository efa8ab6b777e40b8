//! Several consoles, one conversation: whoever presses Enter first has it, the others are told.

use crate::line::{Line, Typed};
use std::time::{Duration, Instant};

/// Nobody typed for so long: the console is free again, for any of them. What was said is kept.
pub const IDLE: Duration = Duration::from_secs(600);
/// Nobody typed for so long: somebody at another console may take over.
pub const ABSENT: Duration = Duration::from_secs(60);

/// What is said at a console, whichever it is.
pub trait Talk {
    /// What comes of it in the end.
    type End;
    /// Shown on every console while nobody has pressed Enter.
    fn invitation(&mut self) -> String;
    /// Shown to whoever has pressed Enter, before the first prompt.
    fn greeting(&mut self) -> String;
    /// What is asked now, without a line end.
    fn prompt(&mut self) -> String;
    /// Whether the answer is not to be shown.
    fn is_secret(&self) -> bool;
    /// Takes a line: what to tell, or the end.
    fn hear(&mut self, line: &str, now: Instant) -> Said<Self::End>;
    /// Whoever was there has left, or is taken to have.
    fn left(&mut self);
}

/// What follows from a line.
pub enum Said<E> {
    /// This is told, and the next prompt follows.
    Tell(String),
    /// This is told, and the console is free again.
    Leave(String),
    /// It is over.
    End(E),
}

/// Bytes for a console, by its number.
pub type Out = Vec<(usize, Vec<u8>)>;

/// The consoles around one conversation. Bytes in, bytes out.
pub struct Desk<T> {
    consoles: Vec<Console>,
    /// Who has it, and when they last typed.
    holder: Option<(usize, Instant)>,
    talk: T,
}

struct Console {
    name: String,
    line: Line,
}

impl<T: Talk> Desk<T> {
    /// Consoles by their names.
    pub fn new(names: &[String], talk: T) -> Self {
        let console = |name: &String| Console { name: name.clone(), line: Line::default() };
        Self { consoles: names.iter().map(console).collect(), holder: None, talk }
    }

    /// What to show on every console at first.
    pub fn open(&mut self) -> Out {
        (0..self.consoles.len()).flat_map(|console| self.invite(console)).collect()
    }

    /// The same on one that has just been opened.
    pub fn invite(&mut self, console: usize) -> Out {
        let text = format!("\n\n{}\nPress Enter to begin.\n", self.talk.invitation());
        vec![(console, terminal(&text))]
    }

    /// Whether somebody has it.
    pub fn is_held(&self) -> bool {
        self.holder.is_some()
    }

    /// The conversation.
    pub fn talk(&self) -> &T {
        &self.talk
    }

    /// Takes what was typed at a console. Once it is over, with how, and the rest is not heard.
    pub fn hear(&mut self, console: usize, bytes: &[u8], now: Instant) -> (Out, Option<T::End>) {
        let mut out = Out::new();
        for byte in bytes {
            let holds = self.holder.is_some_and(|(holder, _)| holder == console);
            // Nothing is shown of what somebody types where nobody listens.
            let secret = !holds || self.talk.is_secret();
            let mut echo = Vec::new();
            let Some(it) = self.consoles.get_mut(console) else { break };
            let typed = it.line.take(*byte, secret, &mut echo);
            if holds {
                self.holder = Some((console, now));
                out.push((console, echo));
            }
            if let Some(end) = typed.and_then(|typed| self.take(console, typed, now, &mut out)) {
                return (out, Some(end));
            }
        }
        (out, None)
    }

    /// Looks at the time.
    pub fn tick(&mut self, now: Instant) -> Out {
        let mut out = Out::new();
        if self.holder.is_some_and(|(_, last)| now.saturating_duration_since(last) >= IDLE) {
            self.free("Nobody has typed for ten minutes.\n", &mut out);
        }
        out
    }

    /// A console hung up.
    pub fn gone(&mut self, console: usize) -> Out {
        let mut out = Out::new();
        if let Some(it) = self.consoles.get_mut(console) {
            it.line.clear();
        }
        if self.holder.is_some_and(|(holder, _)| holder == console) {
            self.free("", &mut out);
        }
        out
    }

    fn take(
        &mut self,
        console: usize,
        typed: Typed,
        now: Instant,
        out: &mut Out,
    ) -> Option<T::End> {
        match self.holder {
            Some((holder, _)) if holder == console => self.held(console, typed, now, out),
            Some((holder, last)) if now.saturating_duration_since(last) < ABSENT => {
                let name = self.consoles.get(holder).map_or("another", |it| it.name.as_str());
                let text = format!(
                    "Somebody is at the console {name}. It can be had here a minute after they \
                     stop typing.\n"
                );
                out.push((console, terminal(&text)));
                None
            }
            held => {
                if let Some((holder, _)) = held {
                    let name = self.consoles.get(console).map_or("", |it| it.name.as_str());
                    out.push((holder, terminal(&format!("\nContinued at the console {name}.\n"))));
                    self.consoles.get_mut(holder).into_iter().for_each(|it| it.line.clear());
                    self.talk.left();
                }
                self.holder = Some((console, now));
                let text = format!("{}{}", self.talk.greeting(), self.talk.prompt());
                out.push((console, terminal(&text)));
                None
            }
        }
    }

    fn held(
        &mut self,
        console: usize,
        typed: Typed,
        now: Instant,
        out: &mut Out,
    ) -> Option<T::End> {
        let Typed::Line(line) = typed else {
            self.free("What was said so far is kept.\n", out);
            return None;
        };
        match self.talk.hear(&line, now) {
            Said::Tell(text) => {
                let text = format!("{text}{}", self.talk.prompt());
                out.push((console, terminal(&text)));
                None
            }
            Said::Leave(text) => {
                self.free(&text, out);
                None
            }
            Said::End(end) => Some(end),
        }
    }

    fn free(&mut self, why: &str, out: &mut Out) {
        if let Some((holder, _)) = self.holder.take() {
            out.push((holder, terminal(&format!("\n{why}"))));
            self.consoles.get_mut(holder).into_iter().for_each(|it| it.line.clear());
        }
        self.talk.left();
        out.extend(self.open());
    }
}

/// A terminal in raw mode goes to the begin of a line only when told.
pub fn terminal(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeats what it hears; `end` ends it, `free` leaves, after `secret` nothing is shown.
    #[derive(Default)]
    struct Echo {
        left: usize,
        heard: Vec<String>,
    }

    impl Talk for Echo {
        type End = ();
        fn invitation(&mut self) -> String {
            "Hello.".into()
        }
        fn greeting(&mut self) -> String {
            "Hi.\n".into()
        }
        fn prompt(&mut self) -> String {
            "? ".into()
        }
        fn is_secret(&self) -> bool {
            self.heard.last().is_some_and(|line| line == "secret")
        }
        fn hear(&mut self, line: &str, _: Instant) -> Said<()> {
            self.heard.push(line.into());
            match line {
                "end" => Said::End(()),
                "free" => Said::Leave("Bye.\n".into()),
                _ => Said::Tell(format!("<{line}>\n")),
            }
        }
        fn left(&mut self) {
            self.left += 1;
        }
    }

    fn desk() -> Desk<Echo> {
        Desk::new(&["tty1".into(), "ttyS0".into()], Echo::default())
    }

    fn at(out: &Out, console: usize) -> String {
        let own = out.iter().filter(|(to, _)| *to == console);
        own.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    #[test]
    fn the_first_console_has_it_and_the_other_waits_until_nobody_types() {
        let (mut desk, now) = (desk(), Instant::now());
        let out = desk.open();
        assert!(at(&out, 0).contains("Hello.\r\nPress Enter") && at(&out, 0) == at(&out, 1));
        assert_eq!(at(&desk.hear(1, b"noise\r", now).0, 1), "Hi.\r\n? ");
        let (out, _) = desk.hear(0, b"\r", now);
        assert!(at(&out, 0).contains("Somebody is at the console ttyS0"), "{out:?}");
        assert_eq!(at(&desk.hear(1, b"one\r", now).0, 1), "one\r\n<one>\r\n? ");
        let (out, _) = desk.hear(0, b"\r", now + ABSENT);
        assert_eq!(at(&out, 0), "Hi.\r\n? ");
        assert_eq!(at(&out, 1), "\r\nContinued at the console tty1.\r\n");
        assert_eq!((desk.talk().left, desk.talk().heard.len()), (1, 1));
    }

    #[test]
    fn who_leaves_hangs_up_or_falls_asleep_frees_it() {
        let (mut desk, now) = (desk(), Instant::now());
        for round in 1..=4 {
            desk.hear(0, b"\r", now);
            assert!(desk.tick(now + IDLE - Duration::from_secs(1)).is_empty());
            let out = match round {
                1 => desk.hear(0, b"abc\x03", now).0,
                2 => desk.tick(now + IDLE),
                3 => desk.gone(0),
                _ => desk.hear(0, b"free\r", now).0,
            };
            assert!(at(&out, 1).contains("Press Enter"), "{round}");
            assert_eq!(desk.talk().left, round);
            assert!(desk.tick(now + IDLE * 2).is_empty(), "free already");
        }
        assert!(desk.gone(1).is_empty() && desk.gone(7).is_empty());
        assert_eq!(desk.talk().heard, ["free"], "half a line is not heard");
    }

    #[test]
    fn secrets_are_not_shown_and_the_end_is_the_end() {
        let (mut desk, now) = (desk(), Instant::now());
        assert_eq!(at(&desk.hear(0, b"typed blindly", now).0, 0), "");
        desk.hear(0, b"\rsecret\r", now);
        let (out, end) = desk.hear(0, b"word\r", now);
        assert_eq!((at(&out, 0).as_str(), end), ("\r\n<word>\r\n? ", None));
        assert_eq!(desk.hear(0, b"end\rmore\r", now).1, Some(()));
        assert_eq!(desk.talk().heard, ["secret", "word", "end"]);
    }
}
