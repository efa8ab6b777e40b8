//! TCP from real servers that is for a client's address, and for a socket of ours.
//!
//! A proxy that speaks to a real server by the client's own address gets the answers only if the
//! kernel takes them for its own: a rule for each real server and its ports leads to a table in
//! which every address is local. What the host forwards besides does not meet a rule.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use rtnetlink::packet_route::IpProtocol;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use rtnetlink::{IpVersion, RouteMessageBuilder};

use crate::{Kernel, explained, refusal};

/// The table of local addresses; nobody else's.
const TABLE: u32 = 0x4655;
/// Rules of ours come before the main table's (32766) and behind the local one's (0).
const PRIORITY: u32 = 0x4655;
/// The loopback interface, in every namespace.
const LOOPBACK: u32 = 1;

/// `ESRCH`: no such route.
const NO_SUCH_ROUTE: i32 = 3;
/// `EAFNOSUPPORT`, `EOPNOTSUPP`: a kernel without this family.
const NO_SUCH_FAMILY: [i32; 2] = [97, 95];

/// TCP segments from here are for sockets of ours, whatever address they are for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answers {
    /// The interface that they come in by, which need not be there yet.
    pub interface: String,
    /// Whom they come from.
    pub address: IpAddr,
    /// From which of its ports: first and last.
    pub ports: (u16, u16),
}

impl Kernel {
    /// Takes exactly these answers for our sockets. Rules of a process that ended without taking
    /// them back are found by their table.
    ///
    /// # Errors
    /// When the kernel refuses; what it has by then is right and may be incomplete.
    pub async fn take_answers(&self, wanted: &BTreeSet<Answers>) -> Result<()> {
        for version in [IpVersion::V4, IpVersion::V6] {
            let is_v4 = matches!(version, IpVersion::V4);
            let wanted = wanted.iter().filter(|answers| answers.address.is_ipv4() == is_v4);
            let mut missing: BTreeSet<&Answers> = wanted.collect();
            let is_needed = !missing.is_empty();
            for message in self.rules_of_ours(version).await? {
                let known = read(&message).filter(|found| missing.remove(found));
                if known.is_none() {
                    let removed = self.handle.rule().del(message).execute().await;
                    explained(removed, || "cannot remove a rule for answers".into())?;
                }
            }
            // The table before what leads there: without it a rule does nothing.
            if is_needed {
                let result = self.handle.route().add(everything(is_v4)).replace().execute().await;
                explained(result, || format!("cannot fill routing table {TABLE}"))?;
            }
            for answers in missing {
                self.add(answers).await?;
            }
            if !is_needed {
                self.empty(is_v4).await?;
            }
        }
        Ok(())
    }

    async fn rules_of_ours(&self, version: IpVersion) -> Result<Vec<RuleMessage>> {
        let found: Result<Vec<_>, _> =
            self.handle.rule().get(version).execute().try_collect().await;
        match found {
            Ok(mut rules) => {
                rules.retain(|rule| table(rule) == TABLE);
                Ok(rules)
            }
            Err(error) => match refusal(&error) {
                e if e.raw_os_error().is_some_and(|e| NO_SUCH_FAMILY.contains(&e)) => {
                    Ok(Vec::new())
                }
                e => Err(e).context("cannot read the routing rules"),
            },
        }
    }

    async fn add(&self, answers: &Answers) -> Result<()> {
        let (first, last) = answers.ports;
        let rule = self.handle.rule().add().action(RuleAction::ToTable).table_id(TABLE);
        let rule = rule.priority(PRIORITY).input_interface(&answers.interface);
        let mut message = match answers.address {
            IpAddr::V4(address) => rule.v4().source_prefix(address, 32).message_mut().clone(),
            IpAddr::V6(address) => rule.v6().source_prefix(address, 128).message_mut().clone(),
        };
        message.attributes.push(RuleAttribute::IpProtocol(IpProtocol::Tcp));
        let range = RulePortRange { start: first, end: last };
        message.attributes.push(RuleAttribute::SourcePortRange(range));
        let mut request = self.handle.rule().add();
        *request.message_mut() = message;
        let result = request.execute().await;
        explained(result, || {
            format!("cannot take the answers of {} ports {first}-{last}", answers.address)
        })
    }

    async fn empty(&self, is_v4: bool) -> Result<()> {
        match self.handle.route().del(everything(is_v4)).execute().await {
            Err(error) => {
                let error = refusal(&error);
                let code = error.raw_os_error().unwrap_or_default();
                if code == NO_SUCH_ROUTE || NO_SUCH_FAMILY.contains(&code) {
                    return Ok(());
                }
                Err(error).with_context(|| format!("cannot empty routing table {TABLE}"))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Every address of a family is local.
fn everything(is_v4: bool) -> RouteMessage {
    match is_v4 {
        true => RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .output_interface(LOOPBACK)
            .build(),
        false => RouteMessageBuilder::<Ipv6Addr>::new()
            .table_id(TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .output_interface(LOOPBACK)
            .build(),
    }
}

/// The rule's table; the attribute holds numbers the header has no room for.
fn table(rule: &RuleMessage) -> u32 {
    let attribute = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(table) => Some(*table),
        _ => None,
    });
    attribute.unwrap_or(rule.header.table.into())
}

/// What a rule of ours takes; `None` if it is not one that would be written today.
fn read(rule: &RuleMessage) -> Option<Answers> {
    let (mut interface, mut address, mut ports) = (None, None, None);
    let (mut is_tcp, mut is_in_place) = (false, false);
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Iifname(name) => interface = Some(name.clone()),
            RuleAttribute::Source(source) => address = Some(*source),
            RuleAttribute::SourcePortRange(range) => ports = Some((range.start, range.end)),
            RuleAttribute::IpProtocol(protocol) => is_tcp = *protocol == IpProtocol::Tcp,
            RuleAttribute::Priority(priority) => is_in_place = *priority == PRIORITY,
            _ => {}
        }
    }
    let address = address?;
    let is_host = rule.header.src_len == if address.is_ipv4() { 32 } else { 128 };
    let fits = is_tcp && is_in_place && is_host && rule.header.action == RuleAction::ToTable;
    fits.then_some(Answers { interface: interface?, address, ports: ports? })
}
