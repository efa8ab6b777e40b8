//! By which address persistence and hashes know who asks.

use http1::{Fields, RequestHead};
use l7_api::KnownBy;
use std::net::{IpAddr, SocketAddr};

/// The address of who sent a request that came from `source`; `bytes` are those that the head was
/// parsed from.
pub fn known_as(by: KnownBy, source: IpAddr, head: &RequestHead, bytes: &[u8]) -> IpAddr {
    match by {
        KnownBy::Source => source,
        KnownBy::ForwardedFor => forwarded_for(head.fields(), bytes).unwrap_or(source),
    }
}

/// The last address, which the proxy right before us has seen itself; those before it are what
/// others say.
fn forwarded_for(fields: &Fields, bytes: &[u8]) -> Option<IpAddr> {
    let last = fields.values(bytes, b"x-forwarded-for").last()?;
    let last = last.rsplit(|&byte| byte == b',').next()?;
    let text = str::from_utf8(last).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = bare.parse::<IpAddr>().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Exchange, Limits};

    const SOURCE: &str = "192.0.2.1";

    fn known(fields: &str, by: KnownBy) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let (mut exchange, mut head) = (Exchange::new(Limits::default()), RequestHead::default());
        exchange.client(text.as_bytes(), &mut head, &mut Vec::new()).unwrap();
        known_as(by, SOURCE.parse().unwrap(), &head, text.as_bytes()).to_string()
    }

    #[test]
    fn the_last_address_counts_and_without_one_the_source() {
        for (value, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("10.0.0.1, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.1,203.0.113.7 ", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:80", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("unknown", SOURCE),
            ("203.0.113.7, _hidden", SOURCE),
            ("203.0.113.7,", SOURCE),
            ("[203.0.113.7", SOURCE),
        ] {
            let line = format!("X-Forwarded-For: {value}\r\n");
            assert_eq!(known(&line, KnownBy::ForwardedFor), address, "{value}");
            assert_eq!(known(&line, KnownBy::Source), SOURCE, "{value}");
        }
        assert_eq!(known("", KnownBy::ForwardedFor), SOURCE);
        let two = "X-Forwarded-For: 203.0.113.7\r\nx-forwarded-for: 203.0.113.8\r\n";
        assert_eq!(known(two, KnownBy::ForwardedFor), "203.0.113.8");
    }
}
