//! The appliance when one of its processes ends as by a crash, or a NIC is pulled out: connections
//! go on.

use super::image_deployments::{all_up, call, user_data};
use crate::clients::Swarm;
use crate::harness::Test;
use crate::lab::{Host, Lab, Link, until};
use crate::machine::{Boot, Flavour, Given, Hardware, Image, Machine, Processes};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let name = match image.flavour() {
        Flavour::Hardware => "image::processes-killed",
        Flavour::Vm => "image::vm::processes-killed",
    };
    let killed = image.clone();
    tests.push(Test::new(name, move |_| processes_killed(&killed)).only_named());
    let pulled = image.clone();
    let name = name.replace("processes-killed", "nic-pulled");
    tests.push(Test::new(name, move |_| nic_pulled(&pulled)).only_named());
}

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(240);
const BACK: Duration = Duration::from_secs(60);
/// Seconds that an answer may take: the data plane's successor has to have set up its NICs.
const PATIENCE: [&str; 2] = ["--patience", "60"];
/// Connections of each service, each time.
const MANY: u64 = 50;
const OWN: &str = "10.100.0.10";
const CLIENT: &str = "10.100.0.50";
/// What runs in the appliance beside PID 1, each to be killed in its turn. Of the proxy's
/// connections nothing is left then, and so it comes last.
const PROGRAMS: [&str; 5] =
    ["fulcrum-dataplane", "fulcrum-control", "lbwizard", "fulcrum", "fulcrum-l7"];
const INIT: i32 = 1;
/// Everything that takes what anybody sends: the API, the fallback page, and the proxy's service.
const SOCKETS: [(&str, &str); 4] = [
    ("tcp", "0.0.0.0:9443"),
    ("tcp6", "[::]:9443"),
    ("tcp6", "[::]:9081"),
    ("tcp", "10.100.0.102:4444"),
];
/// The NIC that nobody needs.
const SPARE: usize = 2;
const SERVICES: [(&str, &str, &str, &str); 3] = [
    ("DR", "l4-dr", "10.100.0.100", "10.100.0.110"),
    ("NAT", "l4-nat", "10.100.0.101", "10.2.0.110"),
    ("PROXY", "l7-tcp", "10.100.0.102", "10.100.0.110"),
];

