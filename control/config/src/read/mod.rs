//! From TOML to types, object by object. Every reader reports what is wrong with its own keys and
//! goes on with a harmless value in the wrong one's place, so that one run finds everything; the
//! rules between objects ask [`crate::cx::Cx::ok`] before they reason with a value.

mod access;
mod check;
mod http;
mod interface;
mod layer7;
mod node;
mod parts;
mod pool;
mod real_server;
mod rule;
mod service;
mod syslog;
mod table;
mod tls;

use crate::cx::{Cx, Scope};
use crate::keys;
use crate::rule::Rule;
use crate::service::{RealServer, Service};
use crate::syslog::Server;
use crate::types::{Config, Interface};
pub(crate) use interface::check_driver;
use table::Table;
use toml::de::DeTable;

/// A file that has been read. It may still be wrong in itself.
pub(crate) struct Draft {
    /// Wrong values are replaced by harmless ones.
    pub(crate) config: Config,
    /// Position in the file of each syslog server of `config`, because some are left out.
    syslog_positions: Vec<usize>,
}

impl Draft {
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = (Scope, &Interface)> {
        self.config.interfaces.iter().enumerate().map(|(i, it)| (Scope::Interface(i), it))
    }

    pub(crate) fn syslog(&self) -> impl Iterator<Item = (Scope, &Server)> {
        let scopes = self.syslog_positions.iter().map(|&i| Scope::Syslog(i));
        scopes.zip(&self.config.syslog)
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = (Scope, &Service)> {
        self.config.services.iter().enumerate().map(|(i, it)| (Scope::Service(i), it))
    }

    /// The rules of each service, with the service's position.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (usize, &Service, &[Rule])> {
        self.config.services.iter().enumerate().filter_map(|(i, service)| {
            service.mode.http().map(|http| (i, service, &http.rules[..]))
        })
    }

    pub(crate) fn real_servers(&self) -> impl Iterator<Item = (Scope, &Service, &RealServer)> {
        self.config.services.iter().enumerate().flat_map(|(i, service)| {
            let real_servers = service.real_servers.iter().enumerate();
            real_servers.map(move |(j, it)| (Scope::RealServer(i, j), service, it))
        })
    }
}

/// The whole file.
pub(crate) fn draft(cx: &mut Cx<'_>, file: &DeTable<'_>) -> Draft {
    let file = Table::new(file, Scope::File, &keys::FILE);
    file.refuse_unknown(cx);
    // Which one is no matter: there is one version, and another has been refused.
    file.integer(cx, "version");
    let node = node::node(cx, &file);
    let dataplane = node::dataplane(cx, &file);
    let api = node::api(cx, &file);
    let (syslog_positions, syslog) = file
        .tables(cx, "syslog")
        .enumerate()
        .filter_map(|(i, (span, table))| Some((i, syslog::server(cx, i, span, table)?)))
        .unzip();
    let interfaces = file
        .tables(cx, "interface")
        .enumerate()
        .map(|(i, (span, table))| interface::interface(cx, i, span, table))
        .collect();
    let services = file
        .tables(cx, "service")
        .enumerate()
        .map(|(i, (span, table))| service::service(cx, i, span, table))
        .collect();
    let mut config = Config { node, dataplane, api, syslog, interfaces, services };
    pool::fill(&mut config);
    Draft { config, syslog_positions }
}
