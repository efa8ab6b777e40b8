//! A whole server in a page: one thread a connection, blocking sockets, each request answered by
//! as many octets as its path says (`/128`), each body counted. To hold this crate against other
//! people's clients: `cargo run --release -p http2 --example serve -- 127.0.0.1:8080`, then
//! `h2load -n 100000 -c 16 -m 16 http://127.0.0.1:8080/128`, `nghttp -v`, `curl
//! --http2-prior-knowledge`, or a conformance suite.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use http2::{Connection, Event, Head, Settings, StreamId};

/// What is still to be done on a stream.
#[derive(Default)]
struct Work {
    /// Octets to send.
    length: usize,
    /// The request has ended, and so the answer may begin.
    begun: bool,
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    for socket in TcpListener::bind(address)?.incoming() {
        let socket = socket?;
        std::thread::spawn(move || {
            if let Err(error) = serve(socket) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut connection = Connection::server(Settings::default());
    let (mut head, mut work) = (Head::default(), BTreeMap::new());
    let mut buffer = vec![0; 32_768];
    let mut rest = 0..0;
    while !connection.is_done() {
        if rest.is_empty() {
            rest = 0..socket.read(&mut buffer)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
        let bytes = buffer.get(rest.clone()).unwrap_or_default();
        match take(&mut connection, bytes, &mut head, &mut work) {
            Ok(taken) => rest.start += taken,
            Err(broken) => eprintln!("{broken} {:?}", connection.last_flaw()),
        }
        // A full output stops the sending; so again, until windows do.
        send(&mut connection, &mut work);
        while !connection.output().is_empty() {
            socket.write_all(connection.output())?;
            connection.output().clear();
            send(&mut connection, &mut work);
        }
    }
    Ok(())
}

fn take(
    connection: &mut Connection,
    bytes: &[u8],
    head: &mut Head,
    work: &mut BTreeMap<StreamId, Work>,
) -> Result<usize, http2::Broken> {
    let mut taken = 0;
    loop {
        let step = connection.receive(bytes.get(taken..).unwrap_or_default(), head)?;
        taken += step.taken;
        match step.event {
            None => return Ok(taken),
            Some(Event::Head { stream, end }) => {
                let path = str::from_utf8(head.path()).unwrap_or_default();
                let length = path.trim_start_matches('/').parse().unwrap_or(0);
                work.insert(stream, Work { length, begun: end });
            }
            Some(Event::Data { stream, data, end }) => {
                connection.give_back(stream, data.len());
                work.entry(stream).and_modify(|work| work.begun |= end);
            }
            Some(Event::Trailers { stream }) => {
                work.entry(stream).and_modify(|work| work.begun = true);
            }
            Some(Event::Reset { stream, .. }) => {
                work.remove(&stream);
            }
            Some(_) => {}
        }
    }
}

/// Sends what the windows allow.
fn send(connection: &mut Connection, work: &mut BTreeMap<StreamId, Work>) {
    const BODY: [u8; 16_384] = [b'x'; 16_384];
    work.retain(|&stream, work| {
        if !work.begun {
            return true;
        }
        if connection.tag(stream) == Some(0) {
            let length = work.length.to_string();
            let fields =
                [(&b"Server"[..], &b"example"[..]), (b"Content-Length", length.as_bytes())];
            if connection.respond(stream, 200, fields, work.length == 0).is_err() {
                return false;
            }
            connection.set_tag(stream, 1);
        }
        while work.length > 0 {
            let piece = BODY.get(..work.length).unwrap_or(&BODY);
            match connection.send_data(stream, piece, piece.len() == work.length) {
                Err(_) => return false,
                Ok(0) => return true,
                Ok(sent) => work.length -= sent,
            }
        }
        false
    });
}
