//! Totals of services that outlive their real servers.

use crate::{Sample, Service, Traffic};
use std::collections::HashMap;

/// Adds up what services counted, from one sample to the next.
///
/// The sum over a service's real servers is no counter: it falls when one of them is taken out,
/// and a reader then takes what is left for new. So what each real server adds between two
/// samples is added here. Holds one entry for each real server of the last sample; begins with
/// what the first sample's real servers have counted.
#[derive(Clone, Debug, Default)]
pub struct ServiceTotals {
    services: HashMap<String, Total>,
}

#[derive(Clone, Debug, Default)]
struct Total {
    sum: Traffic,
    /// What each real server had counted last time.
    last: HashMap<String, Traffic>,
}

impl ServiceTotals {
    /// Counts on, and fills in [`Service::traffic`]. A service none of whose real servers say
    /// what they counted stays without; its total is kept for the next sample. To be called with
    /// every sample of all services, in the order in which they were taken.
    pub fn fill(&mut self, sample: &mut Sample) {
        let mut services = HashMap::with_capacity(sample.services.len());
        for service in &mut sample.services {
            let mut total = self.services.remove(&service.name).unwrap_or_default();
            service.traffic = total.count(service);
            services.insert(service.name.clone(), total);
        }
        self.services = services;
    }
}

impl Total {
    fn count(&mut self, service: &Service) -> Option<Traffic> {
        let mut last = HashMap::with_capacity(service.real_servers.len());
        self.sum.connections = 0;
        let mut told = service.real_servers.is_empty();
        for real_server in &service.real_servers {
            let before = self.last.remove(&real_server.name);
            if let Some(now) = real_server.traffic {
                self.sum += now.since(before.unwrap_or_default());
                told = true;
            }
            if let Some(known) = real_server.traffic.or(before) {
                last.insert(real_server.name.clone(), known);
            }
        }
        self.last = last;
        told.then_some(self.sum)
    }
}

impl Traffic {
    /// What was added since `before`. Had any counter been higher, all began anew in between.
    fn since(self, before: Self) -> Self {
        let added = |counter: fn(&Self) -> u64| counter(&self).checked_sub(counter(&before));
        let difference = || {
            Some(Self {
                connections: self.connections,
                total: added(|t| t.total)?,
                packets: added(|t| t.packets)?,
                bytes: added(|t| t.bytes)?,
                reply_packets: added(|t| t.reply_packets)?,
                reply_bytes: added(|t| t.reply_bytes)?,
            })
        };
        difference().unwrap_or(self)
    }
}
