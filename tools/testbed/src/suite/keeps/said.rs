//! Clients that stay with their real server because of what they say: the cookie of an RDP client,
//! a session of TLS, a cookie of the real servers' own; and those who have a cookie of ours or
//! else their address.

use super::{LIMIT, another_proxy};
use crate::balancer::Balancer;
use crate::clients::{End, Octets};
use crate::harness::{Scale, Test};
use crate::lab::Host;
use crate::servers::authority::{Authority, ECDSA};
use crate::suite::layer7::{Bed, VIP, file, http, metric, service, vip};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::keeps::rdp-cookie", rdp_cookie));
    tests.push(Test::new("l7::keeps::tls-session", tls_session));
    tests.push(Test::new("l7::keeps::app-cookie", app_cookie));
    tests.push(Test::new("l7::keeps::cookie-else-address", cookie_else_address));
    tests.push(Test::new("l7::keeps::forwarded-for", forwarded_for));
}

/// Who went where.
type Homes = BTreeMap<String, String>;

const USERS: usize = 30;
/// Clients at a time.
const CLIENTS: usize = 8;

/// Thirty users, each by eight clients at a time that send their first words in pieces of their
/// own size: none is split, neither by the proxy that is there nor by one that takes over. A
/// broker's token is followed. Whoever says nothing of the kind is served, and counted.
fn rdp_cookie(_: Scale) -> Result<()> {
    let bed = Bed::echo(3)?;
    let line = "persistence = { by = \"rdp-cookie\", timeout = \"1h\" }";
    let text = file(&[service("RDP", "4444", line, &[1, 2, 3])]);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let first = logins(&bed.client)?;
    must_be_spread(&first)?;
    another_proxy(&mut balancer)?;
    ensure!(logins(&bed.client)? == first, "somebody was moved by a proxy that took over");

    let listed = balancer.get("/api/v1/services/RDP/persistence")?;
    let rows = listed["clients"].as_array().context("clients")?;
    ensure!(rows.len() == USERS, "{listed}");
    for row in rows {
        let (user, server) = (row["client"].as_str(), row["real_server"].as_str());
        ensure!(user.and_then(|user| first.get(user)).map(String::as_str) == server, "{row}");
    }
    let said = balancer.command(&["persistence", "RDP", "--clear", "--client", "USER7"])?;
    ensure!(said.contains("1 client forgotten"), "{said}");

    let mut octets = Octets::start(&bed.client, SocketAddr::new(vip(), 4444))?;
    for number in 1..=3u8 {
        let address = u32::from_le_bytes([192, 168, 100, 110 + number]);
        let token = format!("msts={address}.{}.0000", 4444u16.swap_bytes());
        let went = login(&mut octets, &token, 1_000)?;
        ensure!(went == format!("web{number}"), "the token of web{number} led to {went}");
    }
    let unnamed = "fulcrum_service_unnamed_connections_total{service=\"RDP\",mode=\"l7-tcp\"}";
    ensure!(metric(&balancer, unnamed)? == 0.0);
    for words in [&b"GET / HTTP/1.1\r\n\r\n"[..], &request("mstshash=")] {
        spoken(&mut octets, words, 1_000)?;
    }
    ensure!(metric(&balancer, unnamed)? == 2.0);
    drop(octets);
    bed.close(balancer)
}

/// Clients of openssl resume their sessions with real servers of nginx: each comes back to the one
/// that has the session, eight times at once, and through a proxy that takes over.
fn tls_session(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    let authority = Authority::make(bed.lab.folder(), "world")?;
    let own = authority.sign("a", ECDSA, "DNS:a.example")?;
    for server in &mut bed.servers {
        server.web_sessions(&own)?;
    }
    let line = "persistence = { by = \"tls-session\", timeout = \"1h\" }";
    let text = file(&[service("WEB", "443", line, &[1, 2, 3])]);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let mut homes = Homes::new();
    for client in 0..6 {
        let kept = bed.client.folder().join(format!("session{client}"));
        let (is_new, server) = shake_hands(&bed.client, &format!("-sess_out {}", kept.display()))?;
        ensure!(is_new, "a session that nobody gave was resumed");
        homes.insert(format!("-sess_in {}", kept.display()), server);
    }
    must_be_spread(&homes)?;
    resume(&bed.client, &homes)?;
    another_proxy(&mut balancer)?;
    resume(&bed.client, &homes)?;
    let listed = balancer.get("/api/v1/services/WEB/persistence")?;
    let rows = listed["clients"].as_array().context("clients")?;
    ensure!(rows.len() == homes.len(), "sessions that were only resumed are there: {listed}");
    let id = rows[0]["client"].as_str().context("a session")?;
    let said = balancer.command(&["persistence", "WEB", "--clear", "--client", id])?;
    ensure!(said.contains("1 client forgotten"), "{said}");
    bed.close(balancer)
}

