//! Services of layer 7: the client's connection ends at the balancer, and its bytes go on.

mod http2;
mod http2_peers;
mod http2_servers;
mod schedulers;

use crate::balancer::Balancer;
use crate::clients::{self, Swarm};
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, until};
use crate::scene::CHECK;
use crate::servers::{BigFile, Server};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::tcp::web", web));
    tests.push(Test::new("l7::tcp::streams", streams));
    tests.push(Test::new("l7::tcp::proxy-protocol", proxy_protocol));
    tests.push(Test::new("l7::tcp::drain-and-halt", drain_and_halt));
    tests.push(Test::new("l7::tcp::limit-and-queue", limit_and_queue));
    tests.push(Test::new("l7::tcp::persistence", persistence));
    tests.push(Test::new("l7::tcp::edits", edits));
    tests.push(Test::new("l7::tcp::removed-service-drains", removed_service_drains));
    tests.push(Test::new("l7::tcp::proxy-killed", proxy_killed));
    tests.push(Test::new("l7::tcp::control-killed", control_killed));
    tests.push(Test::new("l7::tcp::dataplane-killed", dataplane_killed));
    tests.push(Test::new("l7::tcp::supervisor-killed", supervisor_killed));
    tests.push(Test::new("l7::http::requests", requests));
    tests.push(Test::new("l7::http::cookie", cookie));
    tests.push(Test::new("l7::http::edits", http_edits));
    http2::add(tests);
    http2_peers::add(tests);
    http2_servers::add(tests);
    schedulers::add(tests);
}

pub const VIP: &str = "192.168.100.100";
pub const LIMIT: Duration = Duration::from_secs(30);

/// A client, a balancer with one arm, and real servers.
pub struct Bed {
    pub lab: Lab,
    pub client: Host,
    pub host: Host,
    pub servers: Vec<Server>,
}

impl Bed {
    /// So many real servers without a daemon, `web1` at 192.168.100.111 and so on.
    pub fn new(servers: usize) -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", "192.168.100.50/24")])?;
        let host = lab.balancer(&["lan"])?;
        let server = |number| -> Result<Server> {
            let address = format!("192.168.100.{}/24", 110 + number);
            Ok(Server::new(lab.host(&format!("web{number}"), &[Link::eth0("lan", &address)])?))
        };
        let servers = (1..=servers).map(server).collect::<Result<_>>()?;
        Ok(Self { lab, client, host, servers })
    }

    /// With our own server on port 4444 of each.
    pub fn echo(servers: usize) -> Result<Self> {
        let mut bed = Self::new(servers)?;
        for server in &mut bed.servers {
            server.echo(&[4444])?;
        }
        Ok(bed)
    }

    fn swarm(&self) -> Result<Swarm> {
        Swarm::tcp(&self.client, vip(), 4444, &["192.168.100.50".parse()?])
    }

    /// Another one, from an address of its own.
    fn second_swarm(&self) -> Result<Swarm> {
        self.client.ip("addr add 192.168.100.51/24 dev eth0")?;
        Swarm::tcp(&self.client, vip(), 4444, &["192.168.100.51".parse()?])
    }

    pub fn close(self, balancer: Balancer) -> Result<()> {
        let conserved = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        drop(self.servers);
        conserved.and(stopped).and(self.lab.close())
    }
}

pub fn vip() -> IpAddr {
    VIP.parse().expect("an address")
}

/// A file with one interface and these services.
pub fn file(services: &[String]) -> String {
    let head = "[dataplane]\nhuge_pages = false\n\n[[interface]]\nname = \"eth0\"\n\
                port = \"af_packet:lb0\"\naddresses = [\"192.168.100.10/24\"]\n";
    format!("{head}{}", services.concat())
}

/// A service with these lines, and real servers by number.
pub fn service(name: &str, ports: &str, lines: &str, servers: &[usize]) -> String {
    let mut text = format!(
        "\n[[service]]\nname = \"{name}\"\nmode = \"l7-tcp\"\naddress = \"{VIP}\"\n\
         ports = \"{ports}\"\nscheduler = \"wrr\"\ncheck = {CHECK}\n{lines}\n"
    );
    for number in servers {
        text += &real_server(*number, 100);
    }
    text
}

