//! PFX files as OpenSSL, and old Windows, make them.

use crate::files::{Folder, joined, shared, take};
use tls::{Note, Reason};

/// Exports NAME.key and NAME.crt with the chain.
fn export(folder: &Folder, name: &str, how: &str, password: &str) -> Vec<u8> {
    let from = shared().path().display().to_string();
    folder.write("chain", &String::from_utf8(joined(&["root.crt", "middle.crt"])).unwrap());
    folder.openssl(&format!(
        "pkcs12 -export -inkey {from}/{name}.key -in {from}/{name}.crt -certfile chain {how} \
         -passout pass:{password} -out out.pfx"
    ));
    folder.read("out.pfx")
}

const FORMS: [(&str, &str); 7] = [
    ("aes", ""),
    ("legacy", "-legacy"),
    ("rc2", "-legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-RC2-40 -macalg sha1"),
    ("3des", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1"),
    ("aes128", "-keypbe aes-128-cbc -certpbe aes-128-cbc -macalg sha512"),
    ("plain certificates", "-certpbe NONE"),
    ("no mac", "-nomac"),
];

#[test]
fn old_and_new_files_open_with_their_password_only() {
    let folder = Folder::new();
    for (form, how) in FORMS {
        for name in ["rsa", "ec"] {
            let file = export(&folder, name, how, "s3cret-\u{e4}");
            let imported =
                take(&file, Some("s3cret-\u{e4}")).unwrap_or_else(|e| panic!("{form} {name}: {e}"));
            let details = imported.certificate.details();
            assert_eq!((details.chain_length, details.names.len()), (2, 2), "{form}");
            let warnings = imported.notes.iter().filter(|note| note.is_warning());
            assert_eq!(warnings.count(), 0, "{form}: {:?}", imported.notes);
            assert!(matches!(imported.notes.last(), Some(Note::RootLeftOut { .. })));
            for wrong in [Some("s3cret"), Some("S3CRET-\u{e4}")] {
                assert_eq!(take(&file, wrong).unwrap_err().reason, Reason::WrongPassword, "{form}");
            }
            for none in [None, Some("")] {
                assert_eq!(
                    take(&file, none).unwrap_err().reason,
                    Reason::PasswordMissing,
                    "{form}"
                );
            }
        }
    }
}

#[test]
fn the_empty_password_is_one() {
    let folder = Folder::new();
    for (form, how) in FORMS {
        let file = export(&folder, "ec", how, "");
        for password in [None, Some("")] {
            take(&file, password).unwrap_or_else(|e| panic!("{form}: {e}"));
        }
        assert_eq!(take(&file, Some("x")).unwrap_err().reason, Reason::WrongPassword, "{form}");
    }
}

/// Without a MAC, one wrong password in 256 leaves padding that fits, and nonsense within.
#[test]
fn a_wrong_password_is_known_even_without_a_mac() {
    let folder = Folder::new();
    for how in ["-iter 1 -nomac", "-iter 1 -legacy -nomac"] {
        let file = export(&folder, "ec", how, "right");
        take(&file, Some("right")).unwrap();
        for wrong in 0..1500 {
            let error = take(&file, Some(&wrong.to_string())).unwrap_err();
            assert_eq!(error.reason, Reason::WrongPassword, "{how} {wrong}");
        }
    }
}

#[test]
fn what_is_damaged_too_large_or_too_costly_is_refused() {
    let folder = Folder::new();
    let file = export(&folder, "ec", "", "p");
    let refused = |bytes: &[u8]| take(bytes, Some("p")).unwrap_err();
    for length in (1..file.len()).step_by(97) {
        let error = refused(&file[..length]);
        assert!(matches!(error.reason, Reason::Unreadable(_)), "{length}: {error}");
    }
    let mut long = vec![0x30, 0x83, 2, 0, 8, 2, 1, 3, 0x30, 0x83, 2, 0, 0];
    long.resize(2 * 65_536 + 13, 0);
    let limit = 128 * 1024;
    assert_eq!(refused(&long).reason, Reason::TooLarge { bytes: limit + 13, limit });

    let costly = export(&folder, "ec", "-iter 1000001", "p");
    let error = refused(&costly);
    assert!(matches!(&error.reason, Reason::Encryption(why) if why.contains("rounds")), "{error}");

    let from = shared().path().display();
    folder.openssl(&format!("pkcs12 -export -nokeys -in {from}/ec.crt -passout pass:p -out c.pfx"));
    assert_eq!(refused(&folder.read("c.pfx")).reason, Reason::NoKey);
    folder.openssl(&format!(
        "pkcs12 -export -nocerts -inkey {from}/ec.key -passout pass:p -out k.pfx"
    ));
    assert_eq!(refused(&folder.read("k.pfx")).reason, Reason::NoCertificate);
}
