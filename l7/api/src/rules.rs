//! Rules of HTTP mode: what requests they are for, and what they do.

use crate::{Prefix, ServerId};
use serde::{Deserialize, Serialize};

/// What happens to requests that meet all conditions.
///
/// Rules are looked at in their order, and all of them by the request as the client sent it. The
/// first that answers (deny, redirect) ends it; what the others do adds up, and where two of them
/// choose servers or rewrite the path, the later one prevails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// All of them must be met; none: every request.
    pub when: Vec<Condition>,
    /// What is done, in this order.
    pub then: Vec<Action>,
}

/// A question about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What of it.
    pub subject: Subject,
    /// What that has to be.
    pub test: Test,
    /// Met if the test is not.
    pub not: bool,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// The path, without the query, as it was sent: nothing is decoded.
    Path,
    /// The host, without the port, in lower case.
    Host,
    /// The method.
    Method,
    /// `http` or `https`.
    Scheme,
    /// The query, without the question mark; missing where there is none.
    Query,
    /// A parameter of the query, as it was sent.
    Parameter(String),
    /// A field, each of its lines.
    Field(String),
    /// A cookie.
    Cookie(String),
    /// The client's address; for [`Test::Within`].
    Source,
}

/// What a part of a request has to be. Octet by octet; a field that came several times meets a
/// test if one of its lines does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// It is there.
    Present,
    /// It is one of these.
    Is(Vec<String>),
    /// It begins with one of these.
    Begins(Vec<String>),
    /// It ends with one of these.
    Ends(Vec<String>),
    /// One of these is in it.
    Contains(Vec<String>),
    /// It is an address of one of these; for [`Subject::Source`].
    Within(Vec<Prefix>),
}

/// What a rule does. Texts marked as templates may hold `{scheme}`, `{host}` (without a port),
/// `{port}` (with its colon, or nothing), `{path}`, `{query}` (with its question mark, or
/// nothing) and `{client}` (an address); `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// An error page in place of the server's answer.
    Deny {
        /// 400 to 599.
        status: u16,
    },
    /// A redirect in place of the server's answer.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The target, a template.
        to: String,
    },
    /// Only these real servers of the service may take the request.
    Servers(Vec<ServerId>),
    /// Another path, a template; the query stays.
    Path(String),
    /// Another begin of the path, if it has this one.
    PathPrefix {
        /// The begin.
        from: String,
        /// What takes its place.
        to: String,
    },
    /// A change to the request's fields; the value is a template.
    Request(FieldChange),
    /// A change to the response's fields; the value is text.
    Response(FieldChange),
}

/// A change to the fields of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldChange {
    /// One more line.
    Add {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// This line in place of all of that name.
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// None of that name.
    Delete {
        /// The name.
        name: String,
    },
    /// Other words in the lines of that name.
    Replace {
        /// The name.
        name: String,
        /// What is looked for, not empty.
        find: String,
        /// What takes its place each time: text.
        with: String,
    },
}

impl Rule {
    /// Redirects whoever does not use TLS to the same page over TLS.
    pub fn force_https(status: u16) -> Self {
        let test = Test::Is(vec!["http".into()]);
        let plain = Condition { subject: Subject::Scheme, test, not: false };
        let to = "https://{host}{path}{query}".into();
        Self { when: vec![plain], then: vec![Action::Redirect { status, to }] }
    }

    /// HTTP Strict Transport Security (RFC 6797) on what is sent over TLS.
    pub fn strict_transport(max_age_s: u32, include_subdomains: bool, preload: bool) -> Self {
        let test = Test::Is(vec!["https".into()]);
        let secure = Condition { subject: Subject::Scheme, test, not: false };
        let subdomains = if include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if preload { "; preload" } else { "" };
        let value = format!("max-age={max_age_s}{subdomains}{preload}");
        let set = FieldChange::Set { name: "Strict-Transport-Security".into(), value };
        Self { when: vec![secure], then: vec![Action::Response(set)] }
    }
}
