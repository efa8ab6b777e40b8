//! Operators' files of every style, each line with its owner.

use config::State;
use proptest::prelude::*;
use proptest::sample::Index;

/// What a file says, and how it is laid out.
#[derive(Clone, Debug)]
pub struct File {
    pub services: Vec<Service>,
    pub style: Style,
}

#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub vip: u8,
    pub real_servers: Vec<RealServer>,
}

#[derive(Clone, Debug)]
pub struct RealServer {
    pub name: String,
    pub host: u8,
    pub weight: Option<u16>,
    pub state: Option<State>,
    pub check: bool,
}

#[derive(Clone, Debug)]
pub struct Style {
    /// `[[service]]` and `[[service.real_server]]`; else the latter is a list in brackets.
    pub headers: bool,
    /// `service = [...]` as well.
    pub services_inline: bool,
    /// Items of lists in brackets have lines of their own.
    multi_line: bool,
    trailing_comma: bool,
    /// `[service.real_server.check]` instead of `check = {...}`.
    deep: bool,
    tight: bool,
    dense: bool,
    indent: usize,
    crlf: bool,
    final_newline: bool,
    /// The service before whose real servers `[node]` stands.
    node_at: usize,
    /// Where there are comments.
    comments: u64,
}

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    File,
    Service(String),
    RealServer(String, String),
}

#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    pub owner: Owner,
    /// Others stand on it, too.
    pub shared: bool,
}

impl Owner {
    pub fn is_part_of(&self, other: &Self) -> bool {
        let within = match (self, other) {
            (Self::RealServer(mine, _), Self::Service(theirs)) => mine == theirs,
            _ => false,
        };
        within || self == other
    }
}

impl Style {
    /// Headers, no comments, nothing odd.
    pub fn plain() -> Self {
        Self {
            headers: true,
            services_inline: false,
            multi_line: false,
            trailing_comma: false,
            deep: false,
            tight: false,
            dense: false,
            indent: 0,
            crlf: false,
            final_newline: true,
            node_at: 0,
            comments: 0,
        }
    }

    pub fn newline(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }

    /// Whether no line is shared.
    pub fn lines_alone(&self) -> bool {
        self.headers || (self.multi_line && !self.services_inline)
    }

    fn any() -> impl Strategy<Value = Self> {
        let flags = any::<[bool; 9]>();
        (flags, 0..3_usize, 0..4_usize, any::<u64>()).prop_map(
            |(flags, indent, node_at, comments)| {
                let [headers, inline, multi_line, comma, deep, tight, dense, crlf, final_newline] =
                    flags;
                Self {
                    headers,
                    services_inline: inline && !headers,
                    multi_line,
                    trailing_comma: comma,
                    deep: deep && headers,
                    tight,
                    dense,
                    indent: indent * 2,
                    crlf,
                    final_newline,
                    node_at,
                    comments,
                }
            },
        )
    }
}

impl File {
    pub fn any() -> impl Strategy<Value = Self> {
        let state = prop::option::of(prop::sample::select(vec![State::Online, State::Drain]));
        let real_server = (any::<Option<u16>>(), state, any::<bool>());
        let services = prop::collection::vec(prop::collection::vec(real_server, 1..4), 1..4);
        (services, Style::any()).prop_map(|(services, style)| {
            let real_server = |(n, (weight, state, check))| RealServer {
                name: format!("r{n}"),
                host: n as u8 + 1,
                weight,
                state,
                check,
            };
            let service = |(n, real_servers): (usize, Vec<_>)| Service {
                name: format!("S{n}"),
                vip: n as u8 + 1,
                real_servers: real_servers.into_iter().enumerate().map(real_server).collect(),
            };
            Self { services: services.into_iter().enumerate().map(service).collect(), style }
        })
    }

    /// Names of a service and of one of its real servers.
    pub fn pick(&self, at: &(Index, Index)) -> (String, String) {
        let service = at.0.get(&self.services);
        (service.name.clone(), at.1.get(&service.real_servers).name.clone())
    }

    pub fn real_server(&mut self, at: &(Index, Index)) -> &mut RealServer {
        let service = at.0.index(self.services.len());
        let list = &mut self.services[service].real_servers;
        let index = at.1.index(list.len());
        &mut list[index]
    }