/// Real servers that give cookies of their own: who has one stays with the server that gave it,
/// however many requests there are at once, and through a proxy that takes over.
fn app_cookie(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_app()?;
    }
    let line = "persistence = { by = \"app-cookie\", cookie = \"sid\", timeout = \"1h\" }";
    let text = file(&[http("WEB", "80", line, &[1, 2, 3])]);
    let mut balancer = Balancer::start(&bed.host, &text)?;
    let mut homes = Homes::new();
    for client in 0..9 {
        let jar = bed.client.folder().join(format!("jar{client}")).display().to_string();
        let names = pages(&bed.client, &format!("--cookie-jar {jar} 'http://{VIP}/'"))?;
        homes.insert(jar, names.first().context("no page")?.clone());
    }
    must_be_spread(&homes)?;
    come_back(&bed.client, &homes)?;
    another_proxy(&mut balancer)?;
    come_back(&bed.client, &homes)?;
    let listed = balancer.get("/api/v1/services/WEB/persistence")?;
    let rows = listed["clients"].as_array().context("clients")?;
    ensure!(rows.len() == homes.len(), "{listed}");
    for row in rows {
        let shown = row["client"].as_str().unwrap_or_default();
        ensure!(shown.contains('…') && shown.ends_with("(32 characters)"), "a session: {row}");
    }
    bed.close(balancer)
}

/// Clients behind a proxy in front of us, who come from one address: each stays with its server, and
/// is not split, also by a proxy that takes over from ours.
fn forwarded_for(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let line = "persistence = { by = \"x-forwarded-for\", timeout = \"1h\" }";
    let mut balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", line, &[1, 2, 3])]))?;
    let ask = |number: u8| -> Result<(String, String)> {
        let told = format!("X-Forwarded-For: 203.0.113.{number}");
        let mut names = pages(&bed.client, &format!("--header '{told}' 'http://{VIP}/[1-8]'"))?;
        names.dedup();
        ensure!(names.len() == 1, "{told} was split: {names:?}");
        Ok((told, names.remove(0)))
    };
    let all = || (1..=9).map(ask).collect::<Result<Homes>>();
    let first = all()?;
    must_be_spread(&first)?;
    ensure!(all()? == first, "somebody was moved");
    another_proxy(&mut balancer)?;
    ensure!(all()? == first, "somebody was moved by a proxy that took over");
    bed.close(balancer)
}

/// Who has our cookie goes by it; who has none, or has lost it, by the address.
fn cookie_else_address(_: Scale) -> Result<()> {
    let mut bed = Bed::new(3)?;
    for server in &mut bed.servers {
        server.web_asked(&[80])?;
    }
    let addresses: Vec<_> = (0..9).map(|number| format!("192.168.100.{}", 150 + number)).collect();
    for address in &addresses {
        bed.client.ip(&format!("addr add {address}/24 dev eth0"))?;
    }
    let lines =
        "http = { cookie = \"SRV\" }\npersistence = { by = \"source-ip\", timeout = \"1h\" }";
    let mut balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1, 2, 3])]))?;
    let ask = |address: &String, with: bool| -> Result<String> {
        let jar = bed.client.folder().join(format!("jar{address}")).display().to_string();
        let jar = if with { format!("--cookie {jar} --cookie-jar {jar}") } else { String::new() };
        let url = format!("--interface {address} {jar} 'http://{VIP}/[1-8]'");
        let mut names = pages(&bed.client, &url)?;
        names.dedup();
        ensure!(names.len() == 1, "{address} was split: {names:?}");
        Ok(names.remove(0))
    };
    let all = |with: bool| -> Result<Homes> {
        addresses.iter().map(|it| Ok((it.clone(), ask(it, with)?))).collect()
    };
    let first = all(false)?;
    must_be_spread(&first)?;
    ensure!(all(true)? == first, "somebody was moved by getting a cookie");
    balancer.command(&["persistence", "WEB", "--clear"])?;
    ensure!(all(true)? == first, "somebody was moved with a cookie");
    ensure!(all(false)? == first, "somebody was moved by losing the cookie");
    another_proxy(&mut balancer)?;
    ensure!(all(false)? == first, "somebody was moved by a proxy that took over");
    bed.close(balancer)
}