fn real_server(number: usize, weight: u16) -> String {
    format!(
        "  [[service.real_server]]\n  name = \"web{number}\"\n  \
         address = \"192.168.100.{}\"\n  weight = {weight}\n",
        110 + number
    )
}

fn echo(servers: &[usize]) -> String {
    file(&[service("ECHO", "4444", "", servers)])
}

/// The same of HTTP mode.
pub fn http(name: &str, ports: &str, lines: &str, servers: &[usize]) -> String {
    service(name, ports, lines, servers).replace("l7-tcp", "l7-http")
}

/// What curl gets for so many requests over one connection.
pub fn curl(client: &Host, options: &str, requests: usize) -> Result<Vec<String>> {
    let line =
        format!("curl --silent --show-error --max-time 20 {options} 'http://{VIP}/[1-{requests}]'");
    Ok(client.shell(&line, LIMIT)?.lines().map(str::to_owned).collect())
}

/// Requests of one client connection over HTTP/1.
fn requests(_: Scale) -> Result<()> {
    let ask = |client: &Host, count| curl(client, "--header 'X-Forwarded-For: 203.0.113.7'", count);
    shared_out(ask, &format!("203.0.113.7, 192.168.100.50 http {VIP}"), clients::http_big)
}

/// Requests of one client connection are shared out one by one; each tells whom it is for. When a
/// real server dies none fails, and what is large arrives whole. `ask` asks so many times for the
/// page that tells how the client came, which is `told`; `fetch` gets what is large.
fn shared_out(
    ask: impl Fn(&Host, usize) -> Result<Vec<String>>,
    told: &str,
    fetch: impl Fn(&Host, IpAddr, u16, &BigFile) -> Result<f64>,
) -> Result<()> {
    let mut bed = Bed::new(2)?;
    let big = BigFile::write(bed.lab.folder(), 100)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let slow = "check = { type = \"connect\", interval = \"2s\", timeout = \"1s\", fall = 2 }";
    let text = file(&[http("WEB", "80", "", &[1, 2])]).replace(&format!("check = {CHECK}"), slow);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let asked = ask(&bed.client, 40)?;
    for name in ["web1", "web2"] {
        let told = format!("{name} {told}");
        let count = asked.iter().filter(|line| **line == told).count();
        ensure!(count == 20, "{count} times {told:?} among {asked:?}");
    }
    bed.servers[0].kill("web")?;
    let asked = ask(&bed.client, 50)?;
    ensure!(asked.len() == 50 && asked.iter().all(|line| line.starts_with("web2 ")), "{asked:?}");
    balancer.wait_real_server("WEB", "web1", false)?;
    bed.servers[1].kill("web")?;
    bed.servers[1].web(&[80], Some(&big), None)?;
    fetch(&bed.client, vip(), 80, &big)?;
    bed.close(balancer)
}

/// A client that brings our cookie stays at its real server; one without is shared out.
fn cookie(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let lines = "http = { cookie = \"SRV\" }";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1, 2, 3])]))?;
    let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    for client in 0..6 {
        let jar = bed.client.folder().join(format!("jar{client}"));
        let options = format!("--cookie {0} --cookie-jar {0}", jar.display());
        let mut asked = curl(&bed.client, &options, 10)?;
        asked.extend(curl(&bed.client, &options, 10)?);
        let mut names: Vec<_> = asked.iter().map(name).collect();
        names.dedup();
        ensure!(asked.len() == 20 && names.len() == 1, "{names:?}");
    }
    let mut names: Vec<_> = curl(&bed.client, "", 30)?.iter().map(name).collect();
    names.sort();
    names.dedup();
    ensure!(names.len() == 3, "without a cookie: {names:?}");
    bed.close(balancer)
}

/// A client of HTTP/1 who goes on asking.
fn http_edits(_: Scale) -> Result<()> {
    edited_under(|client| {
        let asked = curl(&client, "--rate 100/s", 600)?;
        let well = |line: &String| line.starts_with("web") && line.ends_with(VIP);
        ensure!(asked.len() == 600 && asked.iter().all(well), "{} of 600: {asked:?}", asked.len());
        ensure!(asked.iter().any(|line| line.starts_with("web3")), "nobody came to web3");
        Ok(())
    })
}

