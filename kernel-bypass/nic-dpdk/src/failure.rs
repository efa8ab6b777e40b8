//! Why a port cannot be used.

use crate::errno::Errno;

/// Why a port cannot be used: the device and what DPDK said about it.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {failure}")]
pub struct PortError {
    /// The device, as the operator wrote it.
    pub device: String,
    /// What went wrong.
    pub failure: PortFailure,
}

/// What can go wrong with a port.
#[derive(Debug, thiserror::Error)]
pub enum PortFailure {
    /// No driver takes the device, or the driver could not open it.
    #[error("no driver takes it, or its driver could not open it: {0}")]
    Probe(Errno),
    /// The device is there and does not say what it is.
    #[error("its driver does not describe it: {0}")]
    Describe(Errno),
    /// The MTU does not suit the device.
    #[error("MTU {wanted} is not within its {least} to {most}")]
    Mtu {
        /// Asked for.
        wanted: u16,
        /// The driver's lower bound.
        least: u16,
        /// The driver's upper bound.
        most: u16,
    },
    /// The pool's buffers are too small for the MTU.
    #[error("MTU {mtu} needs buffers of {needed} bytes, the pool's have {room}")]
    Room {
        /// Asked for.
        mtu: u16,
        /// With an Ethernet header and two tags.
        needed: u32,
        /// Without the head room.
        room: u16,
    },
    /// The driver refuses the MTU.
    #[error("MTU {0} refused: {1}")]
    MtuRefused(u16, Errno),
    /// The driver refuses the configuration.
    #[error("configuration refused: {0}")]
    Configure(Errno),
    /// The driver refuses a queue.
    #[error("{direction} queue {queue} refused: {errno}")]
    Queue {
        /// "receive" or "transmit".
        direction: &'static str,
        /// Which one.
        queue: u16,
        /// The driver's reason.
        errno: Errno,
    },
    /// The driver refuses to be promiscuous.
    #[error("promiscuous mode refused: {0}")]
    Promiscuous(Errno),
    /// The driver does not start the device.
    #[error("not started: {0}")]
    Start(Errno),
    /// The sockets behind an `af_packet` device could not be set up as needed.
    #[error("packet sockets: {0}")]
    PacketSocket(String),
    /// The signals that the `tap` driver must not use could not be kept from it.
    #[error("real-time signals: {0}")]
    TapSignals(String),
}
