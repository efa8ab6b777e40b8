//! Lines letter by letter, and whatever else there may be read back by a strict reader.

mod common;

use common::{read, strict::Parsed};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use syslog::{Element, Facility, Message, Severity};

/// 2024-02-29T12:34:56.789012Z
const LEAP_DAY: Duration = Duration::from_micros(1_709_210_096_789_012);

fn message<'a>(text: std::fmt::Arguments<'a>) -> Message<'a> {
    Message {
        facility: Facility::Daemon,
        severity: Severity::Warning,
        time: UNIX_EPOCH + LEAP_DAY,
        hostname: "lb1.example.com",
        app_name: "fulcrum-control",
        process: "4711",
        id: "controld::checks",
        data: &[],
        text,
    }
}

const HEAD: &str =
    "<28>1 2024-02-29T12:34:56.789012Z lb1.example.com fulcrum-control 4711 controld::checks";

#[test]
fn texts() {
    for (text, written) in [
        ("web1 is down", " - web1 is down"),
        ("", " -"),
        (" blanks  stay ", " -  blanks  stay "),
        ("Grüße \u{1f980}", " - \u{feff}Grüße \u{1f980}"),
        ("two\nlines\r\n", " - two#012lines#015#012"),
        ("\0\u{1b}[31mred\u{7f}", " - #000#033[31mred#177"),
        ("\u{85}C1", " - #302#205C1"),
        ("]\"\\ need nothing here", " - ]\"\\ need nothing here"),
        ("1 - - - - forged", " - 1 - - - - forged"),
    ] {
        let line = message(format_args!("{text}")).line(2048);
        assert_eq!(line, format!("{HEAD}{written}"), "{text:?}");
        read(&line);
    }
}

