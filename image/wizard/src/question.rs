//! The questions in their order, and what counts as an answer.

use crate::answers::{Answers, Maybe};
use crate::machine::Machine;
use crate::text;
use config::{Finding, Findings};
use std::net::IpAddr;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this one of a pair?
    Ha,
    /// One network or two?
    Arms,
    /// Which NIC faces the clients?
    Port,
    /// Our address there.
    Address,
    /// The mask there.
    Mask,
    /// Which NIC faces the real servers?
    InternalPort,
    /// Our address there.
    InternalAddress,
    /// The mask there.
    InternalMask,
    /// The default gateway.
    Gateway,
    /// The name server.
    NameServer,
    /// How packets reach the real servers.
    Mode,
    /// The virtual address.
    Vip,
    /// Its ports.
    Ports,
    /// The first real server.
    RealServer,
}

/// Modes in the order of the menu for one arm: the word, and what it is.
const MODES: [(&str, &str); 6] = [
    ("l4-dr", "layer 4, direct routing: fastest; real servers are prepared for the address"),
    ("l4-nat", "layer 4, NAT: this node is the real servers' default gateway"),
    ("l4-snat", "layer 4, full NAT: nothing changes on real servers; they do not see the client"),
    ("l4-tun", "layer 4, tunnel: direct routing to servers in other networks"),
    ("l7-tcp", "layer 7, TCP proxy: nothing changes on real servers"),
    ("l7-http", "layer 7, HTTP proxy: adds X-Forwarded-For, can keep clients by cookie"),
];

