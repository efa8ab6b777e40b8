//! Sequences of operations, judged by the model after each.

mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use world::{Event, Op, World};

#[test]
fn the_table_is_what_the_model_says() {
    let (cases, steps) = if cfg!(miri) { (2, 60..80) } else { (192, 200..400) };
    // A look at everything takes an interpreter very long.
    let looks_apart = if cfg!(miri) { 30 } else { 1 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let ops = vec(any::<[u8; 4]>().prop_map(Op::decode), steps);
    let reached = RefCell::new(BTreeMap::<Event, u32>::new());
    let result = TestRunner::new(config).run(&ops, |ops| {
        let mut world = World::new();
        for (n, op) in ops.into_iter().enumerate() {
            world.step(op);
            if n % looks_apart == 0 {
                world.check();
            }
        }
        for event in world.end() {
            *reached.borrow_mut().entry(event).or_default() += 1;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Few short sequences, under an interpreter, need not meet everything.
    if !cfg!(miri) {
        let reached = reached.into_inner();
        let rare = Event::ALL.iter().find(|e| reached.get(e).is_none_or(|n| n * 2 < cases));
        assert_eq!(rare, None, "not met in most of {cases} runs: {reached:?}");
    }
}
