//! `[[service.rule]]`: what is done with the requests that meet some conditions.

use crate::net::Prefix;
use std::time::Duration;

/// Most rules of one service, as the proxy counts them: see [`Rule::cost`].
pub const MAX_RULES: usize = 128;

/// Most conditions, words of conditions and actions of one service's rules together.
pub const MAX_RULE_PARTS: usize = 4_096;

/// `[[service.rule]]`. Rules are looked at in their order, each by the request as it came; one
/// that answers ends it, and of several that choose real servers or a path the last prevails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `name`, for findings and readers. Default none.
    pub name: Option<String>,
    /// All of them must be met; none: every request.
    pub when: Vec<Condition>,
    /// What is done; never empty.
    pub then: Vec<Action>,
}

/// A question about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Of what.
    pub subject: Subject,
    /// What it has to be.
    pub test: Test,
    /// `not`: met if the test is not.
    pub not: bool,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `path`: decoded, dot segments resolved.
    Path,
    /// `host`: without the port, in lower case.
    Host,
    /// `method`
    Method,
    /// `scheme`
    Scheme,
    /// `query`: without the question mark.
    Query,
    /// `parameter`: of the query.
    Parameter(String),
    /// `header`
    Header(String),
    /// `cookie`
    Cookie(String),
    /// `source`: the client's address.
    Source,
}

/// What a part of a request has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is there.
    Present,
    /// One of these.
    Is(Vec<String>),
    /// It begins with one of these.
    Begins(Vec<String>),
    /// It ends with one of these.
    Ends(Vec<String>),
    /// One of these is in it.
    Contains(Vec<String>),
    /// An address of one of these.
    Within(Vec<Prefix>),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `deny`: an error page with this status.
    Deny(u16),
    /// `redirect`
    Redirect {
        /// `status`: 301, 302, 303, 307 or 308. Default 302.
        status: u16,
        /// Where to, a text with words of the request.
        to: String,
    },
    /// `force_https`: a redirect of who came without TLS.
    ForceHttps {
        /// `status`, as that of `redirect`.
        status: u16,
    },
    /// `servers`: names of the service's real servers, the only ones that may take the request.
    Servers(Vec<String>),
    /// `rewrite`: another path, a text with words of the request; the query stays.
    Rewrite(String),
    /// `rewrite_prefix`: another begin of a path that has this one.
    RewritePrefix {
        /// `from`
        from: String,
        /// `to`
        to: String,
    },
    /// A header of the request; the value has words of the request.
    Request(HeaderChange),
    /// A header of the response; the value is text.
    Response(HeaderChange),
    /// `hsts`: Strict-Transport-Security on what is sent over TLS (RFC 6797).
    StrictTransport {
        /// `max_age`, whole seconds. Default 365 days.
        max_age: Duration,
        /// `include_subdomains`. Default false.
        include_subdomains: bool,
        /// `preload`. Default false.
        preload: bool,
    },
}

/// A change to the headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// `add_header`: one more line.
    Add(String, String),
    /// `set_header`: this line in place of all of that name.
    Set(String, String),
    /// `delete_header`: none of that name.
    Delete(String),
    /// `replace_header`: other words in the lines of that name.
    Replace {
        /// `name`
        name: String,
        /// `find`
        find: String,
        /// `with`
        with: String,
    },
}

impl Rule {
    /// Whether a request that meets it gets its answer from it.
    pub fn answers(&self) -> bool {
        self.then.iter().any(Action::answers)
    }

    /// As how many rules and parts the proxy counts it. `force_https` and `hsts` ask for the
    /// scheme besides, and are rules of their own there.
    pub fn cost(&self) -> (usize, usize) {
        let apart = self.then.iter().filter(|action| action.asks_scheme()).count();
        let rules = apart + usize::from(apart < self.then.len());
        let conditions: usize = self.when.iter().map(Condition::parts).sum();
        (rules, conditions * rules + 2 * apart + self.then.len())
    }
}

impl Condition {
    fn parts(&self) -> usize {
        match &self.test {
            Test::Present => 1,
            Test::Is(words) | Test::Begins(words) | Test::Ends(words) | Test::Contains(words) => {
                1 + words.len()
            }
            Test::Within(prefixes) => 1 + prefixes.len(),
        }
    }
}

impl Action {
    /// Whether it takes the place of the server's answer.
    pub const fn answers(&self) -> bool {
        matches!(self, Self::Deny(_) | Self::Redirect { .. } | Self::ForceHttps { .. })
    }

    /// Whether it is for one scheme alone.
    pub const fn asks_scheme(&self) -> bool {
        matches!(self, Self::ForceHttps { .. } | Self::StrictTransport { .. })
    }
}
