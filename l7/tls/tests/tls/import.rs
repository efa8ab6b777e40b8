//! PEM and DER in all their forms.

use crate::files::{Folder, P256, at, joined, server, shared, take};
use rustls::pki_types::UnixTime;
use tls::{File, Fingerprint, KeyKind, Note, Reason, import};

#[test]
fn order_does_not_matter_and_a_wrong_one_is_noted() {
    let parts = ["ec.key", "ec.crt", "middle.crt", "root.crt"];
    let mut orders = 0;
    permute(&mut parts.to_vec(), 0, &mut |order| {
        orders += 1;
        let imported = take(&joined(order), None).unwrap();
        let chain = &imported.certificate.certified().cert;
        assert_eq!(chain.len(), 2, "{order:?}");
        assert_eq!(imported.certificate.details().chain_length, 2);
        assert_eq!(imported.certificate.details().names[0], "www.example.com");
        let certificates: Vec<_> = order.iter().filter(|name| **name != "ec.key").collect();
        let right = certificates == [&"ec.crt", &"middle.crt", &"root.crt"];
        assert_eq!(!imported.notes.contains(&Note::ChainReordered), right, "{order:?}");
        let root = Note::RootLeftOut { subject: "CN=root,O=Fulcrum".to_owned() };
        assert!(imported.notes.contains(&root), "{:?}", imported.notes);
    });
    assert_eq!(orders, 24);
}

