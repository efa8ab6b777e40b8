//! The command lines of the programs.

use anyhow::{Result, bail};
use config::Config;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names the folder of the programs, where they do not lie beside `fulcrum` itself.
const LIBEXEC: &str = "FULCRUM_LIBEXEC";

/// Where a program is.
///
/// # Errors
/// When it is not there.
pub fn libexec(name: &str) -> Result<PathBuf> {
    let own = || env::current_exe().ok()?.parent().map(Path::to_owned);
    let folder = env::var_os(LIBEXEC).map(PathBuf::from).or_else(own).unwrap_or_default();
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{name} is not in {}; install it beside fulcrum, or name its folder in {LIBEXEC}",
            folder.display()
        );
    }
    Ok(path)
}

/// Arguments of the data plane. A port's number is the position of its interface in the file.
pub fn dataplane(config: &Config, runtime_dir: &Path) -> Vec<OsString> {
    let plane = &config.dataplane;
    let mtu = config.interfaces.iter().map(|i| i.mtu).max().unwrap_or(1500);
    let mut arguments = vec![OsString::from("--runtime-dir"), runtime_dir.into()];
    let mut push = |text: String| arguments.push(text.into());
    for interface in &config.interfaces {
        push(format!("--port={}={}", interface.name, interface.device));
    }
    push(format!("--workers={}", plane.workers));
    if !plane.cpus.is_empty() {
        let cpus: Vec<String> = plane.cpus.iter().map(u16::to_string).collect();
        push(format!("--cpus={}", cpus.join(",")));
    }
    for argument in &plane.eal {
        push(format!("--eal={argument}"));
    }
    push(format!("--table-entries={}", plane.table_entries));
    if !plane.huge_pages {
        push("--no-huge".into());
    }
    push(format!("--idle={}", plane.idle.text()));
    push(format!("--mtu={mtu}"));
    arguments
}

/// Arguments of the layer 7 proxy. One that a killed `fulcrum run` left behind hands over.
pub fn layer7(runtime_dir: &Path) -> Vec<OsString> {
    vec!["--takeover".into(), "--socket".into(), runtime_dir.join("l7.sock").into()]
}

/// Arguments of control.
pub fn control(file: &Path, runtime_dir: &Path, state_dir: &Path) -> Vec<OsString> {
    let folders =
        ["--runtime-dir".into(), runtime_dir.into(), "--state-dir".into(), state_dir.into()];
    folders.into_iter().chain(["--config".into(), file.into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[dataplane]
workers = 2
cpus = [2, 3]
eal = ["-n", "4"]
table_entries = 5000
huge_pages = false
idle = "poll"
[[interface]]
name = "wan"
port = "af_packet:lb0"
addresses = ["192.168.100.10/24"]
mtu = 1500
[[interface]]
name = "lan"
port = "af_packet:lb1"
addresses = ["10.0.0.1/24"]
mtu = 9000
"#;

    #[test]
    fn everything_in_the_file_reaches_the_data_plane_in_its_order() {
        let config = config::parse(FILE, "test").unwrap().config;
        let arguments = dataplane(&config, Path::new("/run/x"));
        let expected = "--runtime-dir /run/x --port=wan=af_packet:lb0 --port=lan=af_packet:lb1 \
            --workers=2 --cpus=2,3 --eal=-n --eal=4 --table-entries=5000 --no-huge --idle=poll \
            --mtu=9000";
        assert_eq!(arguments, expected.split_whitespace().collect::<Vec<_>>());
    }
}
