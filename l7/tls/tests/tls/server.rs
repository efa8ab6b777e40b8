//! Services: which certificate is served, modes, protocols, sessions, client certificates.

use crate::files::{Folder, joined, made, shared, take};
use crate::pair::{Clock, Pair, client, connect, real_servers, service};
use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
use rustls::{AlertDescription, Error, ServerConfig};
use std::sync::Arc;
use tls::chooser::Table;
use tls::client::RealServers;
use tls::mode::{Custom, Mode, Version};
use tls::request::NewKey;
use tls::server::{Client, ClientPolicy, Clients, Service, Unusable};
use tls::ticket::{PERIOD_SECONDS, Seed, Tickets};
use tls::trust::{Authorities, RevocationLists};
use tls::{Certificate, Chooser, File};

fn chooser(certificate: &Certificate) -> Arc<Chooser> {
    Arc::new(Chooser::new(Table::new().with_default(certificate)))
}

fn config(service: &Service) -> Arc<ServerConfig> {
    let certificate = take(&joined(&["ec.key", "ec.crt", "middle.crt"]), None).unwrap().certificate;
    service.config(chooser(&certificate), None, Clock::new()).unwrap()
}

fn only(version: Version) -> Mode {
    Mode::Custom(Custom { versions: vec![version], ..Custom::default() })
}

fn suites(names: &[&str]) -> Custom {
    let suites = names.iter().map(|name| name.parse().unwrap()).collect();
    Custom { suites, ..Custom::default() }
}

#[test]
fn the_name_asked_for_decides_over_the_wire() {
    let one = made(&["one.example"], NewKey::P256);
    let wild = made(&["*.two.example"], NewKey::P256);
    let table = Table::new().with(&one).with(&wild);
    let strict = service().config(Arc::new(Chooser::new(table)), None, Clock::new()).unwrap();
    let from_client = client(&real_servers());
    for (name, expected) in [("one.example", &one), ("ONE.example", &one), ("x.two.example", &wild)]
    {
        let pair = connect(&from_client, &strict, name).unwrap();
        assert_eq!(pair.shown(), expected.details().fingerprint, "{name}");
    }
    for unknown in ["two.example", "x.y.two.example", "192.0.2.1"] {
        let error = connect(&from_client, &strict, unknown).err().unwrap();
        assert!(error.to_string().contains("no server certificate chain"), "{unknown}: {error}");
    }
}

#[test]
fn ecdsa_for_who_can_and_rsa_for_the_rest() {
    let name = ["a.example"];
    let (ecdsa, rsa) = (made(&name, NewKey::P256), made(&name, NewKey::Rsa2048));
    let both = Arc::new(Chooser::new(Table::new().with(&rsa).with(&ecdsa)));
    let server = service().config(both, None, Clock::new()).unwrap();
    for (suite, expected) in
        [("ECDHE-ECDSA-AES128-GCM-SHA256", &ecdsa), ("ECDHE-RSA-AES128-GCM-SHA256", &rsa)]
    {
        let custom = Custom { versions: vec![Version::Tls12], ..suites(&[suite]) };
        let settings = RealServers { mode: Mode::Custom(custom), ..real_servers() };
        let pair = connect(&client(&settings), &server, name[0]).unwrap();
        assert_eq!(pair.shown(), expected.details().fingerprint, "{suite}");
    }
    let pair = connect(&client(&real_servers()), &server, name[0]).unwrap();
    assert_eq!(pair.shown(), ecdsa.details().fingerprint);
}

#[test]
fn a_swap_breaks_no_handshake() {
    let certificates = [made(&["a.example"], NewKey::P256), made(&["a.example"], NewKey::P256)];
    let table = |which: usize| Table::new().with(&certificates[which]);
    let chooser = Arc::new(Chooser::new(table(0)));
    let server = service().config(Arc::clone(&chooser), None, Clock::new()).unwrap();
    let from = client(&real_servers());
    let mut shown = [0, 0];
    for i in 0..1000 {
        let mut pair = Pair::new(&from, &server, "a.example");
        // The server has read the hello and chosen; what it chose then is what it finishes with.
        let mut hello = Vec::new();
        pair.client.write_tls(&mut hello).unwrap();
        let chosen = i % 2;
        pair.server.read_tls(&mut &*hello).unwrap();
        pair.server.process_new_packets().unwrap();
        chooser.swap(table(1 - chosen));
        pair.complete().unwrap();
        assert_eq!(pair.shown(), certificates[chosen].details().fingerprint, "handshake {i}");
        shown[chosen] += 1;
    }
    assert_eq!(shown, [500, 500]);
}

