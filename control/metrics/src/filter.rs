//! What a scrape wants of all there is.

use crate::RealServerStatus;
use std::collections::BTreeSet;

/// Most filters in one query.
const MAX_FILTERS: usize = 1024;

/// What series are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The node, its configuration and its processes.
    Node,
    /// Ports of the data plane.
    Port,
    /// Real servers.
    RealServer,
    /// Virtual services.
    Service,
    /// The connection table.
    Table,
}

/// Which series to write. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    scopes: BTreeSet<Scope>,
    services: BTreeSet<String>,
    only: Vec<RealServerStatus>,
}

/// A query that cannot be understood; the client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No such parameter.
    #[error("unknown parameter `{}`; use `scope`, `service` or `only`", short(.0))]
    Parameter(String),
    /// No such scope.
    #[error("unknown scope `{}`; use `node`, `port`, `real_server`, `service` or `table`", short(.0))]
    Scope(String),
    /// No such status.
    #[error(
        "unknown state `{}`; use `checking`, `down`, `drain`, `halt`, `unreachable` or `up`", short(.0)
    )]
    Status(String),
    /// More than 1024 parameters.
    #[error("more than 1024 parameters; ask for fewer services, or for all")]
    TooMany,
}

impl Filter {
    /// Reads the query's parameters, already decoded:
    ///
    /// - `scope=node|port|real_server|service|table`: only these scopes;
    /// - `service=NAME`: of services and real servers only those of this service. A name that
    ///   no service has gives no series and is no error: services come and go;
    /// - `only=up|down|checking|drain|halt|unreachable`: only real servers that do this now.
    ///
    /// Each may be repeated and then allows more.
    ///
    /// # Errors
    /// [`FilterError`] for anything else: a misspelt filter must not look like an empty answer.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            if index == MAX_FILTERS {
                return Err(FilterError::TooMany);
            }
            filter.add(key.as_ref(), value.as_ref())?;
        }
        Ok(filter)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        match key {
            "scope" => {
                let scope = Scope::ALL.into_iter().find(|scope| scope.text() == value);
                self.scopes.insert(scope.ok_or_else(|| FilterError::Scope(value.into()))?);
            }
            "service" => {
                self.services.insert(value.into());
            }
            "only" => {
                let status = RealServerStatus::ALL.into_iter().find(|s| s.text() == value);
                self.only.push(status.ok_or_else(|| FilterError::Status(value.into()))?);
            }
            _ => return Err(FilterError::Parameter(key.into())),
        }
        Ok(())
    }

    pub(crate) fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.is_empty() || self.scopes.contains(&scope)
    }

    pub(crate) fn has_service(&self, name: &str) -> bool {
        self.services.is_empty() || self.services.contains(name)
    }

    pub(crate) fn has_status(&self, status: RealServerStatus) -> bool {
        self.only.is_empty() || self.only.contains(&status)
    }
}

impl Scope {
    /// Every scope, as they are written.
    pub const ALL: [Self; 5] =
        [Self::Node, Self::Port, Self::RealServer, Self::Service, Self::Table];

    /// The word in `?scope=`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Port => "port",
            Self::RealServer => "real_server",
            Self::Service => "service",
            Self::Table => "table",
        }
    }
}

/// What was asked for, as much of it as belongs in a message.
fn short(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}
