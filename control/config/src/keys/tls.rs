//! `tls` of a service, `reencrypt` of a service or a real server.

use super::{Key, Kind, Object, text};

/// Most certificates of one service.
const MAX_CERTIFICATES: usize = 256;

/// `service.tls`
pub static TLS: Object = Object {
    name: "tls",
    heading: "`tls` of a service",
    help: "TLS with clients ends here, in layer 7. Certificates and authorities are named; `fulcrum certificate` imports them.",
    keys: &[
        Key::required("tls.certificates", NAMES, "[\"portal\"]")
            .help("Which certificates may be shown, each for the names in it, the first for all others."),
        Key::optional("tls.ports", Kind::Text(&text::PORTS), "all ports of the service")
            .example("\"443\"")
            .help("Those of the service's ports whose clients speak TLS; at the others they do not."),
        Key::with_default("tls.mode", Kind::Word(MODES), "\"high\"")
            .help("Versions, cipher suites and groups."),
        Key::optional("tls.versions", SOME_VERSIONS, "all of them")
            .example("[\"1.3\"]")
            .only("mode", CUSTOM)
            .help("Versions of TLS."),
        Key::optional("tls.suites", SOME_SUITES, "all of them")
            .example("[\"TLS_AES_256_GCM_SHA384\", \"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\"]")
            .only("mode", CUSTOM)
            .help("Cipher suites of all versions, in the order of preference."),
        Key::optional("tls.groups", SOME_GROUPS, "all of them")
            .example("[\"x25519\", \"secp256r1\"]")
            .only("mode", CUSTOM)
            .help("Groups for the exchange of keys, in the order of preference."),
        Key::with_default("tls.own_order", Kind::Boolean, "false")
            .only("mode", CUSTOM)
            .help("Whether the order of suites here counts, and not the client's."),
        Key::with_default("tls.require_extended_master_secret", Kind::Boolean, "true")
            .only("mode", CUSTOM)
            .help("Whether clients with TLS 1.2 that lack RFC 7627 are refused."),
        Key::with_default("tls.strict_names", Kind::Boolean, "false")
            .help("Whether a client that asks for a name of no certificate, or for none, is refused."),
        Key::optional("tls.alpn", PROTOCOLS, "what the mode speaks: in `l7-http` `h2`, unless `http2_streams` is 0, and `http/1.1`; in `l7-tcp` none")
            .example("[\"http/1.1\"]")
            .help("Application protocols (ALPN) in the order of preference."),
        Key::with_default("tls.client_certificates", Kind::Word(CLIENTS), "\"none\"")
            .help("Whether clients must show a certificate."),
        Key::optional("tls.client_authorities", Kind::Text(&text::NAME), "none")
            .example("\"staff\"")
            .only("client_certificates", &["optional", "required"])
            .help("The authorities that sign clients' certificates, by the name they were imported under."),
    ],
    example: "\
tls = { certificates = [\"portal\"], client_certificates = \"required\", client_authorities = \"staff\" }
",
};

/// `service.reencrypt` and `real_server.reencrypt`, where it is a table
pub static REENCRYPT: Object = Object {
    name: "reencrypt",
    heading: "`reencrypt` of a service or a real server",
    help: "TLS with real servers, in layer 7. In place of the table, `true` says that every key has its default, and `false` that TLS is not spoken; a real server's own table takes the place of the service's as a whole.",
    keys: &[
        Key::with_default("reencrypt.verify", Kind::Word(VERIFY), "\"none\"")
            .help("Which certificates of a real server are good."),
        Key::optional("reencrypt.authorities", Kind::Text(&text::NAME), "none")
            .example("\"internal\"")
            .only("verify", &["authorities", "authorities-any-name"])
            .help("The authorities, by the name they were imported under."),
        Key::optional("reencrypt.fingerprints", FINGERPRINTS, "none")
            .example("[\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]")
            .only("verify", &["fingerprints"])
            .help("SHA-256 of the certificates."),
        Key::with_default("reencrypt.name", ASKED, "\"none\"")
            .example("\"portal.example.com\"")
            .help("The name that a real server is asked for (SNI), and its certificate checked against; a word, or a host name."),
        Key::optional("reencrypt.certificate", Kind::Text(&text::NAME), "none")
            .example("\"balancer\"")
            .help("The certificate that is shown to a real server which asks for one."),
        Key::with_default("reencrypt.mode", Kind::Word(PLAIN_MODES), "\"high\"")
            .help("Versions, cipher suites and groups."),
    ],
    example: "\
reencrypt = { verify = \"authorities\", authorities = \"internal\", name = \"portal.example.com\" }
",
};