/// Every user logs in by clients of all sizes of pieces at once. None may be split.
fn logins(client: &Host) -> Result<Homes> {
    let one = |size: usize| -> Result<Homes> {
        let mut octets = Octets::start(client, SocketAddr::new(vip(), 4444))?;
        let users = (0..USERS).map(|user| {
            // Users type their names as they like.
            let name =
                if size.is_multiple_of(2) { format!("user{user}") } else { format!("User{user}") };
            let server = login(&mut octets, &format!("mstshash={name}"), 1 + 7 * size)?;
            Ok((name.to_lowercase(), server))
        });
        users.collect()
    };
    let all: Vec<Homes> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|size| scope.spawn(move || one(size))).collect();
        threads.into_iter().map(|it| it.join().expect("no panic")).collect::<Result<_>>()
    })?;
    let first = all.first().cloned().unwrap_or_default();
    ensure!(all.iter().all(|homes| *homes == first), "somebody was split: {all:?}");
    Ok(first)
}

/// Begins as an RDP client does. The real server that it got.
fn login(octets: &mut Octets, cookie: &str, piece: usize) -> Result<String> {
    spoken(octets, &request(cookie), piece)
}

/// The real server that repeats these words.
fn spoken(octets: &mut Octets, words: &[u8], piece: usize) -> Result<String> {
    let (answer, end) = octets.send(words, piece)?;
    let break_at = answer.iter().position(|&octet| octet == b'\n').context("no name")?;
    let (name, echo) = answer.split_at(break_at);
    ensure!(end == End::Closed && echo[1..] == *words, "{name:?} got {echo:?}, ended {end:?}");
    Ok(String::from_utf8(name.to_vec())?)
}

/// An X.224 connection request with this cookie and a request for TLS (MS-RDPBCGR section 2.2.1.1).
fn request(cookie: &str) -> Vec<u8> {
    let rest = [b"Cookie: ", cookie.as_bytes(), b"\r\n", &[1, 0, 8, 0, 3, 0, 0, 0]].concat();
    let length = 11 + rest.len() as u8;
    [&[3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0], &rest[..]].concat()
}

/// Whether the session is a new one, and the name that the real server says.
fn shake_hands(client: &Host, options: &str) -> Result<(bool, String)> {
    let line = format!(
        "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 10 openssl s_client -connect {VIP}:443 -tls1_2 \
         -no_ticket -ign_eof {options} 2>&1"
    );
    let said = client.shell(&line, LIMIT)?;
    let found = |begin: &str| said.lines().find(|line| line.starts_with(begin));
    let server = found("web").with_context(|| format!("no page: {said}"))?;
    ensure!(found("New,").is_some() != found("Reused,").is_some(), "{said}");
    Ok((found("New,").is_some(), server.to_owned()))
}

/// Every client resumes its session eight times at once.
fn resume(client: &Host, homes: &Homes) -> Result<()> {
    at_once(homes, |options, server| {
        let (is_new, went) = shake_hands(client, options)?;
        ensure!(!is_new && went == server, "{options} of {server} went to {went}, new: {is_new}");
        Ok(())
    })
}

/// Every client asks eight times at once with the cookie that it has.
fn come_back(client: &Host, homes: &Homes) -> Result<()> {
    at_once(homes, |jar, server| {
        let names = pages(client, &format!("--cookie {jar} 'http://{VIP}/[1-4]'"))?;
        let same = names.len() == 4 && names.iter().all(|name| name == server);
        ensure!(same, "{jar} of {server} went to {names:?}");
        Ok(())
    })
}

fn at_once(homes: &Homes, act: impl Fn(&str, &str) -> Result<()> + Sync) -> Result<()> {
    for (client, server) in homes {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..CLIENTS).map(|_| scope.spawn(|| act(client, server))).collect();
            threads.into_iter().try_for_each(|it| it.join().expect("no panic"))
        })?;
    }
    Ok(())
}

/// The name in each page that curl gets.
fn pages(client: &Host, options: &str) -> Result<Vec<String>> {
    let line = format!("curl --silent --show-error --fail --max-time 20 {options}");
    let said = client.shell(&line, LIMIT)?;
    let names = said.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned());
    Ok(names.collect())
}

fn must_be_spread(homes: &Homes) -> Result<()> {
    let mut servers: Vec<_> = homes.values().collect();
    servers.sort();
    servers.dedup();
    ensure!(servers.len() == 3, "everybody is on {servers:?}");
    Ok(())
}