#[test]
fn swaps_from_another_thread_break_no_handshake() {
    let certificates = [made(&["a.example"], NewKey::P256), made(&["a.example"], NewKey::P256)];
    let chooser = Arc::new(Chooser::new(Table::new().with(&certificates[0])));
    let server = service().config(Arc::clone(&chooser), None, Clock::new()).unwrap();
    let from = client(&real_servers());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in (0..2).cycle() {
                chooser.swap(Table::new().with(&certificates[i]));
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        let failures = (0..1000).filter(|_| connect(&from, &server, "a.example").is_err()).count();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(failures, 0);
    });
}

#[test]
fn modes_say_versions_suites_and_groups() {
    let high = config(&service());
    let compatible = config(&Service { mode: Mode::Compatible, ..service() });
    for server in [&high, &compatible] {
        for (version, spoken) in [(Version::Tls12, TLSv1_2), (Version::Tls13, TLSv1_3)] {
            let settings = RealServers { mode: only(version), ..real_servers() };
            let pair = connect(&client(&settings), server, "a.example").unwrap();
            assert_eq!(pair.server.protocol_version(), Some(spoken));
        }
    }
    assert!(high.require_ems && !compatible.require_ems);

    let only13 = config(&Service { mode: only(Version::Tls13), ..service() });
    let old = RealServers { mode: only(Version::Tls12), ..real_servers() };
    assert!(connect(&client(&old), &only13, "a.example").is_err());

    let both = ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];
    let mut custom = suites(&both);
    custom.versions = vec![Version::Tls13];
    custom.groups = vec!["P-384".parse().unwrap(), "x25519".parse().unwrap()];
    let theirs = suites(&[
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ]);
    let theirs = client(&RealServers { mode: Mode::Custom(theirs), ..real_servers() });
    for (own_order, expected) in [(false, both[1]), (true, both[0])] {
        custom.own_order = own_order;
        let server = config(&Service { mode: Mode::Custom(custom.clone()), ..service() });
        let pair = connect(&theirs, &server, "a.example").unwrap();
        let suite = pair.server.negotiated_cipher_suite().unwrap();
        let expected = expected.replace("TLS_", "TLS13_");
        assert_eq!(format!("{:?}", suite.suite()), expected);
        let group = pair.server.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::X25519);
    }
    let pair = connect(&client(&real_servers()), &high, "a.example").unwrap();
    let group = pair.server.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn settings_that_cannot_work_are_named() {
    let make = |service: Service| {
        let certificate = made(&["a.example"], NewKey::P256);
        service.config(chooser(&certificate), None, Clock::new()).unwrap_err()
    };
    let custom = Custom { versions: vec![Version::Tls12], ..suites(&["TLS_AES_128_GCM_SHA256"]) };
    let error = make(Service { mode: Mode::Custom(custom), ..service() });
    assert!(matches!(error, Unusable::Mode(_)), "{error}");
    for protocols in [vec![Vec::new()], vec![vec![b'a'; 256]], vec![b"h2".to_vec(); 17]] {
        assert!(matches!(make(Service { protocols, ..service() }), Unusable::Protocols(_)));
    }
    let error = make(Service { cached_sessions: 1_000_001, ..service() });
    assert_eq!(error, Unusable::Sessions(1_000_001));
    for (name, says) in [("TLSv1.0", "RFC 8996"), ("SSLv3", "none of that name")] {
        assert!(name.parse::<Version>().unwrap_err().to_string().contains(says));
    }
    assert_eq!("TLSv1.3".parse(), Ok(Version::Tls13));
    let error = "AES128-SHA".parse::<tls::mode::Suite>().unwrap_err().to_string();
    assert!(error.contains("ECDHE with AEAD") && error.contains("TLS_AES_128_GCM"), "{error}");
    assert!("ffdhe2048".parse::<tls::mode::Group>().is_err());
}

