//! The access log of layer 7, and error pages: what was really done is what is written.

use super::layer7::{Bed, VIP, file, http, service, vip};
use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::{Host, until};
use crate::servers::BigFile;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::log::formats", formats));
    tests.push(Test::new("l7::log::reasons", reasons));
    tests.push(Test::new("l7::log::syslog", syslog));
    tests.push(Test::new("l7::log::error-pages", error_pages));
}

const LIMIT: Duration = Duration::from_secs(30);

/// The lines of a file, once there are so many.
fn lines(path: &Path, count: usize) -> Result<Vec<String>> {
    until(&format!("{count} lines in {}", path.display()), LIMIT, || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        ensure!(lines.len() <= count, "more than {count}: {lines:#?}");
        Ok((lines.len() == count && text.ends_with('\n')).then_some(lines))
    })
}

/// The only line of a file, as JSON.
fn json(path: &Path) -> Result<Value> {
    let line = lines(path, 1)?.remove(0);
    serde_json::from_str(&line).with_context(|| line)
}

fn log(host: &Host, name: &str) -> PathBuf {
    host.folder().join(name)
}

fn to(format: &str, path: &Path) -> String {
    format!("access_log = {{ format = \"{format}\", to = \"{}\" }}", path.display())
}

/// What curl says that it did: status, bytes of head and body, its own port.
fn curl(client: &Host, port: u16, options: &str) -> Result<(u64, u64, String)> {
    let write = "%{http_code} %{size_header} %{size_download} %{local_port}";
    let line = format!(
        "curl --silent --output /dev/null --max-time 20 --write-out '{write}' {options} \
         'http://{VIP}:{port}/path?query=1'"
    );
    let said = client.shell(&line, LIMIT)?;
    let words: Vec<&str> = said.split(' ').collect();
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
    let (head, body) = (number(1).context("no head")?, number(2).context("no body")?);
    Ok((number(0).context("no status")?, head + body, words[3].trim().to_owned()))
}

/// Each format, field by field, against what curl did.
fn formats(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    bed.servers[0].web_asked(&[80, 81, 82, 83])?;
    let names = ["http", "combined", "json", "tcp"];
    let path = |name: &str| log(&bed.host, &format!("{name}.log"));
    let mut services: Vec<_> = names[..3]
        .iter()
        .zip(["80", "81", "82"])
        .map(|(name, port)| http(&name.to_uppercase(), port, &to(name, &path(name)), &[1]))
        .collect();
    services.push(service("TCP", "83", &to("tcp", &path("tcp")), &[1]));
    let balancer = Balancer::start(&bed.host, &file(&services))?;

    let (status, bytes, port) = curl(&bed.client, 80, "")?;
    let line = lines(&path("http"), 1)?.remove(0);
    let fields: Vec<&str> = line.split(' ').collect();
    ensure!(fields.len() == 17, "{line}");
    ensure!(fields[0] == format!("192.168.100.50:{port}"), "{line}");
    ensure!(fields[2..4] == ["HTTP", "HTTP/web1"], "{line}");
    let timers: Vec<u64> = fields[4].split('/').filter_map(|ms| ms.parse().ok()).collect();
    ensure!(timers.len() == 5 && timers[..4].iter().sum::<u64>() <= timers[4], "{line}");
    ensure!(fields[5..7] == [status.to_string(), bytes.to_string()], "{bytes} bytes: {line}");
    ensure!(fields[7..12] == ["-", "-", "----", "1/1/1/1/0", "0/0"], "{line}");
    ensure!(fields[12..16] == ["\"GET", "/path?query=1", "HTTP/1.1\"", "done"], "{line}");

    let options = "--user-agent 'a \"b\"' --referer http://r/";
    let (status, bytes, _) = curl(&bed.client, 81, options)?;
    let line = lines(&path("combined"), 1)?.remove(0);
    let end =
        format!("\"GET /path?query=1 HTTP/1.1\" {status} {bytes} \"http://r/\" \"a \\x22b\\x22\"");
    ensure!(line.starts_with("192.168.100.50 - - [") && line.ends_with(&end), "{line}");

    let (status, bytes, port) = curl(&bed.client, 82, "--user-agent 'a \"b\"'")?;
    let line = json(&path("json"))?;
    for (key, value) in [
        ("service", "JSON"),
        ("server", "web1"),
        ("client", "192.168.100.50"),
        ("destination", VIP),
        ("method", "GET"),
        ("target", "/path?query=1"),
        ("user_agent", "a \"b\""),
        ("code", "--"),
        ("reason", "done"),
    ] {
        ensure!(line[key] == value, "{key}: {line}");
    }
    ensure!(line["status"] == status && line["bytes_out"] == bytes, "{line}");
    ensure!(
        line["client_port"].as_u64() == port.parse().ok() && line["destination_port"] == 82,
        "{line}"
    );

    let (_, bytes, port) = curl(&bed.client, 83, "")?;
    let line = lines(&path("tcp"), 1)?.remove(0);
    let fields: Vec<&str> = line.split(' ').collect();
    ensure!(fields[0] == format!("192.168.100.50:{port}") && fields[3] == "TCP/web1", "{line}");
    ensure!(fields[5..] == [&bytes.to_string(), "--", "1/1/1/1/0", "0/0", "done"], "{line}");

    let metrics = balancer.metrics()?;
    for name in ["HTTP", "COMBINED", "JSON"] {
        let series = format!("{{service=\"{name}\",mode=\"l7-http\",result=\"written\"}} 1");
        ensure!(metrics.contains(&series), "{series} is not in the metrics");
    }
    bed.close(balancer)
}

