//! What is written is read again, by us and by another implementation.

use proptest::prelude::*;
use proxy_header::{ParseConfig, ProxyHeader};
use proxyproto::{Endpoints, Origin, Tls, TooLong, V1, V2, decode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
    (prop_oneof![v4, v6], any::<u16>()).prop_map(SocketAddr::from)
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    (address(), address()).prop_map(|(source, destination)| Endpoints { source, destination })
}

/// As they arrive: of two families, both as IPv6.
fn arriving(Endpoints { source, destination }: Endpoints) -> Endpoints {
    if source.is_ipv4() == destination.is_ipv4() {
        return Endpoints { source, destination };
    }
    let six = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    Endpoints { source: six(source), destination: six(destination) }
}

#[derive(Debug, Clone)]
struct Fields {
    alpn: Option<Vec<u8>>,
    authority: Option<String>,
    unique_id: Option<Vec<u8>>,
    tls: Option<(bool, bool, bool, Vec<Option<String>>)>,
    checksum: bool,
}

fn fields() -> impl Strategy<Value = Fields> {
    let text = || proptest::option::of("[a-z0-9.-]{0,60}");
    let certificate = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        text(),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..129)),
        proptest::option::of((certificate, proptest::collection::vec(text(), 5))),
        any::<bool>(),
    )
        .prop_map(|(alpn, authority, unique_id, tls, checksum)| Fields {
            alpn,
            authority,
            unique_id,
            tls: tls.map(|((connection, session, good), texts)| {
                (connection, session, good && (connection || session), texts)
            }),
            checksum,
        })
}

fn tls(tls: &(bool, bool, bool, Vec<Option<String>>)) -> Tls<'_> {
    let text = |at: usize| tls.3[at].as_deref().map(str::as_bytes);
    Tls {
        over_tls: true,
        certificate_in_connection: tls.0,
        certificate_in_session: tls.1,
        verified: tls.2,
        version: text(0),
        common_name: text(1),
        cipher: text(2),
        signature: text(3),
        key: text(4),
    }
}

