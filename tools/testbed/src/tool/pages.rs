//! Web clients that keep their connections and go on asking for `/name`, told by lines on standard
//! input what to do: `start CLIENTS PAUSE`, the pause in milliseconds between two requests of one
//! client, is answered by `begun`; `stop` is answered by one line of JSON, a [`Report`].

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    target: SocketAddr,
}

/// What came of all requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Answers by server.
    pub servers: BTreeMap<String, u64>,
    /// Requests without a whole answer of status 200.
    pub failed: u64,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Connections that the other side closed, as it had said it would.
    pub closed: u64,
    /// Half of the answers took no longer, in microseconds.
    pub median_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
}

#[derive(Default)]
struct Shared {
    stop: Cell<bool>,
    report: RefCell<Report>,
    took: RefCell<Vec<u64>>,
}

/// Serves standard input to its end.
pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let (mut shared, mut clients) = (Rc::new(Shared::default()), Vec::new());
        while let Some(line) = lines.next_line().await? {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["start", count, pause] => {
                    shared = Rc::default();
                    let pause = Duration::from_millis(pause.parse()?);
                    clients = start(args.target, count.parse()?, pause, &shared);
                    println!("begun");
                }
                ["stop"] => {
                    shared.stop.set(true);
                    for client in clients.drain(..) {
                        client.await?;
                    }
                    println!("{}", serde_json::to_string(&shared.sum_up())?);
                }
                _ => bail!("what is \"{line}\"?"),
            }
        }
        Ok(())
    })
}

/// Their first requests are spread over one pause.
fn start(
    target: SocketAddr,
    count: u32,
    pause: Duration,
    shared: &Rc<Shared>,
) -> Vec<JoinHandle<()>> {
    let client = |number: u32| {
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            sleep(pause * number / count.max(1)).await;
            while !shared.stop.get() {
                if let Err(error) = converse(target, pause, &shared).await {
                    let mut report = shared.report.borrow_mut();
                    report.failed += 1;
                    report.first_error.get_or_insert(format!("{error:#}"));
                }
            }
        })
    };
    (0..count).map(client).collect()
}

/// One connection, until it is closed as was said, or all is over.
async fn converse(target: SocketAddr, pause: Duration, shared: &Shared) -> Result<()> {
    let connected = timeout(PATIENCE, TcpStream::connect(target)).await;
    let mut stream = BufReader::new(connected.context("connecting took too long")??);
    stream.get_mut().set_nodelay(true)?;
    while !shared.stop.get() {
        let begun = Instant::now();
        let answer = timeout(PATIENCE, ask(&mut stream, target)).await;
        let (server, closes) = answer.context("no answer in time")??;
        shared.took.borrow_mut().push(begun.elapsed().as_micros() as u64);
        *shared.report.borrow_mut().servers.entry(server).or_default() += 1;
        if closes {
            shared.report.borrow_mut().closed += 1;
            return Ok(());
        }
        sleep(pause).await;
    }
    Ok(())
}

/// The server's name, and whether this was the connection's last answer.
async fn ask(stream: &mut BufReader<TcpStream>, target: SocketAddr) -> Result<(String, bool)> {
    let request = format!("GET /name HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).await?;
    let (mut length, mut closes, mut is_first) = (0, false, true);
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "closed in place of an answer");
        let line = line.trim_end().to_ascii_lowercase();
        if std::mem::take(&mut is_first) {
            ensure!(line.starts_with("http/1.1 200"), "{line}");
        }
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse()?,
            Some(("connection", value)) => closes = value == "close",
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    ensure!(length <= 1024, "{length} bytes are no name");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.context("the answer is not whole")?;
    let text = String::from_utf8(body)?;
    Ok((text.split_whitespace().next().unwrap_or_default().to_owned(), closes))
}

impl Shared {
    fn sum_up(&self) -> Report {
        let mut took = self.took.take();
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
        Report { median_us: at(50), p99_us: at(99), ..self.report.take() }
    }
}
