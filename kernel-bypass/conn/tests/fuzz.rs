//! The model's world, driven by a fuzzer.
//!
//! Runs for two seconds; `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p conn --test fuzz` for as
//! long as wanted. A failure prints the input that makes it fail again.

mod world;

use std::time::Duration;
use world::{Op, World};

#[test]
fn whatever_is_done_the_table_is_what_the_model_says() {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(2));
    bolero::check!().with_test_time(time).with_max_len(2048).for_each(|input: &[u8]| {
        let mut world = World::new();
        for &bytes in input.as_chunks::<4>().0 {
            world.step(Op::decode(bytes));
            world.check();
        }
        world.end();
    });
}