    pub fn add_service(&mut self, weight: u16) {
        let real_servers = vec![RealServer::new(weight)];
        self.services.push(Service { name: "NEW".into(), vip: 9, real_servers });
    }

    pub fn add_real_server(&mut self, service: &str, weight: u16) {
        let service = self.services.iter_mut().find(|s| s.name == service).unwrap();
        service.real_servers.push(RealServer::new(weight));
    }

    pub fn text(&self) -> String {
        let lines: Vec<String> = self.lines().into_iter().map(|line| line.text).collect();
        lines.join(self.style.newline())
    }

    pub fn lines(&self) -> Vec<Line> {
        let mut writer = Writer { style: &self.style, lines: Vec::new(), decisions: 0 };
        writer.file(self);
        writer.lines
    }
}

impl RealServer {
    fn new(weight: u16) -> Self {
        Self { name: "new".into(), host: 7, weight: Some(weight), state: None, check: true }
    }
}

struct Writer<'s> {
    style: &'s Style,
    lines: Vec<Line>,
    decisions: u32,
}

impl Writer<'_> {
    fn file(&mut self, file: &File) {
        let style = self.style;
        self.free_comment(&Owner::File);
        if style.services_inline {
            self.services_inline(&file.services);
        }
        for line in ["[[interface]]", "name = \"eth0\"", "port = \"af_packet:lb0\""] {
            self.line(line, &Owner::File);
        }
        self.line("addresses = [\"10.0.0.10/16\"] # [[service]]", &Owner::File);
        self.blank();
        if !style.services_inline {
            for (n, service) in file.services.iter().enumerate() {
                self.service(service, style.headers && style.node_at == n);
            }
        }
        self.free_comment(&Owner::File);
        if style.final_newline {
            self.push(String::new(), &Owner::File, false);
        }
    }

    fn service(&mut self, service: &Service, node: bool) {
        let owner = Owner::Service(service.name.clone());
        self.free_comment(&Owner::File);
        self.attached("", &owner);
        self.line("[[service]]", &owner);
        for pair in self.service_pairs(service) {
            self.line(&pair, &owner);
            // Directly above a header it would be the header's.
            if !self.style.dense {
                self.attached("", &owner);
            }
        }
        if !self.style.headers {
            self.real_servers_inline(service, &owner);
            self.blank();
            return;
        }
        self.blank();
        if node {
            self.line("[node]", &Owner::File);
            self.line("name = 'lb'", &Owner::File);
            self.blank();
        }
        for real_server in &service.real_servers {
            self.real_server(service, real_server);
        }
    }

    fn real_server(&mut self, service: &Service, real_server: &RealServer) {
        let owner = Owner::RealServer(service.name.clone(), real_server.name.clone());
        let indent = " ".repeat(self.style.indent);
        self.free_comment(&Owner::File);
        self.attached(&indent, &owner);
        self.line(&format!("{indent}[[service.real_server]]"), &owner);
        self.attached(&indent, &owner);
        let deep = self.style.deep && real_server.check;
        for pair in self.pairs(real_server, !deep) {
            self.line(&format!("{indent}{pair}"), &owner);
        }
        if deep {
            self.attached(&indent, &owner);
            self.line(&format!("{indent}[service.real_server.check]"), &owner);
            let port = self.pair("port", "7");
            self.line(&format!("{indent}{port}"), &owner);
        }
        if !self.style.dense {
            self.attached(&indent, &owner);
        }
        self.blank();
    }

    fn real_servers_inline(&mut self, service: &Service, owner: &Owner) {
        let tables: Vec<String> =
            service.real_servers.iter().map(|r| self.inline(self.pairs(r, true))).collect();
        if !self.style.multi_line {
            let comma = if self.style.trailing_comma { ", " } else { "" };
            let text = format!("real_server = [{}{comma}]", tables.join(", "));
            let comment = self.comment();
            self.push(text + &comment, owner, true);
            return;
        }
        self.line("real_server = [", owner);
        let last = tables.len() - 1;
        for (n, (table, real_server)) in tables.iter().zip(&service.real_servers).enumerate() {
            let own = Owner::RealServer(service.name.clone(), real_server.name.clone());
            let comma = if n < last || self.style.trailing_comma { "," } else { "" };
            let indent = " ".repeat(self.style.indent);
            if n > 0 {
                self.free_comment(owner);
            }
            self.attached(&indent, &own);
            self.line(&format!("{indent}{table}{comma}"), &own);
        }
        self.line("]", owner);
    }

    fn services_inline(&mut self, services: &[Service]) {
        let table = |service: &Service| {
            let reals = service.real_servers.iter().map(|r| self.inline(self.pairs(r, true)));
            let list = format!("[{}]", reals.collect::<Vec<_>>().join(", "));
            let mut pairs = self.service_pairs(service);
            pairs.push(self.pair("real_server", &list));
            self.inline(pairs)
        };
        let tables: Vec<String> = services.iter().map(table).collect();
        if !self.style.multi_line {
            self.push(format!("service = [{}]", tables.join(", ")), &Owner::File, true);
            return;
        }
        self.line("service = [", &Owner::File);
        let last = tables.len() - 1;
        for (n, (table, service)) in tables.iter().zip(services).enumerate() {
            let own = Owner::Service(service.name.clone());
            let comma = if n < last || self.style.trailing_comma { "," } else { "" };
            self.attached("  ", &own);
            let comment = self.comment();
            self.push(format!("  {table}{comma}{comment}"), &own, true);
        }
        self.line("]", &Owner::File);
        self.blank();
    }

    fn service_pairs(&self, service: &Service) -> Vec<String> {
        vec![
            self.pair("name", &format!("{:?}", service.name)),
            self.pair("mode", "'l4-nat'"),
            self.pair("address", &format!("\"10.0.9.{}\"", service.vip)),
            self.pair("ports", "\"80\""),
        ]
    }

    fn pairs(&self, real_server: &RealServer, check: bool) -> Vec<String> {
        let mut pairs = vec![
            self.pair("name", &format!("{:?}", real_server.name)),
            self.pair("address", &format!("\"10.0.7.{}\"", real_server.host)),
        ];
        pairs.extend(real_server.weight.map(|weight| self.pair("weight", &weight.to_string())));
        let state = real_server.state.map(|state| format!("{:?}", state.text()));
        pairs.extend(state.map(|state| self.pair("state", &state)));
        if real_server.check && check {
            pairs.push(match self.style.tight {
                true => self.pair("check.port", "7"),
                false => self.pair("check", "{ port = 7 }"),
            });
        }
        pairs
    }

    fn pair(&self, key: &str, value: &str) -> String {
        if self.style.tight { format!("{key}={value}") } else { format!("{key} = {value}") }
    }

    fn inline(&self, pairs: Vec<String>) -> String {
        match self.style.tight {
            true => format!("{{{}}}", pairs.join(",")),
            false => format!("{{ {} }}", pairs.join(", ")),
        }
    }

    fn line(&mut self, text: &str, owner: &Owner) {
        let comment = self.comment();
        self.push(format!("{text}{comment}"), owner, false);
    }

    /// Perhaps one behind a value.
    fn comment(&mut self) -> String {
        if self.decide(3) { format!("  # behind {}, with = [", self.decisions) } else { "".into() }
    }

    /// Perhaps one on a line of its own, directly above or below.
    fn attached(&mut self, indent: &str, owner: &Owner) {
        if self.decide(3) {
            self.push(format!("{indent}# of it {}", self.decisions), owner, false);
        }
    }

    /// Perhaps one that stands for itself.
    fn free_comment(&mut self, owner: &Owner) {
        if !self.style.dense && self.decide(3) {
            self.push(String::new(), &Owner::File, false);
            self.push(format!("# free {}", self.decisions), owner, false);
            self.push(String::new(), &Owner::File, false);
        }
    }

    fn blank(&mut self) {
        if !self.style.dense {
            self.push(String::new(), &Owner::File, false);
        }
    }

    fn push(&mut self, text: String, owner: &Owner, shared: bool) {
        self.lines.push(Line { text, owner: owner.clone(), shared });
    }

    /// One in so many times, if there are comments at all.
    fn decide(&mut self, one_in: u64) -> bool {
        self.decisions += 1;
        let mixed =
            (self.style.comments ^ u64::from(self.decisions)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.style.comments != 0 && (mixed >> 32).is_multiple_of(one_in)
    }
}
