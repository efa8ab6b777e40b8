//! Modes and address families, as the test bed goes through them.

use std::net::IpAddr;

/// Every mode, tunnels by kind.
pub const ALL: [Mode; 6] = [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Ipip, Mode::Gre, Mode::Gue];

/// How packets reach the real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Direct routing.
    Dr,
    /// Destination NAT, two arms.
    Nat,
    /// Full NAT.
    Snat,
    /// Tunnels, IP in IP.
    Ipip,
    /// Tunnels, GRE.
    Gre,
    /// Tunnels, GUE.
    Gue,
}

/// Families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Mode {
    /// For tables and test names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dr => "dr",
            Self::Nat => "nat",
            Self::Snat => "snat",
            Self::Ipip => "tun-ipip",
            Self::Gre => "tun-gre",
            Self::Gue => "tun-gue",
        }
    }

    /// The value of `mode` in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Dr => "l4-dr",
            Self::Nat => "l4-nat",
            Self::Snat => "l4-snat",
            Self::Ipip | Self::Gre | Self::Gue => "l4-tun",
        }
    }

    /// The type of tunnel.
    pub fn tunnel(self) -> Option<&'static str> {
        match self {
            Self::Ipip => Some("ipip"),
            Self::Gre => Some("gre"),
            Self::Gue => Some("gue"),
            _ => None,
        }
    }

    /// Whether packets reach the real server with the virtual address, and replies bypass the
    /// balancer.
    pub fn keeps_vip(self) -> bool {
        !matches!(self, Self::Nat | Self::Snat)
    }
}

impl Family {
    /// For tables and test names.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    /// The prefix length of every network.
    pub fn length(self) -> u8 {
        match self {
            Self::V4 => 16,
            Self::V6 => 64,
        }
    }

    /// The address of a host, by its number, on a network.
    pub fn address(self, network: &str, number: u16) -> IpAddr {
        let third = match network {
            "lan" => 100,
            "inside" => 2,
            "far" => 20,
            _ => 30,
        };
        match self {
            Self::V4 => [10, third, (number >> 8) as u8, number as u8].into(),
            Self::V6 => [0x2001, 0xdb8, third.into(), 0, 0, 0, 0, number].into(),
        }
    }

    /// The same with the prefix length.
    pub fn on(self, network: &str, number: u16) -> String {
        format!("{}/{}", self.address(network, number), self.length())
    }

    /// The words that make that host the default gateway.
    pub fn default_route(self, network: &str, number: u16) -> String {
        let flag = if self == Self::V6 { "-6 " } else { "" };
        format!("{flag}route add default via {}", self.address(network, number))
    }
}
