//! Hostile files: any bytes, mutilated files, files made to cost much.
//!
//! `FULCRUM_FUZZ_SECONDS` lengthens the two fuzz targets; under `cargo bolero` they are guided.

use config::{MAX_FILE_BYTES, parse, parse_bytes};
use std::fmt::Write;
use std::time::Duration;

const EXAMPLES: &[&str] = &[
    include_str!("../../../examples/iconnect-access.toml"),
    include_str!("../../../examples/two-arm-nat.toml"),
    include_str!("../../../examples/snat.toml"),
    include_str!("../../../examples/tun.toml"),
    include_str!("../../../examples/ipv6.toml"),
    include_str!("../../../examples/stateful.toml"),
    include_str!("../../../examples/ctera-portal.toml"),
    include_str!("../../../examples/ctera-portal-offload.toml"),
    include_str!("../../../examples/icas-fs.toml"),
];

/// Pieces that files are made of, for mutations that get past the first syntax error.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\n",
    "[[service]]\n",
    "[[service.real_server]]\n",
    "[[interface]]\n",
    "{",
    "}",
    "= ",
    "0",
    "-1",
    "65536",
    "\"all\"",
    "\"0.0.0.0/0\"",
    "\"::\"",
    "[",
    "]",
    ",",
    "99999999999999999999",
    "\"l4-snat\"",
    "\"l7-http\"",
    "\"l7-tcp\"",
    "queue = { length = 1 }\n",
    "[[service.rule]]\n",
    "not = { path_begins = [\"/a\"] }\n",
    "header = [{ name = \"A\" }]\n",
    "redirect = \"/{path}\"\n",
    "source = \"vip\"\n",
    "check = { type = \"off\" }\n",
    "\u{feff}",
    "é",
    "snat_pool = []\n",
    ".",
];

fn seconds() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

/// What holds for every input: an answer, with a place inside the file for each finding.
fn judge(bytes: &[u8]) {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    let findings = match parse_bytes(bytes, "fuzz.toml") {
        Ok(accepted) => {
            assert!(accepted.findings.errors.is_empty());
            accepted.findings
        }
        Err(findings) => {
            assert!(!findings.errors.is_empty(), "refused without a reason");
            findings
        }
    };
    for (_, finding) in findings.iter() {
        assert!((1..=lines).contains(&finding.line) && finding.column >= 1, "{finding:?}");
        assert!(!finding.what.is_empty() && !finding.write.is_empty(), "{finding:?}");
        assert!(!finding.key.is_empty() && !finding.what.contains('\n'), "{finding:?}");
    }
}

#[test]
fn any_bytes_get_an_answer() {
    bolero::check!().with_test_time(seconds()).for_each(|bytes: &[u8]| judge(bytes));
}

#[test]
fn mutilated_files_get_an_answer() {
    bolero::check!().with_type::<(u8, Vec<(u8, u16, u8)>)>().with_test_time(seconds()).for_each(
        |(file, mutations)| {
            let mut text = EXAMPLES[usize::from(*file) % EXAMPLES.len()].as_bytes().to_vec();
            for mutation in mutations.iter().take(16) {
                mutate(&mut text, *mutation);
            }
            judge(&text);
        },
    );
}

fn mutate(text: &mut Vec<u8>, (operation, place, argument): (u8, u16, u8)) {
    let at = usize::from(place) % (text.len() + 1);
    let end = (at + usize::from(argument)).min(text.len());
    match operation % 5 {
        0 => text.truncate(at),
        1 => drop(text.drain(at..end)),
        2 => text.insert(at, argument),
        3 => {
            let copy = text[at..end].to_vec();
            text.extend(copy);
        }
        _ => {
            let piece = PIECES[usize::from(argument) % PIECES.len()];
            text.splice(at..at, piece.bytes());
        }
    }
}

const HEAD: &str =
    "[[interface]]\nname = \"eth0\"\nport = \"null\"\naddresses = [\"10.0.0.1/8\"]\n";

/// As many services as there may be, all in each other's way: one finding for each, but the first
/// and those beyond the limit on findings.
#[test]
fn the_most_overlaps_there_can_be() {
    let mut text = String::from(HEAD);
    for i in 0..config::MAX_SERVICES {
        let _ = write!(
            text,
            "[[service]]\nname = \"S{i}\"\nmode = \"l4-nat\"\naddress = \"10.1.1.1\"\n\
             ports = \"all\"\ncheck = {{ type = \"on\" }}\n"
        );
    }
    let findings = parse(&text, "lb.toml").expect_err("refused");
    assert_eq!(findings.errors.len(), config::MAX_FINDINGS);
}

#[test]
fn one_service_too_many() {
    let text = format!("{HEAD}{}", "[[service]]\n".repeat(config::MAX_SERVICES + 1));
    let findings = parse(&text, "lb.toml").expect_err("refused");
    assert!(findings.errors.iter().any(|e| e.what.contains("at most 16384")), "{findings}");
}

/// The largest configuration there may be is accepted.
#[test]
fn the_most_real_servers_there_can_be() {
    let mut text = String::from(HEAD);
    text += "[[service]]\nname = \"S\"\nmode = \"l4-nat\"\naddress = \"10.1.1.1\"\nports = \"80\"\n\
             fallback = \"none\"\n";
    for i in 0..config::MAX_REAL_SERVERS {
        let _ = writeln!(
            text,
            "[[service.real_server]]\nname = \"R{i}\"\naddress = \"10.2.{}.{}\"\nport = {}",
            i >> 8 & 0xff,
            i & 0xff,
            8_000 + (i >> 16)
        );
    }
    let accepted = parse(&text, "lb.toml").expect("accepted");
    assert_eq!(accepted.config.services[0].real_servers.len(), config::MAX_REAL_SERVERS);
    text += "[[service.real_server]]\nname = \"more\"\naddress = \"10.3.0.1\"\n";
    assert!(parse(&text, "lb.toml").is_err());
}

#[test]
fn depth_and_length_are_bounded() {
    for text in [
        format!("a = {}", "[".repeat(1 << 20)),
        format!("a = {}", "{a=".repeat(1 << 20)),
        format!("{}a = 1", "a.".repeat(1 << 20)),
        format!("{} = 1", "a".repeat(1 << 22)),
        format!("[node]\nname = \"{}\"", "x".repeat(1 << 22)),
        "= ".repeat(1 << 20),
        "=\n".repeat(1 << 20),
        "\"\n".repeat(1 << 20),
        format!("[dataplane]\neal = [{}]", "\"\",".repeat(1 << 18)),
        "#".repeat(MAX_FILE_BYTES + 1),
    ] {
        let findings = parse(&text, "lb.toml").expect_err("refused");
        assert!(findings.to_string().len() < 1 << 20, "messages stay short");
    }
}
