//! Certificates: kept under names, shown without their keys, and sent to the proxy.

use crate::applying::not_kept;
use crate::core::Core;
use crate::events::About;
use crate::node::unavailable;
use ::certificates::{Certificates, Content, Error, Held, Prepared};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lower::{Credentials, TrustedAuthorities};
use rest::Problem;
use rest::types::*;
use rustls::pki_types::UnixTime;
use std::collections::BTreeSet;
use std::path::Path;
use tls::request::{NewKey, Subject, WaitingKey};
use tls::ticket::{Seed, Tickets};
use tls::{File, Note};
use zeroize::Zeroizing;

/// Days that a certificate which signs itself is valid, unless asked otherwise.
const DAYS: u32 = 365;

/// The file in the runtime folder that session tickets are sealed by.
pub const TICKETS: &str = "tickets";

/// A file that was uploaded.
type Uploaded = (String, Zeroizing<Vec<u8>>);

impl Core {
    /// Everything that there is under names.
    pub fn certificate_list(&self) -> CertificateList {
        let rows = self.certificates.iter().map(|(name, held)| self.certificate_row(name, held));
        CertificateList { certificates: rows.collect() }
    }

    /// One of them with its public texts.
    ///
    /// # Errors
    /// When there is nothing under that name.
    pub fn certificate_text(&self, name: &str) -> Result<CertificateText, Problem> {
        let held = self.held(name)?;
        Ok(CertificateText {
            about: self.certificate_row(name, held),
            chain: held.content.as_ref().map(Content::chain_pem),
            request: held.waiting.as_ref().map(|waiting| waiting.request_pem().to_owned()),
        })
    }

