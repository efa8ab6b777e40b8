//! One field as the caller sees it.

use crate::hpack::Kind;

/// One ordinary field, without the pseudo-fields of its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in lower case.
    pub name: &'a [u8],
    /// The value, without white space around it.
    pub value: &'a [u8],
    /// The sender wants no hop to keep it in a table (RFC 7541 section 7.1.3).
    pub never_indexed: bool,
    pub(crate) kind: Kind,
}

impl Field<'_> {
    /// Is it a crumb of a cookie (RFC 9113 section 8.2.3)? Crumbs are joined by `; ` where they
    /// become one field.
    pub fn is_cookie(&self) -> bool {
        self.kind == Kind::Cookie
    }
}

impl<'a> From<(&'a [u8], &'a [u8])> for Field<'a> {
    /// A field that tables may keep, but for credentials. What it is to the rules is not looked
    /// at: it is for sending.
    fn from((name, value): (&'a [u8], &'a [u8])) -> Self {
        Field { name, value, never_indexed: false, kind: Kind::Other }
    }
}
