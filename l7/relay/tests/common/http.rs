//! HTTP/1 clients and real servers, written without the crate that is tested.

use super::{PATIENCE, RealServer, vip};
use l7_api::{Http, Listen, PortRange, Server, Service};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// First line and fields, each with CRLF.
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Message {
    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a field.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let same = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.trim()).collect()
    }

    pub fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One end of a connection that carries messages.
pub struct Peer<S: Read = TcpStream> {
    pub reader: BufReader<S>,
}

impl Peer<TcpStream> {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub fn connect(to: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&to, PATIENCE).unwrap())
    }
}

impl<S: Read + Write> Peer<S> {
    pub fn over(stream: S) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, stream) }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// A request without a body, and its response.
    pub fn get(&mut self, path: &str) -> io::Result<Message> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
        self.response(false)
    }

    /// A head; an error of kind `UnexpectedEof` if the other end has closed before it.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.reader.read_line(&mut head)? == 0 {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(io::Error::new(kind, format!("ended in a head: {head:?}")));
            }
            if &head[before..] == "\r\n" {
                head.truncate(before);
                return Ok(head);
            }
        }
    }

    pub fn request(&mut self) -> io::Result<Message> {
        let mut message = Message { head: self.head()?, ..Message::default() };
        self.body(&mut message, false)?;
        Ok(message)
    }

    pub fn response(&mut self, to_head: bool) -> io::Result<Message> {
        let mut message = Message { head: self.head()?, ..Message::default() };
        let status = message.status();
        if !to_head && status >= 200 && status != 204 && status != 304 {
            self.body(&mut message, true)?;
        }
        Ok(message)
    }

    fn body(&mut self, message: &mut Message, may_end_by_close: bool) -> io::Result<()> {
        if message.values("Transfer-Encoding") == ["chunked"] {
            return self.chunks(message);
        }
        let length = message.values("Content-Length").first().map(|text| text.parse().unwrap());
        match length {
            Some(length) => {
                message.body = vec![0; length];
                self.reader.read_exact(&mut message.body)
            }
            None if may_end_by_close => self.reader.read_to_end(&mut message.body).map(|_| ()),
            None => Ok(()),
        }
    }

    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim_end(), 16);
            let size = size.unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
            if size == 0 {
                message.trailers = self.head()?;
                return Ok(());
            }
            let start = message.body.len();
            message.body.resize(start + size + 2, 0);
            self.reader.read_exact(&mut message.body[start..])?;
            assert_eq!(&message.body[start + size..], b"\r\n");
            message.body.truncate(start + size);
        }
    }

    /// Whether the other end closes without a word.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

/// A response with a length.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A real server that answers each request by `answer`; an empty answer closes.
pub fn server(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> RealServer {
    RealServer::new(move |stream| {
        let mut peer = Peer::new(stream);
        while let Ok(request) = peer.request() {
            let bytes = answer(&request);
            if bytes.is_empty() || peer.send(&bytes).is_err() {
                return;
            }
        }
    })
}

/// A service in HTTP mode on an address of its own.
pub fn http_service(id: u32, servers: Vec<Server>) -> Service {
    let listen = vec![Listen { address: vip(), ports: PortRange::one(super::PORT) }];
    Service { listen, servers, ..Service::http(id, &format!("service-{id}")) }
}

/// The same with other settings.
pub fn with(service: Service, change: impl FnOnce(&mut Http)) -> Service {
    let mut service = service;
    change(&mut service.http);
    service
}
