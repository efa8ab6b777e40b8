//! Large UDP datagrams cut into fragments, which are sent in an order that no kernel would use.

use super::flood::mac;
use super::packet_socket::PacketSocket;
use super::swarm::{Round, udp_server};
use crate::frame::{self, Piece};
use crate::servers::files::SplitMix;
use anyhow::Result;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Payload of each fragment but the last. IPv4: fills 1,500 bytes, so a tunnel has to cut it
/// again. IPv6: fits through a tunnel, because routers do not cut there.
const PIECE_V4: usize = 1_480;
const PIECE_V6: usize = 1_232;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Interface to send by.
    device: String,
    /// Where frames go, twelve hexadecimal digits.
    mac: String,
    /// Our own end; the port is the first of those used, one for each datagram.
    source: SocketAddr,
    /// Whom to send to.
    target: SocketAddr,
    /// How many datagrams.
    count: u16,
    /// Bytes in each.
    bytes: usize,
}

/// Sends them and prints what was answered, as a [`Round`].
pub fn run(args: &Args) -> Result<()> {
    let packets = PacketSocket::open(&args.device)?;
    let mac = mac(&args.mac)?;
    let mut numbers = SplitMix(args.bytes as u64);
    let mut round = Round::default();
    for number in 0..args.count {
        let source = SocketAddr::new(args.source.ip(), args.source.port() + number);
        let socket = UdpSocket::bind(source)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let payload: Vec<u8> = (0..args.bytes).map(|_| numbers.next() as u8).collect();
        let datagram = frame::datagram(source, args.target, &payload);
        let id = numbers.next() as u32;
        for (offset, more, piece) in
            order(&datagram, if source.is_ipv4() { PIECE_V4 } else { PIECE_V6 }, number)
        {
            let piece_of = Piece { id, offset, more };
            let packet =
                frame::packet(source.ip(), args.target.ip(), frame::UDP, Some(piece_of), piece);
            packets.send(&frame::ethernet(mac, packets.mac(), &packet))?;
        }
        let mut answer = [0; 256];
        let answered = match socket.recv_from(&mut answer) {
            Ok((len, _)) => udp_server(&answer[..len], &payload),
            Err(error) => Err(error.into()),
        };
        match answered {
            Ok(server) => *round.ok.entry(server).or_default() += 1,
            Err(error) => {
                *round.failed.entry(String::new()).or_default() += 1;
                round.first_error.get_or_insert(error.to_string());
            }
        }
    }
    println!("{}", serde_json::to_string(&round)?);
    Ok(())
}

type Cut<'a> = (u16, bool, &'a [u8]);

/// In turn: last one first, first one last but the others in order, odd ones first, in order.
fn order(datagram: &[u8], piece: usize, number: u16) -> Vec<Cut<'_>> {
    let count = datagram.len().div_ceil(piece);
    let cut = |(i, bytes)| ((i * piece) as u16, i + 1 < count, bytes);
    let mut pieces: Vec<Cut<'_>> = datagram.chunks(piece).enumerate().map(cut).collect();
    match number % 4 {
        0 => pieces.reverse(),
        1 => pieces.rotate_left(1),
        2 => pieces.sort_by_key(|(offset, ..)| (usize::from(*offset) / piece).is_multiple_of(2)),
        _ => {}
    }
    pieces
}
