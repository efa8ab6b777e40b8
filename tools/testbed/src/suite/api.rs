//! The API as programs of others use it: over HTTPS, from another host.

use super::files;
use crate::balancer::Balancer;
use crate::clients::Swarm;
use crate::harness::{Scale, Test};
use crate::lab::until;
use crate::scene::{Family, Mode, Scene, ServiceConfig, config};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("api::wrong-files", wrong_files));
    tests.push(Test::new("api::management-address-returns", management_address_returns));
    tests.push(Test::new("api::prometheus", prometheus));
    tests.push(Test::new("api::schemathesis", schemathesis));
}

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse battery";

/// One service in front of one real server that answers.
fn scene() -> Result<(Scene, Balancer, String)> {
    let mut scene = Scene::new(Mode::Snat, Family::V4, 1)?;
    let port = scene.real_port(4444);
    scene.servers[0].echo(&[port])?;
    let text = config(&scene, "", &[ServiceConfig::new("ECHO", 4444, "tcp")]);
    let balancer = Balancer::start(&scene.balancer, &text)?;
    Ok((scene, balancer, text))
}

/// The API's place on the balancer's own address.
fn origin(scene: &Scene) -> String {
    format!("https://{}:9443", scene.family.address("lan", 10))
}

/// A token for programs, which its user may give them.
fn token(balancer: &Balancer, role: &str) -> Result<String> {
    balancer.put("/api/v1/users/loadbalancer/password", &json!({"password": PASSWORD}))?;
    let wanted = json!({"name": "program", "owner": "loadbalancer", "role": role});
    let made = balancer.post("/api/v1/tokens", &wanted)?;
    Ok(made["token"].as_str().context("no token")?.to_owned())
}

