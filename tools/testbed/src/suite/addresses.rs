//! Whose address layer 7 believes, and whose it shows: the PROXY protocol from proxies in front,
//! and connections to real servers by the client's own address.

use super::layer7::{LIMIT, http, service};
use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, Process, until};
use crate::servers::Server;
use anyhow::{Result, ensure};
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::addresses::proxy-in-tcp", proxy_in_tcp));
    tests.push(Test::new("l7::addresses::proxy-in-http", proxy_in_http));
    tests.push(Test::new("l7::addresses::proxy-out-haproxy", proxy_out_haproxy));
    tests.push(Test::new("l7::addresses::client-source", client_source));
    tests.push(Test::new("l7::addresses::client-source-ipv6", client_source_ipv6));
    tests.push(Test::new("l7::addresses::client-source-edits", client_source_edits));
}

const VIP: &str = "192.168.100.100";

fn file(services: &[String]) -> String {
    super::layer7::file(services)
}

/// HAProxy in a host of its own, with these lines of configuration.
fn haproxy(host: &Host, name: &str, lines: &str, port: u16) -> Result<Process> {
    let path = host.folder().join(format!("{name}.cfg"));
    let text = format!(
        "global\n  log stderr local0 err\ndefaults\n  timeout connect 5s\n  timeout client 30s\n  \
         timeout server 30s\n{lines}\n"
    );
    std::fs::write(&path, text)?;
    let mut command = host.command("haproxy");
    command.arg("-db").arg("-f").arg(&path);
    let mut process = host.start(name, command)?;
    host.wait_port("tcp", port, &mut process)?;
    Ok(process)
}

/// A client, HAProxy in front that sends headers of this version, and the balancer behind it.
struct Front {
    lab: Lab,
    client: Host,
    front: Host,
    host: Host,
    server: Server,
}

impl Front {
    fn new() -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", "192.168.100.50/24")])?;
        let front = lab.host("front", &[Link::eth0("lan", "192.168.100.60/24")])?;
        let host = lab.balancer(&["lan"])?;
        let server = Server::new(lab.host("web1", &[Link::eth0("lan", "192.168.100.111/24")])?);
        Ok(Self { lab, client, front, host, server })
    }

    /// What the client gets of HAProxy with a server line like this.
    fn through(&self, send: &str) -> Result<String> {
        let lines = format!(
            "listen web\n  mode tcp\n  bind 192.168.100.60:8000\n  server lb {VIP}:8080 {send}"
        );
        let name = if send.is_empty() { "haproxy" } else { send };
        let mut front = haproxy(&self.front, name, &lines, 8000)?;
        let line = "curl --silent --show-error --max-time 5 http://192.168.100.60:8000/";
        let told = self.client.try_shell(line, LIMIT)?;
        front.stop(LIMIT)?;
        Ok(told.out.trim().to_owned())
    }

    fn close(self, balancer: Balancer) -> Result<()> {
        let conserved = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        drop(self.server);
        conserved.and(stopped).and(self.lab.close())
    }
}

/// What came by the header goes on by the header; who is trusted and sends none is refused, and
/// who is not is taken as it is.
fn proxy_in_tcp(_: Scale) -> Result<()> {
    let mut bed = Front::new()?;
    bed.server.web_told(&[8080])?;
    let lines = "accept_proxy_from = [\"192.168.100.60\", \"10.0.0.0/8\"]\nproxy_protocol = \"v2\"";
    let balancer = Balancer::start(&bed.host, &file(&[service("WEB", "8080", lines, &[1])]))?;
    for send in ["send-proxy", "send-proxy-v2"] {
        let told = bed.through(send)?;
        ensure!(told == "192.168.100.50 192.168.100.10 8000", "{send}: {told:?}");
    }
    let told = bed.through("")?;
    ensure!(told.is_empty(), "a trusted proxy without a header was served: {told:?}");
    let line = format!("curl --silent --show-error --max-time 5 http://{VIP}:8080/");
    let told = bed.client.shell(&line, LIMIT)?;
    ensure!(told.trim() == "192.168.100.50 192.168.100.10 8080", "{told:?}");
    // A header of somebody else is no header: nginx refuses what comes behind ours.
    let line = format!("curl --silent --max-time 5 --haproxy-protocol http://{VIP}:8080/");
    let told = bed.client.try_shell(&line, LIMIT)?;
    let text = &told.out;
    ensure!(!text.starts_with("192.168.100.50 192.168.100.10"), "believed: {text}");
    bed.close(balancer)
}