proptest! {
    #[test]
    fn version_1(endpoints in endpoints(), before: Vec<u8>) {
        let mut bytes = before.clone();
        V1 { endpoints: Some(endpoints) }.write(&mut bytes);
        let bytes = &bytes[before.len()..];
        let (header, length) = decode(bytes, 0).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(header.origin, Origin::Tcp(arriving(endpoints)));
        let (oracle, length) = ProxyHeader::parse(bytes, ParseConfig::default()).unwrap();
        prop_assert_eq!(length, bytes.len());
        let theirs = oracle.proxied_address().unwrap();
        let theirs = Endpoints { source: theirs.source, destination: theirs.destination };
        prop_assert_eq!(theirs, arriving(endpoints));
    }

    #[test]
    fn version_2(endpoints in endpoints(), fields in fields(), before: Vec<u8>) {
        let said = V2 {
            endpoints: Some(endpoints),
            alpn: fields.alpn.as_deref(),
            authority: fields.authority.as_deref().map(str::as_bytes),
            unique_id: fields.unique_id.as_deref(),
            tls: fields.tls.as_ref().map(tls),
            checksum: fields.checksum,
        };
        let mut bytes = before.clone();
        said.write(&mut bytes).unwrap();
        let bytes = &bytes[before.len()..];
        let (header, length) = decode(bytes, bytes.len()).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(header.origin, Origin::Tcp(arriving(endpoints)));
        let heard = header.tlvs;
        prop_assert_eq!(
            (heard.alpn, heard.authority, heard.unique_id, heard.tls),
            (said.alpn, said.authority, said.unique_id, said.tls)
        );
        prop_assert_eq!(heard.iter().any(|tlv| tlv.kind == 3), said.checksum);

        let (oracle, length) = ProxyHeader::parse(bytes, ParseConfig::default()).unwrap();
        prop_assert_eq!(length, bytes.len());
        let theirs = oracle.proxied_address().unwrap();
        let theirs = Endpoints { source: theirs.source, destination: theirs.destination };
        prop_assert_eq!(theirs, arriving(endpoints));
        prop_assert_eq!(oracle.alpn(), said.alpn);
        prop_assert_eq!(oracle.authority(), fields.authority.as_deref());
        prop_assert_eq!(oracle.unique_id(), said.unique_id);
        let theirs = oracle.ssl();
        prop_assert_eq!(theirs.is_some(), said.tls.is_some());
        if let (Some(theirs), Some(ours)) = (theirs, said.tls) {
            prop_assert_eq!(theirs.client_ssl(), ours.over_tls);
            prop_assert_eq!(theirs.client_cert_conn(), ours.certificate_in_connection);
            prop_assert_eq!(theirs.client_cert_sess(), ours.certificate_in_session);
            prop_assert_eq!(theirs.verify() == 0, ours.verified);
            prop_assert_eq!(theirs.version().map(str::as_bytes), ours.version);
            prop_assert_eq!(theirs.cn().map(str::as_bytes), ours.common_name);
            prop_assert_eq!(theirs.cipher().map(str::as_bytes), ours.cipher);
            prop_assert_eq!(theirs.sig_alg().map(str::as_bytes), ours.signature);
            prop_assert_eq!(theirs.key_alg().map(str::as_bytes), ours.key);
        }
    }

    #[test]
    fn cut_anywhere_it_is_awaited(endpoints in endpoints(), fields in fields(), cut: usize) {
        let mut bytes = Vec::new();
        let unique_id = fields.unique_id.as_deref();
        V2 { endpoints: Some(endpoints), unique_id, ..V2::default() }.write(&mut bytes).unwrap();
        prop_assert_eq!(decode(&bytes[..cut % bytes.len()], 500), Ok(None));
        bytes.clear();
        V1 { endpoints: Some(endpoints) }.write(&mut bytes);
        prop_assert_eq!(decode(&bytes[..cut % bytes.len()], 500), Ok(None));
    }
}

#[test]
fn connections_of_our_own() {
    let mut bytes = Vec::new();
    V2 { alpn: Some(b"h2"), checksum: true, ..V2::default() }.write(&mut bytes).unwrap();
    let (header, length) = decode(&bytes, 16).unwrap().unwrap();
    assert_eq!((header.origin, length), (Origin::Local, 16));
    bytes.clear();
    V1 { endpoints: None }.write(&mut bytes);
    assert_eq!(decode(&bytes, 0).unwrap().unwrap().0.origin, Origin::Unknown);
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let ends = "192.0.2.1:1".parse().unwrap();
    let endpoints = Some(Endpoints { source: ends, destination: ends });
    let long = vec![b'x'; 65_536];
    let whole = V2 { endpoints, ..V2::default() };
    let tls = |length: usize| Some(Tls { common_name: Some(&long[..length]), ..Tls::default() });
    for (said, fits) in [
        (V2 { authority: Some(&long), ..whole }, false),
        (V2 { authority: Some(&long[..65_535 - 12 - 3]), ..whole }, true),
        (V2 { authority: Some(&long[..65_535 - 12 - 2]), ..whole }, false),
        (V2 { authority: Some(&long[..65_535 - 12 - 3]), checksum: true, ..whole }, false),
        (V2 { unique_id: Some(&long[..129]), ..whole }, false),
        (V2 { unique_id: Some(&long[..128]), ..whole }, true),
        (V2 { tls: tls(65_535 - 12 - 3 - 5 - 3), ..whole }, true),
        (V2 { tls: tls(65_535 - 5 - 2), ..whole }, false),
    ] {
        let mut bytes = b"before".to_vec();
        let result = said.write(&mut bytes);
        assert_eq!(result, if fits { Ok(()) } else { Err(TooLong) });
        assert_eq!(bytes.len() > 6, fits);
        if fits {
            assert!(decode(&bytes[6..], 65_551).unwrap().is_some());
        }
    }
}
