//! One request and its response, over a client's connection and a server's.

mod protocol;

use crate::body::{Body, Progress};
use crate::edit::{RequestEdits, ResponseEdits};
use crate::framing::BodyFraming;
use crate::limits::Limits;
use crate::line::Scan;
use crate::refusal::{Reason, Refusal};
use crate::request::{Method, Parsed, RequestHead, Version};
use crate::response::ResponseHead;
use crate::write::{RequestHop, ResponseHop, write_request, write_response};
use protocol::Protocol;

/// What to do with the bytes of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep them and come back with more behind them.
    More,
    /// Keep them until the other side has moved: this side's turn is over.
    Hold,
    /// A head has been parsed. Decide, then call [`Exchange::forward_request`] or
    /// [`Exchange::answer_here`], or [`Exchange::forward_response`].
    Head,
    /// Send what was appended to `out`, then a range of the bytes, and drop what was taken. Then
    /// call again with what is left.
    Send(Progress),
}

/// What a forwarded response head was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// An interim response: another head follows.
    Interim,
    /// The final response: its body follows, if it has one.
    Final,
    /// The protocol has changed: from now on bytes pass unread, both ways.
    Tunnel,
}

/// What the end of a side's bytes means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It came between two messages: nothing is lost.
    Idle,
    /// It was the end of the response's body: see [`Exchange::finish`].
    Complete,
    /// This direction is over, the other goes on: pass a tunnel's end on, await a response.
    HalfOpen,
    /// A message was cut off: close both sides, so that no one takes it for a whole one. If no
    /// response has begun, a client can be told 502 when the server did it.
    Cut,
    /// The server closed before it answered anything. See [`Exchange::may_retry`].
    Unanswered,
}

/// What becomes of the two connections when a response has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The client's may carry another request: its next bytes go to [`Exchange::client`].
    pub client_stays: bool,
    /// The server's may carry another request, of anyone.
    pub server_stays: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Head(Scan),
    Body(Body),
    Done,
    Tunnel,
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Response {
    Idle,
    Head(Scan),
    Body(Body),
    Done,
    Tunnel,
    Broken,
}

/// The state of one client connection and, while a request is in progress, of the server
/// connection that carries it. It holds no byte of either.
///
/// The caller offers the bytes it has not yet dropped, from the start: [`Exchange::client`],
/// [`Exchange::server`]. It learns of heads, decides, and has them written; bodies come back as
/// ranges of its own bytes. The ends of the connections are told by `*_closed`.
#[derive(Debug, Clone)]
pub struct Exchange {
    limits: Limits,
    request: Request,
    response: Response,
    client: Version,
    to_head: bool,
    client_stays: bool,
    server_stays: bool,
    idempotent: bool,
    /// Nothing of the request's body has been dropped, and nothing has been answered.
    intact: bool,
    interim: u8,
    upgrade: Protocol,
}

impl Exchange {
    /// A connection that awaits its first request.
    pub fn new(limits: Limits) -> Exchange {
        Exchange {
            limits,
            request: Request::Head(Scan::default()),
            response: Response::Idle,
            client: Version::Http11,
            to_head: false,
            client_stays: false,
            server_stays: false,
            idempotent: false,
            intact: false,
            interim: 0,
            upgrade: Protocol::default(),
        }
    }

    /// Bytes of the client that have not been dropped. On [`Step::Head`], `head` is the request.
    ///
    /// # Errors
    /// The request is not forwarded, or no further: answer with the refusal's status if no
    /// response has begun, and close both sides.
    #[inline]
    pub fn client(
        &mut self,
        bytes: &[u8],
        head: &mut RequestHead,
        out: &mut Vec<u8>,
    ) -> Result<Step, Refusal> {
        let result = match &mut self.request {
            Request::Head(scan) => match head.parse(bytes, scan, &self.limits) {
                Ok(Parsed::Head(_)) => Ok(Step::Head),
                Ok(Parsed::More) => Ok(Step::More),
                Err(reason) => Err(reason),
            },
            Request::Body(body) => {
                let progress = body.forward(bytes, &self.limits, out);
                if body.is_done() {
                    self.request = Request::Done;
                }
                self.intact &= progress.as_ref().is_ok_and(|progress| progress.take == 0);
                progress.map(step)
            }
            Request::Tunnel => Ok(through(bytes)),
            Request::Done | Request::Broken => Ok(Step::Hold),
        };
        result.map_err(|reason| {
            self.request = Request::Broken;
            reason.by_client()
        })
    }

    /// Appends the request's head, as the server is to see it, to `out`. Returns how many of
    /// `bytes` to drop; they and `head` are those of the last [`Step::Head`].
    pub fn forward_request(
        &mut self,
        head: &RequestHead,
        bytes: &[u8],
        edits: &RequestEdits,
        out: &mut Vec<u8>,
    ) -> usize {
        if !matches!(self.request, Request::Head(_)) {
            return 0;
        }
        self.upgrade = Protocol::choose(head, bytes, edits.upgrades);
        let close = edits.close || head.has_odd_body();
        let hop = RequestHop { upgrade: self.upgrade.name(), close };
        write_request(head, bytes, edits, hop, out);
        self.client = head.version;
        self.to_head = head.method == Method::Head;
        self.client_stays = head.persists();
        self.server_stays = !close;
        self.idempotent = !matches!(head.method, Method::Post | Method::Patch | Method::Other);
        self.intact = true;
        self.interim = 0;
        let body = Body::new(head.framing, false);
        self.request = if body.is_done() { Request::Done } else { Request::Body(body) };
        self.response = Response::Head(Scan::default());
        head.len
    }

