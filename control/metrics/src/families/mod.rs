//! The families, one file for each scope. Scopes and families come in the order of their names.

mod node;
mod port;
mod real_server;
mod service;
mod table;

use crate::series::{Family, Page, Subject};
use crate::{Filter, Format, Sample, Scope};
use real_server::RealServerOf;

pub(crate) fn render(sample: &Sample, filter: &Filter, format: Format) -> String {
    let mut page = Page::new(format);
    for scope in Scope::ALL.into_iter().filter(|&scope| filter.has_scope(scope)) {
        match scope {
            Scope::Node => write(&mut page, node::families(), &[&sample.node]),
            Scope::Port => write(&mut page, port::families(), &ports(sample)),
            Scope::RealServer => {
                let subjects = real_servers(sample, filter);
                let families = real_server::families();
                write(&mut page, families, &subjects.iter().collect::<Vec<_>>());
            }
            Scope::Service => write(&mut page, service::families(), &services(sample, filter)),
            Scope::Table => {
                let table = sample.table.iter().collect::<Vec<_>>();
                write(&mut page, table::families(), &table);
            }
        }
    }
    page.finish()
}

fn write<T: Subject>(
    page: &mut Page,
    families: impl IntoIterator<Item = Family<T>>,
    subjects: &[&T],
) {
    for family in families {
        page.family(&family, subjects.iter().copied());
    }
}

fn ports(sample: &Sample) -> Vec<&crate::Port> {
    let mut ports: Vec<_> = sample.ports.iter().collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

fn services<'a>(sample: &'a Sample, filter: &Filter) -> Vec<&'a crate::Service> {
    let chosen = sample.services.iter().filter(|service| filter.has_service(&service.name));
    let mut services: Vec<_> = chosen.collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

fn real_servers<'a>(sample: &'a Sample, filter: &Filter) -> Vec<RealServerOf<'a>> {
    let services = services(sample, filter);
    let mut all = Vec::with_capacity(services.iter().map(|s| s.real_servers.len()).sum());
    for service in services {
        let begin = all.len();
        let real_servers = service.real_servers.iter().map(|r| RealServerOf::new(service, r));
        all.extend(real_servers.filter(|real_server| filter.has_status(real_server.status)));
        all[begin..].sort_by(|a, b| a.real_server.name.cmp(&b.real_server.name));
    }
    all
}
