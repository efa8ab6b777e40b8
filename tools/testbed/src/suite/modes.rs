//! Every mode and family with real clients and daemons: HTTP, a large transfer, DNS, SSH.

use crate::clients::{self, Tally};
use crate::harness::{Scale, Test};
use crate::scene::{ALL, Family, Mode, Scene, ServiceConfig};
use crate::servers::{BigFile, Credentials};
use anyhow::{Result, ensure};

/// Adds this part.
pub fn add(tests: &mut Vec<Test>) {
    for mode in ALL {
        for family in [Family::V4, Family::V6] {
            let name = format!("modes::{}::{}", mode.name(), family.name());
            tests.push(Test::new(name, move |scale| one(mode, family, scale)));
        }
    }
}

fn one(mode: Mode, family: Family, scale: Scale) -> Result<()> {
    let measured = measure(mode, family, scale.pick(64, 1_024), 200)?;
    measured.http.must_reach(2)?;
    // Two thirds and one third of 200, by weight; the rounding is not the test's business.
    let first = measured.http.servers["web1"];
    ensure!((132..=135).contains(&first), "web1 got {first} of 200");
    measured.dns.must_reach(2)?;
    measured.ssh.must_reach(2)
}

/// What a mode did.
#[derive(Debug)]
pub struct Measured {
    /// HTTP requests.
    pub http: Tally,
    /// DNS questions.
    pub dns: Tally,
    /// SSH commands.
    pub ssh: Tally,
    /// The large transfer, in bytes per second.
    pub speed: f64,
    /// Where the API listened.
    pub api: std::path::PathBuf,
}

/// Sends everything through one mode, web1 with twice the weight of web2.
pub fn measure(mode: Mode, family: Family, mebibytes: u64, requests: u64) -> Result<Measured> {
    let mut scene = Scene::new(mode, family, 2)?;
    let big = BigFile::write(scene.lab.folder(), mebibytes)?;
    let credentials = Credentials::make(scene.lab.folder())?;
    let [web, dns, ssh] = [80, 53, 22].map(|port| scene.real_port(port));
    for server in &mut scene.servers {
        server.web(&[web], Some(&big), None)?.dns(dns)?.ssh(ssh, &credentials)?;
    }
    let balancer = scene.start(&[
        ServiceConfig::new("WEB", 80, "tcp").weights(&[100, 50]),
        ServiceConfig::new("DNS", 53, "udp"),
        ServiceConfig::new("SSH", 22, "tcp"),
    ])?;
    let (client, vip) = (&scene.client, scene.vip());
    let result = (|| {
        let http = clients::http_names(client, vip, 80, requests)?;
        let speed = clients::http_big(client, vip, 80, &big)?;
        let dns = clients::dns_names(client, vip, 53, 50)?;
        let mut ssh = Tally::default();
        for _ in 0..4 {
            ssh.add(&clients::ssh_name(client, vip, 22, &credentials)?);
        }
        Ok(Measured { http, dns, ssh, speed, api: balancer.control_socket() })
    })();
    let closed = scene.close(balancer);
    let measured = result.map_err(|error: anyhow::Error| match &closed {
        Err(also) => error.context(format!("also: {also:#}")),
        Ok(()) => error,
    })?;
    closed.map(|()| measured)
}