/// Weights, new and removed real servers, a timeout, while `load` asks for some six seconds: it
/// says whether all went well.
fn edited_under(load: fn(Host) -> Result<()>) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let text = |lines: &str, servers: &[usize]| file(&[http("WEB", "80", lines, servers)]);
    let first = text("", &[1, 2]);
    let balancer = Balancer::start(&bed.host, &first)?;
    let asking = bed.client.clone();
    let load = thread::spawn(move || load(asking));
    for edit in [
        first.replacen("weight = 100", "weight = 1", 1),
        text("", &[1, 2, 3]),
        text("http = { keep_alive_timeout = \"30s\" }", &[1, 2, 3]),
        text("", &[2, 3]),
    ] {
        thread::sleep(Duration::from_secs(1)); // requests under each of them
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edit}))?;
        ensure!(plan["breaks"] == 0, "{plan}");
        balancer.reload(&edit)?;
    }
    load.join().expect("the load's thread")?;
    bed.close(balancer)
}

/// No request fails when a real server dies, whether or not its check knows already; without any,
/// our own page answers.
fn web(_: Scale) -> Result<()> {
    let mut bed = Bed::new(2)?;
    for server in &mut bed.servers {
        server.web(&[80], None, None)?;
    }
    let slow = "check = { type = \"connect\", interval = \"2s\", timeout = \"1s\", fall = 2 }";
    let text =
        file(&[service("WEB", "80", "", &[1, 2])]).replace(&format!("check = {CHECK}"), slow);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    clients::http_names(&bed.client, vip(), 80, 50)?.must_reach(2)?;
    bed.servers[0].kill("web")?;
    clients::http_names(&bed.client, vip(), 80, 50)?.must_reach(1)?;
    balancer.wait_real_server("WEB", "web1", false)?;
    let listed = balancer.real_server("WEB", "web2")?;
    ensure!(listed["total"].as_u64() >= Some(75), "web2 is listed with {listed}");
    bed.servers[1].kill("web")?;
    balancer.wait_real_server("WEB", "web2", false)?;
    let line = format!("curl --silent --max-time 5 --write-out '%{{http_code}}' http://{VIP}/name");
    let page = bed.client.shell(&line, LIMIT)?;
    ensure!(page.contains("Service unavailable") && page.ends_with("503"), "{page}");
    bed.close(balancer)
}

/// 100 MiB both ways, over a connection whose sending side the client then closes, and 100 MiB
/// from a web server.
fn streams(_: Scale) -> Result<()> {
    let mut bed = Bed::echo(1)?;
    let big = BigFile::write(bed.lab.folder(), 100)?;
    bed.servers[0].web(&[80], Some(&big), None)?;
    let services = [service("ECHO", "4444", "", &[1]), service("WEB", "80", "", &[1])];
    let balancer = Balancer::start(&bed.host, &file(&services))?;
    // The first line is the server's name, `web1`.
    let line = format!(
        "socat -t 120 STDIO TCP4:{VIP}:4444 <{} | tail -c +6 | openssl dgst -sha256 -r",
        big.path().display()
    );
    let found = bed.client.shell(&line, Duration::from_secs(200))?;
    ensure!(found.starts_with(big.sha256()), "{found} came back, {} was sent", big.sha256());
    clients::http_big(&bed.client, vip(), 80, &big)?;
    let listed = balancer.real_server("ECHO", "web1")?;
    let count = |key: &str| listed[key].as_u64().unwrap_or_default();
    ensure!(count("bytes") == big.bytes(), "{listed}");
    ensure!(count("reply_bytes") == big.bytes() + 5, "{listed}");
    bed.close(balancer)
}

