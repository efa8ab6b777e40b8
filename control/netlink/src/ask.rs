//! Asking a real server at a virtual address that the host has itself.
//!
//! A socket that connects to a virtual address would reach the host's own. So it connects to the
//! real server's address, with a mark: routing and the neighbour table lead the frame to the real
//! server, and only as it leaves (the netdev egress hook, Linux 5.16) the packet filter puts the
//! virtual address in. The answer comes from the virtual address; which real server was asked is
//! known by the port that it comes to.
//!
//! Behind a tunnel there is no link to lead the frame over: it is addressed to a MAC address by
//! which the data plane knows whom it is for, and it is the data plane that encloses it.

use crate::nft::{check, emptied, run};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// The first mark of virtual addresses; the others have the same upper half.
pub const MARKS: u32 = 0x4655_0000;

/// Real servers behind tunnels: the mark of the virtual address, the real address, and the MAC
/// address that stands for them.
pub type Tunnelled = BTreeMap<(u32, IpAddr), [u8; 6]>;

/// The table, one of each family.
const TABLE: &str = "fulcrum-ask";

/// The rules of `inet`: whom each port asks, and back from there. A port that is used once more
/// may ask another real server, so that what is known of it must go first. Ten minutes are longer
/// than a probe.
const ASKED: &str = "
 map asked4 { type inet_proto . inet_service : ipv4_addr; flags dynamic,timeout; size 65536; timeout 10m; }
 map asked6 { type inet_proto . inet_service : ipv6_addr; flags dynamic,timeout; size 65536; timeout 10m; }
 chain asked {
  type filter hook postrouting priority 400; policy accept;
  meta mark & 0xffff0000 != MARKS accept
  meta l4proto tcp tcp flags & (syn | ack) != syn accept
  meta nfproto ipv4 delete @asked4 { meta l4proto . th sport : ip daddr }
  meta nfproto ipv4 add @asked4 { meta l4proto . th sport : ip daddr }
  meta nfproto ipv6 delete @asked6 { meta l4proto . th sport : ip6 daddr }
  meta nfproto ipv6 add @asked6 { meta l4proto . th sport : ip6 daddr }
 }
 chain back {
  type filter hook prerouting priority -400; policy accept;
  ip saddr @vips4 ip saddr set meta l4proto . th dport map @asked4
  ip6 saddr @vips6 ip6 saddr set meta l4proto . th dport map @asked6
 }
";

/// Lets marked packets that leave by one of `interfaces` be for the virtual address of their mark,
/// and brings the answers back. No marks remove the rules.
///
/// The ports of marked packets must all be different. Marks begin at [`MARKS`]; there are 65,536.
///
/// # Errors
/// When a name is not an interface's, `nft` is not installed, or it refuses (no such device).
pub fn at_vips(
    interfaces: &[&str],
    marks: &BTreeMap<IpAddr, u32>,
    tunnelled: &Tunnelled,
) -> Result<()> {
    check(interfaces)?;
    run(&rules(interfaces, marks, tunnelled))
        .context("cannot ask real servers at virtual addresses")
}

pub(crate) fn removal() -> String {
    format!("{}{}", emptied("netdev", TABLE), emptied("inet", TABLE))
}

fn rules(interfaces: &[&str], marks: &BTreeMap<IpAddr, u32>, tunnelled: &Tunnelled) -> String {
    let mut rules = removal();
    if marks.is_empty() || interfaces.is_empty() {
        return rules;
    }
    let (mut vips, mut sets) = (String::new(), String::new());
    for (number, is_family) in [(4, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (6, IpAddr::is_ipv6)] {
        let of_family: Vec<_> = marks.iter().filter(|(vip, _)| is_family(vip)).collect();
        let pairs = of_family.iter().map(|(vip, mark)| format!("{mark:#x} : {vip}"));
        let _ = writeln!(
            vips,
            " map vips{number} {{ type mark : ipv{number}_addr; {} }}",
            elements(pairs)
        );
        let macs = tunnelled.iter().filter(|((_, address), _)| is_family(address));
        let macs = macs.map(|((mark, address), mac)| {
            format!("{mark:#x} . {address} : {}", mac.map(|byte| format!("{byte:02x}")).join(":"))
        });
        let _ = writeln!(
            vips,
            " map macs{number} {{ type mark . ipv{number}_addr : ether_addr; {} }}",
            elements(macs)
        );
        let alone = of_family.iter().map(|(vip, _)| vip.to_string());
        let _ =
            writeln!(sets, " set vips{number} {{ type ipv{number}_addr; {} }}", elements(alone));
    }
    let _ = writeln!(rules, "table netdev {TABLE} {{\n{vips}");
    // One chain per device: each goes with its device.
    for (number, device) in interfaces.iter().enumerate() {
        let hook = format!("type filter hook egress device \"{device}\" priority 0");
        let _ = writeln!(
            rules,
            " chain out{number} {{\n  {hook}; policy accept;\n  \
             ether daddr set meta mark . ip daddr map @macs4\n  \
             ether daddr set meta mark . ip6 daddr map @macs6\n  \
             ip daddr set meta mark map @vips4\n  ip6 daddr set meta mark map @vips6\n }}"
        );
    }
    let asked = ASKED.replace("MARKS", &format!("{MARKS:#x}"));
    let _ = writeln!(rules, "}}\ntable inet {TABLE} {{\n{sets}{asked}}}");
    rules
}

/// An empty list may not be written.
fn elements(elements: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = elements.collect();
    if all.is_empty() { String::new() } else { format!("elements = {{ {} }};", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_marks_only_the_removal_is_left() {
        let (none, one) = (BTreeMap::new(), BTreeMap::from([("::1".parse().unwrap(), MARKS)]));
        assert_eq!(rules(&["eth0"], &none, &BTreeMap::new()), removal());
        assert_eq!(rules(&[], &one, &BTreeMap::new()), removal());
    }
}
