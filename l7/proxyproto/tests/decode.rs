//! Headers of forwarders, good and bad, written out byte by byte.

use proxyproto::{Endpoints, Header, MAX_V1_BYTES, Malformed, Origin, SIGNATURE, decode};

const LIMIT: usize = 1024;

fn origin(bytes: &[u8]) -> Result<Option<(Origin, usize)>, Malformed> {
    let decoded = decode(bytes, LIMIT)?;
    Ok(decoded.map(|(Header { origin, .. }, length)| (origin, length)))
}

fn ends(source: &str, destination: &str) -> Endpoints {
    Endpoints { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A version 2 header around what follows its fixed part.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];

fn with_fields(fields: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&V4, fields].concat())
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

#[test]
fn lines_of_version_1() {
    let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                   ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), MAX_V1_BYTES);
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n",
            Origin::Tcp(ends("192.0.2.1:12345", "198.51.100.2:443")),
        ),
        (
            "PROXY TCP6 2001:DB8::1 2001:db8::2 0 65535\r\n",
            Origin::Tcp(ends("[2001:db8::1]:0", "[2001:db8::2]:65535")),
        ),
        ("PROXY UNKNOWN\r\n", Origin::Unknown),
        ("PROXY UNKNOWN what ever\n\r\n", Origin::Unknown),
        (longest, Origin::Unknown),
    ] {
        let length = line.len();
        assert_eq!(origin(line.as_bytes()), Ok(Some((expected, length))), "{line}");
        let followed = format!("{line}\r\nGET / HTTP/1.1\r\n");
        assert_eq!(origin(followed.as_bytes()), Ok(Some((expected, length))), "{line}");
        for cut in 0..length {
            assert_eq!(origin(&line.as_bytes()[..cut]), Ok(None), "{line} cut at {cut}");
        }
    }
}

