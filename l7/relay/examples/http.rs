//! HTTP mode without a control process, to try or to measure it:
//! `cargo run --release -p relay --example http -- LISTEN SERVER...` serves until its standard
//! input ends, and then prints what was counted. One worker.

use l7_api::{Listen, PortRange, Server, Service, Snapshot};
use relay::{Relay, Size};
use std::error::Error;
use std::net::SocketAddr;

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: Result<Vec<SocketAddr>, _> =
        std::env::args().skip(1).map(|text| text.parse()).collect();
    let addresses = addresses?;
    let (listen, servers) = addresses.split_first().ok_or("LISTEN SERVER...")?;
    let numbered = servers.iter().zip(1..);
    let service = Service {
        listen: vec![Listen { address: listen.ip(), ports: PortRange::one(listen.port()) }],
        servers: numbered
            .map(|(at, id)| Server::new(id, &format!("server-{id}"), at.ip(), Some(at.port())))
            .collect(),
        ..Service::http(1, "example")
    };
    let mut relay = Relay::start(Size { workers: 1, connections: 100_000 })?;
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