/// A real server that is killed, a client that goes away, a server that does not answer, and one
/// that is not there: each has its own letters and word.
fn reasons(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    let big = BigFile::write(bed.lab.folder(), 100)?;
    bed.servers[0].web(&[80], Some(&big), None)?;
    let path = |number: usize| log(&bed.host, &format!("{number}.log"));
    // Long after the test a check would find the server dead.
    let calm = "check = { type = \"connect\", interval = \"2s\", timeout = \"1s\", fall = 999 }";
    let text = |number: usize| {
        let lines =
            format!("server_timeout = \"700ms\"\nretries = 0\n{}", to("json", &path(number)));
        file(&[http("WEB", "80", &lines, &[1])])
            .replace(&format!("check = {}", crate::scene::CHECK), calm)
    };
    let balancer = Balancer::start(&bed.host, &text(1))?;
    let big_page = format!("'http://{VIP}/big'");
    let slowly = "curl --silent --output /dev/null --limit-rate 8M";

    bed.client.try_shell(&format!("{slowly} --max-time 2 {big_page}"), LIMIT)?;
    told(&json(&path(1))?, "CD", &["client-closed", "client-reset"], Some(200))?;

    balancer.reload(&text(2))?;
    let client = bed.client.clone();
    let line = format!("{slowly} --max-time 20 {big_page}");
    let download = std::thread::spawn(move || client.try_shell(&line, LIMIT).map(drop));
    until("the download has begun", LIMIT, || {
        let lists = bed.servers[0].host.shell("ss -Hnt state established sport = 80", LIMIT)?;
        Ok((!lists.trim().is_empty()).then_some(()))
    })?;
    std::thread::sleep(Duration::from_millis(500));
    bed.servers[0].kill("web")?;
    download.join().expect("no panic")?;
    told(&json(&path(2))?, "SD", &["server-closed", "server-reset"], Some(200))?;

    balancer.reload(&text(3))?;
    let (status, ..) = curl(&bed.client, 80, "")?;
    ensure!(status == 503, "{status}");
    told(&json(&path(3))?, "SC", &["server-refused"], Some(503))?;

    // A listener that never says anything.
    let mut silent = bed.servers[0].host.command("socat");
    silent.args(["-u", "TCP4-LISTEN:80,fork,reuseaddr", "OPEN:/dev/null"]);
    let mut silent = bed.servers[0].host.start("silent", silent)?;
    bed.servers[0].host.wait_port("tcp", 80, &mut silent)?;
    balancer.reload(&text(4))?;
    let (status, ..) = curl(&bed.client, 80, "")?;
    ensure!(status == 504, "{status}");
    let line = json(&path(4))?;
    told(&line, "sH", &["server-timeout"], Some(504))?;
    ensure!(line["total_ms"].as_u64() >= Some(650) && line["response_ms"].is_null(), "{line}");

    balancer.reload(&text(5))?;
    bed.client
        .try_shell(&format!("printf 'nonsense\\r\\n\\r\\n' | socat - TCP4:{VIP}:80"), LIMIT)?;
    let line = json(&path(5))?;
    told(&line, "PR", &["bad-request"], Some(400))?;
    ensure!(line["server"].is_null() && line["method"].is_null(), "{line}");
    silent.kill()?;
    bed.close(balancer)
}

