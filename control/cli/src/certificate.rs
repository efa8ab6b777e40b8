//! `fulcrum certificate`: its arguments, and the files that it reads.

use crate::ask::{self, NewCertificate, Options, Question, UploadedFile};
use crate::{file, password};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What can be done with certificates.
#[derive(Subcommand)]
pub enum Command {
    /// Certificates, authorities and waiting requests.
    List(Options),
    /// One certificate: what is in it, and its chain or its waiting request.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        options: Options,
    },
    /// Takes a certificate with its key from PEM, DER or PFX files, and replaces what is there
    /// under the name. Open connections go on.
    Import {
        /// By which the configuration speaks of it.
        name: String,
        /// Key, certificate and chain: all in one file or in several, in any order.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The first line of this file opens the PFX file or the encrypted key. Without it the
        /// password is asked for, or read from standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// They are authorities: they sign the certificates of clients or of real servers.
        #[arg(long, conflicts_with = "password_file")]
        authorities: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Makes a key, which stays on the balancer, and prints a request for an authority to sign.
    /// Import the answer under the same name.
    Csr {
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        options: Options,
    },
    /// Makes a key and a certificate that signs itself.
    SelfSigned {
        #[command(flatten)]
        new: New,
        /// How long it is valid.
        #[arg(long, default_value_t = 365, value_name = "DAYS",
            value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        #[command(flatten)]
        options: Options,
    },
    /// Removes what is there under a name, the key included. Refused while a service uses it.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        options: Options,
    },
}

/// A certificate to come.
#[derive(Args)]
pub struct New {
    /// By which the configuration will speak of it.
    name: String,
    /// What it is for: host names, wildcards as *.example.com, addresses.
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// The key's type.
    #[arg(long, default_value = "ecdsa-p256",
        value_parser = ["ecdsa-p256", "rsa-2048", "rsa-3072", "rsa-4096"])]
    key: String,
    /// Organization.
    #[arg(long, default_value = "", hide_default_value = true)]
    organization: String,
    /// Organizational unit.
    #[arg(long, default_value = "", hide_default_value = true)]
    unit: String,
    /// Town.
    #[arg(long, default_value = "", hide_default_value = true)]
    locality: String,
    /// State or province.
    #[arg(long, default_value = "", hide_default_value = true)]
    state: String,
    /// Two letters, ISO 3166.
    #[arg(long, default_value = "", hide_default_value = true)]
    country: String,
}

/// Does it.
pub fn run(command: Command) -> ExitCode {
    match command {
        Command::List(options) => ask::ask(&Question::Certificates, &options),
        Command::Show { name, options } => ask::ask(&Question::Certificate { name }, &options),
        Command::Import { name, files, password_file, authorities, options } => {
            match upload(name, &files, password_file.as_deref(), authorities) {
                Ok(question) => ask::ask(&question, &options),
                Err(what) => {
                    eprintln!("fulcrum: {what}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Csr { new, options } => {
            ask::ask(&Question::RequestCertificate(new.into()), &options)
        }
        Command::SelfSigned { new, days, options } => {
            ask::ask(&Question::SignCertificate { new: new.into(), days }, &options)
        }
        Command::Remove { name, options } => {
            ask::ask(&Question::RemoveCertificate { name }, &options)
        }
    }
}

fn upload(
    name: String,
    paths: &[PathBuf],
    password_file: Option<&Path>,
    authorities: bool,
) -> Result<Question, String> {
    let (mut files, mut is_sealed) = (Vec::new(), false);
    for path in paths {
        let bytes = file::bytes(path)?;
        is_sealed |= needs_password(&bytes);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(UploadedFile { name, base64: BASE64.encode(&bytes) });
    }
    let password = match password_file {
        Some(path) => Some(file::text(path)?.lines().next().unwrap_or_default().to_owned()),
        None if is_sealed && !authorities => Some(
            password::known("Password of the file: ").map_err(|e| format!("no password: {e}"))?,
        ),
        None => None,
    };
    Ok(Question::ImportCertificate { name, files, password, authorities })
}

/// Whether it is a PFX file (RFC 7292: a sequence that begins with version 3) or has an encrypted
/// key.
fn needs_password(bytes: &[u8]) -> bool {
    const SEALED: &[u8] = b"ENCRYPTED PRIVATE KEY";
    let content = match bytes {
        [0x30, 0x82, _, _, rest @ ..] | [0x30, 0x83, _, _, _, rest @ ..] => rest,
        [0x30, 0x81, _, rest @ ..] | [0x30, _, rest @ ..] => rest,
        _ => return bytes.windows(SEALED.len()).any(|window| window == SEALED),
    };
    content.starts_with(&[2, 1, 3])
}

impl From<New> for NewCertificate {
    fn from(new: New) -> Self {
        let New { name, hosts, key, organization, unit, locality, state, country } = new;
        let subject = [organization, unit, locality, state, country];
        Self { name, hosts, key, subject }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_asked_for_what_is_sealed() {
        assert!(needs_password(&[0x30, 0x82, 9, 9, 2, 1, 3, 0x30]), "PFX");
        assert!(needs_password(&[0x30, 0x83, 1, 9, 9, 2, 1, 3, 0x30]), "a long PFX");
        assert!(needs_password(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert!(!needs_password(b"-----BEGIN CERTIFICATE-----\n"));
        assert!(!needs_password(&[0x30, 0x82, 9, 9, 0x30, 0x82]), "a certificate");
        assert!(!needs_password(&[0x30, 0x82, 9, 9, 2, 1, 0, 0x30]), "a key");
        assert!(!needs_password(&[]) && !needs_password(&[0x30]));
    }
}
