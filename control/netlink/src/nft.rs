//! Packet filter rules, through the `nft` command. Only tables called `fulcrum` and `fulcrum-ask` are touched.
//!
//! Each call is one transaction, so it may be repeated and never leaves half a rule set. What
//! traffic depends on is not touched when it is right already. The calls block for the few milliseconds the commands run.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::ask;
use anyhow::{Context, Result, bail, ensure};

/// Keeps the kernel's own stack from seeing what arrives on `devices`; none removes the table. Whether anything had
/// to be done is returned.
///
/// For ports that read through a packet socket, which takes a copy and leaves the frame to the kernel: it would answer
/// what the data plane answers already. Packet sockets are served before the ingress hook, so they still see every frame.
///
/// # Errors
/// When a name is not an interface's, `nft` is not installed, or it refuses (no such device, no privilege).
pub fn shield(devices: &[&str]) -> Result<bool> {
    check(devices)?;
    let context = "cannot keep the kernel from reading the ports";
    let rules =
        shield_rules(devices, &chains(&nft(&["list", "chains", "netdev"], "").context(context)?));
    if !rules.is_empty() {
        run(&rules).context(context)?;
    }
    Ok(!rules.is_empty())
}

/// Masquerades what the host forwards out of `interfaces`; none removes the table.
///
/// What the host sends itself keeps its source: it has chosen it, and a virtual address must stay.
///
/// # Errors
/// When a name is not an interface's, `nft` is not installed, or it refuses.
pub fn masquerade(interfaces: &[&str]) -> Result<()> {
    check(interfaces)?;
    run(&masquerade_rules(interfaces)).context("cannot masquerade outbound traffic")
}

/// Removes all tables but the shield, which is needed for as long as the data plane forwards; a failure is logged, for
/// this is called on the way out.
pub fn remove_all_but_shield() {
    let rules = format!("{}{}", emptied("inet", MAIN), ask::removal());
    if let Err(error) = run(&rules) {
        log::warn!("cannot remove the packet filter tables: {error:#}");
    }
}

/// A chain of the shield: its name, and what it says as `nft` lists it.
type Chain = (String, String);

/// What is right already is left alone: while a chain is replaced, even by the very same, the kernel gets some packets
/// (one in six times at 300,000 packets per second, Linux 6.18), and resets connections that the data plane carries.
fn shield_rules(devices: &[&str], before: &[Chain]) -> String {
    if devices.is_empty() && !before.is_empty() {
        return emptied("netdev", MAIN);
    }
    // One chain per device: kernels before 5.5 know no chain of several.
    let wanted: Vec<Chain> = devices.iter().map(|device| chain(device)).collect();
    let mut rules = String::new();
    for (name, _) in before.iter().filter(|chain| !wanted.contains(chain)) {
        let _ = writeln!(rules, "delete chain netdev {MAIN} {name}");
    }
    for (name, says) in wanted.iter().filter(|chain| !before.contains(chain)) {
        let _ =
            writeln!(rules, "add table netdev {MAIN}\nadd chain netdev {MAIN} {name} {{ {says} }}");
    }
    rules
}

fn chain(device: &str) -> Chain {
    let hook = format!("type filter hook ingress device \"{device}\" priority -500");
    (chain_name(device), format!("{hook}; policy drop;"))
}

/// A device's chain is the same whichever other devices there are. Other characters than letters and digits are written
/// as numbers, because not all of them may stand in a chain's name.
fn chain_name(device: &str) -> String {
    let mut name = String::from("port_");
    for byte in device.bytes() {
        let _ = match byte.is_ascii_alphanumeric() {
            true => write!(name, "{}", char::from(byte)),
            false => write!(name, "_{byte:02x}"),
        };
    }
    name
}

