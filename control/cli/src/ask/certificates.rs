//! Certificates.

use super::Question;
use super::client::{Client, Failure};
use super::path::encoded;
use super::table::Table;
use config::{Known, KnownCertificate, What};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// A file to upload.
pub struct UploadedFile {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes.
    pub base64: String,
}

/// A key to make.
pub struct NewCertificate {
    /// The name that it will have.
    pub name: String,
    /// What it is for.
    pub hosts: Vec<String>,
    /// The key's type.
    pub key: String,
    /// Organization, unit, locality, state, country.
    pub subject: [String; 5],
}

/// Asks what [`Question::put`] leaves to this.
pub fn put(question: &Question, client: &Client) -> Result<Value, Failure> {
    let path = |name: &str, of: &str| format!("/api/v1/certificates/{}{of}", encoded(name));
    match question {
        Question::Certificate { name } => client.call(&Method::GET, &path(name, "")),
        Question::RemoveCertificate { name } => client.call(&Method::DELETE, &path(name, "")),
        Question::ImportCertificate { name, files, password, authorities } => {
            let file = |file: &UploadedFile| json!({"name": file.name, "base64": file.base64});
            let files: Vec<_> = files.iter().map(file).collect();
            let body = json!({"files": files, "password": password, "authorities": authorities});
            client.send(&Method::PUT, &path(name, ""), Some(&body))
        }
        Question::RequestCertificate(new) => {
            client.send(&Method::POST, &path(&new.name, "/request"), Some(&new.body()))
        }
        Question::SignCertificate { new, days } => {
            let mut body = new.body();
            body["days"] = json!(days);
            client.send(&Method::POST, &path(&new.name, "/self-signed"), Some(&body))
        }
        _ => client.call(&Method::GET, "/api/v1/certificates"),
    }
}

impl NewCertificate {
    fn body(&self) -> Value {
        let [organization, unit, locality, state, country] = &self.subject;
        let subject = json!({"organization": organization, "unit": unit, "locality": locality,
            "state": state, "country": country});
        json!({"names": self.hosts, "key": self.key, "subject": subject})
    }
}

/// `GET /api/v1/certificates`
#[derive(Deserialize)]
pub struct List {
    certificates: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    certificate: Option<Certificate>,
    authorities: Option<Authorities>,
    request_waits: bool,
    used_by: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Certificate {
    names: Vec<String>,
    addresses: Vec<String>,
    subject: String,
    issuer: String,
    serial: String,
    not_before: i64,
    not_after: i64,
    days_left: i64,
    key: String,
    fingerprint: String,
    chain_length: usize,
}

#[derive(Deserialize)]
struct Authorities {
    names: Vec<String>,
    revocation_lists: usize,
}

/// `GET /api/v1/certificates/NAME`
#[derive(Deserialize)]
pub struct Text {
    about: Row,
    chain: Option<String>,
    request: Option<String>,
}

/// What an import or a new certificate is answered with.
#[derive(Deserialize)]
pub struct Kept {
    about: Row,
    notes: Vec<Note>,
}

#[derive(Deserialize)]
struct Note {
    warning: bool,
    text: String,
}

/// `POST /api/v1/certificates/NAME/request`
#[derive(Deserialize)]
pub struct Made {
    request: String,
}

/// One line for each, and one for each warning.
pub fn list(answer: &List) -> String {
    if answer.certificates.is_empty() {
        return "There is no certificate: `fulcrum certificate import NAME FILE` takes one.\n"
            .into();
    }
    let mut table = Table::new(&["NAME", "FOR", "KEY", "ENDS", ">DAYS", "USED BY"]);
    let mut warnings = String::new();
    for row in &answer.certificates {
        let used = if row.used_by.is_empty() { "-".into() } else { row.used_by.join(", ") };
        let [hosts, key, ends, days] = row.columns();
        table.row([&*row.name, &hosts, &key, &ends, &days, &used]);
        for warning in &row.warnings {
            let _ = writeln!(warnings, "warning: {}: {}", row.name, super::table::clean(warning));
        }
    }
    table.render(0) + &warnings
}

/// What a configuration is held against.
pub fn known(answer: List) -> Known {
    let what = |row: Row| {
        let what = match (row.certificate, row.authorities) {
            (Some(own), _) => What::Certificate(KnownCertificate {
                has_names: !own.names.is_empty(),
                warnings: row.warnings,
            }),
            (None, Some(_)) => What::Authorities,
            (None, None) => What::Waiting,
        };
        (row.name, what)
    };
    answer.certificates.into_iter().map(what).collect()
}

impl Row {
    fn columns(&self) -> [String; 4] {
        let none = || "-".to_owned();
        match (&self.certificate, &self.authorities) {
            (Some(own), _) => {
                [own.hosts(), own.key.clone(), date(own.not_after), own.days_left.to_string()]
            }
            (None, Some(those)) => {
                [format!("({} authorities)", those.names.len()), none(), none(), none()]
            }
            (None, None) => ["(a request waits)".into(), none(), none(), none()],
        }
    }

