//! DPDK behind safe types.
//!
//! [`Eal`] is the initialised environment; with it a [`Pool`] of buffers and [`Port`]s are made. A port
//! goes from [`Probed`] to [`Configured`] to [`Started`] by consuming itself; a started one has queues,
//! each owned by the thread that polls it and each a `nic::Rx` or `nic::Tx` of [`Mbuf`]s. A
//! [`Companion`] is a port whose other end is a new kernel interface.
//!
//! ```no_run
//! use nic_dpdk::{Device, Eal, EalOptions, Pool, PoolConfig, Port, PortConfig};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eal = Eal::init(&EalOptions { no_huge: true, ..EalOptions::default() })?;
//! let pool = Pool::new(&eal, &PoolConfig::for_mtu(8191, 1500))?;
//! let device: Device = "af_packet:lb0".parse()?;
//! let (port, queues) =
//!     Port::probe(&eal, &device, &PortConfig::default())?.configure(&pool)?.start()?;
//! # Ok(()) }
//! ```
//!
//! Nothing of DPDK's own, no name and no pointer, is in a signature here.

mod clock;
mod companion;
mod device;
mod eal;
mod errno;
mod failure;
mod handle;
mod mbuf;
mod messages;
mod packet_socket;
mod pool;
mod port;
mod queue;
mod removal;
mod setup;
mod tap_signals;

pub use clock::{cycles, cycles_per_second};
pub use companion::{Companion, CompanionKind};
pub use device::{Device, DeviceError};
pub use eal::{Eal, EalError, EalOptions, Registered};
pub use errno::Errno;
pub use failure::{PortError, PortFailure};
pub use mbuf::Mbuf;
pub use pool::{Pool, PoolConfig, PoolError};
pub use port::{Configured, Link, Port, PortConfig, PortStats, Probed, Queues, Started};
pub use queue::{RxQueue, TxQueue};
