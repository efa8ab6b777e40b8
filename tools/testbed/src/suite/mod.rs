//! The end-to-end tests.

mod bed;

use crate::harness::Test;

/// All of them, in the order they run in.
pub fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    bed::add(&mut tests);
    tests
}
