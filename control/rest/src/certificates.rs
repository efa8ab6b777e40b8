//! Certificates as the API shows and takes them. No private key ever leaves.

use crate::whole;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::ToSchema;

/// Certificates and authorities of the appliance.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateList {
    /// By name.
    pub certificates: Vec<CertificateRow>,
}

/// What there is under one name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateRow {
    /// By which the configuration speaks of it.
    pub name: String,
    /// The certificate, where there is one.
    pub certificate: Option<CertificateDetails>,
    /// Authorities, where they are what is there.
    pub authorities: Option<AuthoritiesDetails>,
    /// Whether a key waits for its certificate.
    pub request_waits: bool,
    /// Services that speak of it.
    pub used_by: Vec<String>,
    /// What clients will notice of it now: the end of its validity is near, or past.
    pub warnings: Vec<String>,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateDetails {
    /// Host names it is for, wildcards as `*.example.com`.
    pub names: Vec<String>,
    /// Addresses it is for.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The subject, RFC 4514.
    pub subject: String,
    /// The issuer, RFC 4514.
    pub issuer: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Begin of its validity, seconds since 1970-01-01 UTC.
    pub not_before: i64,
    /// End of its validity, seconds since 1970-01-01 UTC.
    pub not_after: i64,
    /// Days until then, negative when it is past.
    pub days_left: i64,
    /// The key's type, for example `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// Certificates that clients are sent, this one included.
    pub chain_length: usize,
    /// Whether it signs itself.
    pub self_signed: bool,
}

/// Authorities that sign the certificates of others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthoritiesDetails {
    /// Their names, RFC 4514.
    pub names: Vec<String>,
    /// Revocation lists that came with them.
    pub revocation_lists: usize,
}

/// One name with its public texts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateText {
    /// What there is.
    pub about: CertificateRow,
    /// Certificate and chain, or authorities, PEM. `null` while there is only a request.
    pub chain: Option<String>,
    /// The request that waits for an authority's answer, PEM.
    pub request: Option<String>,
}

/// Files to take a certificate, or authorities, from.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateUpload {
    /// Key, certificate and chain in one file or in several, in any order: PEM, DER or PFX. Without
    /// a key among them, the one of the request that waits under this name is taken.
    #[schema(min_items = 1, max_items = 16)]
    pub files: Vec<UploadedFile>,
    /// What opens a PFX file or an encrypted key.
    #[schema(max_length = 1024)]
    pub password: Option<String>,
    /// Whether they are authorities (certificates and revocation lists, PEM) and no certificate of
    /// ours.
    #[serde(default)]
    pub authorities: bool,
}

/// A file, as text or in Base64.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadedFile {
    /// Its name, for messages.
    #[schema(max_length = 255)]
    pub name: String,
    /// Its text. Either this or `base64`.
    pub text: Option<String>,
    /// Its bytes in Base64 (RFC 4648, section 4).
    pub base64: Option<String>,
}

/// Something was taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateKept {
    /// What there is now.
    pub about: CertificateRow,
    /// What was put right, and what should be known.
    pub notes: Vec<CertificateNote>,
}

/// Something that should be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateNote {
    /// Whether clients will notice.
    pub warning: bool,
    /// What it is.
    pub text: String,
}

/// A key to make, and a request for its certificate.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// Host names, wildcards as `*.example.com`, and addresses.
    #[schema(min_items = 1, max_items = 100)]
    pub names: Vec<String>,
    /// Who asks.
    #[serde(default)]
    pub subject: CertificateSubject,
    /// The key's type.
    #[serde(default)]
    pub key: NewKeyType,
}

/// A key to make, and a certificate that signs itself.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSelfSigned {
    /// Host names, wildcards as `*.example.com`, and addresses.
    #[schema(min_items = 1, max_items = 100)]
    pub names: Vec<String>,
    /// Whose it is.
    #[serde(default)]
    pub subject: CertificateSubject,
    /// The key's type.
    #[serde(default)]
    pub key: NewKeyType,
    /// Days that it is valid; 365 without it.
    #[serde(default, deserialize_with = "whole::read")]
    #[schema(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
}

/// Who asks for a certificate. Empty parts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateSubject {
    /// The first name, unless given.
    pub common_name: String,
    /// Organization.
    pub organization: String,
    /// Organizational unit.
    pub unit: String,
    /// Town.
    pub locality: String,
    /// State or province.
    pub state: String,
    /// Two letters, ISO 3166.
    pub country: String,
}

/// The type of a new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NewKeyType {
    /// ECDSA on P-256: the fastest, and every client of today takes it.
    #[default]
    EcdsaP256,
    /// RSA, 2048 bits: for clients that know RSA only.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// A request for an authority to sign.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestMade {
    /// The name that its answer is to be imported under.
    pub name: String,
    /// The request, PEM (RFC 2986).
    pub request: String,
}
