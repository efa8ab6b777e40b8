//! A reader of both formats that takes what the specifications allow and refuses all else. It
//! shares no code with the writer.

use metrics::Format;
use std::collections::{BTreeMap, BTreeSet};

/// A family as it was read.
#[derive(Clone, Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub samples: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// The whole answer, families by the name in their `TYPE` line.
pub struct Exposition {
    pub families: BTreeMap<String, Family>,
    /// In the order in which they came.
    pub order: Vec<String>,
}

impl Exposition {
    /// Reads `text`; says what is wrong with it, and where.
    pub fn read(text: &str, format: Format) -> Result<Self, String> {
        let mut reader = Reader { format, ..Reader::default() };
        let body = match format {
            Format::Text => text,
            Format::OpenMetrics => text.strip_suffix("# EOF\n").ok_or("no EOF at the end")?,
        };
        if !body.is_empty() && !body.ends_with('\n') {
            return Err("the last line does not end".into());
        }
        for (number, line) in body.split_terminator('\n').enumerate() {
            reader.line(line).map_err(|error| format!("line {}: {error}: {line}", number + 1))?;
        }
        reader.close()?;
        Ok(Self { families: reader.families, order: reader.order })
    }

    /// All lines.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.order.iter().flat_map(|name| &self.families[name].samples)
    }

    /// The value of the one line of this name with these labels (and perhaps others).
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |s: &Series| labels.iter().all(|&(k, v)| s.labels.get(k).is_some_and(|l| l == v));
        let mut found = self.series().filter(|s| s.name == name && has(s));
        let value = found.next()?.value;
        assert!(found.next().is_none(), "{name} with {labels:?} is ambiguous");
        Some(value)
    }

    /// Whether there is any line of this name.
    pub fn has(&self, name: &str) -> bool {
        self.series().any(|series| series.name == name)
    }
}

#[derive(Default)]
struct Reader {
    format: Format,
    families: BTreeMap<String, Family>,
    order: Vec<String>,
    open: Option<(String, Family)>,
    seen: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some(comment) = line.strip_prefix("# ") else {
            return self.sample(line);
        };
        let mut parts = comment.splitn(3, ' ');
        let (word, name) = (parts.next().unwrap_or_default(), parts.next().ok_or("no name")?);
        let rest = parts.next().ok_or("no text")?;
        metric_name(name)?;
        if self
            .open
            .as_ref()
            .is_none_or(|(open, family)| open != name || !family.samples.is_empty())
        {
            self.close()?;
            self.open = Some((name.into(), Family::default()));
        }
        let (_, family) = self.open.as_mut().ok_or("no family")?;
        let field = match word {
            "TYPE" => &mut family.kind,
            "HELP" => &mut family.help,
            "UNIT" if name.ends_with(&format!("_{rest}")) => return Ok(()),
            _ => return Err("unknown comment".into()),
        };
        if !field.is_empty() || rest.is_empty() {
            return Err(format!("{word} twice or empty"));
        }
        *field = plain(rest)?.into();
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some((name, family)) = self.open.take() else { return Ok(()) };
        if family.samples.is_empty() || family.kind.is_empty() || family.help.is_empty() {
            return Err(format!("{name} has no series, no TYPE or no HELP"));
        }
        self.order.push(name.clone());
        match self.families.insert(name.clone(), family) {
            Some(_) => Err(format!("{name} comes twice")),
            None => Ok(()),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let series = series(line)?;
        if !self.seen.insert(format!("{}{:?}", series.name, series.labels)) {
            return Err("the series comes twice".into());
        }
        let format = self.format;
        let (name, family) = self.open.as_mut().ok_or("series before TYPE")?;
        let suffix = series.name.strip_prefix(&**name).ok_or("series of another family")?;
        let fits = match (format, &*family.kind, suffix) {
            (Format::OpenMetrics, "counter", "_total") => series.value >= 0.0,
            (Format::OpenMetrics, "info", "_info") => series.value == 1.0,
            (Format::Text, "counter", "") => name.ends_with("_total") && series.value >= 0.0,
            (_, "gauge", "") => !name.ends_with("_total"),
            _ => false,
        };
        if !fits {
            return Err(format!("does not fit a {}", family.kind));
        }
        family.samples.push(series);
        Ok(())
    }
}

/// Text that needs no escape in either format.
fn plain(text: &str) -> Result<&str, String> {
    let good = |character: char| character == ' ' || character.is_ascii_graphic();
    match text.contains(['\\', '"']) || !text.chars().all(good) {
        true => Err("a comment that is not plain".into()),
        false => Ok(text),
    }
}

fn series(line: &str) -> Result<Series, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    metric_name(name)?;
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"").ok_or("no label")?;
            label_name(label)?;
            let (value, after) = label_value(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("label {label} twice"));
            }
            match after.strip_prefix(',') {
                Some(next) => inside = next,
                None => {
                    rest = after.strip_prefix('}').ok_or("labels do not end")?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no value")?;
    if !value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("not a plain number".into());
    }
    let value = value.parse().map_err(|_| "not a number")?;
    Ok(Series { name: name.into(), labels, value })
}

/// Up to the closing quote, and what comes after.
fn label_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, plain @ ('\\' | '"'))) => plain,
                _ => return Err("unknown escape".into()),
            }),
            '\n' | '\0' => return Err("raw control character".into()),
            plain => value.push(plain),
        }
    }
    Err("label does not end".into())
}

fn metric_name(name: &str) -> Result<(), String> {
    label_name(name).and_then(|()| match name.starts_with("fulcrum_") {
        true => Ok(()),
        false => Err(format!("{name} is not ours")),
    })
}

fn label_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    match name.bytes().all(good) && name.starts_with(|first: char| first.is_ascii_lowercase()) {
        true => Ok(()),
        false => Err(format!("bad name {name}")),
    }
}
