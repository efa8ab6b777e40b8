//! Many connections at once, kept open, and told by lines on standard input what to do. Each line
//! is answered by one line of JSON, a [`Round`].
//!
//! `open N`, `ping`, `say BYTES`, `pump SECONDS`, `refused N`, `close`, `abort`

use super::local;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datagrams instead of connections.
    #[arg(long)]
    udp: bool,
    /// Connections being opened, or spoken on, at the same time.
    #[arg(long, default_value_t = 500)]
    parallel: usize,
    /// Seconds that an answer may take.
    #[arg(long, default_value_t = 10)]
    patience: u64,
    /// Where to connect to.
    target: SocketAddr,
    /// Where from, in turn.
    #[arg(required = true)]
    sources: Vec<IpAddr>,
}

/// What one round over all connections gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// By server: connections that did what they were told.
    pub ok: BTreeMap<String, u64>,
    /// By server: connections that did not; the server is empty if it is not known.
    pub failed: BTreeMap<String, u64>,
    /// What the first failure said.
    pub first_error: Option<String>,
    /// By source address: the servers that it got.
    pub by_source: BTreeMap<IpAddr, BTreeMap<String, u64>>,
    /// Bytes that came back.
    pub bytes: u64,
    /// Milliseconds that the round took.
    pub took_ms: u64,
    /// The longest that any one answer took, in milliseconds.
    pub slowest_ms: u64,
}

/// Serves standard input to its end.
pub fn run(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut swarm = Swarm { args, opened: 0, flows: Vec::new() };
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await? {
            let begun = Instant::now();
            let mut round = swarm.obey(&line).await?;
            round.took_ms = begun.elapsed().as_millis() as u64;
            println!("{}", serde_json::to_string(&round)?);
        }
        Ok(())
    })
}

struct Swarm {
    args: Args,
    opened: usize,
    flows: Vec<Flow>,
}

/// One connection, or a UDP socket that speaks to one address.
struct Flow {
    stream: Stream,
    source: IpAddr,
    server: String,
    number: u64,
}

enum Stream {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

/// What is done with each flow in a round.
#[derive(Clone, Copy)]
enum Task {
    Say(usize),
    Pump(Duration),
}

impl Swarm {
    async fn obey(&mut self, line: &str) -> Result<Round> {
        let mut words = line.split_whitespace();
        let verb = words.next().context("an empty line")?;
        let number = words.next().map(str::parse::<u64>).transpose()?;
        match (verb, number) {
            ("open", Some(count)) => self.open(count as usize).await,
            ("refused", Some(count)) => self.refused(count as usize).await,
            ("ping", None) => self.each(Task::Say(16)).await,
            ("say", Some(bytes)) => self.each(Task::Say(bytes as usize)).await,
            ("pump", Some(seconds)) => self.each(Task::Pump(Duration::from_secs(seconds))).await,
            ("close", None) => self.close(false),
            ("abort", None) => self.close(true),
            _ => bail!("what is \"{line}\"?"),
        }
    }

    /// Opens so many more and hears the server's name on each.
    async fn open(&mut self, count: usize) -> Result<Round> {
        let mut round = Round::default();
        let mut running = JoinSet::new();
        for _ in 0..count {
            while running.len() >= self.args.parallel {
                self.settle(running.join_next().await, &mut round)?;
            }
            let (source, number) = self.next_source();
            let (target, udp) = (self.args.target, self.args.udp);
            let patience = self.patience();
            running.spawn(async move {
                let begun = Instant::now();
                let opened = async {
                    if udp {
                        open_udp(source, target).await
                    } else {
                        open_tcp(source, target).await
                    }
                };
                let result = match tokio::time::timeout(patience, opened).await {
                    Ok(Ok((stream, server))) => {
                        Ok(Flow { stream, source: source.ip(), server, number })
                    }
                    Ok(Err(error)) => Err((String::new(), format!("{error:#}"))),
                    Err(_) => Err((String::new(), "no name in time".to_owned())),
                };
                (result, 0, begun.elapsed())
            });
        }
        while let Some(joined) = running.join_next().await {
            self.settle(Some(joined), &mut round)?;
        }
        Ok(round)
    }

    /// Sources in turn, each with its own ports in turn.
    fn next_source(&mut self) -> (SocketAddr, u64) {
        let sources = self.args.sources.len();
        let (source, turn) = (self.args.sources[self.opened % sources], self.opened / sources);
        self.opened += 1;
        (SocketAddr::new(source, 10_000 + (turn % 50_000) as u16), self.opened as u64)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.args.patience)
    }

    fn settle(&mut self, joined: Option<Joined>, round: &mut Round) -> Result<()> {
        let (result, bytes, took) = joined.context("nothing to wait for")??;
        round.bytes += bytes;
        match result {
            Ok(flow) => {
                round.slowest_ms = round.slowest_ms.max(took.as_millis() as u64);
                *round.ok.entry(flow.server.clone()).or_default() += 1;
                let servers = round.by_source.entry(flow.source).or_default();
                *servers.entry(flow.server.clone()).or_default() += 1;
                self.flows.push(flow);
            }
            Err((server, error)) => {
                *round.failed.entry(server).or_default() += 1;
                round.first_error.get_or_insert(error);
            }
        }
        Ok(())
    }

