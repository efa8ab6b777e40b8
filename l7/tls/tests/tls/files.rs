//! Files made by the `openssl` command: an authority, an intermediate, and leaves of all kinds.

use rustls::pki_types::UnixTime;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tls::{File, Imported, Refusal};

/// A folder that goes with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs `openssl` in the folder; words are separated by spaces.
    pub fn openssl(&self, words: &str) -> String {
        let out = Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(&self.0)
            .output()
            .expect("openssl is installed");
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "openssl {words}: {error}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    /// A key and its certificate, NAME.key and NAME.crt, signed by `issuer` (or by itself).
    pub fn certify(&self, name: &str, key: &str, issuer: Option<&str>, extensions: &str) {
        self.openssl(&format!("{key} -out {name}.key"));
        self.write(&format!("{name}.ext"), extensions);
        self.openssl(&format!(
            "req -new -key {name}.key -subj /O=Fulcrum/CN={name} -out {name}.csr"
        ));
        let signer = issuer.map_or(format!("-signkey {name}.key"), |issuer| {
            format!("-CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial")
        });
        self.openssl(&format!(
            "x509 -req -in {name}.csr {signer} -days 365 -sha256 -extfile {name}.ext -out {name}.crt"
        ));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.0.starts_with(std::env::temp_dir()) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub const RSA: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";
pub const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";

const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";

pub fn server(names: &str) -> String {
    format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
}

/// root → middle → {rsa, ec}, and what the tests share; made once.
pub fn shared() -> &'static Folder {
    static SHARED: OnceLock<Folder> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = Folder::new();
        folder.certify("root", P256, None, AUTHORITY);
        folder.certify("middle", P256, Some("root"), AUTHORITY);
        let names = server("DNS:www.Example.com,DNS:*.example.com,IP:192.0.2.7");
        folder.certify("rsa", RSA, Some("middle"), &names);
        folder.certify("ec", P256, Some("middle"), &names);
        folder.certify("other", P256, None, &server("DNS:other.example"));
        let client = "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n";
        folder.certify("client", P256, Some("root"), client);
        folder
    })
}

/// Files of the shared folder, one after the other in one PEM.
pub fn joined(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| shared().read(name)).collect()
}

/// Imports one file named `file.pem`.
pub fn take(bytes: &[u8], password: Option<&str>) -> Result<Imported, Refusal> {
    tls::import(&[File { name: "file.pem", bytes }], password, UnixTime::now())
}

pub fn at(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap()))
}

/// A certificate for `names`, made in memory.
pub fn made(names: &[&str], kind: tls::request::NewKey) -> tls::Certificate {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let subject = tls::request::Subject::default();
    tls::request::self_signed(&subject, &names, kind, 90, UnixTime::now()).unwrap().certificate
}
