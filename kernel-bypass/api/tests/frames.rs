//! Frames of the socket between control and data plane: what is written is read, and nothing
//! that comes in costs more than its own length.

use api::*;
use std::net::IpAddr;

fn snapshot() -> Snapshot {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let backend = Backend {
        id: 7,
        name: "one".into(),
        address: address("2001:db8::7"),
        port: Some(8080),
        weight: 100,
        state: BackendState::Drain,
        max_connections: 10,
        min_connections: 5,
        hop: Some(Hop { port: 1, mac: [1, 2, 3, 4, 5, 6], vlan: Some(9), mtu: 1500 }),
        tunnel: Some(Tunnel {
            kind: TunnelKind::Gue { port: 6080 },
            source: address("2001:db8::1"),
        }),
        local: false,
    };
    Snapshot {
        generation: 41,
        hash_seed: 3,
        ports: vec![PortView {
            name: "eth0".into(),
            mtu: 1500,
            addresses: vec![address("10.0.0.1")],
        }],
        services: vec![Service {
            id: 2,
            name: "web".into(),
            mode: Mode::Tun,
            address: address("10.0.0.100"),
            ports: vec![PortRange::one(80), PortRange { first: 5000, last: 5100 }],
            protocols: Protocols::TCP | Protocols::UDP,
            scheduler: Scheduler::Maglev,
            persistence: Some(Persistence { timeout_s: 300, mask_v4: 32, mask_v6: 128 }),
            timeouts: Timeouts::default(),
            on_failure: OnFailure::Reset,
            backends: vec![backend.clone()],
            fallback: Some(backend),
            snat_pool: vec![PoolAddress { address: address("10.0.0.5"), ports: PortRange::ALL }],
        }],
    }
}

fn body(frame: &[u8]) -> &[u8] {
    let header = frame.first_chunk().unwrap();
    assert_eq!(read_frame_len(*header), Ok(frame.len() - 4));
    &frame[4..]
}

#[test]
fn what_is_written_is_read() {
    let request = Request::Apply(Box::new(snapshot()));
    assert_eq!(decode(body(&encode(&request).unwrap())), Ok(request));
    let reply = Reply::Hello { pid: 1, snapshot: Some(Box::new(snapshot())), ports: Vec::new() };
    assert_eq!(decode(body(&encode(&reply).unwrap())), Ok(reply));
}

#[test]
fn a_frame_cut_short_or_too_long_is_refused() {
    let frame = encode(&Request::Apply(Box::new(snapshot()))).unwrap();
    for end in 4..frame.len() {
        assert!(decode::<Request>(&frame[4..end]).is_err(), "{end}");
    }
    let longer = [body(&frame), &[0]].concat();
    assert!(decode::<Request>(&longer).is_err());
    assert_eq!(
        read_frame_len((MAX_FRAME_BYTES as u32 + 1).to_le_bytes()),
        Err(FrameError::TooLong(MAX_FRAME_BYTES + 1))
    );
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
            let mut damaged = good[4..].to_vec();
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
