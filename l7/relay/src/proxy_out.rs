//! The PROXY protocol header that tells a real server who its client is.

use crate::transport::Secure;
use l7_api::ProxyOut;
use proxyproto::{Endpoints, Tls, V1, V2};
use tls::server::Client as Identity;

/// A longer common name is left out: it is the client's to choose, and headers have a limit.
const MAX_COMMON_NAME: usize = 256;

/// The header; nothing when there shall be none. Version 2 says how the client spoke TLS, too.
pub fn header(version: ProxyOut, ends: Endpoints, tls: Option<&Secure>) -> Vec<u8> {
    let mut header = Vec::new();
    match version {
        ProxyOut::None => {}
        ProxyOut::V1 => V1 { endpoints: Some(ends) }.write(&mut header),
        ProxyOut::V2 => write_v2(ends, tls, &mut header),
    }
    header
}

fn write_v2(ends: Endpoints, tls: Option<&Secure>, to: &mut Vec<u8>) {
    let bare = V2 { endpoints: Some(ends), ..V2::default() };
    let Some(tls) = tls else {
        // Without fields, it cannot be too long.
        let _ = bare.write(to);
        return;
    };
    let identity = match tls.identity() {
        Identity::Verified(identity) => Some(identity),
        Identity::Anonymous => None,
    };
    let name = identity.as_ref().and_then(|identity| identity.common_name.as_deref());
    let said = Tls {
        over_tls: true,
        certificate_in_connection: identity.is_some() && !tls.is_resumed(),
        certificate_in_session: identity.is_some(),
        verified: identity.is_some(),
        version: Some(tls.version().as_bytes()),
        common_name: name.map(str::as_bytes).filter(|name| name.len() <= MAX_COMMON_NAME),
        cipher: tls.suite().map(str::as_bytes),
        ..Tls::default()
    };
    let alpn = tls.protocol();
    let authority = tls.name().map(str::as_bytes);
    if (V2 { alpn, authority, tls: Some(said), ..bare }).write(to).is_err() {
        let _ = bare.write(to);
    }
}