#[test]
fn protocols_are_agreed_by_our_preference_or_refused() {
    let names = |list: &[&str]| list.iter().map(|p| p.as_bytes().to_vec()).collect::<Vec<_>>();
    let server = config(&Service { protocols: names(&["h2", "http/1.1"]), ..service() });
    let offer = |list: &[&str]| {
        let settings = RealServers { protocols: names(list), ..real_servers() };
        connect(&client(&settings), &server, "a.example")
    };
    let agreed = |list| offer(list).unwrap().server.alpn_protocol().map(<[u8]>::to_vec);
    assert_eq!(agreed(&["http/1.1", "h2"]).as_deref(), Some(&b"h2"[..]));
    assert_eq!(agreed(&["http/1.1"]).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(&[]), None);
    assert_eq!(offer(&["imap"]).err(), Some(Error::NoApplicationProtocol));
}

/// A service with tickets from `seed`, and one that holds a certificate.
fn with_tickets(
    service: &Service,
    seed: &Seed,
    clock: &Arc<Clock>,
) -> (Arc<ServerConfig>, Arc<Tickets>) {
    let certificate = made(&["a.example"], NewKey::P256);
    let tickets = Tickets::new(seed.clone(), clock.clone());
    (service.config(chooser(&certificate), Some(&tickets), clock.clone()).unwrap(), tickets)
}

#[test]
fn a_session_outlives_the_process_but_not_its_period() {
    for version in [Version::Tls12, Version::Tls13] {
        let clock = Clock::new();
        let seed = Seed::random(clock.now()).unwrap();
        let (server, tickets) = with_tickets(&service(), &seed, &clock);
        let fresh = || {
            let mode = only(version);
            let settings = RealServers { mode, sessions: 8, ..real_servers() };
            let from = settings.config(clock.clone()).unwrap();
            assert!(!connect(&from, &server, "a.example").unwrap().resumed());
            from
        };
        let from = fresh();
        assert!(connect(&from, &server, "a.example").unwrap().resumed(), "{version:?}");

        // The process ends; its successor has what was kept on disk.
        let kept = tickets.seed().unwrap().to_bytes();
        let from = fresh();
        let (successor, _) = with_tickets(&service(), &Seed::from_bytes(&kept).unwrap(), &clock);
        assert!(connect(&from, &successor, "a.example").unwrap().resumed(), "{version:?}");
        // One without it starts anew, and no connection is lost.
        let from = fresh();
        let stranger = Seed::random(clock.now()).unwrap();
        let (stranger, _) = with_tickets(&service(), &stranger, &clock);
        assert!(!connect(&from, &stranger, "a.example").unwrap().resumed(), "{version:?}");

        // The next period takes it, the one after does not; a seed of long ago catches up.
        let from = fresh();
        clock.advance(PERIOD_SECONDS as i64);
        let (late, _) = with_tickets(&service(), &seed, &clock);
        assert!(connect(&from, &late, "a.example").unwrap().resumed(), "{version:?}");
        let from = fresh();
        clock.advance(2 * PERIOD_SECONDS as i64);
        assert!(!connect(&from, &server, "a.example").unwrap().resumed(), "{version:?}");
        assert!(connect(&from, &late, "a.example").unwrap().resumed(), "{version:?}");
    }
}

#[test]
fn ticket_keys_move_one_way_and_survive_a_clock_that_does_not() {
    let clock = Clock::new();
    let seed = Seed::random(clock.now()).unwrap();
    let tickets = Tickets::new(seed.clone(), clock.clone());
    assert_eq!(tickets.seed(), Some(seed.clone()));
    clock.advance(PERIOD_SECONDS as i64);
    let next = tickets.seed().unwrap();
    assert_ne!(next.to_bytes(), seed.to_bytes());
    clock.advance(-(PERIOD_SECONDS as i64));
    assert_eq!(tickets.seed(), Some(next.clone()), "one period back is a corrected clock");
    clock.advance(-(PERIOD_SECONDS as i64));
    let anew = tickets.seed().unwrap();
    assert_ne!(anew, seed, "what was left behind must not come back");
    // A century on: no long computation, and it goes on working.
    clock.advance(100 * 365 * 86_400);
    assert_ne!(tickets.seed().unwrap(), anew);
    assert!(format!("{seed:?}").starts_with("Seed { epoch: "));
    assert!(!format!("{seed:?}").contains("secret"));
    assert_eq!(Seed::from_bytes(&[0; 39]), None);
    assert_eq!(Seed::from_bytes(&[0; 41]), None);
}

