//! Rules of HTTP mode: what the real server received, and what the client got.

use super::layer7::{Bed, LIMIT, VIP, curl, file, http};
use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::Host;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::rules::conditions", conditions));
    tests.push(Test::new("l7::rules::answers", answers));
    tests.push(Test::new("l7::rules::servers", servers));
    tests.push(Test::new("l7::rules::request", request));
    tests.push(Test::new("l7::rules::response", response));
    tests.push(Test::new("l7::rules::edits", edits));
}

/// Servers that say what was asked for.
fn bed(servers: usize) -> Result<Bed> {
    let mut bed = Bed::new(servers)?;
    for server in &mut bed.servers {
        server.web_mirror(&[80])?;
    }
    Ok(bed)
}

/// A service on port 80 with these rules.
fn text(lines: &str, servers: &[usize], rules: &[&str]) -> String {
    let rules: String =
        rules.iter().map(|rule| format!("\n  [[service.rule]]\n{rule}\n")).collect();
    file(&[http("WEB", "80", lines, servers) + &rules])
}

/// One request: its status, and the answer with its headers.
fn ask(client: &Host, options: &str, target: &str) -> Result<(u16, String)> {
    let line = format!(
        "curl --silent --show-error --max-time 10 --globoff --path-as-is --include {options} \
         --write-out '\\n%{{http_code}}' 'http://{VIP}{target}'"
    );
    let said = client.shell(&line, LIMIT)?;
    let (answer, status) = said.trim_end().rsplit_once('\n').context("a status")?;
    Ok((status.parse()?, answer.to_owned()))
}

/// Each rule denies with a status of its own, so that the status tells which one was met.
fn conditions(_: Scale) -> Result<()> {
    let bed = bed(1)?;
    let rules = [
        "path = \"/exact\"\ndeny = 410",
        "path_begins = [\"/a/\", \"/b/\"]\nnot = { source = \"10.0.0.0/8\", method = \"POST\" }\ndeny = 411",
        "path_ends = \".php\"\ndeny = 412",
        "path_contains = \"/secret/\"\ndeny = 413",
        "host = [\"one.example\", \"TWO.example\"]\ndeny = 414",
        "host_ends = \".shop.example\"\ndeny = 415",
        "host_begins = \"www.\"\ndeny = 416",
        "method = \"DELETE\"\ndeny = 417",
        "query = \"full=1\"\ndeny = 418",
        "query_contains = \"debug\"\ndeny = 419",
        "parameter = { name = \"v\", is = [\"2\", \"3\"] }\ndeny = 420",
        "header = [{ name = \"X-One\", begins = \"a\" }, { name = \"X-Two\" }]\ndeny = 421",
        "cookie = { name = \"beta\", ends = \"!\" }\ndeny = 422",
        "source = [\"192.168.100.50\", \"2001:db8::/32\"]\npath = \"/source\"\ndeny = 423",
        "source = \"192.168.100.48/31\"\npath = \"/other\"\ndeny = 424",
        "scheme = \"http\"\npath = \"/scheme\"\ndeny = 425",
    ];
    let balancer = Balancer::start(&bed.host, &text("", &[1], &rules))?;
    for (options, target, expected) in [
        ("", "/", 200),
        ("", "/exact", 410),
        ("", "/%65xact?x", 410),
        ("", "/exact/", 200),
        ("", "/b/x", 411),
        ("", "/x/../a/x", 411),
        ("--request POST", "/b/x", 200),
        ("", "/index.php", 412),
        ("", "/x/secret/y", 413),
        ("--header 'Host: Two.example:8080'", "/", 414),
        ("--header 'Host: a.shop.example'", "/", 415),
        ("--header 'Host: shop.example'", "/", 200),
        ("--header 'Host: www.x'", "/", 416),
        ("--request DELETE", "/", 417),
        ("", "/?full=1", 418),
        ("", "/?full=12", 200),
        ("", "/?x=debugger", 419),
        ("", "/?a=1&v=3", 420),
        ("", "/?a=1&v=4", 200),
        ("--header 'X-One: ab' --header 'X-Two: x'", "/", 421),
        ("--header 'X-One: ab'", "/", 200),
        ("--cookie 'a=b; beta=yes!'", "/", 422),
        ("--cookie 'beta=no'", "/", 200),
        ("", "/source", 423),
        ("", "/other", 200),
        ("", "/scheme", 425),
    ] {
        let (status, answer) = ask(&bed.client, options, target)?;
        ensure!(status == expected, "{options} {target}: {status} and not {expected}: {answer}");
    }
    bed.close(balancer)
}

