//! Connections over time: reuse, expiry, and backends that drain, halt, fail or vanish.

use api::*;
use sim::frames::*;
use sim::scene::*;
use sim::{Rig, Sent, To};
use wire::{TcpFlags, build::Build};

const FIN: TcpFlags = TcpFlags::FIN.union(TcpFlags::ACK);
const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);
const TO: fn() -> End = || (vip(Family::V4), 80);
const FROM: fn() -> End = || (client(Family::V4, 1), 40000);

fn rig(mode: Mode, backends: u32) -> Rig {
    Rig::new(snapshot(vec![service(Family::V4, mode, backends)]))
}

fn the(sent: &[Sent]) -> &Sent {
    assert_eq!(sent.len(), 1, "{sent:?}");
    &sent[0]
}

fn delta(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter().map(|(name, n)| (name.to_string(), *n)).collect()
}

/// Which backend a frame goes to.
fn backend_of(sent: &[Sent]) -> u32 {
    let mac = macs(&the(sent).frame).1;
    assert_eq!(mac[1], 5, "not to a real server: {sent:?}");
    u32::from(mac[5])
}

/// A segment from the real server that got `out`.
fn reply_to(out: &Sent, flags: TcpFlags) -> Vec<u8> {
    let (seen, real) = ends(&out.frame);
    let build = Build::new(real.0, seen.0).macs(port_mac(1), macs(&out.frame).1);
    segment(&build, real, seen, flags, &[])
}

/// Opens a connection; what the real server got.
fn open(rig: &mut Rig, from: End) -> Sent {
    let out = the(&rig.one(0, &syn(from, TO()))).clone();
    rig.one(1, &reply_to(&out, SYN_ACK));
    assert_eq!(rig.one(0, &ack(from, TO())).len(), 1);
    out
}

fn is_reset_to(sent: &[Sent], to: End) -> bool {
    let frame = &the(sent).frame;
    parsed(frame).tcp_flags.contains(TcpFlags::RST) && ends(frame).1 == to
}

fn connections(rig: &Rig) -> u32 {
    (0..16).map(|id| rig.connections(id)).sum()
}

#[test]
fn a_syn_after_the_end_is_a_new_connection_at_once() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
        let mut rig = rig(mode, 2);
        let out = open(&mut rig, FROM());
        rig.one(0, &tcp(FROM(), TO(), FIN, &[]));
        if matches!(mode, Mode::Nat | Mode::Snat) {
            // Half closed is not the end: the real server may still send.
            let again = rig.one(0, &syn(FROM(), TO()));
            assert_eq!(macs(&the(&again).frame), macs(&out.frame));
            rig.one(1, &reply_to(&out, FIN));
        }
        assert_eq!(connections(&rig), 1);
        // The SYN of old, late or repeated, is not the client's next one.
        let late = the(&rig.one(0, &syn(FROM(), TO()))).clone();
        assert_eq!(macs(&late.frame), macs(&out.frame), "{mode:?}");
        let again = the(&rig.one(0, &syn_at(FROM(), TO(), 5_000_000))).clone();
        assert_ne!(macs(&again.frame), macs(&out.frame), "round robin goes on");
        let total: u64 = rig.backends().iter().map(|row| row.total).sum();
        assert_eq!((connections(&rig), total), (1, 2), "{mode:?}");
        // After a reset likewise, and then the same SYN is one as well: the client repeats it when
        // its reset was for an older connection of its address.
        rig.one(0, &tcp(FROM(), TO(), TcpFlags::RST, &[]));
        let third = the(&rig.one(0, &syn_at(FROM(), TO(), 5_000_000))).clone();
        assert_ne!(macs(&third.frame), macs(&again.frame));
        assert_eq!(connections(&rig), 1);
        rig.assert_conserved();
    }
}

#[test]
fn a_repeated_syn_stays_with_its_backend() {
    let mut rig = rig(Mode::Nat, 3);
    let first = backend_of(&rig.one(0, &syn(FROM(), TO())));
    for _ in 0..5 {
        rig.pass(100);
        assert_eq!(backend_of(&rig.one(0, &syn(FROM(), TO()))), first);
    }
    assert_eq!(connections(&rig), 1);
}