/// The real server learns the client's address, and says it back.
fn proxy_protocol(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    bed.servers[0].web_told(&[8080])?;
    for version in ["v1", "v2"] {
        // The check opens connections without a header, which is no request to nginx.
        let lines = format!("proxy_protocol = \"{version}\"");
        let balancer = Balancer::start(&bed.host, &file(&[service("WEB", "8080", &lines, &[1])]))?;
        let line = format!("curl --silent --show-error --max-time 5 http://{VIP}:8080/");
        let told = bed.client.shell(&line, LIMIT)?;
        let (client, rest) = told.trim().split_once(' ').context("two words")?;
        ensure!(client == "192.168.100.50" && rest.ends_with(" 8080"), "{version}: {told}");
        ensure!(rest.starts_with("192.168.100.10 "), "we come from {rest}");
        balancer.must_conserve()?;
        balancer.stop()?;
    }
    drop(bed.servers);
    bed.lab.close()
}

fn drain_and_halt(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let balancer = Balancer::start(&bed.host, &echo(&[1, 2]))?;
    let mut swarm = bed.swarm()?;
    ensure!(swarm.open(100)?.must_be(100)?.ok.len() == 2);
    let of_web1 = swarm.ping()?.must_be(100)?.ok["web1"];
    balancer.command(&["real-server", "drain", "ECHO", "web1"])?;
    ensure!(swarm.open(20)?.must_be(20)?.ok["web2"] == 20, "a drained server got a connection");
    swarm.ping()?.must_be(120)?;
    balancer.command(&["real-server", "halt", "ECHO", "web1"])?;
    let round = swarm.ping()?;
    ensure!(round.ok == [("web2".into(), 120 - of_web1)].into(), "{:?}", round.ok);
    balancer.command(&["real-server", "online", "ECHO", "web1"])?;
    ensure!(swarm.open(20)?.must_be(20)?.ok.contains_key("web1"));
    drop(swarm);
    bed.close(balancer)
}

/// A full real server takes nobody; who waits gets the next place.
fn limit_and_queue(_: Scale) -> Result<()> {
    let bed = Bed::echo(1)?;
    let lines = "queue = { length = 5, timeout = \"20s\" }\nmax_connections = 30";
    let balancer = Balancer::start(&bed.host, &file(&[service("ECHO", "4444", lines, &[1])]))?;
    let (mut swarm, mut second) = (bed.swarm()?, bed.second_swarm()?);
    swarm.open(30)?.must_be(30)?;
    second.begin_open(8)?;
    let queued = "fulcrum_service_queued_connections{service=\"ECHO\",mode=\"l7-tcp\"}";
    until("a queue of five", LIMIT, || Ok((metric(&balancer, queued)? == 5.0).then_some(())))?;
    swarm.close()?;
    let round = second.answer()?;
    ensure!((round.good(), round.bad()) == (5, 3), "{round:?}");
    let full = "fulcrum_service_failed_connections_total{service=\"ECHO\",mode=\"l7-tcp\",\
                reason=\"queue-full\"}";
    ensure!(metric(&balancer, full)? == 3.0);
    drop((swarm, second));
    bed.close(balancer)
}

/// A sample of `/metrics`.
pub fn metric(balancer: &Balancer, series: &str) -> Result<f64> {
    let text = balancer.metrics()?;
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.with_context(|| format!("no {series}"))?.trim().parse().context("a number")
}

