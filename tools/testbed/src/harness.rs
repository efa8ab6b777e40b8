//! Runs end-to-end tests one after another, prints each one's name, end and time, and looks
//! after each whether the machine is as it was before.

use crate::lab::{last_words, sweep_dead};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Instant;

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The numbers that the product promises, instead of those that fit a short run.
    pub full: bool,
}

impl Scale {
    /// One of two numbers.
    pub fn pick<T>(self, short: T, full: T) -> T {
        if self.full { full } else { short }
    }
}

type Body = Box<dyn Fn(Scale) -> Result<()>>;

/// When a test runs without being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    InFull,
    Never,
}

/// One test. Whoever names it gets it.
pub struct Test {
    name: String,
    when: When,
    body: Body,
}

impl Test {
    /// A test by name.
    pub fn new(name: impl Into<String>, body: impl Fn(Scale) -> Result<()> + 'static) -> Self {
        Self { name: name.into(), when: When::Always, body: Box::new(body) }
    }

    /// Runs when asked for by name, and not among all.
    pub fn only_named(mut self) -> Self {
        self.when = When::Never;
        self
    }

    /// Takes too long for a short run.
    pub fn only_in_full(mut self) -> Self {
        self.when = When::InFull;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Runs those whose name contains one of `filters` (without any, all that
/// need not be asked for). Whether none failed.
pub fn run(tests: Vec<Test>, filters: &[String], scale: Scale) -> Result<bool> {
    sweep_dead();
    let wanted = |test: &Test| {
        let unnamed = match test.when {
            When::Always => true,
            When::InFull => scale.full,
            When::Never => false,
        };
        (filters.is_empty() && unnamed)
            || filters.iter().any(|filter| test.name.contains(filter.as_str()))
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for test in tests.into_iter().filter(wanted) {
        print!("test {} ... ", test.name);
        std::io::stdout().flush()?;
        let begun = Instant::now();
        let result = guarded(|| (test.body)(scale));
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("ok ({took:.1} s)");
                passed += 1;
            }
            Err(error) => {
                println!("FAILED ({took:.1} s)\n{error:#}\n{}\n", last_words());
                failed.push(test.name);
            }
        }
    }
    for name in &failed {
        println!("failed: {name}");
    }
    println!("{passed} passed, {} failed", failed.len());
    Ok(failed.is_empty() && passed > 0)
}

/// Runs `body`; a panic is an error, and so is anything that it leaves on the machine.
pub fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = Machine::look()?;
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| bail!("panicked"))?;
    // A failed test is taken down without care; only what a good one leaves is a finding.
    before.must_be(&Machine::look()?).context("left behind")?;
    Ok(result)
}

/// What a test must leave as it was.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    namespaces: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    huge_pages: String,
    huge_files: BTreeSet<String>,
    mounts: usize,
}

impl Machine {
    fn look() -> Result<Self> {
        let list = |words: &[&str]| -> Result<BTreeSet<String>> {
            let output = Command::new("ip").args(words).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(text
                .lines()
                .filter_map(|line| line.split([' ', ':']).next())
                .map(String::from)
                .collect())
        };
        let own = format!("fulcrum-{}-", std::process::id());
        let namespaces = list(&["netns", "list"])?;
        let links = fs::read_dir("/sys/class/net")?;
        let huge = fs::read_dir("/dev/hugepages").into_iter().flatten().flatten();
        Ok(Self {
            namespaces: namespaces.into_iter().filter(|name| name.starts_with(&own)).collect(),
            interfaces: links.flatten().map(|e| e.file_name().to_string_lossy().into()).collect(),
            huge_pages: fs::read_to_string("/proc/sys/vm/nr_hugepages")?,
            // Benchmarks that run at the same time come and go.
            huge_files: huge
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .filter(|name| !name.starts_with("fulcrum-bench-"))
                .collect(),
            mounts: fs::read_to_string("/proc/self/mounts")?.matches(&own).count(),
        })
    }

    fn must_be(&self, after: &Self) -> Result<()> {
        if self != after {
            bail!("before: {self:?}\nafter: {after:?}");
        }
        Ok(())
    }
}