#[test]
fn structured_data() {
    let line = |parameters: &[(&str, &str)]| {
        let data = [Element { id: "meta", parameters }, Element { id: "origin", parameters: &[] }];
        let line = Message { data: &data, ..message(format_args!("x")) }.line(2048);
        read(&line);
        line.strip_prefix(HEAD).expect("the head is the same").to_owned()
    };
    assert_eq!(line(&[]), " [meta][origin] x");
    assert_eq!(line(&[("a", "1"), ("b", "")]), " [meta a=\"1\" b=\"\"][origin] x");
    assert_eq!(line(&[("a", r#"]"\"#)]), r#" [meta a="\]\"\\"][origin] x"#);
    assert_eq!(line(&[("a", "\n")]), " [meta a=\"#012\"][origin] x");
    assert_eq!(line(&[("a b=]\"\n", "ü")]), " [meta a_b____=\"ü\"][origin] x");
    assert_eq!(line(&[("", "")]), " [meta -=\"\"][origin] x");
}

#[test]
fn header_fields_cannot_be_left() {
    let long = "x".repeat(1000);
    for (field, written, most) in [
        ("", "-", 1),
        ("a b", "a_b", 255),
        ("a\nb\0c\u{7f}", "a_b_c_", 255),
        ("höst", "h_st", 255),
        (&*long, &*long, 1000),
    ] {
        let text = format_args!("x");
        let all = Message {
            hostname: field,
            app_name: field,
            process: field,
            id: field,
            ..message(text)
        };
        let read = read(&all.line(2048));
        let fields = [read.hostname, read.app_name, read.process, read.id];
        for (field, limit) in fields.iter().zip([255, 48, 128, 32]) {
            assert_eq!(field, &written[..written.len().min(limit).min(most)]);
        }
    }
}

#[test]
fn times_that_cannot_be_written_are_unknown() {
    let seconds = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    for (time, written) in [
        (UNIX_EPOCH, "1970-01-01T00:00:00.000000Z"),
        (seconds(253_402_300_799), "9999-12-31T23:59:59.000000Z"),
        (seconds(253_402_300_800), "-"),
        (UNIX_EPOCH - Duration::from_nanos(1), "-"),
        (UNIX_EPOCH - Duration::from_secs(1 << 40), "-"),
    ] {
        assert_eq!(read(&Message { time, ..message(format_args!("x")) }.line(2048)).time, written);
    }
}

#[test]
fn priorities() {
    let mut seen = Vec::new();
    for facility in Facility::ALL {
        for severity in [Severity::Error, Severity::Notice, Severity::Debug] {
            let read =
                read(&Message { facility, severity, ..message(format_args!("x")) }.line(2048));
            seen.push((facility.text(), read.facility, read.severity));
        }
    }
    assert_eq!(seen[0], ("user", 1, 3));
    assert_eq!(seen[4], ("daemon", 3, 5));
    assert_eq!(seen[29], ("local7", 23, 7));
    assert!(
        seen.len() == 30 && seen.is_sorted_by_key(|(_, facility, severity)| (*facility, *severity))
    );
    let levels = [log::Level::Error, log::Level::Warn, log::Level::Info, log::Level::Debug];
    assert_eq!(levels.map(|level| Severity::from(level) as u8), [3, 4, 6, 7]);
}

#[test]
fn the_text_loses_its_end() {
    let text = "ü".repeat(3000);
    for limit in 1024..1030 {
        let line = message(format_args!("{text}")).line(limit);
        assert!(limit - line.len() < 2, "{} of {limit} bytes", line.len());
        let kept = read(&line).text.expect("there is a text");
        assert!(text.starts_with(&kept));
    }
    // A character that becomes four does not become three.
    let line = message(format_args!("{}", "\n".repeat(3000))).line(1024);
    assert!(line.ends_with("#012") && line.len() > 1016, "{line}");
}

#[test]
fn an_element_that_does_not_fit_is_left_out_whole() {
    let long = "x".repeat(1000);
    let data = [
        Element { id: "small", parameters: &[("a", "1")] },
        Element { id: "large", parameters: &[("a", &long)] },
    ];
    let line = |data| read(&Message { data, ..message(format_args!("text")) }.line(1024));
    let ids = |read: Parsed| read.data.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(line(&data).text.as_deref(), Some("text"));
    assert_eq!(ids(line(&data)), ["small"]);
    assert!(ids(line(&data[1..])).is_empty());
}

/// Text that nobody would choose.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\\".to_owned()),
        Just("]".to_owned()),
        Just("\"".to_owned()),
        Just("\n<13>1 - - - - - - forged".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\u{85}\u{9b}31m".to_owned()),
        Just(" ".repeat(100)),
        any::<String>(),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn without_controls(text: &str) -> String {
    let octal = |c: char| c.to_string().bytes().map(|b| format!("#{b:03o}")).collect::<String>();
    text.chars().map(|c| if c.is_control() { octal(c) } else { c.into() }).collect()
}

proptest! {
    #[test]
    fn whatever_it_is_it_reads_back(
        fields in proptest::array::uniform4(hostile()),
        parameters in vec((hostile(), hostile()), 0..3),
        text in hostile(),
        seconds in any::<u32>(),
        limit in 1024..4096_usize,
    ) {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (&**n, &**v)).collect();
        let data = [Element { id: &fields[0], parameters: &parameters }];
        let [hostname, app_name, process, id] = fields.each_ref().map(|field| &**field);
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.into());
        let plain = message(format_args!(""));
        let line = Message { hostname, app_name, process, id, time, data: &data, ..plain };
        let line = Message { text: format_args!("{text}"), ..line }.line(limit);
        prop_assert!(line.len() <= limit);
        let read = Parsed::read(&line).map_err(|e| TestCaseError::fail(format!("{e}: {line:?}")))?;
        prop_assert_eq!((read.facility, read.severity), (3, 4));
        prop_assert_eq!(read.hostname.len(), hostname.chars().count().clamp(1, 255));
        let expected = without_controls(&text);
        let kept = read.text.unwrap_or_default();
        prop_assert!(expected.starts_with(&kept));
        prop_assert!(kept == expected || line.len() + 8 > limit, "cut off too early: {}", line.len());
        if let Some((_, read)) = read.data.first() {
            let values: Vec<_> = parameters.iter().map(|(_, value)| without_controls(value)).collect();
            let read: Vec<_> = read.iter().map(|(_, value)| value.clone()).collect();
            prop_assert_eq!(read, values);
        }
    }
}
