//! The `fulcrum` command: checks a configuration, runs the balancer, and asks a running one.
#![forbid(unsafe_code)]

mod ask;
mod certificate;
mod check;
mod describe;
mod file;
mod password;
mod run;

use ask::{Place, Question, Target};
use clap::{CommandFactory, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The Fulcrum load balancer.
#[derive(Parser)]
#[command(name = "fulcrum", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is wrong with a configuration file. Changes nothing.
    Check(check::Options),
    /// Runs the balancer in the foreground until SIGINT or SIGTERM. SIGHUP reads the file anew.
    Run {
        /// The configuration file.
        file: PathBuf,
        /// Folder of what outlives a reboot: revisions of the file, what was asked of real servers.
        #[arg(long, default_value = "/var/lib/fulcrum", value_name = "DIR")]
        state_dir: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Whether all is well: configuration, data plane, ports.
    Status(ask::Options),
    /// Services and their real servers.
    Service {
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Connections in the table.
    Connections {
        /// Rows to show at most.
        #[arg(long, default_value_t = 100, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        limit: u32,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Clients that a service remembers, so that they stay with their real servers.
    Persistence {
        /// The service's name.
        service: String,
        /// Rows to show at most.
        #[arg(long, default_value_t = 100, value_name = "N", conflicts_with = "clear",
            value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        limit: u32,
        /// Forget them. Connections go on; only where the next ones go is open again.
        #[arg(long)]
        clear: bool,
        /// Only this client, as the list has it, and those that count as one with it; of a cookie
        /// the whole value.
        #[arg(long, value_name = "CLIENT", requires = "clear")]
        client: Option<String>,
        #[command(flatten)]
        options: ask::Options,
    },
    /// What became of every packet.
    Counters(ask::Options),
    /// What a configuration file would change, and how many live connections it would break.
    Plan {
        /// The configuration file.
        file: PathBuf,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Applies a configuration file. The file of `fulcrum run` then says the same.
    Apply {
        /// The configuration file.
        file: PathBuf,
        /// Why, for the list of revisions.
        #[arg(long, short, default_value = "")]
        message: String,
        #[command(flatten)]
        trial: Trial,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Keeps the applied revision, which would go back by itself.
    Confirm(ask::Options),
    /// Goes back to an earlier revision of the configuration.
    Rollback {
        /// The revision's number; without it the one before.
        revision: Option<u64>,
        #[command(flatten)]
        trial: Trial,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Revisions of the configuration, newest first.
    Revisions(ask::Options),
    /// One revision: who made it, why, and what it changed.
    Revision {
        /// Its number.
        number: u64,
        #[command(flatten)]
        options: ask::Options,
    },
    /// The configuration in force, as it was written.
    Config(ask::Options),
    /// Users: who may come in over the network, and what they may do.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// API tokens, for programs.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Certificates and authorities, by the names that the configuration speaks of.
    Certificate {
        #[command(subcommand)]
        command: certificate::Command,
    },
    /// The audit log: what was done or refused lately, by whom, from where.
    Audit(ask::Options),
    /// What happened lately: checks, requests, processes.
    Events(ask::Options),
    /// The JSON Schema of the configuration file.
    Schema,
    /// A script that completes this command's words in a shell.
    Completion {
        /// The shell.
        shell: describe::Shell,
    },
    /// Writes the manual: one page for each command.
    Man {
        /// An existing folder.
        folder: PathBuf,
    },
    /// Takes a real server out of service, or back in.
    RealServer {
        #[command(subcommand)]
        command: RealServerCommand,
    },
}

/// A change on trial.
#[derive(clap::Args)]
struct Trial {
    /// Take it back by itself unless `fulcrum confirm` comes within this time (30s, 5m, 1h).
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    confirm_within: Option<Duration>,
}

impl Trial {
    /// Whole seconds, at least one.
    fn seconds(&self) -> Option<u64> {
        self.confirm_within.map(|time| time.as_secs().max(1))
    }
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Every service, with its real servers.
    List(ask::Options),
}

#[derive(Subcommand)]
enum RealServerCommand {
    /// No new connections; those that it has go on.
    Drain(Target),
    /// No connections at all, at once.
    Halt(Target),
    /// In service, as far as its check agrees.
    Online(Target),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Every user.
    List(ask::Options),
    /// A new user; the password is asked for, or read from standard input.
    Add {
        /// The name.
        name: String,
        /// What they may do.
        #[arg(long, value_parser = ["viewer", "operator", "admin"])]
        role: String,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Sets a password, which is asked for, or read from standard input. The first user of all is
    /// made by it, an administrator.
    SetPassword {
        /// The name.
        #[arg(default_value = "loadbalancer")]
        name: String,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Gives another role.
    Role {
        /// The name.
        name: String,
        /// What they may do from now on.
        #[arg(value_parser = ["viewer", "operator", "admin"])]
        role: String,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Removes a user with their tokens.
    Remove {
        /// The name.
        name: String,
        #[command(flatten)]
        options: ask::Options,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Every token; never its text.
    List(ask::Options),
    /// A new token, whose text is shown this once.
    Add {
        /// The name.
        name: String,
        /// Whose it is.
        #[arg(long, default_value = "loadbalancer")]
        owner: String,
        /// What it may do.
        #[arg(long, default_value = "viewer", value_parser = ["viewer", "operator", "admin"])]
        role: String,
        /// It ends after this time (12h, 90d); never without it.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
        #[command(flatten)]
        options: ask::Options,
    },
    /// Removes a token.
    Remove {
        /// The name.
        name: String,
        #[command(flatten)]
        options: ask::Options,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    match Cli::parse().command {
        Command::Check(options) => check::check(&options),
        Command::Run { file, state_dir, place } => run::run(&file, &place.runtime_dir, &state_dir),
        Command::Status(options) => ask::ask(&Question::Status, &options),
        Command::Service { command: ServiceCommand::List(options) } => {
            ask::ask(&Question::Services, &options)
        }
        Command::Connections { limit, options } => {
            ask::ask(&Question::Connections { limit }, &options)
        }
        Command::Persistence { service, clear: true, client, options, .. } => {
            ask::ask(&Question::Forget { service, client }, &options)
        }
        Command::Persistence { service, limit, options, .. } => {
            ask::ask(&Question::Persistence { service, limit }, &options)
        }
        Command::Counters(options) => ask::ask(&Question::Counters, &options),
        Command::Events(options) => ask::ask(&Question::Events, &options),
        Command::Plan { file, options } => {
            with_text(&file, |text| ask::ask(&Question::Plan { text }, &options))
        }
        Command::Apply { file, message, trial, options } => with_text(&file, |text| {
            let confirm_within_s = trial.seconds();
            ask::ask(&Question::Apply { text, message, confirm_within_s }, &options)
        }),
        Command::Confirm(options) => ask::ask(&Question::Confirm, &options),
        Command::Rollback { revision: to, trial, options } => {
            let confirm_within_s = trial.seconds();
            ask::ask(&Question::Rollback { to, confirm_within_s }, &options)
        }
        Command::Revisions(options) => ask::ask(&Question::Revisions, &options),
        Command::Revision { number, options } => ask::ask(&Question::Revision { number }, &options),
        Command::Config(options) => ask::ask(&Question::Config, &options),
        Command::User { command } => user(command),
        Command::Token { command } => token(command),
        Command::Certificate { command } => certificate::run(command),
        Command::Schema => describe::schema(),
        Command::Completion { shell } => describe::completion(Cli::command(), shell),
        Command::Man { folder } => describe::manual(Cli::command(), &folder),
        Command::Audit(options) => ask::ask(&Question::Audit, &options),
        Command::RealServer { command } => {
            let (target, state) = match command {
                RealServerCommand::Drain(target) => (target, "drain"),
                RealServerCommand::Halt(target) => (target, "halt"),
                RealServerCommand::Online(target) => (target, "online"),
            };
            let Target { service, real_server, options } = target;
            ask::ask(&Question::Request { service, real_server, state }, &options)
        }
    }
}

/// Does something with a file's text, if it has one.
fn with_text(file: &Path, action: impl FnOnce(String) -> ExitCode) -> ExitCode {
    match file::text(file) {
        Ok(text) => action(text),
        Err(what) => {
            eprintln!("fulcrum: {what}");
            ExitCode::FAILURE
        }
    }
}

fn user(command: UserCommand) -> ExitCode {
    match command {
        UserCommand::List(options) => ask::ask(&Question::Users, &options),
        UserCommand::Add { name, role, options } => with_password(|password| {
            ask::ask(&Question::AddUser { name, role, password }, &options)
        }),
        UserCommand::SetPassword { name, options } => {
            with_password(|password| ask::ask(&Question::SetPassword { name, password }, &options))
        }
        UserCommand::Role { name, role, options } => {
            ask::ask(&Question::SetRole { name, role }, &options)
        }
        UserCommand::Remove { name, options } => ask::ask(&Question::RemoveUser { name }, &options),
    }
}

fn token(command: TokenCommand) -> ExitCode {
    match command {
        TokenCommand::List(options) => ask::ask(&Question::Tokens, &options),
        TokenCommand::Add { name, owner, role, expires_in, options } => {
            let expires_in_s = expires_in.map(|time| time.as_secs().max(1));
            ask::ask(&Question::AddToken { name, owner, role, expires_in_s }, &options)
        }
        TokenCommand::Remove { name, options } => {
            ask::ask(&Question::RemoveToken { name }, &options)
        }
    }
}

/// Does something with a password, if one is given.
fn with_password(action: impl FnOnce(String) -> ExitCode) -> ExitCode {
    match password::ask() {
        Ok(password) => action(password),
        Err(e) => {
            eprintln!("fulcrum: no password: {e}");
            ExitCode::FAILURE
        }
    }
}
