//! Wrong configuration files, through the command that an operator uses.

use crate::balancer::check;
use crate::harness::Test;
use anyhow::{Result, ensure};

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("files::right", |_| right()));
    tests.push(Test::new("files::wrong", |_| wrong()));
}

const GOOD: &str = "[dataplane]
huge_pages = false
workers = 1

[[interface]]
name = \"eth0\"
port = \"af_packet:lb0\"
addresses = [\"192.168.100.10/24\"]

[[service]]
name = \"WEB\"
mode = \"l4-dr\"
address = \"192.168.100.100\"
ports = \"80,443\"
protocol = \"tcp\"
scheduler = \"wlc\"
check = { type = \"connect\", port = 443, interval = \"2s\" }

  [[service.real_server]]
  name = \"WEB1\"
  address = \"192.168.100.110\"
  weight = 100
";

/// What is replaced, by what, and the line and the key that the finding must name.
const WRONG: &[(&str, &str, usize, &str)] = &[
    ("\"80,443\"", "\"80,70000\"", 14, "service[WEB].ports"),
    ("\"80,443\"", "\"443-80\"", 14, "service[WEB].ports"),
    ("\"80,443\"", "\"http\"", 14, "service[WEB].ports"),
    ("weight = 100", "port = 8080", 22, "service[WEB].real_server[WEB1].port"),
    ("\"192.168.100.110\"", "\"10.1.1.1\"", 21, "service[WEB].real_server[WEB1].address"),
    ("\"192.168.100.110\"", "\"2001:db8::1\"", 21, "service[WEB].real_server[WEB1].address"),
    ("\"192.168.100.110\"", "\"web1\"", 21, "service[WEB].real_server[WEB1].address"),
    ("weight = 100", "weight = 65536", 22, "service[WEB].real_server[WEB1].weight"),
    ("weight = 100", "wieght = 100", 22, "service[WEB].real_server[WEB1].wieght"),
    ("\"2s\"", "\"2 fortnights\"", 17, "service[WEB].check.interval"),
    ("\"2s\"", "2", 17, "service[WEB].check.interval"),
    ("\"l4-dr\"", "\"l4-rd\"", 12, "service[WEB].mode"),
    ("\"wlc\"", "\"random\"", 16, "service[WEB].scheduler"),
    ("\"tcp\"", "\"sctp\"", 15, "service[WEB].protocol"),
    ("port = 443,", "port = 0,", 17, "service[WEB].check.port"),
    ("192.168.100.10/24", "192.168.100.10/33", 8, "interface[eth0].addresses"),
    ("af_packet:lb0", "af_pakcet:lb0", 7, "interface[eth0].port"),
    ("workers = 1", "workers = 0", 3, "dataplane.workers"),
    ("name = \"WEB\"", "nmae = \"WEB\"", 11, "nmae"),
    ("[dataplane]", "[dataplain]", 1, "dataplain"),
    ("scheduler = \"wlc\"", "scheduler = \"wlc", 16, ""),
];

/// Whole objects that may not be there twice, with the line and the key.
const DOUBLE: &[(&str, usize, &str)] = &[
    (
        "[[service]]\nname = \"WEB\"\nmode = \"l4-dr\"\naddress = \"192.168.100.101\"\nports = \"80\"\n",
        24,
        "name",
    ),
    (
        "[[service]]\nname = \"WEB2\"\nmode = \"l4-dr\"\naddress = \"192.168.100.100\"\nports = \"443\"\n",
        27,
        "service[WEB2].ports",
    ),
    ("[[service.real_server]]\nname = \"WEB1\"\naddress = \"192.168.100.111\"\n", 24, "name"),
];

fn right() -> Result<()> {
    let (code, said) = checked(GOOD)?;
    ensure!(code == 0, "refused: {said}");
    Ok(())
}

fn wrong() -> Result<()> {
    for (text, line, key) in wrong_ones() {
        let (code, said) = checked(&text)?;
        let place = format!("wrong.toml:{line}:");
        let named = said.lines().any(|finding| {
            finding.contains(&place) && finding.contains("error") && finding.contains(key)
        });
        ensure!(code == 1, "exit code {code} for\n{text}\n{said}");
        ensure!(named, "no error at line {line}, key {key}, in\n{text}\n{said}");
        ensure!(said.contains("write: "), "no remedy: {said}");
    }
    Ok(())
}

/// Each wrong file, with the line and the key that a finding must name.
pub fn wrong_ones() -> impl Iterator<Item = (String, usize, &'static str)> {
    let replaced = WRONG.iter().map(|(old, new, line, key)| {
        let text = GOOD.replacen(old, new, 1);
        assert_ne!(text, GOOD, "{old} is not in the file");
        (text, *line, *key)
    });
    let doubled = DOUBLE.iter().map(|(more, line, key)| (format!("{GOOD}{more}"), *line, *key));
    replaced.chain(doubled)
}

fn checked(text: &str) -> Result<(i32, String)> {
    let folder = std::env::temp_dir().join(format!("fulcrum-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("wrong.toml");
    std::fs::write(&file, text)?;
    let output = check(&file);
    std::fs::remove_dir_all(&folder)?;
    let output = output?;
    Ok((output.status.code().unwrap_or(-1), output.out + &output.err))
}
