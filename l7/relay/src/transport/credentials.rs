//! What snapshots say of TLS, made ready: certificates are read once and again only when they
//! change; a service whose certificates alone change keeps its configuration, and with it the
//! sessions of its clients and the handshakes in flight.

use l7_api::{
    AskedName, CertificateId, ClientAuthorities, ClientCertificates, Reencryption, Secret,
    ServerTls, ServiceId, Snapshot, Termination, TlsMode,
};
use rustls::pki_types::{DnsName, ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tls::chooser::Table;
use tls::client::{RealServers, Sni, Verify};
use tls::mode::{Custom, Mode, Unknown};
use tls::server::{ClientPolicy, Clients, Service};
use tls::ticket::{Seed, Tickets};
use tls::trust::{Authorities, RevocationLists};
use tls::{Certificate, Chooser, File, Fingerprint, import};

/// TLS with the clients of one service.
#[derive(Debug)]
pub struct Terminate {
    config: Arc<ServerConfig>,
}

/// TLS with a real server.
#[derive(Debug)]
pub struct Reencrypt {
    /// Of no other, ever.
    pub number: u64,
    config: Arc<ClientConfig>,
    /// The same without HTTP/2.
    http1: Arc<ClientConfig>,
    sni: Sni,
}

/// Which of the application protocols of a policy a real server is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// All of them.
    All,
    /// All but HTTP/2: for a connection that carries one request at a time.
    Http1,
}

/// What the engine keeps from snapshot to snapshot.
#[derive(Debug)]
pub struct Credentials {
    clock: Arc<dyn TimeProvider>,
    certificates: HashMap<CertificateId, Known>,
    services: HashMap<ServiceId, Kept>,
    reencryptions: Vec<(Reencryption, Option<Fingerprint>, Arc<Reencrypt>)>,
    /// Reencryptions made so far.
    made: u64,
    seed: Option<Secret>,
    tickets: Option<Arc<Tickets>>,
}

#[derive(Debug)]
struct Known {
    pem: Secret,
    read: Result<Certificate, String>,
}

#[derive(Debug)]
struct Kept {
    settings: Termination,
    chooser: Arc<Chooser>,
    terminate: Arc<Terminate>,
}

impl Terminate {
    /// A connection of a client that is about to speak.
    ///
    /// # Errors
    /// When the library cannot make one.
    pub fn connection(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(self.config.clone())
    }
}

impl Reencrypt {
    /// Whether the name asked of the real server is the client's.
    pub fn asks_for_the_clients_name(&self) -> bool {
        self.sni == Sni::FromClient
    }

    /// A connection to the real server at `address`, for a client that asked for `name`.
    ///
    /// # Errors
    /// When the library cannot make one.
    pub fn connection(
        &self,
        name: Option<&str>,
        address: IpAddr,
        offer: Offer,
    ) -> Result<ClientConnection, rustls::Error> {
        let name: ServerName<'static> = self.sni.name(name, address);
        let config = match offer {
            Offer::All => &self.config,
            Offer::Http1 => &self.http1,
        };
        ClientConnection::new(config.clone(), name)
    }
}