/// What the client gets in place of a server's answer.
fn answers(_: Scale) -> Result<()> {
    let bed = bed(1)?;
    let rules = [
        "path_begins = \"/old/\"\nredirect = \"https://www.example.com{path}{query}\"\nstatus = 301",
        "path = \"/here\"\nredirect = \"/there?from={client}\"",
        "host = \"plain.example\"\nforce_https = true\nstatus = 308",
        "path = \"/admin\"\ndeny = 403",
        "path = \"/admin\"\nredirect = \"/never\"",
    ];
    let balancer = Balancer::start(&bed.host, &text("", &[1], &rules))?;
    let plain = "--header 'Host: plain.example:8080'";
    for (options, target, expected, location) in [
        ("", "/old/a%20b?c=d", 301, "https://www.example.com/old/a%20b?c=d"),
        ("", "/here", 302, "/there?from=192.168.100.50"),
        (plain, "/x?y", 308, "https://plain.example/x?y"),
    ] {
        let (status, answer) = ask(&bed.client, options, target)?;
        let line = format!("\nLocation: {location}\r\n");
        ensure!(status == expected && answer.contains(&line), "{target}: {answer}");
    }
    let (status, answer) = ask(&bed.client, "", "/admin")?;
    ensure!(status == 403 && answer.contains("403 Forbidden"), "{answer}");
    ensure!(!answer.contains("X-Secret"), "the server was asked: {answer}");
    bed.close(balancer)
}

/// Which real servers a request may go to; the last rule prevails, and none else takes it.
fn servers(_: Scale) -> Result<()> {
    let mut bed = bed(4)?;
    let rules = [
        "path_begins = \"/api/\"\nservers = [\"web3\"]",
        "path_begins = \"/api/v2/\"\nservers = [\"web3\", \"web4\"]",
    ];
    let lines = "http = { servers = [\"web1\", \"web2\"] }\nfallback = \"none\"\nretries = 1";
    let mut balancer = Balancer::start(&bed.host, &text(lines, &[1, 2, 3, 4], &rules))?;
    let asked = |target: &str| -> Result<Vec<String>> {
        let mut names = Vec::new();
        for _ in 0..12 {
            let (status, answer) = ask(&bed.client, "", target)?;
            ensure!(status == 200, "{target}: {answer}");
            let line = answer.lines().last().unwrap_or_default();
            names.push(line.split(' ').next().unwrap_or_default().to_owned());
        }
        names.sort();
        names.dedup();
        Ok(names)
    };
    ensure!(asked("/")? == ["web1", "web2"]);
    ensure!(asked("/api/x")? == ["web3"]);
    ensure!(asked("/api/v2/x")? == ["web3", "web4"]);
    bed.servers[2].kill("web")?;
    balancer.wait_real_server("WEB", "web3", false)?;
    ensure!(ask(&bed.client, "", "/api/x")?.0 == 503, "another server took what is web3's");
    let asked = ask(&bed.client, "", "/api/v2/x")?;
    ensure!(asked.0 == 200 && asked.1.contains("web4 "), "{asked:?}");
    bed.close(balancer)
}

/// What the real server receives.
fn request(_: Scale) -> Result<()> {
    let bed = bed(1)?;
    let rules = [
        "path_begins = \"/set/\"\nset_header = { name = \"X-One\", value = \"{client}/{host}{port}\" }",
        "path_begins = \"/add/\"\nadd_header = [{ name = \"X-One\", value = \"{scheme}\" }, { name = \"X-Two\", value = \"{{2}}\" }]",
        "path_begins = \"/delete/\"\ndelete_header = [\"x-one\", \"X-Two\"]",
        "path_begins = \"/replace/\"\nreplace_header = { name = \"X-One\", find = \"cat\", with = \"dog\" }",
        "path_begins = \"/rewrite/\"\nrewrite = \"/all{path}\"",
        "path_begins = \"/api/\"\nrewrite_prefix = { from = \"/api/\", to = \"/v2/\" }",
        "path_begins = \"/strip\"\nrewrite_prefix = { from = \"/strip\", to = \"/\" }",
    ];
    let balancer = Balancer::start(&bed.host, &text("", &[1], &rules))?;
    let came = "--header 'X-One: cat and cat' --header 'X-Two: b'";
    for (target, received) in [
        ("/set/", format!("/set/ 192.168.100.50/{VIP} b")),
        ("/delete/", "/delete/ - -".into()),
        ("/replace/", "/replace/ dog and dog b".into()),
        ("/rewrite/x?y=z", "/all/rewrite/x?y=z cat and cat b".into()),
        ("/api/x?y", "/v2/x?y cat and cat b".into()),
        ("/strip/x", "/x cat and cat b".into()),
        ("/strip?y", "/?y cat and cat b".into()),
        ("/other", "/other cat and cat b".into()),
    ] {
        let (_, answer) = ask(&bed.client, came, target)?;
        ensure!(answer.trim_end().ends_with(&format!("web1 GET {received}")), "{target}: {answer}");
    }
    let (_, answer) = ask(&bed.client, "", "/add/")?;
    ensure!(answer.trim_end().ends_with("web1 GET /add/ http {2}"), "{answer}");
    bed.close(balancer)
}