/// In HTTP mode it is the client of X-Forwarded-For, rules and persistence.
fn proxy_in_http(_: Scale) -> Result<()> {
    let mut bed = Front::new()?;
    bed.server.web_asked(&[8080])?;
    let lines = "accept_proxy_from = [\"192.168.100.60\"]\npersistence = { by = \"source-ip\" }";
    let rule = "\n  [[service.rule]]\n  source = \"192.168.100.60\"\n  deny = 403\n";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "8080", lines, &[1]) + rule]))?;
    for send in ["send-proxy", "send-proxy-v2"] {
        let told = bed.through(send)?;
        ensure!(told == "web1 192.168.100.50 http 192.168.100.60:8000", "{send}: {told:?}");
    }
    let listed = balancer.get("/api/v1/services/WEB/persistence")?;
    let clients = listed["clients"].as_array().map_or(0, Vec::len);
    ensure!(clients == 1 && listed["clients"][0]["client"] == "192.168.100.50", "{listed}");
    bed.close(balancer)
}

/// HAProxy as a real server understands both versions; nginx is in `l7::tcp::proxy-protocol`.
fn proxy_out_haproxy(_: Scale) -> Result<()> {
    let bed = Front::new()?;
    let lines = "frontend web\n  mode http\n  bind 192.168.100.111:8080 accept-proxy\n  \
                 http-request return status 200 content-type text/plain lf-string \"%[src] %[dst]\"";
    let mut real = haproxy(&bed.server.host, "haproxy", lines, 8080)?;
    for version in ["v1", "v2"] {
        let lines = format!("proxy_protocol = \"{version}\"");
        let balancer = Balancer::start(&bed.host, &file(&[service("WEB", "8080", &lines, &[1])]))?;
        let line = format!("curl --silent --show-error --max-time 5 http://{VIP}:8080/");
        let told = bed.client.shell(&line, LIMIT)?;
        ensure!(told.trim() == format!("192.168.100.50 {VIP}"), "{version}: {told:?}");
        balancer.must_conserve()?;
        balancer.stop()?;
    }
    real.stop(LIMIT)?;
    drop(bed.server);
    bed.lab.close()
}

/// Clients outside, real servers inside, whose gateway is the balancer.
struct Gateway {
    lab: Lab,
    clients: Vec<Host>,
    host: Host,
    servers: Vec<Server>,
}

const OUTSIDE: &str = "192.168.100";
const INSIDE: &str = "192.168.2";

impl Gateway {
    fn new(servers: usize) -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        lab.network("inside")?;
        let mut clients = Vec::new();
        for number in [50, 51] {
            let addresses = format!("{OUTSIDE}.{number}/24 2001:db8:100::{number}/64");
            clients.push(lab.host(&format!("client{number}"), &[Link::eth0("lan", &addresses)])?);
        }
        let host = lab.balancer(&["lan", "inside"])?;
        let mut all = Vec::new();
        for number in 1..=servers {
            let last = 110 + number;
            let addresses = format!("{INSIDE}.{last}/24 2001:db8:2::{last}/64");
            let host = lab.host(&format!("web{number}"), &[Link::eth0("inside", &addresses)])?;
            host.ip(&format!("route add default via {INSIDE}.21"))?;
            host.ip("-6 route add default via 2001:db8:2::21")?;
            let mut server = Server::new(host);
            server.web_seen(&[80])?.echo(&[4444])?;
            all.push(server);
        }
        Ok(Self { lab, clients, host, servers: all })
    }

    fn close(self, balancer: Balancer) -> Result<()> {
        let conserved = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        let left = self.host.shell("ip rule; ip -6 rule", LIMIT)?;
        drop(self.servers);
        ensure!(!left.contains("18005"), "left behind: {left}");
        conserved.and(stopped).and(self.lab.close())
    }
}

/// Two interfaces, and a service with the client's address as the source.
fn gateway_file(mode: &str, vip: &str, ports: &str, lines: &str, servers: &[&str]) -> String {
    let mut text = format!(
        "[dataplane]\nhuge_pages = false\n\n\
         [[interface]]\nname = \"eth0\"\nport = \"af_packet:lb0\"\n\
         addresses = [\"{OUTSIDE}.10/24\", \"2001:db8:100::10/64\"]\n\n\
         [[interface]]\nname = \"eth1\"\nport = \"af_packet:lb1\"\n\
         addresses = [\"{INSIDE}.21/24\", \"2001:db8:2::21/64\"]\n\n\
         [[service]]\nname = \"WEB\"\nmode = \"{mode}\"\naddress = \"{vip}\"\nports = \"{ports}\"\n\
         scheduler = \"wrr\"\nsource = \"client\"\n{lines}\ncheck = {}\n",
        crate::scene::CHECK
    );
    for (number, address) in servers.iter().enumerate() {
        text += &format!(
            "  [[service.real_server]]\n  name = \"web{}\"\n  address = \"{address}\"\n",
            number + 1
        );
    }
    text
}

