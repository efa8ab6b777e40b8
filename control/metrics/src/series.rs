//! Families and their series as text.

use crate::Format;
use std::fmt::{Display, Write};

/// What a family's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, but for a restart. Series end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1; the labels say it. Series end in `_info`.
    Info,
}

/// A metric family over things of type `T`.
pub(crate) struct Family<T> {
    /// Without the suffix that the kind asks for.
    pub name: &'static str,
    /// One sentence in plain characters.
    pub help: &'static str,
    pub kind: Kind,
    /// Writes the series of one thing; none at all if there is nothing to say.
    pub series: fn(&T, &mut Series<'_>),
}

/// Something that series are about.
pub(crate) trait Subject {
    /// The labels that every series about it has.
    fn labels(&self, labels: &mut Labels<'_>);
}

/// The text as it grows.
pub(crate) struct Page {
    text: String,
    format: Format,
}

/// Takes the series of one family that are about one thing.
pub(crate) struct Series<'a> {
    page: &'a mut Page,
    head: &'a mut Option<Head>,
    subject: &'a dyn Subject,
    suffix: &'static str,
    name: &'static str,
}

/// What comes before a family's first series.
#[derive(Clone, Copy)]
struct Head {
    help: &'static str,
    kind: Kind,
}

/// Takes the labels of one series.
pub(crate) struct Labels<'a> {
    text: &'a mut String,
    opened: bool,
}

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
        }
    }

    const fn text(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Info, Format::OpenMetrics) => "info",
            (Self::Gauge | Self::Info, _) => "gauge",
        }
    }
}

impl Page {
    pub(crate) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// One family about all of `subjects`.
    pub(crate) fn family<'a, T: Subject + 'a>(
        &mut self,
        family: &Family<T>,
        subjects: impl IntoIterator<Item = &'a T>,
    ) {
        let mut head = Some(Head { help: family.help, kind: family.kind });
        for subject in subjects {
            let (name, suffix) = (family.name, family.kind.suffix());
            let mut series = Series { page: self, head: &mut head, subject, suffix, name };
            (family.series)(subject, &mut series);
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn head(&mut self, name: &str, head: Head) {
        let (help, kind) = (head.help, head.kind.text(self.format));
        let text = &mut self.text;
        match self.format {
            Format::Text => {
                let suffix = head.kind.suffix();
                append(text, format_args!("# HELP {name}{suffix} {help}\n"));
                append(text, format_args!("# TYPE {name}{suffix} {kind}\n"));
            }
            Format::OpenMetrics => {
                append(text, format_args!("# TYPE {name} {kind}\n"));
                if let Some(unit) = ["seconds", "bytes"].iter().find(|unit| name.ends_with(*unit)) {
                    append(text, format_args!("# UNIT {name} {unit}\n"));
                }
                append(text, format_args!("# HELP {name} {help}\n"));
            }
        }
    }
}

impl Series<'_> {
    /// The one series about this thing.
    pub(crate) fn value(&mut self, value: impl Display) {
        self.labelled(&[], value);
    }

    /// The one series about this thing, if there is something to say.
    pub(crate) fn maybe(&mut self, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(value);
        }
    }

    /// A series with labels of its own.
    pub(crate) fn labelled(&mut self, own: &[(&str, &str)], value: impl Display) {
        if let Some(head) = self.head.take() {
            self.page.head(self.name, head);
        }
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(self.suffix);
        let mut labels = Labels { text, opened: false };
        self.subject.labels(&mut labels);
        for (name, value) in own {
            labels.add(name, value);
        }
        labels.close();
        append(text, format_args!(" {value}\n"));
    }

    /// A series for each word; the one that holds is 1.
    pub(crate) fn one_of<'b>(&mut self, now: &str, words: impl IntoIterator<Item = &'b str>) {
        for word in words {
            self.labelled(&[("state", word)], u8::from(word == now));
        }
    }
}

impl Labels<'_> {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.text.push(if self.opened { ',' } else { '{' });
        self.opened = true;
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape(self.text, value);
        self.text.push('"');
    }

    fn close(self) {
        if self.opened {
            self.text.push('}');
        }
    }
}

/// Escapes as both formats ask. NUL has no escape and ends a reader's buffer: it is replaced.
fn escape(text: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n', '\0']) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        text.push_str(match special.as_bytes()[0] {
            b'\\' => r"\\",
            b'"' => r#"\""#,
            b'\n' => r"\n",
            _ => "\u{fffd}",
        });
        rest = &special[1..];
    }
    text.push_str(rest);
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(arguments);
}
