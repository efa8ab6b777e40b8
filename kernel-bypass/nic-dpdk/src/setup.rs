//! A port's way from probed to configured: offloads, receive hash, queues and their buffers, filters.

use crate::errno::Errno;
use crate::failure::PortFailure;
use crate::handle::{Handle, control};
use crate::pool::Pool;
use crate::port::PortConfig;
use dpdk_sys as sys;
use std::mem::MaybeUninit;

/// One port's way from probed to configured.
pub(crate) struct Setup<'a> {
    pub handle: &'a mut Handle,
    pub config: &'a PortConfig,
    pub queues: u16,
    pub driver: &'a str,
}

pub(crate) const TAP: &str = "net_tap";

/// An Ethernet header with two tags, since a frame has one buffer.
const L2_ROOM: u32 = 22;

impl Setup<'_> {
    /// Whether the NIC hashes over its queues.
    pub(crate) fn run(mut self, pool: &Pool) -> Result<bool, PortFailure> {
        let needed = u32::from(self.config.mtu) + L2_ROOM;
        if needed > u32::from(pool.frame_room()) {
            let (mtu, room) = (self.config.mtu, pool.frame_room());
            return Err(PortFailure::Room { mtu, needed, room });
        }
        let _control = control();
        let info = self.handle.info().map_err(PortFailure::Describe)?;
        let hashes = self.configure(&info)?;
        self.queues(&info, pool)?;
        self.mtu()?;
        self.filters()?;
        Ok(hashes)
    }

    fn configure(&self, info: &sys::rte_eth_dev_info) -> Result<bool, PortFailure> {
        let flows = info.flow_type_rss_offloads & sys::SHIM_RSS_FLOWS;
        let hash = self.queues > 1 && flows != 0;
        let mut offloads = 0;
        if self.config.verify_checksums {
            offloads |= sys::SHIM_RX_OFFLOAD_IPV4_CKSUM
                | sys::SHIM_RX_OFFLOAD_TCP_CKSUM
                | sys::SHIM_RX_OFFLOAD_UDP_CKSUM;
        }
        if hash {
            offloads |= sys::SHIM_RX_OFFLOAD_RSS_HASH;
        }
        let mut key = symmetric_key(usize::from(info.hash_key_size));
        let key_at = if key.is_empty() { std::ptr::null_mut() } else { key.as_mut_ptr() };
        let mode = if hash { sys::SHIM_MQ_RX_RSS } else { sys::SHIM_MQ_RX_NONE };
        let mut conf = MaybeUninit::<sys::rte_eth_conf>::zeroed();
        // SAFETY: the shim fills the configuration in, DPDK copies it; the key outlives both calls.
        let result = unsafe {
            sys::shim_port_conf(
                conf.as_mut_ptr(),
                self.config.mtu.into(),
                offloads & info.rx_offload_capa,
                0,
                mode,
                key_at,
                info.hash_key_size,
                flows,
            );
            sys::rte_eth_dev_configure(self.handle.id, self.queues, self.queues, conf.as_ptr())
        };
        Errno::check(result).map_err(PortFailure::Configure)?;
        Ok(hash)
    }

    fn queues(&mut self, info: &sys::rte_eth_dev_info, pool: &Pool) -> Result<(), PortFailure> {
        let id = self.handle.id;
        let (mut rx, mut tx) = (self.config.rx_descriptors, self.config.tx_descriptors);
        if self.driver == TAP {
            // To it, descriptors are the pieces that one frame is read into, all named to the kernel at
            // every poll; a thousand make an empty poll ten times as dear. One buffer holds a frame.
            rx = 1;
        }
        // SAFETY: the port exists as long as its handle; two integers are adjusted.
        Errno::check(unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &mut rx, &mut tx) })
            .map_err(PortFailure::Configure)?;
        self.handle.keep(pool);
        let failed = |direction, queue| move |errno| PortFailure::Queue { direction, queue, errno };
        for queue in 0..self.queues {
            // SAFETY: the queue is within the configured number; the configuration is the driver's
            // own default, copied; the handle keeps the pool alive until the port is closed.
            let result = unsafe {
                let socket = sys::SHIM_SOCKET_ANY;
                let conf = &info.default_rxconf;
                sys::rte_eth_rx_queue_setup(id, queue, rx, socket, conf, pool.raw())
            };
            Errno::check(result).map_err(failed("receive", queue))?;
            // SAFETY: as above.
            let result = unsafe {
                let socket = sys::SHIM_SOCKET_ANY;
                sys::rte_eth_tx_queue_setup(id, queue, tx, socket, &info.default_txconf)
            };
            Errno::check(result).map_err(failed("transmit", queue))?;
        }
        Ok(())
    }

    /// Some drivers take the MTU from the configuration, some by this call, some not at all.
    fn mtu(&self) -> Result<(), PortFailure> {
        // SAFETY: the port exists as long as its handle.
        let result = unsafe { sys::rte_eth_dev_set_mtu(self.handle.id, self.config.mtu) };
        match Errno::check(result) {
            Err(errno) if !errno.is_unsupported() => {
                Err(PortFailure::MtuRefused(self.config.mtu, errno))
            }
            _ => Ok(()),
        }
    }

    /// All multicast, since neighbour discovery and the host's own protocols come by it.
    fn filters(&self) -> Result<(), PortFailure> {
        let id = self.handle.id;
        // SAFETY: the port exists as long as its handle.
        let multicast = Errno::check(unsafe { sys::rte_eth_allmulticast_enable(id) });
        if let Err(errno) = multicast {
            log::debug!("port {id}: all-multicast: {errno}");
        }
        if self.config.promiscuous {
            // SAFETY: as above.
            Errno::check(unsafe { sys::rte_eth_promiscuous_enable(id) })
                .map_err(PortFailure::Promiscuous)?;
        }
        Ok(())
    }
}

/// A key under which both directions of a flow hash alike: a 16-bit pattern, repeated.
fn symmetric_key(length: usize) -> Vec<u8> {
    [0x6d, 0x5a].into_iter().cycle().take(length).collect()
}
