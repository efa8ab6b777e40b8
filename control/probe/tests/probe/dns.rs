use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::{Dns, Probe, RecordType, Target};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;

const RECORD: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

fn dns() -> Dns {
    Dns { name: "example.org".into(), kind: RecordType::A, expect: None }
}

fn to(address: SocketAddr, dns: Dns) -> Target {
    target(address, Probe::Dns(dns))
}

/// A server that answers each query with whatever packets `script` makes of it.
async fn server(mut script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
            for answer in script(&packet[..length]) {
                // Nobody may want it any more.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    address
}

/// The answer to `query` with this response code and one address.
fn good(query: &[u8], code: u8) -> Vec<u8> {
    let mut packet = query.to_vec();
    packet[2] = 0x81;
    packet[3] = 0x80 | code;
    packet[7] = 1;
    packet.extend_from_slice(RECORD);
    packet
}

/// An answer with this byte changed.
fn changed(query: &[u8], at: usize, change: impl FnOnce(&mut u8)) -> Vec<u8> {
    let mut packet = good(query, 0);
    change(&mut packet[at]);
    packet
}

/// Why a server with this script is down, after its address.
async fn why(
    script: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    dns: Dns,
    patience: Duration,
) -> String {
    let address = server(script).await;
    let reason = fault(&to(address, dns), patience).await;
    reason.strip_prefix(&format!("{address} ")).expect("an address").to_string()
}

#[tokio::test]
async fn who_answers_is_up() {
    let address = server(|query| vec![good(query, 0)]).await;
    run(&to(address, dns()), LONG).await.unwrap();
    let address = server(|query| vec![good(query, 0)]).await;
    let expect = Some("192.0.2.7".parse().unwrap());
    run(&to(address, Dns { expect, ..dns() }), LONG).await.unwrap();
}

#[tokio::test]
async fn an_answer_with_another_address_is_a_fault() {
    let expect = Some("192.0.2.8".parse().unwrap());
    let reason = why(|query| vec![good(query, 0)], Dns { expect, ..dns() }, LONG).await;
    assert_eq!(reason, "answered example.org A without 192.0.2.8");
}

#[tokio::test]
async fn an_answer_without_a_record_is_a_fault() {
    let reason = why(|query| vec![changed(query, 7, |n| *n = 0)], dns(), LONG).await;
    assert_eq!(reason, "answered example.org A without a record");
    let cut = |query: &[u8]| {
        let mut packet = changed(query, 2, |flags| *flags |= 2);
        packet.truncate(query.len() + 5);
        vec![packet]
    };
    let reason = why(cut, dns(), LONG).await;
    assert_eq!(reason, "answered example.org A with a truncated message without a record");
}

#[tokio::test]
async fn a_refusal_is_a_fault() {
    for (code, name) in
        [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED"), (9, "the response code 9")]
    {
        let reason = why(move |query| vec![good(query, code)], dns(), LONG).await;
        assert_eq!(reason, format!("answered {name} for example.org A"));
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_a_fault() {
    let reason = why(|query| vec![changed(query, 14, |byte| *byte ^= 1)], dns(), LONG).await;
    assert_eq!(reason, "answered another question than example.org A");
}

#[tokio::test]
async fn garbage_is_a_fault() {
    let cut = |query: &[u8]| {
        let mut packet = good(query, 0);
        packet.pop();
        vec![packet]
    };
    assert_eq!(why(cut, dns(), LONG).await, "sent an unreadable answer");
    let echo = |query: &[u8]| vec![query.to_vec()];
    assert_eq!(why(echo, dns(), LONG).await, "sent an unreadable answer");
}

#[tokio::test]
async fn another_id_is_no_answer() {
    let wrong = |query: &[u8]| changed(query, 0, |id| *id ^= 1);
    let address = server(move |query| vec![wrong(query), vec![], good(query, 0)]).await;
    run(&to(address, dns()), LONG).await.unwrap();
    let reason = why(move |query| vec![wrong(query), vec![]], dns(), SHORT).await;
    says(&reason, &["sent no answer within 500 ms, but ", " with another id or none"]);
}

#[tokio::test]
async fn a_lost_query_is_sent_again() {
    let mut queries = 0;
    let third = move |query: &[u8]| {
        queries += 1;
        if queries < 3 { vec![] } else { vec![good(query, 0)] }
    };
    run(&to(server(third).await, dns()), SHORT * 4).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_given_up() {
    assert_eq!(why(|_| vec![], dns(), SHORT).await, "sent no answer within 500 ms");
}

#[tokio::test]
async fn a_closed_port_is_a_fault() {
    // Only open to somebody else.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect("127.0.0.1:9").await.unwrap();
    let address = socket.local_addr().unwrap();
    let reason = fault(&to(address, dns()), LONG).await;
    says(&reason, &["has no DNS server: port unreachable"]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_our_fault() {
    let address = "127.0.0.1:53".parse().unwrap();
    ours(&to(address, Dns { name: "a..b".into(), ..dns() }), LONG).await;
    let mut elsewhere = to(address, dns());
    elsewhere.source = Some("192.0.2.1".parse().unwrap());
    ours(&elsewhere, LONG).await;
}
