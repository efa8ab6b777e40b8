//! A TCP server that does what a script says.

use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Serves one connection.
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<String>,
}

/// What it does with the connection when it has read the request's head.
#[derive(Clone)]
pub enum Do {
    /// Keeps it open and says nothing.
    Silence,
    /// Sends this and then nothing; the connection stays open.
    Send(Vec<u8>),
    /// Sends this and closes.
    SendAndClose(Vec<u8>),
    /// Sends the first, then the second byte by byte for ever.
    Drip(Vec<u8>, u8),
    /// Sends the first, then the second as fast as it goes.
    Flood(Vec<u8>, Vec<u8>),
    /// Resets it.
    Reset,
}

impl Server {
    pub async fn run(script: Do) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, script).await
        });
        Self { address, task }
    }

    /// The head of the request that it got.
    pub async fn request(self) -> String {
        self.task.await.unwrap()
    }
}

async fn serve(stream: TcpStream, script: Do) -> String {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            return head;
        }
    }
    // Errors from here on are the probe's: it has heard enough.
    let _ = follow(stream.into_inner(), script).await;
    head
}

async fn follow(mut stream: TcpStream, script: Do) -> std::io::Result<()> {
    match script {
        Do::Silence => {}
        Do::Send(bytes) => stream.write_all(&bytes).await?,
        Do::SendAndClose(bytes) => return stream.write_all(&bytes).await,
        Do::Drip(first, byte) => {
            stream.set_nodelay(true)?;
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        Do::Flood(first, again) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&again).await?;
            }
        }
        Do::Reset => return stream.set_zero_linger(),
    }
    // Until the probe has closed.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}
