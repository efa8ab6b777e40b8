//! The slow twin: a reader of forwarded streams that knows only the canonical form, written
//! without the crate. What it cannot read, a server could misread.

/// A message as any reader of the canonical form must see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub first_line: String,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Message {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let same = |field: &&(String, Vec<u8>)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| &value[..]).collect()
    }
}

/// All requests in a stream, and whether the last is cut short.
///
/// # Panics
/// The stream is not canonical.
pub fn requests(mut stream: &[u8]) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let Some((mut message, rest)) = head(stream) else { return (messages, true) };
        assert_request(&message);
        let Some(rest) = body(&mut message, rest) else { return (messages, true) };
        messages.push(message);
        stream = rest;
    }
    (messages, false)
}

fn assert_request(message: &Message) {
    let parts: Vec<&str> = message.first_line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { panic!("{message:?}") };
    assert!(!method.is_empty() && method != "CONNECT" && method != "TRACE", "{message:?}");
    assert!(target.starts_with('/') || (target == "*" && method == "OPTIONS"), "{message:?}");
    assert_eq!(message.values("host").len(), 1, "{message:?}");
}

/// Head, and what is behind it. `None`: it is cut short.
fn head(stream: &[u8]) -> Option<(Message, &[u8])> {
    let end = stream.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = (&stream[..end + 2], &stream[end + 4..]);
    let mut lines = lines(head).into_iter();
    let first_line = String::from_utf8_lossy(lines.next().unwrap()).into_owned();
    let fields = lines.map(field).collect();
    Some((Message { first_line, fields, body: Vec::new(), trailers: Vec::new() }, rest))
}

/// Lines that end in CRLF, with neither CR nor LF elsewhere.
fn lines(section: &[u8]) -> Vec<&[u8]> {
    let text = section.strip_suffix(b"\r\n").expect("a last line end");
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    for line in &lines {
        let control = |&byte: &u8| byte < b' ' && byte != b'\t' || byte == 0x7f;
        assert!(!line.is_empty() && !line.iter().any(control), "{line:?}");
    }
    lines
}

/// `token: value`, exactly.
fn field(line: &[u8]) -> (String, Vec<u8>) {
    let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    assert!(!name.is_empty() && name.iter().all(token), "{line:?}");
    let value = value.strip_prefix(b" ").unwrap_or(value);
    assert_eq!(value.trim_ascii(), value, "no white space around a value: {line:?}");
    (String::from_utf8_lossy(name).into_owned(), value.to_vec())
}

/// Takes a body framed by at most one field; `None`: it is cut short.
fn body<'s>(message: &mut Message, stream: &'s [u8]) -> Option<&'s [u8]> {
    let folded = |name: &String| name.to_ascii_lowercase().replace('_', "-");
    let named = |name: &str| message.fields.iter().filter(|field| folded(&field.0) == name).count();
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    assert!(lengths + codings <= 1, "{message:?}");
    if codings == 1 {
        assert_eq!(message.values("Transfer-Encoding"), [b"chunked"], "{message:?}");
        return chunks(message, stream);
    }
    let Some(&length) = message.values("Content-Length").first() else { return Some(stream) };
    let text = std::str::from_utf8(length).unwrap();
    let number: u64 = text.parse().unwrap();
    assert_eq!(number.to_string(), text, "{message:?}");
    let number = usize::try_from(number).unwrap();
    message.body = stream.get(..number)?.to_vec();
    stream.get(number..)
}

fn chunks<'s>(message: &mut Message, mut stream: &'s [u8]) -> Option<&'s [u8]> {
    loop {
        let end = stream.windows(2).position(|two| two == b"\r\n")?;
        let text = std::str::from_utf8(&stream[..end]).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text:?}");
        assert!(text == "0" || !text.starts_with('0'), "{text:?}");
        let size = usize::from_str_radix(text, 16).unwrap();
        stream = &stream[end + 2..];
        if size == 0 {
            break;
        }
        message.body.extend(stream.get(..size)?);
        let (after, rest) = (stream.get(size..size + 2)?, &stream[size + 2..]);
        assert_eq!(after, b"\r\n");
        stream = rest;
    }
    if let Some(rest) = stream.strip_prefix(b"\r\n") {
        return Some(rest);
    }
    let end = stream.windows(4).position(|four| four == b"\r\n\r\n")?;
    message.trailers = lines(&stream[..end + 2]).into_iter().map(field).collect();
    Some(&stream[end + 4..])
}

/// The responses in a stream: interim ones, then a final one whose body is its rest.
pub fn responses(mut stream: &[u8], to_head: bool) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let Some((mut message, rest)) = head(stream) else { return (messages, true) };
        let status = status(&message);
        stream = rest;
        let bodiless = status < 200 || status == 204 || status == 304 || to_head;
        let framed =
            message.values("Content-Length").len() + message.values("Transfer-Encoding").len();
        if status < 200 || status == 204 {
            assert_eq!(framed, 0, "{message:?}");
        }
        if status == 101 || (!bodiless && framed == 0) {
            assert!(status == 101 || message.values("Connection") == [b"close"], "{message:?}");
            message.body = stream.to_vec();
            stream = b"";
        } else if !bodiless {
            let Some(rest) = body(&mut message, stream) else { return (messages, true) };
            stream = rest;
        }
        messages.push(message);
        if status >= 200 {
            assert!(stream.is_empty(), "octets behind the final response: {stream:?}");
        }
    }
    (messages, false)
}

fn status(message: &Message) -> u16 {
    let (version, rest) = message.first_line.split_at(9);
    assert_eq!(version, "HTTP/1.1 ", "{message:?}");
    assert!(rest.len() >= 4 && rest.as_bytes()[3] == b' ', "{message:?}");
    rest[..3].parse().unwrap()
}
