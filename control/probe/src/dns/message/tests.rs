use super::*;
use std::time::Duration;

/// `FULCRUM_FUZZ_SECONDS` lengthens the fuzz targets.
fn time() -> Duration {
    let seconds = std::env::var("FULCRUM_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

fn query(name: &str, kind: RecordType) -> Query {
    Query::new(0x1234, &Dns { name: name.into(), kind, expect: None }).unwrap()
}

/// A good answer: an alias, then an address.
fn answer(query: &Query) -> Vec<u8> {
    let mut packet = query.bytes().to_vec();
    packet[2] = 0x81;
    packet[3] = 0x80;
    packet[7] = 2;
    packet.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03www\xc0\x0c");
    packet.extend_from_slice(b"\x03www\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
    packet
}

fn one(cut: bool) -> Answer {
    Answer::Records { count: 1, addresses: vec!["192.0.2.7".parse().unwrap()], cut }
}

#[test]
fn a_query_is_written_as_the_standard_says() {
    let bytes = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x1c\0\x01";
    assert_eq!(query("example.org", RecordType::Aaaa).bytes(), bytes);
    assert_eq!(query("example.org.", RecordType::Aaaa).bytes(), bytes);
    let root = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";
    assert_eq!(query(".", RecordType::Ns).bytes(), root);
}

#[test]
fn what_is_no_name_is_not_asked() {
    let (label, long) = ("x".repeat(64), "abc.".repeat(64));
    for name in ["", "..", "a..b", ".a", "bücher.example", &label, &long] {
        let dns = Dns { name: name.into(), kind: RecordType::A, expect: None };
        assert!(Query::new(1, &dns).is_err(), "{name}");
    }
    query(&"x".repeat(63), RecordType::A);
    query(&format!("{}ab", "abc.".repeat(62)), RecordType::A);
    query(&"abc.".repeat(63), RecordType::A);
}

#[test]
fn an_answer_is_read() {
    let query = query("example.org", RecordType::A);
    let mut packet = answer(&query);
    assert_eq!(query.read(&packet), one(false));
    packet[13] = b'E';
    assert_eq!(query.read(&packet), one(false), "in capitals");
    packet[2] |= 2;
    assert_eq!(query.read(&packet), one(true));
}

#[test]
fn other_types_have_no_addresses() {
    let query = query("example.org", RecordType::Txt);
    let mut packet = answer(&query);
    assert_eq!(query.read(&packet), Answer::Records { count: 0, addresses: vec![], cut: false });
    packet[7] = 3;
    packet.extend_from_slice(b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x03\x02ok");
    assert_eq!(query.read(&packet), Answer::Records { count: 1, addresses: vec![], cut: false });
}

#[test]
fn what_does_not_answer_the_query_is_told_apart() {
    let query = query("example.org", RecordType::A);
    let changed = |at: usize, to: u8| {
        let mut packet = answer(&query);
        packet[at] = to;
        query.read(&packet)
    };
    assert_eq!(changed(0, 0x13), Answer::Stranger);
    assert_eq!(changed(1, 0x35), Answer::Stranger);
    assert_eq!(changed(2, 0x01), Answer::Unreadable, "a query");
    assert_eq!(changed(2, 0x89), Answer::Unreadable, "another opcode");
    assert_eq!(changed(3, 0x82), Answer::Refusal(Code(2)));
    assert_eq!(changed(5, 0), Answer::OtherQuestion, "no question");
    assert_eq!(changed(5, 2), Answer::OtherQuestion, "two questions");
    assert_eq!(changed(13, b'x'), Answer::OtherQuestion, "another name");
    assert_eq!(changed(26, 2), Answer::OtherQuestion, "another type");
    assert_eq!(changed(28, 3), Answer::OtherQuestion, "another class");
    let bare = [0x12, 0x34, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(query.read(&bare), Answer::Refusal(Code(1)), "an error without the question");
}

#[test]
fn half_an_answer_is_none() {
    let query = query("example.org", RecordType::A);
    let packet = answer(&query);
    for end in 2..packet.len() {
        let read = query.read(&packet[..end]);
        assert!([Answer::Unreadable].contains(&read), "{end} bytes: {read:?}");
    }
    let mut short = packet.clone();
    short.pop();
    let length = short.len() - 4;
    short[length] = 3;
    assert_eq!(query.read(&short), Answer::Unreadable, "an address of three bytes");
}

#[test]
fn a_truncated_answer_counts_as_far_as_it_goes() {
    let query = query("example.org", RecordType::A);
    let mut packet = answer(&query);
    packet[2] |= 2;
    packet[7] = 9;
    assert_eq!(query.read(&packet), one(true));
    packet.pop();
    assert_eq!(query.read(&packet), Answer::Records { count: 0, addresses: vec![], cut: true });
}

#[test]
fn no_bytes_are_too_much() {
    let query = query("example.org", RecordType::A);
    bolero::check!().with_test_time(time()).with_max_len(600).for_each(|bytes: &[u8]| {
        let read = query.read(bytes);
        assert_eq!(read == Answer::Stranger, !bytes.starts_with(&[0x12, 0x34]), "{read:?}");
    });
}

#[test]
fn no_change_of_an_answer_is_too_much() {
    let query = query("example.org", RecordType::A);
    let good = answer(&query);
    bolero::check!().with_test_time(time()).with_type::<(Vec<(u8, u8)>, u8)>().for_each(
        |(changes, cut)| {
            let mut packet = good.clone();
            for (at, to) in changes {
                let at = usize::from(*at) % packet.len();
                packet[at] = *to;
            }
            packet.truncate(good.len() - usize::from(*cut) % good.len());
            if let Answer::Records { count, addresses, .. } = query.read(&packet) {
                assert_eq!(count, addresses.len());
                assert!(count * 15 <= packet.len(), "more records than fit");
            }
        },
    );
}
