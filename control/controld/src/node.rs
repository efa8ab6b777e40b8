//! What is behind the API: the running node.

use crate::applying::not_kept;
use crate::certificates;
use crate::core::Core;
use crate::door::{Door, refused, seconds};
use crate::events::About;
use crate::findings::told;
use crate::measure;
use crate::remembered::{self, Remembered};
use crate::views::{self, View};
use anyhow::Result;
use api::{ConnectionRow, PersistenceRow, Reply, Request};
use l7_api::PersistenceBy;
use lower::RealServerKey;
use rest::types::*;
use rest::{Caller, Control, Peer, Problem, Role};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use syslog::Tee;
use tokio::sync::{Mutex, broadcast};

/// Control's state as handlers share it.
pub type Shared = Arc<Mutex<Core>>;

/// Rows of one page, unless asked otherwise.
const PAGE: u32 = 1_000;
/// Rows of one question to the data plane.
const ROWS: u32 = 10_000;
/// Where the layer 7 proxy's connections begin among the places of all.
const PROXY: u64 = 1 << 62;
/// Rows of the audit log that are shown.
const AUDIT_ROWS: usize = 1_000;
/// What findings call a text that came by the API.
pub const NAME: &str = "configuration";

/// The running node.
pub struct Node {
    /// What it does.
    pub core: Shared,
    /// Who comes in.
    pub door: Arc<Door>,
    /// Who is told what is logged.
    pub tee: Arc<Tee>,
}

#[async_trait::async_trait]
impl Control for Node {
    async fn status(&self) -> Result<Status, Problem> {
        let mut core = self.core.lock().await;
        let plane = match core.plane.ask(&Request::Status).await {
            Ok(Reply::Status(status)) => Some(status),
            _ => None,
        };
        let proxy = core.proxy.status().await;
        Ok(views::status(&core, plane.as_ref(), proxy.as_ref()))
    }

    async fn services(&self, page: Page) -> Result<Services, Problem> {
        let mut core = self.core.lock().await;
        // Without a data plane the list is still worth showing.
        let counters = core.counters().await.unwrap_or_default();
        let view = View::new(&core, &counters);
        let begin = page.cursor.unwrap_or(0) as usize;
        let limit = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let all = &core.config.services;
        let some = all.iter().skip(begin).take(limit);
        let services: Vec<_> = some.map(|service| view.service(service)).collect();
        let end = begin.saturating_add(services.len());
        Ok(Services { next: (end < all.len()).then_some(end as u32), services })
    }

    async fn service(&self, name: &str) -> Result<Service, Problem> {
        let mut core = self.core.lock().await;
        let counters = core.counters().await.unwrap_or_default();
        let service = core.config.service(name).ok_or_else(|| no_service(name))?;
        Ok(View::new(&core, &counters).service(service))
    }

    async fn connections(&self, page: Page) -> Result<Connections, Problem> {
        let mut core = self.core.lock().await;
        let (cursor, limit) = (page.cursor.unwrap_or(0), page.limit.unwrap_or(PAGE));
        let (forwarded, next) = match cursor {
            PROXY.. => (Vec::new(), None),
            _ => rows(&mut core, part(cursor), limit).await?,
        };
        if next.is_some() {
            return Ok(views::connections(&core, &forwarded, &[], next.map(u64::from)));
        }
        let left = limit.saturating_sub(u32::try_from(forwarded.len()).unwrap_or(limit));
        let asked = core.proxy.connections(cursor.saturating_sub(PROXY), left).await;
        let (relayed, next) = asked.map_err(unavailable)?;
        Ok(views::connections(&core, &forwarded, &relayed, next.map(|next| PROXY + next)))
    }