/// A client stays with its real server until it is forgotten; the table is read and cleared.
fn persistence(_: Scale) -> Result<()> {
    let bed = Bed::echo(3)?;
    let lines = "persistence = { by = \"source-ip\", timeout = \"1h\" }";
    let text = file(&[service("ECHO", "4444", lines, &[1, 2, 3])]);
    let balancer = Balancer::start(&bed.host, &text)?;
    let (mut one, mut other) = (bed.swarm()?, bed.second_swarm()?);
    let place = |swarm: &mut Swarm| -> Result<String> {
        let round = swarm.open(20)?;
        let names: Vec<_> = round.must_be(20)?.ok.keys().cloned().collect();
        ensure!(names.len() == 1, "one client went to {names:?}");
        Ok(names[0].clone())
    };
    let (first, second) = (place(&mut one)?, place(&mut other)?);
    let path = "/api/v1/services/ECHO/persistence";
    let listed = balancer.get(path)?;
    for (address, name) in [("192.168.100.50", &first), ("192.168.100.51", &second)] {
        let clients = listed["clients"].as_array().context("clients")?;
        let row =
            clients.iter().find(|row| row["client"] == address).context(listed.to_string())?;
        ensure!(row["real_server"] == **name, "{row}");
        let expires = row["expires_s"].as_u64().unwrap_or_default();
        ensure!((3_500..=3_600).contains(&expires), "{row}");
    }
    let paged = balancer.get(&format!("{path}?limit=1"))?;
    ensure!(paged["clients"].as_array().is_some_and(|rows| rows.len() == 1), "{paged}");
    let rest = balancer.get(&format!("{path}?limit=9&cursor={}", paged["next"]))?;
    ensure!(rest["clients"].as_array().is_some_and(|rows| rows.len() == 1), "{rest}");
    balancer.command(&["persistence", "ECHO", "--clear", "--client", "192.168.100.50"])?;
    let left = balancer.get(path)?;
    ensure!(left["clients"][0]["client"] == "192.168.100.51", "{left}");
    ensure!(place(&mut other)? == second, "the other one was moved");
    balancer.command(&["persistence", "ECHO", "--clear"])?;
    ensure!(balancer.get(path)?["clients"] == json!([]));
    drop((one, other));
    bed.close(balancer)
}

/// Weights, new and removed real servers: none of the open sessions notices.
fn edits(_: Scale) -> Result<()> {
    let bed = Bed::echo(3)?;
    let text = echo(&[1, 2]);
    let balancer = Balancer::start(&bed.host, &text)?;
    let (mut swarm, mut second) = (bed.swarm()?, bed.second_swarm()?);
    swarm.open(200)?.must_be(200)?;
    swarm.pump(8)?;
    let other = text.replacen("weight = 100", "weight = 1", 1);
    for (edit, servers) in [(&other, 2), (&echo(&[1, 2, 3]), 3), (&echo(&[2, 3]), 2)] {
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edit}))?;
        ensure!(plan["breaks"] == 0, "{plan}");
        balancer.reload(edit)?;
        until("every real server in use", LIMIT, || {
            let round = second.open(30)?;
            Ok((round.must_be(30)?.ok.len() == servers).then_some(()))
        })?;
    }
    let round = second.open(30)?;
    ensure!(!round.must_be(30)?.ok.contains_key("web1"), "a removed server got {:?}", round.ok);
    swarm.answer()?.must_be(200)?;
    let of_web1 = swarm.ping()?.must_be(200)?.ok["web1"];
    // What would be cut is said, and cut.
    let halted = echo(&[2, 3]).replacen("weight = 100", "state = \"halt\"", 1);
    let plan = balancer.post("/api/v1/config/plan", &json!({"text": halted}))?;
    balancer.reload(&halted)?;
    let broken = swarm.ping()?.bad() + second.ping()?.bad();
    ensure!(broken >= 200 - of_web1 && plan["breaks"] == broken, "{broken} broke; {plan}");
    drop((swarm, second));
    bed.close(balancer)
}

/// Its connections go on, on an address that has no service any more; then the address goes.
fn removed_service_drains(_: Scale) -> Result<()> {
    let bed = Bed::echo(1)?;
    let balancer = Balancer::start(&bed.host, &echo(&[1]))?;
    let mut swarm = bed.swarm()?;
    swarm.open(50)?.must_be(50)?;
    let has_vip = || Ok::<_, anyhow::Error>(bed.host.ip("addr show dev eth0")?.contains(VIP));
    balancer.reload(&file(&[]))?;
    swarm.ping()?.must_be(50)?;
    ensure!(has_vip()?, "{VIP} went away under its connections");
    ensure!(bed.second_swarm()?.open(1)?.bad() == 1, "a removed service took a connection");
    swarm.close()?;
    until("an address that nobody needs to go", LIMIT, || Ok((!has_vip()?).then_some(())))?;
    drop(swarm);
    bed.close(balancer)
}

