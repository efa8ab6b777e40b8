//! Frames of the socket between control and proxy: what is written is read, and nothing that
//! comes in costs more than its own length.

use l7_api::*;
use std::net::IpAddr;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn snapshot() -> Snapshot {
    let mut server = Server::new(7, "one", address("2001:db8::7"), None);
    server.on_removal = Removal::CutAfter { ms: 90 };
    let mut service = Service::tcp(2, "smb");
    service.listen = vec![Listen {
        address: address("10.0.0.100"),
        ports: PortRange { first: 5000, last: 5100 },
    }];
    service.persistence = Some(Persistence {
        by: PersistenceBy::Cookie("JSESSIONID".into()),
        timeout_s: 300,
        mask_v4: 24,
        mask_v6: 64,
        entries: 1000,
    });
    service.source = Source::Given(address("10.0.0.9"));
    service.proxy_in = vec![Prefix { address: address("10.0.0.0"), length: 8 }];
    service.proxy_out = ProxyOut::V2;
    let reencrypt = Reencryption::new(Verify::Pinned(vec![[5; 32]]));
    server.tls = ServerTls::Own(Box::new(reencrypt.clone()));
    service.reencrypt = Some(Reencryption { name: AskedName::FromClient, ..reencrypt });
    service.tls = Some(Termination { protocols: vec!["h2".into()], ..Termination::new(vec![4]) });
    service.servers = vec![server.clone()];
    service.fallback = Some(Server { id: 8, state: ServerState::Halt, ..server });
    let certificate = Certificate { id: 4, name: "web".into(), pem: Secret(b"PEM".to_vec()) };
    Snapshot {
        generation: 41,
        hash_seed: 3,
        services: vec![service],
        certificates: vec![certificate],
        ticket_seed: Some(Secret(b"seed".to_vec())),
    }
}

fn body(frame: &[u8]) -> &[u8] {
    let header = frame.first_chunk().unwrap();
    assert_eq!(read_header(*header), Ok(frame.len() - HEADER_BYTES));
    &frame[HEADER_BYTES..]
}

#[test]
fn what_is_written_is_read() {
    let request = Request::Apply(Box::new(snapshot()));
    assert_eq!(decode(body(&encode(&request).unwrap())), Ok(request));
    let reply = Reply::Handover {
        snapshot: Some(Box::new(snapshot())),
        sockets: vec![SocketKey { address: "[::1]:80".parse().unwrap(), worker: 3 }],
        persistence: vec![(
            2,
            PersistenceRow {
                client: PersistenceKey::said(b"alice"),
                server: 7,
                change: 9,
                expires_ms: 1,
            },
        )],
    };
    assert_eq!(decode(body(&encode(&reply).unwrap())), Ok(reply));
}

#[test]
fn a_header_of_another_protocol_version_or_size_is_refused() {
    let frame = encode(&Request::Hello).unwrap();
    let good: [u8; HEADER_BYTES] = *frame.first_chunk().unwrap();
    let mut other = good;
    other[..3].copy_from_slice(b"GET");
    assert_eq!(read_header(other), Err(FrameError::NotOurs(*b"GET")));
    let mut newer = good;
    newer[3] = VERSION + 1;
    assert_eq!(read_header(newer), Err(FrameError::Version(VERSION + 1)));
    let mut long = good;
    long[4..].copy_from_slice(&(MAX_FRAME_BYTES as u32 + 1).to_le_bytes());
    assert_eq!(read_header(long), Err(FrameError::TooLong(MAX_FRAME_BYTES + 1)));
}

#[test]
fn a_frame_cut_short_or_too_long_is_refused() {
    let frame = encode(&Request::Apply(Box::new(snapshot()))).unwrap();
    for end in HEADER_BYTES..frame.len() {
        assert!(decode::<Request>(&frame[HEADER_BYTES..end]).is_err(), "{end}");
    }
    let longer = [body(&frame), &[0]].concat();
    assert!(decode::<Request>(&longer).is_err());
}

#[test]
fn a_range_has_as_many_ports_as_it_says() {
    assert_eq!(PortRange::one(80).len(), 1);
    assert_eq!(PortRange { first: 0, last: u16::MAX }.len(), 65_536);
    assert!(PortRange { first: 2, last: 1 }.is_empty());
}

/// How long each fuzz target runs: `FULCRUM_FUZZ_SECONDS`, else a moment.
fn time() -> std::time::Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    std::time::Duration::from_secs(seconds.unwrap_or(2))
}

#[test]
fn fuzz_any_bytes_are_a_message_or_an_error() {
    let good = encode(&Request::Apply(Box::new(snapshot()))).unwrap();
    bolero::check!().with_test_time(time()).with_type::<(Vec<u8>, Vec<(u16, u8)>)>().for_each(
        |(bytes, changes)| {
            let _ = decode::<Request>(bytes);
            let _ = decode::<Reply>(bytes);
            let mut damaged = good[HEADER_BYTES..].to_vec();
            for (at, value) in changes {
                let at = usize::from(*at) % damaged.len();
                damaged[at] = *value;
            }
            if let Ok(request) = decode::<Request>(&damaged) {
                // What was understood can be said again.
                assert!(encode(&request).is_ok());
            }
        },
    );
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", snapshot());
    assert!(shown.contains("Secret(3 bytes)") && shown.contains("Secret(4 bytes)"), "{shown}");
    let listed = format!("{:?}", b"PEM");
    assert!(!shown.contains("PEM") && !shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
}