    async fn persistence(&self, service: &str, page: Page) -> Result<Persistence, Problem> {
        let mut core = self.core.lock().await;
        let (cursor, limit) = (page.cursor.unwrap_or(0), page.limit.unwrap_or(PAGE));
        let (rows, next) = if is_layer7(&core, service) {
            clients_of_proxy(&mut core, service, cursor, limit).await?
        } else {
            let number = number(&core, service)?;
            let cursor = part(cursor);
            let request = Request::Persistence { service: number, cursor, limit };
            match core.plane.ask(&request).await.map_err(unavailable)? {
                Reply::Persistence { rows, next } => {
                    (rows.iter().map(of_plane).collect(), next.map(u64::from))
                }
                _ => return Err(Problem::unavailable("the data plane answered something else")),
            }
        };
        Ok(views::persistence(&core, service, &rows, next))
    }

    async fn forget(&self, who: &str, service: &str, which: Forget) -> Result<Forgotten, Problem> {
        let clients = self.forgotten(service, which.client.as_deref()).await?;
        let about = About { service: Some(service), real_server: None };
        let text = format!("{who} made it forget {clients} clients");
        self.core.lock().await.events.note("request", about, text);
        Ok(Forgotten { clients })
    }

    async fn counters(&self) -> Result<Counters, Problem> {
        let mut core = self.core.lock().await;
        let counters = core.counters().await.map_err(unavailable)?;
        Ok(views::counters(&core, &counters))
    }

    async fn metrics(&self, query: &str, accept: &str) -> Result<(&'static str, String), Problem> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let filter = metrics::Filter::from_pairs(pairs)
            .map_err(|e| Problem::malformed(format!("the query cannot be used: {e}")))?;
        let mut core = self.core.lock().await;
        let plane = match core.plane.ask(&Request::Status).await {
            Ok(Reply::Status(status)) => Some(status),
            _ => None,
        };
        let proxy = core.proxy.status().await;
        let counters = core.counters().await.ok();
        let relayed = core.proxy.counters().await.ok();
        let relay = (proxy.as_ref(), relayed.as_ref());
        let mut sample = measure::sample(&core, plane.as_ref(), relay, counters.as_ref());
        sample.node.syslog = measure::syslog(&self.tee);
        core.totals.fill(&mut sample);
        drop(core);
        let format = metrics::Format::accepted(accept);
        Ok((format.content_type(), metrics::render(&sample, &filter, format)))
    }

    async fn request(
        &self,
        who: &str,
        service: &str,
        real_server: &str,
        state: Requested,
    ) -> Result<RequestNoted, Problem> {
        let mut core = self.core.lock().await;
        let known = core.config.service(service).ok_or_else(|| no_service(service))?;
        if known.real_server(real_server).is_none() {
            let what =
                format!("there is no real server {real_server:?} in the service {service:?}");
            return Err(Problem::not_found(what, "see the list of services"));
        }
        let wanted = match state {
            Requested::Online => config::State::Online,
            Requested::Drain => config::State::Drain,
            Requested::Halt => config::State::Halt,
        };
        let key = RealServerKey::new(service, real_server);
        let generation = core.request(key, wanted).await.map_err(unavailable)?;
        let about = About { service: Some(service), real_server: Some(real_server) };
        core.events.note("request", about, format!("{who} asks for {}", wanted.text()));
        let (service, real_server) = (service.to_owned(), real_server.to_owned());
        Ok(RequestNoted { service, real_server, requested: state, generation })
    }

    async fn check(&self, text: &str) -> Result<Checked, Problem> {
        let known = self.core.lock().await.known_certificates();
        Ok(match config::parse_knowing(text, NAME, Some(&known)) {
            Ok(accepted) => Checked { usable: true, findings: told(text, &accepted.findings) },
            Err(findings) => Checked { usable: false, findings: told(text, &findings) },
        })
    }

    async fn plan(&self, text: &str) -> Result<Plan, Problem> {
        planned(&mut *self.core.lock().await, text).await
    }