/// What the client receives.
fn response(_: Scale) -> Result<()> {
    let bed = bed(1)?;
    let rules = [
        "delete_response_header = \"X-Secret\"",
        "path = \"/set\"\nset_response_header = { name = \"X-Back\", value = \"ours\" }",
        "path = \"/add\"\nadd_response_header = { name = \"X-Back\", value = \"more\" }",
        "path = \"/replace\"\nreplace_response_header = { name = \"X-Back\", find = \"http:\", with = \"https:\" }",
        "hsts = { max_age = \"1h\" }",
    ];
    let balancer = Balancer::start(&bed.host, &text("", &[1], &rules))?;
    for (target, backs) in [
        ("/", &["http://inside/"][..]),
        ("/set", &["ours"]),
        ("/add", &["http://inside/", "more"]),
        ("/replace", &["https://inside/"]),
    ] {
        let (_, answer) = ask(&bed.client, "", target)?;
        let lines = answer.lines().filter_map(|line| line.strip_prefix("X-Back: "));
        let got: Vec<_> = lines.map(str::trim_end).collect();
        ensure!(got == backs, "{target}: {answer}");
        ensure!(!answer.contains("X-Secret"), "{target}: {answer}");
        ensure!(!answer.contains("Strict-Transport"), "said without TLS: {answer}");
    }
    bed.close(balancer)
}

/// Rules come, change and go: what is asked next goes by them, and no request fails.
fn edits(_: Scale) -> Result<()> {
    let bed = bed(2)?;
    let rules: [&[&str]; 5] = [
        &[],
        &["path_begins = \"/\"\nservers = [\"web2\"]"],
        &[
            "path_begins = \"/\"\nservers = [\"web2\"]",
            "set_header = { name = \"X-One\", value = \"1\" }",
        ],
        &["set_header = { name = \"X-One\", value = \"2\" }\nrewrite = \"/all{path}\""],
        &[],
    ];
    let balancer = Balancer::start(&bed.host, &text("", &[1, 2], rules[0]))?;
    let asking = bed.client.clone();
    let asked = std::thread::spawn(move || curl(&asking, "--rate 100/s", 800));
    for (rules, expected) in rules.iter().zip([
        "web GET / - -",
        "web2 GET / - -",
        "web2 GET / 1 -",
        "web GET /all/ 2 -",
        "web GET / - -",
    ]) {
        let edit = text("", &[1, 2], rules);
        let plan = balancer.post("/api/v1/config/plan", &json!({"text": edit}))?;
        ensure!(plan["breaks"] == 0, "{plan}");
        balancer.reload(&edit)?;
        for _ in 0..6 {
            let (_, answer) = ask(&bed.client, "", "/")?;
            let line = answer.lines().last().unwrap_or_default();
            let either = line.replacen("web1 ", "web ", 1).replacen("web2 ", "web ", 1);
            ensure!(line == expected || either == expected, "{line:?} and not {expected:?}");
        }
        std::thread::sleep(Duration::from_secs(1)); // requests under each of them
    }
    let asked = asked.join().expect("curl's thread")?;
    let well = |line: &String| line.starts_with("web") && line.contains(" GET /");
    ensure!(asked.len() == 800 && asked.iter().all(well), "{} of 800: {asked:?}", asked.len());
    let through = |word: &str| asked.iter().any(|line| line.contains(word));
    ensure!(through(" 1 -") && through("/all/"), "no request under the edits");
    bed.close(balancer)
}
