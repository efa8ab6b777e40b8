//! A service's HTTP settings made ready for each request: checked once, nothing parsed later.

use super::rules::{Matched, Question, Rules};
use crate::plan::Server;
use crate::schedule;
use http1::{
    AddressText, Change, ClientAddress, FieldName, FieldValue, Limits, NotAField, PathAndQuery,
    Record, RequestEdits, SetCookie,
};
use l7_api::{
    AddressRecord, ErrorPage, Http, MAX_COOKIE_NAME_BYTES, MAX_ERROR_PAGE_BYTES, MAX_ERROR_PAGES,
    MAX_HEAD_BYTES, MAX_HEAD_FIELDS, MAX_STREAMS, MAX_UPGRADES, MAX_WINDOW_BYTES,
};
use std::collections::HashMap;
use std::sync::Arc;

/// What a real server is known by in a cookie: 16 hexadecimal digits.
type Mark = [u8; 16];

/// See the module.
#[derive(Debug)]
pub struct Recipe {
    /// What the exchange allows a peer.
    pub limits: Limits,
    forwarded_for: Record,
    forwarded: Record,
    /// Without TLS and with it.
    scheme: [Vec<Change<'static>>; 2],
    /// Real servers by their mark, and the marks in the order of the servers.
    by_mark: HashMap<Mark, usize>,
    marks: Vec<Mark>,
    /// The field in which real servers are told of a request's number.
    request_id: Option<String>,
    /// What depends on the request.
    pub rules: Rules,
}

impl Recipe {
    /// Of settings that [`check`] has passed.
    pub fn new(http: &Http, servers: &[Arc<Server>], hash_seed: u64) -> Self {
        let marks: Vec<Mark> = servers.iter().map(|s| mark(hash_seed, s.key)).collect();
        let scheme = |text| scheme_change(text).filter(|_| http.forwarded_proto);
        Self {
            limits: Limits {
                head: http.limits.head.min(MAX_HEAD_BYTES),
                target: http.limits.target,
                fields: http.limits.fields,
                ..Limits::default()
            },
            forwarded_for: record(http.forwarded_for),
            forwarded: record(http.forwarded),
            scheme: [scheme("http").into_iter().collect(), scheme("https").into_iter().collect()],
            by_mark: marks.iter().copied().zip(0..).collect(),
            marks,
            request_id: http.request_id.clone(),
            // They have been checked.
            rules: Rules::new(&http.rules, &http.servers).unwrap_or_default(),
        }
    }

    /// Position of the real server that a cookie's value names.
    pub fn marked(&self, value: &[u8]) -> Option<usize> {
        self.by_mark.get(value).copied()
    }

    /// Whether this value names the real server at this position.
    pub fn is_mark(&self, value: &[u8], index: usize) -> bool {
        self.marks.get(index).is_some_and(|mark| mark == value)
    }

    /// What sets the cookie for the real server at this position.
    pub fn set_cookie(&self, http: &Http, index: usize) -> Option<Change<'static>> {
        let cookie = http.cookie.as_ref()?;
        let value = self.marks.get(index).and_then(|mark| str::from_utf8(mark).ok())?;
        let cookie = SetCookie {
            name: &cookie.name,
            value,
            max_age_seconds: cookie.max_age_s.map(u64::from),
            secure: cookie.secure,
            http_only: cookie.http_only,
        };
        Some(Change::Add(FieldName::new("Set-Cookie").ok()?, cookie.field_value().ok()?))
    }

    /// Calls `act` with what changes in a request of this client and number that meets these
    /// rules.
    pub fn request<T>(
        &self,
        http: &Http,
        address: &AddressText,
        id: Option<u128>,
        (matched, question): (Matched, &Question),
        act: impl FnOnce(&RequestEdits) -> T,
    ) -> T {
        let secure = question.is_secure();
        let client = ClientAddress {
            address,
            secure,
            forwarded_for: self.forwarded_for,
            forwarded: self.forwarded,
        };
        let mut upgrades = [""; MAX_UPGRADES];
        for (slot, name) in upgrades.iter_mut().zip(&http.upgrades) {
            *slot = name;
        }
        let count = http.upgrades.len().min(MAX_UPGRADES);
        let changes = self.rules.request(matched, question);
        let numbered = self.request_id(id);
        let numbered = numbered.as_slice();
        let target = self.rules.target(matched, question);
        act(&RequestEdits {
            changes: &[&self.scheme[usize::from(secure)], numbered, &changes],
            target: target.as_deref().and_then(|target| PathAndQuery::new(target).ok()),
            client: Some(client),
            upgrades: upgrades.get(..count).unwrap_or_default(),
            drop_cookie: http.cookie.as_ref().map(|cookie| cookie.name.as_bytes()),
            ..RequestEdits::default()
        })
    }
}

impl Recipe {
    /// What tells a real server of the request's number.
    fn request_id(&self, id: Option<u128>) -> Option<Change<'_>> {
        let name = FieldName::new(self.request_id.as_deref()?).ok()?;
        Some(Change::Set(name, FieldValue::new(format!("{:032x}", id?)).ok()?))
    }
}