impl Question {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Ha,
        Self::Arms,
        Self::Port,
        Self::Address,
        Self::Mask,
        Self::InternalPort,
        Self::InternalAddress,
        Self::InternalMask,
        Self::Gateway,
        Self::NameServer,
        Self::Mode,
        Self::Vip,
        Self::Ports,
        Self::RealServer,
    ];

    /// Whether it is asked at all, as things are.
    pub fn applies(self, answers: &Answers, machine: &Machine) -> bool {
        let arms = if answers.is_two_armed() { 2 } else { 1 };
        match self {
            // With as many NICs as arms there is nothing to choose; they are taken in order.
            Self::Port => machine.nics.len() != arms,
            Self::InternalPort => answers.is_two_armed() && machine.nics.len() != 2,
            Self::InternalAddress | Self::InternalMask => answers.is_two_armed(),
            _ => true,
        }
    }

    /// Whether there is an answer.
    pub fn is_answered(self, answers: &Answers) -> bool {
        match self {
            Self::Ha => answers.ha.is_some(),
            Self::Arms => answers.arms.is_some(),
            Self::Port => answers.port.is_some(),
            Self::Address => answers.address.is_some(),
            Self::Mask => answers.prefix.is_some(),
            Self::InternalPort => answers.internal_port.is_some(),
            Self::InternalAddress => answers.internal_address.is_some(),
            Self::InternalMask => answers.internal_prefix.is_some(),
            Self::Gateway => answers.gateway.is_some(),
            Self::NameServer => answers.name_server.is_some(),
            Self::Mode => answers.mode.is_some(),
            Self::Vip => answers.vip.is_some(),
            Self::Ports => answers.ports.is_some(),
            Self::RealServer => answers.real_server.is_some(),
        }
    }

    /// The key of its answer in a file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ha => "ha",
            Self::Arms => "arms",
            Self::Port => "port",
            Self::Address => "address",
            Self::Mask => "prefix",
            Self::InternalPort => "internal_port",
            Self::InternalAddress => "internal_address",
            Self::InternalMask => "internal_prefix",
            Self::Gateway => "gateway",
            Self::NameServer => "name_server",
            Self::Mode => "mode",
            Self::Vip => "vip",
            Self::Ports => "ports",
            Self::RealServer => "real_server",
        }
    }

    /// The question, without the answer that Enter alone would give.
    pub fn text(self, machine: &Machine) -> String {
        let plain = match self {
            Self::Ha => "Is this unit one of a pair (high availability)? (y/n)",
            Self::Arms => {
                "Arms: 1 (clients and real servers on one network) or 2 (a network each)?"
            }
            Self::Port => return nics("Which NIC faces the clients?", machine),
            Self::InternalPort => return nics("Which NIC faces the real servers?", machine),
            Self::Address => "IP address of this unit, for example 10.0.0.21",
            Self::InternalAddress => {
                "IP address of this unit on the real servers' side, for example 192.168.2.21"
            }
            Self::Mask | Self::InternalMask => "Mask of that network, 255.255.255.0 or /24",
            Self::Gateway => "IP address of the default gateway, or none",
            Self::NameServer => "IP address of the name server, or none",
            Self::Mode => return modes(),
            Self::Vip => "Virtual IP address (VIP) that clients connect to",
            Self::Ports => "Its port or ports, for example 80 or 80,443",
            Self::RealServer => "IP address of the first real server",
        };
        plain.to_owned()
    }

    /// What Enter alone answers: what was said before, or what most say.
    pub fn default(self, answers: &Answers, machine: &Machine) -> Option<String> {
        let show = |address: Option<IpAddr>| address.map(|it| it.to_string());
        let maybe = |it: Option<Maybe>| {
            Some(it?.address().map_or_else(|| "none".into(), |address| address.to_string()))
        };
        match self {
            Self::Ha => Some(if answers.ha == Some(true) { "y" } else { "n" }.into()),
            Self::Arms => Some(answers.arms.unwrap_or(1).to_string()),
            Self::Port => answers.port.clone().or_else(|| nth(machine, 0)),
            Self::InternalPort => {
                let free = |nic: &&crate::machine::Nic| answers.port.as_ref() != Some(&nic.address);
                let free = machine.nics.iter().find(free).map(|nic| nic.address.clone());
                answers.internal_port.clone().or(free)
            }
            Self::Address => show(answers.address),
            Self::InternalAddress => show(answers.internal_address),
            Self::Mask => usual_mask(answers.address, answers.prefix),
            Self::InternalMask => usual_mask(answers.internal_address, answers.internal_prefix),
            Self::Gateway => maybe(answers.gateway),
            Self::NameServer => maybe(answers.name_server).or_else(|| maybe(answers.gateway)),
            Self::Mode => {
                let usual = if answers.is_two_armed() { "l4-nat" } else { "l4-dr" };
                Some(answers.mode.clone().unwrap_or_else(|| usual.into()))
            }
            Self::Vip => show(answers.vip),
            Self::Ports => Some(answers.ports.clone().unwrap_or_else(|| "80".into())),
            Self::RealServer => show(answers.real_server),
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// What is wrong with it and what to write, in one line; nothing has changed then.
    pub fn answer(
        self,
        text: &str,
        answers: &mut Answers,
        machine: &Machine,
    ) -> Result<(), String> {
        let mut with = answers.clone();
        self.put(text.trim(), &mut with, machine)?;
        match first_error(&with, machine, self) {
            Some(error) => Err(error),
            None => {
                *answers = with;
                Ok(())
            }
        }
    }

    fn put(self, text: &str, it: &mut Answers, machine: &Machine) -> Result<(), String> {
        match self {
            Self::Ha => it.ha = Some(yes(text)?),
            Self::Arms => it.arms = Some(arms(text, machine)?),
            Self::Port => it.port = Some(nic(text, machine)?),
            Self::InternalPort => {
                let port = nic(text, machine)?;
                if it.port.as_ref() == Some(&port) {
                    return Err(format!("{port} faces the clients already; write another NIC"));
                }
                it.internal_port = Some(port);
            }
            Self::Address => {
                let (address, prefix) = address_and_prefix(text)?;
                (it.address, it.prefix) = (Some(address), prefix);
            }
            Self::InternalAddress => {
                let (address, prefix) = address_and_prefix(text)?;
                (it.internal_address, it.internal_prefix) = (Some(address), prefix);
            }
            Self::Mask => it.prefix = Some(mask(text, it.address)?),
            Self::InternalMask => it.internal_prefix = Some(mask(text, it.internal_address)?),
            Self::Gateway => it.gateway = Some(maybe(text)?),
            Self::NameServer => it.name_server = Some(maybe(text)?),
            Self::Mode => it.mode = Some(mode(text)?),
            Self::Vip => it.vip = Some(address(text)?),
            Self::Ports => it.ports = Some(text.to_owned()),
            Self::RealServer => it.real_server = Some(address(text)?),
        }
        it.take_nics_in_order(machine);
        Ok(())
    }

    /// Which question a finding is about.
    fn of(finding: &Finding) -> Option<Self> {
        let (table, key) = finding.key.split_once('.')?;
        let is_internal = table.contains("eth1");
        Some(match (table.split('[').next()?, key) {
            ("interface", "port") if is_internal => Self::InternalPort,
            ("interface", "port") => Self::Port,
            ("interface", "gateway") => Self::Gateway,
            ("interface", _) if is_internal => Self::InternalAddress,
            ("interface", _) => Self::Address,
            ("service", key) if key.starts_with("real_server") => Self::RealServer,
            ("service", "ports") => Self::Ports,
            ("service", "mode") => Self::Mode,
            ("service", _) => Self::Vip,
            _ => return None,
        })
    }
}

impl Answers {
    fn take_nics_in_order(&mut self, machine: &Machine) {
        let arms = if self.is_two_armed() { 2 } else { 1 };
        if machine.nics.len() == arms {
            self.port = nth(machine, 0);
            self.internal_port = nth(machine, 1);
        }
    }

    /// Takes what there is nothing to choose about; for answers that come from a file.
    pub fn fill(&mut self, machine: &Machine) {
        self.take_nics_in_order(machine);
        self.port = self.port.take().or_else(|| nth(machine, 0));
        if self.is_two_armed() {
            self.internal_port = self.internal_port.take().or_else(|| nth(machine, 1));
        }
    }

    /// The first question that is open.
    pub fn open_question(&self, machine: &Machine) -> Option<Question> {
        let open = |it: &Question| it.applies(self, machine) && !it.is_answered(self);
        Question::ALL.into_iter().find(open)
    }
}

/// All that is to be said about the answers as a configuration.
///
/// # Errors
/// Errors among them, and the question that the first of them is about.
pub fn check(
    answers: &Answers,
    machine: &Machine,
) -> Result<Findings, (Findings, Option<Question>)> {
    match config::parse(&text::configuration(answers, machine), "configuration") {
        Ok(accepted) => Ok(accepted.findings),
        Err(findings) => {
            let question = findings.errors.first().and_then(Question::of);
            Err((findings, question))
        }
    }
}

/// What of the answers so far makes no configuration because of the last one. A file without
/// interfaces is only one that is not there yet.
fn first_error(answers: &Answers, machine: &Machine, asked: Question) -> Option<String> {
    if answers.port.is_none() || answers.address.is_none() {
        return None;
    }
    let (findings, _) = check(answers, machine).err()?;
    let position = |it: Question| Question::ALL.iter().position(|other| *other == it);
    // What is about a later question is told when that is asked again.
    let counts = |finding: &&Finding| Question::of(finding).map(position) <= Some(position(asked));
    let finding = findings.errors.iter().find(counts)?;
    Some(format!("{}; write: {}", finding.what, finding.write))
}

fn nth(machine: &Machine, number: usize) -> Option<String> {
    machine.nics.get(number).map(|nic| nic.address.clone())
}

fn nics(question: &str, machine: &Machine) -> String {
    if machine.nics.is_empty() {
        return format!(
            "This machine has no NIC that Fulcrum can use. Turn it off, give it one of virtio, \
             vmxnet3,\ne1000e, igb, ixgbe, i40e, ice, mlx5, and turn it on again; or write a \
             virtual device.\n{question}"
        );
    }
    let list: Vec<String> =
        machine.nics.iter().enumerate().map(|(n, nic)| format!("  {}  {nic}", n + 1)).collect();
    format!("{}\n{question} (number)", list.join("\n"))
}

fn modes() -> String {
    let line = |(n, (word, what)): (usize, &(&str, &str))| format!("  {}  {word:<8} {what}", n + 1);
    let list: Vec<String> = MODES.iter().enumerate().map(line).collect();
    format!("{}\nMode of the first virtual service (number or word)", list.join("\n"))
}

fn yes(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(format!("{} is neither yes nor no; write y or n", shown(text))),
    }
}

