//! The appliance with little memory, and as many connections as it is to have then.

use super::image_deployments::{call, user_data};
use crate::clients::{self, Swarm};
use crate::harness::Test;
use crate::lab::{Lab, Link, until};
use crate::machine::{Boot, Flavour, Given, Hardware, Image, Machine};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

/// Memory in MiB, and connections.
const SIZES: [(u32, u64); 2] = [(512, 100_000), (1024, 1_000_000)];

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let prefix = match image.flavour() {
        Flavour::Hardware => "image",
        Flavour::Vm => "image::vm",
    };
    for (mebibytes, connections) in SIZES {
        let image = image.clone();
        let name = format!("{prefix}::memory::{mebibytes}");
        let test = Test::new(name, move |_| memory(&image, mebibytes, connections));
        tests.push(test.only_named());
    }
}

/// Under emulation, on a machine with other things to do.
const BOOT: Duration = Duration::from_secs(120);
const FILLED: Duration = Duration::from_secs(240);
const OWN: &str = "10.100.0.10";
const VIP: &str = "10.100.0.100";

fn config(connections: u64) -> String {
    format!(
        "[dataplane]
table_entries = {connections}
[[interface]]
name = \"eth0\"
port = \"0000:00:02.0\"
addresses = [\"{OWN}/16\"]
[[service]]
name = \"ECHO\"
mode = \"l4-dr\"
address = \"{VIP}\"
ports = \"4444\"
check = {{ type = \"connect\", timeout = \"10s\", interval = \"20s\" }}
timeouts = {{ tcp_opening = \"30m\" }}
  [[service.real_server]]
  name = \"WEB1\"
  address = \"10.100.0.110\"
"
    )
}

/// Connections that were begun fill the table but for a twentieth; real ones come beside them.
fn memory(image: &Image, mebibytes: u32, connections: u64) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    let web = lab.host("web1", &[Link::eth0("lan", "10.100.0.110/16")])?;
    web.ip("route add blackhole 11.0.0.0/8")?;
    let mut server = Server::new(web);
    let vip: IpAddr = VIP.parse()?;
    server.carry(&[vip])?;
    server.echo(&[4444])?;

    let nics = [("lan", "virtio-net-pci")];
    let hardware = Hardware { memory: mebibytes, ..Hardware::new(Boot::Bios, &nics) };
    let given = user_data(&config(connections));
    let mut machine = Machine::start(&lab, image, &hardware, &Given::BootFile(&given))?;
    let table = |key: &str| -> Result<u64> {
        let counters = call(&client, OWN, "GET", "counters", None)?;
        counters["table"][key].as_u64().with_context(|| format!("no {key} in {counters}"))
    };
    let booted = until("the API", BOOT, || {
        machine.must_run()?;
        Ok(table("connections").ok())
    });
    booted.with_context(|| machine.serial())?;

    let wanted = connections / 20 * 19;
    let mut there = 0;
    let filled = until("a full table", FILLED, || {
        machine.must_run()?;
        // The same ones each time: what was lost on the way comes anew.
        clients::flood(&client, vip, 4444, connections / 100 * 97)?.wait(FILLED)?;
        there = table("connections")?;
        Ok((there >= wanted).then_some(()))
    });
    filled.with_context(|| format!("{there} of {wanted}:\n{}", machine.serial()))?;
    let mut swarm = Swarm::tcp(&client, vip, 4444, &["10.100.0.50".parse()?])?;
    swarm.open(100)?.must_be(100)?;
    swarm.ping()?.must_be(100)?;
    print!("\n  {there} connections; their table has {} MiB\n", table("bytes")? >> 20);
    machine.power_button(Duration::from_secs(60))?;
    let serial = machine.serial();
    for trouble in ["Out of memory", "too little memory", "oom-kill", "allocation failure"] {
        ensure!(!serial.contains(trouble), "{trouble}:\n{serial}");
    }
    drop((swarm, server));
    lab.close()
}
