//! The API under `/api/v1`: its types, its paths, its OpenAPI document, and who may call what.
//! What is behind it is a [`Control`]; who calls is said by a [`Gate`].
#![forbid(unsafe_code)]

mod certificates;
pub mod control;
mod paths;
pub mod problem;
pub mod role;
pub mod router;
pub mod types;
mod whole;

pub use control::Control;
pub use problem::Problem;
pub use role::{Caller, is_open, needed};
pub use router::{Done, Gate, Peer, document, router};
pub use users::Role;