/// Versions of TLS.
pub(crate) const VERSIONS: &[(&str, &str)] = &[("1.2", "RFC 5246"), ("1.3", "RFC 8446")];

/// Cipher suites by IANA's names.
pub(crate) const SUITES: &[(&str, &str)] = &[
    ("TLS_AES_256_GCM_SHA384", "TLS 1.3"),
    ("TLS_AES_128_GCM_SHA256", "TLS 1.3"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS 1.3"),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS 1.2, for ECDSA keys"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS 1.2, for ECDSA keys"),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS 1.2, for ECDSA keys"),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS 1.2, for RSA keys"),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS 1.2, for RSA keys"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS 1.2, for RSA keys"),
];

/// Groups by IANA's names.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("X25519MLKEM768", "hybrid with ML-KEM, TLS 1.3"),
    ("x25519", "RFC 7748"),
    ("secp256r1", "NIST P-256"),
    ("secp384r1", "NIST P-384"),
    ("SecP256r1MLKEM768", "hybrid with ML-KEM, TLS 1.3"),
];

const NAMES: Kind = Kind::List { of: &Kind::Text(&text::NAME), least: 1, most: MAX_CERTIFICATES };
const PROTOCOLS: Kind = Kind::List { of: &Kind::Text(&text::PROTOCOL_ID), least: 0, most: 16 };
const FINGERPRINTS: Kind = Kind::List { of: &Kind::Text(&text::FINGERPRINT), least: 1, most: 64 };
const ASKED: Kind = Kind::Either(&[Kind::Word(ASKED_WORDS), Kind::Text(&text::HOST_NAME)]);
const SOME_VERSIONS: Kind = Kind::List { of: &Kind::Word(VERSIONS), least: 0, most: 2 };
const SOME_SUITES: Kind = Kind::List { of: &Kind::Word(SUITES), least: 0, most: 16 };
const SOME_GROUPS: Kind = Kind::List { of: &Kind::Word(GROUPS), least: 0, most: 16 };
const CUSTOM: &[&str] = &["custom"];

const MODES: &[(&str, &str)] = &[
    ("high", "TLS 1.2 and 1.3, forward secrecy and authenticated encryption alone"),
    ("compatible", "the same, and clients without RFC 7627 as well"),
    ("custom", "as `versions`, `suites` and `groups` say"),
];
const PLAIN_MODES: &[(&str, &str)] = &[
    ("high", "TLS 1.2 and 1.3, forward secrecy and authenticated encryption alone"),
    ("compatible", "the same, and servers without RFC 7627 as well"),
];
const CLIENTS: &[(&str, &str)] = &[
    ("none", "they are not asked"),
    ("optional", "they may have none; one that is shown must be good"),
    ("required", "they are refused without"),
];
const VERIFY: &[(&str, &str)] = &[
    ("none", "any: whoever answers at the address is believed"),
    ("system", "those of authorities that the operating system trusts, for the name"),
    ("authorities", "those of `authorities`, for the name"),
    ("authorities-any-name", "those of `authorities`, for whatever name"),
    ("fingerprints", "those of `fingerprints`"),
];
const ASKED_WORDS: &[(&str, &str)] = &[
    ("none", "none: the certificate is checked against the real server's address"),
    ("from-client", "the one that the client asked for"),
];
