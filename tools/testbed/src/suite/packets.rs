//! What the packets look like: untouched in DR and TUN, rightly rewritten in NAT and SNAT.

use crate::capture::{Capture, Frame, checksums_must_be_right};
use crate::clients::{self, Swarm};
use crate::harness::{Scale, Test};
use crate::lab::until;
use crate::scene::{ALL, Family, Mode, Scene, ServiceConfig};
use crate::servers::BigFile;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    for family in [Family::V4, Family::V6] {
        for mode in ALL {
            let name = |what: &str| format!("packets::{what}::{}::{}", mode.name(), family.name());
            let test = if mode.keeps_vip() { untouched } else { translated };
            let what = if mode.keeps_vip() { "untouched" } else { "translated" };
            tests.push(Test::new(name(what), move |scale| test(mode, family, scale)));
        }
        let name = format!("packets::too-big::{}", family.name());
        tests.push(Test::new(name, move |_| too_big(family)));
    }
}

/// DR: what reaches the server is, behind the Ethernet header, what the client sent, byte for
/// byte. TUN: the same of the inner packet. Replies do not pass the balancer.
fn untouched(mode: Mode, family: Family, _: Scale) -> Result<()> {
    let mut scene = Scene::new(mode, family, 1)?;
    let big = BigFile::write(scene.lab.folder(), 4)?;
    scene.servers[0].web(&[80], Some(&big), None)?;
    let balancer = scene.start(&[ServiceConfig::new("WEB", 80, "tcp")])?;
    let (vip, client) = (scene.vip(), &scene.client);
    let before = balancer.must_conserve()?.forwarded();
    let few = watch(&scene, mode, || clients::http_names(client, vip, 80, 20)?.must_reach(1))?;
    // Of each connection at least the SYN, its acknowledgement, the request and the FIN.
    ensure!(few.sent.len() >= 20 * 4, "only {} packets sent", few.sent.len());
    ensure!(few.sent == few.arrived, "sent {:02x?}\narrived {:02x?}", few.sent, few.arrived);
    let forwarded = balancer.must_conserve()?.forwarded() - before;
    ensure!(forwarded == few.sent.len() as u64, "{forwarded} of {} counted", few.sent.len());
    let many = watch(&scene, mode, || clients::http_big(client, vip, 80, &big).map(drop))?;
    ensure!(many.arrived.len() > 50, "only {} packets arrived", many.arrived.len());
    let sent = |packet: &&Vec<u8>| many.sent.binary_search(packet).is_ok();
    let strange = many.arrived.iter().find(|packet| !sent(packet));
    ensure!(strange.is_none(), "nobody sent {strange:02x?}");
    scene.close(balancer)
}

/// Packets of one exchange, sorted.
struct Seen {
    sent: Vec<Vec<u8>>,
    arrived: Vec<Vec<u8>>,
}

/// Captures requests at both ends; what arrives has right checksums and the server's MAC, and no
/// reply passes the balancer. A transfer at full speed may lose packets on the way, nothing else.
fn watch(scene: &Scene, mode: Mode, exchange: impl FnOnce() -> Result<()>) -> Result<Seen> {
    let (vip, client, server) = (scene.vip(), scene.client_address(), &scene.servers[0].host);
    let at_server = if mode == Mode::Dr { "eth0" } else { "unpack1" };
    let requests = format!("tcp and src host {client} and dst host {vip}");
    let sent = Capture::start(&scene.client, "eth0", &requests)?;
    let arrived = Capture::start(server, at_server, &requests)?;
    let passing = Capture::start(&scene.balancer, "lb0", &format!("tcp and src host {vip}"))?;
    exchange()?;
    // The last acknowledgement is on its way when the client ends.
    let _ = until("the last packet", Duration::from_secs(2), || {
        Ok((sent.len()? == arrived.len()?).then_some(()))
    });
    let (sent, arrived, passing) = (sent.finish()?, arrived.finish()?, passing.finish()?);
    checksums_must_be_right("server", &arrived)?;
    if mode == Mode::Dr {
        let mac = server.mac("eth0")?;
        ensure!(arrived.iter().all(|frame| frame.target_mac() == mac), "another station's MAC");
    }
    ensure!(passing.is_empty(), "{} replies passed the balancer", passing.len());
    let sorted = |frames: &[Frame]| {
        let mut packets: Vec<_> = frames.iter().map(|frame| frame.packet().to_vec()).collect();
        packets.sort_unstable();
        packets
    };
    Ok(Seen { sent: sorted(&sent), arrived: sorted(&arrived) })
}

