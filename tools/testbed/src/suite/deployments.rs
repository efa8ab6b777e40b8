//! The deployments of the specification, from the files in `examples/` as they are.

use crate::balancer::Balancer;
use crate::clients::{self, Swarm};
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link};
use crate::servers::authority::{Authority, RSA};
use crate::servers::{BigFile, Credentials, Server, files::sha256};
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("deployments::d1-d2-iconnect-access", iconnect));
    tests.push(Test::new("deployments::d6-ctera-portal", ctera_portal));
    tests.push(Test::new("deployments::d7-ctera-portal-offload", ctera_portal_offload));
    tests.push(Test::new("deployments::d8-two-arm-nat", two_arm));
    tests.push(Test::new("deployments::d9-stateful", stateful));
}

const ICONNECT: &str = include_str!("../../../../examples/iconnect-access.toml");
const CTERA_PORTAL: &str = include_str!("../../../../examples/ctera-portal.toml");
const CTERA_PORTAL_OFFLOAD: &str = include_str!("../../../../examples/ctera-portal-offload.toml");
const TWO_ARM: &str = include_str!("../../../../examples/two-arm-nat.toml");
const STATEFUL: &str = include_str!("../../../../examples/stateful.toml");

/// One network with a client, the balancer and real servers.
struct Site {
    lab: Lab,
    client: Host,
    balancer: Host,
    servers: Vec<Server>,
    credentials: Credentials,
}

impl Site {
    fn new(client: &str, servers: &[(&str, &str)]) -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", client)])?;
        let balancer = lab.balancer(&["lan"])?;
        let credentials = Credentials::make(lab.folder())?;
        let servers = servers
            .iter()
            .map(|(name, address)| server(&mut lab, name, "lan", address))
            .collect::<Result<_>>()?;
        Ok(Self { lab, client, balancer, servers, credentials })
    }

    /// D6 and D7: two portals that have the page which the check asks for.
    fn portals() -> Result<Self> {
        let addresses = [("web1", "192.168.100.121/24"), ("web2", "192.168.100.122/24")];
        let site = Self::new("192.168.100.50/24", &addresses)?;
        for server in &site.servers {
            let pages = server.host.folder().join("html");
            std::fs::create_dir_all(&pages)?;
            std::fs::write(pages.join("index.html"), "portal")?;
        }
        Ok(site)
    }

    /// The web server on the host of this name dies.
    fn kill_web(&mut self, name: &str) -> Result<()> {
        let found = self.servers.iter_mut().find(|server| server.name() == name);
        found.with_context(|| format!("no host {name:?}"))?.kill("web")
    }

    fn close(self, balancer: Balancer) -> Result<()> {
        close(balancer, self.servers, self.lab)
    }
}

fn close(balancer: Balancer, servers: Vec<Server>, lab: Lab) -> Result<()> {
    let conserved = balancer.must_conserve().map(drop);
    let stopped = balancer.stop();
    drop(servers);
    conserved.and(stopped).and(lab.close())
}

fn server(lab: &mut Lab, name: &str, network: &str, address: &str) -> Result<Server> {
    Ok(Server::new(lab.host(name, &[Link::eth0(network, address)])?))
}

/// Addresses `from`, `from + 1`, … of a /24, on the client's eth0.
fn more_addresses(client: &Host, network: &str, from: u8, count: u8) -> Result<Vec<IpAddr>> {
    let mut all = Vec::new();
    for last in from..from + count {
        client.ip(&format!("addr add {network}.{last}/24 dev eth0"))?;
        all.push(format!("{network}.{last}").parse()?);
    }
    Ok(all)
}

/// D1 and D2: web on 80 and 443, checked on 443, and 4444 in place of DICOM, on one address.
fn iconnect(_: Scale) -> Result<()> {
    let addresses = [("web1", "192.168.100.110/24"), ("web2", "192.168.100.111/24")];
    let mut site = Site::new("192.168.100.50/24", &addresses)?;
    let client = site.client.clone();
    let big = BigFile::write(site.lab.folder(), 16)?;
    let vip: IpAddr = "192.168.100.100".parse()?;
    for server in &mut site.servers {
        server.carry(&[vip])?;
        server.web(&[80, 443], Some(&big), Some(&site.credentials))?.echo(&[4444])?;
    }
    let mut balancer = Balancer::start(&site.balancer, ICONNECT)?;
    clients::http_names(&client, vip, 80, 20)?.must_reach(1)?;
    clients::http_names(&client, vip, 443, 20)?.must_reach(1)?;
    clients::http_big(&client, vip, 80, &big)?;
    let sources = more_addresses(&client, "192.168.100", 150, 10)?;
    let mut dicom = Swarm::tcp(&client, vip, 4444, &sources)?;
    ensure!(dicom.open(100)?.must_be(100)?.ok.len() == 2);
    dicom.ping()?.must_be(100)?;
    // Persistence keeps the client on its server until that one fails its check on 443.
    let mine = clients::http_names(&client, vip, 80, 1)?.servers.into_keys().next();
    let mine = mine.unwrap_or_default();
    site.kill_web(&mine)?;
    let name = if mine == "web1" { "ICA_WEB1" } else { "ICA_WEB2" };
    balancer.wait_real_server("ICA_WEB", name, false)?;
    let moved = clients::http_names(&client, vip, 443, 5)?;
    moved.must_reach(1)?;
    ensure!(!moved.servers.contains_key(&mine), "still {mine}");
    drop(dicom);
    site.close(balancer)
}

