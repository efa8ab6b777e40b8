//! TLS over a connection that is open, and what is wrong with a certificate.

mod trust;

use crate::patience::Patience;
use crate::target::Tls;
use crate::{Failure, Target};
use jiff::Timestamp;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, Error};
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Shakes hands; the server's certificate is good, or needs not be.
pub async fn open(
    target: &Target,
    host: Option<&str>,
    tls: &Tls,
    stream: TcpStream,
    patience: &Patience,
) -> Result<TlsStream<TcpStream>, Failure> {
    let address = target.whom();
    let name = name(target, host, tls)?;
    let Ok(config) = patience.lasts(trust::config(tls)).await else {
        return Err(Failure::ours(address, "the trusted certificates take too long to read"));
    };
    let config = config.map_err(|e| Failure::ours(address, e))?;
    let connector = TlsConnector::from(config);
    match patience.lasts(connector.connect(name.clone(), stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(Failure::theirs(format!("{address}: {}", reason(&e, &name)))),
        Err(_) => {
            let whole = patience.whole();
            Err(Failure::theirs(format!("{address} did not finish the TLS handshake in {whole}")))
        }
    }
}

fn name(target: &Target, host: Option<&str>, tls: &Tls) -> Result<ServerName<'static>, Failure> {
    let Some(name) = tls.name.as_deref().or_else(|| host.map(without_port)) else {
        return Ok(target.asked_at().ip().into());
    };
    ServerName::try_from(name.to_string())
        .map_err(|_| Failure::ours(target.whom(), format!("{name:?} is no server name")))
}

/// The host of a `Host` header's value (RFC 9110, section 7.2).
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn reason(error: &io::Error, name: &ServerName<'_>) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(fault)) => certificate(fault, name),
        Some(Error::InvalidMessage(_)) => "what came is no TLS".into(),
        Some(Error::AlertReceived(alert)) => format!("the TLS handshake was refused: {alert:?}"),
        Some(Error::PeerIncompatible(why)) => format!("no TLS that is supported here: {why:?}"),
        Some(other) => format!("the TLS handshake failed: {other}"),
        None => format!("the connection was closed in the TLS handshake: {error}"),
    }
}

fn certificate(fault: &CertificateError, name: &ServerName<'_>) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match fault {
        ExpiredContext { not_after, .. } => {
            format!("the certificate has expired on {}", date(*not_after))
        }
        Expired => "the certificate has expired".into(),
        NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", date(*not_before))
        }
        NotValidYet => "the certificate is not valid yet".into(),
        NotValidForName | NotValidForNameContext { .. } => {
            format!("the certificate is not for host {}", name.to_str())
        }
        UnknownIssuer => "the certificate is not signed by a trusted authority".into(),
        BadSignature => "the certificate is not signed by the authority that it names".into(),
        other => format!("the certificate is bad: {other}"),
    }
}

/// The day, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a day beyond the calendar".into(), |t| t.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port() {
        for (host, name) in [
            ("example.org", "example.org"),
            ("example.org:8443", "example.org"),
            ("192.0.2.7:443", "192.0.2.7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