#[test]
fn lines_that_are_none() {
    let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1_BYTES - 15));
    for (line, expected) in [
        ("GET / HTTP/1.1\r\n", Malformed::NoHeader),
        ("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::NoHeader),
        ("PROXY\r\n", Malformed::NoHeader),
        ("PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line("protocol")),
        ("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line("protocol")),
        ("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line("protocol")),
        ("PROXY TCP4 ::1 2.2.2.2 1 2\r\n", Malformed::Line("source address")),
        ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line("source address")),
        ("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", Malformed::Line("source address")),
        ("PROXY TCP4\r\n", Malformed::Line("source address")),
        ("PROXY TCP6 ::1 2.2.2.2 1 2\r\n", Malformed::Line("destination address")),
        ("PROXY TCP6 ::1 ::2%1 1 2\r\n", Malformed::Line("destination address")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", Malformed::Line("source port")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", Malformed::Line("source port")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 02\r\n", Malformed::Line("destination port")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", Malformed::Line("destination port")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", Malformed::Line("end")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n\r\n", Malformed::Line("destination port")),
        (&endless, Malformed::Endless),
    ] {
        assert_eq!(origin(line.as_bytes()), Err(expected), "{line:?}");
    }
    assert_eq!(origin(b"X"), Err(Malformed::NoHeader), "no waiting for what cannot become one");
    assert_eq!(origin(b"\r\n\r\n\0\r\nQUIX"), Err(Malformed::NoHeader));
}

#[test]
fn addresses_of_version_2() {
    let v6 = [&[0x20; 16][..], &[0x30; 16], &[0, 1, 0, 2]].concat();
    let six = ends(
        "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
        "[3030:3030:3030:3030:3030:3030:3030:3030]:2",
    );
    let four = ends("192.0.2.1:12345", "198.51.100.2:443");
    for (command, family, rest, expected) in [
        (0x21, 0x11, &V4[..], Origin::Tcp(four)),
        (0x21, 0x12, &V4, Origin::Udp(four)),
        (0x21, 0x21, &v6, Origin::Tcp(six)),
        (0x21, 0x22, &v6, Origin::Udp(six)),
        (0x21, 0x31, &[b'/'; 216], Origin::Unknown),
        (0x21, 0x32, &[b'/'; 216], Origin::Unknown),
        (0x21, 0x00, &[], Origin::Unknown),
        (0x21, 0x00, b"what ever", Origin::Unknown),
        (0x20, 0x00, &[], Origin::Local),
        (0x20, 0x11, &V4, Origin::Local),
        (0x20, 0xff, b"what ever", Origin::Local),
    ] {
        let bytes = v2(command, family, rest);
        let length = bytes.len();
        let followed = [&bytes, &b"\x16\x03\x01"[..]].concat();
        assert_eq!(origin(&followed), Ok(Some((expected, length))), "{command:x} {family:x}");
        for cut in 0..length {
            assert_eq!(origin(&bytes[..cut]), Ok(None), "{command:x} {family:x} cut at {cut}");
        }
    }
}

#[test]
fn what_version_2_is_not() {
    for (bytes, at, expected) in [
        (v2(0x11, 0x11, &V4), 13, Malformed::Command(0x11)),
        (v2(0x22, 0x11, &V4), 13, Malformed::Command(0x22)),
        (v2(0x21, 0x10, &V4), 14, Malformed::Family(0x10)),
        (v2(0x21, 0x13, &V4), 14, Malformed::Family(0x13)),
        (v2(0x21, 0x41, &V4), 14, Malformed::Family(0x41)),
        (v2(0x21, 0x11, &V4[..11]), 16, Malformed::Short(11)),
        (v2(0x21, 0x21, &V4), 16, Malformed::Short(12)),
        (v2(0x21, 0x11, &[0; 1009]), 16, Malformed::TooLong { length: 1025, limit: LIMIT }),
        (v2(0x20, 0x00, &[0; 65_535]), 16, Malformed::TooLong { length: 65_551, limit: LIMIT }),
    ] {
        assert_eq!(origin(&bytes[..at - 1]), Ok(None), "{expected}");
        assert_eq!(origin(&bytes[..at]), Err(expected));
    }
    assert!(decode(&v2(0x20, 0x00, &[0; 65_535]), 65_551).unwrap().is_some());
}

#[test]
fn fields_are_read_once_each() {
    let known = [
        field(0x01, b"h2"),
        field(0x02, b"www.example.com"),
        field(0x04, b"padding"),
        field(0x05, &[7; 128]),
        field(0x30, b"blue"),
        field(0xe0, b"own"),
        field(0x04, b""),
        field(0xe0, b"own again"),
    ]
    .concat();
    let bytes = with_fields(&known);
    let (Header { tlvs, .. }, _) = decode(&bytes, LIMIT).unwrap().unwrap();
    assert_eq!(tlvs.alpn, Some(&b"h2"[..]));
    assert_eq!(tlvs.authority, Some(&b"www.example.com"[..]));
    assert_eq!(tlvs.unique_id, Some(&[7; 128][..]));
    assert_eq!(tlvs.netns, Some(&b"blue"[..]));
    assert_eq!(tlvs.tls, None);
    let kinds: Vec<u8> = tlvs.iter().map(|tlv| tlv.kind).collect();
    assert_eq!(kinds, [1, 2, 4, 5, 0x30, 0xe0, 4, 0xe0]);
    assert_eq!(tlvs.iter().last().unwrap().value, b"own again");

    for kind in [1, 2, 5, 0x30] {
        let twice = [field(kind, b"a"), field(kind, b"a")].concat();
        assert_eq!(origin(&with_fields(&twice)), Err(Malformed::Repeated(kind)));
    }
    for (fields, kind) in [
        (vec![1], 1),
        (vec![2, 0], 2),
        (vec![4, 0, 1], 4),
        ([field(1, b"x"), vec![0xe0, 0, 3, 1, 2]].concat(), 0xe0),
        (field(5, &[7; 129]), 5),
        (field(3, &[0; 3]), 3),
        (field(3, &[0; 5]), 3),
        (field(0x20, &[1, 0, 0, 0]), 0x20),
        (field(0x20, &[1, 0, 0, 0, 0, 0x21]), 0x21),
        (field(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9, 1]), 0x21),
    ] {
        assert_eq!(origin(&with_fields(&fields)), Err(Malformed::Field(kind)), "{fields:?}");
    }
}

#[test]
fn how_the_client_spoke_tls() {
    let parts = [
        field(0x21, b"TLSv1.3"),
        field(0x22, b"client"),
        field(0x23, b"TLS_AES_128_GCM_SHA256"),
        field(0x24, b"SHA256"),
        field(0x25, b"RSA2048"),
        field(0x2f, b"news"),
    ]
    .concat();
    let read = |client: u8, verify: [u8; 4]| {
        let value = [&[client], &verify[..], &parts].concat();
        let bytes = with_fields(&field(0x20, &value));
        let (Header { tlvs, .. }, _) = decode(&bytes, LIMIT).unwrap().unwrap();
        let tls = tlvs.tls.unwrap();
        assert_eq!(tls.version, Some(&b"TLSv1.3"[..]));
        assert_eq!(tls.common_name, Some(&b"client"[..]));
        assert_eq!(tls.cipher, Some(&b"TLS_AES_128_GCM_SHA256"[..]));
        assert_eq!(tls.signature, Some(&b"SHA256"[..]));
        assert_eq!(tls.key, Some(&b"RSA2048"[..]));
        (tls.over_tls, tls.certificate_in_connection, tls.certificate_in_session, tls.verified)
    };
    assert_eq!(read(1, [0; 4]), (true, false, false, false), "zero without a certificate");
    assert_eq!(read(7, [0; 4]), (true, true, true, true));
    assert_eq!(read(5, [0; 4]), (true, false, true, true), "a session that was resumed");
    assert_eq!(read(3, [0; 4]), (true, true, false, true));
    assert_eq!(read(7, [0, 0, 0, 18]), (true, true, true, false));
    assert_eq!(read(0, [0, 0, 0, 1]), (false, false, false, false));
    let twice = [&[1, 0, 0, 0, 0][..], &parts, &field(0x22, b"another")].concat();
    assert_eq!(origin(&with_fields(&field(0x20, &twice))), Err(Malformed::Repeated(0x22)));
}

/// The checksum as RFC 4960, appendix B, has it: bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_checksum_is_verified_wherever_it_stands() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let others = [field(1, b"h2"), field(0xe0, b"own")];
    for place in 0..=2 {
        let mut fields = others.to_vec();
        fields.insert(place, field(3, &[0; 4]));
        let mut bytes = with_fields(&fields.concat());
        let at = 28 + 3 + others[..place].concat().len();
        let sum = crc32c(&bytes);
        bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        assert!(origin(&bytes).unwrap().is_some(), "{place}");
        for bit in [16 * 8, 27 * 8 + 7, at * 8, at * 8 + 31] {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(origin(&damaged), Err(Malformed::Checksum), "{place}, bit {bit}");
        }
    }
}