/// D6: three ports in layer 7, each to the same port of the one server that a client has.
fn ctera_portal(_: Scale) -> Result<()> {
    let mut site = Site::portals()?;
    let client = site.client.clone();
    let vip: IpAddr = "192.168.100.120".parse()?;
    for server in &mut site.servers {
        server.web(&[443, 8443], None, Some(&site.credentials))?.echo(&[995])?;
    }
    let mut balancer = Balancer::start(&site.balancer, CTERA_PORTAL)?;
    let sources = more_addresses(&client, "192.168.100", 150, 10)?;
    let mut devices = devices(&client, vip, &sources)?;
    let mine = clients::http_names(&client, vip, 443, 20)?;
    mine.must_reach(1)?;
    ensure!(
        clients::http_names(&client, vip, 8443, 20)?.servers == mine.servers,
        "ports were split"
    );
    devices.ping()?.must_be(100)?;
    // A portal that fails its check loses its clients to the other one.
    let mine = mine.servers.into_keys().next().unwrap_or_default();
    site.kill_web(&mine)?;
    let name = if mine == "web1" { "PORTAL1" } else { "PORTAL2" };
    balancer.wait_real_server("CTERA_Portal", name, false)?;
    clients::http_names(&client, vip, 443, 5)?.must_reach(1)?;
    drop(devices);
    site.close(balancer)
}

/// D7: two services in HTTP mode that are checked over HTTPS, and the devices' one in TCP mode;
/// each keeps a client at one portal.
fn ctera_portal_offload(_: Scale) -> Result<()> {
    let mut site = Site::portals()?;
    let client = site.client.clone();
    let big = BigFile::write(site.lab.folder(), 16)?;
    let vip: IpAddr = "192.168.100.120".parse()?;
    for server in &mut site.servers {
        server.web(&[80, 443, 8080], Some(&big), Some(&site.credentials))?.echo(&[995])?;
    }
    let authority = Authority::make(site.lab.folder(), "world")?;
    let signed = authority.sign("portal", RSA, "DNS:portal.example")?;
    let mut balancer = super::tls::begin(&site.balancer, CTERA_PORTAL_OFFLOAD)?;
    super::tls::import(&balancer, "portal", &signed)?;
    balancer.wait_up()?;
    over_tls(&client, vip, &authority)?;
    let sources = more_addresses(&client, "192.168.100", 150, 10)?;
    let mut devices = devices(&client, vip, &sources)?;
    for port in [80, 8080] {
        clients::http_names(&client, vip, port, 20)?.must_reach(1)?;
        clients::http_big(&client, vip, port, &big)?;
        let mut reached = std::collections::BTreeSet::new();
        for source in &sources {
            let mut names = names_for(&client, *source, vip, port)?;
            names.dedup();
            ensure!(names.len() == 1, "{source} was split on port {port}: {names:?}");
            reached.extend(names);
        }
        ensure!(reached.len() == 2, "port {port} reached {reached:?}");
    }
    // A portal whose HTTPS check fails loses the web's clients; its devices have another check.
    let mine = clients::http_names(&client, vip, 80, 1)?.servers.into_keys().next();
    let mine = mine.unwrap_or_default();
    site.kill_web(&mine)?;
    let name = if mine == "web1" { "PORTAL1" } else { "PORTAL2" };
    for service in ["CTERA_Portal_Web_1", "CTERA_Portal_Web_2"] {
        balancer.wait_real_server(service, name, false)?;
    }
    for port in [80, 8080] {
        let moved = clients::http_names(&client, vip, port, 5)?;
        moved.must_reach(1)?;
        ensure!(!moved.servers.contains_key(&mine), "still {mine} on port {port}");
    }
    devices.ping()?.must_be(100)?;
    drop(devices);
    site.close(balancer)
}

/// A hundred connections of the portal's devices from these addresses: both portals have some, and
/// no address has both.
fn devices(client: &Host, vip: IpAddr, sources: &[IpAddr]) -> Result<Swarm> {
    let mut devices = Swarm::tcp(client, vip, 995, sources)?;
    let opened = devices.open(100)?;
    ensure!(opened.must_be(100)?.ok.len() == 2, "all clients on {:?}", opened.ok);
    let split = opened.by_source.values().find(|servers| servers.len() != 1);
    ensure!(split.is_none(), "a client was split: {split:?}");
    Ok(devices)
}

