//! HTTP mode without a control process, to try or to measure it:
//! `cargo run --release -p relay --example http -- [log=RECEIVER] LISTEN SERVER...` serves until
//! its standard input ends, and then prints what was counted. One worker; with a receiver of
//! syslog, each request is logged to it.

use l7_api::{
    AccessLog, Listen, LogFormat, LogTarget, PortRange, Server, Service, Snapshot, SyslogAddress,
    SyslogHeader,
};
use relay::{Relay, Size};
use std::error::Error;
use std::net::SocketAddr;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let log = arguments.first().and_then(|first| first.strip_prefix("log=")).map(str::parse);
    let access_log = log.transpose()?.map(|to| AccessLog {
        format: LogFormat::Http,
        to: LogTarget::Syslog {
            to: SyslogAddress::Udp(to),
            header: SyslogHeader::Rfc3164,
            facility: 16,
        },
    });
    if access_log.is_some() {
        arguments.remove(0);
    }
    let addresses: Result<Vec<SocketAddr>, _> = arguments.iter().map(|text| text.parse()).collect();
    let addresses = addresses?;
    let (listen, servers) = addresses.split_first().ok_or("LISTEN SERVER...")?;
    let numbered = servers.iter().zip(1..);
    let service = Service {
        listen: vec![Listen { address: listen.ip(), ports: PortRange::one(listen.port()) }],
        servers: numbered
            .map(|(at, id)| Server::new(id, &format!("server-{id}"), at.ip(), Some(at.port())))
            .collect(),
        access_log,
        ..Service::http(1, "example")
    };
    let mut relay = Relay::start(Size { workers: 1, connections: 100_000, files: 200_000 })?;
    let problems = relay.apply(Snapshot {
        generation: 1,
        hash_seed: 1,
        services: vec![service],
        ..Snapshot::default()
    })?;
    println!("serving; {} problems", problems.len());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    println!("{:#?}", relay.counters());
    Ok(())
}