    /// One task on each flow; flows that fail are dropped.
    async fn each(&mut self, task: Task) -> Result<Round> {
        let mut round = Round::default();
        let mut running: JoinSet<Settled> = JoinSet::new();
        let parallel = match task {
            Task::Say(_) => self.args.parallel,
            Task::Pump(_) => usize::MAX,
        };
        for mut flow in std::mem::take(&mut self.flows) {
            while running.len() >= parallel {
                self.settle(running.join_next().await, &mut round)?;
            }
            let patience = self.patience();
            running.spawn(async move {
                let begun = Instant::now();
                let done = match task {
                    Task::Say(len) => flow.ping(len, patience).await,
                    Task::Pump(time) => flow.pump(time, patience).await,
                };
                match done {
                    Ok(bytes) => (Ok(flow), bytes, begun.elapsed()),
                    Err(error) => (Err((flow.server, format!("{error:#}"))), 0, begun.elapsed()),
                }
            });
        }
        while let Some(joined) = running.join_next().await {
            self.settle(Some(joined), &mut round)?;
        }
        Ok(round)
    }

    /// Sends so many datagrams, each of which must come back as "port unreachable".
    async fn refused(&mut self, count: usize) -> Result<Round> {
        let mut round = Round::default();
        for _ in 0..count {
            let (source, _) = self.next_source();
            let socket = UdpSocket::bind(source).await?;
            socket.connect(self.args.target).await?;
            socket.send(b"is nobody there?").await?;
            let mut buffer = [0; 16];
            let answer = tokio::time::timeout(self.patience(), socket.recv(&mut buffer)).await;
            match answer {
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    *round.ok.entry("refused".to_owned()).or_default() += 1;
                }
                other => {
                    *round.failed.entry(String::new()).or_default() += 1;
                    round.first_error.get_or_insert(format!("{other:?}"));
                }
            }
        }
        Ok(round)
    }

    /// Closes all; with resets, if told so, so that nothing of them lingers.
    fn close(&mut self, abort: bool) -> Result<Round> {
        let mut round = Round::default();
        for flow in self.flows.drain(..) {
            if let (Stream::Tcp(stream), true) = (&flow.stream, abort) {
                socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
            }
            *round.ok.entry(flow.server).or_default() += 1;
        }
        Ok(round)
    }
}

type Settled = (Result<Flow, (String, String)>, u64, Duration);
type Joined = Result<Settled, tokio::task::JoinError>;

async fn open_tcp(source: SocketAddr, target: SocketAddr) -> Result<(Stream, String)> {
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(source).context("bind")?;
    let mut stream = socket.connect(target).await.context("connect")?;
    stream.set_nodelay(true)?;
    let mut name = Vec::new();
    loop {
        match stream.read_u8().await.context("read the name")? {
            b'\n' => break,
            byte => name.push(byte),
        }
    }
    Ok((Stream::Tcp(stream), String::from_utf8(name)?))
}

async fn open_udp(source: SocketAddr, target: SocketAddr) -> Result<(Stream, String)> {
    let socket = UdpSocket::bind(source).await.context("bind")?;
    socket.connect(target).await?;
    let mut flow =
        Flow { stream: Stream::Udp(socket), source: source.ip(), server: String::new(), number: 0 };
    flow.exchange(&[0; 16]).await?;
    Ok((flow.stream, flow.server))
}

impl Flow {
    /// Sends so many bytes that nobody else sends, and waits for them to come back.
    async fn ping(&mut self, len: usize, patience: Duration) -> Result<u64> {
        self.number = self.number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let message: Vec<u8> = self.number.to_le_bytes().into_iter().cycle().take(len).collect();
        match tokio::time::timeout(patience, self.exchange(&message)).await {
            Ok(done) => done.map(|()| len as u64),
            Err(_) => bail!("no answer in time"),
        }
    }

    /// Pings again and again.
    async fn pump(&mut self, time: Duration, patience: Duration) -> Result<u64> {
        let deadline = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < deadline {
            bytes += self.ping(1_000, patience).await?;
        }
        Ok(bytes)
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<()> {
        let mut answer = vec![0; message.len().max(256)];
        match &mut self.stream {
            Stream::Tcp(stream) => {
                let answer = &mut answer[..message.len()];
                // At once, because no buffer on the way need hold it all.
                let (mut from, mut to) = stream.split();
                tokio::try_join!(to.write_all(message), from.read_exact(answer))?;
                if answer != message {
                    bail!("another answer than expected");
                }
            }
            Stream::Udp(socket) => {
                socket.send(message).await?;
                let len = socket.recv(&mut answer).await?;
                self.server = udp_server(&answer[..len], message)?;
            }
        }
        Ok(())
    }
}

/// The server's name out of its answer to a datagram, if it got this very datagram.
pub fn udp_server(answer: &[u8], message: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(answer)?;
    let (name, got) = text.split_once(' ').context("no name in the answer")?;
    if got != format!("{} {:016x}", message.len(), local::fingerprint(message)) {
        bail!("{name} got another datagram: {got}");
    }
    Ok(name.to_owned())
}