fn arms(text: &str, machine: &Machine) -> Result<u8, String> {
    match text {
        "2" if machine.nics.len() == 1 => {
            Err("two arms need two NICs and this machine has one; write 1, or add a NIC".into())
        }
        "1" => Ok(1),
        "2" => Ok(2),
        _ => Err(format!("{} is no number of arms; write 1 or 2", shown(text))),
    }
}

fn nic(text: &str, machine: &Machine) -> Result<String, String> {
    let by_number = text.parse::<usize>().ok().and_then(|n| nth(machine, n.checked_sub(1)?));
    let by_address = || machine.nics.iter().find(|nic| nic.address == text);
    match by_number.or_else(|| by_address().map(|nic| nic.address.clone())) {
        Some(address) => Ok(address),
        None if machine.nics.is_empty() && !text.is_empty() => Ok(text.to_owned()),
        None => {
            let most = machine.nics.len();
            Err(format!("{} is no NIC of the list; write a number from 1 to {most}", shown(text)))
        }
    }
}

fn mode(text: &str) -> Result<String, String> {
    let by_number = text.parse::<usize>().ok().and_then(|n| MODES.get(n.checked_sub(1)?));
    let found = by_number.or_else(|| MODES.iter().find(|(word, _)| *word == text));
    match found {
        Some((word, _)) => Ok((*word).to_owned()),
        None => Err(format!("{} is no mode; write a number from 1 to 6", shown(text))),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let wrong = |_| format!("{} is no IP address; write one such as 10.0.0.21", shown(text));
    text.parse().map_err(wrong)
}

fn address_and_prefix(text: &str) -> Result<(IpAddr, Option<u8>), String> {
    match text.split_once('/') {
        None => Ok((address(text)?, None)),
        Some((address, length)) => {
            let address = self::address(address)?;
            Ok((address, Some(mask(length, Some(address))?)))
        }
    }
}

fn maybe(text: &str) -> Result<Maybe, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" | "-" => Ok(Maybe::NONE),
        _ => match text.parse() {
            Ok(address) => Ok(Maybe::Address(address)),
            Err(_) => Err(format!(
                "{} is no IP address; write one such as 10.0.0.1, or none",
                shown(text)
            )),
        },
    }
}