    /// Keeps what was prepared, and brings it to the proxy. Open connections go on.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub async fn keep_certificate(
        &mut self,
        who: &str,
        name: &str,
        prepared: &Prepared,
    ) -> Result<CertificateKept, Problem> {
        let is_new = self.certificates.get(name).is_none_or(|held| held.content.is_none());
        self.certificates.put(name, prepared).map_err(refused)?;
        let what = if is_new { "imported" } else { "replaced" };
        self.tell_of_certificates(format!("{who} {what} the certificate {name}"));
        self.certificates_changed().await;
        let note =
            |note: &Note| CertificateNote { warning: note.is_warning(), text: note.to_string() };
        let about = self.certificate_row(name, self.held(name)?);
        Ok(CertificateKept { about, notes: prepared.notes().iter().map(note).collect() })
    }

    /// Keeps a key that waits for its certificate.
    ///
    /// # Errors
    /// As [`Core::keep_certificate`].
    pub fn keep_request(
        &mut self,
        who: &str,
        name: &str,
        key: WaitingKey,
    ) -> Result<RequestMade, Problem> {
        let request = key.request_pem().to_owned();
        self.certificates.wait(name, key).map_err(refused)?;
        self.tell_of_certificates(format!("{who} requested a certificate {name}"));
        Ok(RequestMade { name: name.to_owned(), request })
    }

    /// Removes what there is under a name.
    ///
    /// # Errors
    /// When there is nothing, a service speaks of it, or the disk does not do it.
    pub async fn remove_certificate(&mut self, who: &str, name: &str) -> Result<Nothing, Problem> {
        self.held(name)?;
        let users = self.users_of(name);
        if !users.is_empty() {
            let what = format!("{name} is in use by {}", users.join(", "));
            let remedy = "take it out of the configuration first, or import another in its place";
            return Err(Problem::conflict(what, remedy));
        }
        self.certificates.remove(name).map_err(refused)?;
        self.tell_of_certificates(format!("{who} removed the certificate {name}"));
        self.certificates_changed().await;
        Ok(Nothing {})
    }

    /// What a configuration is held against.
    pub fn known_certificates(&self) -> config::Known {
        let now = UnixTime::now();
        let known = |(name, held): (&str, &Held)| {
            let what = match &held.content {
                None => config::What::Waiting,
                Some(Content::Authorities(_)) => config::What::Authorities,
                Some(Content::Certificate { certificate, .. }) => {
                    let details = certificate.details();
                    config::What::Certificate(config::KnownCertificate {
                        has_names: !details.names.is_empty(),
                        warnings: details.validity(now).iter().map(Note::to_string).collect(),
                    })
                }
            };
            (name.to_owned(), what)
        };
        self.certificates.iter().map(known).collect()
    }

    fn held(&self, name: &str) -> Result<&Held, Problem> {
        self.certificates.get(name).ok_or_else(|| refused(Error::Unknown(name.to_owned())))
    }

    fn certificate_row(&self, name: &str, held: &Held) -> CertificateRow {
        let now = UnixTime::now();
        let (mut certificate, mut authorities, mut warnings) = (None, None, Vec::new());
        match &held.content {
            None => {}
            Some(Content::Authorities(those)) => {
                authorities = Some(AuthoritiesDetails {
                    names: those.authorities.names().to_vec(),
                    revocation_lists: those.revoked.as_ref().map_or(0, |r| r.details().len()),
                });
            }
            Some(Content::Certificate { certificate: held, .. }) => {
                warnings.extend(held.details().validity(now).iter().map(Note::to_string));
                certificate = Some(details(held.details(), now));
            }
        }
        CertificateRow {
            name: name.to_owned(),
            certificate,
            authorities,
            request_waits: held.waiting.is_some(),
            used_by: self.users_of(name),
            warnings,
        }
    }

    /// Services that speak of it.
    fn users_of(&self, name: &str) -> Vec<String> {
        let services = self.config.services.iter();
        let users = services.filter(|service| service.credentials().any(|it| it == name));
        users.map(|service| service.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn tell_of_certificates(&mut self, text: String) {
        self.events.note("certificate", About::default(), text);
    }
}

/// Everything as the proxy is sent it.
pub fn credentials(held: &Certificates, ticket_seed: Option<l7_api::Secret>) -> Credentials {
    let mut credentials = Credentials { ticket_seed, ..Credentials::default() };
    for (name, held) in held.iter() {
        let owned = name.to_owned();
        match &held.content {
            None => {}
            Some(Content::Authorities(those)) => {
                let pem = those.pem.as_bytes().to_vec();
                let those = TrustedAuthorities { pem, has_lists: those.revoked.is_some() };
                credentials.authorities.insert(owned, those);
            }
            Some(Content::Certificate { pem, .. }) => {
                let pem = l7_api::Secret(pem.as_bytes().to_vec());
                let certificate = l7_api::Certificate { id: held.number, name: owned.clone(), pem };
                credentials.certificates.insert(owned, certificate);
            }
        }
    }
    credentials
}

/// What session tickets are sealed with. It is in the runtime folder until control is asked to
/// stop: a session outlives a proxy or a control that dies, and what somebody recorded cannot be
/// opened once the machine was started anew.
pub fn ticket_seed(runtime_dir: &Path) -> Option<l7_api::Secret> {
    let (mut kept, finding) = store::Kept::<Vec<u8>>::open(&runtime_dir.join(TICKETS));
    if let Some(finding) = finding {
        log::warn!("sessions of TLS clients cannot be resumed: {finding}");
    }
    let clock = std::sync::Arc::new(rustls::time_provider::DefaultTimeProvider);
    let seed = Seed::from_bytes(kept.value()).or_else(|| Seed::random(UnixTime::now()))?;
    let bytes = Tickets::new(seed, clock).seed()?.to_bytes().to_vec();
    if *kept.value() != bytes
        && let Err(e) = kept.set(bytes.clone())
    {
        log::warn!("sessions of TLS clients will not outlive this process: {e}");
    }
    Some(l7_api::Secret(bytes))
}

/// Takes a certificate, or authorities, out of an upload. Opening a PFX file takes a while, and
/// nobody else waits for it.
///
/// # Errors
/// Which file is at fault, and of what.
pub async fn prepared(
    upload: CertificateUpload,
    waiting: Option<std::sync::Arc<WaitingKey>>,
) -> Result<Prepared, Problem> {
    let files = upload.files.into_iter().map(uploaded).collect::<Result<Vec<_>, _>>()?;
    let password = upload.password.map(Zeroizing::new);
    let prepare = move || {
        let files: Vec<File<'_>> = files.iter().map(|(name, bytes)| File { name, bytes }).collect();
        match upload.authorities {
            true => Prepared::authorities(&files),
            false => {
                let password = password.as_ref().map(|password| password.as_str());
                Prepared::certificate(&files, password, waiting.as_deref(), UnixTime::now())
            }
        }
    };
    off_the_loop(prepare).await?.map_err(refused)
}

/// A new key with a certificate that signs itself.
///
/// # Errors
/// When it cannot say what is asked of it.
pub async fn self_signed(new: NewSelfSigned) -> Result<Prepared, Problem> {
    let NewSelfSigned { names, subject, key, days } = new;
    let make = move || {
        let days = days.unwrap_or(DAYS);
        Prepared::self_signed(&asking(subject), &names, kind(key), days, UnixTime::now())
    };
    off_the_loop(make).await?.map_err(refused)
}

/// A new key with a request for its certificate.
///
/// # Errors
/// As [`self_signed`].
pub async fn requested(new: NewRequest) -> Result<WaitingKey, Problem> {
    let NewRequest { names, subject, key } = new;
    let make = move || WaitingKey::make(&asking(subject), &names, kind(key));
    off_the_loop(make).await?.map_err(|e| refused(e.into()))
}

async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| unavailable(e.into()))
}

