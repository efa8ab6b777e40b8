//! What is said to real servers.

use crate::tlv::{
    ALPN, AUTHORITY, CERTIFICATE_IN_CONNECTION, CERTIFICATE_IN_SESSION, CRC32C, MAX_UNIQUE_ID,
    OVER_TLS, TLS, TLS_CIPHER, TLS_COMMON_NAME, TLS_KEY, TLS_SIGNATURE, TLS_VERSION, Tls,
    UNIQUE_ID, checksum_of,
};
use crate::v2::{LOCAL, PROXY, TCP4, TCP6, UNSPEC};
use crate::{Endpoints, SIGNATURE, V2_FIXED_BYTES};
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};

/// A header of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V1 {
    /// The client's connection; `None` for UNKNOWN.
    pub endpoints: Option<Endpoints>,
}

impl V1 {
    /// Appends the header. Ends of two families are both written as IPv6.
    pub fn write(&self, to: &mut Vec<u8>) {
        let Some(Endpoints { source, destination }) = self.endpoints else {
            to.extend_from_slice(b"PROXY UNKNOWN\r\n");
            return;
        };
        let ports = (source.port(), destination.port());
        // A Vec takes whatever it is given.
        let _ = match (source.ip(), destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(at)) => {
                write!(to, "PROXY TCP4 {from} {at} {} {}\r\n", ports.0, ports.1)
            }
            (from, at) => {
                let (from, at) = (v6(from), v6(at));
                write!(to, "PROXY TCP6 {from} {at} {} {}\r\n", ports.0, ports.1)
            }
        };
    }
}

/// A header of version 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct V2<'a> {
    /// The client's TCP connection; `None` for one of our own (LOCAL), of which nothing else is
    /// said.
    pub endpoints: Option<Endpoints>,
    /// The application protocol agreed with the client.
    pub alpn: Option<&'a [u8]>,
    /// The host name the client asked for.
    pub authority: Option<&'a [u8]>,
    /// The connection's id, 128 bytes at most.
    pub unique_id: Option<&'a [u8]>,
    /// How the client spoke TLS.
    pub tls: Option<Tls<'a>>,
    /// Whether to add a checksum.
    pub checksum: bool,
}

/// What is to be said does not fit: a unique id of more than 128 bytes, or 65,535 bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fields of a PROXY protocol header are too long")]
pub struct TooLong;

impl V2<'_> {
    /// Appends the header. Ends of two families are both written as IPv6.
    ///
    /// # Errors
    /// [`TooLong`]; nothing was appended.
    pub fn write(&self, to: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = to.len();
        let written = self.append(to, start);
        if written.is_err() {
            to.truncate(start);
        }
        written
    }

    fn append(&self, to: &mut Vec<u8>, start: usize) -> Result<(), TooLong> {
        to.extend_from_slice(&SIGNATURE);
        let Some(endpoints) = self.endpoints else {
            to.extend_from_slice(&[LOCAL, UNSPEC, 0, 0]);
            return Ok(());
        };
        to.extend_from_slice(&[PROXY, family(&endpoints), 0, 0]);
        addresses(&endpoints, to);
        self.fields(to)?;
        let length = to.len() - start - V2_FIXED_BYTES;
        let length = u16::try_from(length).map_err(|_| TooLong)?.to_be_bytes();
        to[start + 14..start + 16].copy_from_slice(&length);
        if self.checksum {
            // The last field; zero until now.
            let at = to.len() - 4;
            let sum = checksum_of(&to[start..], at - start);
            to[at..].copy_from_slice(&sum.to_be_bytes());
        }
        Ok(())
    }

    fn fields(&self, to: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.unique_id.is_some_and(|id| id.len() > MAX_UNIQUE_ID) {
            return Err(TooLong);
        }
        field(to, ALPN, self.alpn)?;
        field(to, AUTHORITY, self.authority)?;
        field(to, UNIQUE_ID, self.unique_id)?;
        if let Some(tls) = &self.tls {
            let place = to.len();
            to.extend_from_slice(&[TLS, 0, 0]);
            tls_fields(tls, to)?;
            let length = u16::try_from(to.len() - place - 3).map_err(|_| TooLong)?.to_be_bytes();
            to[place + 1..place + 3].copy_from_slice(&length);
        }
        field(to, CRC32C, self.checksum.then_some(&[0; 4]))
    }
}

fn tls_fields(tls: &Tls<'_>, to: &mut Vec<u8>) -> Result<(), TooLong> {
    let bit = |said: bool, bit: u8| if said { bit } else { 0 };
    to.push(
        bit(tls.over_tls, OVER_TLS)
            | bit(tls.certificate_in_connection, CERTIFICATE_IN_CONNECTION)
            | bit(tls.certificate_in_session, CERTIFICATE_IN_SESSION),
    );
    to.extend_from_slice(&u32::from(!tls.verified).to_be_bytes());
    field(to, TLS_VERSION, tls.version)?;
    field(to, TLS_COMMON_NAME, tls.common_name)?;
    field(to, TLS_CIPHER, tls.cipher)?;
    field(to, TLS_SIGNATURE, tls.signature)?;
    field(to, TLS_KEY, tls.key)
}

fn field(to: &mut Vec<u8>, kind: u8, value: Option<&[u8]>) -> Result<(), TooLong> {
    let Some(value) = value else { return Ok(()) };
    let length = u16::try_from(value.len()).map_err(|_| TooLong)?;
    to.push(kind);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(value);
    Ok(())
}

fn family(endpoints: &Endpoints) -> u8 {
    if endpoints.source.is_ipv4() && endpoints.destination.is_ipv4() { TCP4 } else { TCP6 }
}

fn addresses(Endpoints { source, destination }: &Endpoints, to: &mut Vec<u8>) {
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(at)) => {
            to.extend_from_slice(&from.octets());
            to.extend_from_slice(&at.octets());
        }
        (from, at) => {
            to.extend_from_slice(&v6(from).octets());
            to.extend_from_slice(&v6(at).octets());
        }
    }
    to.extend_from_slice(&source.port().to_be_bytes());
    to.extend_from_slice(&destination.port().to_be_bytes());
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
