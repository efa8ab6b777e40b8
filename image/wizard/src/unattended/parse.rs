//! What a file may say in advance: answers, a configuration, or both, each under its own mark.

use crate::answers::Answers;
use crate::interview::refused;
use crate::keep::Password;
use crate::machine::Machine;
use crate::question;
use crate::text;
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use users::Secret;

/// A line that says that answers follow.
pub const ANSWERS: &str = "#fulcrum-answers";
/// A line that says that a configuration follows.
pub const CONFIG: &str = "#fulcrum-config";
/// First lines that are for cloud-init, which this machine has none of.
const FOREIGN: [&str; 6] =
    ["#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "Content-Type:"];

/// What is used of a file.
pub struct Given {
    /// The configuration.
    pub configuration: Option<String>,
    /// The first user's.
    pub password: Option<Password>,
    /// What is worth a line in the log.
    pub remarks: Vec<String>,
}

/// Reads a file; `name` is what messages call it.
///
/// # Errors
/// Lines `FILE:LINE: WHAT; write: REMEDY`.
pub fn read(bytes: &[u8], name: &str, machine: &Machine) -> Result<Given, String> {
    let at = |line: usize, what: &str| format!("{name}:{line}: {what}");
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        at(line, "this is no UTF-8 text; write: the file anew, in UTF-8")
    })?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (answers, configuration) = sections(&text, name)?;
    let mut given = Given { configuration: None, password: None, remarks: Vec::new() };
    let mut said = Answers::default();
    if let Some(answers) = &answers {
        (said, given.password) = self::answers(answers, name)?;
    }
    given.configuration = Some(match configuration {
        Some(_) if said != Answers::default() => {
            let what = format!(
                "answers besides the password, and a configuration as well; write: under \
                 {ANSWERS} the password alone, or leave {CONFIG} out"
            );
            return Err(at(line_of(&text, ANSWERS), &what));
        }
        Some(text) => {
            config::parse(&text, name).map_err(|findings| lines(&findings.errors))?;
            text
        }
        None => complete(said, name, line_of(&text, ANSWERS), machine)?,
    });
    if given.password.is_none() {
        given.remarks.push(format!(
            "{name} has no password: nobody can come in by the network until one is chosen at \
             the console"
        ));
    }
    Ok(given)
}

/// As [`read`], for a file that is a configuration and nothing else.
///
/// # Errors
/// As [`read`].
pub fn plain(bytes: &[u8], name: &str) -> Result<Given, String> {
    config::parse_bytes(bytes, name).map_err(|findings| lines(&findings.errors))?;
    let configuration = Some(String::from_utf8_lossy(bytes).into_owned());
    Ok(Given { configuration, password: None, remarks: Vec::new() })
}

/// The text under each mark, with the lines above it empty, so that lines keep their numbers.
fn sections(text: &str, name: &str) -> Result<(Option<String>, Option<String>), String> {
    let mut sections: [Option<String>; 2] = [None, None];
    let mut current = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(section) = [ANSWERS, CONFIG].iter().position(|mark| *mark == line.trim_end()) {
            if sections[section].is_some() {
                let what = format!("a second {}; write: one of them", line.trim_end());
                return Err(format!("{name}:{}: {what}", number + 1));
            }
            sections[section] = Some("\n".repeat(number + 1));
            current = Some(section);
        } else if let Some(section) = current.and_then(|section| sections[section].as_mut()) {
            section.push_str(line);
            section.push('\n');
        } else if !line.trim().is_empty() {
            return Err(format!("{name}:{}: {}", number + 1, unknown(line)));
        }
    }
    match sections {
        [None, None] => Err(format!("{name}:1: {}", unknown(""))),
        [answers, configuration] => Ok((answers, configuration)),
    }
}

fn unknown(line: &str) -> String {
    let what = match FOREIGN.iter().any(|mark| line.starts_with(mark)) {
        true => "this is for cloud-init, which this machine has none of",
        false => "it is not said what this is",
    };
    format!("{what}; write: {ANSWERS} or {CONFIG} as the first line")
}