fn config() -> String {
    let mut text = format!(
        "[dataplane]
table_entries = 100_000
[[interface]]
name = \"eth0\"
port = \"0000:00:02.0\"
addresses = [\"{OWN}/16\"]
[[interface]]
name = \"eth1\"
port = \"0000:00:03.0\"
addresses = [\"10.2.0.21/16\"]
"
    );
    for (name, mode, vip, real) in SERVICES {
        text += &format!(
            "[[service]]
name = \"{name}\"
mode = \"{mode}\"
address = \"{vip}\"
ports = \"4444\"
  [[service.real_server]]
  name = \"WEB\"
  address = \"{real}\"
"
        );
    }
    text
}

/// A client, and the real servers of all services.
struct Bed {
    lab: Lab,
    client: Host,
    /// Held: they serve until then.
    servers: [Server; 2],
}

impl Bed {
    fn new(networks: &[&str]) -> Result<Self> {
        let mut lab = Lab::new()?;
        networks.iter().try_for_each(|network| lab.network(network))?;
        let client = lab.host("client", &[Link::eth0("lan", &format!("{CLIENT}/16"))])?;
        let mut near = Server::new(lab.host("web1", &[Link::eth0("lan", "10.100.0.110/16")])?);
        let mut far = Server::new(lab.host("web2", &[Link::eth0("inside", "10.2.0.110/16")])?);
        far.host.ip("route add default via 10.2.0.21")?;
        near.carry(&["10.100.0.100".parse()?])?;
        near.echo(&[4444])?;
        far.echo(&[4444])?;
        Ok(Self { lab, client, servers: [near, far] })
    }

    /// Does this to the appliance while it is on.
    fn run(
        self,
        image: &Image,
        hardware: &Hardware,
        config: &str,
        act: fn(&mut Machine, &Host) -> Result<()>,
    ) -> Result<()> {
        let given = user_data(config);
        let mut machine = Machine::start(&self.lab, image, hardware, &Given::Fat(&given))?;
        act(&mut machine, &self.client).with_context(|| machine.serial())?;
        machine.power_button(Duration::from_secs(60))?;
        drop(self.servers);
        self.lab.close()
    }
}

fn processes_killed(image: &Image) -> Result<()> {
    let nics = [("lan", "virtio-net-pci"), ("inside", "virtio-net-pci")];
    let hardware = Hardware { is_manned: true, ..Hardware::new(Boot::Direct, &nics) };
    Bed::new(&["lan", "inside"])?.run(image, &hardware, &config(), kill_all)
}

fn kill_all(machine: &mut Machine, client: &Host) -> Result<()> {
    wait_up(machine, client)?;
    let known: BTreeSet<&str> = PROGRAMS.into_iter().chain(["init"]).collect();
    let found = until("all programs, and no other", BACK, || {
        let found = machine.processes()?;
        let names: BTreeSet<&str> = found.values().map(String::as_str).collect();
        Ok((found.len() == known.len() && names == known).then_some(found))
    })?;
    ensure!(machine.kill(INIT)? == found, "PID 1 can be killed from inside");

    let sockets = machine.sockets()?;
    let expected = SOCKETS.map(|(protocol, place)| Ok((protocol.to_owned(), place.parse()?)));
    ensure!(sockets == expected.into_iter().collect::<Result<_>>()?, "sockets: {sockets:?}");

    let mut swarms = Vec::new();
    for (service, _, vip, _) in SERVICES {
        let target = SocketAddr::new(vip.parse()?, 4444);
        swarms.push((service, Swarm::start(client, &PATIENCE, target, &[CLIENT.parse()?])?));
    }
    let mut held = 0;
    for program in PROGRAMS {
        wait_up(machine, client)?;
        for (service, swarm) in &mut swarms {
            swarm.open(MANY)?.must_be(MANY).with_context(|| format!("{service}, opened"))?;
        }
        held += MANY;
        let took = kill(machine, program)?;
        println!("  {program}: another one after {:.1} s", took.as_secs_f64());
        for (service, swarm) in &mut swarms {
            let round = swarm.ping()?;
            match (program, *service) {
                ("fulcrum-l7", "PROXY") => ensure!(round.bad() == held, "{round:?}"),
                _ => drop(round.must_be(held).with_context(|| format!("{service}, {program}"))?),
            }
        }
    }
    let (_, proxied) = swarms.last_mut().context("no service")?;
    until("the proxy's service", BACK, || Ok((proxied.open(1)?.good() == 1).then_some(())))
}

/// Waits until there is nothing left to be mended.
fn wait_up(machine: &mut Machine, client: &Host) -> Result<()> {
    let up = || call(client, OWN, "GET", "services", None).is_ok_and(|answer| all_up(&answer));
    until("all real servers up", BOOT, || machine.must_run().map(|()| up().then_some(())))
}

/// Ends a program, and waits until another process runs it. How long that took.
fn kill(machine: &mut Machine, program: &str) -> Result<Duration> {
    let of = |processes: &Processes| -> Vec<i32> {
        processes.iter().filter(|(_, name)| *name == program).map(|(pid, _)| *pid).collect()
    };
    let before = of(&machine.processes()?);
    let begun = Instant::now();
    for pid in &before {
        machine.kill(*pid)?;
    }
    until(&format!("another {program}"), BACK, || {
        let after = of(&machine.processes()?);
        Ok((!after.is_empty() && after.iter().all(|pid| !before.contains(pid))).then_some(()))
    })?;
    Ok(begun.elapsed())
}

/// A NIC that nobody needs is pulled out; the others go on.
fn nic_pulled(image: &Image) -> Result<()> {
    let nics = ["lan", "inside", "spare"].map(|network| (network, "virtio-net-pci"));
    let hardware =
        Hardware { has_slots: true, is_manned: true, ..Hardware::new(Boot::Direct, &nics) };
    let config =
        config().replace("0000:00:02.0", "0000:01:00.0").replace("0000:00:03.0", "0000:02:00.0");
    let spare = "[[interface]]
name = \"eth2\"
port = \"0000:03:00.0\"
addresses = [\"10.3.0.21/16\"]
[[service]]";
    let config = config.replacen("[[service]]", spare, 1);
    Bed::new(&["lan", "inside", "spare"])?.run(image, &hardware, &config, pull)
}

fn pull(machine: &mut Machine, client: &Host) -> Result<()> {
    wait_up(machine, client)?;
    let target = SocketAddr::new("10.100.0.101".parse()?, 4444);
    let mut swarm = Swarm::start(client, &PATIENCE, target, &[CLIENT.parse()?])?;
    swarm.open(MANY)?.must_be(MANY)?;
    let dataplane =
        || -> Result<Value> { Ok(call(client, OWN, "GET", "status", None)?["dataplane"].clone()) };
    let before = dataplane()?;
    swarm.pump(15)?;
    machine.pull(SPARE)?;
    swarm.answer()?.must_be(MANY)?;
    swarm.open(MANY)?.must_be(MANY)?;
    // The system asks back what it has handed out, and waits.
    until("the NIC is given back", BACK, || Ok((!machine.has(SPARE)?).then_some(())))?;
    let reported = || {
        until("the NIC is reported as removed", BACK, || {
            let after = dataplane()?;
            Ok((after["ports"][SPARE]["removed"] == true).then_some(after))
        })
    };
    let after = reported()?;
    ensure!(after["pid"] == before["pid"], "the data plane died: {after}");
    spare_must_be_removed(&after)?;
    let said = || machine.serial().matches(REMOVED).count();
    ensure!(said() == 1, "said {} times: {REMOVED}", said());

    // Another one finds two NICs, and goes on with what it has.
    kill(machine, "fulcrum-dataplane")?;
    wait_up(machine, client)?;
    swarm.ping()?.must_be(2 * MANY)?;
    spare_must_be_removed(&reported()?)?;
    ensure!(machine.serial().matches(REMOVED).count() == 2, "its successor does not say it");
    Ok(())
}

const REMOVED: &str = "eth2: 0000:03:00.0 was taken out of the machine; the other ports go on";

fn spare_must_be_removed(dataplane: &Value) -> Result<()> {
    let ports = dataplane["ports"].as_array().context("no ports")?;
    let are = |key: &str| -> Vec<bool> { ports.iter().map(|port| port[key] == true).collect() };
    ensure!(are("removed") == [false, false, true], "{dataplane}");
    ensure!(are("link_up") == [true, true, false], "{dataplane}");
    Ok(())
}
