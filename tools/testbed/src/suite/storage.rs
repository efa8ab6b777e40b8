//! Deployment of file storage: SMB (D4) and NFS (D5) from two nodes that serve the same files.

use super::offload::services;
use crate::balancer::Balancer;
use crate::clients::{Download, Nfs, Smb};
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, until};
use crate::servers::{BigFile, Server, files::sha256};
use anyhow::{Context, Result, bail, ensure};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("deployments::d4-icas-fs-smb", smb));
    tests.push(Test::new("deployments::d5-icas-fs-nfs", nfs));
    tests.push(Test::new("deployments::d4-d5-silent-node", silent));
}

const ICAS_FS: &str = include_str!("../../../../examples/icas-fs.toml");
const NODES: [&str; 2] = ["iCAS-FS-1", "iCAS-FS-2"];
const LIMIT: Duration = Duration::from_secs(30);
/// A new connection gets a node that is alive within this, whatever is known of the dead one.
const AT_ONCE: Duration = Duration::from_secs(3);
/// The same of a node that says nothing: one attempt to connect in vain (`connect_timeout`), and
/// the one that follows.
const IN_VAIN: Duration = Duration::from_secs(5 + 3);

struct Bed {
    lab: Lab,
    client: Host,
    host: Host,
    nodes: Vec<Server>,
    /// What all nodes serve.
    store: PathBuf,
    big: BigFile,
}

impl Bed {
    fn new(scale: Scale) -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", "192.168.110.50/24")])?;
        let host = lab.balancer(&["lan"])?;
        let mut nodes = Vec::new();
        for (name, address) in NODES.into_iter().zip(["192.168.110.70/24", "192.168.110.71/24"]) {
            nodes.push(Server::new(lab.host(name, &[Link::eth0("lan", address)])?));
        }
        let store = lab.folder().join("store");
        std::fs::create_dir_all(&store)?;
        let big = BigFile::write(lab.folder(), scale.pick(32, 1024))?;
        Ok(Self { lab, client, host, nodes, store, big })
    }

    /// Starts every daemon of `examples/icas-fs.toml` on one node.
    fn serve(&mut self, node: usize) -> Result<()> {
        self.nodes[node].smb(&self.store)?.nfs(&self.store)?;
        Ok(())
    }

    fn start(&mut self) -> Result<Balancer> {
        (0..NODES.len()).try_for_each(|node| self.serve(node))?;
        // The objects have another test.
        let files = services(ICAS_FS, &["iCAS-FS-SMB", "iCAS-FS-NFS"]);
        Balancer::start(&self.host, &files)
    }

    /// A node dies, and by the check's verdict is back later.
    fn come_back(&mut self, balancer: &mut Balancer, service: &str, node: usize) -> Result<()> {
        balancer.wait_real_server(service, NODES[node], false)?;
        self.serve(node)?;
        balancer.wait_real_server(service, NODES[node], true)
    }

    /// What was written by a client is what lies in the store.
    fn must_lie(&self, name: &str, file: &BigFile) -> Result<()> {
        let found = sha256(&self.store.join(name))?;
        ensure!(found == file.sha256(), "{name}: {found} was stored of {}", file.sha256());
        Ok(())
    }

    fn close(self, balancer: Balancer) -> Result<()> {
        let conserved = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        drop(self.nodes);
        conserved.and(stopped).and(self.lab.close())
    }
}

fn vip() -> IpAddr {
    IpAddr::from([192, 168, 110, 65])
}

/// Connections that each node has.
fn connections(balancer: &Balancer, service: &str, key: &str) -> Result<[u64; 2]> {
    let mut found = [0; 2];
    for (count, node) in found.iter_mut().zip(NODES) {
        let listed = balancer.real_server(service, node)?;
        *count = listed[key].as_u64().with_context(|| format!("no {key} in {listed}"))?;
    }
    Ok(found)
}

/// Two downloads in their midst, one from each node; the node that has the first.
fn one_from_each(
    balancer: &Balancer,
    service: &str,
    begin: impl Fn(&str) -> Result<Download>,
) -> Result<([Download; 2], usize)> {
    let at = |wanted: u64| {
        until(&format!("{wanted} connections"), LIMIT, || {
            let found = connections(balancer, service, "connections")?;
            Ok((found.iter().sum::<u64>() == wanted).then_some(found))
        })
    };
    at(0)?;
    let first = begin("first")?;
    let of_first = at(1)?;
    let second = begin("second")?;
    let both = at(2)?;
    ensure!(both == [1, 1], "two downloads are on {both:?}");
    Ok(([first, second], usize::from(of_first[1] == 1)))
}

