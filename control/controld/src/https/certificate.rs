//! The API's certificate: made at the first start, and the operator's to replace.

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Private key and certificates in one PEM file, so that they cannot be of two minds.
const FILE: &str = "api.pem";

/// Reads the file, or makes it: a key and a certificate that it signs itself, for `node`.
///
/// # Errors
/// When it cannot be read, written, or used.
pub fn load_or_make(state_dir: &Path, node: &str) -> Result<Arc<ServerConfig>> {
    let path = state_dir.join(FILE);
    let pem = match fs::read(&path) {
        Ok(pem) => pem,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let pem = made(node)?.into_bytes();
            keep(&path, &pem).with_context(|| format!("cannot write {}", path.display()))?;
            pem
        }
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    configured(&pem).with_context(|| {
        format!("{} cannot be used; correct it, or remove it for a new one", path.display())
    })
}

fn made(node: &str) -> Result<String> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new([node.to_owned(), "localhost".to_owned()])?;
    parameters.distinguished_name.push(DnType::CommonName, node);
    parameters.distinguished_name.push(DnType::OrganizationName, "Fulcrum");
    Ok(key.serialize_pem() + &parameters.self_signed(&key)?.pem())
}

/// For root alone; whole or not at all.
fn keep(path: &Path, pem: &[u8]) -> Result<()> {
    let aside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(pem)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    Ok(())
}

fn configured(pem: &[u8]) -> Result<Arc<ServerConfig>> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(pem)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_for_root_alone_and_a_spoilt_one_is_named() {
        let dir = std::env::temp_dir().join(format!("certificate-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        load_or_make(&dir, "lb1").unwrap();
        let path = dir.join(FILE);
        let first = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        load_or_make(&dir, "lb1").unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        fs::write(&path, "nothing of the kind").unwrap();
        let error = load_or_make(&dir, "lb1").unwrap_err().to_string();
        assert!(error.contains("api.pem cannot be used"), "{error}");
        fs::remove_dir_all(dir).unwrap();
    }
}
