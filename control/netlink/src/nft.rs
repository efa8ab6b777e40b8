//! Packet filter rules, through the `nft` command. Only tables called `fulcrum` and `fulcrum-ask` are touched.
//!
//! Each call is one transaction that replaces the table as a whole, so it may be repeated and never leaves half a rule set.
//! The calls block for the few milliseconds the command runs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::ask;
use anyhow::{Context, Result, bail, ensure};

/// Keeps the kernel's own stack from seeing what arrives on `devices`; none removes the table.
///
/// For ports that read through a packet socket, which takes a copy and leaves the frame to the kernel: it would answer
/// what the data plane answers already. Packet sockets are served before the ingress hook, so they still see every frame.
///
/// # Errors
/// When a name is not an interface's, `nft` is not installed, or it refuses (no such device, no privilege).
pub fn shield(devices: &[&str]) -> Result<()> {
    check(devices)?;
    run(&shield_rules(devices)).context("cannot keep the kernel from reading the ports")
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

/// Removes all tables; a failure is logged, for this is called on the way out.
pub fn remove_all() {
    let rules = format!("{}{}{}", emptied("netdev", MAIN), emptied("inet", MAIN), ask::removal());
    if let Err(error) = run(&rules) {
        log::warn!("cannot remove the packet filter tables: {error:#}");
    }
}

fn shield_rules(devices: &[&str]) -> String {
    let mut rules = emptied("netdev", MAIN);
    if !devices.is_empty() {
        rules.push_str("add table netdev fulcrum\n");
    }
    // One chain per device: kernels before 5.5 know no chain of several.
    for (number, device) in devices.iter().enumerate() {
        let hook = format!("type filter hook ingress device \"{device}\" priority -500");
        let _ = writeln!(rules, "add chain netdev fulcrum port{number} {{ {hook}; policy drop; }}");
    }
    rules
}

fn masquerade_rules(interfaces: &[&str]) -> String {
    let mut rules = emptied("inet", MAIN);
    if interfaces.is_empty() {
        return rules;
    }
    let quoted: Vec<String> = interfaces.iter().map(|name| format!("\"{name}\"")).collect();
    let hook = "type nat hook postrouting priority srcnat; policy accept";
    let own = "fib saddr type local return";
    let out = format!("oifname {{ {} }} masquerade", quoted.join(", "));
    let _ = writeln!(
        rules,
        "table inet fulcrum {{\n chain outbound {{\n  {hook};\n  {own}\n  {out}\n }}\n}}"
    );
    rules
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
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run nft (install nftables)")?;
    // The pipe closes when this is dropped.
    let written = child.stdin.take().map(|mut input| input.write_all(rules.as_bytes()));
    let output = child.wait_with_output().context("cannot wait for nft")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("nft refused ({}): {}", output.status, message.trim());
    }
    written.transpose().context("cannot write to nft")?;
    Ok(())
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
    fn without_interfaces_only_the_removal_is_left() {
        assert_eq!(shield_rules(&[]), emptied("netdev", MAIN));
        assert_eq!(masquerade_rules(&[]), emptied("inet", MAIN));
    }
}
