use crate::namespace::{inside, ip, sysctl};
use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::{Probe, Target};
use tokio::net::TcpListener;

/// Who may have the unprivileged kind of socket: none (as of old), or all.
const NONE: &str = "1 0";
const ALL: &str = "0 2147483647";

fn to(address: &str) -> Target {
    target(address.parse().unwrap(), Probe::Ping)
}

#[test]
fn who_answers_is_up_by_either_kind_of_socket() {
    inside("ping::who_answers_is_up_by_either_kind_of_socket", async {
        for group in [NONE, ALL] {
            sysctl("ipv4/ping_group_range", group);
            for address in ["127.0.0.1:80", "[::1]:80"] {
                run(&to(address), LONG).await.unwrap();
            }
            let source = Some("127.0.0.2".parse().unwrap());
            run(&Target { source, ..to("127.0.0.1:80") }, LONG).await.unwrap();
        }
    });
}

#[test]
fn many_at_once_hear_their_answers() {
    inside("ping::many_at_once_hear_their_answers", async {
        for group in [NONE, ALL] {
            sysctl("ipv4/ping_group_range", group);
            let others = (1..100).map(|last| to(&format!("127.0.1.{last}:80")));
            // A raw socket hears the others' as well, and its buffer must hold them all.
            let same = (1..40).map(|_| to("127.0.0.1:80"));
            let ping = |target| tokio::spawn(async move { run(&target, LONG).await });
            let probes: Vec<_> = others.chain(same).map(ping).collect();
            for probe in probes {
                probe.await.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn who_does_not_answer_is_given_up() {
    inside("ping::who_does_not_answer_is_given_up", async {
        sysctl("ipv4/icmp_echo_ignore_all", "1");
        sysctl("ipv6/icmp/echo_ignore_all", "1");
        for group in [NONE, ALL] {
            sysctl("ipv4/ping_group_range", group);
            let reason = fault(&to("127.0.0.1:80"), SHORT).await;
            assert_eq!(reason, "127.0.0.1 answered no ping within 500 ms");
            let reason = fault(&to("[::1]:80"), SHORT).await;
            assert_eq!(reason, "::1 answered no ping within 500 ms");
        }
    });
}

#[test]
fn without_a_route_there_is_no_asking() {
    inside("ping::without_a_route_there_is_no_asking", async {
        let reason = ours(&to("192.0.2.1:80"), LONG).await;
        says(&reason, &["192.0.2.1 cannot be checked from here: ", "unreachable"]);
        let source = Some("192.0.2.2".parse().unwrap());
        ours(&Target { source, ..to("127.0.0.1:80") }, LONG).await;
    });
}

#[test]
fn the_mark_chooses_the_route() {
    inside("ping::the_mark_chooses_the_route", async {
        // The kernel's rule for its own addresses makes room for one before it.
        ip("rule add pref 2 lookup local");
        ip("rule del pref 0");
        ip("rule add pref 1 fwmark 7 unreachable");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for probe in [Probe::Ping, Probe::Connect] {
            let mut target = target(listener.local_addr().unwrap(), probe);
            target.mark = Some(8);
            run(&target, LONG).await.unwrap();
            target.mark = Some(7);
            says(&ours(&target, LONG).await, &["cannot be checked from here", "unreachable"]);
        }
    });
}
