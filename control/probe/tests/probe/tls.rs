use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::{Http, Method, Probe, Target, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const NAME: &str = "www.example.org";

fn https(tls: Tls) -> Http {
    Http {
        tls: Some(tls),
        method: Method::Get,
        path: "/".into(),
        host: None,
        headers: Vec::new(),
        statuses: Vec::new(),
        text: Some("ok".into()),
    }
}

fn to(address: SocketAddr, tls: Tls) -> Target {
    target(address, Probe::Http(https(tls)))
}

fn verified(ca: &Path) -> Tls {
    Tls { verify: true, name: Some(NAME.into()), ca: Some(ca.into()) }
}

/// A certificate authority.
type Ca = CertifiedIssuer<'static, KeyPair>;

/// A new one, and the file that names it. Each test has files of its own.
fn authority(test: &str) -> (Ca, PathBuf) {
    let mut params = CertificateParams::default();
    // A name of its own: the certificates that it signs do not call themselves so.
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let path = file(test, ca.pem().as_bytes());
    (ca, path)
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    std::fs::write(&path, content).unwrap();
    path
}

/// What a server's certificate says, if nothing is wrong with it.
fn good() -> CertificateParams {
    CertificateParams::new(vec![NAME.into(), "127.0.0.1".into()]).unwrap()
}

/// An HTTPS server of one connection with this certificate, signed by `ca` or by itself. Returns
/// the name that it was asked for.
async fn server(
    params: CertificateParams,
    ca: Option<&Ca>,
) -> (SocketAddr, JoinHandle<Option<String>>) {
    let key = KeyPair::generate().unwrap();
    let certificate = match ca {
        Some(ca) => params.signed_by(&key, ca).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    serve(vec![certificate.der().clone()], key).await
}

async fn serve(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> (SocketAddr, JoinHandle<Option<String>>) {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.ok()?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let _ = stream.read(&mut [0; 1024]).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let _ = stream.write_all(answer).await;
        let _ = stream.flush().await;
        stream.get_ref().1.server_name().map(String::from)
    });
    (address, task)
}

/// Why such a server is down, after its address.
async fn why(params: CertificateParams, ca: Option<&Ca>, tls: Tls) -> String {
    let (address, _) = server(params, ca).await;
    let reason = fault(&to(address, tls), LONG).await;
    reason.strip_prefix(&format!("{address}: ")).expect("an address").to_string()
}

#[tokio::test]
async fn a_good_certificate_is_up_and_its_name_is_asked_for() {
    let (ca, path) = authority("good");
    let (address, served) = server(good(), Some(&ca)).await;
    run(&to(address, verified(&path)), LONG).await.unwrap();
    assert_eq!(served.await.unwrap().as_deref(), Some(NAME));
}

#[tokio::test]
async fn without_a_name_the_host_and_without_a_host_the_address_is_meant() {
    let (ca, path) = authority("names");
    let tls = Tls { name: None, ..verified(&path) };
    let (address, served) = server(good(), Some(&ca)).await;
    run(&to(address, tls.clone()), LONG).await.unwrap();
    assert_eq!(served.await.unwrap(), None);

    let (address, served) = server(good(), Some(&ca)).await;
    let http = Http { host: Some(format!("{NAME}:8443")), ..https(tls) };
    run(&target(address, Probe::Http(http)), LONG).await.unwrap();
    assert_eq!(served.await.unwrap().as_deref(), Some(NAME));
}

#[tokio::test]
async fn an_expired_certificate_is_a_fault_if_it_is_looked_at() {
    let (ca, path) = authority("expired");
    let mut old = good();
    old.not_before = date_time_ymd(2019, 1, 2);
    old.not_after = date_time_ymd(2020, 1, 2);
    let reason = why(old.clone(), Some(&ca), verified(&path)).await;
    assert_eq!(reason, "the certificate has expired on 2020-01-02");
    let (address, _) = server(old, Some(&ca)).await;
    run(&to(address, Tls::default()), LONG).await.unwrap();

    let mut early = good();
    early.not_before = date_time_ymd(2999, 1, 2);
    early.not_after = date_time_ymd(3000, 1, 2);
    let reason = why(early, Some(&ca), verified(&path)).await;
    assert_eq!(reason, "the certificate is not valid before 2999-01-02");
}

#[tokio::test]
async fn another_hosts_certificate_is_a_fault_if_it_is_looked_at() {
    let (ca, path) = authority("other");
    let other = CertificateParams::new(vec!["mail.example.org".into()]).unwrap();
    let reason = why(other.clone(), Some(&ca), verified(&path)).await;
    assert_eq!(reason, format!("the certificate is not for host {NAME}"));
    let (address, _) = server(other, Some(&ca)).await;
    run(&to(address, Tls { name: Some(NAME.into()), ..Tls::default() }), LONG).await.unwrap();
}

#[tokio::test]
async fn a_self_signed_certificate_is_a_fault_if_it_is_looked_at() {
    const REASON: &str = "the certificate is not signed by a trusted authority";
    let (_, path) = authority("stranger");
    assert_eq!(why(good(), None, verified(&path)).await, REASON);
    let (address, _) = server(good(), None).await;
    run(&to(address, Tls::default()), LONG).await.unwrap();
}

#[tokio::test]
async fn a_self_signed_certificate_may_be_named_as_authority() {
    let key = KeyPair::generate().unwrap();
    let certificate = good().self_signed(&key).unwrap();
    let path = file("itself", certificate.pem().as_bytes());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let (address, _) = serve(vec![certificate.der().clone()], key).await;
    run(&to(address, verified(&path)), LONG).await.unwrap();
}

/// In a process of its own, whose system is told to be another.
#[test]
fn without_a_file_the_systems_authorities_count() {
    let system = Path::new(env!("CARGO_TARGET_TMPDIR")).join("system.pem");
    if std::env::var_os("SSL_CERT_FILE").as_deref() != Some(system.as_os_str()) {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tls::without_a_file_the_systems_authorities_count"])
            .env_remove("SSL_CERT_DIR")
            .env("SSL_CERT_FILE", &system)
            .status();
        return assert!(status.unwrap().success());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ca, path) = authority("system");
        let tls = Tls { ca: None, ..verified(&path) };
        let (address, _) = server(good(), Some(&ca)).await;
        run(&to(address, tls.clone()), LONG).await.unwrap();
        // Of the same name.
        let reason = why(good(), Some(&authority("not-system").0), tls).await;
        assert_eq!(reason, "the certificate is not signed by the authority that it names");
    });
}

