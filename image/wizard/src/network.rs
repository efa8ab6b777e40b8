//! Addresses and gateway of an interface, changed in the operator's text; all else of it stays.

use config::Config;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What to set; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Address with the length of the prefix, in place of the first one there is.
    pub address: Option<String>,
    /// The gateway; empty is none.
    pub gateway: Option<String>,
}

/// The interfaces, a line each.
pub fn list(text: &str) -> String {
    let Ok(accepted) = config::parse(text, "configuration") else { return String::new() };
    let lines: Vec<String> = accepted.config.interfaces.iter().map(line).collect();
    lines.join("\n")
}

fn line(interface: &config::Interface) -> String {
    let join = |list: Vec<String>| if list.is_empty() { "none".into() } else { list.join(", ") };
    let addresses = join(interface.addresses.iter().map(ToString::to_string).collect());
    let gateways = join(interface.gateways.iter().map(ToString::to_string).collect());
    format!("  {:<8} {} on {}, gateway {gateways}", interface.name, addresses, interface.device)
}

/// The number of the interface with a name.
pub fn find(text: &str, name: &str) -> Option<usize> {
    let config: Config = config::parse(text, "configuration").ok()?.config;
    config.interfaces.iter().position(|interface| interface.name == name)
}

/// The text with another address or gateway of an interface.
///
/// # Errors
/// What is wrong with the outcome, in one line.
pub fn set(text: &str, number: usize, setting: &Setting) -> Result<String, String> {
    let others = addresses(text, number)?;
    let mut changed = text.to_owned();
    if let Some(gateway) = &setting.gateway {
        changed = match gateway.as_str() {
            "" => replace(&changed, number, "gateway", "[]")?,
            gateway => replace(&changed, number, "gateway", &quoted(gateway))?,
        };
    }
    if let Some(address) = &setting.address {
        let all = std::iter::once(address).chain(others.iter().skip(1));
        let all: Vec<String> = all.map(|it| quoted(it)).collect();
        changed = replace(&changed, number, "addresses", &format!("[{}]", all.join(", ")))?;
    }
    match config::parse(&changed, "configuration") {
        Ok(_) => Ok(changed),
        Err(findings) => {
            let first = findings.errors.first();
            Err(first.map_or_else(String::new, |it| format!("{}; write: {}", it.what, it.write)))
        }
    }
}

/// Replaces a value, or adds the key behind the interface's name.
fn replace(text: &str, number: usize, key: &str, value: &str) -> Result<String, String> {
    const LAYOUT: &str = "the configuration is laid out in a way that cannot be changed here; use \
                          `fulcrum apply` or the API";
    let root = DeTable::parse(text).map_err(|e| e.message().to_owned())?;
    let table = interface(root.get_ref(), number).ok_or(LAYOUT)?;
    let span = |key: &str| table.get(key).map(|value| value.span());
    let (range, new): (Range<usize>, String) = match (span(key), span("name")) {
        (Some(span), _) => (span, value.to_owned()),
        (None, Some(name)) => {
            let end = text.get(name.end..).and_then(|rest| rest.find('\n'));
            let at = end.map_or(text.len(), |end| name.end + end);
            (at..at, format!("\n{key} = {value}"))
        }
        (None, None) => return Err(LAYOUT.into()),
    };
    let (Some(before), Some(after)) = (text.get(..range.start), text.get(range.end..)) else {
        return Err(LAYOUT.into());
    };
    Ok(format!("{before}{new}{after}"))
}

fn addresses(text: &str, number: usize) -> Result<Vec<String>, String> {
    let accepted = config::parse(text, "configuration").map_err(|it| it.to_string())?;
    let interface = accepted.config.interfaces.get(number);
    Ok(interface.map_or_else(Vec::new, |it| it.addresses.iter().map(|p| p.to_string()).collect()))
}

fn interface<'a, 'i>(root: &'a DeTable<'i>, number: usize) -> Option<&'a DeTable<'i>> {
    let DeValue::Array(list) = root.get("interface")?.get_ref() else { return None };
    match list.get(number)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# ours
[[interface]]
name = \"eth0\"  # outside
port = \"0000:00:02.0\"
addresses = [\"10.0.0.21/24\", \"10.0.0.22/24\"]  # two

[[interface]]
name = \"eth1\"
port = \"0000:00:03.0\"
";

    fn setting(address: &str, gateway: &str) -> Setting {
        Setting { address: Some(address.into()), gateway: Some(gateway.into()) }
    }

    #[test]
    fn the_first_address_and_the_gateway_change_and_nothing_else() {
        assert_eq!(find(TEXT, "eth1"), Some(1));
        assert_eq!(find(TEXT, "eth9"), None);
        let changed = set(TEXT, 0, &setting("10.0.0.31/24", "10.0.0.1")).unwrap();
        let expected = TEXT
            .replace("[\"10.0.0.21/24\",", "[\"10.0.0.31/24\",")
            .replace("# outside\n", "# outside\ngateway = \"10.0.0.1\"\n");
        assert_eq!(changed, expected);
        assert!(list(&changed).contains("10.0.0.31/24, 10.0.0.22/24 on 0000:00:02.0, gateway 10"));
        let back = set(&changed, 0, &setting("10.0.0.21/24", "")).unwrap();
        assert_eq!(back, TEXT.replace("# outside\n", "# outside\ngateway = []\n"));
        let new = set(TEXT, 1, &setting("192.168.2.1/24", "192.168.2.2")).unwrap();
        assert!(
            new.contains("name = \"eth1\"\naddresses = [\"192.168.2.1/24\"]\ngateway"),
            "{new}"
        );
        assert_eq!(set(TEXT, 0, &Setting::default()).unwrap(), TEXT);
    }

    #[test]
    fn what_would_be_wrong_is_told_and_not_done() {
        let wrong = set(TEXT, 0, &setting("10.0.0.31/24", "10.9.9.9")).unwrap_err();
        assert!(wrong.contains("write: ") && !wrong.contains('\n'), "{wrong}");
        assert!(set(TEXT, 0, &setting("x\"]\n[[interface]]", "")).is_err());
        assert!(set(TEXT, 7, &setting("10.0.0.31/24", "")).is_err());
    }
}
