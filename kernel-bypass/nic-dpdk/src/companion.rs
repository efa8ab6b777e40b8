//! The kernel's end of a port: an interface with the port's MAC address, through which the host stack
//! gets what the balancer does not take.

use crate::port::PortConfig;
use std::path::Path;

/// A kernel interface to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// The interface's name, at most 15 characters.
    pub name: String,
    /// The interface's MAC address: the port's.
    pub mac: [u8; 6],
    /// Queues in each direction.
    pub queues: u16,
    /// Largest layer 3 packet, in bytes.
    pub mtu: u16,
    /// How.
    pub by: CompanionKind,
}

/// How a companion interface is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompanionKind {
    /// A TAP interface, read and written by system calls.
    Tap,
    /// A TAP interface fed by the kernel's vhost-net thread through shared memory.
    VhostNet,
}

impl CompanionKind {
    /// The better one that this machine has.
    pub fn available() -> Self {
        if Path::new(VHOST_NET).exists() { Self::VhostNet } else { Self::Tap }
    }
}

const VHOST_NET: &str = "/dev/vhost-net";

impl Companion {
    pub(crate) fn devargs(&self, index: u32) -> String {
        let Self { name, mac, queues, .. } = self;
        let [a, b, c, d, e, f] = mac;
        let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        match self.by {
            CompanionKind::Tap => format!("net_tap{index},iface={name},mac={mac}"),
            CompanionKind::VhostNet => format!(
                "net_virtio_user{index},path={VHOST_NET},iface={name},queues={queues},\
                 queue_size=1024,mac={mac}"
            ),
        }
    }

    /// Full checksums in both directions, so that nobody repairs a frame between wire and host.
    pub(crate) fn port_config(&self) -> PortConfig {
        PortConfig {
            queues: self.queues,
            mtu: self.mtu,
            verify_checksums: false,
            ..PortConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_name_the_interface_and_its_address() {
        let mut companion = Companion {
            name: "eth0".into(),
            mac: [2, 0, 0, 0, 0xab, 1],
            queues: 2,
            mtu: 1500,
            by: CompanionKind::Tap,
        };
        assert_eq!(companion.devargs(4), "net_tap4,iface=eth0,mac=02:00:00:00:ab:01");
        companion.by = CompanionKind::VhostNet;
        assert_eq!(
            companion.devargs(5),
            "net_virtio_user5,path=/dev/vhost-net,iface=eth0,queues=2,queue_size=1024,\
             mac=02:00:00:00:ab:01"
        );
    }
}