    async fn edit(&self, edits: Edits, expected: Option<u64>) -> Result<Edited, Problem> {
        let mut core = self.core.lock().await;
        let text = core.edited(edits.edits, expected).await?;
        let plan = planned(&mut core, &text).await?;
        Ok(Edited { text, plan })
    }

    async fn patch(
        &self,
        who: &str,
        patch: Patch,
        expected: Option<u64>,
    ) -> Result<Applied, Problem> {
        let Patch { edits, message, confirm_within_s } = patch;
        // Nobody comes between the reading and the applying.
        let mut core = self.core.lock().await;
        let text = core.edited(edits, expected).await?;
        core.apply(who, Candidate { text, message, confirm_within_s }, expected).await
    }

    async fn config(&self) -> Result<ConfigText, Problem> {
        let core = self.core.lock().await;
        let applied = core.on_disk(|r| r.applied()).await.map_err(unavailable)?;
        match applied.map_err(not_kept)? {
            Some((revision, text)) => Ok(ConfigText { text, revision: revision.number }),
            None => Err(Problem::unavailable("no revision is in force")),
        }
    }

    async fn apply(
        &self,
        who: &str,
        candidate: Candidate,
        expected: Option<u64>,
    ) -> Result<Applied, Problem> {
        self.core.lock().await.apply(who, candidate, expected).await
    }

    async fn confirm(&self, who: &str) -> Result<Revision, Problem> {
        let mut core = self.core.lock().await;
        let number = core.confirm(who).await?;
        revision(&core, number).await.map(|found| found.revision)
    }

    async fn rollback(&self, who: &str, rollback: Rollback) -> Result<Applied, Problem> {
        let wait = rollback.confirm_within_s.map(|s| Duration::from_secs(s.into()));
        self.core.lock().await.roll_back(who, rollback.to, wait).await
    }

    async fn revisions(&self, page: Page) -> Result<Revisions, Problem> {
        let core = self.core.lock().await;
        let before = page.cursor.filter(|cursor| *cursor > 0);
        let limit = page.limit.map_or(store::MAX_PAGE, |limit| limit as usize);
        let rows = core.revisions(|r| r.list(store::Page { before, limit }));
        let last = rows.last().map_or(0, |row| row.number);
        let rest = store::Page { before: Some(last), limit: 1 };
        let more = core.revisions(|r| !r.list(rest).is_empty());
        let next = u32::try_from(last).ok().filter(|_| more);
        let revisions = rows.iter().map(|row| views::revision(&core, row)).collect();
        Ok(Revisions { revisions, next })
    }

    async fn revision(&self, number: u64) -> Result<RevisionText, Problem> {
        revision(&*self.core.lock().await, number).await
    }

    async fn certificates(&self) -> Result<CertificateList, Problem> {
        Ok(self.core.lock().await.certificate_list())
    }

    async fn certificate(&self, name: &str) -> Result<CertificateText, Problem> {
        self.core.lock().await.certificate_text(name)
    }

    async fn import_certificate(
        &self,
        who: &str,
        name: &str,
        upload: CertificateUpload,
    ) -> Result<CertificateKept, Problem> {
        let waiting = {
            let core = self.core.lock().await;
            core.certificates.get(name).and_then(|held| held.waiting.clone())
        };
        let prepared = certificates::prepared(upload, waiting).await?;
        self.core.lock().await.keep_certificate(who, name, &prepared).await
    }

    async fn request_certificate(
        &self,
        who: &str,
        name: &str,
        request: NewRequest,
    ) -> Result<RequestMade, Problem> {
        let key = certificates::requested(request).await?;
        self.core.lock().await.keep_request(who, name, key)
    }

    async fn sign_certificate(
        &self,
        who: &str,
        name: &str,
        new: NewSelfSigned,
    ) -> Result<CertificateKept, Problem> {
        let prepared = certificates::self_signed(new).await?;
        self.core.lock().await.keep_certificate(who, name, &prepared).await
    }

