//! Answers of real servers to clients' addresses: what the kernel would do with them.

use crate::lab::{Inside, sh};
use netlink::Answers;
use std::collections::BTreeSet;

const FAMILIES: [(&str, &str, &str); 2] = [
    ("198.51.100.1/24", "198.51.100.2", "203.0.113.9"),
    ("2001:db8:1::1/64", "2001:db8:1::2", "2001:db8:99::9"),
];

fn answers(address: &str, ports: (u16, u16)) -> Answers {
    Answers { interface: "lb1".into(), address: address.parse().unwrap(), ports }
}

/// Whether a segment from `server` to `client` would go to a socket of ours.
fn is_ours(server: &str, port: u16, client: &str) -> bool {
    let family = if server.contains(':') { "-6" } else { "-4" };
    let from = format!("from {server} iif lb1 ipproto tcp sport {port} dport 5555");
    let words = format!("ip {family} route get {client} {from}");
    let output = std::process::Command::new("sh").args(["-c", &words]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).starts_with("local ")
}

fn prepare() {
    sh("ip link set lo up");
    sh("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lb1.rp_filter=0");
    for (ours, ..) in FAMILIES {
        sh(&format!("ip address add {ours} dev lb1"));
    }
}

pub async fn taken(inside: &Inside) {
    prepare();
    let kernel = &inside.kernel;
    let wanted: BTreeSet<_> =
        FAMILIES.iter().map(|(_, server, _)| answers(server, (8_000, 8_010))).collect();
    for _ in 0..2 {
        kernel.take_answers(&wanted).await.unwrap();
        for (_, server, client) in FAMILIES {
            for (port, ours) in [(7_999, false), (8_000, true), (8_010, true), (8_011, false)] {
                assert_eq!(is_ours(server, port, client), ours, "{server} {port}");
            }
            let neighbour = server.replace("::2", "::3").replace("100.2", "100.3");
            assert!(!is_ours(&neighbour, 8_000, client), "{neighbour} is somebody else");
        }
        let rules = sh("ip rule show table 18005");
        assert_eq!(rules.lines().count(), 1, "asked twice, there once: {rules}");
    }
    kernel.take_answers(&BTreeSet::new()).await.unwrap();
    for (_, server, client) in FAMILIES {
        assert!(!is_ours(server, 8_000, client));
    }
    assert_eq!(sh("ip rule show table 18005") + &sh("ip -6 rule show table 18005"), "");
}

/// Whatever is in the table from before goes, and nothing of others.
pub async fn exactly(inside: &Inside) {
    prepare();
    let kernel = &inside.kernel;
    sh("ip rule add from 198.51.100.2 ipproto udp sport 53 iif lb1 table 18005 priority 18005");
    sh("ip rule add from 198.51.100.9 ipproto tcp sport 80 iif lb1 table 18005 priority 18005");
    sh("ip rule add from 198.51.100.2 table 77 priority 18005");
    let two = BTreeSet::from([
        answers("198.51.100.2", (80, 80)),
        answers("198.51.100.2", (443, 443)),
        Answers { interface: "not-there".into(), ..answers("198.51.100.4", (80, 80)) },
    ]);
    kernel.take_answers(&two).await.unwrap();
    let rules = sh("ip rule show table 18005");
    assert_eq!(rules.lines().count(), 3, "{rules}");
    assert!(!rules.contains("udp") && !rules.contains("198.51.100.9"), "{rules}");
    kernel.take_answers(&BTreeSet::from([answers("198.51.100.2", (443, 443))])).await.unwrap();
    assert!(!is_ours("198.51.100.2", 80, "203.0.113.9"));
    assert!(is_ours("198.51.100.2", 443, "203.0.113.9"));
    kernel.take_answers(&BTreeSet::new()).await.unwrap();
    assert!(sh("ip rule").contains("lookup 77"), "somebody else's rule");
}