#[test]
fn sessions_in_memory_are_bounded() {
    for version in [Version::Tls12, Version::Tls13] {
        let sessions = |cached_sessions| Service { cached_sessions, ..service() };
        let settings = RealServers { mode: only(version), sessions: 8, ..real_servers() };
        let kept = config(&sessions(64));
        let from = client(&settings);
        assert!(!connect(&from, &kept, "a.example").unwrap().resumed());
        assert!(connect(&from, &kept, "a.example").unwrap().resumed(), "{version:?}");
        let from = client(&settings);
        connect(&from, &kept, "a.example").unwrap();
        for _ in 0..200 {
            connect(&client(&settings), &kept, "a.example").unwrap();
        }
        assert!(!connect(&from, &kept, "a.example").unwrap().resumed(), "{version:?}: forgotten");
        let none = config(&sessions(0));
        let from = client(&settings);
        connect(&from, &none, "a.example").unwrap();
        assert!(!connect(&from, &none, "a.example").unwrap().resumed(), "{version:?}");
    }
}

fn policy(revoked: Option<RevocationLists>) -> ClientPolicy {
    let root = shared().read("root.crt");
    let authorities = Authorities::read(&[File { name: "root.crt", bytes: &root }]).unwrap();
    assert_eq!(authorities.names(), ["CN=root,O=Fulcrum"]);
    ClientPolicy { authorities, revoked }
}

fn with_identity(name: &str) -> RealServers {
    let file = joined(&[&format!("{name}.key"), &format!("{name}.crt")]);
    let identity = Some(take(&file, None).unwrap().certificate);
    RealServers { identity, sessions: 8, ..real_servers() }
}

#[test]
fn client_certificates_are_asked_for_checked_and_told() {
    let optional = config(&Service { clients: Clients::Optional(policy(None)), ..service() });
    let required = config(&Service { clients: Clients::Required(policy(None)), ..service() });
    let not_asked = config(&service());
    let good = client(&with_identity("client"));
    let stranger = client(&with_identity("other"));
    let nobody = client(&real_servers());
    let of = |pair: Pair| Client::of(pair.server.peer_certificates());

    for server in [&optional, &required] {
        let Client::Verified(identity) = of(connect(&good, server, "a.example").unwrap()) else {
            panic!("the client is not known");
        };
        assert_eq!(identity.subject, "CN=client,O=Fulcrum");
        assert_eq!(identity.issuer, "CN=root,O=Fulcrum");
        assert_eq!(identity.common_name.as_deref(), Some("client"));
        assert!(connect(&stranger, server, "a.example").is_err(), "signed by nobody known");
    }
    assert_eq!(of(connect(&nobody, &optional, "a.example").unwrap()), Client::Anonymous);
    let error = connect(&nobody, &required, "a.example").err();
    assert_eq!(error, Some(Error::NoCertificatesPresented));
    assert_eq!(of(connect(&good, &not_asked, "a.example").unwrap()), Client::Anonymous);
    assert_eq!(Client::Anonymous.to_string(), "-");
}

