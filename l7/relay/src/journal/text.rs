//! Numbers, times and octets of others as text: appended, without a formatter's cost.

use std::net::IpAddr;

const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a number of so many digits.
fn padded(out: &mut Vec<u8>, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b'0' + (value / 10u64.pow(place) % 10) as u8);
    }
}

/// Appends a number of 128 bits in hexadecimal digits.
pub fn hexadecimal(out: &mut Vec<u8>, value: u128) {
    for place in (0..32).rev() {
        out.push(HEX[(value >> (4 * place)) as usize & 15]);
    }
}

/// Appends an address, one of IPv4 without what maps it into IPv6.
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            for (place, octet) in v4.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        IpAddr::V6(v6) => out.extend_from_slice(v6.to_string().as_bytes()),
    }
}

/// Appends octets of others for a line of text: nothing in them ends a line, a quotation or a
/// terminal's patience. What is too much is left out.
pub fn quotable(out: &mut Vec<u8>, octets: &[u8], most: usize) {
    for &octet in octets.iter().take(most) {
        match octet {
            b' ' | b'!' | b'#'..=b'[' | b']'..=b'~' => out.push(octet),
            _ => {
                let digits = [HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]];
                out.extend_from_slice(&[b'\\', b'x', digits[0], digits[1]]);
            }
        }
    }
}

/// Appends octets of others within a string of JSON (RFC 8259 section 7). What is no UTF-8
/// becomes U+FFFD.
pub fn json(out: &mut Vec<u8>, octets: &[u8], most: usize) {
    for chunk in octets.get(..most).unwrap_or(octets).utf8_chunks() {
        for &octet in chunk.valid().as_bytes() {
            match octet {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
                // DEL is allowed, and nothing that a terminal should get.
                0..0x20 | 0x7f => {
                    let digits = [HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]];
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
                }
                _ => out.push(octet),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Times in UTC. The last day is kept.
#[derive(Debug, Default)]
pub struct Dates {
    /// Days since 1970, and which day that is.
    last: Option<(u64, [u64; 3])>,
}

impl Dates {
    /// `21/Nov/2026:12:14:14`, of milliseconds since 1970.
    pub fn common(&mut self, out: &mut Vec<u8>, ms: u64) {
        let [year, month, day] = self.day(ms);
        padded(out, day, 2);
        out.push(b'/');
        out.extend_from_slice(name_of(month));
        out.push(b'/');
        padded(out, year, 4);
        out.push(b':');
        time(out, ms);
    }

    /// `2026-11-21T12:14:14.655Z`.
    pub fn iso(&mut self, out: &mut Vec<u8>, ms: u64) {
        let [year, month, day] = self.day(ms);
        padded(out, year, 4);
        out.push(b'-');
        padded(out, month, 2);
        out.push(b'-');
        padded(out, day, 2);
        out.push(b'T');
        time(out, ms);
        out.push(b'.');
        padded(out, ms % 1_000, 3);
        out.push(b'Z');
    }

    /// `Nov 21 12:14:14`.
    pub fn bsd(&mut self, out: &mut Vec<u8>, ms: u64) {
        let [_, month, day] = self.day(ms);
        out.extend_from_slice(name_of(month));
        out.push(b' ');
        if day < 10 {
            out.push(b' ');
            number(out, day);
        } else {
            padded(out, day, 2);
        }
        out.push(b' ');
        time(out, ms);
    }

    /// Year, month from 1, day from 1.
    fn day(&mut self, ms: u64) -> [u64; 3] {
        let days = ms / 86_400_000;
        match self.last {
            Some((same, day)) if same == days => day,
            _ => {
                let day = civil(days);
                self.last = Some((days, day));
                day
            }
        }
    }
}

/// Milliseconds as three digits, behind a point.
pub fn fraction(out: &mut Vec<u8>, ms: u64) {
    out.push(b'.');
    padded(out, ms % 1_000, 3);
}

fn time(out: &mut Vec<u8>, ms: u64) {
    let second = ms / 1_000;
    padded(out, second / 3_600 % 24, 2);
    out.push(b':');
    padded(out, second / 60 % 60, 2);
    out.push(b':');
    padded(out, second % 60, 2);
}

fn name_of(month: u64) -> &'static [u8] {
    let at = (month as usize).saturating_sub(1) * 3;
    MONTHS.get(at..at + 3).unwrap_or(b"Jan")
}

/// The day of the Gregorian calendar that comes so many days after 1970-01-01. Years are counted
/// from March on, so that the day that some years have comes last.
fn civil(days: u64) -> [u64; 3] {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [era * 400 + year_of_era + u64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let mut dates = Dates::default();
        for (ms, iso, common, bsd) in [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00", "Jan  1 00:00:00"),
            (
                951_827_696_007,
                "2000-02-29T12:34:56.007Z",
                "29/Feb/2000:12:34:56",
                "Feb 29 12:34:56",
            ),
            (
                4_107_542_399_999,
                "2100-02-28T23:59:59.999Z",
                "28/Feb/2100:23:59:59",
                "Feb 28 23:59:59",
            ),
            (
                4_107_542_400_000,
                "2100-03-01T00:00:00.000Z",
                "01/Mar/2100:00:00:00",
                "Mar  1 00:00:00",
            ),
        ] {
            assert_eq!(text(|out| dates.iso(out, ms)), iso);
            assert_eq!(text(|out| dates.common(out, ms)), common);
            assert_eq!(text(|out| dates.bsd(out, ms)), bsd);
        }
    }

    #[test]
    fn numbers_and_addresses() {
        for value in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(text(|out| number(out, value)), value.to_string());
        }
        assert_eq!(text(|out| hexadecimal(out, 0xab << 100)), format!("{:032x}", 0xab_u128 << 100));
        for (from, to) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:10.0.0.9", "10.0.0.9"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(text(|out| address(out, from.parse().unwrap())), to);
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_line_or_a_string() {
        let hostile = b"GET /\"\\\r\n\0\x1b[2J\x7f \xc3\xa4\xff HTTP/1.1";
        assert_eq!(
            text(|out| quotable(out, hostile, 100)),
            r"GET /\x22\x5c\x0d\x0a\x00\x1b[2J\x7f \xc3\xa4\xff HTTP/1.1"
        );
        assert_eq!(
            text(|out| json(out, hostile, 100)),
            "GET /\\\"\\\\\\u000d\\u000a\\u0000\\u001b[2J\\u007f \u{e4}\u{fffd} HTTP/1.1"
        );
        assert_eq!(text(|out| quotable(out, hostile, 5)), "GET /");
        assert_eq!(text(|out| json(out, b"a\xc3\xa4", 2)), "a\u{fffd}", "cut within a character");
    }
}