    async fn remove_certificate(&self, who: &str, name: &str) -> Result<Nothing, Problem> {
        self.core.lock().await.remove_certificate(who, name).await
    }

    async fn users(&self) -> Result<Users, Problem> {
        let user = |(name, account): (&str, &users::Account)| User {
            name: name.to_owned(),
            role: account.role,
            changed: account.changed,
        };
        Ok(Users { users: self.door.accounts(|a| a.users().map(user).collect()) })
    }

    async fn add_user(&self, user: NewUser) -> Result<User, Problem> {
        let hash = hashed(user.password).await?;
        let NewUser { name, role, .. } = user;
        self.door.change(|a| a.add(&name, role, hash, seconds()))?;
        Ok(User { name, role, changed: seconds() })
    }

    async fn set_password(&self, user: &str, password: NewPassword) -> Result<User, Problem> {
        let hash = hashed(password.password).await?;
        let role = self.door.change(|accounts| {
            match accounts.is_empty() {
                false => accounts.set_password(user, hash, seconds())?,
                true => accounts.add(user, Role::Admin, hash, seconds())?,
            }
            Ok(accounts.role(user).unwrap_or(Role::Viewer))
        })?;
        Ok(User { name: user.to_owned(), role, changed: seconds() })
    }

    async fn set_role(&self, user: &str, NewRole { role }: NewRole) -> Result<User, Problem> {
        let changed = self.door.change(|accounts| {
            accounts.set_role(user, role)?;
            let mut all = accounts.users();
            Ok(all.find(|(name, _)| *name == user).map_or(0, |(_, account)| account.changed))
        })?;
        Ok(User { name: user.to_owned(), role, changed })
    }

    async fn remove_user(&self, user: &str) -> Result<Nothing, Problem> {
        self.door.change(|accounts| accounts.remove(user))?;
        Ok(Nothing {})
    }

    async fn tokens(&self) -> Result<Tokens, Problem> {
        let token = |(name, token): (&str, &users::Token)| Token {
            name: name.to_owned(),
            owner: token.owner.clone(),
            role: token.role,
            created: token.created,
            expires: token.expires,
        };
        Ok(Tokens { tokens: self.door.accounts(|a| a.tokens().map(token).collect()) })
    }

    async fn add_token(&self, token: NewToken) -> Result<TokenMade, Problem> {
        let NewToken { name, owner, role, expires_in_s } = token;
        let (text, now) = (self.door.token()?, seconds());
        let expires = expires_in_s.map(|seconds| now.saturating_add(seconds));
        self.door.change(|a| a.add_token(&name, (&owner, role), &text, (now, expires)))?;
        Ok(TokenMade { name, token: text.reveal().to_owned() })
    }

    async fn remove_token(&self, token: &str) -> Result<Nothing, Problem> {
        self.door.change(|accounts| accounts.remove_token(token))?;
        Ok(Nothing {})
    }

    async fn log_in(&self, from: Option<Peer>, login: Login) -> Result<SessionMade, Problem> {
        // At the local socket, somebody tries what would happen.
        let from = from.unwrap_or(Peer(Ipv4Addr::LOCALHOST.into()));
        let Login { name, password } = login;
        let (text, role) = self.door.log_in(from, &name, users::Secret::new(password)).await?;
        Ok(SessionMade {
            token: text.reveal().to_owned(),
            user: name,
            role,
            idle_timeout_s: users::SESSION_IDLE.as_secs(),
            expires_in_s: users::SESSION_LONGEST.as_secs(),
        })
    }

    async fn log_out(&self, caller: &Caller) -> Result<Nothing, Problem> {
        let remedy = "log out with the session's text, as `Authorization: Bearer TEXT`";
        let session = caller.session.ok_or_else(|| {
            Problem::conflict(format!("{} is here without a session", caller.name), remedy)
        })?;
        self.door.end_session(session);
        Ok(Nothing {})
    }