fn permute<'a>(parts: &mut Vec<&'a str>, from: usize, each: &mut impl FnMut(&[&'a str])) {
    if from == parts.len() {
        return each(parts);
    }
    for at in from..parts.len() {
        parts.swap(from, at);
        permute(parts, from + 1, each);
        parts.swap(from, at);
    }
}

#[test]
fn every_encoding_of_a_key_is_read() {
    let folder = Folder::new();
    let leaf = server("DNS:a.example");
    for (name, key, kind) in [
        ("p256", P256, KeyKind::P256),
        ("p384", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", KeyKind::P384),
        ("p521", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", KeyKind::P521),
        ("ed", "genpkey -algorithm ed25519", KeyKind::Ed25519),
        ("sec1", "ecparam -name prime256v1 -genkey", KeyKind::P256),
        ("pkcs1", "genrsa -traditional", KeyKind::Rsa(2048)),
    ] {
        folder.certify(name, key, None, &leaf);
        let both = [folder.read(&format!("{name}.key")), folder.read(&format!("{name}.crt"))];
        let imported = take(&both.concat(), None).unwrap();
        assert_eq!(imported.certificate.details().key, kind, "{name}");
        assert!(imported.notes.is_empty(), "{name}: {:?}", imported.notes);
        // And as DER, in two files.
        folder.openssl(&format!("x509 -in {name}.crt -outform DER -out {name}.crt.der"));
        let tool = if kind == KeyKind::Ed25519 { "pkey" } else { "pkcs8 -topk8 -nocrypt" };
        folder.openssl(&format!("{tool} -in {name}.key -outform DER -out {name}.key.der"));
        let (key, certificate) =
            (folder.read(&format!("{name}.key.der")), folder.read(&format!("{name}.crt.der")));
        let files = [
            File { name: "key.der", bytes: &key },
            File { name: "certificate.cer", bytes: &certificate },
        ];
        let der = import(&files, None, UnixTime::now()).unwrap();
        assert_eq!(der.certificate.certified().cert, imported.certificate.certified().cert);
    }
    for (name, tool) in [("sec1", "ec"), ("pkcs1", "rsa -traditional")] {
        folder.openssl(&format!("{tool} -in {name}.key -outform DER -out old.der"));
        let (key, certificate) = (folder.read("old.der"), folder.read(&format!("{name}.crt")));
        let files = [File { name: "k", bytes: &key }, File { name: "c", bytes: &certificate }];
        import(&files, None, UnixTime::now()).unwrap();
    }
}

#[test]
fn encrypted_keys_open_with_their_password_only() {
    let folder = Folder::new();
    let source = shared().path().join("rsa.key");
    let source = source.display();
    for (name, how) in [
        ("aes256", "-v2 aes-256-cbc"),
        ("aes128", "-v2 aes-128-cbc -v2prf hmacWithSHA1"),
        ("3des", "-v2 des3 -v2prf hmacWithSHA512"),
    ] {
        folder
            .openssl(&format!("pkcs8 -topk8 -in {source} {how} -passout pass:s3cret -out {name}"));
        let file = [folder.read(name), joined(&["rsa.crt", "middle.crt"])].concat();
        assert!(take(&file, Some("s3cret")).unwrap().notes.is_empty(), "{name}");
        assert_eq!(take(&file, Some("s3creT")).unwrap_err().reason, Reason::WrongPassword);
        assert_eq!(take(&file, Some("")).unwrap_err().reason, Reason::WrongPassword);
        assert_eq!(take(&file, None).unwrap_err().reason, Reason::PasswordMissing);
    }
    folder.openssl(&format!(
        "pkcs8 -topk8 -in {source} -outform DER -passout pass:s3cret -out sealed.der"
    ));
    let (key, certificate) = (folder.read("sealed.der"), joined(&["rsa.crt"]));
    let files = [File { name: "k", bytes: &key }, File { name: "c", bytes: &certificate }];
    import(&files, Some("s3cret"), UnixTime::now()).unwrap();
    for (how, says) in [
        ("pkcs8 -topk8 -scrypt", "scrypt"),
        ("pkcs8 -topk8 -iter 1000001", "rounds"),
        ("rsa -traditional -aes256", "AES-256-CBC"),
    ] {
        folder.openssl(&format!("{how} -in {source} -passout pass:s3cret -out refused"));
        let error = take(&folder.read("refused"), Some("s3cret")).unwrap_err();
        assert!(matches!(&error.reason, Reason::Encryption(why) if why.contains(says)), "{error}");
    }
}

#[test]
fn every_refusal_names_file_fault_and_remedy() {
    let folder = Folder::new();
    folder.openssl("genrsa -out weak.key 1024");
    folder.openssl("genpkey -genparam -algorithm DSA -out dsa.parameters");
    folder.openssl("genpkey -paramfile dsa.parameters -out dsa.key");
    folder.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out koblitz.key");
    let damaged = String::from_utf8(joined(&["ec.crt"])).unwrap().replacen("MII", "MIJ", 1);
    let unfinished = joined(&["ec.key", "ec.crt"]);
    let unfinished = unfinished[..unfinished.len() - 40].to_vec();
    let two = joined(&["ec.key", "ec.crt", "rsa.key", "rsa.crt"]);
    let many = joined(&["ec.crt"]).repeat(400);
    for (bytes, says) in [
        (Vec::new(), "it is empty"),
        (b" \n".to_vec(), "it is empty"),
        (b"hello".to_vec(), "no PEM block"),
        (b"\x30\x82\x01".to_vec(), "damaged DER"),
        (b"\x30\x80\x02\x01\x03".to_vec(), "indefinite length"),
        (vec![b'a'; 300_000], "262144 are allowed"),
        (many, "262144 are allowed"),
        (joined(&["ec.crt"]), "no private key"),
        (joined(&["ec.key"]), "no certificate"),
        (joined(&["ec.key", "rsa.crt"]), "does not belong to the certificate of CN=rsa,O=Fulcrum"),
        (two, "2 keys, each with a certificate"),
        (damaged.into_bytes(), "certificate 1 cannot be read"),
        (unfinished, "2 blocks of PEM begin and 1 are whole"),
        (folder.read("weak.key"), "too weak (RSA 1024 bits)"),
        (folder.read("dsa.key"), "(DSA)"),
        (folder.read("koblitz.key"), "curve 1.3.132.0.10"),
    ] {
        let error = take(&bytes, None).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("file.pem: ") && text.contains(says), "{says}: {text}");
        assert!(text.ends_with(error.reason.remedy()), "{text}");
    }
}

/// The parser's own words quote what it did not understand.
#[test]
fn a_refusal_never_quotes_the_file() {
    let whole = String::from_utf8(joined(&["ec.key", "ec.crt"])).unwrap();
    let secret = whole.lines().nth(1).unwrap();
    for (from, to, says) in
        [("\n", "\n\u{7}*", "base64"), ("END PRIVATE", "END PRIVAT\u{1b}", "END line")]
    {
        let broken = whole.replacen(from, to, 1);
        let text = take(broken.as_bytes(), None).unwrap_err().to_string();
        assert!(text.contains(says), "{says}: {text}");
        assert!(!text.contains(char::is_control) && !text.contains(&secret[..8]), "{text}");
    }
}

#[test]
fn bounds_hold() {
    let folder = Folder::new();
    let subject = tls::request::Subject::default();
    let now = UnixTime::now();
    let mut all = Vec::new();
    for i in 0..33 {
        let names = [format!("h{i}.example")];
        let one = tls::request::self_signed(&subject, &names, tls::request::NewKey::P256, 9, now)
            .unwrap();
        all.extend(one.certificate.chain_pem().into_bytes());
    }
    let error = take(&all, None).unwrap_err();
    assert!(matches!(error.reason, Reason::TooMany { limit: 32, .. }), "{error}");
    let mut keys = Vec::new();
    for i in 0..9 {
        folder.openssl(&format!("{P256} -out {i}.key"));
        keys.extend(folder.read(&format!("{i}.key")));
    }
    let error = take(&keys, None).unwrap_err();
    assert!(matches!(error.reason, Reason::TooMany { limit: 8, .. }), "{error}");
}

#[test]
fn details_are_those_that_openssl_prints() {
    let imported = take(&joined(&["rsa.key", "rsa.crt", "middle.crt"]), None).unwrap();
    let details = imported.certificate.details();
    let says = |what: &str| {
        let text = shared().openssl(&format!("x509 -in rsa.crt -noout -nameopt RFC2253 {what}"));
        text.trim().split_once('=').unwrap().1.to_owned()
    };
    assert_eq!(details.subject, says("-subject"));
    assert_eq!(details.issuer, says("-issuer"));
    assert_eq!(details.serial, says("-serial").to_lowercase());
    assert_eq!(Some(details.fingerprint), Fingerprint::parse(&says("-fingerprint -sha256")));
    assert_eq!(details.names, ["www.example.com", "*.example.com"]);
    assert_eq!(details.addresses, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(details.common_name.as_deref(), Some("rsa"));
    assert_eq!(
        (details.key, details.chain_length, details.self_signed),
        (KeyKind::Rsa(2048), 2, false)
    );
    assert_eq!(details.not_after - details.not_before, 365 * 86_400);
    let other = take(&joined(&["other.key", "other.crt"]), None).unwrap();
    assert!(other.certificate.details().self_signed);
}

#[test]
fn validity_is_a_note_and_never_a_refusal() {
    let bytes = joined(&["ec.key", "ec.crt", "middle.crt"]);
    let file = [File { name: "f", bytes: &bytes }];
    let details = take(&bytes, None).unwrap().certificate.details().clone();
    let notes = |seconds| import(&file, None, at(seconds)).unwrap().notes;
    assert_eq!(notes(details.not_before - 1), [Note::NotYetValid { days: 1 }]);
    assert_eq!(notes(details.not_before), []);
    assert_eq!(notes(details.not_after - 30 * 86_400), []);
    assert_eq!(notes(details.not_after - 30 * 86_400 + 1), [Note::ExpiresSoon { days: 29 }]);
    assert_eq!(notes(details.not_after), [Note::ExpiresSoon { days: 0 }]);
    assert_eq!(notes(details.not_after + 1), [Note::Expired { days: 1 }]);
}

#[test]
fn what_else_is_noted() {
    let folder = Folder::new();
    let of = |name: &str, extensions: &str| {
        folder.certify(name, P256, None, extensions);
        let file = [folder.read(&format!("{name}.key")), folder.read(&format!("{name}.crt"))];
        take(&file.concat(), None).unwrap().notes
    };
    assert_eq!(of("www.old.example", "basicConstraints=CA:FALSE\n"), [Note::CommonNameOnly]);
    assert_eq!(of("my_server()", "basicConstraints=CA:FALSE\n"), [Note::NoNames]);
    let client = "subjectAltName=DNS:a.example\nextendedKeyUsage=clientAuth\n";
    assert_eq!(of("client", client), [Note::NotForServers]);

    let alone = take(&joined(&["ec.key", "ec.crt"]), None).unwrap().notes;
    let issuer = "CN=middle,O=Fulcrum".to_owned();
    assert_eq!(alone, [Note::IssuerNotIncluded { issuer }]);
    let strangers = joined(&["other.crt", "ec.key", "rsa.key", "ec.crt", "middle.crt"]);
    let subject = "CN=other,O=Fulcrum".to_owned();
    let expected = [Note::ChainReordered, Note::LeftOut { subject }, Note::KeyLeftOut];
    assert_eq!(take(&strangers, None).unwrap().notes, expected);
    for note in expected {
        assert!(!note.is_warning() && !note.to_string().is_empty());
    }
}

#[test]
fn windows_editors_and_bag_attributes_do_no_harm() {
    let text = String::from_utf8(joined(&["ec.key", "ec.crt", "middle.crt"])).unwrap();
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    take(&[&[0xff, 0xfe], &*units].concat(), None).unwrap();
    take(&[b"\xef\xbb\xbf", text.replace('\n', "\r\n").as_bytes()].concat(), None).unwrap();
    let noted = format!("Bag Attributes\n    friendlyName: B\u{fc}ro\nsubject=CN = x\n{text}");
    take(noted.as_bytes(), None).unwrap();
    let latin1: Vec<u8> = [b"friendlyName: B\xfcro\n", text.as_bytes()].concat();
    take(&latin1, None).unwrap();
}

#[test]
fn a_key_is_kept_whole_and_never_shown() {
    for names in [["rsa.key", "rsa.crt", "middle.crt"], ["ec.key", "ec.crt", "middle.crt"]] {
        let imported = take(&joined(&names), None).unwrap();
        let pem = imported.certificate.to_pem();
        let again = take(pem.as_bytes(), None).unwrap();
        assert_eq!(again.certificate.details(), imported.certificate.details());
        assert!(again.notes.is_empty(), "{:?}", again.notes);
        let key: String = pem.lines().skip(1).take_while(|l| !l.starts_with('-')).collect();
        let shown = format!("{imported:?} {:?}", imported.certificate.certified());
        assert!(
            key.len() > 100
                && key
                    .as_bytes()
                    .chunks(20)
                    .all(|part| { !shown.contains(std::str::from_utf8(part).unwrap()) })
        );
        let der = pem::parse(pem.as_bytes()).unwrap();
        let listed = format!("{:?}", &der.contents()[30..40]);
        assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
    }
}