#[test]
fn a_session_without_certificate_opens_no_service_that_demands_one() {
    let clock = Clock::new();
    let seed = Seed::random(clock.now()).unwrap();
    let certificate = made(&["a.example"], NewKey::P256);
    let chooser = chooser(&certificate);
    let tickets = Tickets::new(seed, clock.clone());
    let make = |name: &str, clients| {
        let service = Service { name: name.to_owned(), clients, ..service() };
        service.config(Arc::clone(&chooser), Some(&tickets), clock.clone()).unwrap()
    };
    let open = make("web", Clients::NotAsked);
    let required = make("web", Clients::Required(policy(None)));
    let optional = make("web", Clients::Optional(policy(None)));
    let same_again = make("web", Clients::NotAsked);
    let other_name = make("mail", Clients::NotAsked);
    for version in [Version::Tls12, Version::Tls13] {
        let settings = RealServers { mode: only(version), sessions: 8, ..real_servers() };
        let from = client(&settings);
        connect(&from, &open, "a.example").unwrap();
        assert!(connect(&from, &same_again, "a.example").unwrap().resumed());
        for anonymous in [&open, &optional] {
            let from = client(&settings);
            connect(&from, anonymous, "a.example").unwrap();
            let error = connect(&from, &required, "a.example").err();
            assert_eq!(error, Some(Error::NoCertificatesPresented), "{version:?}");
        }
        let from = client(&settings);
        connect(&from, &open, "a.example").unwrap();
        assert!(!connect(&from, &other_name, "a.example").unwrap().resumed(), "{version:?}");
    }
    // A session that began with a certificate keeps its client's name.
    let good = client(&with_identity("client"));
    connect(&good, &required, "a.example").unwrap();
    let pair = connect(&good, &required, "a.example").unwrap();
    assert!(pair.resumed());
    assert_eq!(Client::of(pair.server.peer_certificates()).to_string(), "CN=client,O=Fulcrum");
}

/// The root's revocation list, with `revoked` in it.
fn revocation_list(folder: &Folder, revoked: &[&str]) -> Vec<u8> {
    let from = shared().path().display();
    folder.write("index", "");
    folder.write("number", "01\n");
    folder.write(
        "ca.conf",
        "[ca]\ndefault_ca=ours\n[ours]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n\
         default_crl_days=30\n",
    );
    let ca = format!("ca -config ca.conf -cert {from}/root.crt -keyfile {from}/root.key");
    for name in revoked {
        folder.openssl(&format!("{ca} -revoke {from}/{name}.crt"));
    }
    folder.openssl(&format!("{ca} -gencrl -out list.pem"));
    folder.read("list.pem")
}

#[test]
fn revoked_clients_are_refused() {
    let folder = Folder::new();
    let connects = |list: &[u8]| {
        let lists = RevocationLists::read(&[File { name: "list.pem", bytes: list }]).unwrap();
        assert_eq!(lists.details()[0].issuer, "CN=root,O=Fulcrum");
        assert!(lists.details()[0].next_update.is_some());
        let clients = Clients::Required(policy(Some(lists)));
        let server = config(&Service { clients, ..service() });
        connect(&client(&with_identity("client")), &server, "a.example").map(drop)
    };
    connects(&revocation_list(&folder, &[])).unwrap();
    connects(&revocation_list(&folder, &["middle"])).unwrap();
    let error = connects(&revocation_list(&folder, &["client"])).unwrap_err();
    assert!(error.to_string().contains("Revoked"), "{error}");
    folder.openssl("crl -in list.pem -outform DER -out list.der");
    assert!(connects(&folder.read("list.der")).is_err());
    for bad in [&b"x"[..], b"", b"\x30\x03\x02\x01\x01", &shared().read("root.crt")] {
        let error = RevocationLists::read(&[File { name: "bad", bytes: bad }]).unwrap_err();
        assert!(error.to_string().starts_with("bad: "), "{error}");
    }
}

#[test]
fn a_client_certificate_is_judged_by_the_clock_that_was_given() {
    let clock = Clock::new();
    let certificate = made(&["a.example"], NewKey::P256);
    let clients = Clients::Required(policy(None));
    let server = Service { clients, ..service() }
        .config(chooser(&certificate), None, clock.clone())
        .unwrap();
    let good = client(&with_identity("client"));
    connect(&good, &server, "a.example").unwrap();
    clock.advance(366 * 86_400);
    let error = connect(&good, &server, "a.example").err().unwrap();
    assert!(error.to_string().contains("expired"), "{error}");
}

#[test]
fn a_refused_client_is_told_so() {
    let required = config(&Service { clients: Clients::Required(policy(None)), ..service() });
    let mut pair = Pair::new(&client(&real_servers()), &required, "a.example");
    assert!(pair.complete().is_err());
    let mut last_words = Vec::new();
    while pair.server.wants_write() {
        pair.server.write_tls(&mut last_words).unwrap();
    }
    pair.client.read_tls(&mut &*last_words).unwrap();
    let error = pair.client.process_new_packets().unwrap_err();
    assert_eq!(error, Error::AlertReceived(AlertDescription::CertificateRequired));
}