    async fn sessions(&self) -> Result<Sessions, Problem> {
        let (sessions, now) = self.door.sessions();
        let session = |session: users::Session| Session {
            number: session.number,
            age_s: now.saturating_sub(session.begun).as_secs(),
            idle_s: now.saturating_sub(session.seen).as_secs(),
            expires_in_s: session.end().saturating_sub(now).as_secs(),
            user: session.user,
            from: session.from,
        };
        Ok(Sessions { sessions: sessions.into_iter().map(session).collect() })
    }

    async fn end_session(&self, number: u64) -> Result<Nothing, Problem> {
        match self.door.end_session(number) {
            true => Ok(Nothing {}),
            false => {
                let what = format!("there is no session {number}");
                Err(Problem::not_found(what, "see the list of sessions"))
            }
        }
    }

    async fn audit(&self) -> Result<AuditLog, Problem> {
        let door = self.door.clone();
        let read = tokio::task::spawn_blocking(move || door.written(AUDIT_ROWS)).await;
        let read = read.map_err(|e| unavailable(e.into()))?;
        let (entries, torn) = read.map_err(|e| unavailable(e.into()))?;
        let entry = |users::Entry { at, who, from, action, outcome }| AuditEntry {
            at,
            who,
            from,
            action,
            outcome,
        };
        Ok(AuditLog { entries: entries.into_iter().map(entry).collect(), torn: torn as u64 })
    }

    async fn events(&self) -> Result<Events, Problem> {
        Ok(Events { events: self.core.lock().await.events.recent() })
    }

    async fn follow(&self) -> broadcast::Receiver<Event> {
        self.core.lock().await.events.follow()
    }
}

/// A configuration without errors, or what is wrong with it.
pub fn parsed(core: &Core, text: &str) -> Result<config::Accepted, Problem> {
    let known = core.known_certificates();
    config::parse_knowing(text, NAME, Some(&known))
        .map_err(|findings| Problem::findings(told(text, &findings)))
}

async fn planned(core: &mut Core, text: &str) -> Result<Plan, Problem> {
    let accepted = parsed(core, text)?;
    let rows = all_rows(core).await?;
    let mut plan = core.plan(&accepted.config, &rows).await.map_err(unavailable)?;
    plan.findings = told(text, &accepted.findings);
    Ok(plan)
}

/// Hashing takes a while, and nobody else shall wait for it.
async fn hashed(password: String) -> Result<String, Problem> {
    let hash = move || users::hash(&users::Secret::new(password), users::Cost::STRONG);
    let hashed = tokio::task::spawn_blocking(hash).await;
    hashed.map_err(|e| unavailable(e.into()))?.map_err(refused)
}

async fn revision(core: &Core, number: u64) -> Result<RevisionText, Problem> {
    let found = core.on_disk(move |r| r.get(number)).await.map_err(unavailable)?;
    let (revision, text, diff) = found.map_err(not_kept)?;
    Ok(RevisionText { revision: views::revision(core, &revision), text, diff })
}

/// A service's number in the data plane.
impl Node {
    /// Makes whoever runs the service forget a client, or all: how many were remembered.
    async fn forgotten(&self, service: &str, client: Option<&str>) -> Result<u64, Problem> {
        let (mut clients, mut next) = (0, Some(0));
        while let Some(cursor) = next {
            // Others have their turn between two parts of a large table.
            let mut core = self.core.lock().await;
            if is_layer7(&core, service) {
                let (number, _) = relayed(&core, service)?;
                let rule = core.proxy.service(service).and_then(|it| it.persistence.as_ref());
                // Without a rule there is nobody to forget.
                let by = rule.map_or(&PersistenceBy::Address, |rule| &rule.by);
                let client = client.map(|text| remembered::meant(by, text)).transpose()?;
                let forgotten = core.proxy.forget(number, client).await;
                return Ok(forgotten.map_err(unavailable)?.into());
            }
            let number = number(&core, service)?;
            let client = client.map(remembered::address).transpose()?;
            let request = Request::Forget { service: number, client, cursor };
            let reply = core.plane.ask(&request).await.map_err(unavailable)?;
            let Reply::Forgotten { clients: some, next: at } = reply else {
                return Err(Problem::unavailable("the data plane answered something else"));
            };
            clients += u64::from(some);
            // A cursor that does not advance would never end.
            next = at.filter(|at| *at > cursor);
        }
        Ok(clients)
    }
}