/// Answers, and the password, which is no answer of those that are kept.
fn answers(text: &str, name: &str) -> Result<(Answers, Option<Password>), String> {
    let at = |place: usize, what: &str| {
        let line = text.get(..place).map_or(1, |before| before.matches('\n').count() + 1);
        format!("{name}:{line}: {what}")
    };
    let wrong = |e: toml::de::Error| {
        let place = e.span().map_or(0, |span| span.start);
        let what = e.message().lines().next().unwrap_or_default().to_owned();
        at(place, &format!("{what}; write: {}", example(text, place)))
    };
    let root = DeTable::parse(text).map_err(wrong)?;
    let mut rest = text.to_owned();
    let (mut password, mut hash) = (None, None);
    for (key, value) in root.get_ref() {
        let slot = match key.get_ref().as_ref() {
            "password" => &mut password,
            "password_hash" => &mut hash,
            _ => continue,
        };
        let DeValue::String(said) = value.get_ref() else {
            return Err(at(value.span().start, "no string; write: the password in quotes"));
        };
        *slot = Some((said.to_string(), value.span().start));
        blank(&mut rest, key.span().start..value.span().end);
    }
    let answers: Answers = toml::from_str(&rest).map_err(wrong)?;
    let password = match (password, hash) {
        (Some(_), Some((_, place))) => {
            return Err(at(place, "a password and a hash; write: one of them"));
        }
        (Some((plain, place)), None) => match refused(&plain) {
            Some(why) => return Err(at(place, &why)),
            None => Some(Password::Plain(Secret::new(plain))),
        },
        (None, Some((hash, place))) if !is_argon2id(&hash) => {
            let what = "no PHC string of Argon2id; write: \"$argon2id$v=19$m=19456,t=2,p=1$...\"";
            return Err(at(place, what));
        }
        (None, hash) => hash.map(|(hash, _)| Password::Hash(hash)),
    };
    Ok((answers, password))
}

fn is_argon2id(hash: &str) -> bool {
    use argon2::password_hash::phc::PasswordHash;
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|it| {
        it.algorithm.as_str() == "argon2id" && it.hash.is_some() && it.salt.is_some()
    })
}

/// Makes a key and its value spaces: what is left has the same places.
fn blank(text: &mut String, range: Range<usize>) {
    if let Some(part) = text.get(range.clone()) {
        let spaces: String = part.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
        text.replace_range(range, &spaces);
    }
}

/// How the key in the line of `place` is written.
fn example(text: &str, place: usize) -> &'static str {
    const EXAMPLES: [(&str, &str); 14] = [
        ("ha", "ha = false"),
        ("arms", "arms = 2"),
        ("port", "port = \"0000:00:02.0\""),
        ("address", "address = \"10.0.0.21\", and prefix = 24"),
        ("prefix", "prefix = 24"),
        ("internal_port", "internal_port = \"0000:00:03.0\""),
        ("internal_address", "internal_address = \"192.168.2.21\", and internal_prefix = 24"),
        ("internal_prefix", "internal_prefix = 24"),
        ("gateway", "gateway = \"10.0.0.1\" or \"none\""),
        ("name_server", "name_server = \"10.0.0.1\" or \"none\""),
        ("mode", "mode = \"l4-nat\""),
        ("vip", "vip = \"10.0.0.100\""),
        ("ports", "ports = \"80,443\""),
        ("real_server", "real_server = \"192.168.2.50\""),
    ];
    let begin = text.get(..place).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    let found = EXAMPLES.iter().find(|(name, _)| *name == key);
    found.map_or("key = \"value\", a line each; docs/install has all keys", |(_, text)| text)
}

/// The configuration that answers amount to, all of which must be there.
fn complete(
    mut answers: Answers,
    name: &str,
    line: usize,
    machine: &Machine,
) -> Result<String, String> {
    use crate::answers::Maybe;
    answers.ha = answers.ha.or(Some(false));
    answers.arms = answers.arms.or(Some(1));
    answers.gateway = answers.gateway.or(Some(Maybe::NONE));
    answers.name_server = answers.name_server.or(Some(Maybe::NONE));
    answers.fill(machine);
    if !matches!(answers.arms, Some(1 | 2)) {
        return Err(format!("{name}:{line}: arms is neither 1 nor 2; write: arms = 1"));
    }
    let open = |it: &question::Question| {
        let asked = it.applies(&answers, machine);
        asked && !it.is_answered(&answers)
    };
    if let Some(open) = question::Question::ALL.into_iter().find(open) {
        let what = format!("nothing answers \"{}\"", open.text(machine).replace('\n', " "));
        return Err(format!("{name}:{line}: {what}; write: {}", example(open.key(), 0)));
    }
    match question::check(&answers, machine) {
        Ok(_) => Ok(text::configuration(&answers, machine)),
        Err((findings, _)) => {
            let told = |it: &config::Finding| {
                format!("{name}:{line}: {}: {}; write: {}\n", it.key, it.what, it.write)
            };
            Err(findings.errors.iter().map(told).collect::<String>().trim_end().to_owned())
        }
    }
}

fn lines(errors: &[config::Finding]) -> String {
    let line = |it: &config::Finding| {
        format!("{}:{}: {}: {}; write: {}", it.file, it.line, it.key, it.what, it.write)
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line_of(text: &str, mark: &str) -> usize {
    text.lines().position(|line| line.trim_end() == mark).map_or(1, |at| at + 1)
}