/// D4: a node that dies takes its transfers with it, and no other: SMB is a conversation with one
/// server. Whoever comes anew is served at once.
fn smb(scale: Scale) -> Result<()> {
    let mut bed = Bed::new(scale)?;
    let mut balancer = bed.start()?;
    let client = bed.client.clone();
    let share = Smb::new(&client, vip())?;
    for name in ["a", "b"] {
        share.put(bed.big.path(), name)?;
        bed.must_lie(name, &bed.big)?;
    }
    let read = share.sha256("a")?;
    ensure!(read == bed.big.sha256(), "{read} was read of {}", bed.big.sha256());
    let ([first, second], node) =
        one_from_each(&balancer, "iCAS-FS-SMB", |label| share.download("a", label))?;
    bed.nodes[node].crash()?;
    // Nobody has been told yet.
    let begun = Instant::now();
    share.put(bed.big.path(), "c")?;
    let took = begun.elapsed();
    ensure!(took < AT_ONCE, "a new client was served after {took:?}");
    bed.must_lie("c", &bed.big)?;
    let survived = second.finish()?;
    ensure!(survived.as_deref() == Some(bed.big.sha256()), "from the living node: {survived:?}");
    let lost = first.finish()?;
    ensure!(lost.is_none(), "a transfer from a dead node ended with {lost:?}");
    bed.come_back(&mut balancer, "iCAS-FS-SMB", node)?;
    let ([first, second], _) =
        one_from_each(&balancer, "iCAS-FS-SMB", |label| share.download("b", label))?;
    for download in [first, second] {
        let read = download.finish()?;
        ensure!(read.as_deref() == Some(bed.big.sha256()), "after its return: {read:?}");
    }
    bed.close(balancer)
}

/// D5: a client of version 3 has no state at its server, and goes on at another node in the midst
/// of a file; one of version 4 has.
fn nfs(scale: Scale) -> Result<()> {
    let mut bed = Bed::new(scale)?;
    let mut balancer = bed.start()?;
    let client = bed.client.clone();
    let export = Nfs::new(&client, vip(), &bed.store);
    // The port mapper on 111 says where to go, and that is 2049.
    export.must_answer(3)?;
    export.must_answer(4)?;
    let small = bed.lab.folder().join("small");
    for number in 0..10_u8 {
        std::fs::write(&small, [number; 3_000])?;
        let name = format!("small{number}");
        export.put(4, &small, &name)?;
        ensure!(std::fs::read(bed.store.join(&name))? == [number; 3_000], "{name}");
        ensure!(export.sha256(4, &name)? == sha256(&small)?, "{name} was read otherwise");
    }
    export.mount_from("192.168.110.71".parse()?)?;
    export.put(3, bed.big.path(), "big")?;
    bed.must_lie("big", &bed.big)?;
    for version in [3, 4] {
        let read = export.sha256(version, "big")?;
        ensure!(read == bed.big.sha256(), "version {version} read {read}");
    }
    let totals = connections(&balancer, "iCAS-FS-NFS", "total")?;
    ensure!(totals.iter().all(|count| *count > 0), "connections by node: {totals:?}");

    let ([first, second], node) =
        one_from_each(&balancer, "iCAS-FS-NFS", |label| export.download(3, "big", label))?;
    bed.nodes[node].crash()?;
    // Nobody has been told yet.
    let begun = Instant::now();
    export.must_answer(4)?;
    let took = begun.elapsed();
    ensure!(took < AT_ONCE, "a new client was served after {took:?}");
    for (whose, download) in [("dead", first), ("living", second)] {
        let read = download.finish()?;
        if read.as_deref() != Some(bed.big.sha256()) {
            bail!("version 3 read from the {whose} node: {read:?}");
        }
    }
    bed.come_back(&mut balancer, "iCAS-FS-NFS", node)?;
    let ([first, second], node) =
        one_from_each(&balancer, "iCAS-FS-NFS", |label| export.download(4, "big", label))?;
    bed.nodes[node].crash()?;
    let survived = second.finish()?;
    ensure!(survived.as_deref() == Some(bed.big.sha256()), "from the living node: {survived:?}");
    let lost = first.finish()?;
    ensure!(lost.is_none(), "state of a dead node was found elsewhere: {lost:?}");
    bed.close(balancer)
}

/// A node whose cable is pulled tells nobody that it is gone. New clients wait for one attempt at
/// most; when its check has failed, those that it had are told, and NFS goes on at the other node.
fn silent(scale: Scale) -> Result<()> {
    let mut bed = Bed::new(scale)?;
    let mut balancer = bed.start()?;
    let client = bed.client.clone();
    let share = Smb::new(&client, vip())?;
    share.put(bed.big.path(), "big")?;
    let export = Nfs::new(&client, vip(), &bed.store);
    export.mount_from("192.168.110.71".parse()?)?;
    let smb = one_from_each(&balancer, "iCAS-FS-SMB", |label| share.download("big", label))?;
    let ([of_dead, of_living], node) = smb;
    let nfs = one_from_each(&balancer, "iCAS-FS-NFS", |label| {
        export.download(3, "big", &format!("nfs-{label}"))
    })?;
    bed.nodes[node].host.ip("link set eth0 down")?;
    let begun = Instant::now();
    share.put(bed.big.path(), "anew")?;
    let took = begun.elapsed();
    ensure!(took < IN_VAIN, "a new client was served after {took:?}");
    bed.must_lie("anew", &bed.big)?;
    for service in ["iCAS-FS-SMB", "iCAS-FS-NFS"] {
        balancer.wait_real_server(service, NODES[node], false)?;
    }
    let survived = of_living.finish()?;
    ensure!(survived.as_deref() == Some(bed.big.sha256()), "from the living node: {survived:?}");
    let lost = of_dead.finish()?;
    ensure!(lost.is_none(), "a transfer from a silent node ended with {lost:?}");
    for download in nfs.0 {
        let read = download.finish()?;
        ensure!(read.as_deref() == Some(bed.big.sha256()), "version 3 read {read:?}");
    }
    bed.nodes[node].host.ip("link set eth0 up")?;
    for service in ["iCAS-FS-SMB", "iCAS-FS-NFS"] {
        balancer.wait_real_server(service, NODES[node], true)?;
    }
    bed.close(balancer)
}
