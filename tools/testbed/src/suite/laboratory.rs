//! What a laboratory runs, on devices that this machine has: the suites of `hwtests` through a whole
//! balancer, RFC 2544 through the data plane in every mode, and every mode in a virtual machine.

use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, process, until};
use crate::machine::{Flavour, Image};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    // Two minutes that say more of a machine's peace than of a change.
    tests.push(Test::new("laboratory::suites", suites).only_in_full());
    tests.push(Test::new("laboratory::rfc2544", rfc2544).only_in_full());
    if Image::built(Flavour::Vm).is_some() {
        tests.push(Test::new("laboratory::guest", guest).only_in_full());
    }
}

/// Both end within this.
const LIMIT: Duration = Duration::from_secs(240);
const TOPOLOGY: &str = include_str!("../../../../hwtests/topologies/namespaces.toml");
/// The balancer's address in the topology.
const MAC: &str = "02:00:00:00:64:0a";

/// To `setsid`: what measures goes before whatever else runs here, by its own value and by that of the
/// session's group, where the kernel has such groups.
const PREFERRED: [&str; 4] = [
    "--wait",
    "sh",
    "-c",
    "2>/dev/null echo -15 >/proc/self/autogroup; exec nice -n -15 \"$0\" \"$@\"",
];

/// A program that is built beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

fn config() -> String {
    let mut text = String::from(
        "[dataplane]\nhuge_pages = false\n\n[[interface]]\nname = \"eth0\"\n\
         port = \"af_packet:lb0\"\naddresses = [\"10.100.0.10/24\"]\ngateway = \"10.100.0.1\"\n",
    );
    for (mode, address) in [("dr", 101), ("nat", 102)] {
        text += &format!(
            "\n[[service]]\nname = \"{mode}\"\nmode = \"l4-{mode}\"\naddress = \"10.100.0.{address}\"\n\
             ports = \"80\"\nprotocol = \"tcp+udp\"\nfallback = \"none\"\n\
             check = {{ type = \"on\" }}\n"
        );
        for real in [21, 22] {
            text += &format!(
                "  [[service.real_server]]\n  name = \"r{real}\"\n  address = \"10.100.0.{real}\"\n"
            );
        }
    }
    text
}

/// Functional, performance, fail-over and soak, each for seconds. What makes it fail over is the death of
/// its data plane, which the supervisor replaces.
fn suites(_: Scale) -> Result<()> {
    let mut lab = Lab::new()?;
    lab.network("lan")?;
    let generator = lab.host("generator", &[Link::eth0("lan", "")])?;
    generator.sysctl(&["net.ipv6.conf.eth0.disable_ipv6=1"])?;
    let host = lab.balancer(&["lan"])?;
    host.ip(&format!("link set lb0 address {MAC}"))?;
    // Its real servers are the generator's, which is not there yet.
    let balancer = Balancer::begin(&host, &config())?;
    until("in force", LIMIT, || {
        let ready = balancer.get("/api/v1/status").is_ok_and(|status| status["ready"] == true);
        Ok(ready.then_some(()))
    })?;
    write_killer(&generator, &host)?;
    let topology = generator.folder().join("topology.toml");
    fs::write(&topology, TOPOLOGY)?;
    let results = generator.folder().join("results");
    let mut command = generator.command("setsid");
    command.args(PREFERRED).arg(program("hwtests")?).arg(&topology);
    command.args(["--suites", "functional,performance,fail-over,soak"]);
    command.arg("--results").arg(&results);
    let output = process::succeed(command, LIMIT)?;
    for (file, least) in [("functional", 10), ("performance", 4), ("failover", 2), ("soak", 2)] {
        let findings = read(&results.join(format!("{file}.json")))?;
        let findings = findings.as_array().context("no findings")?;
        let good = findings.iter().filter(|finding| finding["passed"] == true).count();
        ensure!(good == findings.len() && good == least, "{file}: {good} of {least}\n{output}");
    }
    // The data plane was killed under both services, and each time something was lost.
    let outages = read(&results.join("failover.json"))?;
    let outages = outages.as_array().into_iter().flatten().filter_map(|it| it["seen"].as_str());
    let outages: Vec<_> = outages.map(|seen| seen.split(' ').next().unwrap_or("")).collect();
    ensure!(outages.len() == 2 && !outages.contains(&"0.0"), "{outages:?}: nothing was killed");
    for service in ["dr", "nat"] {
        let page = fs::read_to_string(results.join(format!("benchmark-{service}.html")))?;
        ensure!(page.contains("<svg") && page.contains(" met."), "{page}");
    }
    println!("\n  {}", output.replace('\n', "\n  "));
    balancer.must_conserve()?;
    balancer.stop()?;
    lab.close()
}

