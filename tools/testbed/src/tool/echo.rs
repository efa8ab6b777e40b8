//! A server that tells its name. TCP: the name and a line end, then whatever comes is sent back.
//! UDP: each datagram is answered with the name, the datagram's length and its fingerprint.

use super::local;
use anyhow::Result;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    name: String,
    #[arg(required = true)]
    ports: Vec<u16>,
}

/// Serves until it is killed.
pub fn run(args: Args) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<()> {
    let name = Arc::<str>::from(args.name);
    for port in args.ports {
        // An answer must come from the address that was asked, which a socket bound to every
        // address would not see to.
        for address in local::addresses()? {
            let socket = shared_udp(SocketAddr::new(address, port))?;
            tokio::spawn(datagrams(socket, name.clone()));
        }
        let socket = TcpSocket::new_v6()?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
        tokio::spawn(connections(socket.listen(65_535)?, name.clone()));
    }
    std::future::pending().await
}

/// A socket that shares its port with other processes.
fn shared_udp(address: SocketAddr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

async fn datagrams(socket: UdpSocket, name: Arc<str>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An error is an ICMP answer to an earlier datagram.
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else { continue };
        let datagram = &buffer[..len];
        let answer = format!("{name} {len} {:016x}", local::fingerprint(datagram));
        let _ = socket.send_to(answer.as_bytes(), from).await;
    }
}

async fn connections(listener: TcpListener, name: Arc<str>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(converse(stream, name.clone()));
    }
}

async fn converse(mut stream: TcpStream, name: Arc<str>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    loop {
        stream.readable().await?;
        let mut buffer = [0; 4096];
        let len = match stream.try_read(&mut buffer) {
            Ok(0) => return stream.shutdown().await,
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        write_back(&mut stream, &buffer[..len]).await?;
    }
}

/// Apart from the loop above, so that its large buffer is not part of every idle connection.
async fn write_back(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let bytes = bytes.to_vec();
    stream.write_all(&bytes).await
}