fn ask(client: &Host, options: &str, vip: &str) -> Result<String> {
    let line = format!("curl --silent --show-error --max-time 5 --globoff {options} http://{vip}/");
    Ok(client.shell(&line, LIMIT)?.trim().to_owned())
}

/// From port 41000, with a second between the connection and the request.
fn ask_slowly(client: &Host) -> Result<String> {
    let request = "printf 'GET / HTTP/1.0\\r\\nHost: a\\r\\n\\r\\n'";
    let socat = format!("socat -t 5 STDIO TCP4:{VIP}:80,sourceport=41000,reuseaddr");
    let line = format!("(sleep 1; {request}; sleep 1) | {socat} | tail -n 1");
    Ok(client.shell(&line, LIMIT)?.trim().to_owned())
}

/// The real server sees the client, in both modes, for two clients that use the same port at
/// once; without a real server our own page answers.
fn client_source(_: Scale) -> Result<()> {
    let mut bed = Gateway::new(1)?;
    let inside = format!("{INSIDE}.111");
    for mode in ["l7-tcp", "l7-http"] {
        let mut balancer =
            Balancer::start(&bed.host, &gateway_file(mode, VIP, "80", "", &[&inside]))?;
        for (client, number) in bed.clients.iter().zip([50, 51]) {
            for _ in 0..3 {
                let told = ask(client, "--local-port 40000-40009", VIP)?;
                ensure!(told == format!("web1 {OUTSIDE}.{number}"), "{mode}: {told:?}");
            }
        }
        // Both are open at once, from one and the same port.
        let slow = bed.clients.iter().cloned();
        let slow = slow.map(|client| std::thread::spawn(move || ask_slowly(&client)));
        for (client, number) in slow.collect::<Vec<_>>().into_iter().zip([50, 51]) {
            let told = client.join().expect("socat's thread")?;
            ensure!(told == format!("web1 {OUTSIDE}.{number}"), "{mode}: {told:?}");
        }
        bed.servers[0].kill("web")?;
        balancer.wait_real_server("WEB", "web1", false)?;
        let page = ask(&bed.clients[0], "", VIP)?;
        ensure!(page.contains("Service unavailable"), "{mode}: {page}");
        bed.servers[0].web_seen(&[80])?;
        balancer.wait_real_server("WEB", "web1", true)?;
        balancer.must_conserve()?;
        balancer.stop()?;
    }
    let balancer = Balancer::start(&bed.host, &gateway_file("l7-tcp", VIP, "80", "", &[&inside]))?;
    bed.close(balancer)
}

fn client_source_ipv6(_: Scale) -> Result<()> {
    let bed = Gateway::new(1)?;
    let vip = "2001:db8:100::100";
    let text = gateway_file("l7-http", vip, "80", "", &["2001:db8:2::111"]);
    let balancer = Balancer::start(&bed.host, &text)?;
    for (client, number) in bed.clients.iter().zip([50, 51]) {
        let told = ask(client, "", &format!("[{vip}]"))?;
        ensure!(told == format!("web1 2001:db8:100::{number}"), "{told:?}");
    }
    bed.close(balancer)
}

/// Rules in the kernel come and go with real servers; connections of a removed one go on, and
/// control may die in between.
fn client_source_edits(_: Scale) -> Result<()> {
    let bed = Gateway::new(2)?;
    let [one, two] = [1, 2].map(|number| format!("{INSIDE}.{}", 110 + number));
    let text = |servers: &[&str]| gateway_file("l7-tcp", VIP, "4444", "", servers);
    let mut balancer = Balancer::start(&bed.host, &text(&[&one, &two]))?;
    let rules = || bed.host.shell("ip rule show table 18005", LIMIT);
    ensure!(rules()?.lines().count() == 2, "{}", rules()?);
    let mut swarm = crate::clients::Swarm::tcp(
        &bed.clients[0],
        VIP.parse()?,
        4444,
        &[format!("{OUTSIDE}.50").parse()?],
    )?;
    ensure!(swarm.open(40)?.must_be(40)?.ok.len() == 2);
    balancer.kill("fulcrum-control")?;
    swarm.ping()?.must_be(40)?;
    balancer.wait_up()?;
    ensure!(rules()?.lines().count() == 2, "after control's death: {}", rules()?);
    balancer.reload(&text(&[&one]))?;
    swarm.ping()?.must_be(40)?;
    ensure!(rules()?.contains(&two), "web2's connections lost their answers");
    swarm.close()?;
    until("the rule of a removed real server to go", Duration::from_secs(20), || {
        Ok((!rules()?.contains(&two)).then_some(()))
    })?;
    ensure!(swarm.open(10)?.must_be(10)?.ok["web1"] == 10);
    drop(swarm);
    bed.close(balancer)
}
