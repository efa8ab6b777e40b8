//! The session id of a ClientHello or a ServerHello (RFC 5246 sections 7.4.1.2 and 7.4.1.3): both
//! have it at the same place, within the first 76 octets of a connection.
//!
//! ```text
//! 16 03 <minor> <length, 2> | <type> <length, 3> | <version, 2> <random, 32> <length> <session id>
//! ```

use super::Seen;

/// Octets before the end of the longest session id.
pub const LONGEST: usize = 76;
/// Where the session id's length is.
const LENGTH_AT: usize = 43;
/// Octets of a record before its content.
const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
/// Major version of all records of TLS.
const MAJOR: u8 = 3;

/// Whose hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// ClientHello.
    Client = 1,
    /// ServerHello.
    Server = 2,
}

/// Looks for the session id in the first octets of one direction; it may be empty.
pub fn session(bytes: &[u8], whose: Whose) -> Seen<&[u8]> {
    let fits = |at: usize, is: u8| bytes.get(at).is_none_or(|byte| *byte == is);
    if !fits(0, HANDSHAKE) || !fits(1, MAJOR) || !fits(RECORD_HEADER, whose as u8) {
        return Seen::Other;
    }
    let [_, _, _, high, low, ..] = bytes else { return Seen::More };
    let record_ends = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    // A hello in several records is allowed, and nobody sends one cut before here.
    if record_ends <= LENGTH_AT {
        return Seen::Other;
    }
    let Some(&length) = bytes.get(LENGTH_AT) else { return Seen::More };
    let ends = LENGTH_AT + 1 + usize::from(length);
    if ends > LONGEST || ends > record_ends {
        return Seen::Other;
    }
    bytes.get(LENGTH_AT + 1..ends).map_or(Seen::More, Seen::Said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(whose: Whose, id: &[u8]) -> Vec<u8> {
        let content = 4 + 2 + 32 + 1 + id.len() + 10;
        let head = [22, 3, 1, 0, content as u8, whose as u8, 0, 0, content as u8 - 4, 3, 3];
        [&head[..], &[7; 32], &[id.len() as u8], id, &[9; 10]].concat()
    }

    #[test]
    fn the_id_is_found_where_both_have_it() {
        for whose in [Whose::Client, Whose::Server] {
            for length in [0, 1, 32] {
                let id = vec![0xab; length];
                assert_eq!(session(&hello(whose, &id), whose), Seen::Said(&id[..]));
            }
        }
    }

    #[test]
    fn what_is_no_hello_is_known_at_once() {
        let other = hello(Whose::Server, &[1; 32]);
        assert_eq!(session(&other, Whose::Client), Seen::Other);
        // An alert; SSH; a record too short for it; an id that is too long.
        let alert = [21, 3, 3, 0, 2, 2, 40];
        let mut short = hello(Whose::Client, &[1; 32]);
        short[4] = 38;
        let mut beyond = hello(Whose::Client, &[1; 32]);
        beyond[4] = 60;
        let mut long = hello(Whose::Client, &[1; 32]);
        long[LENGTH_AT] = 33;
        for bytes in [&alert[..], b"SSH-2.0-x", &short, &beyond, &long] {
            assert_eq!(session(bytes, Whose::Client), Seen::Other, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_the_same(id in prop::collection::vec(any::<u8>(), 0..=32)) {
            let whole = hello(Whose::Client, &id);
            let ends = LENGTH_AT + 1 + id.len();
            for end in 0..ends {
                prop_assert_eq!(session(&whole[..end], Whose::Client), Seen::More);
            }
            prop_assert_eq!(session(&whole[..ends], Whose::Client), Seen::Said(&id[..]));
        }

        #[test]
        fn nothing_makes_it_panic_or_ask_for_more_than_it_may(
            begin in prop::sample::select(vec![&b""[..], b"\x16\x03", b"\x16\x03\x01\x02\x00\x01"]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let all = [begin, &bytes].concat();
            let seen = session(&all, Whose::Client);
            prop_assert!(all.len() < LONGEST || seen != Seen::More);
        }
    }
}