/// Whether settings can be served.
///
/// # Errors
/// What is wrong with them.
pub fn check(http: &Http) -> Result<(), String> {
    let limits = http.limits;
    if limits.head < 256 || limits.head > MAX_HEAD_BYTES {
        return Err(format!("the limit of a head is 256 to {MAX_HEAD_BYTES} bytes"));
    }
    if limits.fields == 0 || limits.fields > MAX_HEAD_FIELDS || limits.target == 0 {
        return Err(format!("the limit of fields is 1 to {MAX_HEAD_FIELDS}, of targets not 0"));
    }
    if http.upgrades.len() > MAX_UPGRADES {
        return Err(format!("at most {MAX_UPGRADES} protocols to change to are accepted"));
    }
    if let Some(http2) = http.http2
        && (!(1..=MAX_STREAMS).contains(&http2.streams)
            || !(1..=MAX_WINDOW_BYTES).contains(&http2.window))
    {
        return Err(format!(
            "HTTP/2 has 1 to {MAX_STREAMS} streams, and windows of 1 to {MAX_WINDOW_BYTES} bytes"
        ));
    }
    Rules::new(&http.rules, &http.servers)?;
    check_pages(&http.error_pages)?;
    if let Some(name) = &http.request_id {
        let fault = |e| format!("the field for requests' numbers, {name:?}, is none: {e}");
        FieldName::new(name.as_str()).map_err(fault)?;
    }
    http.cookie.as_ref().map_or(Ok(()), |cookie| check_cookie(&cookie.name))
}

/// Whether this can be the name of a cookie.
///
/// # Errors
/// Why it cannot.
pub fn check_cookie(name: &str) -> Result<(), String> {
    if name.len() > MAX_COOKIE_NAME_BYTES {
        return Err(format!("a cookie's name has at most {MAX_COOKIE_NAME_BYTES} bytes"));
    }
    let set = SetCookie { name, value: "", max_age_seconds: None, secure: false, http_only: false };
    let fault = |e: NotAField| format!("the cookie's name {name:?} is none: {e}");
    set.field_value().map(|_| ()).map_err(fault)
}

fn check_pages(pages: &[ErrorPage]) -> Result<(), String> {
    if pages.len() > MAX_ERROR_PAGES {
        return Err(format!("at most {MAX_ERROR_PAGES} error pages are accepted"));
    }
    for (place, page) in pages.iter().enumerate() {
        let status = page.status;
        if !(400..600).contains(&status) {
            return Err(format!("an error page goes with a status of 400 to 599, not {status}"));
        }
        if pages.iter().take(place).any(|other| other.status == status) {
            return Err(format!("the error page of status {status} is given twice"));
        }
        if page.body.len() > MAX_ERROR_PAGE_BYTES {
            let most = MAX_ERROR_PAGE_BYTES;
            return Err(format!("the error page of status {status} has more than {most} bytes"));
        }
        let fault = |e| format!("the content type of the error page of status {status}: {e}");
        FieldValue::new(page.content_type.as_str()).map_err(fault)?;
    }
    Ok(())
}

fn record(rule: AddressRecord) -> Record {
    match rule {
        AddressRecord::AsItCame => Record::AsItCame,
        AddressRecord::Append => Record::Append,
        AddressRecord::Replace => Record::Replace,
        AddressRecord::Remove => Record::Remove,
    }
}

fn scheme_change(scheme: &'static str) -> Option<Change<'static>> {
    Some(Change::Set(FieldName::new("X-Forwarded-Proto").ok()?, FieldValue::new(scheme).ok()?))
}

fn mark(hash_seed: u64, key: u64) -> Mark {
    let hash = schedule::mark(hash_seed, key);
    let mut mark = Mark::default();
    for (at, digit) in mark.iter_mut().enumerate() {
        let nibble = (hash >> (60 - 4 * at)) as u8 & 0xf;
        *digit = b"0123456789abcdef"[usize::from(nibble)];
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use l7_api::CookiePersistence;

    fn with_cookie(name: &str) -> Http {
        let cookie = CookiePersistence {
            name: name.into(),
            max_age_s: None,
            secure: false,
            http_only: true,
        };
        Http { cookie: Some(cookie), ..Http::default() }
    }

    #[test]
    fn settings_that_cannot_be_served_are_refused() {
        assert_eq!(check(&Http::default()), Ok(()));
        assert_eq!(check(&with_cookie("SRV")), Ok(()));
        for name in ["", "a b", "a=b", "a;b"] {
            assert!(check(&with_cookie(name)).is_err(), "{name:?}");
        }
        let limits = |change: fn(&mut l7_api::HttpLimits)| {
            let mut http = Http::default();
            change(&mut http.limits);
            check(&http)
        };
        assert!(limits(|l| l.head = MAX_HEAD_BYTES + 1).is_err());
        assert!(limits(|l| l.head = 0).is_err());
        assert!(limits(|l| l.fields = 0).is_err());
        assert!(limits(|l| l.fields = MAX_HEAD_FIELDS + 1).is_err());
        for name in ["", "X Id", "Content-Length"] {
            let request_id = Some(name.to_owned());
            assert!(check(&Http { request_id, ..Http::default() }).is_err(), "{name:?}");
        }
        let page = |status, content_type: &str, bytes| {
            let content_type = content_type.to_owned();
            ErrorPage { status, content_type, body: vec![b'x'; bytes] }
        };
        let pages = |error_pages| check(&Http { error_pages, ..Http::default() });
        assert_eq!(
            pages(vec![page(503, "text/html", 10), page(502, "text/plain", 65_536)]),
            Ok(())
        );
        assert!(pages(vec![page(503, "text/html", 10), page(503, "text/html", 10)]).is_err());
        assert!(pages(vec![page(200, "text/html", 10)]).is_err());
        assert!(pages(vec![page(503, "text/html\r\nX: y", 10)]).is_err());
        assert!(pages(vec![page(503, "text/html", 65_537)]).is_err());
        let upgrades = vec!["a".to_owned(); MAX_UPGRADES + 1];
        assert!(check(&Http { upgrades, ..Http::default() }).is_err());
    }

    #[test]
    fn a_mark_differs_by_server_and_by_seed() {
        assert_ne!(mark(1, 2), mark(1, 3));
        assert_ne!(mark(1, 2), mark(2, 2));
        assert!(mark(1, 2).iter().all(u8::is_ascii_hexdigit));
    }
}
