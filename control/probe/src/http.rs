//! An HTTP request, plain or within TLS, and whether its answer is good.

use crate::patience::{Patience, Readable};
use crate::target::{Http, Method};
use crate::{Failure, Target, connect, tls};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::Builder;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue,
    USER_AGENT,
};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// How much of an answer's head is read.
const HEAD: usize = 64 * 1024;
/// How much of a body is searched.
const BODY: usize = 64 * 1024;

type Ask = Request<Empty<Bytes>>;

/// Whether the request has a good answer.
pub async fn probe(target: &Target, http: &Http, patience: &Patience) -> Result<(), Failure> {
    let request = request(target, http).map_err(|e| Failure::ours(target.whom(), e))?;
    let stream = connect::open(target, patience).await?;
    let judge = Judge { target, http, patience, connected: Readable(patience.used()) };
    let verdict = match &http.tls {
        None => judge.exchange(stream, request).await,
        Some(tls) => {
            let stream = tls::open(target, http.host.as_deref(), tls, stream, patience).await?;
            judge.exchange(stream, request).await
        }
    };
    verdict.map_err(Failure::theirs)
}

fn request(target: &Target, http: &Http) -> Result<Ask, Box<dyn Error>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = match http.method {
        Method::Get => hyper::Method::GET,
        Method::Head => hyper::Method::HEAD,
        Method::Options => hyper::Method::OPTIONS,
    };
    *request.uri_mut() =
        http.path.parse::<Uri>().map_err(|e| format!("{:?} is no path: {e}", http.path))?;
    *request.headers_mut() = headers(target, http)?;
    Ok(request)
}

fn headers(target: &Target, http: &Http) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    for (name, value) in &http.headers {
        let parsed: HeaderName = name.parse().map_err(|e: InvalidHeaderName| e.to_string())?;
        let bad = |e: InvalidHeaderValue| format!("bad value of the header {name:?}: {e}");
        headers.append(parsed, value.parse::<HeaderValue>().map_err(bad)?);
    }
    let host = http.host.clone().unwrap_or_else(|| target.asked_at().to_string());
    headers.entry(HOST).or_insert(host.parse().map_err(|e| format!("bad host {host:?}: {e}"))?);
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("Fulcrum"));
    headers.entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
    Ok(headers)
}

/// Says what is wrong with an answer.
struct Judge<'a> {
    target: &'a Target,
    http: &'a Http,
    patience: &'a Patience,
    connected: Readable,
}

impl Judge<'_> {
    async fn exchange<S>(&self, stream: S, request: Ask) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = Builder::new();
        builder.max_buf_size(HEAD);
        let opened = builder.handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|e| self.no_answer(&e))?;
        let mut asked = pin!(async {
            let Ok(answer) = self.patience.lasts(sender.send_request(request)).await else {
                return Err(self.silent());
            };
            self.answer(answer.map_err(|e| self.no_answer(&e))?).await
        });
        // The connection is what moves the bytes. What it has left when it ends is still read.
        tokio::select! {
            verdict = &mut asked => verdict,
            _ = connection => asked.await,
        }
    }

    async fn answer(&self, answer: Response<Incoming>) -> Result<(), String> {
        let Self { target: Target { address, .. }, http, .. } = self;
        let status = answer.status();
        let good = if http.statuses.is_empty() { &[200][..] } else { &http.statuses };
        if !good.contains(&status.as_u16()) {
            let good: Vec<_> = good.iter().map(u16::to_string).collect();
            // With the reason phrase of the standard, not the server's: that could be anything.
            let phrase = status.canonical_reason().map(|p| format!(" {p}")).unwrap_or_default();
            let code = status.as_str();
            return Err(format!(
                "{address} answered {code}{phrase}, expected {}",
                good.join(" or ")
            ));
        }
        match &http.text {
            Some(text) => self.body(answer.into_body(), text).await,
            None => Ok(()),
        }
    }

    async fn body(&self, mut body: Incoming, text: &str) -> Result<(), String> {
        let mut seen = Vec::new();
        let address = self.target.whom();
        let lacks = |seen: &[u8], then: &str| {
            Err(format!("{address}: the body {then} {text:?} ({} bytes looked at)", seen.len()))
        };
        loop {
            if contains(&seen, text) {
                return Ok(());
            }
            if seen.len() == BODY {
                return lacks(&seen, "does not contain");
            }
            let Ok(frame) = self.patience.lasts(body.frame()).await else {
                let then =
                    format!("has not ended within {}, so far without", self.patience.whole());
                return lacks(&seen, &then);
            };
            match frame {
                None => return lacks(&seen, "does not contain"),
                Some(Err(_)) => return lacks(&seen, "was broken off without"),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    seen.extend_from_slice(&data[..data.len().min(BODY - seen.len())]);
                }
            }
        }
    }

    fn silent(&self) -> String {
        let Self { target: Target { address, .. }, patience, connected, .. } = self;
        let whole = patience.whole();
        format!("{address} sent no answer within {whole} (connected after {connected})")
    }

    fn no_answer(&self, error: &hyper::Error) -> String {
        let address = self.target.whom();
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if error.is_parse() {
            // Its own text names the part: the version, a header, a head that is too large.
            format!("{address} sent no readable HTTP answer: {error}")
        } else if error.is_incomplete_message() || io.is_some_and(is_end) {
            format!("{address} closed the connection without an answer")
        } else {
            format!("{address} gave no answer: {}", io.map_or(error as &dyn Error, |io| io))
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

fn contains(seen: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    text.is_empty() || seen.windows(text.len()).any(|window| window == text)
}