    /// The caller answers the request in place of a server. Returns how many of `bytes` to drop,
    /// and whether the client's connection stays open: it does not if a body is still to come,
    /// and the answer has to say so.
    pub fn answer_here(&mut self, head: &RequestHead) -> (usize, bool) {
        let stays = head.persists() && head.framing == BodyFraming::None;
        self.request = if stays { Request::Head(Scan::default()) } else { Request::Broken };
        (head.len, stays)
    }

    /// Bytes of the server that have not been dropped. On [`Step::Head`], `head` is the response.
    ///
    /// # Errors
    /// The response is not forwarded, or no further: answer 502 if it has not begun, and close
    /// both sides.
    #[inline]
    pub fn server(
        &mut self,
        bytes: &[u8],
        head: &mut ResponseHead,
        out: &mut Vec<u8>,
    ) -> Result<Step, Refusal> {
        let result = match &mut self.response {
            Response::Head(scan) => match head.parse(bytes, self.to_head, scan, &self.limits) {
                Ok(Parsed::Head(_)) => self.check_response(head, bytes).map(|()| Step::Head),
                Ok(Parsed::More) => Ok(Step::More),
                Err(reason) => Err(reason),
            },
            Response::Body(body) => {
                let progress = body.forward(bytes, &self.limits, out);
                if body.is_done() {
                    self.response = Response::Done;
                }
                progress.map(step)
            }
            Response::Tunnel => Ok(through(bytes)),
            Response::Idle if !bytes.is_empty() => Err(Reason::Unasked),
            Response::Idle => Ok(Step::More),
            Response::Done | Response::Broken => {
                // Whatever comes behind a response answers nothing.
                self.server_stays &= bytes.is_empty();
                Ok(Step::Hold)
            }
        };
        result.map_err(|reason| {
            self.response = Response::Broken;
            reason.by_server()
        })
    }

    fn check_response(&self, head: &ResponseHead, bytes: &[u8]) -> Result<(), Reason> {
        if head.status == 101 {
            let asked = self.upgrade.name().is_some_and(|name| head.upgrades_to(bytes, name));
            return if asked { Ok(()) } else { Err(Reason::Upgrade) };
        }
        if head.is_interim() && self.interim >= self.limits.interim {
            return Err(Reason::TooManyInterim);
        }
        Ok(())
    }

    /// Appends the response's head, as the client is to see it, to `out`: nothing, if it is an
    /// interim one for a client of HTTP/1.0. Returns what it was and how many of `bytes` to drop;
    /// they and `head` are those of the last [`Step::Head`].
    pub fn forward_response(
        &mut self,
        head: &ResponseHead,
        bytes: &[u8],
        edits: &ResponseEdits,
        out: &mut Vec<u8>,
    ) -> (Answered, usize) {
        let answered = match head.status {
            _ if !matches!(self.response, Response::Head(_)) => return (Answered::Interim, 0),
            101 => self.change_protocol(head, bytes, edits, out),
            _ if head.is_interim() => self.forward_interim(head, bytes, out),
            _ => self.forward_final(head, bytes, edits, out),
        };
        (answered, head.len)
    }

    fn change_protocol(
        &mut self,
        head: &ResponseHead,
        bytes: &[u8],
        edits: &ResponseEdits,
        out: &mut Vec<u8>,
    ) -> Answered {
        let upgrade = self.upgrade.name();
        let hop = ResponseHop { client: self.client, stays: true, upgrade };
        write_response(head, bytes, edits, hop, out);
        (self.request, self.response) = (Request::Tunnel, Response::Tunnel);
        (self.client_stays, self.server_stays) = (false, false);
        Answered::Tunnel
    }