/// The portal's pages by both names of its ports, with a certificate that is believed.
fn over_tls(client: &Host, vip: IpAddr, authority: &Authority) -> Result<()> {
    let mut names = Vec::new();
    for port in [443, 8443] {
        let line = format!(
            "curl --silent --show-error --fail --max-time 20 --cacert {} \
             --resolve portal.example:{port}:{vip} https://portal.example:{port}/name",
            authority.root().display()
        );
        names.push(client.shell(&line, Duration::from_secs(30))?);
    }
    ensure!(names.iter().all(|name| name.starts_with("web")), "{names:?}");
    Ok(())
}

/// The server of each of four requests from an address of the client's.
fn names_for(client: &Host, source: IpAddr, vip: IpAddr, port: u16) -> Result<Vec<String>> {
    let line = format!(
        "for n in 1 2 3 4; do curl --silent --show-error --fail --max-time 20 \
         --interface {source} http://{vip}:{port}/name; done"
    );
    let names = client.shell(&line, Duration::from_secs(60))?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// D8: NAT between two arms; the real server's own traffic leaves masqueraded.
fn two_arm(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("outside")?;
    lab.network("inside")?;
    // The gateway of the file is the client's way in, and stands for the world outside.
    let world = lab.host("gateway", &[Link::eth0("outside", "10.0.0.31/24 10.0.0.50/24")])?;
    let lb = lab.balancer(&["outside", "inside"])?;
    let mut web = server(&mut lab, "web1", "inside", "192.168.2.50/24")?;
    web.host.ip("route add default via 192.168.2.21")?;
    let big = BigFile::write(lab.folder(), 16)?;
    web.web(&[80], Some(&big), None)?;
    let vip: IpAddr = "10.0.0.21".parse()?;
    let balancer = Balancer::start(&lb, TWO_ARM)?;
    clients::http_names(&world, vip, 80, 50)?.must_reach(1)?;
    clients::http_big(&world, vip, 80, &big)?;
    let mut outside = Server::new(world);
    outside.web(&[8080], None, None)?;
    clients::http_names(&web.host, "10.0.0.50".parse()?, 8080, 5)?.must_reach(1)?;
    let log = std::fs::read_to_string(outside.host.folder().join("access.log"))?;
    let masqueraded = log.lines().filter(|line| line.starts_with("10.0.0.21 ")).count();
    ensure!(masqueraded == 5, "the world saw: {log}");
    close(balancer, vec![web, outside], lab)
}

/// D9: terminal server, SSH, FTP upload and incoming mail stay with the client's server.
fn stateful(_: Scale) -> Result<()> {
    let addresses = [("one", "192.168.1.31/24"), ("two", "192.168.1.32/24")];
    let mut site = Site::new("192.168.1.50/24", &addresses)?;
    let client = site.client.clone();
    let big = BigFile::write(site.lab.folder(), 16)?;
    let vip: IpAddr = "192.168.1.20".parse()?;
    for server in &mut site.servers {
        server.carry(&[vip])?;
        server.echo(&[3389])?.ssh(22, &site.credentials)?;
        server.ftp(vip, 50_000..=50_099)?.mail(25)?;
    }
    let balancer = Balancer::start(&site.balancer, STATEFUL)?;

    let sources = more_addresses(&client, "192.168.1", 100, 20)?;
    let mut tcp = Swarm::tcp(&client, vip, 3389, &sources)?;
    let mut udp = Swarm::udp(&client, vip, 3389, &sources)?;
    let (tcp_round, udp_round) = (tcp.open(100)?, udp.open(100)?);
    tcp_round.must_be(100)?;
    udp_round.must_be(100)?;
    ensure!(tcp_round.ok.len() == 2, "all clients on {:?}", tcp_round.ok);
    for (source, servers) in &tcp_round.by_source {
        let both = (servers.len(), udp_round.by_source[source].keys().eq(servers.keys()));
        ensure!(both == (1, true), "{source} was split: {servers:?}");
    }

    let first = clients::ssh_name(&client, vip, 22, &site.credentials)?;
    for _ in 0..4 {
        ensure!(clients::ssh_name(&client, vip, 22, &site.credentials)? == first, "SSH was split");
    }
    for name in ["a", "b", "c"] {
        clients::ftp_upload(&client, vip, big.path(), name)?;
    }
    let has_all = |server: &&Server| {
        ["a", "b", "c"]
            .iter()
            .all(|name| sha256(&server.uploaded(name)).is_ok_and(|found| found == big.sha256()))
    };
    ensure!(site.servers.iter().filter(has_all).count() == 1, "uploads were split");
    for number in 0..5 {
        clients::mail(&client, vip, 25, &format!("message number {number}"))?;
    }
    let mails = |server: &Server| server.mail_with("message number");
    crate::lab::until("mail", Duration::from_secs(5), || {
        Ok((site.servers.iter().map(mails).sum::<usize>() == 5).then_some(()))
    })?;
    ensure!(site.servers.iter().any(|server| mails(server) == 5), "mail was split");
    drop((tcp, udp));
    site.close(balancer)
}
