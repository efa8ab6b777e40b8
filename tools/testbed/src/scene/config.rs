//! The balancer's configuration for a scene.

use super::{Mode, Scene};
use std::fmt::Write;

/// A check that notices a dead real server within a second or two.
pub const CHECK: &str =
    "{ type = \"connect\", interval = \"300ms\", timeout = \"300ms\", rise = 1, fall = 2 }";

/// One service of a scene, over all its real servers.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    name: String,
    ports: String,
    protocol: &'static str,
    real_port: Option<u16>,
    weights: Vec<u16>,
    lines: Vec<String>,
    server_lines: Vec<String>,
}

impl ServiceConfig {
    /// A service on one port, round robin.
    pub fn new(name: &str, port: u16, protocol: &'static str) -> Self {
        Self {
            name: name.into(),
            ports: port.to_string(),
            protocol,
            real_port: Some(port),
            weights: Vec::new(),
            lines: vec![],
            server_lines: vec![],
        }
        .with("scheduler = \"wrr\"")
        .with(&format!("check = {CHECK}"))
    }

    /// Another line of the service. A key given again replaces the one before.
    pub fn with(mut self, line: &str) -> Self {
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        self.lines.retain(|old| key(old) != key(line));
        self.lines.push(line.to_owned());
        self
    }

    /// The real servers' weights; 100 for those not named.
    pub fn weights(mut self, weights: &[u16]) -> Self {
        self.weights = weights.to_vec();
        self
    }

    /// Another line of each real server.
    pub fn with_server(mut self, line: &str) -> Self {
        self.server_lines.push(line.to_owned());
        self
    }

    /// Real servers listen on the port that clients come to.
    pub fn same_port(mut self) -> Self {
        self.real_port = None;
        self
    }

    fn write(&self, scene: &Scene, text: &mut String) {
        let Scene { mode, family, .. } = scene;
        let mut line = |line: String| text.push_str(&(line + "\n"));
        line("\n[[service]]".to_owned());
        line(format!("name = \"{}\"\nmode = \"{}\"", self.name, mode.key()));
        line(format!("address = \"{}\"\nports = \"{}\"", scene.vip(), self.ports));
        line(format!("protocol = \"{}\"", self.protocol));
        let given = |key: &str| self.lines.iter().any(|line| line.starts_with(key));
        if let Some(tunnel) = mode.tunnel().filter(|_| !given("tunnel")) {
            line(format!("tunnel = {{ type = \"{tunnel}\" }}"));
        }
        if *mode == Mode::Snat && !given("snat_pool") {
            let pool = [5, 6].map(|number| family.address("lan", number).to_string());
            line(format!("snat_pool = {pool:?}"));
        }
        self.lines.iter().for_each(|own| line(own.clone()));
        for (number, server) in scene.servers.iter().enumerate() {
            line("  [[service.real_server]]".to_owned());
            let (name, address) = (server.name(), scene.real(number));
            line(format!("  name = \"{name}\"\n  address = \"{address}\""));
            let weight = self.weights.get(number).copied().unwrap_or(100);
            line(format!("  weight = {weight}"));
            if let Some(port) = self.real_port.filter(|_| !mode.keeps_vip()) {
                line(format!("  port = {}", scene.real_port(port)));
            }
            self.server_lines.iter().for_each(|own| line(format!("  {own}")));
        }
    }
}

/// The whole file.
pub fn config(scene: &Scene, dataplane: &str, services: &[ServiceConfig]) -> String {
    let Scene { mode, family, .. } = scene;
    let huge = if dataplane.contains("huge_pages") { "" } else { "huge_pages = false\n" };
    let mut text = format!("[dataplane]\n{huge}{dataplane}\n");
    let mut interface = |number: usize, address: &str, more: &str| {
        let _ = write!(
            text,
            "\n[[interface]]\nname = \"eth{number}\"\nport = \"af_packet:lb{number}\"\n\
             addresses = [\"{address}\"]\n{more}"
        );
    };
    let gateway = match mode.tunnel() {
        Some(_) => format!("gateway = \"{}\"\n", family.address("lan", 1)),
        None => String::new(),
    };
    interface(0, &family.on("lan", 10), &gateway);
    if *mode == Mode::Nat {
        interface(1, &family.on("inside", 21), "");
    }
    for service in services {
        service.write(scene, &mut text);
    }
    text
}