    fn forward_interim(
        &mut self,
        head: &ResponseHead,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Answered {
        if self.client == Version::Http11 {
            let hop = ResponseHop { client: self.client, stays: true, upgrade: None };
            write_response(head, bytes, &ResponseEdits::default(), hop, out);
        }
        self.interim += 1;
        self.intact = false;
        self.server_stays &= !head.announces_too_much();
        self.response = Response::Head(Scan::default());
        Answered::Interim
    }

    /// A client whose request is still coming learns here that its connection closes: whether it
    /// sends the rest is not known, so nor is where the next request would begin.
    fn forward_final(
        &mut self,
        head: &ResponseHead,
        bytes: &[u8],
        edits: &ResponseEdits,
        out: &mut Vec<u8>,
    ) -> Answered {
        let unwrapped = head.framing == BodyFraming::Chunked && self.client == Version::Http10;
        let ends_by_close = unwrapped || head.framing == BodyFraming::UntilClose;
        let request_done = self.request == Request::Done;
        self.client_stays &= request_done && !ends_by_close && !edits.close;
        self.server_stays &= head.persists();
        self.intact = false;
        let hop = ResponseHop { client: self.client, stays: self.client_stays, upgrade: None };
        write_response(head, bytes, edits, hop, out);
        let body = Body::new(head.framing, unwrapped);
        self.response = if body.is_done() { Response::Done } else { Response::Body(body) };
        Answered::Final
    }

    /// The client will send nothing more; `rest` is what has not been dropped of its bytes.
    pub fn client_closed(&mut self, rest: &[u8]) -> Closed {
        self.client_stays = false;
        match self.request {
            Request::Head(_) if matches!(rest, [] | [b'\r'] | [b'\r', b'\n']) => Closed::Idle,
            Request::Done | Request::Tunnel => Closed::HalfOpen,
            Request::Head(_) | Request::Body(_) | Request::Broken => {
                self.request = Request::Broken;
                Closed::Cut
            }
        }
    }

    /// The server will send nothing more; `rest` is what has not been dropped of its bytes.
    pub fn server_closed(&mut self, rest: &[u8]) -> Closed {
        self.server_stays = false;
        match self.response {
            Response::Idle | Response::Done => Closed::Idle,
            Response::Tunnel => Closed::HalfOpen,
            Response::Head(_) if rest.is_empty() && self.interim == 0 => Closed::Unanswered,
            Response::Body(body) if body.ends_by_close() && rest.is_empty() => {
                self.response = Response::Done;
                Closed::Complete
            }
            Response::Head(_) | Response::Body(_) | Response::Broken => {
                self.response = Response::Broken;
                Closed::Cut
            }
        }
    }

    /// Octets of the response's body that are known to follow and pass as they are. When none of
    /// the server's bytes is left, the caller may pass them on without showing them here, and
    /// then calls [`Exchange::passed`].
    pub fn unseen(&self) -> u64 {
        if let Response::Body(body) = &self.response { body.plain_octets() } else { 0 }
    }

    /// So many octets of the response's body, at most [`Exchange::unseen`], have been passed on.
    pub fn passed(&mut self, octets: u64) {
        if let Response::Body(body) = &mut self.response {
            body.skip(octets);
            if body.is_done() {
                self.response = Response::Done;
            }
        }
    }

    /// When the response has been passed on whole: what becomes of the connections, and if the
    /// client's stays, the next request may come. `None` before that.
    ///
    /// `server_rest` is what has not been dropped of the server's bytes: if there is any, it
    /// belongs to no response, and the connection is not used again.
    pub fn finish(&mut self, server_rest: &[u8]) -> Option<Outcome> {
        if self.response != Response::Done {
            return None;
        }
        let request_done = self.request == Request::Done;
        let outcome = Outcome {
            client_stays: self.client_stays && request_done,
            server_stays: self.server_stays && request_done && server_rest.is_empty(),
        };
        let next = Request::Head(Scan::default());
        self.request = if outcome.client_stays { next } else { Request::Broken };
        self.response = Response::Idle;
        Some(outcome)
    }

    /// May the request be sent again, to another server or over a new connection (RFC 9110
    /// section 9.2.2)? It is idempotent, nothing of its body has been dropped and nothing has
    /// been answered.
    pub fn may_retry(&self) -> bool {
        self.idempotent && self.is_intact()
    }

    /// Takes a forwarded request back, because its server connection failed: its head is offered
    /// again to [`Exchange::client`], and forwarded anew. Only if it [may be sent
    /// again](Exchange::may_retry), or if the caller knows that no octet of it has left
    /// (`unsent`) and nothing of its body has been dropped.
    pub fn take_back(&mut self, unsent: bool) -> bool {
        let may = self.is_intact() && (unsent || self.idempotent);
        if may {
            self.request = Request::Head(Scan::default());
            self.response = Response::Idle;
        }
        may
    }

    fn is_intact(&self) -> bool {
        self.intact && matches!(self.response, Response::Head(_))
    }

    /// Has the whole request been passed on?
    pub fn request_is_done(&self) -> bool {
        matches!(self.request, Request::Done)
    }

    /// Has the whole response been passed on? Then call [`Exchange::finish`].
    pub fn response_is_done(&self) -> bool {
        self.response == Response::Done
    }

    /// Between two requests: the client's connection is idle.
    pub fn is_idle(&self) -> bool {
        matches!(self.request, Request::Head(_))
    }

    /// Do bytes pass unread?
    pub fn is_tunnel(&self) -> bool {
        self.request == Request::Tunnel
    }
}

/// Of a body's progress; nothing taken means that more is needed.
fn step(progress: Progress) -> Step {
    if progress.take == 0 { Step::More } else { Step::Send(progress) }
}

fn through(bytes: &[u8]) -> Step {
    step(Progress { take: bytes.len(), send: 0..bytes.len() })
}

#[cfg(test)]
mod tests;
