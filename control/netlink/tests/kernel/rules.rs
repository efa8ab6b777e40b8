//! The packet filter tables, by what they do to traffic.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use netlink::{nft, sysctl};

use crate::lab::{Inside, sh};

pub async fn shield(inside: &Inside) {
    let ours = IpAddr::from([192, 0, 2, 1]);
    inside.kernel.ensure_address("lb0", ours, 24).await.unwrap();
    assert!(inside.ping("peer", "192.0.2.1"), "before the shield");
    assert!(nft::shield(&["lb0", "lb1"]).unwrap());
    assert!(!nft::shield(&["lb0", "lb1"]).unwrap(), "what is right is left alone");
    let sniffer = sniffer();
    assert!(!inside.ping("peer", "192.0.2.1"), "the kernel still answers");
    let output = sniffer.wait_with_output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.contains("ICMP echo request"), "a packet socket sees: {seen:?}");
    assert!(nft::shield(&["nosuch0\"; }"]).is_err());
    assert!(nft::shield(&["lb1"]).unwrap());
    assert!(inside.ping("peer", "192.0.2.1"), "no longer shielded");
    nft::shield(&[]).unwrap();
    assert_eq!(sh("nft list tables"), "");
}

/// A tcpdump on `lb0` that is listening and ends with the first echo request it sees, or after ten seconds.
fn sniffer() -> Child {
    let filter = "icmp[icmptype] == icmp-echo";
    let mut child = Command::new("timeout")
        .args(["10", "tcpdump", "-n", "-l", "-c", "1", "-i", "lb0", filter])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = lines.any(|line| line.unwrap().contains("listening on"));
    assert!(listening, "tcpdump did not start");
    // Held open, or its last words would end tcpdump with a broken pipe.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

pub async fn masquerade(inside: &Inside) {
    let outside = IpAddr::from([192, 0, 2, 1]);
    let within = IpAddr::from([198, 51, 100, 1]);
    let second = IpAddr::from([203, 0, 113, 7]);
    inside.kernel.ensure_address("lb0", outside, 24).await.unwrap();
    inside.kernel.ensure_address("lb1", within, 24).await.unwrap();
    inside.kernel.ensure_address("lb0", second, 32).await.unwrap();
    let own = || {
        let ping = "ping -n -c 1 -W 1 -I 203.0.113.7 192.0.2.2";
        let mut words = ping.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).output().unwrap().status.success()
    };
    sysctl::set("net.ipv4.ip_forward", "1").unwrap();
    assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    // The peer knows no way back to the real server's network.
    assert!(!inside.ping("rs", "192.0.2.2"), "without masquerade");
    nft::masquerade(&["lb0"]).unwrap();
    let before = sh("nft list table inet fulcrum");
    nft::masquerade(&["lb0"]).unwrap();
    assert_eq!(sh("nft list table inet fulcrum"), before);
    assert!(inside.ping("rs", "192.0.2.2"), "with masquerade");
    assert!(!own(), "the host's own source was rewritten");
    nft::masquerade(&[]).unwrap();
    assert_eq!(sh("nft list tables"), "");
    nft::masquerade(&["lb0"]).unwrap();
    nft::shield(&["lb1"]).unwrap();
    nft::remove_all_but_shield();
    nft::remove_all_but_shield();
    assert_eq!(sh("nft list tables"), "table netdev fulcrum");
    assert!(!inside.ping("rs", "192.0.2.2"), "masquerade is gone");
}
