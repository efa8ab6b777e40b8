//! Traffic without a NIC: flows, frames that tell their number and time, and the count of what came back.
//!
//! [`Traffic`] turns the number of a packet into its bytes; a [`Sender`] gives them to a queue as a
//! [`Pace`] lets it; a [`Receiver`] counts what arrives, each packet by the [`Stamp`] in it; [`answer()`]
//! plays the real server. Nothing here reads a clock or allocates per packet. Queues are those of
//! `nic`, so that all of it runs in memory.
#![forbid(unsafe_code)]

mod answer;
mod flows;
mod frame;
mod pace;
mod pattern;
mod ranges;
mod receiver;
mod sender;
mod sizes;
mod stamp;
mod tally;

pub use answer::answer;
pub use flows::{Flow, FlowSet, FlowsError, Ranges};
pub use frame::{Ethernet, Planned, Share, Traffic, TrafficError};
pub use pace::Pace;
pub use pattern::{Pattern, Place, Segment};
pub use ranges::{Addresses, Ports, RangeError};
pub use receiver::{MOST_STREAMS, Next, Others, Receiver};
pub use sender::{Bounds, Sender, Sent};
pub use sizes::{FCS, GAP, LEAST, Sizes, SizesError};
pub use stamp::{Kind, Stamp};
pub use tally::{Counts, Tally, Times};