impl Credentials {
    /// Nothing known.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(DefaultTimeProvider),
            certificates: HashMap::new(),
            services: HashMap::new(),
            reencryptions: Vec::new(),
            made: 0,
            seed: None,
            tickets: None,
        }
    }

    /// Reads what is new in a snapshot, and forgets what is not in it.
    pub fn take(&mut self, snapshot: &Snapshot) {
        let mut known = HashMap::new();
        for certificate in &snapshot.certificates {
            let same = self.certificates.remove(&certificate.id);
            let same = same.filter(|known| known.pem == certificate.pem);
            let read = || Known {
                pem: certificate.pem.clone(),
                read: read(&certificate.name, &certificate.pem, self.clock.as_ref()),
            };
            known.insert(certificate.id, same.unwrap_or_else(read));
        }
        self.certificates = known;
        if self.tickets.is_none() || self.seed != snapshot.ticket_seed {
            self.seed.clone_from(&snapshot.ticket_seed);
            self.tickets = self.new_tickets();
            self.services.clear();
        }
        let services = &snapshot.services;
        self.services.retain(|id, _| services.iter().any(|s| s.id == *id && s.tls.is_some()));
        let in_use: Vec<&Reencryption> =
            snapshot.servers().filter_map(|(s, r)| rule(s, r)).collect();
        self.reencryptions.retain(|(settings, ..)| in_use.contains(&settings));
    }

    /// How a service speaks with its clients; `None` when it does so without TLS.
    ///
    /// # Errors
    /// Why it cannot, and what to do. One that could before goes on as it was.
    pub fn terminate(
        &mut self,
        service: &l7_api::Service,
    ) -> (Option<Arc<Terminate>>, Option<String>) {
        let Some(settings) = &service.tls else { return (None, None) };
        match self.try_terminate(service, settings) {
            Ok(terminate) => (Some(terminate), None),
            Err(fault) => {
                let before = self.services.get(&service.id);
                (before.map(|kept| kept.terminate.clone()), Some(fault))
            }
        }
    }

    /// How a real server is spoken to; `None` when without TLS.
    ///
    /// # Errors
    /// Why it cannot, and what to do.
    pub fn reencrypt(
        &mut self,
        service: &l7_api::Service,
        server: &l7_api::Server,
    ) -> Result<Option<Arc<Reencrypt>>, String> {
        let Some(settings) = rule(service, server) else { return Ok(None) };
        let identity = settings.certificate.map(|id| self.certificate(id)).transpose()?;
        let shown = identity.as_ref().map(|own| own.details().fingerprint);
        let mut known = self.reencryptions.iter();
        if let Some((.., same)) = known.find(|(s, own, _)| s == settings && *own == shown) {
            return Ok(Some(same.clone()));
        }
        let made = Arc::new(self.new_reencrypt(settings, identity)?);
        self.reencryptions.push((settings.clone(), shown, made.clone()));
        Ok(Some(made))
    }

    fn try_terminate(
        &mut self,
        service: &l7_api::Service,
        settings: &Termination,
    ) -> Result<Arc<Terminate>, String> {
        let table = self.table(settings)?;
        if let Some(kept) = self.services.get_mut(&service.id)
            && same_but_for_certificates(&kept.settings, settings)
        {
            kept.chooser.swap(table);
            kept.settings = settings.clone();
            return Ok(kept.terminate.clone());
        }
        let chooser = Arc::new(Chooser::new(table));
        let own = Service {
            name: service.id.to_string(),
            mode: mode(&settings.mode).map_err(|e| e.to_string())?,
            protocols: bytes(&settings.protocols),
            clients: clients(&settings.clients)?,
            cached_sessions: settings.cached_sessions as usize,
        };
        let config = own
            .config(chooser.clone(), self.tickets.as_ref(), self.clock.clone())
            .map_err(|e| e.to_string())?;
        let terminate = Arc::new(Terminate { config });
        let kept = Kept { settings: settings.clone(), chooser, terminate: terminate.clone() };
        self.services.insert(service.id, kept);
        Ok(terminate)
    }

    fn table(&self, settings: &Termination) -> Result<Table, String> {
        let mut table = Table::new();
        for (place, id) in settings.certificates.iter().enumerate() {
            let certificate = self.certificate(*id)?;
            table = table.with(&certificate);
            if place == 0 && !settings.strict_names {
                table = table.with_default(&certificate);
            }
        }
        if settings.certificates.is_empty() {
            return Err("there is no certificate to show to clients: give it one".to_owned());
        }
        Ok(table)
    }

    fn certificate(&self, id: CertificateId) -> Result<Certificate, String> {
        match self.certificates.get(&id) {
            Some(known) => known.read.clone(),
            None => Err(format!("certificate number {id} is not in the snapshot")),
        }
    }

    fn new_reencrypt(
        &mut self,
        settings: &Reencryption,
        identity: Option<Certificate>,
    ) -> Result<Reencrypt, String> {
        let sni = match &settings.name {
            AskedName::None => Sni::None,
            AskedName::FromClient => Sni::FromClient,
            AskedName::Given(name) => match DnsName::try_from(name.clone()) {
                Ok(name) => Sni::Given(name),
                Err(_) => return Err(format!("{name:?} is no host name to ask a real server for")),
            },
        };
        let real_servers = RealServers {
            mode: mode(&settings.mode).map_err(|e| e.to_string())?,
            verify: verify(&settings.verify)?,
            sni: sni.clone(),
            identity,
            protocols: bytes(&settings.protocols),
            sessions: settings.sessions as usize,
        };
        let config = real_servers.config(self.clock.clone()).map_err(|e| e.to_string())?;
        self.made += 1;
        let http1 = without_http2(&config);
        Ok(Reencrypt { number: self.made, config, http1, sni })
    }

    fn new_tickets(&self) -> Option<Arc<Tickets>> {
        let given = self.seed.as_ref().and_then(|seed| Seed::from_bytes(&seed.0));
        if self.seed.is_some() && given.is_none() {
            log::warn!("the seed of session tickets is none; clients cannot resume old sessions");
        }
        let seed = given.or_else(|| Seed::random(self.clock.current_time()?))?;
        Some(Tickets::new(seed, self.clock.clone()))
    }
}

