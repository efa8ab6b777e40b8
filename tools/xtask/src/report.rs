//! What passed and what failed, and the closing line.

use anyhow::Result;
use std::time::{Duration, Instant};

/// Counts of a whole run.
#[derive(Debug)]
pub struct Report {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
    begun: Instant,
}

impl Default for Report {
    fn default() -> Self {
        Self { passed: 0, failed: 0, failures: Vec::new(), begun: Instant::now() }
    }
}

impl Report {
    /// Runs `what` as one test.
    pub fn check(&mut self, name: &str, what: impl FnOnce() -> Result<()>) {
        let begun = Instant::now();
        let result = what();
        if let Err(error) = &result {
            eprintln!("{error:#}");
        }
        self.add(name, result.is_ok().into(), result.is_err().into(), begun.elapsed());
    }

    /// Adds what a test runner counted. No test at all is a failure.
    pub fn add(&mut self, name: &str, passed: u64, failed: u64, took: Duration) {
        let failed = if passed + failed == 0 { 1 } else { failed };
        self.passed += passed;
        self.failed += failed;
        if failed > 0 {
            self.failures.push(name.to_owned());
        }
        let word = if failed == 0 { "ok" } else { "FAILED" };
        println!("== {name}: {word} ({passed} passed, {failed} failed, {} s)", took.as_secs());
    }

    /// Prints the closing lines; whether nothing failed.
    pub fn close(self) -> bool {
        println!();
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("took {} s", self.begun.elapsed().as_secs());
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}
