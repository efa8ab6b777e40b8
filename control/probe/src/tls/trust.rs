//! Whose certificates are believed.

use crate::target::Tls;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// How old trusted certificates may be: those of the system are many, and read for no single probe.
const FRESH: Duration = Duration::from_secs(60);

/// By file; the system's have none.
type Known = HashMap<Option<PathBuf>, (Instant, Arc<ClientConfig>)>;

static UNVERIFIED: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = provider();
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let anyone = Arc::new(Anyone { schemes });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(anyone);
    finish(builder.with_no_client_auth())
});
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// How to shake hands. An error says which certificates could not be read.
pub async fn config(tls: &Tls) -> Result<Arc<ClientConfig>, String> {
    if !tls.verify {
        return Ok(UNVERIFIED.clone());
    }
    // Locked while they are read: whoever else wants them would read the same.
    let mut known = KNOWN.lock().await;
    known.retain(|_, (read, _)| read.elapsed() < FRESH);
    if let Some((_, config)) = known.get(&tls.ca) {
        return Ok(config.clone());
    }
    let ca = tls.ca.clone();
    let roots = spawn_blocking(move || ca.as_deref().map_or_else(system, file)).await;
    let roots = roots.map_err(|e| e.to_string())??;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots);
    let config = finish(builder.with_no_client_auth());
    known.insert(tls.ca.clone(), (Instant::now(), config.clone()));
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Without resumption: a resumed session shows no certificate, whose end would go unnoticed.
fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // One that cannot be read takes nothing from the others.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "the system trusts no certificate authority; install them or name a file".into()
        );
    }
    Ok(roots)
}

fn file(path: &Path) -> Result<RootCertStore, String> {
    let unreadable = |e: &dyn std::fmt::Display| format!("cannot read {}: {e}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(&e))? {
        let certificate = certificate.map_err(|e| unreadable(&e))?;
        roots.add(certificate).map_err(|e| unreadable(&e))?;
    }
    if roots.is_empty() {
        return Err(format!("{} contains no PEM certificate", path.display()));
    }
    Ok(roots)
}

/// Believes anyone: the certificate is not even read, because old devices have unreadable ones.
#[derive(Debug)]
struct Anyone {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
