//! The Connection field (RFC 9110 section 7.6.1).

use crate::fields::Fields;
use crate::name::Known;
use crate::refusal::{Fault, Reason};
use crate::token::{is_token, members};

/// More options than any peer needs; each is compared with every field name.
const MAX_OPTIONS: usize = 32;

/// What a peer says of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

impl Options {
    /// Reads every Connection field, and marks the fields it names as not to be forwarded.
    ///
    /// A client that names an end-to-end field is refused; a server's attempt has no effect.
    pub(crate) fn read(fields: &mut Fields, bytes: &[u8], sender: Fault) -> Result<Self, Reason> {
        let mut options = Options::default();
        if !fields.has(Known::Connection.bit()) {
            return Ok(options);
        }
        let mut count = 0;
        for index in 0..fields.as_slice().len() {
            let Some(field) = fields.as_slice().get(index) else { break };
            if field.known != Known::Connection {
                continue;
            }
            let value = field.value.of(bytes);
            if options.is_plain(value) {
                continue;
            }
            for option in members(value) {
                count += 1;
                if count > MAX_OPTIONS || !is_token(option) {
                    return Err(Reason::Connection);
                }
                options.take(option, fields, bytes, sender)?;
            }
        }
        Ok(options)
    }

    /// One of the three options alone, as nearly always.
    fn is_plain(&mut self, value: &[u8]) -> bool {
        let option = match value.len() {
            5 if value.eq_ignore_ascii_case(b"close") => &mut self.close,
            7 if value.eq_ignore_ascii_case(b"upgrade") => &mut self.upgrade,
            10 if value.eq_ignore_ascii_case(b"keep-alive") => &mut self.keep_alive,
            _ => return false,
        };
        *option = true;
        true
    }

    fn take(
        &mut self,
        option: &[u8],
        fields: &mut Fields,
        bytes: &[u8],
        sender: Fault,
    ) -> Result<(), Reason> {
        if self.is_plain(option) {
            return Ok(());
        }
        if Known::of(option).is_end_to_end() {
            return if sender == Fault::Client { Err(Reason::Connection) } else { Ok(()) };
        }
        mark(fields, bytes, option);
        Ok(())
    }
}

fn mark(fields: &mut Fields, bytes: &[u8], name: &[u8]) {
    for field in fields.as_mut_slice() {
        field.named |= field.name.of(bytes).eq_ignore_ascii_case(name);
    }
}
