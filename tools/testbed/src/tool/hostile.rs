//! Web clients that mean harm by being slow, told by lines on standard input what to do:
//! `open KIND COUNT` is answered by how many have connected, `ends` by one line of JSON, [`Ends`].

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// Between two looks whether one who does not read was ended.
const LOOK: Duration = Duration::from_secs(1);
/// Being connected at the same time.
const PARALLEL: u32 = 200;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    target: SocketAddr,
    /// Seconds between two words of one client.
    pause: u64,
    /// Where from, in turn.
    #[arg(required = true)]
    sources: Vec<IpAddr>,
}

/// How a client is a nuisance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Slowloris: a head octet by octet.
    Head,
    /// A head field by field, without an end.
    Fields,
    /// The same as fast as it goes.
    Flood,
    /// Asks for what is large and does not read it.
    Read,
    /// Says nothing at all.
    Mute,
    /// Means no harm: has asked once, and keeps its connection. It is there to be compared with.
    Calm,
}

impl Kind {
    /// Every kind with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("head", Self::Head),
        ("fields", Self::Fields),
        ("flood", Self::Flood),
        ("read", Self::Read),
        ("mute", Self::Mute),
        ("calm", Self::Calm),
    ];
}

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ends {
    /// Connections that are open.
    pub open: u64,
    /// By kind: how they ended, and how often. A status is that of an answer before the end.
    pub ended: BTreeMap<Kind, BTreeMap<String, u64>>,
}

/// Serves standard input to its end.
pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let (ends, mut opened) = (Rc::<RefCell<Ends>>::default(), 0);
        while let Some(line) = lines.next_line().await? {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["open", kind, count] => {
                    let kind = Kind::WORDS.iter().find(|(word, _)| *word == kind);
                    let Some((_, kind)) = kind else { bail!("what is \"{line}\"?") };
                    let count: u32 = count.parse()?;
                    println!("{}", open(args, *kind, count, &mut opened, &ends).await?);
                }
                ["ends"] => println!("{}", serde_json::to_string(&*ends.borrow())?),
                _ => bail!("what is \"{line}\"?"),
            }
        }
        Ok(())
    })
}

/// Connects some at a time, and leaves each to itself.
async fn open(
    args: &Args,
    kind: Kind,
    count: u32,
    opened: &mut usize,
    ends: &Rc<RefCell<Ends>>,
) -> Result<u32> {
    let mut connected = 0;
    while connected < count {
        let mut some = Vec::new();
        for _ in connected..count.min(connected + PARALLEL) {
            let source = args.sources[*opened % args.sources.len()];
            *opened += 1;
            some.push(tokio::task::spawn_local(connect(source, args.target)));
        }
        for stream in some {
            let stream = stream.await??;
            connected += 1;
            ends.borrow_mut().open += 1;
            let (ends, pause) = (ends.clone(), Duration::from_secs(args.pause));
            tokio::task::spawn_local(async move {
                let end = annoy(kind, stream, pause).await;
                let mut ends = ends.borrow_mut();
                ends.open -= 1;
                *ends.ended.entry(kind).or_default().entry(end).or_default() += 1;
            });
        }
    }
    Ok(connected)
}

async fn connect(source: IpAddr, target: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket.connect(target).await?)
}

/// One client, until the other side has had enough; how that showed.
async fn annoy(kind: Kind, mut stream: TcpStream, pause: Duration) -> String {
    let _ = stream.write_all(kind.begins()).await;
    if kind == Kind::Read {
        // It would see the end behind what it does not read, were it not a reset.
        loop {
            sleep(LOOK).await;
            if let Ok(Some(error)) = stream.take_error() {
                return error.kind().to_string();
            }
        }
    }
    let (mut reader, mut writer) = stream.split();
    let mut answer = vec![0; 64];
    loop {
        let pause = if kind == Kind::Flood { Duration::from_micros(1) } else { pause };
        match timeout(pause, reader.read(&mut answer)).await {
            Err(_) => {
                let _ = writer.write_all(kind.goes_on()).await;
            }
            Ok(Ok(1..)) if kind == Kind::Calm => {}
            Ok(Ok(count)) if count > 9 => {
                let status = answer.get(9..12).unwrap_or_default();
                return String::from_utf8_lossy(status).into_owned();
            }
            Ok(Ok(_)) => return "closed".to_owned(),
            Ok(Err(error)) => return error.kind().to_string(),
        }
    }
}

impl Kind {
    fn begins(self) -> &'static [u8] {
        match self {
            Self::Mute => b"",
            Self::Calm => b"GET /name HTTP/1.1\r\nHost: a\r\n\r\n",
            Self::Read => b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
            Self::Head | Self::Fields | Self::Flood => b"GET /name HTTP/1.1\r\nHost: a\r\nX",
        }
    }

    /// What it says after a while.
    fn goes_on(self) -> &'static [u8] {
        match self {
            Self::Head => b"x",
            Self::Fields => b": an octet more\r\nX-And-On",
            Self::Flood => b": 0123456789012345678901234567890123456789012345678901234567890\r\nX",
            Self::Read | Self::Mute | Self::Calm => b"",
        }
    }
}