/// The proxy dies: its connections are lost, and within two seconds there are new ones.
fn proxy_killed(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let mut balancer = Balancer::start(&bed.host, &echo(&[1, 2]))?;
    let mut swarm = bed.swarm()?;
    swarm.open(20)?.must_be(20)?;
    let pid = |balancer: &Balancer| -> Result<Value> {
        Ok(balancer.get("/api/v1/status")?["layer7"]["pid"].clone())
    };
    let before = pid(&balancer)?;
    balancer.kill("fulcrum-l7")?;
    let begun = Instant::now();
    let mut second = bed.second_swarm()?;
    until("the service to be back", LIMIT, || Ok((second.open(1)?.good() == 1).then_some(())))?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(2), "the service was back after {took:?}");
    balancer.wait_up()?;
    ensure!(pid(&balancer)? != before && swarm.ping()?.bad() == 20);
    drop((swarm, second));
    bed.close(balancer)
}

/// Without control everything goes on; its successor changes nothing.
fn control_killed(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let mut balancer = Balancer::start(&bed.host, &echo(&[1, 2]))?;
    let (mut busy, mut new) = (bed.swarm()?, bed.second_swarm()?);
    busy.open(200)?.must_be(200)?;
    balancer.command(&["real-server", "drain", "ECHO", "web2"])?;
    busy.pump(4)?;
    balancer.kill("fulcrum-control")?;
    ensure!(new.open(50)?.must_be(50)?.ok["web1"] == 50, "without control");
    balancer.wait_up()?;
    busy.answer()?.must_be(200)?;
    ensure!(new.open(50)?.must_be(50)?.ok["web1"] == 50, "a drained server got a connection");
    let listed = balancer.real_server("ECHO", "web1")?;
    ensure!(listed["connections"] == 200, "{listed}");
    drop((busy, new));
    bed.close(balancer)
}

/// The companion interface goes with the data plane, and with it what the kernel knows of the
/// network, until control has told it again. Whoever comes meanwhile waits; nobody is sent away.
fn dataplane_killed(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let mut balancer = Balancer::start(&bed.host, &echo(&[1, 2]))?;
    bed.client.ip("addr add 192.168.100.51/24 dev eth0")?;
    let patient = |source: &str| {
        let target = (vip(), 4444).into();
        Swarm::start(&bed.client, &["--patience", "40"], target, &[source.parse()?])
    };
    let (mut old, mut new) = (patient("192.168.100.50")?, patient("192.168.100.51")?);
    old.open(200)?.must_be(200)?;
    balancer.signal("fulcrum-control", Signal::STOP)?;
    balancer.kill("fulcrum-dataplane")?;
    old.pump(8)?;
    new.begin_open(200)?;
    // On a slow machine it takes that long.
    thread::sleep(Duration::from_secs(2));
    balancer.signal("fulcrum-control", Signal::CONT)?;
    new.answer()?.must_be(200)?;
    for _ in 0..100 {
        new.open(10)?.must_be(10)?;
        thread::sleep(Duration::from_millis(20));
    }
    old.answer()?.must_be(200)?;
    balancer.wait_up()?;
    drop((old, new));
    bed.close(balancer)
}

/// The proxy that was left behind hands its listening sockets over, and ends with its sessions.
fn supervisor_killed(_: Scale) -> Result<()> {
    let bed = Bed::echo(2)?;
    let mut balancer = Balancer::start(&bed.host, &echo(&[1, 2]))?;
    let (mut old, mut new) = (bed.swarm()?, bed.second_swarm()?);
    old.open(100)?.must_be(100)?;
    let [before] = balancer.pids("fulcrum-l7")?[..] else { bail!("not one proxy") };
    balancer.kill("fulcrum")?;
    balancer.begin_again()?;
    until("another proxy", LIMIT, || {
        Ok(balancer.pids("fulcrum-l7")?.iter().any(|pid| *pid != before).then_some(()))
    })?;
    balancer.wait_up()?;
    old.ping()?.must_be(100)?;
    new.open(100)?.must_be(100)?;
    old.close()?;
    until("the old proxy's end", LIMIT, || {
        Ok((!balancer.pids("fulcrum-l7")?.contains(&before)).then_some(()))
    })?;
    new.ping()?.must_be(100)?;
    drop((old, new));
    bed.close(balancer)
}
