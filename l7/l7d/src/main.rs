#![forbid(unsafe_code)]
//! `fulcrum-l7`

use clap::Parser;
use l7d::args::Args;

fn main() -> anyhow::Result<()> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    // Whatever thread it is, the process is no longer what it says it is: the supervisor starts
    // a new one, which is better than a proxy with a worker less.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(101);
    }));
    l7d::run(&Args::parse())
}
