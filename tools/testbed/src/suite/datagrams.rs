//! Fragments and ICMP errors.

use crate::clients::{self, Swarm};
use crate::frame;
use crate::harness::Test;
use crate::lab::{Host, Link};
use crate::scene::{ALL, Family, Mode, Scene, ServiceConfig};
use crate::servers::BigFile;
use anyhow::{Result, ensure};
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    for family in [Family::V4, Family::V6] {
        for mode in ALL {
            let name =
                |what: &str| format!("datagrams::{what}::{}::{}", mode.name(), family.name());
            tests.push(Test::new(name("fragments"), move |_| fragments(mode, family)));
            tests.push(Test::new(name("unreachable"), move |_| unreachable(mode, family)));
        }
        for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Ipip] {
            let name = format!("datagrams::narrow-client::{}::{}", mode.name(), family.name());
            tests.push(Test::new(name, move |_| narrow_client(mode, family)));
        }
    }
}

/// Datagrams of 8 KB, in fragments in every order, reach one server each, whole.
fn fragments(mode: Mode, family: Family) -> Result<()> {
    let mut scene = Scene::new(mode, family, 2)?;
    let port = scene.real_port(4444);
    for server in &mut scene.servers {
        server.echo(&[port])?;
    }
    let balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "udp")])?;
    let round = clients::fragments(&scene.client, scene.client_address(), scene.vip(), 4444, 40)?;
    round.must_be(40)?;
    ensure!(round.ok.len() == 2, "all went to one server: {:?}", round.ok);
    scene.close(balancer)
}

/// "Port unreachable" reaches the client when nobody listens at the real server, and the real
/// server when the client has gone.
fn unreachable(mode: Mode, family: Family) -> Result<()> {
    let mut scene = Scene::new(mode, family, 1)?;
    let port = scene.real_port(4444);
    scene.servers[0].echo(&[port])?;
    let nobody = ServiceConfig::new("NOBODY", 9, "udp").with("check = { type = \"on\" }");
    let balancer = scene.start(&[ServiceConfig::new("ECHO", 4444, "udp"), nobody])?;
    let source = [scene.client_address()];
    Swarm::udp(&scene.client, scene.vip(), 9, &source)?.refused(5)?.must_be(5)?;

    let before = port_unreachable_taken(&scene.servers[0].host, family)?;
    // Sent by no socket, so that the client's kernel refuses each answer.
    let (mac, own) = (scene.client.neighbour(scene.vip())?, scene.client.mac("eth0")?);
    for number in 0..5 {
        let (from, to) = (scene.client_address(), scene.vip());
        let datagram = frame::datagram((from, 3_000 + number).into(), (to, 4444).into(), b"gone");
        let packet = frame::packet(from, to, frame::UDP, None, &datagram);
        clients::raw(&scene.client, "eth0", &frame::ethernet(mac, own, &packet))?;
    }
    let told = crate::lab::until("port unreachable at the server", Duration::from_secs(5), || {
        let now = port_unreachable_taken(&scene.servers[0].host, family)?;
        Ok((now >= before + 5).then_some(()))
    });
    told?;
    scene.close(balancer)
}

/// ICMP "destination unreachable" messages that the host took and found right.
fn port_unreachable_taken(host: &Host, family: Family) -> Result<u64> {
    let script = match family {
        Family::V4 => "nstat -asz IcmpInDestUnreachs IcmpInErrors",
        Family::V6 => "nstat -asz Icmp6InDestUnreachs Icmp6InErrors",
    };
    let text = host.shell(script, Duration::from_secs(10))?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.contains(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Ok(value("InDestUnreachs").unwrap_or(0) - value("InErrors").unwrap_or(0))
}

/// Behind a link that is narrower than the servers' own: the router's "too big" must reach the
/// real server, or the transfer hangs.
fn narrow_client(mode: Mode, family: Family) -> Result<()> {
    let mut scene = Scene::new(mode, family, 1)?;
    let port = scene.real_port(80);
    let big = BigFile::write(scene.lab.folder(), 4)?;
    scene.servers[0].web(&[port], Some(&big), None)?;
    scene.lab.network("away")?;
    let border = scene.lab.host(
        "border",
        &[
            Link::new("eth0", "lan", &family.on("lan", 2)),
            Link::new("eth1", "away", &family.on("away", 1)),
        ],
    )?;
    border.sysctl(&["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
    border.ip("link set eth1 mtu 1300")?;
    let client = scene.lab.host("far-client", &[Link::eth0("away", &family.on("away", 50))])?;
    client.ip(&family.default_route("away", 1))?;
    let away = format!("{}/{}", family.address("away", 0), family.length());
    let via = |number| format!("route add {away} via {}", family.address("lan", number));
    match mode {
        // The server answers by itself, so it needs the way to the client.
        Mode::Dr => drop(scene.servers[0].host.ip(&via(2))?),
        Mode::Ipip => drop(scene.lab.by_name("router")?.ip(&via(2))?),
        // The balancer goes back the way that the client came.
        _ => {}
    }
    let balancer = scene.start(&[ServiceConfig::new("WEB", 80, "tcp")])?;
    clients::http_big(&client, scene.vip(), 80, &big)?;
    scene.close(balancer)
}
