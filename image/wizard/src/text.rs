//! From answers to a configuration file.

use crate::answers::Answers;
use crate::machine::Machine;
use std::fmt::Write;
use std::net::IpAddr;

/// The names of the first service and its real server.
const SERVICE: &str = "WEB";
const REAL_SERVER: &str = "WEB1";
/// The table on machines with little memory.
const SMALL_TABLE: &str = "100_000";
/// Until the port is asked for, so that the address can be checked before.
const SOME_PORT: &str = "80";

/// The file that answers amount to, as far as they go: what they do not say yet is left out.
pub fn configuration(answers: &Answers, machine: &Machine) -> String {
    let mut text = String::from(
        "# Made by lbwizard from what was answered at the console, or in advance. `fulcrum check`\n\
         # says what is wrong with a change of it; docs/configuration.md has every key.\n\n",
    );
    remarks(&mut text, answers);
    if machine.is_small() {
        let why = "this machine has less than 2 GiB of memory";
        push(&mut text, format!("[dataplane]\ntable_entries = {SMALL_TABLE}  # {why}\n\n"));
    }
    interfaces(&mut text, answers);
    service(&mut text, answers);
    text
}

/// What was said and has no key.
fn remarks(text: &mut String, answers: &Answers) {
    if answers.ha == Some(true) {
        text.push_str(
            "# One of a pair, as was said. Pairs come with a later release; until then\n",
        );
        text.push_str("# this node works by itself.\n");
    }
    if let Some(server) = answers.name_server.and_then(|it| it.address()) {
        push(
            text,
            format!("# The name server is {server}. Nothing in this release asks one yet.\n"),
        );
    }
    if text.ends_with(".\n") {
        text.push('\n');
    }
}

fn interfaces(text: &mut String, answers: &Answers) {
    let external = [answers.address, answers.gateway.and_then(|it| it.address())];
    let role = match answers.is_two_armed() {
        true => "  # faces the clients",
        false => "  # clients and real servers",
    };
    let (port, prefix) = (answers.port.as_deref(), answers.prefix);
    let is_open = interface(text, ("eth0", role), port, external, prefix);
    if is_open && answers.is_two_armed() && answers.mode.as_deref() == Some("l4-nat") {
        text.push_str("# What real servers begin themselves leaves with our address.\n");
        text.push_str("masquerade = true\n");
    }
    if is_open {
        text.push('\n');
    }
    if answers.is_two_armed() {
        let (port, prefix) = (answers.internal_port.as_deref(), answers.internal_prefix);
        let internal = [answers.internal_address, None];
        if interface(text, ("eth1", "  # faces the real servers"), port, internal, prefix) {
            text.push('\n');
        }
    }
}

fn interface(
    text: &mut String,
    (name, role): (&str, &str),
    port: Option<&str>,
    [address, gateway]: [Option<IpAddr>; 2],
    prefix: Option<u8>,
) -> bool {
    let (Some(port), Some(address)) = (port, address) else { return false };
    let prefix = prefix.unwrap_or(if address.is_ipv4() { 24 } else { 64 });
    let (name, port) = (quoted(name), quoted(port));
    push(text, format!("[[interface]]\nname = {name}{role}\nport = {port}\n"));
    push(text, format!("addresses = [\"{address}/{prefix}\"]\n"));
    if let Some(gateway) = gateway {
        push(text, format!("gateway = \"{gateway}\"\n"));
    }
    true
}

fn service(text: &mut String, answers: &Answers) {
    let (Some(mode), Some(vip)) = (&answers.mode, answers.vip) else { return };
    let (mode, ports) = (quoted(mode), quoted(answers.ports.as_deref().unwrap_or(SOME_PORT)));
    push(text, format!("[[service]]\nname = \"{SERVICE}\"\nmode = {mode}\n"));
    push(text, format!("address = \"{vip}\"\nports = {ports}\n"));
    if let Some(note) = answers.mode.as_deref().and_then(real_servers_note) {
        push(text, format!("# {note}\n"));
    }
    if let Some(address) = answers.real_server {
        push(text, format!("\n  [[service.real_server]]\n  name = \"{REAL_SERVER}\"\n"));
        push(text, format!("  address = \"{address}\"\n"));
    }
}

/// What has to be done on the real servers.
pub fn real_servers_note(mode: &str) -> Option<&'static str> {
    match mode {
        "l4-dr" => Some(
            "Real servers need the virtual address on a loopback interface that answers no ARP.",
        ),
        "l4-nat" => Some("Real servers need this node's address on their side as default gateway."),
        "l4-tun" => {
            Some("Real servers need the virtual address on a tunnel interface that answers no ARP.")
        }
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn push(text: &mut String, more: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = write!(text, "{more}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Maybe;

    fn answers() -> Answers {
        let ip = |text: &str| Some(text.parse().unwrap());
        Answers {
            ha: Some(true),
            arms: Some(2),
            port: Some("0000:00:02.0".into()),
            address: ip("10.0.0.21"),
            prefix: Some(24),
            internal_port: Some("0000:00:03.0".into()),
            internal_address: ip("192.168.2.21"),
            internal_prefix: Some(24),
            gateway: Some(Maybe::Address("10.0.0.31".parse().unwrap())),
            name_server: Some(Maybe::Address("10.0.0.31".parse().unwrap())),
            mode: Some("l4-nat".into()),
            vip: ip("10.0.0.100"),
            ports: Some("80,443".into()),
            real_server: ip("192.168.2.50"),
        }
    }

    #[test]
    fn the_example_of_the_quick_start_is_a_configuration_without_errors() {
        let text = configuration(&answers(), &Machine { nics: Vec::new(), memory: 4_096 });
        let accepted = config::parse(&text, "it").unwrap();
        assert!(accepted.findings.is_empty(), "{}\n{text}", accepted.findings);
        let [outside, inside] = &accepted.config.interfaces[..] else { panic!("{text}") };
        assert!(outside.masquerade && !inside.masquerade);
        assert_eq!(outside.gateways, ["10.0.0.31".parse::<IpAddr>().unwrap()]);
        let service = &accepted.config.services[0];
        assert_eq!(service.mode, config::Mode::Nat);
        assert_eq!(service.real_servers[0].address, "192.168.2.50".parse::<IpAddr>().unwrap());
        assert!(text.contains("later release") && text.contains("name server is 10.0.0.31"));
        assert!(!text.contains("table_entries"));
    }

    #[test]
    fn what_is_not_said_is_left_out_and_a_small_machine_has_a_small_table() {
        let some = Answers { real_server: None, ports: None, ..answers() };
        let text = configuration(&some, &Machine { nics: Vec::new(), memory: 1_024 });
        let config = config::parse(&text, "it").unwrap().config;
        assert_eq!(config.dataplane.table_entries, 100_000);
        assert!(config.services[0].real_servers.is_empty());
        let some = Answers { vip: None, internal_address: None, ..answers() };
        let text = configuration(&some, &Machine::default());
        assert_eq!(config::parse(&text, "it").unwrap().config.interfaces.len(), 1);
    }

    #[test]
    fn what_somebody_types_cannot_become_more_than_a_value() {
        let hostile = "x\"\n[[interface]]\nname = \"eth9\"\n#";
        let some = Answers { port: Some(hostile.into()), ..answers() };
        let text = configuration(&some, &Machine::default());
        let findings = config::parse(&text, "it").unwrap_err();
        assert!(findings.errors.iter().all(|it| it.key.contains("eth0")), "{findings}");
    }
}
