//! The test bed itself: clients reach servers when nothing is between them but a switch, so that
//! a failure elsewhere is the balancer's.

use crate::capture::{Capture, checksums_must_be_right};
use crate::clients::{self, Swarm};
use crate::frame;
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link};
use crate::servers::{BigFile, Credentials, Server};
use anyhow::{Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("bed::daemons", daemons));
    tests.push(Test::new("bed::swarm", swarm));
    tests.push(Test::new("bed::fragments", fragments));
    tests.push(Test::new("bed::unpack", unpack));
}

const V4: &str = "192.168.100.110";
const V6: &str = "2001:db8:100::110";

fn pair(lab: &mut Lab) -> Result<(Host, Server)> {
    lab.network("lan")?;
    let client = lab.host(
        "client",
        &[Link::eth0("lan", "192.168.100.50/24 192.168.100.51/24 2001:db8:100::50/64")],
    )?;
    let server = lab.host("web1", &[Link::eth0("lan", &format!("{V4}/24 {V6}/64"))])?;
    Ok((client, Server::new(server)))
}

fn daemons(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    let (client, mut server) = pair(&mut lab)?;
    let big = BigFile::write(lab.folder(), 16)?;
    let credentials = Credentials::make(lab.folder())?;
    server.web(&[80, 443], Some(&big), Some(&credentials))?.dns(53)?.ssh(22, &credentials)?;
    server.ftp(V4.parse()?, 50_000..=50_099)?.mail(25)?;
    let wire = Capture::start(&client, "eth0", "tcp port 80 or udp")?;
    for address in [V4, V6] {
        let address: IpAddr = address.parse()?;
        clients::http_names(&client, address, 80, 20)?.must_reach(1)?;
        clients::http_names(&client, address, 443, 3)?.must_reach(1)?;
        clients::http_big(&client, address, 80, &big)?;
        clients::dns_names(&client, address, 53, 10)?.must_reach(1)?;
        ensure!(clients::ssh_name(&client, address, 22, &credentials)? == "web1");
    }
    let frames = wire.finish()?;
    ensure!(frames.len() > 100, "{} frames captured", frames.len());
    checksums_must_be_right("client", &frames)?;
    clients::ftp_upload(&client, V4.parse()?, big.path(), "there")?;
    ensure!(crate::servers::files::sha256(&server.uploaded("there"))? == big.sha256());
    clients::mail(&client, V4.parse()?, 25, "a word for the log")?;
    ensure!(server.mail_with("a word for the log") == 1);
    drop(server);
    lab.close()
}

fn swarm(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    let (client, mut server) = pair(&mut lab)?;
    server.echo(&[4444])?;
    let sources = ["192.168.100.50".parse()?, "192.168.100.51".parse()?];
    let mut tcp = Swarm::tcp(&client, V4.parse()?, 4444, &sources)?;
    let mut udp = Swarm::udp(&client, V6.parse()?, 4444, &["2001:db8:100::50".parse()?])?;
    ensure!(tcp.open(1_000)?.must_be(1_000)?.by_source.len() == 2);
    tcp.ping()?.must_be(1_000)?;
    udp.open(100)?.must_be(100)?;
    udp.ping()?.must_be(100)?;
    tcp.pump(1)?;
    tcp.answer()?.must_be(1_000)?;
    server.kill("echo")?;
    ensure!(tcp.ping()?.bad() == 1_000, "connections outlive their server");
    ensure!(udp.refused(3)?.must_be(3).is_ok());
    drop((tcp, udp, server));
    lab.close()
}

fn fragments(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    let (client, mut server) = pair(&mut lab)?;
    server.echo(&[4444])?;
    for (source, target) in [("192.168.100.50", V4), ("2001:db8:100::50", V6)] {
        clients::fragments(&client, source.parse()?, target.parse()?, 4444, 8)?.must_be(8)?;
    }
    drop(server);
    lab.close()
}

/// A packet in a tunnel, made by hand, reaches the daemon behind the far end.
fn unpack(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    let (client, mut server) = pair(&mut lab)?;
    let vip: IpAddr = "192.168.100.100".parse()?;
    server.carry(&[vip])?;
    server.unpack()?.echo(&[4444])?;
    let (source, target) = ("192.168.100.50:7000".parse()?, "192.168.100.100:4444".parse()?);
    let inner = frame::packet(
        "192.168.100.50".parse()?,
        vip,
        frame::UDP,
        None,
        &frame::datagram(source, target, b"in a tunnel"),
    );
    let mac = server.host.mac("eth0")?;
    let gre = [&[0, 0, 8, 0][..], &inner].concat();
    let gue = [&[0, 4, 0, 0][..], &inner].concat();
    for (outer_source, outer_target) in [("192.168.100.50", V4), ("2001:db8:100::50", V6)] {
        let (from, to): (IpAddr, IpAddr) = (outer_source.parse()?, outer_target.parse()?);
        let gue = frame::datagram((from, 6999).into(), (to, 6080).into(), &gue);
        for (protocol, payload) in [(4, &inner), (47, &gre), (17, &gue)] {
            let answers = Capture::start(&client, "eth0", "udp dst port 7000")?;
            let packet = frame::packet(from, to, protocol, None, payload);
            clients::raw(&client, "eth0", &frame::ethernet(mac, [2, 0, 0, 0, 0, 1], &packet))?;
            let answered = crate::lab::until("answer", Duration::from_secs(5), || {
                Ok((answers.len()? > 0).then_some(()))
            });
            let frames = answers.finish()?;
            answered.map_err(|error| error.context(format!("{from} protocol {protocol}")))?;
            let ip = frames[0].ip().expect("the filter takes IP only");
            ensure!(ip.source == vip, "answer from {}", ip.source);
        }
    }
    drop(server);
    lab.close()
}
