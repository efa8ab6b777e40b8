//! The examples of RFC 7541 appendix C, and both tables against each other.

use super::{Decoder, Encoder, Kind};
use crate::head::{Bounds, Head};

const BOUNDS: Bounds = Bounds { octets: 65_536, fields: 1_000 };

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: &[u8]| u8::from_str_radix(str::from_utf8(digit).unwrap(), 16).unwrap();
    digits.chunks(2).map(value).collect()
}

/// The fields as the RFC lists them: pseudo-fields among them, in order.
fn list(head: &Head) -> Vec<String> {
    let mut list = Vec::new();
    for kind in [Kind::Status, Kind::Method, Kind::Scheme, Kind::Path, Kind::Authority] {
        let name = format!("{kind:?}").to_lowercase();
        list.extend(head.pseudo(kind).map(|value| format!(":{name}: {}", value.escape_ascii())));
    }
    let line = |f: crate::Field| format!("{}: {}", f.name.escape_ascii(), f.value.escape_ascii());
    list.extend(head.fields().map(line));
    list
}

/// Each section of a connection, what it says, and the table's size behind it.
fn check(table: u32, sections: &[(&str, &[&str], usize)]) {
    let mut decoder = Decoder::new(table);
    let mut head = Head::default();
    for (hex, fields, size) in sections {
        head.begin(BOUNDS);
        decoder.decode(&octets(hex), &mut head).unwrap();
        assert_eq!(list(&head), *fields, "{hex}");
        assert_eq!(decoder.table_size(), *size, "{hex}");
    }
}

#[test]
fn single_fields_c2() {
    check(
        4096,
        &[(
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            &["custom-key: custom-header"],
            55,
        )],
    );
    check(4096, &[("040c 2f73 616d 706c 652f 7061 7468", &[":path: /sample/path"], 0)]);
    check(4096, &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &["password: secret"], 0)]);
    check(4096, &[("82", &[":method: GET"], 0)]);
}

const FIRST: &[&str] =
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const SECOND: &[&str] = &[
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
    "cache-control: no-cache",
];
const THIRD: &[&str] = &[
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
];

#[test]
fn requests_without_huffman_c3() {
    check(
        4096,
        &[
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", FIRST, 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                THIRD,
                164,
            ),
        ],
    );
}

#[test]
fn requests_with_huffman_c4() {
    check(
        4096,
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, 57),
            ("8286 84be 5886 a8eb 1064 9cbf", SECOND, 110),
            ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", THIRD, 164),
        ],
    );
}

const RESPONSE_1: &[&str] = &[
    ":status: 302",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
];
const RESPONSE_2: &[&str] = &[
    ":status: 307",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
];
const RESPONSE_3: &[&str] = &[
    ":status: 200",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:22 GMT",
    "location: https://www.example.com",
    "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
];

#[test]
fn responses_with_eviction_c5() {
    check(
        256,
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
          2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
          6c65 2e63 6f6d",
                RESPONSE_1,
                222,
            ),
            ("4803 3330 37c1 c0bf", RESPONSE_2, 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
          54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
          5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
          3d31",
                RESPONSE_3,
                215,
            ),
        ],
    );
}

#[test]
fn responses_with_huffman_and_eviction_c6() {
    check(
        256,
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
          2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                RESPONSE_1,
                222,
            ),
            ("4883 640e ffc1 c0bf", RESPONSE_2, 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
          77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
          9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                RESPONSE_3,
                215,
            ),
        ],
    );
}

#[test]
fn what_is_no_section_is_an_error() {
    for (hex, what) in [
        ("80", "index 0"),
        ("be", "an entry that is not there"),
        ("7e", "a name that is not there"),
        ("40", "cut before the name"),
        ("4003 61", "cut in the name"),
        ("4001 61", "cut before the value"),
        ("00 ffff ffff 7f", "a length beyond everything"),
        ("3fe2 1f", "a table larger than allowed"),
        ("82 20", "a new size behind a field"),
        ("0081 ff 00", "no Huffman code"),
        ("ff ff ff ff ff 0f", "an index beyond everything"),
    ] {
        let mut head = Head::default();
        head.begin(BOUNDS);
        assert!(Decoder::new(4096).decode(&octets(hex), &mut head).is_err(), "{what}");
    }
}

#[test]
fn a_bomb_is_cut_and_the_table_stays_right() {
    let mut decoder = Decoder::new(4096);
    let mut head = Head::default();
    head.begin(Bounds { octets: 16_384, fields: 100 });
    // An entry of 4,000 octets, then 10,000 times one octet: 40 MB, if somebody wrote it down.
    let mut block = octets("4001 78 7f a11e");
    block.extend([b'v'; 4_000]);
    block.extend([0xbe; 10_000]);
    decoder.decode(&block, &mut head).unwrap();
    assert!(head.is_cut() && head.fields().count() <= 4);
    assert!(head.memory() < 64_000, "{}", head.memory());
    // Behind the bound a literal still enters the table.
    head.begin(Bounds { octets: 10, fields: 100 });
    decoder.decode(&octets("4001 61 01 62"), &mut head).unwrap();
    assert!(head.is_cut());
    head.begin(BOUNDS);
    decoder.decode(&[0xbe], &mut head).unwrap();
    assert_eq!(list(&head), ["a: b"]);
}

#[test]
fn a_new_table_size_is_said_with_the_least_before_it() {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    let mut said = |sizes: &[u32]| {
        sizes.iter().for_each(|&size| encoder.resize(size));
        out.clear();
        encoder.begin(&mut out);
        out.clone()
    };
    assert_eq!(said(&[]), [0u8; 0]);
    assert_eq!(said(&[64]), octets("3f21"));
    assert_eq!(said(&[64]), [0u8; 0]);
    assert_eq!(said(&[100, 0, 4_000_000]), octets("20 3fe11f"));
}

#[test]
fn what_is_encoded_is_decoded_while_the_table_changes() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::new(4096));
    let (mut head, mut out) = (Head::default(), Vec::new());
    let long = "v".repeat(200);
    for round in 0..2_000u32 {
        match round % 500 {
            100 => encoder.resize(64),
            200 => encoder.resize(0),
            250 => {
                encoder.resize(10);
                encoder.resize(4_000_000);
            }
            _ => {}
        }
        let (mine, three) = (format!("value-{}", round % 7), format!("{}", round % 3));
        let fields = [
            ("x-a", mine.as_str()),
            ("x-three", &three),
            ("content-length", "128"),
            ("x-long", &long),
            ("set-cookie", "s=1"),
            ("x-empty", ""),
        ];
        out.clear();
        encoder.begin(&mut out);
        encoder.status(if round % 2 == 0 { 200 } else { 503 }, &mut out);
        for (name, value) in fields {
            encoder.field(name.to_uppercase().as_bytes(), value.as_bytes(), false, &mut out);
        }
        head.begin(BOUNDS);
        decoder.decode(&out, &mut head).unwrap();
        let expected: Vec<_> = fields.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(list(&head)[1..], expected, "round {round}");
        assert_eq!(head.status(), if round % 2 == 0 { 200 } else { 503 });
        assert!(head.fields().all(|f| f.never_indexed == (f.name == b"set-cookie")));
    }
}
