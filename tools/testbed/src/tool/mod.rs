//! Programs that run inside a lab's hosts: `testbed tool NAME …`.

pub(crate) mod downgrade;
mod echo;
mod flood;
mod fragments;
pub mod hex;
pub mod hostile;
mod https;
pub mod inside;
mod local;
pub mod octets;
pub mod packet_socket;
pub mod pages;
mod raw;
pub mod recorder;
pub mod storm;
pub mod swarm;
pub(crate) mod table;
pub mod unpack;

use anyhow::Result;
use clap::Subcommand;

/// Which one.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// A server that tells its name and repeats what it is told.
    Echo(echo::Args),
    /// Many connections, told by lines on standard input what to do.
    Swarm(swarm::Args),
    /// Spoofed TCP SYNs, as fast as they go.
    Flood(flood::Args),
    /// Large UDP datagrams in reordered fragments.
    Fragments(fragments::Args),
    /// One frame, written in hexadecimal.
    Raw(raw::Args),
    /// A great many connections made of frames, told by lines on standard input what to do.
    Storm(storm::Args),
    /// Web clients that mean harm by being slow.
    Hostile(hostile::Args),
    /// Web clients that keep their connections and go on asking.
    Pages(pages::Args),
    /// A client that sends octets as they are.
    Octets(octets::Args),
    /// A web server that keeps what it receives and answers what it is told.
    Recorder(recorder::Args),
    /// Many clients that keep their TLS connections and go on asking.
    Https(https::Args),
    /// The far end of tunnels.
    Unpack(unpack::Args),
    /// Ends processes of the appliance, from inside.
    Inside,
}

/// Runs it.
pub fn run(tool: Tool) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    local::many_files()?;
    match tool {
        Tool::Echo(args) => echo::run(args),
        Tool::Swarm(args) => swarm::run(args),
        Tool::Flood(args) => flood::run(&args),
        Tool::Fragments(args) => fragments::run(&args),
        Tool::Raw(args) => raw::run(&args),
        Tool::Storm(args) => storm::run(&args),
        Tool::Hostile(args) => hostile::run(&args),
        Tool::Pages(args) => pages::run(&args),
        Tool::Octets(args) => octets::run(&args),
        Tool::Recorder(args) => recorder::run(&args),
        Tool::Https(args) => https::run(&args),
        Tool::Unpack(args) => unpack::run(&args),
        Tool::Inside => inside::run(),
    }
}
