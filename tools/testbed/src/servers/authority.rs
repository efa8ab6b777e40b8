//! An authority of the test's own, and what it signs; all of it made by `openssl`.

use crate::lab::process::succeed;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Signs certificates, by an intermediate authority as those of the world do.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

/// A certificate that was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    folder: PathBuf,
    name: String,
}

impl Authority {
    /// A new one, whose files have names that begin with `name`.
    pub fn make(folder: &Path, name: &str) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let it = Self { folder };
        it.openssl(&format!(
            "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 400 \
             -subj /CN={name}-root -addext keyUsage=critical,keyCertSign,cRLSign \
             -keyout root.key -out root.pem"
        ))?;
        std::fs::write(
            it.folder.join("between.ext"),
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectKeyIdentifier=hash\n",
        )?;
        it.openssl(&format!(
            "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
             -subj /CN={name}-between -keyout between.key -out between.csr"
        ))?;
        it.openssl(
            "x509 -req -in between.csr -CA root.pem -CAkey root.key -CAcreateserial -days 390 \
             -extfile between.ext -out between.pem",
        )?;
        Ok(it)
    }

    /// A certificate for these names (`DNS:a.example,IP:192.0.2.7`), with a key of its own.
    pub fn sign(&self, name: &str, key: &str, alternative: &str) -> Result<Signed> {
        self.openssl(&format!("{key} -out {name}.key"))?;
        self.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"))?;
        self.sign_request(name, alternative)
    }

    /// Signs `NAME.csr` in the authority's folder.
    pub fn sign_request(&self, name: &str, alternative: &str) -> Result<Signed> {
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n\
             extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={alternative}\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        );
        std::fs::write(self.folder.join(format!("{name}.ext")), extensions)?;
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA between.pem -CAkey between.key -CAcreateserial -days 300 \
             -extfile {name}.ext -out {name}.pem"
        ))?;
        let signed = Signed { folder: self.folder.clone(), name: name.to_owned() };
        let leaf = std::fs::read_to_string(signed.certificate())?;
        let between = std::fs::read_to_string(self.folder.join("between.pem"))?;
        std::fs::write(signed.chain(), leaf + &between)?;
        Ok(signed)
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What those trust who trust it.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    fn openssl(&self, words: &str) -> Result<String> {
        openssl(&self.folder, words)
    }
}

/// Words for a new key.
pub const ECDSA: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
/// The same of RSA.
pub const RSA: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";

impl Signed {
    /// The private key.
    pub fn key(&self) -> PathBuf {
        self.file("key")
    }

    /// The certificate alone.
    pub fn certificate(&self) -> PathBuf {
        self.file("pem")
    }

    /// With the authority that has signed it.
    pub fn chain(&self) -> PathBuf {
        self.file("chain")
    }

    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fn fingerprint(&self) -> Result<String> {
        let said = openssl(
            &self.folder,
            &format!("x509 -in {}.pem -noout -fingerprint -sha256", self.name),
        )?;
        let digits = said.trim().rsplit('=').next().unwrap_or_default();
        Ok(digits.replace(':', "").to_ascii_lowercase())
    }

    /// Key and chain in a PFX file, the way of today or (`legacy`) of Windows Server 2008: RC2 with
    /// 40 bits and 3DES.
    pub fn pfx(&self, password: &str, legacy: bool) -> Result<PathBuf> {
        let path = self.file(if legacy { "old.pfx" } else { "pfx" });
        let how = if legacy { "-legacy" } else { "" };
        let (name, out) = (&self.name, path.display());
        openssl(
            &self.folder,
            &format!(
                "pkcs12 -export {how} -inkey {name}.key -in {name}.chain -passout pass:{password} -out {out}"
            ),
        )?;
        Ok(path)
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }
}

fn openssl(folder: &Path, words: &str) -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(words.split_whitespace()).current_dir(folder);
    succeed(command, LONG)
}
