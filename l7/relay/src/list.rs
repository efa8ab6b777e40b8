//! The list of connections, page by page. A worker looks at a few of them in one turn, so that
//! whoever asks for thousands delays nobody.

use crate::connection::Connection;
use crate::core::Core;
use crate::plan::{Server, Service};
use crate::side::Side;
use crate::tcp::NEVER;
use crate::transport::Transport;
use l7_api::{ConnectionRow, Spoken};
use std::net::SocketAddr;

/// Connections looked at in one turn.
const TURN: u32 = 256;

/// Rows, and the number to go on with; `None` at the end.
pub type Page = (Vec<ConnectionRow>, Option<u32>);

/// What a connection of any mode has to say of itself.
#[derive(Debug)]
pub struct Profile<'a> {
    pub service: &'a Service,
    pub client: SocketAddr,
    pub vip: SocketAddr,
    pub transport: &'a Transport,
    pub server: Option<(&'a Server, &'a Transport)>,
    pub protocol: Spoken,
    pub streams: usize,
    pub state: &'static str,
}

impl Core {
    /// Some connections from this number on, `most` at most.
    pub fn list(&mut self, from: u32, most: usize) -> Page {
        let (now, slots) = (self.now, self.connections.slots());
        let mut rows = Vec::new();
        for index in from..slots {
            if rows.len() >= most || index - from >= TURN {
                return (rows, Some(index));
            }
            let key = self.connections.key_at(index);
            let connection = key.and_then(|key| self.connections.get_mut(key));
            rows.extend(connection.and_then(|connection| row(connection, now)));
        }
        (rows, None)
    }
}

/// `None`: it is no client's connection, but a stream of one.
fn row(connection: &mut Connection, now: u64) -> Option<ConnectionRow> {
    let due = connection.deadline();
    let Profile { service, client, vip, transport, server, protocol, streams, state } =
        connection.profile()?;
    let side = transport.side()?;
    let to = |server: &Server| {
        SocketAddr::new(server.config.address, server.config.port.unwrap_or(vip.port()))
    };
    let [bytes_in, bytes_out] = side.moved();
    Some(ConnectionRow {
        client,
        vip,
        service: service.config.id,
        server: server.map(|(server, _)| (server.config.id, to(server))),
        source: server.and_then(|(_, side)| side.side()).and_then(Side::local_address),
        protocol,
        is_secure: transport.is_secure(),
        streams: streams as u32,
        state: state.to_owned(),
        age_ms: now.saturating_sub(side.opened()),
        idle_ms: now.saturating_sub(transport.seen()),
        expires_ms: (due != NEVER).then(|| due.saturating_sub(now)),
        bytes_in,
        bytes_out,
    })
}
