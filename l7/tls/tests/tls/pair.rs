//! A client and a server, joined in memory.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, Error, ServerConfig};
use rustls::{HandshakeKind, ServerConnection, SideData};
use std::io::{Read, Write};
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tls::client::{RealServers, Sni, Verify};
use tls::mode::Mode;
use tls::server::{Clients, Service};

/// A clock that tests move.
#[derive(Debug)]
pub struct Clock(AtomicU64);

impl Clock {
    /// Set to now, which is when the files were made.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(UnixTime::now().as_secs())))
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds as u64, Ordering::Relaxed);
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

pub fn service() -> Service {
    Service {
        name: "web".to_owned(),
        mode: Mode::High,
        protocols: Vec::new(),
        clients: Clients::NotAsked,
        cached_sessions: 0,
    }
}

pub fn real_servers() -> RealServers {
    RealServers {
        mode: Mode::High,
        verify: Verify::AcceptAnything,
        sni: Sni::FromClient,
        identity: None,
        protocols: Vec::new(),
        sessions: 0,
    }
}

pub fn client(settings: &RealServers) -> Arc<ClientConfig> {
    settings.config(Clock::new()).unwrap()
}

pub struct Pair {
    pub client: ClientConnection,
    pub server: ServerConnection,
}

impl Pair {
    pub fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), name).unwrap(),
            server: ServerConnection::new(Arc::clone(server)).unwrap(),
        }
    }

    /// Hands over what each side has to say, once; whether anything was said.
    ///
    /// # Errors
    /// What the side that refuses says.
    pub fn turn(&mut self) -> Result<bool, Error> {
        let up = carry(&mut self.client, &mut self.server)?;
        let down = carry(&mut self.server, &mut self.client)?;
        Ok(up || down)
    }

    /// The whole handshake, tickets included, and a word each way.
    ///
    /// # Errors
    /// What the side that refuses says.
    pub fn complete(&mut self) -> Result<(), Error> {
        while self.turn()? {}
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        self.client.writer().write_all(b"ping").unwrap();
        self.server.writer().write_all(b"pong").unwrap();
        while self.turn()? {}
        let mut word = [0; 4];
        self.server.reader().read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ping");
        self.client.reader().read_exact(&mut word).unwrap();
        assert_eq!(&word, b"pong");
        Ok(())
    }

    pub fn resumed(&self) -> bool {
        let kind = self.client.handshake_kind().unwrap();
        assert_eq!(Some(kind), self.server.handshake_kind());
        kind == HandshakeKind::Resumed
    }

    /// The fingerprint of what the server showed.
    pub fn shown(&self) -> tls::Fingerprint {
        tls::Fingerprint::of(&self.client.peer_certificates().unwrap()[0])
    }
}

/// A complete connection, or what refused it.
pub fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Pair, Error> {
    let mut pair = Pair::new(client, server, name);
    pair.complete()?;
    Ok(pair)
}

fn carry<A, B, X, Y>(from: &mut A, to: &mut B) -> Result<bool, Error>
where
    A: DerefMut<Target = ConnectionCommon<X>>,
    B: DerefMut<Target = ConnectionCommon<Y>>,
    X: SideData,
    Y: SideData,
{
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &*bytes;
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(!bytes.is_empty())
}
