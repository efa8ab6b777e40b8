//! An HTTP server that keeps every octet that it receives, and answers each whole request with
//! whatever octets it was told to. Lines on standard input, each answered by one line:
//! `answer OCTETS PIECE`, `usual`, `take`; octets are hexadecimal, `-` is none.

use super::hex;
use super::table::reader;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What a request begins with that is not recorded, and is answered by [`SENTINEL`] always.
pub const SENTINEL_REQUEST: &[u8] = b"GET /sentinel ";
/// No other answer has this in it.
pub const SENTINEL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsentinel";
const USUAL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// After an answer that it was told to give it waits so long for more, and closes.
const LINGER: Duration = Duration::from_millis(100);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    port: u16,
}

#[derive(Default)]
struct Shared {
    /// In the order of arrival, over all connections.
    received: Vec<u8>,
    /// In place of the usual one, in pieces of so many octets.
    answer: Option<(Vec<u8>, usize)>,
}

type Book = Arc<Mutex<Shared>>;

/// Serves until standard input ends.
pub fn run(args: &Args) -> Result<()> {
    let book = Book::default();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, args.port))?;
    let of_clients = book.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let book = of_clients.clone();
            std::thread::spawn(move || serve(stream, &book));
        }
    });
    for line in std::io::stdin().lock().lines() {
        println!("{}", obey(&line?, &book)?);
    }
    Ok(())
}

fn obey(line: &str, book: &Book) -> Result<String> {
    let mut book = open(book);
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["answer", octets, piece] => book.answer = Some((hex::read(octets)?, piece.parse()?)),
        ["usual"] => book.answer = None,
        ["take"] => return Ok(hex::write(&std::mem::take(&mut book.received))),
        _ => bail!("what is \"{line}\"?"),
    }
    Ok("done".to_owned())
}

fn open(book: &Book) -> MutexGuard<'_, Shared> {
    book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One connection. That it is not canonical what comes ends the thread, and with it the
/// connection.
fn serve(mut stream: TcpStream, book: &Book) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut seen, mut answered, mut buffer) = (Vec::new(), 0, [0; 16_384]);
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) if count > 0 => count,
            _ => return Ok(()),
        };
        let new = buffer.get(..count).context("more than there is room for")?;
        seen.extend_from_slice(new);
        if !new.starts_with(SENTINEL_REQUEST) {
            open(book).received.extend_from_slice(new);
        }
        let (requests, _) = reader::requests(&seen);
        for request in requests.iter().skip(answered) {
            let is_sentinel = request.first_line.as_bytes().starts_with(SENTINEL_REQUEST);
            let told = if is_sentinel { None } else { open(book).answer.clone() };
            let usual = if is_sentinel { SENTINEL } else { USUAL };
            match told {
                Some((octets, piece)) => {
                    write_pieces(&mut stream, &octets, piece)?;
                    stream.set_read_timeout(Some(LINGER))?;
                }
                None => stream.write_all(usual)?,
            }
        }
        answered = requests.len();
    }
}

/// Octets in pieces, each in a segment of its own as far as that can be asked for.
pub fn write_pieces(stream: &mut TcpStream, octets: &[u8], piece: usize) -> std::io::Result<()> {
    for part in octets.chunks(piece.max(1)) {
        stream.write_all(part)?;
        std::thread::yield_now();
    }
    Ok(())
}
