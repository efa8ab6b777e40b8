//! `fulcrum-dataplane`
#![forbid(unsafe_code)]

use clap::Parser;
use dataplane::args::Args;

fn main() -> anyhow::Result<()> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    dataplane::run(&Args::parse())
}
