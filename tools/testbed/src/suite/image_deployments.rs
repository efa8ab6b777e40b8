//! The deployments of the specification through the appliance: one machine with four NICs, real
//! clients and real servers around it. Services are those of the files in `examples/`, as they are.

use super::offload::services;
use crate::clients::{self, Nfs, Smb, Swarm};
use crate::harness::Test;
use crate::lab::{Host, Lab, Link, until};
use crate::machine::{Boot, Flavour, Given, Hardware, Image, Machine};
use crate::servers::authority::{Authority, RSA, Signed};
use crate::servers::{BigFile, Credentials, Server, files::sha256};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let name = match image.flavour() {
        Flavour::Hardware => "image::deployments",
        Flavour::Vm => "image::vm::deployments",
    };
    let image = image.clone();
    tests.push(Test::new(name, move |_| deployments(&image)).only_named());
}

const ICONNECT: &str = include_str!("../../../../examples/iconnect-access.toml");
const CTERA_PORTAL: &str = include_str!("../../../../examples/ctera-portal.toml");
const CTERA_PORTAL_OFFLOAD: &str = include_str!("../../../../examples/ctera-portal-offload.toml");
const ICAS_FS: &str = include_str!("../../../../examples/icas-fs.toml");
const TWO_ARM: &str = include_str!("../../../../examples/two-arm-nat.toml");
const SNAT: &str = include_str!("../../../../examples/snat.toml");
const IPV6: &str = include_str!("../../../../examples/ipv6.toml");

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(120);
const PASSWORD: &str = "correct horse battery";
/// The four arms, in the order of the NICs.
const NETWORKS: [&str; 4] = ["office", "storage", "outside", "inside"];
const INTERFACES: &str = "[dataplane]
table_entries = 100_000
[[interface]]
name = \"eth0\"
port = \"0000:00:02.0\"
addresses = [\"192.168.100.10/24\", \"2001:db8:100::10/64\"]
[[interface]]
name = \"eth1\"
port = \"0000:00:03.0\"
addresses = [\"192.168.110.60/24\"]
[[interface]]
name = \"eth2\"
port = \"0000:00:04.0\"
addresses = [\"10.0.0.21/24\"]
gateway = \"10.0.0.31\"
masquerade = true
[[interface]]
name = \"eth3\"
port = \"0000:00:05.0\"
addresses = [\"192.168.2.21/24\"]
";
/// Tunnels to the hosts that have D1; the example's are behind a router.
const TUNNEL: &str = "
[[service]]
name = \"TUN\"
mode = \"l4-tun\"
address = \"192.168.100.101\"
ports = \"80\"
tunnel = { type = \"ipip\" }
  [[service.real_server]]
  name = \"WEB1\"
  address = \"192.168.100.110\"
";

/// Everything. Names and addresses that two files have in common are one's own here.
fn config() -> String {
    let part = |text: &str, names: &[&str]| {
        let text = services(text, names);
        let at = text.find("\n[[service]]").unwrap_or(text.len());
        text[at..].to_owned()
    };
    let own =
        |text: String, name: &str| text.replace("name = \"WEB\"", &format!("name = \"{name}\""));
    let offload = part(
        CTERA_PORTAL_OFFLOAD,
        &["CTERA_Portal_Web_1", "CTERA_Portal_Web_2", "CTERA_Portal_CTTP"],
    );
    [
        INTERFACES.to_owned(),
        part(ICONNECT, &["ICA_WEB", "ICA_DICOM"]),
        part(CTERA_PORTAL, &["CTERA_Portal"]),
        offload.replace("192.168.100.120", "192.168.100.130"),
        part(ICAS_FS, &["iCAS-FS-S3", "iCAS-FS-SMB", "iCAS-FS-NFS"]),
        own(part(TWO_ARM, &["WEB"]), "D8"),
        own(part(SNAT, &["WEB"]), "SNAT"),
        own(part(IPV6, &["WEB"]), "IPV6"),
        TUNNEL.to_owned(),
    ]
    .concat()
}

/// Everybody around the appliance. What holds processes is dropped before the lab.
struct Site {
    office: Vec<Server>,
    nodes: Vec<Server>,
    others: Vec<Server>,
    /// A client on each of the first three networks.
    clients: [Host; 3],
    authority: Authority,
    store: PathBuf,
    big: BigFile,
    lab: Lab,
}

impl Site {
    fn new() -> Result<Self> {
        let mut lab = Lab::new()?;
        NETWORKS.iter().try_for_each(|name| lab.network(name))?;
        let mut host = |name: &str, network: &str, addresses: &str| {
            lab.host(name, &[Link::eth0(network, addresses)])
        };
        let clients = [
            host("client", "office", "192.168.100.50/24 2001:db8:100::50/64")?,
            host("reader", "storage", "192.168.110.50/24")?,
            host("gateway", "outside", "10.0.0.31/24 10.0.0.50/24")?,
        ];
        let office = [
            ("web1", "192.168.100.110/24 192.168.100.121/24 2001:db8:100::110/64"),
            ("web2", "192.168.100.111/24 192.168.100.122/24 2001:db8:100::111/64"),
        ];
        let nodes = [("node1", "192.168.110.70/24"), ("node2", "192.168.110.71/24")];
        let mut servers = |network: &str, of: &[(&str, &str)]| -> Result<Vec<Server>> {
            of.iter().map(|(name, at)| Ok(Server::new(host(name, network, at)?))).collect()
        };
        let office = servers("office", &office)?;
        let nodes = servers("storage", &nodes)?;
        let mut others = servers("outside", &[("far1", "10.0.0.11/24"), ("far2", "10.0.0.12/24")])?;
        others.extend(servers("inside", &[("web3", "192.168.2.50/24")])?);
        let store = lab.folder().join("store");
        std::fs::create_dir_all(&store)?;
        let (big, authority) =
            (BigFile::write(lab.folder(), 4)?, Authority::make(lab.folder(), "world")?);
        let mut it = Self { office, nodes, others, clients, authority, store, big, lab };
        it.serve()?;
        Ok(it)
    }

    /// Starts every daemon.
    fn serve(&mut self) -> Result<()> {
        let credentials = Credentials::make(self.lab.folder())?;
        let carried: [IpAddr; 3] =
            ["192.168.100.100".parse()?, "192.168.100.101".parse()?, "2001:db8:100::100".parse()?];
        for server in &mut self.office {
            let pages = server.host.folder().join("html");
            std::fs::create_dir_all(&pages)?;
            std::fs::write(pages.join("index.html"), "portal")?;
            server.carry(&carried)?;
            server.unpack()?;
            // Port 443 speaks TLS, and so does 8443 as the portal has it.
            server.web(&[80, 443, 8080, 8443], Some(&self.big), Some(&credentials))?;
            server.echo(&[995, 4444])?;
        }
        for node in &mut self.nodes {
            node.object_store(&credentials, &self.big)?.smb(&self.store)?.nfs(&self.store)?;
        }
        for (server, ports) in self.others.iter_mut().zip([[8080], [8080], [80]]) {
            server.web(&ports, None, None)?;
        }
        self.others[2].host.ip("route add default via 192.168.2.21").map(drop)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        call(&self.clients[0], "192.168.100.10", method, path, body)
    }

    fn import(&self, name: &str, signed: &Signed) -> Result<()> {
        let (key, chain) = (signed.key(), signed.chain());
        let file = |path: PathBuf| -> Result<Value> {
            Ok(json!({ "name": "pem", "text": std::fs::read_to_string(path)? }))
        };
        let body = json!({ "files": [file(key)?, file(chain)?] });
        self.call("PUT", &format!("certificates/{name}"), Some(&body)).map(drop)
    }

    /// Waits until every real server that is checked has been found up.
    fn wait_up(&self, machine: &mut Machine) -> Result<()> {
        let mut last = Value::Null;
        let up = until("all real servers up", BOOT, || {
            machine.must_run()?;
            last = self.call("GET", "services", None)?;
            Ok(all_up(&last).then_some(()))
        });
        up.with_context(|| last.to_string())
    }

    fn close(self) -> Result<()> {
        let Self { office, nodes, others, lab, .. } = self;
        drop((office, nodes, others));
        lab.close()
    }
}

/// Whether every real server of these services has been found up, or is not checked.
pub fn all_up(services: &Value) -> bool {
    let services = services["services"].as_array().into_iter().flatten();
    let reals = services.flat_map(|service| service["real_servers"].as_array()).flatten();
    let mut reals = reals.peekable();
    reals.peek().is_some()
        && reals.all(|real| {
            real["reachable"] == true
                && (real["observed"] == "up" || real["observed"] == "unchecked")
        })
}

/// What an appliance is given: the operator's password, and a configuration.
pub fn user_data(config: &str) -> String {
    format!("#fulcrum-answers\npassword = \"{PASSWORD}\"\n#fulcrum-config\n{config}")
}

/// The API of an appliance that was given that, as an operator calls it from a host.
pub fn call(
    from: &Host,
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let file = from.folder().join("body.json");
    let mut line = format!(
        "curl -sSk --fail-with-body --max-time 30 -u 'loadbalancer:{PASSWORD}' -X {method} \
         https://{address}:9443/api/v1/{path}"
    );
    if let Some(body) = body {
        std::fs::write(&file, body.to_string())?;
        line += &format!(" -H 'Content-Type: application/json' -d @{}", file.display());
    }
    let answer = from.shell(&line, Duration::from_secs(40))?;
    serde_json::from_str(&answer).context(answer)
}

fn deployments(image: &Image) -> Result<()> {
    let site = Site::new()?;
    let nics = NETWORKS.map(|network| (network, "virtio-net-pci"));
    let hardware = Hardware::new(Boot::Bios, &nics);
    let given = user_data(&config());
    let mut machine = Machine::start(&site.lab, image, &hardware, &Given::BootFile(&given))?;
    machine.expect("the API answers at https", BOOT)?;
    let result = go_through(&site, &mut machine);
    result.with_context(|| machine.serial())?;
    machine.power_button(Duration::from_secs(60))?;
    site.close()
}

fn go_through(site: &Site, machine: &mut Machine) -> Result<()> {
    let answers = || site.call("GET", "status", None);
    until("the API", BOOT, || Ok(answers().ok()))?;
    site.import("iCAS-FS-Cert", &site.authority.sign("s3", RSA, "DNS:s3.example")?)?;
    site.import("portal", &site.authority.sign("portal", RSA, "DNS:portal.example")?)?;
    site.wait_up(machine)?;
    let report = |name: &str, result: Result<()>| {
        println!("  {name}: {:.1} s after power-on", machine.age().as_secs_f64());
        result.with_context(|| name.to_owned())
    };
    report("D1 and D2, direct routing", direct_routing(site))?;
    report("D3 to D5, storage", storage(site))?;
    report("D6, portal", portal(site))?;
    report("D7, portal with TLS at the balancer", portal_offload(site))?;
    report("D8, two arms", two_arms(site))?;
    report("SNAT, tunnel, IPv6", other_modes(site))
}

fn reach(client: &Host, vip: &str, ports: &[u16], servers: usize) -> Result<()> {
    let vip: IpAddr = vip.parse()?;
    ports.iter().try_for_each(|port| {
        let names = clients::http_names(client, vip, *port, 20);
        names.and_then(|names| names.must_reach(servers)).with_context(|| format!("{vip} {port}"))
    })
}

/// A hundred connections to our own server.
fn hold(client: &Host, vip: &str, port: u16, source: &str) -> Result<()> {
    let mut swarm = Swarm::tcp(client, vip.parse()?, port, &[source.parse()?])?;
    swarm.open(100)?.must_be(100)?;
    swarm.ping()?.must_be(100).map(drop)
}

fn direct_routing(site: &Site) -> Result<()> {
    let client = &site.clients[0];
    reach(client, "192.168.100.100", &[80, 443], 1)?;
    clients::http_big(client, "192.168.100.100".parse()?, 80, &site.big)?;
    hold(client, "192.168.100.100", 4444, "192.168.100.50")
}

fn storage(site: &Site) -> Result<()> {
    let client = &site.clients[1];
    let vip: IpAddr = "192.168.110.65".parse()?;
    let line = format!(
        "curl -sS --fail --max-time 60 --cacert {} --resolve 's3.example:443:{vip}' https://s3.example/",
        site.authority.root().display()
    );
    let said = client.shell(&line, Duration::from_secs(70))?;
    ensure!(said.starts_with("node") && said.ends_with(" https\n"), "on 443: {said}");
    clients::http_big(client, vip, 80, &site.big)?;
    let share = Smb::new(client, vip)?;
    share.put(site.big.path(), "a")?;
    ensure!(share.sha256("a")? == site.big.sha256(), "SMB changed the file");
    let export = Nfs::new(client, vip, &site.store);
    [3, 4].iter().try_for_each(|version| export.must_answer(*version))?;
    // What SMB has written.
    ensure!(export.sha256(4, "a")? == site.big.sha256(), "NFS read another file");
    let small = client.folder().join("small");
    std::fs::write(&small, [7; 3_000])?;
    export.put(4, &small, "b")?;
    ensure!(sha256(&site.store.join("b"))? == sha256(&small)?, "NFS wrote another file");
    Ok(())
}

fn portal(site: &Site) -> Result<()> {
    let client = &site.clients[0];
    reach(client, "192.168.100.120", &[443], 1)?;
    hold(client, "192.168.100.120", 995, "192.168.100.50")
}

fn portal_offload(site: &Site) -> Result<()> {
    let client = &site.clients[0];
    reach(client, "192.168.100.130", &[80, 8080], 1)?;
    let line = format!(
        "curl -sS --fail --max-time 60 --cacert {} --resolve portal.example:443:192.168.100.130 \
         https://portal.example/name",
        site.authority.root().display()
    );
    let name = client.shell(&line, Duration::from_secs(70))?;
    ensure!(name.starts_with("web"), "over TLS: {name}");
    hold(client, "192.168.100.130", 995, "192.168.100.50")
}

fn two_arms(site: &Site) -> Result<()> {
    reach(&site.clients[2], "10.0.0.21", &[80], 1)?;
    // What the real server begins itself leaves masqueraded.
    let web = &site.others[2].host;
    web.shell("ping -c 3 -W 5 10.0.0.50", Duration::from_secs(20)).map(drop)
}

fn other_modes(site: &Site) -> Result<()> {
    reach(&site.clients[2], "10.0.0.100", &[80], 2)?;
    reach(&site.clients[0], "192.168.100.101", &[80], 1)?;
    reach(&site.clients[0], "2001:db8:100::100", &[80, 443], 1)
}