#[tokio::test]
async fn what_is_trusted_must_be_readable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let empty = file("empty", b"");
    says(&ours(&to(address, verified(&empty)), LONG).await, &["empty.pem contains no PEM"]);
    let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let garbage = file("garbage", garbage);
    says(&ours(&to(address, verified(&garbage)), LONG).await, &["cannot read ", "garbage.pem"]);
    let missing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("missing.pem");
    says(&ours(&to(address, verified(&missing)), LONG).await, &["cannot read ", "missing.pem"]);
    let nameless = Tls { name: Some("no name".into()), ..Tls::default() };
    says(&ours(&to(address, nameless), LONG).await, &["\"no name\" is no server name"]);
}

#[tokio::test]
async fn what_is_no_tls_is_a_fault() {
    let reason = no_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n", true, LONG).await;
    says(&reason, &[": what came is no TLS"]);
    let reason = no_tls(&[21, 3, 3, 0, 2, 2, 40], true, LONG).await;
    says(&reason, &[": the TLS handshake was refused: HandshakeFailure"]);
    let reason = no_tls(b"", false, LONG).await;
    says(&reason, &[": the connection was closed in the TLS handshake: "]);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let reason = no_tls(b"", true, SHORT).await;
    says(&reason, &["did not finish the TLS handshake in 500 ms"]);
    // A record of 16 KiB that has only begun.
    let reason = no_tls(&[22, 3, 3, 0x40, 0, 2], true, SHORT).await;
    says(&reason, &["did not finish the TLS handshake in 500 ms"]);
}

/// Why a server is down that says this at once, and then waits or closes.
async fn no_tls(bytes: &'static [u8], wait: bool, patience: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(bytes).await;
        if wait {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    fault(&to(address, Tls::default()), patience).await
}
