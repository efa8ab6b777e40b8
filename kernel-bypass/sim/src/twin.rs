//! The slow twin of NAT and SNAT: a map of connections and frames built from scratch, so that
//! nothing incremental, prefetched or lock-free is left to be wrong.

use crate::frames::End;
use crate::scene::{CLIENT_MAC, port_mac, server_mac};
use std::collections::HashMap;
use wire::{Packet, TcpFlags, build::Build};

/// What a packet says above the Ethernet header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Source.
    pub from: End,
    /// Destination.
    pub to: End,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// 802.1Q identifier.
    pub vlan: Option<u16>,
    /// What is carried.
    pub body: Body,
}

/// What is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp(TcpFlags, Vec<u8>),
    /// A UDP datagram, with or without checksum.
    Udp(bool, Vec<u8>),
}

impl Message {
    /// As a frame between these stations.
    pub fn frame(&self, to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
        let mut build = Build::new(self.from.0, self.to.0).macs(to, from);
        (build.ttl, build.tos) = (self.ttl, self.tos);
        if let Some(vlan) = self.vlan {
            build = build.vlan(vlan);
        }
        let (sport, dport) = (self.from.1, self.to.1);
        let packet = match &self.body {
            Body::Tcp(flags, data) => build.tcp((sport, dport), *flags, (1, 2), data),
            Body::Udp(true, data) => build.udp(sport, dport, data),
            Body::Udp(false, data) => build.udp_unchecked(sport, dport, data),
        };
        packet.bytes().to_vec()
    }

    fn is_tcp(&self) -> bool {
        matches!(self.body, Body::Tcp(..))
    }
}

/// See the module.
#[derive(Default)]
pub struct Twin {
    connections: HashMap<(bool, End, End), Connection>,
    /// By transport, real server and what it sees as the client.
    replies: HashMap<(bool, End, End), (bool, End, End)>,
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    backend: u32,
    server: End,
    source: End,
    vlan: Option<u16>,
}

impl Twin {
    /// A client's message: the frame that must leave for the real server; `None` if the twin does
    /// not know the connection.
    pub fn request(&mut self, message: &Message) -> Option<Vec<u8>> {
        let key = (message.is_tcp(), message.from, message.to);
        let connection = self.connections.get_mut(&key)?;
        connection.vlan = message.vlan;
        let translated = Message {
            from: connection.source,
            to: connection.server,
            ttl: message.ttl - 1,
            vlan: None,
            ..message.clone()
        };
        Some(translated.frame(server_mac(connection.backend), port_mac(1)))
    }

    /// A new connection, as the fast path decided it.
    ///
    /// # Panics
    /// If the real server could not tell it from another one.
    pub fn learn(&mut self, message: &Message, backend: u32, server: End, source: End) {
        let key = (message.is_tcp(), message.from, message.to);
        let connection = Connection { backend, server, source, vlan: message.vlan };
        assert!(self.connections.insert(key, connection).is_none(), "known already: {key:?}");
        let other = self.replies.insert((key.0, server, source), key);
        assert_eq!(other, None, "two connections look the same to {server:?}");
    }

    /// A real server's message: the frame that must leave for the client.
    pub fn reply(&self, message: &Message) -> Option<Vec<u8>> {
        let key = self.replies.get(&(message.is_tcp(), message.from, message.to))?;
        let vlan = self.connections[key].vlan;
        let (from, to) = (key.2, key.1);
        let translated = Message { from, to, ttl: message.ttl - 1, vlan, ..message.clone() };
        Some(translated.frame(CLIENT_MAC, port_mac(0)))
    }
}