/// Every wrong file is refused with its findings, and nothing of it is kept or applied.
fn wrong_files(_: Scale) -> Result<()> {
    let (scene, balancer, _) = scene()?;
    let before = balancer.get("/api/v1/status")?["generation"].clone();
    let mut files = 0;
    for (text, line, key) in files::wrong_ones() {
        let (status, said) = balancer.ask("PUT", "/api/v1/config", Some(&json!({"text": text})))?;
        ensure!(status == 422, "{status} {said} for\n{text}");
        let findings = said["findings"].as_array().context("no findings")?;
        let found = findings.iter().find(|finding| {
            finding["line"] == line
                && finding["severity"] == "error"
                && finding["key"].as_str().is_some_and(|there| there.contains(key))
        });
        let found = found.with_context(|| format!("no error at line {line}, {key}: {said}"))?;
        let pointer = found["pointer"].as_str().context("no pointer")?;
        // A text that is no TOML has no place to point to.
        ensure!(pointer.starts_with('/') || key.is_empty(), "{found}");
        ensure!(found["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{found}");
        files += 1;
    }
    ensure!(files >= 20, "only {files}");
    let revisions = balancer.get("/api/v1/config/revisions")?;
    ensure!(revisions["revisions"].as_array().is_some_and(|all| all.len() == 1), "{revisions}");
    let after = &balancer.get("/api/v1/status")?["generation"];
    ensure!(*after == before, "{before} became {after}");
    scene.close(balancer)
}

/// An operator who cuts off their own way in gets it back without doing anything.
fn management_address_returns(_: Scale) -> Result<()> {
    let (scene, balancer, text) = scene()?;
    let own = scene.family.on("lan", 10);
    let other = scene.family.on("lan", 11);
    let ask = format!("curl -sk -o /dev/null -m 2 {}/api/v1/status", origin(&scene));
    let answers = || -> Result<bool> { Ok(scene.client.try_shell(&ask, LIMIT)?.status.success()) };
    until("the API over HTTPS", LIMIT, || Ok(answers()?.then_some(())))?;
    let cut = text.replace(&own, &other);
    ensure!(cut != text);
    let trial = json!({"text": cut, "message": "a new address", "confirm_within_s": 4});
    let applied = balancer.put("/api/v1/config", &trial)?;
    ensure!(applied["returns_in_s"].as_u64().is_some_and(|s| s <= 4), "{applied}");
    ensure!(!answers()?, "the old address still answers");
    until("the API comes back", LIMIT, || Ok(answers()?.then_some(())))?;
    let now = balancer.get("/api/v1/config")?;
    ensure!(now["revision"] == 1 && now["text"] == text.as_str(), "{now}");
    let events = balancer.get("/api/v1/events")?.to_string();
    ensure!(events.contains("was not confirmed in time"), "{events}");
    scene.close(balancer)
}

/// Prometheus itself reads the metrics, with a token, and finds in them what is so.
fn prometheus(_: Scale) -> Result<()> {
    let (scene, balancer, _) = scene()?;
    let token = token(&balancer, "viewer")?;
    let target = origin(&scene).replace("https://", "");
    let folder = scene.client.folder().join("prometheus");
    std::fs::create_dir_all(&folder)?;
    let settings = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n- job_name: fulcrum\n  scheme: https\n  \
         tls_config: {{ insecure_skip_verify: true }}\n  \
         authorization: {{ credentials: \"{token}\" }}\n  \
         static_configs: [{{ targets: [\"{target}\"] }}]\n"
    );
    std::fs::write(folder.join("prometheus.yml"), settings)?;
    let mut command = scene.client.command("prometheus");
    command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg("--web.listen-address=127.0.0.1:9090");
    let mut process = scene.client.start("prometheus", command)?;
    scene.client.wait_port("tcp", 9090, &mut process)?;
    let ask = |query: &str| -> Result<Value> {
        let line =
            format!("curl -sG -m 5 127.0.0.1:9090/api/v1/query --data-urlencode 'query={query}'");
        let answer: Value = serde_json::from_str(&scene.client.shell(&line, LIMIT)?)?;
        Ok(answer["data"]["result"][0]["value"][1].clone())
    };
    for (query, value) in [
        ("up", "1"),
        ("fulcrum_node_config_revision", "1"),
        ("fulcrum_real_server_check_up{service=\"ECHO\",real_server=\"web1\"}", "1"),
    ] {
        let what = format!("{query} is {value}");
        until(&what, LIMIT, || Ok((ask(query)? == value).then_some(())))?;
    }
    let lint = format!(
        "curl -sk -m 5 -H 'Authorization: Bearer {token}' {}/metrics | promtool check metrics 2>&1",
        origin(&scene)
    );
    let lint = scene.client.try_shell(&lint, LIMIT)?;
    ensure!(lint.status.success() && lint.out.trim().is_empty(), "promtool: {}", lint.out);
    drop(process);
    scene.close(balancer)
}

/// Whether a text is a configuration, or a file a certificate, is more than a schema can say.
/// Guessing passwords is slowed (429); that nobody comes in without one is another test's, which asks
/// every operation.
const SETTINGS: &str = "
checks.ignored_auth.enabled = false

[[operations]]
include-path-regex = \"^/api/v1/(config(/plan|/edit)?|certificates/.*)$\"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = \"/real-servers/\"
parameters = { \"path.service\" = \"ECHO\", \"path.real_server\" = \"web1\" }
";

/// Where `xtask test` installs it.
const SCHEMATHESIS: &str = "schemathesis/bin/schemathesis";

/// A program that knows the API by its document only calls every operation in every way that it can
/// think of: no answer is a fault of ours, and each is as the document says.
fn schemathesis(scale: Scale) -> Result<()> {
    let program = program()?;
    let (scene, balancer, _) = scene()?;
    let token = token(&balancer, "admin")?;
    let examples = scale.pick(15, 300);
    let settings = scene.client.folder().join("schemathesis.toml");
    std::fs::write(&settings, SETTINGS)?;
    let mut command = scene.client.command(program);
    command.arg("--config-file").arg(&settings);
    command.arg("run").arg(format!("{}/api/v1/openapi.json", origin(&scene)));
    command.args(["--tls-verify", "false", "--no-color", "--max-examples", &examples.to_string()]);
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    command.args(["--phases", "examples,coverage,fuzzing,stateful"]);
    command.args(["--generation-deterministic", "--continue-on-failure"]);
    // It has no end.
    command.args(["--exclude-path", "/api/v1/events/stream"]);
    command.args(["--request-timeout", "30"]);
    command.current_dir(scene.client.folder());
    let output = crate::lab::process::finish(command, Duration::from_secs(1_800))?;
    ensure!(output.status.success(), "schemathesis:\n{}{}", output.out, output.err);
    let cases = output.out.lines().find_map(|line| line.trim().split_once(" generated, "));
    let cases: u64 = cases.with_context(|| output.out.clone())?.0.parse()?;
    ensure!(cases >= 500, "only {cases} calls");
    // They have drained, halted, applied and confirmed what they could; it is still a balancer.
    let back = json!({"to": 1});
    balancer.post("/api/v1/config/rollback", &back)?;
    balancer.post("/api/v1/services/ECHO/real-servers/web1/online", &Value::Null)?;
    let mut swarm = Swarm::tcp(&scene.client, scene.vip(), 4444, &[scene.client_address()])?;
    swarm.open(20)?.must_be(20)?;
    drop(swarm);
    scene.close(balancer)
}

fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut places = own.ancestors().map(|folder| folder.join(SCHEMATHESIS));
    places.find(|place| place.exists()).context(
        "schemathesis is not installed; `cargo run -p xtask -- test e2e` does so, or: \
         python3 -m venv target/schemathesis && target/schemathesis/bin/pip install schemathesis",
    )
}
