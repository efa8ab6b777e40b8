//! TLS with a real server, between its connection and the request.

use super::route::Route;
use super::rules::Question;
use super::session::{Phase, Session, Step};
use crate::core::Core;
use crate::journal::Cause;
use crate::plan::Server;
use crate::proxy_out;
use crate::side::Written;
use crate::tcp::after;
use crate::transport::{Offer, Progress};
use proxyproto::Endpoints;
use rustix::io::Errno;
use std::sync::Arc;

impl Session {
    /// The way to this server for the request on the desk. The name that a TLS client asked for
    /// goes before that of the request.
    pub(super) fn route(&self, core: &Core, server: &Server) -> Route {
        let asked = self.client.tls().and_then(|tls| tls.name());
        if asked.is_some() || server.tls.is_none() {
            return Route::new(&self.service, server, self.vip, asked);
        }
        let client = self.client_address.ip();
        let bytes = self.up.rest();
        let question = Question::new(&core.desk.request, bytes, client, self.is_secure);
        let host = str::from_utf8(question.host().0).ok();
        Route::new(&self.service, server, self.vip, host)
    }

    /// Begins with TLS, behind our header, which is not part of it.
    pub(super) fn encrypt(&mut self, core: &mut Core) -> Step {
        let header = self.header();
        let Some(mut upstream) = self.upstream.take() else { return Ok(false) };
        let name = core.desk.pool.route(upstream.seat).and_then(Route::name);
        let address = upstream.server.config.address;
        let connection =
            upstream.server.tls.as_ref().map(|tls| tls.connection(name, address, Offer::Http1));
        // A new socket has room for this much.
        let said =
            header.is_empty() || upstream.side.write(&header) == Written::Bytes(header.len());
        let Some(Ok(connection)) = connection.filter(|_| said) else {
            self.upstream = Some(upstream);
            self.count_our_fault(core, Errno::INVAL);
            return self.refuse(core, 503);
        };
        upstream.side = upstream.side.encrypt(connection);
        self.upstream = Some(upstream);
        self.phase = Phase::Securing(after(core.now, self.service.config.timeouts.connect_ms));
        self.secure(core)
    }

    /// Goes on with the handshake.
    pub(super) fn secure(&mut self, core: &mut Core) -> Step {
        let Some(upstream) = &mut self.upstream else { return Ok(false) };
        match upstream.side.advance(&mut core.pools) {
            Progress::Pending => Ok(false),
            Progress::Done => self.reached(core),
            Progress::Failed => self.unsecured(core),
        }
    }

    /// What the server is told of the client before all else.
    pub(super) fn header(&self) -> Vec<u8> {
        let (source, destination) = (self.client_address, self.destination);
        let ends = Endpoints { source, destination };
        proxy_out::header(self.service.config.proxy_out, ends, self.client.tls())
    }

    /// The server is not to be believed, or speaks another TLS: another one shall take the
    /// request.
    pub(super) fn unsecured(&mut self, core: &mut Core) -> Step {
        let Some(upstream) = &self.upstream else { return Ok(false) };
        let server: Arc<Server> = upstream.server.clone();
        server.shared.cells(core.worker).tls_failed.add(1);
        upstream.side.explain(&server.config.name);
        self.note_failure(Cause::ServerTls);
        self.hang_up(core);
        if self.may_try_again(core, &server) {
            return self.seek_again(core);
        }
        self.note(Cause::ServerTls);
        self.refuse(core, 502)
    }
}