/// The shield's of what `nft` lists.
fn chains(listed: &str) -> Vec<Chain> {
    let (mut chains, mut is_ours) = (Vec::new(), false);
    for line in listed.lines().map(str::trim) {
        let words: Vec<&str> = line.split(' ').collect();
        match (&words[..], chains.last_mut()) {
            (["table", _, table, "{"], _) => is_ours = *table == MAIN,
            (["chain", name, "{"], _) if is_ours => {
                chains.push((String::from(*name), String::new()))
            }
            (["type", ..], Some((_, says))) if is_ours => *says = line.to_owned(),
            _ => {}
        }
    }
    chains
}

fn masquerade_rules(interfaces: &[&str]) -> String {
    if interfaces.is_empty() {
        return emptied("inet", MAIN);
    }
    let quoted: Vec<String> = interfaces.iter().map(|name| format!("\"{name}\"")).collect();
    let hook = "type nat hook postrouting priority srcnat; policy accept;";
    let chain = format!("chain inet {MAIN} outbound");
    let out = format!("oifname {{ {} }} masquerade", quoted.join(", "));
    format!(
        "add table inet {MAIN}\nadd {chain} {{ {hook} }}\nflush {chain}\n\
         add rule inet {MAIN} outbound fib saddr type local return\n\
         add rule inet {MAIN} outbound {out}\n"
    )
}

/// The table of what is always there.
const MAIN: &str = "fulcrum";

/// Removes the table whether it is there or not: `delete` alone fails where there is none.
pub(crate) fn emptied(family: &str, table: &str) -> String {
    format!("add table {family} {table}\ndelete table {family} {table}\n")
}

/// Refuses what is no interface name and could end the quotes it is written in, or be a pattern to `nft`.
pub(crate) fn check(names: &[&str]) -> Result<()> {
    for name in names {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\*/".contains(&byte);
        let fits = (1..=15).contains(&name.len());
        ensure!(fits && name.bytes().all(plain), "{name:?} is not the name of a network interface");
    }
    Ok(())
}

pub(crate) fn run(rules: &str) -> Result<()> {
    nft(&["-f", "-"], rules).map(drop)
}

/// What the command says.
fn nft(words: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("nft")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run nft (install nftables)")?;
    // The pipe closes when this is dropped.
    let written = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().context("cannot wait for nft")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("nft refused ({}): {}", output.status, message.trim());
    }
    written.transpose().context("cannot write to nft")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_rules_are_refused() {
        for name in ["", "a\"b", "a b", "eth*", "a/b", "a\nb", "a\\", "sixteen-letters-"] {
            assert!(check(&[name]).is_err(), "{name:?}");
        }
        assert!(check(&["eth0", "br-1.5", "fifteen-letters"]).is_ok());
    }

    #[test]
    fn a_shield_that_is_right_is_left_alone() {
        let listed = "table netdev other {\n\tchain port_lb0 {\n\t\ttype filter hook egress;\n\t}\n}\n\
            table netdev fulcrum {\n\tchain port_eth1_2e5 {\n\t\ttype filter hook ingress device \
            \"eth1.5\" priority -500; policy drop;\n\t}\n\tchain port_lb7 {\n\t}\n}\n";
        let before = chains(listed);
        let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["port_eth1_2e5", "port_lb7"]);
        assert_eq!(shield_rules(&["eth1.5"], &before[..1]), "");
        let rules = shield_rules(&["lb7", "eth1.5"], &before);
        let lines: Vec<&str> = rules.lines().collect();
        assert_eq!(lines.len(), 3, "{rules}");
        assert_eq!(lines[0], "delete chain netdev fulcrum port_lb7");
        assert_eq!(lines[1], "add table netdev fulcrum");
        assert!(lines[2].starts_with("add chain netdev fulcrum port_lb7 { type "), "{rules}");
    }

    #[test]
    fn without_interfaces_only_the_removal_is_left() {
        assert_eq!(shield_rules(&[], &[chain("lb0")]), emptied("netdev", MAIN));
        assert_eq!(masquerade_rules(&[]), emptied("inet", MAIN));
    }
}