#[test]
fn idle_connections_expire_by_their_state() {
    let timeouts = Timeouts {
        tcp_opening_s: 5,
        tcp_established_s: 60,
        tcp_closing_s: 20,
        tcp_closed_s: 2,
        udp_s: 10,
    };
    type Walk = fn(&mut Rig) -> Sent;
    let walks: [(u32, Walk); 6] = [
        (5, |rig| the(&rig.one(0, &syn(FROM(), TO()))).clone()),
        (60, |rig| open(rig, FROM())),
        (20, |rig| {
            let out = open(rig, FROM());
            rig.one(0, &tcp(FROM(), TO(), FIN, &[]));
            out
        }),
        (2, |rig| {
            let out = open(rig, FROM());
            rig.one(0, &tcp(FROM(), TO(), FIN, &[]));
            rig.one(1, &reply_to(&out, FIN));
            out
        }),
        (2, |rig| {
            let out = open(rig, FROM());
            rig.one(1, &reply_to(&out, TcpFlags::RST));
            out
        }),
        (10, |rig| the(&rig.one(0, &udp(FROM(), TO(), b"q"))).clone()),
    ];
    for (seconds, walk) in walks {
        let mut rig = rig(Mode::Nat, 1);
        rig.apply(|s| s.services[0].timeouts = timeouts);
        // The tick's wrap-around lies within the test.
        rig.now = 0u32.wrapping_sub(150);
        walk(&mut rig);
        rig.pass(seconds * 100 - 1);
        assert_eq!(connections(&rig), 1, "{seconds} s: gone too early");
        rig.pass(410);
        assert_eq!(connections(&rig), 0, "{seconds} s: still there");
    }
}

#[test]
fn packets_keep_a_connection_alive() {
    let mut rig = rig(Mode::Dr, 2);
    let out = open(&mut rig, FROM());
    for _ in 0..5 {
        rig.pass(800 * 100);
        let sent = rig.one(0, &ack(FROM(), TO()));
        assert_eq!(macs(&the(&sent).frame), macs(&out.frame));
    }
}

#[test]
fn drained_backends_keep_what_they_have() {
    for (weight, state) in [(100, BackendState::Drain), (0, BackendState::Online)] {
        let mut rig = rig(Mode::Nat, 2);
        let out = open(&mut rig, FROM());
        let old = backend_of(std::slice::from_ref(&out));
        rig.apply(|s| {
            let backend = &mut s.services[0].backends[old as usize];
            (backend.state, backend.weight) = (state, weight);
        });
        assert_eq!(backend_of(&rig.one(0, &ack(FROM(), TO()))), old);
        assert_eq!(rig.one(1, &reply_to(&out, TcpFlags::ACK)).len(), 1);
        for n in 2..8 {
            let new = rig.one(0, &syn((client(Family::V4, n), 40000), TO()));
            assert_ne!(backend_of(&new), old);
        }
    }
}

#[test]
fn a_halted_backend_is_cut_off_on_both_sides() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
        let mut rig = rig(mode, 1);
        let out = open(&mut rig, FROM());
        rig.apply(|s| s.services[0].backends[0].state = BackendState::Halt);
        let before = rig.counters();
        assert!(is_reset_to(&rig.one(0, &ack(FROM(), TO())), FROM()));
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 answered", 1), ("0 tx", 1)]));
        if matches!(mode, Mode::Nat | Mode::Snat) {
            let sent = rig.one(1, &reply_to(&out, TcpFlags::ACK));
            assert!(is_reset_to(&sent, ends(&out.frame).1));
        }
        // The client's own reset still tells the real server.
        let sent = rig.one(0, &tcp(FROM(), TO(), TcpFlags::RST, &[]));
        assert_eq!(macs(&the(&sent).frame).1, server_mac(0));
        rig.pass(20 * 100);
        assert_eq!(connections(&rig), 0);
        // And nothing comes of a new attempt.
        let before = rig.counters();
        assert_eq!(rig.one(0, &syn(FROM(), TO())), []);
        assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped no-backend", 1)]));
    }
}

#[test]
fn a_failed_backend_resets_moves_or_keeps() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
        for choice in [OnFailure::Reset, OnFailure::Move, OnFailure::Keep] {
            let mut rig = rig(mode, 2);
            rig.apply(|s| s.services[0].on_failure = choice);
            let out = open(&mut rig, FROM());
            let old = backend_of(std::slice::from_ref(&out));
            rig.apply(|s| s.services[0].backends[old as usize].state = BackendState::Down);
            let sent = rig.one(0, &ack(FROM(), TO()));
            match choice {
                OnFailure::Reset => {
                    assert!(is_reset_to(&sent, FROM()));
                    let new = rig.one(0, &syn(FROM(), TO()));
                    assert_eq!(backend_of(&new), 1 - old, "connects anew at once");
                }
                OnFailure::Move => {
                    assert_eq!(backend_of(&sent), 1 - old);
                    assert_eq!((rig.connections(old), rig.connections(1 - old)), (0, 1));
                    let reply = reply_to(the(&sent), TcpFlags::ACK);
                    if matches!(mode, Mode::Nat | Mode::Snat) {
                        assert_eq!(ends(&the(&rig.one(1, &reply)).frame), (TO(), FROM()));
                    }
                }
                OnFailure::Keep => assert_eq!(backend_of(&sent), old),
            }
            assert_eq!(connections(&rig), 1);
            rig.assert_conserved();
        }
    }
}

