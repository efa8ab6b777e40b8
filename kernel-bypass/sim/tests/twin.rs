//! The fast path against its slow twin: the same frames to the last bit.

use api::*;
use proptest::prelude::*;
use sim::frames::{End, ends, macs};
use sim::scene::*;
use sim::twin::{Body, Message, Twin};
use sim::{Rig, Size, To};
use wire::TcpFlags;

fn body() -> impl Strategy<Value = Body> {
    let data = || prop::collection::vec(any::<u8>(), 0..40);
    let flags = prop::sample::select(vec![TcpFlags::SYN, TcpFlags::ACK, TcpFlags::ACK]);
    prop_oneof![
        (flags, data()).prop_map(|(flags, data)| Body::Tcp(flags, data)),
        (any::<bool>(), data()).prop_map(|(checksum, data)| Body::Udp(checksum, data)),
    ]
}

#[derive(Clone, Debug)]
struct Move {
    /// From a client, or the answer to the n-th frame that left for a real server.
    answer: bool,
    who: usize,
    port: u16,
    ttl: u8,
    tos: u8,
    vlan: Option<u16>,
    body: Body,
    worker: usize,
    wait: u32,
}

fn step() -> impl Strategy<Value = Move> {
    let vlan = prop_oneof![Just(None), (1u16..4095).prop_map(Some)];
    let place = (any::<bool>(), 0usize..6, 0u16..3, 2u8..=255, any::<u8>());
    let rest = (vlan, body(), 0usize..2, 0u32..50);
    (place, rest).prop_map(|((answer, who, port, ttl, tos), (vlan, body, worker, wait))| Move {
        answer,
        who,
        port,
        ttl,
        tos,
        vlan,
        body,
        worker,
        wait,
    })
}

fn run(family: Family, mode: Mode, steps: Vec<Move>) {
    let mut service = service(family, mode, 3);
    service.ports = vec![PortRange { first: 80, last: 82 }];
    service.backends[1].port = Some(8080);
    let size = Size { workers: 2, ..Size::default() };
    let mut rig = Rig::sized(snapshot(vec![service]), size);
    let mut twin = Twin::default();
    let mut left: Vec<(End, End, u32, bool)> = Vec::new();
    for step in steps {
        rig.pass(step.wait);
        let Move { ttl, tos, vlan, .. } = step;
        if step.answer {
            let n = step.who % left.len().max(1);
            let Some(&(seen, real, backend, tcp)) = left.get(n) else { continue };
            let body = match step.body {
                Body::Tcp(_, data) if tcp => Body::Tcp(TcpFlags::ACK, data),
                body @ Body::Udp(..) if !tcp => body,
                _ => continue,
            };
            let message = Message { from: real, to: seen, ttl, tos, vlan: None, body };
            let frame = message.frame(port_mac(1), server_mac(backend));
            let sent = rig.wire(step.worker, 1, &[frame]);
            assert_eq!((sent.len(), sent[0].to), (1, To::Wire(0)));
            assert_eq!(Some(&sent[0].frame), twin.reply(&message).as_ref());
            continue;
        }
        let from = (client(family, step.who as u32), 40000);
        let to = (vip(family), 80 + step.port);
        let message = Message { from, to, ttl, tos, vlan, body: step.body };
        let known = twin.request(&message);
        let opens = !matches!(message.body, Body::Tcp(flags, _) if flags != TcpFlags::SYN);
        let sent = rig.wire(step.worker, 0, &[message.frame(port_mac(0), CLIENT_MAC)]);
        if known.is_none() && !opens {
            assert_eq!((sent.len(), sent[0].to), (1, To::Wire(0)), "a reset");
            continue;
        }
        assert_eq!((sent.len(), sent[0].to), (1, To::Wire(1)));
        let (source, server) = ends(&sent[0].frame);
        let backend = u32::from(macs(&sent[0].frame).1[5]);
        let want = known.unwrap_or_else(|| {
            twin.learn(&message, backend, server, source);
            left.push((source, server, backend, matches!(message.body, Body::Tcp(..))));
            twin.request(&message).unwrap()
        });
        assert_eq!(sent[0].frame, want);
    }
    rig.assert_conserved();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nat_is_like_its_twin(steps in prop::collection::vec(step(), 1..60), v6 in any::<bool>()) {
        run(if v6 { Family::V6 } else { Family::V4 }, Mode::Nat, steps);
    }

    #[test]
    fn snat_is_like_its_twin(steps in prop::collection::vec(step(), 1..60), v6 in any::<bool>()) {
        run(if v6 { Family::V6 } else { Family::V4 }, Mode::Snat, steps);
    }
}
