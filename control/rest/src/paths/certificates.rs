//! Certificates.

use super::{Answer, Behind, body};
use crate::problem::{Body, Problem};
use crate::role::Caller;
use crate::types::*;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Most files of one upload.
const MOST_FILES: usize = 16;

pub(super) fn all() -> OpenApiRouter<Behind> {
    OpenApiRouter::new()
        .routes(routes!(certificates))
        .routes(routes!(certificate, import, remove))
        .routes(routes!(request))
        .routes(routes!(self_signed))
}

/// All certificates, authorities and waiting requests; never a private key.
#[utoipa::path(get, path = "/api/v1/certificates", tag = "certificates",
    responses((status = 200, body = CertificateList), (status = "default", body = Body)))]
async fn certificates(State(behind): State<Behind>) -> Answer<CertificateList> {
    behind.certificates().await.map(Json)
}

/// One certificate with its chain and its waiting request; never the private key.
#[utoipa::path(get, path = "/api/v1/certificates/{certificate}", tag = "certificates",
    params(("certificate" = String, Path, description = "The certificate's name")),
    responses((status = 200, body = CertificateText), (status = "default", body = Body)))]
async fn certificate(
    State(behind): State<Behind>,
    certificate: Result<Path<String>, PathRejection>,
) -> Answer<CertificateText> {
    behind.certificate(&name(certificate)?).await.map(Json)
}

/// Imports a certificate with its key, or authorities, from PEM, DER or PFX. What is there under
/// that name is replaced, for new connections at once; those that are open go on.
#[utoipa::path(put, path = "/api/v1/certificates/{certificate}", tag = "certificates",
    request_body = CertificateUpload,
    params(("certificate" = String, Path, description = "The certificate's name: 1 to 64 letters, digits and `_ - .`")),
    responses((status = 200, body = CertificateKept), (status = "default", body = Body)))]
async fn import(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    certificate: Result<Path<String>, PathRejection>,
    upload: Result<Json<CertificateUpload>, JsonRejection>,
) -> Answer<CertificateKept> {
    let (name, upload) = (name(certificate)?, body(upload)?);
    if !(1..=MOST_FILES).contains(&upload.files.len()) {
        return Err(Problem::malformed("there are not between 1 and 16 files"));
    }
    behind.import_certificate(&caller.name, &name, upload).await.map(Json)
}

/// Removes what is there under a name, the private key and a waiting request included. Refused while
/// a service speaks of it.
#[utoipa::path(delete, path = "/api/v1/certificates/{certificate}", tag = "certificates",
    params(("certificate" = String, Path, description = "The certificate's name")),
    responses((status = 200, body = Nothing), (status = "default", body = Body)))]
async fn remove(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    certificate: Result<Path<String>, PathRejection>,
) -> Answer<Nothing> {
    behind.remove_certificate(&caller.name, &name(certificate)?).await.map(Json)
}

/// Makes a key, which stays here, and a request for an authority to sign. Its answer is imported
/// under the same name; until then, what is there serves on.
#[utoipa::path(post, path = "/api/v1/certificates/{certificate}/request", tag = "certificates",
    request_body = NewRequest,
    params(("certificate" = String, Path, description = "The certificate's name")),
    responses((status = 200, body = RequestMade), (status = "default", body = Body)))]
async fn request(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    certificate: Result<Path<String>, PathRejection>,
    request: Result<Json<NewRequest>, JsonRejection>,
) -> Answer<RequestMade> {
    let (name, request) = (name(certificate)?, body(request)?);
    behind.request_certificate(&caller.name, &name, request).await.map(Json)
}

/// Makes a key and a certificate that signs itself. What is there under that name is replaced.
#[utoipa::path(post, path = "/api/v1/certificates/{certificate}/self-signed", tag = "certificates",
    request_body = NewSelfSigned,
    params(("certificate" = String, Path, description = "The certificate's name")),
    responses((status = 200, body = CertificateKept), (status = "default", body = Body)))]
async fn self_signed(
    State(behind): State<Behind>,
    Extension(caller): Extension<Caller>,
    certificate: Result<Path<String>, PathRejection>,
    new: Result<Json<NewSelfSigned>, JsonRejection>,
) -> Answer<CertificateKept> {
    let (name, new) = (name(certificate)?, body(new)?);
    behind.sign_certificate(&caller.name, &name, new).await.map(Json)
}

fn name(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(name)| name).map_err(|e| Problem::malformed(e.body_text()))
}
