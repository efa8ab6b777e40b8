//! What is to be sent in place of what came: lists of changes that cannot touch the framing.

use std::borrow::Cow;
use std::fmt;

use crate::address::AddressText;
use crate::name::{Known, is_lookalike};
use crate::target::is_authority;
use crate::token::{is_token, is_value_byte, trimmed};

/// Not fit for a header: the configuration's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAField {
    /// The name is no token (RFC 9110 section 5.1).
    Name,
    /// The name belongs to the framing or to the connection, which only the proxy decides.
    Reserved,
    /// The value holds a line end or another control character.
    Value,
    /// The target is not a path, with a query or without.
    Target,
    /// Not `host [":" port]`.
    Authority,
}

impl fmt::Display for NotAField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotAField::Name => "a field name is made of letters, digits and !#$%&'*+-.^_`|~",
            NotAField::Reserved => "this field frames the message and cannot be changed by a rule",
            NotAField::Value => "a field value cannot hold a line end or a control character",
            NotAField::Target => "a request target begins with / and has no space, # or control",
            NotAField::Authority => "a host is a name or an address, with :port or without",
        })
    }
}

impl std::error::Error for NotAField {}

/// The name of a field that a rule may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName<'a>(Cow<'a, [u8]>);

impl<'a> FieldName<'a> {
    /// # Errors
    /// No token, or a name that only the proxy may write: Connection, Content-Length, Host (see
    /// [`RequestEdits::host`]), Transfer-Encoding and their like.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Result<Self, NotAField> {
        let name = into_bytes(name.into());
        if !is_token(&name) {
            return Err(NotAField::Name);
        }
        let known = Known::of(&name);
        let imitates = known != Known::Other && is_lookalike(&name);
        if known.is_reserved() || imitates || known == Known::Host {
            return Err(NotAField::Reserved);
        }
        Ok(FieldName(name))
    }

    #[inline]
    fn is(&self, name: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue<'a>(Cow<'a, [u8]>);

impl<'a> FieldValue<'a> {
    /// # Errors
    /// A control character other than a tab.
    pub fn new(value: impl Into<Cow<'a, str>>) -> Result<Self, NotAField> {
        let value = into_bytes(value.into());
        if !value.iter().all(|&byte| is_value_byte(byte)) {
            return Err(NotAField::Value);
        }
        Ok(match value {
            Cow::Borrowed(value) => FieldValue(Cow::Borrowed(trimmed(value))),
            Cow::Owned(value) => FieldValue(Cow::Owned(trimmed(&value).to_vec())),
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A change to the fields. Deletions act on what came, additions come behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// One more line.
    Add(FieldName<'a>, FieldValue<'a>),
    /// This line in place of all of that name.
    Set(FieldName<'a>, FieldValue<'a>),
    /// None of that name.
    Delete(FieldName<'a>),
}

impl Change<'_> {
    #[inline]
    pub(crate) fn removes(&self, name: &[u8]) -> bool {
        match self {
            Change::Add(..) => false,
            Change::Set(changed, _) | Change::Delete(changed) => changed.is(name),
        }
    }

    pub(crate) fn line(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Change::Add(name, value) | Change::Set(name, value) => Some((&name.0, &value.0)),
            Change::Delete(_) => None,
        }
    }
}

/// A path with its query, in place of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathAndQuery<'a>(&'a [u8]);

impl<'a> PathAndQuery<'a> {
    /// # Errors
    /// Not in origin form (RFC 9112 section 3.2.1).
    pub fn new(text: &'a [u8]) -> Result<Self, NotAField> {
        let fits = text.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#');
        if text.first() == Some(&b'/') && fits { Ok(Self(text)) } else { Err(NotAField::Target) }
    }

    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A host, with a port or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a>(&'a [u8]);

impl<'a> Authority<'a> {
    /// # Errors
    /// Not `host [":" port]`.
    pub fn new(text: &'a [u8]) -> Result<Self, NotAField> {
        if is_authority(text) { Ok(Self(text)) } else { Err(NotAField::Authority) }
    }

    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// What becomes of a record of addresses that may have come with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Record {
    /// Forwarded as it came, nothing added.
    #[default]
    AsItCame,
    /// The client's address behind those that came.
    Append,
    /// The client's address alone: what came is not trusted.
    Replace,
    /// Nothing.
    Remove,
}

/// How the real server learns the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress<'a> {
    /// Who the client is.
    pub address: &'a AddressText,
    /// Did the request come over TLS? Said by Forwarded.
    pub secure: bool,
    /// What becomes of X-Forwarded-For.
    pub forwarded_for: Record,
    /// What becomes of Forwarded (RFC 7239).
    pub forwarded: Record,
}

/// How a request differs from what the client sent, beside the rules of the protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestEdits<'a> {
    /// Changes to the fields: lists of the service, of the real server, of this request.
    pub changes: &'a [&'a [Change<'a>]],
    /// Another target.
    pub target: Option<PathAndQuery<'a>>,
    /// Another Host.
    pub host: Option<Authority<'a>>,
    /// Host for a client of HTTP/1.0 that sent none; the field is empty without it.
    pub default_host: Option<Authority<'a>>,
    /// Who asks.
    pub client: Option<ClientAddress<'a>>,
    /// The name in Via; none, no Via.
    pub via: Option<&'a FieldValue<'a>>,
    /// The protocols a client may change to, such as `websocket`; any other is not forwarded.
    pub upgrades: &'a [&'a str],
    /// A cookie that is between the client and the proxy, and not forwarded.
    pub drop_cookie: Option<&'a [u8]>,
    /// Ask the server to close after its response.
    pub close: bool,
}

/// How a response differs from what the server sent, beside the rules of the protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseEdits<'a> {
    /// Changes to the fields. An inserted cookie is one of them, see [`crate::SetCookie`].
    pub changes: &'a [&'a [Change<'a>]],
    /// The name in Via; none, no Via.
    pub via: Option<&'a FieldValue<'a>>,
    /// Close the client's connection after it.
    pub close: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_frame_cannot_be_changed() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Host",
            "TE",
            "Upgrade",
            "Expect",
            "Keep-Alive",
            "Trailer",
            "Proxy-Connection",
            "Transfer_Encoding",
            "Content_Length",
        ] {
            assert_eq!(FieldName::new(name), Err(NotAField::Reserved), "{name}");
        }
        for name in ["", "a b", "a:", "a\r\n", "ä"] {
            assert_eq!(FieldName::new(name), Err(NotAField::Name), "{name}");
        }
        for name in ["X-Real-IP", "X-Forwarded-For", "Server", "Proxy", "Cookie"] {
            assert!(FieldName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn values_hold_no_line_end() {
        for value in ["a\r\nb: c", "a\n", "\0", "\x7f"] {
            assert_eq!(FieldValue::new(value), Err(NotAField::Value), "{value:?}");
        }
        assert_eq!(FieldValue::new(" a\tb ").unwrap().as_bytes(), b"a\tb");
        assert_eq!(FieldValue::new(" ä ".to_owned()).unwrap().as_bytes(), "ä".as_bytes());
    }

    #[test]
    fn targets_and_hosts_are_checked() {
        assert!(PathAndQuery::new(b"/a?b=c").is_ok() && Authority::new(b"a:1").is_ok());
        for bad in [&b""[..], b"a", b"/ ", b"/a\r\n", b"/#", b"/\xff"] {
            assert_eq!(PathAndQuery::new(bad), Err(NotAField::Target), "{bad:?}");
        }
        assert_eq!(Authority::new(b"a\r\nX: y"), Err(NotAField::Authority));
    }
}
