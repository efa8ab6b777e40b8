//! Deployments of the specification whose TLS ends on the balancer.

use super::tls::{begin, sealed};
use crate::balancer::Balancer;
use crate::clients;
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, until};
use crate::servers::authority::{Authority, RSA};
use crate::servers::{BigFile, Credentials, Server};
use anyhow::{Result, ensure};
use std::net::IpAddr;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("deployments::d3-icas-fs-s3", object_store));
}

const ICAS_FS: &str = include_str!("../../../../examples/icas-fs.toml");
const LIMIT: Duration = Duration::from_secs(60);

/// A file with those of its services alone.
pub(super) fn services(text: &str, names: &[&str]) -> String {
    let mut parts = text.split("\n[[service]]\n");
    let head = parts.next().unwrap_or_default().to_owned();
    let is_wanted =
        |part: &&str| names.iter().any(|name| part.starts_with(&format!("name = \"{name}\"\n")));
    parts.filter(is_wanted).fold(head, |all, part| all + "\n[[service]]\n" + part)
}

/// What curl gets over TLS, trusting the authority alone.
fn page(client: &Host, authority: &Authority, vip: IpAddr) -> Result<String> {
    let line = format!(
        "curl --silent --show-error --max-time 60 --cacert {} --resolve 's3.example:443:{vip}' \
         https://s3.example/ 2>&1",
        authority.root().display()
    );
    Ok(client.try_shell(&line, LIMIT)?.out)
}

/// D3: HTTP on 80 and, with a certificate from a PFX file, on 443, encrypted again to both nodes,
/// which are asked for the health of their cluster. A node that stops in the middle of a transfer
/// costs that transfer; whoever asks then is answered.
fn object_store(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let client = lab.host("client", &[Link::eth0("lan", "192.168.110.50/24")])?;
    let lb = lab.balancer(&["lan"])?;
    let big = BigFile::write(lab.folder(), 64)?;
    let credentials = Credentials::make(lab.folder())?;
    let vip: IpAddr = "192.168.110.65".parse()?;
    let mut servers = Vec::new();
    for (name, address) in [("node1", "192.168.110.70/24"), ("node2", "192.168.110.71/24")] {
        let mut server = Server::new(lab.host(name, &[Link::eth0("lan", address)])?);
        server.object_store(&credentials, &big)?;
        servers.push(server);
    }
    let authority = Authority::make(lab.folder(), "world")?;
    let signed = authority.sign("s3", RSA, "DNS:s3.example")?;
    let mut balancer = begin(&lb, &services(ICAS_FS, &["iCAS-FS-S3"]))?;
    let password = lb.folder().join("password");
    std::fs::write(&password, "s3cret\n")?;
    sealed(&balancer, "iCAS-FS-Cert", &signed.pfx("s3cret", true)?, &password)?;
    balancer.wait_up()?;
    let said = page(&client, &authority, vip)?;
    ensure!(said.starts_with("node") && said.ends_with(" https\n"), "on 443: {said}");
    let plain = client.shell(&format!("curl -sS -m 10 http://{vip}/"), LIMIT)?;
    ensure!(plain.trim().ends_with(" http"), "on 80: {plain}");
    clients::http_big(&client, vip, 80, &big)?;
    stop_in_mid_transfer(&client, &authority, vip, &mut servers, &mut balancer, &big)?;
    // A node that says it is ill is left out; its process runs.
    let ill = servers[1].host.folder().join("ill");
    std::fs::write(&ill, "")?;
    balancer.wait_real_server("iCAS-FS-S3", "iCAS-FS-2", false)?;
    std::fs::remove_file(&ill)?;
    balancer.wait_real_server("iCAS-FS-S3", "iCAS-FS-2", true)?;
    let conserved = balancer.must_conserve().map(drop);
    let stopped = balancer.stop();
    drop(servers);
    conserved.and(stopped).and(lab.close())
}

/// Both nodes are in the middle of a transfer when the first stops: one arrives whole, one is cut,
/// and is told to be.
fn stop_in_mid_transfer(
    client: &Host,
    authority: &Authority,
    vip: IpAddr,
    servers: &mut [Server],
    balancer: &mut Balancer,
    big: &BigFile,
) -> Result<()> {
    let start = |number: usize| -> Result<_> {
        let mut curl = client.command("curl");
        curl.args(["--silent", "--show-error", "--limit-rate", "16M", "--max-time", "60"]);
        curl.arg("--cacert").arg(authority.root()).arg("--resolve");
        curl.arg(format!("s3.example:443:{vip}")).arg("--output");
        curl.arg(client.folder().join(format!("got{number}"))).arg("https://s3.example/big");
        client.start("curl", curl)
    };
    let mut transfers = [start(0)?, start(1)?];
    let has_begun = |number: usize| {
        let got = std::fs::metadata(client.folder().join(format!("got{number}")));
        got.is_ok_and(|got| got.len() > 1 << 20)
    };
    until("both transfers", LIMIT, || Ok((has_begun(0) && has_begun(1)).then_some(())))?;
    servers[0].kill("web")?;
    for _ in 0..20 {
        let said = page(client, authority, vip)?;
        ensure!(said == "node2 https\n", "right after the end of node1: {said}");
    }
    let mut whole = 0;
    for (number, transfer) in transfers.iter_mut().enumerate() {
        let is_good = transfer.wait(LIMIT)?.success();
        let hash = crate::servers::files::sha256(&client.folder().join(format!("got{number}")))?;
        ensure!(is_good == (hash == big.sha256()), "curl was not told that its file is cut");
        whole += usize::from(is_good);
    }
    ensure!(whole == 1, "{whole} of two transfers from two nodes arrived");
    balancer.wait_real_server("iCAS-FS-S3", "iCAS-FS-1", false)
}