fn uploaded(file: UploadedFile) -> Result<Uploaded, Problem> {
    let UploadedFile { name, text, base64 } = file;
    match (text, base64.map(Zeroizing::new)) {
        (Some(text), None) => Ok((name, Zeroizing::new(text.into_bytes()))),
        (None, Some(text)) => match BASE64.decode(text.trim()) {
            Ok(bytes) => Ok((name, Zeroizing::new(bytes))),
            Err(_) => Err(Problem::malformed("a file's base64 is not Base64 (RFC 4648)")),
        },
        _ => Err(Problem::malformed("a file has not one of text and base64")),
    }
}

fn details(details: &tls::Details, now: UnixTime) -> CertificateDetails {
    CertificateDetails {
        names: details.names.clone(),
        addresses: details.addresses.clone(),
        subject: details.subject.clone(),
        issuer: details.issuer.clone(),
        serial: details.serial.clone(),
        not_before: details.not_before,
        not_after: details.not_after,
        days_left: details.days_left(now),
        key: details.key.to_string(),
        fingerprint: details.fingerprint.to_string(),
        chain_length: details.chain_length,
        self_signed: details.self_signed,
    }
}

fn asking(subject: CertificateSubject) -> Subject {
    let CertificateSubject { common_name, organization, unit, locality, state, country } = subject;
    Subject { common_name, organization, unit, locality, state, country }
}

const fn kind(key: NewKeyType) -> NewKey {
    match key {
        NewKeyType::EcdsaP256 => NewKey::P256,
        NewKeyType::Rsa2048 => NewKey::Rsa2048,
        NewKeyType::Rsa3072 => NewKey::Rsa3072,
        NewKeyType::Rsa4096 => NewKey::Rsa4096,
    }
}

/// An error of the certificates, whose text says what to do.
fn refused(e: Error) -> Problem {
    let status = match e {
        Error::Disk(e) => return not_kept(e),
        Error::Refused(_) | Error::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Unknown(_) => StatusCode::NOT_FOUND,
        Error::OtherKind { .. } | Error::TooMany => StatusCode::CONFLICT,
    };
    let text = e.to_string();
    let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see the description"));
    Problem::new(status, what, remedy)
}
