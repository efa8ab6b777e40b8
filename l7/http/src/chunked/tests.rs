use super::*;

/// The elements of a body that is there as a whole, or why it is none.
fn elements(bytes: &[u8], limits: &Limits) -> Result<Vec<Element>, Reason> {
    let (mut decoder, mut list, mut at) = (Decoder::default(), Vec::new(), 0);
    while let Some(element) = decoder.next(&bytes[at..], limits)? {
        decoder.take(element, limits)?;
        at += element.octets();
        list.push(element);
    }
    assert_eq!(decoder.is_done(), at == bytes.len() && !list.is_empty());
    Ok(list)
}

fn size(len: usize, size: u64, canonical: bool) -> Element {
    Element::Size { len, size, canonical }
}

#[test]
fn a_body_is_sizes_data_and_an_end() {
    let body = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n";
    let expected = [
        size(3, 3, true),
        Element::Data { len: 3 },
        Element::DataEnd,
        size(10, 10, false),
        Element::Data { len: 10 },
        Element::DataEnd,
        size(3, 0, true),
        Element::Trailers { len: 2 },
    ];
    assert_eq!(elements(body, &Limits::default()), Ok(expected.to_vec()));
    let trailers = elements(b"0\r\nX: y\r\n\r\n", &Limits::default()).unwrap();
    assert_eq!(trailers.last(), Some(&Element::Trailers { len: 8 }));
}

#[test]
fn a_size_is_hexadecimal_digits_and_fits_a_signed_word() {
    let limits = Limits::default();
    let mut decoder = Decoder::default();
    let most = decoder.next(b"7fffffffffffffff\r\n", &limits);
    assert_eq!(most, Ok(Some(size(18, i64::MAX as u64, true))));
    for wrong in ["8000000000000000\r\n", "10000000000000000\r\n", " 1\r\n", "1 \r\n", "+1\r\n"] {
        assert_eq!(decoder.next(wrong.as_bytes(), &limits), Err(Reason::ChunkSize), "{wrong:?}");
    }
    for wrong in ["0x1\r\n", "\r\n", ";x\r\n", "1\n", "1\rx", "g\r\n", "-0\r\n", "1\t;x\r\n"] {
        assert_eq!(decoder.next(wrong.as_bytes(), &limits), Err(Reason::ChunkSize), "{wrong:?}");
    }
    for wrong in ["1;\n", "1;a\rb", "1;\0\r\n", "1;\x7f\r\n", "1;\u{e4}\r\n"] {
        let reason = Err(Reason::ChunkExtension);
        assert_eq!(decoder.next(wrong.as_bytes(), &limits), reason, "{wrong:?}");
    }
}

#[test]
fn lines_extensions_and_trailers_are_bounded() {
    let limits = Limits { chunk_line: 8, chunk_extensions: 16, trailers: 16, ..Limits::default() };
    let too_long = |text: &str| elements(text.as_bytes(), &limits);
    assert!(too_long("1;ab\r\nx\r\n0\r\n\r\n").is_ok());
    assert_eq!(too_long("00000000"), Err(Reason::ChunkLineTooLong));
    assert_eq!(too_long("1;abcdefgh"), Err(Reason::ChunkLineTooLong));
    let chatty = "1;ab\r\nx\r\n".repeat(3);
    assert_eq!(too_long(&chatty), Err(Reason::ChunkExtensionsTooLong));
    assert_eq!(too_long("0\r\nA: 0123456789abcdef"), Err(Reason::TrailersTooLarge));
}

#[test]
fn chunks_are_written_as_they_are_read() {
    let mut out = Vec::new();
    encode::chunk(&mut out, &[b'x'; 26]);
    encode::chunk(&mut out, b"");
    encode::chunk_head(&mut out, 0);
    out.extend_from_slice(encode::LAST);
    assert!(out.starts_with(b"1a\r\nx") && out.ends_with(b"x\r\n0\r\n\r\n"));
    assert_eq!(elements(&out, &Limits::default()).unwrap().len(), 5);
}