/// A mask in dotted form or as a length.
fn mask(text: &str, of: Option<IpAddr>) -> Result<u8, String> {
    let longest = if of.is_some_and(|address| address.is_ipv6()) { 128 } else { 32 };
    let plain = text.trim().trim_start_matches('/');
    let length = plain.parse::<u8>().ok().or_else(|| {
        let bits = u32::from(plain.parse::<std::net::Ipv4Addr>().ok()?);
        (longest == 32 && bits.leading_ones() + bits.trailing_zeros() == 32)
            .then_some(bits.leading_ones() as u8)
    });
    let usual = if longest == 32 { "255.255.255.0 or /24" } else { "/64" };
    match length {
        Some(length) if (1..=longest).contains(&length) => Ok(length),
        _ => Err(format!("{} is no mask of a network; write one such as {usual}", shown(text))),
    }
}

fn usual_mask(address: Option<IpAddr>, said: Option<u8>) -> Option<String> {
    match (address?, said) {
        (IpAddr::V4(_), said) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(said.unwrap_or(24))).unwrap_or(0);
            Some(std::net::Ipv4Addr::from(bits).to_string())
        }
        (IpAddr::V6(_), said) => Some(format!("/{}", said.unwrap_or(64))),
    }
}

/// What somebody wrote, short and without anything that a terminal would obey.
pub fn shown(text: &str) -> String {
    const MOST: usize = 40;
    if text.is_empty() {
        return "nothing".into();
    }
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let short: String = text.chars().take(MOST).map(plain).collect();
    let more = if text.chars().nth(MOST).is_some() { "…" } else { "" };
    format!("\"{short}{more}\"")
}