/// The same, if HTTP/2 is not offered.
fn without_http2(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let is_http2 = |protocol: &Vec<u8>| protocol == b"h2";
    if !config.alpn_protocols.iter().any(is_http2) {
        return config.clone();
    }
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols.retain(|protocol| !is_http2(protocol));
    Arc::new(config)
}

/// What holds for a real server.
fn rule<'a>(service: &'a l7_api::Service, server: &'a l7_api::Server) -> Option<&'a Reencryption> {
    match &server.tls {
        ServerTls::AsService => service.reencrypt.as_ref(),
        ServerTls::Plain => None,
        ServerTls::Own(own) => Some(own),
    }
}

/// Whether what the library is configured by is the same: neither certificates nor ports are.
fn same_but_for_certificates(old: &Termination, new: &Termination) -> bool {
    let (certificates, ports) = (new.certificates.clone(), new.ports.clone());
    let old = Termination { certificates, ports, ..old.clone() };
    Termination { strict_names: new.strict_names, ..old } == *new
}

fn read(name: &str, pem: &Secret, clock: &dyn TimeProvider) -> Result<Certificate, String> {
    let now = clock.current_time().unwrap_or(UnixTime::since_unix_epoch(Default::default()));
    let file = File { name, bytes: &pem.0 };
    import(&[file], None, now).map(|imported| imported.certificate).map_err(|e| e.to_string())
}

fn mode(mode: &TlsMode) -> Result<Mode, Unknown> {
    Ok(match mode {
        TlsMode::High => Mode::High,
        TlsMode::Compatible => Mode::Compatible,
        TlsMode::Custom { versions, suites, groups, own_order, require_extended_master_secret } => {
            Mode::Custom(Custom {
                versions: versions.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
                suites: suites.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
                groups: groups.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
                own_order: *own_order,
                require_extended_master_secret: *require_extended_master_secret,
            })
        }
    })
}

fn clients(clients: &ClientCertificates) -> Result<Clients, String> {
    let policy = |policy: &ClientAuthorities| {
        let revoked = policy.revoked.as_ref().map(|bytes| {
            let file = File { name: "revocation list", bytes };
            RevocationLists::read(&[file]).map_err(|e| e.to_string())
        });
        let authorities = authorities("client authorities", &policy.authorities)?;
        Ok::<_, String>(ClientPolicy { authorities, revoked: revoked.transpose()? })
    };
    Ok(match clients {
        ClientCertificates::NotAsked => Clients::NotAsked,
        ClientCertificates::Optional(rule) => Clients::Optional(policy(rule)?),
        ClientCertificates::Required(rule) => Clients::Required(policy(rule)?),
    })
}

fn verify(verify: &l7_api::Verify) -> Result<Verify, String> {
    let those = |bytes: &[u8]| authorities("authorities of real servers", bytes);
    Ok(match verify {
        l7_api::Verify::AcceptAnything => Verify::AcceptAnything,
        l7_api::Verify::System => {
            Verify::Authorities(Authorities::system().map_err(|e| e.to_string())?)
        }
        l7_api::Verify::Authorities(bytes) => Verify::Authorities(those(bytes)?),
        l7_api::Verify::AuthoritiesAnyName(bytes) => Verify::AuthoritiesAnyName(those(bytes)?),
        l7_api::Verify::Pinned(pins) => {
            Verify::Pinned(pins.iter().map(|pin| Fingerprint(*pin)).collect())
        }
    })
}

fn authorities(name: &str, bytes: &[u8]) -> Result<Authorities, String> {
    Authorities::read(&[File { name, bytes }]).map_err(|e| e.to_string())
}

fn bytes(names: &[String]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}
