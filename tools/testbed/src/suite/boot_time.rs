//! From power-on to the first balanced packet, from disk by BIOS, and where the time goes.

use super::image::{ASK, PORTS, VIP, config};
use crate::harness::Test;
use crate::lab::{Lab, Link, until};
use crate::machine::{Boot, Flavour, Given, Hardware, Image, Machine};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// Adds this part.
pub fn add(tests: &mut Vec<Test>, image: &Image) {
    let name = match image.flavour() {
        Flavour::Hardware => "image::boot-time",
        Flavour::Vm => "image::vm::boot-time",
    };
    let image = image.clone();
    tests.push(Test::new(name, move |_| boot_time(&image)).only_named());
}

/// What the machine is to take under emulation, on two processors without other work.
fn target(flavour: Flavour) -> Duration {
    match flavour {
        Flavour::Hardware => Duration::from_secs(10),
        Flavour::Vm => Duration::from_secs(5),
    }
}

/// How much longer than that it may take here: others may be at work.
const LENIENCE: u32 = 3;
/// The lines that a stage ends with.
const STAGES: [(&str, &str); 4] = [
    ("kernel", "init: Fulcrum starts"),
    ("init, to the state partition", "init: state on"),
    ("programs, to the first port", "dataplane::ports] eth0"),
    ("the real server is up", "real server WEB1: up"),
];

fn boot_time(image: &Image) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    lab.network("inside")?;
    let client = lab.host("client", &[Link::eth0("lan", "10.100.0.50/16")])?;
    // A client that nobody has answered yet asks once a second who has the address, and would find
    // the balancer up to a second late.
    client.sysctl(&[
        "net.ipv4.neigh.eth0.retrans_time_ms=20",
        "net.ipv4.neigh.eth0.mcast_solicit=50",
    ])?;
    let web = lab.host("web1", &[Link::eth0("inside", "10.2.0.110/16")])?;
    web.ip("route add default via 10.2.0.21")?;
    let mut server = Server::new(web);
    server.web(&[80], None, None)?;

    let nics = [("lan", "virtio-net-pci"), ("inside", "virtio-net-pci")];
    let hardware = Hardware::new(Boot::Bios, &nics);
    let mut machine = Machine::start(&lab, image, &hardware, &Given::Config(&config(PORTS)))?;
    // A SYN that nobody answers is repeated after a second: rather a new one.
    let ask = format!("curl -s --connect-timeout 0.2 --max-time 2 http://{VIP}/name");
    let limit = target(image.flavour()) * LENIENCE;
    let first = until("first balanced request", limit * 2, || {
        machine.must_run()?;
        let answer = client.try_shell(&ask, ASK)?;
        Ok((answer.out.trim() == "web1").then(|| machine.age()))
    });
    let first = first.with_context(|| machine.serial())?;
    print!("\n{}", table(&machine, first)?);
    machine.power_button(Duration::from_secs(30))?;
    ensure!(first <= limit, "{first:?} to the first request; {limit:?} at most");
    drop(server);
    lab.close()
}

/// A line for each stage: its length and its end, in seconds.
fn table(machine: &Machine, first: Duration) -> Result<String> {
    let mut text = String::from("  took     at\n");
    let mut last = Duration::ZERO;
    let mut line = |name: &str, end: Duration| {
        let took = end.saturating_sub(last).as_secs_f64();
        text += &format!("{took:6.2} {:6.2}  {name}\n", end.as_secs_f64());
        last = end;
    };
    let starts = machine.said(STAGES[0].1)?;
    // Its clock begins when it has been loaded and unpacked.
    line("firmware, boot loader, unpacking of the kernel", starts.at.saturating_sub(starts.clock));
    for (name, end) in STAGES {
        line(name, machine.said(end)?.at);
    }
    line("the first balanced request", first);
    Ok(text)
}