#[test]
fn a_moved_connection_with_nowhere_to_go_waits() {
    let mut rig = rig(Mode::Dr, 1);
    rig.apply(|s| s.services[0].on_failure = OnFailure::Move);
    open(&mut rig, FROM());
    rig.apply(|s| s.services[0].backends[0].state = BackendState::Down);
    let before = rig.counters();
    assert_eq!(rig.one(0, &ack(FROM(), TO())), []);
    assert_eq!(rig.delta(&before), delta(&[("0 rx", 1), ("0 dropped no-backend", 1)]));
    rig.apply(|s| s.services[0].backends[0].state = BackendState::Online);
    assert_eq!(backend_of(&rig.one(0, &ack(FROM(), TO()))), 0);
}

#[test]
fn udp_flows_move_at_once() {
    for mode in [Mode::Dr, Mode::Nat, Mode::Snat, Mode::Tun] {
        for state in [BackendState::Down, BackendState::Halt] {
            let mut rig = rig(mode, 2);
            let old = backend_of(&rig.one(0, &udp(FROM(), TO(), b"1")));
            assert_eq!(backend_of(&rig.one(0, &udp(FROM(), TO(), b"2"))), old);
            rig.apply(|s| s.services[0].backends[old as usize].state = state);
            assert_eq!(backend_of(&rig.one(0, &udp(FROM(), TO(), b"3"))), 1 - old);
            assert_eq!((rig.connections(old), rig.connections(1 - old)), (0, 1));
        }
    }
}

#[test]
fn a_syn_that_failed_with_its_backend_goes_elsewhere() {
    let mut rig = rig(Mode::Nat, 2);
    let old = backend_of(&rig.one(0, &syn(FROM(), TO())));
    rig.apply(|s| s.services[0].backends[old as usize].state = BackendState::Down);
    assert_eq!(backend_of(&rig.one(0, &syn(FROM(), TO()))), 1 - old);
    assert_eq!(connections(&rig), 1);
}

#[test]
fn a_backend_taken_from_the_configuration() {
    let mut rig = rig(Mode::Nat, 2);
    let out = open(&mut rig, FROM());
    let old = backend_of(std::slice::from_ref(&out));
    rig.one(0, &udp(FROM(), TO(), b"1"));
    rig.apply(|s| s.services[0].backends.retain(|b| b.id != old));
    assert!(is_reset_to(&rig.one(1, &reply_to(&out, TcpFlags::ACK)), ends(&out.frame).1));
    assert!(is_reset_to(&rig.one(0, &ack(FROM(), TO())), FROM()));
    assert_eq!(backend_of(&rig.one(0, &udp(FROM(), TO(), b"2"))), 1 - old);
    rig.pass(20 * 100);
    assert_eq!(rig.connections(old), 0);
    // A reset of such a connection has nowhere to go.
    rig.assert_conserved();
}

#[test]
fn a_service_taken_from_the_configuration() {
    let mut rig = rig(Mode::Dr, 1);
    open(&mut rig, FROM());
    rig.one(0, &udp(FROM(), TO(), b"1"));
    rig.apply(|s| s.services.clear());
    assert!(is_reset_to(&rig.one(0, &ack(FROM(), TO())), FROM()));
    assert_eq!(the(&rig.one(0, &udp(FROM(), TO(), b"2"))).to, To::Host(0));
    rig.pass(20 * 100);
    assert_eq!(connections(&rig), 0);
    assert_eq!(the(&rig.one(0, &ack(FROM(), TO()))).to, To::Host(0));
}

#[test]
fn a_mode_changed_under_a_connection() {
    let mut rig = rig(Mode::Nat, 1);
    open(&mut rig, FROM());
    rig.apply(|s| s.services[0].mode = Mode::Dr);
    assert!(is_reset_to(&rig.one(0, &ack(FROM(), TO())), FROM()));
    assert_eq!(backend_of(&rig.one(0, &syn(FROM(), TO()))), 0);
}
