//! Questions to a running balancer, over the socket of its control process.

mod certificates;
mod client;
mod connections;
mod counters;
mod events;
mod path;
mod people;
mod persistence;
mod plan;
mod requested;
mod revisions;
mod services;
mod status;
mod table;
mod units;

pub use certificates::{NewCertificate, UploadedFile};
use clap::Args;
use client::{Client, Failure};
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Rows that control gives at a time.
const MOST_ROWS: usize = 10_000;

/// Where the balancer keeps its sockets.
#[derive(Args)]
pub struct Place {
    /// Folder of the sockets and of what outlives a process.
    #[arg(long, default_value = "/run/fulcrum", value_name = "DIR")]
    pub runtime_dir: PathBuf,
}

/// What every question has.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    place: Place,
    /// The answer as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Which real server is meant.
#[derive(Args)]
pub struct Target {
    /// The service's name.
    pub service: String,
    /// The real server's name.
    pub real_server: String,
    /// Where to ask, and how to show it.
    #[command(flatten)]
    pub options: Options,
}

/// A question.
pub enum Question {
    /// Is all well?
    Status,
    /// Services and real servers.
    Services,
    /// At most `limit` connections.
    Connections {
        /// Rows.
        limit: u32,
    },
    /// At most `limit` clients that a service remembers.
    Persistence {
        /// The service's name.
        service: String,
        /// Rows.
        limit: u32,
    },
    /// A service forgets clients.
    Forget {
        /// The service's name.
        service: String,
        /// This one, as it is shown; all without it.
        client: Option<String>,
    },
    /// Counters of ports and of the table.
    Counters,
    /// What happened lately.
    Events,
    /// What a configuration would change.
    Plan {
        /// The configuration.
        text: String,
    },
    /// Makes a configuration the one in force.
    Apply {
        /// The configuration.
        text: String,
        /// Why.
        message: String,
        /// Unless it is confirmed within so many seconds.
        confirm_within_s: Option<u64>,
    },
    /// The applied revision stays.
    Confirm,
    /// Back to an earlier revision.
    Rollback {
        /// Its number; the one before without it.
        to: Option<u64>,
        /// Unless that is confirmed within so many seconds.
        confirm_within_s: Option<u64>,
    },
    /// Revisions, newest first.
    Revisions,
    /// One revision.
    Revision {
        /// Its number.
        number: u64,
    },
    /// The configuration in force.
    Config,
    /// All users.
    Users,
    /// A new user.
    AddUser {
        /// The name.
        name: String,
        /// The role's word.
        role: String,
        /// The password.
        password: String,
    },
    /// Another password.
    SetPassword {
        /// Whose.
        name: String,
        /// The password.
        password: String,
    },
    /// Another role.
    SetRole {
        /// Whose.
        name: String,
        /// The role's word.
        role: String,
    },
    /// A user goes.
    RemoveUser {
        /// The name.
        name: String,
    },
    /// All API tokens.
    Tokens,
    /// A new API token.
    AddToken {
        /// The name.
        name: String,
        /// Whose it is.
        owner: String,
        /// The role's word.
        role: String,
        /// It ends after so many seconds.
        expires_in_s: Option<u64>,
    },
    /// An API token goes.
    RemoveToken {
        /// The name.
        name: String,
    },
    /// The audit log.
    Audit,
    /// All certificates.
    Certificates,
    /// One certificate.
    Certificate {
        /// Its name.
        name: String,
    },
    /// Takes a certificate, or authorities, from files.
    ImportCertificate {
        /// Its name.
        name: String,
        /// The files.
        files: Vec<UploadedFile>,
        /// What opens them.
        password: Option<String>,
        /// Whether they are authorities.
        authorities: bool,
    },
    /// A new key, and a request for its certificate.
    RequestCertificate(NewCertificate),
    /// A new key with a certificate that signs itself.
    SignCertificate {
        /// What it says.
        new: NewCertificate,
        /// How long it is valid.
        days: u32,
    },
    /// A certificate goes.
    RemoveCertificate {
        /// Its name.
        name: String,
    },
    /// A real server shall be `online`, `drain` or `halt`.
    Request {
        /// The service's name.
        service: String,
        /// The real server's name.
        real_server: String,
        /// The word in the path.
        state: &'static str,
    },
}

/// Asks and prints the answer. Fails with 1 when there is none, or it is an error.
pub fn ask(question: &Question, options: &Options) -> ExitCode {
    let answer = Client::new(&options.place.runtime_dir).and_then(|client| {
        let value = question.put(&client)?;
        match options.json {
            true => Ok(format!("{value}\n")),
            false => question.show(value),
        }
    });
    match answer {
        Ok(text) => {
            // Whoever reads this may have closed the pipe, as `head` does.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Failure { what, remedy }) => {
            eprintln!("fulcrum: {}\n  what to do: {}", table::clean(&what), table::clean(&remedy));
            ExitCode::FAILURE
        }
    }
}

/// Certificates of the balancer that runs there; `None` when none does.
pub fn known_certificates(place: &Place) -> Option<config::Known> {
    let client = Client::new(&place.runtime_dir).ok()?;
    let list = Question::Certificates.put(&client).ok()?;
    Some(certificates::known(read(list).ok()?))
}

