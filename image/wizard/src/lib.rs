//! The console of the appliance: questions at the first boot, answers in advance, status and menu.
//!
//! What is asked and what follows from an answer are machines without I/O ([`mod@line`],
//! [`interview`], [`menu`], [`desk`]); the program `lbwizard` gives them terminals, files and a
//! clock.
#![forbid(unsafe_code)]

pub mod answers;
pub mod desk;
pub mod interview;
pub mod keep;
pub mod line;
pub mod machine;
pub mod menu;
pub mod network;
pub mod question;
pub mod text;
pub mod unattended;
