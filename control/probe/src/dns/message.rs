//! DNS messages (RFC 1035, section 4): a query written, an answer read.

use crate::target::{Dns, RecordType};
use std::fmt::{self, Display};
use std::net::IpAddr;

const HEADER: usize = 12;
/// Of a name, with its length bytes and the root.
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: usize = 63;
const IN: u16 = 1;
const A: u16 = 1;
const AAAA: u16 = 28;
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;

/// A query with one question.
pub struct Query {
    bytes: Vec<u8>,
    kind: u16,
}

/// What a packet is, seen from a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does not answer this query.
    Stranger,
    /// It bears the query's id and does not follow the format.
    Unreadable,
    /// It bears the query's id and answers something else.
    OtherQuestion,
    /// Any response code but `NOERROR`.
    Refusal(Code),
    /// `NOERROR`.
    Records {
        /// How many records have the type that was asked for.
        count: usize,
        /// Their addresses, if it is a type that has them.
        addresses: Vec<IpAddr>,
        /// Some were left out, for the message would have been too large.
        cut: bool,
    },
}

/// A response code other than `NOERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u8);

impl Query {
    /// Asks for the records of that name and type. An error says why nobody can be asked that.
    pub fn new(id: u16, dns: &Dns) -> Result<Self, String> {
        let kind = number(dns.kind);
        let mut bytes = Vec::with_capacity(HEADER + LONGEST_NAME + 4);
        for field in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        write_name(&mut bytes, &dns.name)?;
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&IN.to_be_bytes());
        Ok(Self { bytes, kind })
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a packet as the answer.
    pub fn read(&self, packet: &[u8]) -> Answer {
        let mut reader = Reader { packet, at: 0 };
        if reader.take(2) != Some(&self.bytes[..2]) {
            return Answer::Stranger;
        }
        self.read_after_id(&mut reader).unwrap_or(Answer::Unreadable)
    }

    fn read_after_id(&self, reader: &mut Reader<'_>) -> Option<Answer> {
        let (flags, questions, answers) = (reader.number()?, reader.number()?, reader.number()?);
        let _authority_and_additional = reader.take(4)?;
        if flags & RESPONSE == 0 || flags & OPCODE != 0 {
            return None;
        }
        let code = Code((flags & 15) as u8);
        // A server that did not understand the question need not repeat it.
        if questions == 0 && code.0 != 0 {
            return Some(Answer::Refusal(code));
        }
        let question = &self.bytes[HEADER..];
        if questions != 1 || !reader.take(question.len())?.eq_ignore_ascii_case(question) {
            return Some(Answer::OtherQuestion);
        }
        if code.0 != 0 {
            return Some(Answer::Refusal(code));
        }
        let cut = flags & TRUNCATED != 0;
        let (mut count, mut addresses) = (0, Vec::new());
        for _ in 0..answers {
            let Some(Record { kind, class, data }) = reader.record() else {
                if cut {
                    // It may end anywhere.
                    break;
                }
                return None;
            };
            if (kind, class) == (self.kind, IN) {
                count += 1;
                match kind {
                    A => addresses.push(<[u8; 4]>::try_from(data).ok()?.into()),
                    AAAA => addresses.push(<[u8; 16]>::try_from(data).ok()?.into()),
                    _ => {}
                }
            }
        }
        Some(Answer::Records { count, addresses, cut })
    }
}

/// RFC 1035, section 3.2.2; AAAA: RFC 3596, section 2.1.
fn number(kind: RecordType) -> u16 {
    match kind {
        RecordType::A => A,
        RecordType::Ns => 2,
        RecordType::Soa => 6,
        RecordType::Mx => 15,
        RecordType::Txt => 16,
        RecordType::Aaaa => AAAA,
    }
}

fn write_name(bytes: &mut Vec<u8>, name: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{name:?} is no DNS name: {why}"));
    let begin = bytes.len();
    let relative = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || !name.is_ascii() {
        return bad("it is empty or not ASCII");
    }
    for label in relative.split('.').filter(|_| !relative.is_empty()) {
        if label.is_empty() || label.len() > LONGEST_LABEL {
            return bad("a label has 1 to 63 characters");
        }
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    if bytes.len() - begin > LONGEST_NAME {
        return bad("it is too long");
    }
    Ok(())
}

/// A record, whosever it is.
struct Record<'a> {
    kind: u16,
    class: u16,
    data: &'a [u8],
}

/// Reads forward; nothing is there beyond the end.
struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.packet.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// RFC 1035, section 4.1.3.
    fn record(&mut self) -> Option<Record<'a>> {
        self.skip_name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let _time_to_live = self.take(4)?;
        let length = self.number()?;
        Some(Record { kind, class, data: self.take(usize::from(length))? })
    }

    /// Whose record it is does not matter: aliases lead elsewhere. So no pointer is followed
    /// (RFC 1035, section 4.1.4), and none can lead in a circle.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let length = self.take(1)?[0];
            match length >> 6 {
                0 if length == 0 => return Some(()),
                0 => self.take(usize::from(length))?,
                3 => return self.take(1).map(|_| ()),
                _ => return None,
            };
        }
    }
}

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("FORMERR"),
            2 => f.write_str("SERVFAIL"),
            3 => f.write_str("NXDOMAIN"),
            4 => f.write_str("NOTIMP"),
            5 => f.write_str("REFUSED"),
            other => write!(f, "the response code {other}"),
        }
    }
}

#[cfg(test)]
mod tests;
