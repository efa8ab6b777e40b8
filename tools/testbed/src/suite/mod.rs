//! The end-to-end tests.

mod bed;
mod datagrams;
pub mod modes;
mod packets;

use crate::harness::Test;

/// All of them, in the order they run in.
pub fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    bed::add(&mut tests);
    modes::add(&mut tests);
    packets::add(&mut tests);
    datagrams::add(&mut tests);
    tests
}
