//! The way to a real server that speaks HTTP/2: by a connection that others share.

use super::back::Back;
use super::route::Route;
use super::session::{Phase, Session, Step, Upstream};
use crate::connection::Connection;
use crate::core::Core;
use crate::plan::Server;
use crate::shared::ServerPlace;
use crate::slab::Token;
use crate::tcp::NEVER;
use crate::transport::{Stream, Transport, Way};
use http1::{Method, Step as Act};
use rustix::io::Errno;
use std::sync::Arc;

impl Session {
    /// Whether the request on the desk goes by HTTP/2. One that wants another protocol does not:
    /// it has a connection of HTTP/1.1 for itself.
    pub(super) fn may_share(&self, core: &Core, server: &Server, route: &Route) -> bool {
        let allowed = &self.service.config.http.upgrades;
        let is_allowed =
            |offer: &[u8]| allowed.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(offer));
        server.speaks_http2
            && !core.desk.request.upgrades(self.up.rest()).any(is_allowed)
            && !core.desk.backs.speaks_http1(route, core.now)
    }

    /// Takes a stream to this server for the head on the desk. `first`: no attempt of it has
    /// failed, so that it may have a second one on a connection that was open before.
    pub(super) fn share(
        &mut self,
        core: &mut Core,
        server: &Arc<Server>,
        place: ServerPlace,
        route: Route,
        first: bool,
    ) -> Result<bool, Errno> {
        let addresses = (self.client_address.ip(), self.vip);
        let key = Back::find(core, &route, (&self.service, server), addresses)?;
        let to_head = core.desk.request.method() == Method::Head;
        let Some(Connection::Back(back)) = core.connections.get_mut(key) else {
            return Err(Errno::NOMEM);
        };
        let (number, is_open) = back.board(self.key, to_head);
        let seat = core.desk.pool.seat(self.key, route);
        let stream = Stream::to_server(key, number, is_open, core.now);
        let side = Transport::Stream(Box::new(stream));
        let (server, reused, deaf) = (server.clone(), is_open && first, false);
        if reused {
            server.shared.cells(core.worker).reused.add(1);
        }
        self.upstream = Some(Upstream { side, seat, server, place, reused, deaf });
        if is_open {
            self.send(core);
        } else {
            // The connection has a deadline of its own, and tells.
            self.phase = Phase::Connecting(NEVER);
        }
        Ok(is_open)
    }

    /// The same for a request that was taken back from a connection that had been open.
    pub(super) fn share_again(
        &mut self,
        core: &mut Core,
        server: &Arc<Server>,
        place: ServerPlace,
        route: Route,
    ) -> Step {
        let (bytes, text) = self.up.split();
        if self.exchange.client(bytes, &mut core.desk.request, text) != Ok(Act::Head) {
            // It was one before.
            return self.refuse(core, 400);
        }
        match self.share(core, server, place, route, false) {
            Ok(step) => Ok(step),
            Err(e) => self.not_reached(core, server, e),
        }
    }

    /// The connection that it waits for is there, or will not be.
    pub(super) fn boarded(&mut self, core: &mut Core) -> Step {
        let Some(stream) = self.upstream_stream() else { return Ok(false) };
        match stream.way() {
            Way::Awaited => Ok(false),
            Way::Open => self.reached(core),
            Way::Refused(error) => {
                let error = *error;
                self.failed(core, error)
            }
            Way::Unsecured => self.unsecured(core),
            Way::Http1(side) => match side.take() {
                Some(side) => self.have_alone(core, *side),
                None => self.connect_alone(core),
            },
        }
    }

    /// The server speaks HTTP/1.1, on this connection.
    fn have_alone(&mut self, core: &mut Core, side: Transport) -> Step {
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        upstream.side = side;
        match core.watch_again(&upstream.side, Token::Seat(upstream.seat)) {
            Ok(()) => self.reached(core),
            Err(e) => self.failed(core, e),
        }
    }

    /// The server speaks HTTP/1.1, and the connection is somebody else's.
    fn connect_alone(&mut self, core: &mut Core) -> Step {
        let Some(upstream) = self.upstream.take() else { return Ok(false) };
        let server = upstream.server.clone();
        let (place, route) = self.let_go(core, upstream);
        let Some(route) = route else { return Ok(false) };
        match self.connect(core, &server, place, route) {
            Ok(()) => Ok(false),
            Err(e) => self.not_reached(core, &server, e),
        }
    }
}
