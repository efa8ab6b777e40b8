//! Whatever bytes come as a certificate, a key, a PFX or a revocation list: an answer, no panic,
//! and one that names the file. `FULCRUM_FUZZ_SECONDS` lengthens the targets; under
//! `cargo bolero` they are guided.

use rustls::pki_types::UnixTime;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tls::request::{NewKey, Subject, self_signed};
use tls::trust::{Authorities, RevocationLists};
use tls::{File, import};

/// How long each target runs: `FULCRUM_FUZZ_SECONDS`, else a moment.
fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

fn judge(bytes: &[u8]) {
    let file = [File { name: "f", bytes }];
    for password in [None, Some("p")] {
        match import(&file, password, now()) {
            Ok(imported) => {
                let details = imported.certificate.details();
                assert!((1..=10).contains(&details.chain_length));
                let again = imported.certificate.to_pem();
                let again = import(&[File { name: "f", bytes: again.as_bytes() }], None, now());
                assert_eq!(again.unwrap().certificate.details(), details);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("f: ") && !text.contains(char::is_control), "{text}");
            }
        }
    }
    let _ = Authorities::read(&file);
    let _ = RevocationLists::read(&file);
}

/// A PEM, and PFX files in the old and the new encryption, with few rounds so that many are tried.
fn good() -> &'static [Vec<u8>] {
    static GOOD: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let names = ["a.example".to_owned()];
        let made = self_signed(&Subject::default(), &names, NewKey::P256, 90, now()).unwrap();
        let pem = made.certificate.to_pem();
        let path = std::env::temp_dir().join(format!("tls-fuzz-{}.pem", std::process::id()));
        std::fs::write(&path, &*pem).unwrap();
        let mut files = vec![pem.as_bytes().to_vec()];
        for how in [
            "",
            "-legacy",
            "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
            "-nomac",
            "-keypbe NONE -certpbe NONE -nomac",
        ] {
            let out = Command::new("openssl")
                .args("pkcs12 -export -passout pass:p -iter 1 -in".split_whitespace())
                .arg(&path)
                .args(how.split_whitespace())
                .output()
                .unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            files.push(out.stdout);
        }
        std::fs::remove_file(path).unwrap();
        files
    })
}

#[test]
fn fuzz_any_bytes_get_an_answer() {
    bolero::check!()
        .with_test_time(time())
        .with_max_len(4096)
        .for_each(|bytes: &[u8]| judge(bytes));
}

#[test]
fn fuzz_damaged_files_get_an_answer() {
    bolero::check!().with_test_time(time()).with_type::<(u8, Vec<(u8, u16, u8)>)>().for_each(
        |(which, damages)| {
            let mut bytes = good()[usize::from(*which) % good().len()].clone();
            for damage in damages.iter().take(8) {
                inflict(&mut bytes, *damage);
            }
            judge(&bytes);
        },
    );
}

fn inflict(bytes: &mut Vec<u8>, (kind, place, argument): (u8, u16, u8)) {
    let at = usize::from(place) % (bytes.len() + 1);
    let end = (at + usize::from(argument)).min(bytes.len());
    match kind % 6 {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.insert(at, argument),
        3 => bytes.extend(bytes[at..end].to_vec()),
        4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = argument),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (argument % 8)),
    }
}
