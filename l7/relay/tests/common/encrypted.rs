//! Clients and real servers that speak TLS.

use super::{PATIENCE, connect, service};
use l7_api::{Certificate, Secret, Service, Snapshot, Termination};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tls::chooser::Table;
use tls::client::{RealServers, Sni, Verify};
use tls::mode::Mode;
use tls::request::{NewKey, Subject, self_signed};
use tls::server::{Clients, Service as Terminating};
use tls::{Chooser, Fingerprint};

pub type ClientStream = StreamOwned<ClientConnection, TcpStream>;
pub type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// A certificate for one name, that signs itself.
pub fn certificate(name: &str) -> tls::Certificate {
    let names = [name.to_owned()];
    let now = UnixTime::now();
    self_signed(&Subject::default(), &names, NewKey::P256, 30, now).unwrap().certificate
}

pub fn in_snapshot(id: u32, certificate: &tls::Certificate) -> Certificate {
    let pem = Secret(certificate.to_pem().as_bytes().to_vec());
    Certificate { id, name: format!("certificate-{id}"), pem }
}

/// A service with TLS and certificate number 1.
pub fn encrypted(id: u32, servers: Vec<l7_api::Server>) -> Service {
    Service { tls: Some(Termination::new(vec![1])), ..service(id, servers) }
}

pub fn snapshot_with(
    generation: u64,
    services: &[&Service],
    certificates: &[&tls::Certificate],
) -> Snapshot {
    let numbered = certificates.iter().zip(1..).map(|(c, id)| in_snapshot(id, c));
    Snapshot { certificates: numbered.collect(), ..super::snapshot(generation, services) }
}

pub fn settings() -> RealServers {
    RealServers {
        mode: Mode::High,
        verify: Verify::AcceptAnything,
        sni: Sni::FromClient,
        identity: None,
        protocols: Vec::new(),
        sessions: 8,
    }
}

pub fn client(settings: &RealServers) -> Arc<ClientConfig> {
    settings.config(Arc::new(rustls::time_provider::DefaultTimeProvider)).unwrap()
}

/// Nothing said yet.
pub fn stream(config: &Arc<ClientConfig>, name: &str, to: SocketAddr) -> ClientStream {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), connect(to))
}

/// With the handshake done.
pub fn shake(config: &Arc<ClientConfig>, name: &str, to: SocketAddr) -> io::Result<ClientStream> {
    let mut stream = stream(config, name, to);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// The fingerprint of what the other side showed.
pub fn shown(stream: &ClientStream) -> Fingerprint {
    Fingerprint::of(&stream.conn.peer_certificates().unwrap()[0])
}

/// Ends our direction.
pub fn finish(stream: &mut ClientStream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()
}

/// Writes, ends, and reads until the other side has ended in TLS's own words.
pub fn ask(stream: &mut ClientStream, question: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(question)?;
    finish(stream)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// What a real server with this certificate speaks.
pub fn serving(certificate: &tls::Certificate, protocols: &[&str]) -> Arc<ServerConfig> {
    let service = Terminating {
        name: "real".to_owned(),
        mode: Mode::High,
        protocols: protocols.iter().map(|p| p.as_bytes().to_vec()).collect(),
        clients: Clients::NotAsked,
        cached_sessions: 64,
    };
    let chooser = Arc::new(Chooser::new(Table::new().with_default(certificate)));
    let clock = Arc::new(rustls::time_provider::DefaultTimeProvider);
    service.config(chooser, None, clock).unwrap()
}

/// A connection to a real server, with TLS; its handshake comes with the first byte.
pub fn accepted(stream: TcpStream, config: &Arc<ServerConfig>) -> ServerStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
}

/// Sends back what comes, and its end after the client's.
pub fn echo(mut stream: ServerStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// An authority for clients, and somebody it has signed for.
pub struct People {
    /// PEM.
    pub authority: Vec<u8>,
    pub somebody: tls::Certificate,
}

impl People {
    pub fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::new(vec!["somebody.example".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "somebody");
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let pem = key.serialize_pem() + &leaf.signed_by(&key, &root).unwrap().pem();
        let file = tls::File { name: "somebody", bytes: pem.as_bytes() };
        let somebody = tls::import(&[file], None, UnixTime::now()).unwrap().certificate;
        Self { authority: root.pem().into_bytes(), somebody }
    }
}