/// NAT and SNAT: every checksum is right on both sides, the port is translated, and the client
/// sees the virtual address only.
fn translated(mode: Mode, family: Family, _: Scale) -> Result<()> {
    let mut scene = Scene::new(mode, family, 1)?;
    let big = BigFile::write(scene.lab.folder(), 4)?;
    let (web, dns) = (scene.real_port(80), scene.real_port(53));
    scene.servers[0].web(&[web], Some(&big), None)?.dns(dns)?;
    let balancer = scene
        .start(&[ServiceConfig::new("WEB", 80, "tcp"), ServiceConfig::new("DNS", 53, "udp")])?;
    let (vip, client) = (scene.vip(), scene.client_address());
    let at_client = Capture::start(&scene.client, "eth0", "tcp or udp")?;
    // The balancer's own checks come to the same port, from its own address.
    let network = if mode == Mode::Nat { "inside" } else { "lan" };
    let own = scene.family.address(network, if mode == Mode::Nat { 21 } else { 10 });
    let filter = format!("(tcp or udp) and not host {own}");
    let at_server = Capture::start(&scene.servers[0].host, "eth0", &filter)?;
    clients::http_names(&scene.client, vip, 80, 20)?.must_reach(1)?;
    clients::http_big(&scene.client, vip, 80, &big)?;
    clients::dns_names(&scene.client, vip, 53, 20)?.must_reach(1)?;
    let (at_client, at_server) = (at_client.finish()?, at_server.finish()?);
    checksums_must_be_right("client", &at_client)?;
    checksums_must_be_right("server", &at_server)?;
    ensure!(at_client.len() > 500 && at_server.len() > 500, "too few packets captured");
    for frame in &at_client {
        let ip = frame.ip().context("not IP")?;
        let peer = if ip.source == client { ip.target } else { ip.source };
        ensure!(peer == vip, "the client speaks with {peer}");
    }
    let pool = [5, 6].map(|number| scene.family.address("lan", number));
    for frame in &at_server {
        let ip = frame.ip().context("not IP")?;
        let port = |at: usize| u16::from_be_bytes([ip.payload[at], ip.payload[at + 1]]);
        let (peer, own_port) = match ip.source == scene.real(0) {
            true => (ip.target, port(0)),
            false => (ip.source, port(2)),
        };
        let expected = if mode == Mode::Nat { peer == client } else { pool.contains(&peer) };
        ensure!(expected, "the server speaks with {peer}");
        ensure!([web, dns].contains(&own_port), "the server is asked on port {own_port}");
    }
    scene.close(balancer)
}

/// A client that sends more than fits the tunnel is told so, and its transfer completes; the
/// tunnel's own packets never need to be cut.
fn too_big(family: Family) -> Result<()> {
    let mut scene = Scene::new(Mode::Gue, family, 1)?;
    scene.servers[0].echo(&[4444])?;
    let tunnel =
        ServiceConfig::new("ECHO", 4444, "tcp").with("tunnel = { type = \"gue\", mtu = 1400 }");
    let balancer = scene.start(&[tunnel])?;
    let arrived = Capture::start(&scene.servers[0].host, "eth0", "udp port 6080")?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 4444, &[scene.client_address()])?;
    swarm.open(1)?.must_be(1)?;
    swarm.say(1 << 20)?.must_be(1)?;
    let frames = arrived.finish()?;
    let answered = balancer.must_conserve()?.ports[0].answered;
    ensure!(answered > 0, "nobody was told that a packet is too big");
    let largest = frames.iter().map(|frame| frame.packet().len()).max().unwrap_or(0);
    ensure!((1_300..=1_400).contains(&largest), "the largest tunnel packet has {largest} bytes");
    let cut = frames.iter().filter_map(Frame::ip).any(|ip| ip.fragment);
    ensure!(!cut, "tunnel packets were cut");
    scene.close(balancer)
}