impl Question {
    fn put(&self, client: &Client) -> Result<Value, Failure> {
        match self {
            Self::Status => client.call(&Method::GET, "/api/v1/status"),
            Self::Services => client.call(&Method::GET, "/api/v1/services"),
            Self::Counters => client.call(&Method::GET, "/api/v1/counters"),
            Self::Events => client.call(&Method::GET, "/api/v1/events"),
            Self::Plan { text } => {
                client.send(&Method::POST, "/api/v1/config/plan", Some(&json!({"text": text})))
            }
            Self::Apply { text, message, confirm_within_s } => {
                let body = json!({"text": text, "message": message,
                    "confirm_within_s": confirm_within_s});
                client.send(&Method::PUT, "/api/v1/config", Some(&body))
            }
            Self::Confirm => client.call(&Method::POST, "/api/v1/config/confirm"),
            Self::Rollback { to, confirm_within_s } => {
                let body = json!({"to": to, "confirm_within_s": confirm_within_s});
                client.send(&Method::POST, "/api/v1/config/rollback", Some(&body))
            }
            Self::Revisions => client.call(&Method::GET, "/api/v1/config/revisions"),
            Self::Revision { number } => {
                client.call(&Method::GET, &format!("/api/v1/config/revisions/{number}"))
            }
            Self::Config => client.call(&Method::GET, "/api/v1/config"),
            Self::Users
            | Self::AddUser { .. }
            | Self::SetPassword { .. }
            | Self::SetRole { .. }
            | Self::RemoveUser { .. }
            | Self::Tokens
            | Self::AddToken { .. }
            | Self::RemoveToken { .. }
            | Self::Audit => people::put(self, client),
            Self::Certificates
            | Self::Certificate { .. }
            | Self::ImportCertificate { .. }
            | Self::RequestCertificate(_)
            | Self::SignCertificate { .. }
            | Self::RemoveCertificate { .. } => certificates::put(self, client),
            Self::Connections { limit } => {
                pages(client, "/api/v1/connections", "connections", *limit)
            }
            Self::Persistence { service, limit } => {
                pages(client, &path::persistence(service), "clients", *limit)
            }
            Self::Forget { service, client: whom } => {
                let query = |whom: &String| format!("?client={}", path::encoded(whom));
                let query = whom.as_ref().map_or(String::new(), query);
                let path = format!("{}{query}", path::persistence(service));
                client.call(&Method::DELETE, &path)
            }
            Self::Request { service, real_server, state } => {
                let path = path::real_server(service, real_server, state);
                client.call(&Method::POST, &path)
            }
        }
    }

    fn show(&self, value: Value) -> Result<String, Failure> {
        Ok(match self {
            Self::Status => status::render(&read(value)?),
            Self::Services => services::render(&read(value)?),
            Self::Counters => counters::render(&read(value)?),
            Self::Events => events::render(&read(value)?),
            Self::Plan { .. } => plan::render(&read(value)?),
            Self::Apply { .. } | Self::Rollback { .. } => revisions::applied(&read(value)?),
            Self::Confirm => revisions::confirmed(&read(value)?),
            Self::Revisions => revisions::list(&read(value)?),
            Self::Revision { .. } => revisions::whole(&read(value)?),
            Self::Config => revisions::config(read(value)?),
            Self::Users => people::users(&read(value)?),
            Self::AddUser { .. } | Self::SetPassword { .. } | Self::SetRole { .. } => {
                people::user(&read(value)?)
            }
            Self::RemoveUser { .. } | Self::RemoveToken { .. } | Self::RemoveCertificate { .. } => {
                "Removed.\n".into()
            }
            Self::Certificates => certificates::list(&read(value)?),
            Self::Certificate { .. } => certificates::text(&read(value)?),
            Self::ImportCertificate { .. } | Self::SignCertificate { .. } => {
                certificates::kept(&read(value)?)
            }
            Self::RequestCertificate(_) => certificates::made(read(value)?),
            Self::Tokens => people::tokens(&read(value)?),
            Self::AddToken { .. } => people::made(&read(value)?),
            Self::Audit => people::audit(&read(value)?),
            Self::Connections { .. } => connections::render(&read(value)?),
            Self::Persistence { .. } => persistence::render(&read(value)?),
            Self::Forget { .. } => persistence::forgotten(&read(value)?),
            Self::Request { .. } => requested::render(&read(value)?),
        })
    }
}

/// Page after page until there are `limit` rows, in the shape of one page.
fn pages(client: &Client, path: &str, what: &str, limit: u32) -> Result<Value, Failure> {
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor = 0;
    loop {
        let left = (limit as usize).saturating_sub(rows.len()).min(MOST_ROWS);
        let mut page =
            client.call(&Method::GET, &format!("{path}?cursor={cursor}&limit={left}"))?;
        if let Some(Value::Array(more)) = page.get_mut(what).map(Value::take) {
            rows.extend(more);
        }
        let next = page["next"].as_u64();
        match next {
            // A cursor that does not advance would never end.
            Some(next) if next > cursor && rows.len() < limit as usize => cursor = next,
            _ => return Ok(json!({what: rows, "next": next})),
        }
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|e| Failure {
        what: format!("control answered something that this fulcrum does not understand: {e}"),
        remedy: "see that both are of the same version (`fulcrum --version`, `fulcrum status \
                 --json`); --json shows the answer as it is"
            .into(),
    })
}