/// Where to go on in a table that counts its places in 32 bits.
fn part(cursor: u64) -> u32 {
    u32::try_from(cursor).unwrap_or(u32::MAX)
}

fn is_layer7(core: &Core, service: &str) -> bool {
    core.config.service(service).is_some_and(|it| it.mode.layer7().is_some())
}

/// The number of a service of layer 7 that the proxy runs, and after how many seconds it forgets.
fn relayed(core: &Core, service: &str) -> Result<(l7_api::ServiceId, u32), Problem> {
    let missing = || Problem::unavailable("the layer 7 proxy does not have it yet");
    let found = core.proxy.service(service).ok_or_else(missing)?;
    Ok((found.id, found.persistence.as_ref().map_or(0, |rule| rule.timeout_s)))
}

/// Clients that the proxy remembers.
async fn clients_of_proxy(
    core: &mut Core,
    service: &str,
    after: u64,
    limit: u32,
) -> Result<(Vec<Remembered>, Option<u64>), Problem> {
    let (number, timeout_s) = relayed(core, service)?;
    let asked = core.proxy.persistence(number, after, limit).await;
    let (rows, next) = asked.map_err(unavailable)?;
    let row = |row: l7_api::PersistenceRow| {
        let expires_s = u32::try_from(row.expires_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
        Remembered {
            client: row.client,
            backend: row.server,
            idle_s: timeout_s.saturating_sub(expires_s),
            expires_s,
        }
    };
    Ok((rows.into_iter().map(row).collect(), next))
}

fn of_plane(row: &PersistenceRow) -> Remembered {
    let PersistenceRow { client, backend, idle_s, expires_s } = *row;
    Remembered { client: client.into(), backend, idle_s, expires_s }
}

fn number(core: &Core, service: &str) -> Result<u16, Problem> {
    let applied = core.applied.as_ref().map_or(&[][..], |snapshot| &snapshot.services);
    let found = applied.iter().find(|it| it.name == service);
    match (found, core.config.service(service)) {
        (Some(found), _) => Ok(found.id),
        (None, None) => Err(no_service(service)),
        (None, Some(_)) => Err(Problem::unavailable("the data plane does not have it yet")),
    }
}

fn no_service(name: &str) -> Problem {
    Problem::not_found(format!("there is no service {name:?}"), "see the list of services")
}

/// Something inside did not work.
pub fn unavailable(e: anyhow::Error) -> Problem {
    Problem::unavailable(format!("{e:#}"))
}

async fn rows(
    core: &mut Core,
    cursor: u32,
    limit: u32,
) -> Result<(Vec<ConnectionRow>, Option<u32>), Problem> {
    match core.plane.ask(&Request::Connections { cursor, limit }).await.map_err(unavailable)? {
        Reply::Connections { rows, next } => Ok((rows, next)),
        _ => Err(Problem::unavailable("the data plane answered something else")),
    }
}

/// Every connection there is. It changes while it is read: what is old enough to be in it is.
async fn all_rows(core: &mut Core) -> Result<Vec<ConnectionRow>, Problem> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let (mut some, next) = rows(core, cursor, ROWS).await?;
        all.append(&mut some);
        match next {
            // A cursor that does not advance would never end.
            Some(next) if next > cursor => cursor = next,
            _ => return Ok(all),
        }
    }
}
