//! HTTP mode behind TLS and behind forwarders: the same sessions over another transport.

mod common;
use common::encrypted::*;
use common::http::{http_service, ok, server as server_of};
use common::*;
use l7_api::{Prefix, Service};
use proxyproto::{Endpoints, V2};
use std::io::{BufRead, BufReader, Read, Write};

/// The body of the next response.
fn response(reader: &mut impl BufRead) -> Vec<u8> {
    let mut length = 0;
    for line in reader.by_ref().lines() {
        let line = line.unwrap().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

#[test]
fn requests_and_large_bodies_pass_over_one_connection() {
    let real = server_of(|request| ok(&request.body));
    let service = Service {
        tls: encrypted(1, Vec::new()).tls,
        ..http_service(1, vec![server(1, real.address)])
    };
    let own = certificate("a.example");
    let mut relay = relay(1);
    assert_eq!(relay.apply(snapshot_with(1, &[&service], &[&own])).unwrap(), []);
    let stream = shake(&client(&settings()), "a.example", address(&service)).unwrap();
    let mut stream = BufReader::new(stream);
    for length in [0, 1, 16 << 10, 100, (16 << 10) + 1, 5 << 20, 10] {
        let mut body = vec![0; length];
        Noise::new(length as u64).fill(&mut body);
        let head =
            format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
        stream.get_mut().write_all(&[head.as_bytes(), &body].concat()).unwrap();
        assert!(response(&mut stream) == body, "{length} bytes");
    }
    // The last answer is followed by TLS's own end.
    let last = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    stream.get_mut().write_all(last).unwrap();
    assert_eq!(response(&mut stream), b"ok");
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(relay.counters().services[0].requests, 8);
}

#[test]
fn a_forwarder_says_who_asks() {
    let real = server_of(|request| ok(request.head.as_bytes()));
    let mut service = http_service(1, vec![server(1, real.address)]);
    service.proxy_in = vec![Prefix { address: [127, 0, 0, 1].into(), length: 32 }];
    let _relay = relay_of(1, &service);
    let source = "192.0.2.1:12345".parse().unwrap();
    let endpoints = Some(Endpoints { source, destination: address(&service) });
    let mut said = Vec::new();
    V2 { endpoints, ..V2::default() }.write(&mut said).unwrap();
    said.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = connect(address(&service));
    stream.write_all(&said).unwrap();
    let heard = String::from_utf8(response(&mut BufReader::new(stream))).unwrap();
    assert!(heard.to_ascii_lowercase().contains("x-forwarded-for: 192.0.2.1"), "{heard}");
}