/// Kills the data plane that there is, and no other one on this machine.
fn write_killer(generator: &Host, balancer: &Host) -> Result<()> {
    let script = format!(
        "for pid in $(ip netns pids {}); do\n\
         \x20   case $(readlink /proc/$pid/exe) in */fulcrum-dataplane) kill -KILL $pid ;; esac\n\
         done\n",
        balancer.namespace()
    );
    Ok(fs::write(generator.folder().join("kill-dataplane"), script)?)
}

/// Every mode over IPv4, and NAT over IPv6 with two queues, beside testpmd. `bench` itself sees to it that
/// every packet that was lost was lost somewhere.
fn rfc2544(_: Scale) -> Result<()> {
    let lab = Lab::new()?;
    let results = lab.folder().join("results");
    let folder = results.to_str().context("a path that is no text")?;
    let short = ["rfc2544", "--short", "--no-huge", "--entries", "100000", "--results", folder];
    let bench = |words: &[&str]| bench(&[&short[..], words].concat());
    bench(&["--modes", "dr,nat,snat,tun"])?;
    for mode in ["dr", "nat", "snat", "tun"] {
        must_be_whole(&read(&results.join(format!("{mode}.json")))?)?;
    }
    bench(&["--modes", "nat", "--ipv6", "--forwarder-cpus", "1,1", "--generator-cpus", "0,0"])?;
    let report = read(&results.join("nat.json"))?;
    must_be_whole(&report)?;
    ensure!(report["title"] == "nat, IPv6, both ways, 2 queues", "{}", report["title"]);
    lab.close()
}

/// Every mode and testpmd, in one boot, with the image's data plane. `bench` itself sees to it that what comes
/// back is what was sent.
fn guest(_: Scale) -> Result<()> {
    let said = bench(&["guest", "--runs=1", "--seconds=0.5", "--no-huge", "--json"])?;
    let rows = said.lines().filter(|line| line.starts_with('{'));
    let rows: Vec<Value> = rows.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let names: Vec<_> = rows.iter().filter_map(|row| row["program"].as_str()).collect();
    ensure!(names == ["macswap", "DR", "NAT", "SNAT", "TUN"], "{said}");
    // An emulated CPU forwards tens of thousands a second even where it has little of the real one.
    let forward = |row: &Value| row["mpps"].as_f64().is_some_and(|rate| rate > 0.01);
    ensure!(rows.iter().all(forward), "{said}");
    println!("\n  {}", said.replace('\n', "\n  "));
    Ok(())
}

fn bench(words: &[&str]) -> Result<String> {
    let mut command = Command::new("setsid");
    command.args(PREFERRED).arg(program("bench")?).args(words);
    process::succeed(command, LIMIT)
}

/// Something passed without loss, latency is told at each load beside the reference's, and a verdict is given.
fn must_be_whole(report: &Value) -> Result<()> {
    let rows = |of: &Value| of.as_array().map_or(0, Vec::len);
    let told = [&report["throughput"], &report["back_to_back"], &report["findings"]].map(rows);
    ensure!(told == [1, 1, 1] && rows(&report["latency"]) == 4, "{report}");
    ensure!(rows(&report["beside"]["latency"]) == 4, "{}", report["beside"]);
    for row in report["latency"].as_array().into_iter().flatten() {
        let times = ["least", "p50", "p99", "p999", "most"].map(|name| row["times"][name].as_u64());
        ensure!(times.is_sorted() && times[0] > Some(0), "{row}");
    }
    let totals = &report["totals"];
    let lost: i64 = report["fates"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|fate| fate["packets"].as_i64())
        .sum();
    ensure!(totals["lost"] == lost && totals["sent"].as_u64() > Some(1000), "{totals}");
    Ok(())
}