    fn describe(&self) -> String {
        let mut table = Table::new(&["NAME", &self.name]);
        if let Some(own) = &self.certificate {
            table.row(["for", &own.hosts()]);
            table.row(["subject", &own.subject]);
            table.row(["issuer", &own.issuer]);
            table.row(["serial", &own.serial]);
            table.row(["begins", &date(own.not_before)]);
            table.row(["ends", &format!("{} ({} days)", date(own.not_after), own.days_left)]);
            table.row(["key", &own.key]);
            table.row(["sha256", &own.fingerprint]);
            table.row(["chain", &format!("{} sent to clients", own.chain_length)]);
        }
        if let Some(those) = &self.authorities {
            those.names.iter().for_each(|name| table.row(["authority", name]));
            table.row(["revoked", &format!("{} lists", those.revocation_lists)]);
        }
        if self.request_waits {
            table.row(["request", "waits for its certificate"]);
        }
        self.used_by.iter().for_each(|service| table.row(["used by", service]));
        self.warnings.iter().for_each(|warning| table.row(["warning", warning]));
        table.render(0)
    }
}

impl Certificate {
    fn hosts(&self) -> String {
        let all: Vec<_> = self.names.iter().chain(&self.addresses).map(String::as_str).collect();
        if all.is_empty() { "(no name)".into() } else { all.join(", ") }
    }
}

/// What there is to say, then the texts.
pub fn text(answer: &Text) -> String {
    let texts = [&answer.chain, &answer.request].into_iter().flatten();
    texts.fold(answer.about.describe(), |all, text| all + "\n" + text)
}

/// What was taken, and what should be known of it.
pub fn kept(answer: &Kept) -> String {
    let mut text = answer.about.describe();
    for note in &answer.notes {
        let kind = if note.warning { "warning" } else { "note" };
        let _ = writeln!(text, "{kind}: {}", super::table::clean(&note.text));
    }
    text
}

/// The request alone, so that it can go into a file.
pub fn made(answer: Made) -> String {
    answer.request
}

/// A day, UTC.
fn date(seconds: i64) -> String {
    match u64::try_from(seconds) {
        Ok(seconds) => super::events::when(seconds).chars().take(10).collect(),
        Err(_) => "before 1970".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Value {
        json!({"name": name, "certificate": null, "authorities": null, "request_waits": false,
            "used_by": [], "warnings": []})
    }

    #[test]
    fn all_kinds_are_listed() {
        let mut own = row("portal");
        own["certificate"] = json!({"names": ["a.example"], "addresses": ["192.0.2.7"],
            "subject": "CN=a", "issuer": "CN=b", "serial": "01", "not_before": 1_600_000_000,
            "not_after": 1_700_000_000, "days_left": -2, "key": "RSA 2048", "fingerprint": "00",
            "chain_length": 2, "self_signed": false});
        own["used_by"] = json!(["WEB", "S3"]);
        own["warnings"] = json!(["expired\u{1b}[2J"]);
        let mut staff = row("staff");
        staff["authorities"] = json!({"names": ["CN=x", "CN=y"], "revocation_lists": 1});
        let answer = json!({"certificates": [own, staff, row("new")]});
        let expected = "\
NAME    FOR                   KEY       ENDS        DAYS  USED BY
portal  a.example, 192.0.2.7  RSA 2048  2023-11-14    -2  WEB, S3
staff   (2 authorities)       -         -              -  -
new     (a request waits)     -         -              -  -
warning: portal: expired\u{fffd}[2J
";
        assert_eq!(list(&serde_json::from_value(answer).unwrap()), expected);
    }
}