fn told(line: &Value, code: &str, reasons: &[&str], status: Option<u64>) -> Result<()> {
    let reason = line["reason"].as_str().unwrap_or_default();
    ensure!(line["code"] == code && reasons.contains(&reason), "{code} {reasons:?}: {line}");
    ensure!(line["status"].as_u64() == status, "{status:?}: {line}");
    Ok(())
}

/// Every request's line comes to a syslog receiver on another host, or is counted as lost.
fn syslog(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    bed.servers[0].web_asked(&[80])?;
    let path = log(&bed.client, "received.log");
    let mut receiver = bed.client.command("socat");
    receiver.args(["-u", "UDP4-RECVFROM:514,fork,rcvbuf=4194304"]);
    receiver.arg(format!("SYSTEM:\"cat >>{0}; echo >>{0}\"", path.display()));
    let mut receiver = bed.client.start("receiver", receiver)?;
    bed.client.wait_port("udp", 514, &mut receiver)?;
    let lines_of = "access_log = { format = \"http\", to = \"udp://192.168.100.50:514\" }\n\
                    http = { request_id = \"X-Request-ID\" }";
    let balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines_of, &[1])]))?;
    for _ in 0..20 {
        curl(&bed.client, 80, "")?;
    }
    let received = lines(&path, 20)?;
    let mut ids = std::collections::BTreeSet::new();
    for line in &received {
        ensure!(line.starts_with("<134>1 2") && line.contains(" fulcrum-l7 "), "{line}");
        ensure!(line.contains(" WEB WEB/web1 ") && line.contains(" ---- "), "{line}");
        ids.insert(line.rsplit(' ').next().unwrap_or_default().to_owned());
    }
    ensure!(ids.len() == 20 && ids.iter().all(|id| id.len() == 32), "{ids:?}");
    receiver.kill()?;
    bed.close(balancer)
}

/// The operator's page where ours would be, with its status.
fn error_pages(_: Scale) -> Result<()> {
    let mut bed = Bed::new(1)?;
    bed.servers[0].web_asked(&[80])?;
    let lines = "fallback = \"none\"\nhttp = { error_pages = [{ status = 503, body = \"<h1>Sp\u{e4}ter</h1>\" }, \
                 { status = 400, content_type = \"text/plain\", body = \"what?\" }] }";
    let mut balancer = Balancer::start(&bed.host, &file(&[http("WEB", "80", lines, &[1])]))?;
    bed.servers[0].kill("web")?;
    balancer.wait_real_server("WEB", "web1", false)?;
    let page = bed.client.shell(&format!("curl --silent --include 'http://{VIP}/'"), LIMIT)?;
    ensure!(page.starts_with("HTTP/1.1 503 "), "{page}");
    ensure!(page.contains("Content-Type: text/html; charset=utf-8\r\n"), "{page}");
    ensure!(page.ends_with("\r\n\r\n<h1>Sp\u{e4}ter</h1>"), "{page}");
    let say = format!("printf 'nonsense\\r\\n\\r\\n' | socat -t 5 - TCP4:{}:80", vip());
    let page = bed.client.shell(&say, LIMIT)?;
    ensure!(page.contains("text/plain\r\n") && page.ends_with("\r\n\r\nwhat?"), "{page}");
    bed.close(balancer)
}
