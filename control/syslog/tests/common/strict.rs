//! Reads RFC 5424 section 6 and nothing else. It shares no code with the writer.

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub facility: u8,
    pub severity: u8,
    pub time: String,
    pub hostname: String,
    pub app_name: String,
    pub process: String,
    pub id: String,
    pub data: Vec<(String, Vec<(String, String)>)>,
    pub text: Option<String>,
}

impl Parsed {
    /// Reads a message; says what is wrong with it.
    pub fn read(line: &str) -> Result<Self, String> {
        let (priority, rest) =
            line.strip_prefix('<').and_then(|l| l.split_once('>')).ok_or("no PRI")?;
        let number: u8 = priority.parse().map_err(|_| "PRI is no number")?;
        if number > 191 || priority != number.to_string() {
            return Err("bad PRI".into());
        }
        let rest = rest.strip_prefix("1 ").ok_or("no version")?;
        let (time, rest) = rest.split_once(' ').ok_or("no time")?;
        timestamp(time)?;
        let (hostname, rest) = field(rest, 255)?;
        let (app_name, rest) = field(rest, 48)?;
        let (process, rest) = field(rest, 128)?;
        let (id, rest) = field(rest, 32)?;
        let (data, rest) = structured_data(rest)?;
        Ok(Self {
            facility: number / 8,
            severity: number % 8,
            time: time.into(),
            hostname,
            app_name,
            process,
            id,
            data,
            text: text(rest)?,
        })
    }
}

fn timestamp(time: &str) -> Result<(), String> {
    if time == "-" {
        return Ok(());
    }
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let number = |at: usize| time[at..at + 2].parse::<u8>().unwrap_or(u8::MAX);
    let good = shape == "0000-00-00T00:00:00.000000Z"
        && (1..=12).contains(&number(5))
        && (1..=31).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60;
    if good { Ok(()) } else { Err(format!("bad time {time}")) }
}

fn field(rest: &str, most: usize) -> Result<(String, &str), String> {
    let (field, rest) = rest.split_once(' ').ok_or("a field is missing")?;
    let good = (1..=most).contains(&field.len()) && field.chars().all(|c| c.is_ascii_graphic());
    if good { Ok((field.into(), rest)) } else { Err(format!("bad field {field:?}")) }
}

type Data = Vec<(String, Vec<(String, String)>)>;

fn structured_data(rest: &str) -> Result<(Data, &str), String> {
    if let Some(rest) = rest.strip_prefix('-') {
        return Ok((Vec::new(), rest));
    }
    let (mut data, mut rest) = (Vec::new(), rest);
    while let Some(inside) = rest.strip_prefix('[') {
        let (id, mut inside) = name(inside)?;
        let mut parameters = Vec::new();
        while let Some(parameter) = inside.strip_prefix(' ') {
            let (name, after) = name(parameter)?;
            let after = after.strip_prefix("=\"").ok_or("no value")?;
            let (value, after) = quoted(after)?;
            parameters.push((name, value));
            inside = after;
        }
        rest = inside.strip_prefix(']').ok_or("an element does not end")?;
        data.push((id, parameters));
    }
    if data.is_empty() { Err("no structured data".into()) } else { Ok((data, rest)) }
}

fn name(text: &str) -> Result<(String, &str), String> {
    let end = text.find(['=', ' ', ']', '"']).ok_or("a name does not end")?;
    let (name, rest) = text.split_at(end);
    let good = (1..=32).contains(&end) && name.chars().all(|c| c.is_ascii_graphic());
    if good { Ok((name.into(), rest)) } else { Err(format!("bad name {name:?}")) }
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            ']' => return Err("a bracket without its backslash".into()),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\' | ']'))) => value.push(escaped),
                _ => return Err("a backslash for nothing".into()),
            },
            control if control.is_control() => return Err("a control character".into()),
            other => value.push(other),
        }
    }
    Err("a value does not end".into())
}

fn text(rest: &str) -> Result<Option<String>, String> {
    if rest.is_empty() {
        return Ok(None);
    }
    let text = rest.strip_prefix(' ').ok_or("no blank before the text")?;
    if text.chars().any(char::is_control) {
        return Err("a control character".into());
    }
    match (text.strip_prefix('\u{feff}'), text.is_ascii()) {
        (None, true) => Ok(Some(text.into())),
        (Some(text), _) if !text.is_ascii() => Ok(Some(text.into())),
        _ => Err("more than ASCII needs a BOM, and nothing else has one".into()),
    }
}
