//! TLS of services of layer 7, with the clients of the world: curl and openssl.

use crate::balancer::Balancer;
use crate::harness::{Scale, Test};
use crate::lab::{Host, Lab, Link, process, until};
use crate::scene::CHECK;
use crate::servers::Server;
use crate::servers::authority::{Authority, ECDSA, RSA, Signed};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

pub fn add(tests: &mut Vec<Test>) {
    tests.push(Test::new("l7::tls::both-modes", both_modes));
    tests.push(Test::new("l7::tls::names", names));
    tests.push(Test::new("l7::tls::imports", imports));
    tests.push(Test::new("l7::tls::requests", requests));
    tests.push(Test::new("l7::tls::client-certificates", client_certificates));
    tests.push(Test::new("l7::tls::resumption", resumption));
    tests.push(Test::new("l7::tls::swap", swap));
    tests.push(Test::new("l7::tls::reencrypt", reencrypt));
    tests.push(Test::new("l7::tls::testssl", testssl).only_in_full()); // 80 s
}

const VIP: &str = "192.168.100.100";
const LIMIT: Duration = Duration::from_secs(60);

/// A client, a balancer with one arm, real servers, and an authority that the client trusts.
pub(super) struct Bed {
    pub(super) lab: Lab,
    pub(super) client: Host,
    pub(super) host: Host,
    pub(super) servers: Vec<Server>,
    pub(super) authority: Authority,
}

impl Bed {
    /// Two real servers without a daemon.
    pub(super) fn new() -> Result<Self> {
        let mut lab = Lab::new()?;
        lab.network("lan")?;
        let client = lab.host("client", &[Link::eth0("lan", "192.168.100.50/24")])?;
        let host = lab.balancer(&["lan"])?;
        let server = |number| -> Result<Server> {
            let address = format!("192.168.100.{}/24", 110 + number);
            Ok(Server::new(lab.host(&format!("web{number}"), &[Link::eth0("lan", &address)])?))
        };
        let servers = [1, 2].map(server).into_iter().collect::<Result<_>>()?;
        let authority = Authority::make(lab.folder(), "world")?;
        Ok(Self { lab, client, host, servers, authority })
    }

    /// With a page on port 80 that says how the client came.
    fn asked() -> Result<Self> {
        let mut bed = Self::new()?;
        for server in &mut bed.servers {
            server.web_asked(&[80])?;
        }
        Ok(bed)
    }

    /// What curl says of `https://NAME/`: the page, or why there is none.
    pub(super) fn curl(&self, name: &str, options: &str) -> Result<String> {
        let (root, to) = (self.authority.root(), root_of(name));
        let line = format!(
            "curl --silent --show-error --max-time 10 --cacert {} --resolve '{to}:{VIP}' {options} \
             'https://{name}/' 2>&1",
            root.display()
        );
        Ok(self.client.try_shell(&line, LIMIT)?.out)
    }

    /// What `openssl s_client` says of a connection that asks for `name`.
    fn openssl(&self, name: &str, options: &str) -> Result<String> {
        let root = self.authority.root();
        let line = format!(
            "printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | timeout 10 openssl \
             s_client -connect {VIP}:443 -servername {name} -CAfile {} -ign_eof {options} 2>&1",
            root.display()
        );
        Ok(self.client.try_shell(&line, LIMIT)?.out)
    }

    /// The fingerprint of what is shown to a client that asks for `name`.
    fn shown(&self, name: &str) -> Result<String> {
        shown(&self.client, 443, name)
    }

    pub(super) fn close(self, balancer: Balancer) -> Result<()> {
        let conserved = balancer.must_conserve().map(drop);
        let stopped = balancer.stop();
        drop(self.servers);
        conserved.and(stopped).and(self.lab.close())
    }
}

/// The fingerprint of what is shown at `port` to a client that asks for `name`.
pub(super) fn shown(client: &Host, port: u16, name: &str) -> Result<String> {
    let line = format!(
        "timeout 10 openssl s_client -connect {VIP}:{port} -servername {name} </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256"
    );
    let said = client.try_shell(&line, LIMIT)?.out;
    let digits = said.trim().rsplit('=').next().unwrap_or_default();
    Ok(digits.replace(':', "").to_ascii_lowercase())
}

/// `a.example:8443` as `--resolve` wants it.
fn root_of(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:443") }
}

/// Starts a balancer that lacks certificates yet, and waits until it can take some.
pub(super) fn begin(host: &Host, config: &str) -> Result<Balancer> {
    let balancer = Balancer::begin(host, config)?;
    until("control", LIMIT, || Ok(balancer.get("/api/v1/certificates").ok()))?;
    Ok(balancer)
}

/// Imports key and chain from their files.
pub(super) fn import(balancer: &Balancer, name: &str, signed: &Signed) -> Result<String> {
    let (key, chain) = (signed.key(), signed.chain());
    balancer.command(&["certificate", "import", name, text(&key)?, text(&chain)?])
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}

/// Imports a PFX file.
pub(super) fn sealed(
    balancer: &Balancer,
    name: &str,
    file: &Path,
    password: &Path,
) -> Result<String> {
    let (file, password) = (text(file)?, text(password)?);
    balancer.command(&["certificate", "import", name, file, "--password-file", password])
}

/// A file with these services.
fn file(services: &[String]) -> String {
    let head = "[dataplane]\nhuge_pages = false\n\n[[interface]]\nname = \"eth0\"\n\
                port = \"af_packet:lb0\"\naddresses = [\"192.168.100.10/24\"]\n";
    format!("{head}{}", services.concat())
}

/// A service before both real servers at `port`.
fn service(mode: &str, ports: &str, port: u16, lines: &str) -> String {
    let mut text = format!(
        "\n[[service]]\nname = \"WEB\"\nmode = \"{mode}\"\naddress = \"{VIP}\"\n\
         ports = \"{ports}\"\nscheduler = \"wrr\"\ncheck = {CHECK}\n{lines}\n"
    );
    for number in [1, 2] {
        text += &format!(
            "  [[service.real_server]]\n  name = \"web{number}\"\n  \
             address = \"192.168.100.{}\"\n  port = {port}\n",
            110 + number
        );
    }
    text
}

/// A service with TLS and this in its `tls`.
fn web(mode: &str, tls: &str) -> String {
    file(&[service(mode, "443", 80, &format!("tls = {{ certificates = [\"portal\"]{tls} }}"))])
}

/// What fails says so in one of these words.
fn must_fail(said: &str, words: &[&str]) -> Result<()> {
    ensure!(words.iter().any(|word| said.contains(word)), "not refused as expected: {said}");
    Ok(())
}

/// Without its certificate a service is not served, and certainly not in the clear; with it, in TCP
/// and HTTP mode, one port may speak TLS and the other not.
fn both_modes(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let own = bed.authority.sign("a", ECDSA, "DNS:a.example")?;
    let mut balancer = begin(&bed.host, &web("l7-tcp", ""))?;
    until("the problem to be told", LIMIT, || {
        let status = balancer.get("/api/v1/status").unwrap_or_default().to_string();
        Ok(status.contains("no certificate").then_some(()))
    })?;
    let checked = balancer.post("/api/v1/config/check", &json!({"text": web("l7-tcp", "")}))?;
    ensure!(
        checked["findings"].to_string().contains("there is no certificate portal"),
        "{checked}"
    );
    let refused = bed.client.try_shell(&format!("curl -sS -m 5 http://{VIP}:443/ 2>&1"), LIMIT)?;
    must_fail(&refused.out, &["connect to server", "refused"])?;
    import(&balancer, "portal", &own)?;
    balancer.wait_up()?;
    let page = bed.curl("a.example", "")?;
    ensure!(page.contains("web") && page.contains(" a.example"), "TCP mode: {page}");
    must_fail(&bed.curl("b.example", "")?, &["SSL"])?;
    let lines = "tls = { certificates = [\"portal\"], ports = \"443\" }";
    balancer.reload(&file(&[service("l7-http", "80,443", 80, lines)]))?;
    balancer.wait_up()?;
    let page = bed.curl("a.example", "")?;
    ensure!(page.ends_with(" 192.168.100.50 https a.example\n"), "HTTP mode: {page}");
    let plain = bed.client.shell(&format!("curl -sS -m 5 http://{VIP}/"), LIMIT)?;
    ensure!(plain.ends_with(&format!(" 192.168.100.50 http {VIP}\n")), "beside it: {plain}");
    let checked = bed.openssl("a.example", "-verify_return_error")?;
    ensure!(checked.contains("Verify return code: 0 (ok)"), "the chain: {checked}");
    bed.close(balancer)
}

/// Each name has its certificate; a stranger gets the first, or nothing.
fn names(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let signed = [
        ("one", ECDSA, "DNS:one.example"),
        ("two", RSA, "DNS:*.two.example"),
        ("three", ECDSA, "DNS:three.example"),
    ];
    let sign = |(name, key, names)| bed.authority.sign(name, key, names);
    let signed = signed.into_iter().map(sign).collect::<Result<Vec<_>>>()?;
    let lines = "tls = { certificates = [\"one\", \"two\", \"three\"] }";
    let text = file(&[service("l7-tcp", "443", 80, lines)]);
    let mut balancer = begin(&bed.host, &text)?;
    for (name, signed) in ["one", "two", "three"].into_iter().zip(&signed) {
        import(&balancer, name, signed)?;
    }
    balancer.wait_up()?;
    for (name, place) in [
        ("one.example", 0),
        ("x.two.example", 1),
        ("X.TWO.example", 1),
        ("three.example", 2),
        ("two.example", 0),
        ("strange.example", 0),
    ] {
        ensure!(bed.shown(name)? == signed[place].fingerprint()?, "{name} is shown another");
    }
    balancer.reload(&text.replace("] }", "], strict_names = true }"))?;
    ensure!(bed.shown("three.example")? == signed[2].fingerprint()?);
    must_fail(&bed.openssl("strange.example", "")?, &["alert", "handshake failure"])?;
    bed.close(balancer)
}

/// PEM and PFX of today and of long ago; what is wrong with a file is said; nothing shows a key.
fn imports(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let mut balancer = begin(&bed.host, &web("l7-tcp", ""))?;
    let sign = |name: &str, key| bed.authority.sign(name, key, &format!("DNS:{name}.example"));
    let (one, two) = (sign("one", RSA)?, sign("two", ECDSA)?);
    let password = bed.host.folder().join("password");
    std::fs::write(&password, "not-a-secret\n")?;
    let wrong = bed.host.folder().join("wrong");
    std::fs::write(&wrong, "guessed\n")?;
    for (signed, legacy) in [(&one, true), (&two, false)] {
        let pfx = signed.pfx("not-a-secret", legacy)?;
        let refused = format!(
            "{:#}",
            sealed(&balancer, "portal", &pfx, &wrong).err().context("a wrong password opens it")?
        );
        must_fail(&refused, &["the password does not open it"])?;
        let said = sealed(&balancer, "portal", &pfx, &password)?;
        ensure!(said.contains(&signed.fingerprint()?), "{said}");
        balancer.wait_up()?;
        let name = if legacy { "one.example" } else { "two.example" };
        ensure!(bed.curl(name, "")?.starts_with("web"), "{name} is not served");
    }
    let alone = |files: &[&Path]| -> Result<String> {
        let mut words = vec!["certificate", "import", "portal"];
        words.extend(files.iter().map(|path| text(path)).collect::<Result<Vec<_>>>()?);
        Ok(format!("{:#}", balancer.command(&words).err().context("taken")?))
    };
    let (chain, key) = (one.chain(), two.key());
    must_fail(&alone(&[&chain])?, &["there is no private key in it"])?;
    must_fail(&alone(&[&key])?, &["there is no certificate in it"])?;
    must_fail(&alone(&[&chain, &key])?, &["the private key does not belong"])?;
    must_fail(&alone(&[&bed.host.folder().join("fulcrum.toml")])?, &["not a certificate or key"])?;
    let said = balancer.command(&[
        "certificate",
        "import",
        "spare",
        text(&one.key())?,
        text(&one.certificate())?,
    ])?;
    ensure!(said.contains("warning: its issuer, CN=world-between, is not included"), "{said}");
    ensure!(bed.shown("two.example")? == two.fingerprint()?, "the refused ones changed something");
    nothing_shows_a_key(&bed, &balancer)?;
    let refused = balancer.ask("DELETE", "/api/v1/certificates/portal", None)?;
    ensure!(refused.0 == 409 && refused.1["error"] == "portal is in use by WEB", "{refused:?}");
    balancer.command(&["certificate", "remove", "spare"])?;
    let list = balancer.command(&["certificate", "list"])?;
    ensure!(list.contains("portal  two.example  ECDSA P-256") && !list.contains("spare"), "{list}");
    bed.close(balancer)
}

fn nothing_shows_a_key(bed: &Bed, balancer: &Balancer) -> Result<()> {
    for path in [
        "/api/v1/certificates",
        "/api/v1/certificates/portal",
        "/api/v1/audit",
        "/api/v1/events",
        "/api/v1/config",
        "/api/v1/status",
    ] {
        let answer = balancer.get(path)?.to_string();
        ensure!(
            !answer.contains("PRIVATE") && !answer.contains("not-a-secret"),
            "{path}: {answer}"
        );
    }
    let log = balancer.tail(10_000);
    ensure!(!log.contains("PRIVATE") && !log.contains("not-a-secret"), "the log: {log}");
    let open = "find state runtime -type f -perm /077 -exec grep -l PRIVATE {} +";
    let found = bed.host.try_shell(open, LIMIT)?.out;
    ensure!(found.is_empty(), "others may read {found}");
    Ok(())
}

/// A key made here, its request signed elsewhere, while a certificate that signs itself serves.
fn requests(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let mut balancer = begin(&bed.host, &web("l7-http", ""))?;
    balancer.command(&["certificate", "self-signed", "portal", "a.example", "--days", "20"])?;
    balancer.wait_up()?;
    must_fail(&bed.curl("a.example", "")?, &["self-signed", "self signed", "certificate"])?;
    ensure!(bed.curl("a.example", "--insecure")?.starts_with("web"), "it does not serve");
    let listed = balancer.command(&["certificate", "list"])?;
    ensure!(listed.contains("warning: portal: expires in "), "{listed}");
    let request = balancer.command(&[
        "certificate",
        "csr",
        "portal",
        "a.example",
        "*.b.example",
        "--key",
        "rsa-2048",
        "--organization",
        "Example",
    ])?;
    std::fs::write(bed.authority.folder().join("asked.csr"), &request)?;
    let said = process::succeed(
        {
            let mut command = std::process::Command::new("openssl");
            command.args(["req", "-noout", "-verify", "-text", "-in"]);
            command.arg(bed.authority.folder().join("asked.csr"));
            command
        },
        LIMIT,
    )?;
    ensure!(said.contains("DNS:*.b.example") && said.contains("O = Example"), "{said}");
    ensure!(bed.curl("a.example", "--insecure")?.starts_with("web"), "it serves on meanwhile");
    let signed = bed.authority.sign_request("asked", "DNS:a.example,DNS:*.b.example")?;
    balancer.command(&["certificate", "import", "portal", text(&signed.chain())?])?;
    ensure!(bed.curl("x.b.example", "")?.starts_with("web"), "what was requested does not serve");
    let shown = balancer.command(&["certificate", "show", "portal"])?;
    ensure!(shown.contains(&signed.fingerprint()?) && !shown.contains("PRIVATE"), "{shown}");
    ensure!(!shown.contains("BEGIN CERTIFICATE REQUEST"), "it still waits: {shown}");
    bed.close(balancer)
}

/// Asked for, demanded, of the right authority, not revoked.
fn client_certificates(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let own = bed.authority.sign("a", ECDSA, "DNS:a.example")?;
    let staff = Authority::make(bed.lab.folder(), "staff")?;
    let (ann, eve) =
        (staff.sign("ann", ECDSA, "DNS:ann")?, bed.authority.sign("eve", RSA, "DNS:eve")?);
    let clients =
        |word| format!(", client_certificates = \"{word}\", client_authorities = \"staff\"");
    let mut balancer = begin(&bed.host, &web("l7-http", &clients("required")))?;
    import(&balancer, "portal", &own)?;
    balancer.command(&["certificate", "import", "staff", text(&staff.root())?, "--authorities"])?;
    balancer.wait_up()?;
    let with = |signed: &Signed| {
        let (key, chain) = (signed.key(), signed.chain());
        bed.curl("a.example", &format!("--key {} --cert {}", key.display(), chain.display()))
    };
    ensure!(with(&ann)?.starts_with("web"), "ann is not let in: {}", with(&ann)?);
    must_fail(&with(&eve)?, &["alert", "SSL"])?;
    must_fail(&bed.curl("a.example", "")?, &["alert", "SSL"])?;
    balancer.reload(&web("l7-http", &clients("optional")))?;
    ensure!(with(&ann)?.starts_with("web") && bed.curl("a.example", "")?.starts_with("web"));
    must_fail(&with(&eve)?, &["alert", "SSL"])?;
    let refused = balancer.command(&["certificate", "remove", "staff"]).err().context("removed")?;
    must_fail(&format!("{refused:#}"), &["in use by WEB"])?;
    bed.close(balancer)
}

/// Sessions are resumed with both versions, also by a proxy that took a dead one's place.
fn resumption(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let own = bed.authority.sign("a", ECDSA, "DNS:a.example")?;
    let mut balancer = begin(&bed.host, &web("l7-tcp", ""))?;
    import(&balancer, "portal", &own)?;
    balancer.wait_up()?;
    let kept = |version: &str| bed.client.folder().join(format!("session{version}"));
    let ask = |version: &str, way: &str| -> Result<String> {
        let said = bed.openssl(
            "a.example",
            &format!("-tls{version} -sess_{way} {}", kept(version).display()),
        )?;
        let line =
            said.lines().find(|line| line.starts_with("New,") || line.starts_with("Reused,"));
        Ok(line.with_context(|| format!("no connection: {said}"))?.to_owned())
    };
    for version in ["1_2", "1_3"] {
        ensure!(ask(version, "out")?.starts_with("New,"));
        let again = ask(version, "in")?;
        ensure!(again.starts_with("Reused,"), "{version}: {again}");
    }
    balancer.kill("fulcrum-l7")?;
    balancer.wait_up()?;
    until("the service to be back", LIMIT, || {
        Ok(bed.curl("a.example", "")?.starts_with("web").then_some(()))
    })?;
    for version in ["1_2", "1_3"] {
        let again = ask(version, "in")?;
        ensure!(again.starts_with("Reused,"), "{version}, after the proxy's end: {again}");
    }
    bed.close(balancer)
}

/// A certificate is replaced under 200 clients that keep their connections and go on asking: none
/// fails, and whoever is new sees the new one.
fn swap(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let sign = |name, key| bed.authority.sign(name, key, "DNS:a.example");
    let (one, two) = (sign("one", ECDSA)?, sign("two", RSA)?);
    let mut balancer = begin(&bed.host, &web("l7-http", ""))?;
    import(&balancer, "portal", &one)?;
    balancer.wait_up()?;
    let mut tool = bed.client.tool("https")?;
    tool.arg(format!("{VIP}:443")).arg("a.example").arg(bed.authority.root()).args(["200", "8"]);
    let mut clients = bed.client.start_piped("https", tool)?;
    let out = clients.child().stdout.take().context("no pipe")?;
    let mut out = BufReader::new(out);
    let mut line = String::new();
    out.read_line(&mut line)?;
    ensure!(line == "ready\n", "{line}");
    let chain = bed.host.folder().join("chain.pem");
    for round in 0..4 {
        let signed = if round % 2 == 0 { &two } else { &one };
        std::fs::copy(signed.chain(), &chain)?;
        balancer.command(&[
            "certificate",
            "import",
            "portal",
            text(&signed.key())?,
            text(&chain)?,
        ])?;
        let expected = signed.fingerprint()?;
        until("the new certificate", Duration::from_secs(2), || {
            Ok((bed.shown("a.example")? == expected).then_some(()))
        })?;
    }
    let mut said = String::new();
    out.read_to_string(&mut said)?;
    let told: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let requests = told["requests"].as_u64().unwrap_or_default();
    ensure!(told["failures"] == json!([]) && requests > 5_000, "{told}");
    println!("{requests} requests of 200 clients, none failed");
    bed.close(balancer)
}

/// To real servers with TLS: believed without a look, by their authority, or not; asked for the
/// name that was said; shown our own certificate.
fn reencrypt(_: Scale) -> Result<()> {
    let mut bed = Bed::new()?;
    let own = bed.authority.sign("a", ECDSA, "DNS:a.example")?;
    let inside = Authority::make(bed.lab.folder(), "inside")?;
    let real = inside.sign("real", ECDSA, "DNS:real.example")?;
    let balancer_own = inside.sign("balancer", ECDSA, "DNS:balancer.example")?;
    for server in &mut bed.servers {
        server.web_tls(&[443], &real, &inside.root())?;
    }
    let text_of = |rule: &str| {
        let lines = format!("tls = {{ certificates = [\"portal\"] }}\nreencrypt = {rule}");
        file(&[service("l7-tcp", "443", 443, &lines)])
    };
    let mut balancer = begin(&bed.host, &text_of("true"))?;
    import(&balancer, "portal", &own)?;
    import(&balancer, "balancer", &balancer_own)?;
    balancer.command(&[
        "certificate",
        "import",
        "inside",
        text(&inside.root())?,
        "--authorities",
    ])?;
    balancer.wait_up()?;
    let page = bed.curl("a.example", "")?;
    ensure!(page.contains(" [] [] "), "without a look or a name: {page}");
    for (rule, said) in [
        ("{ name = \"from-client\" }", "[a.example] []"),
        (
            "{ verify = \"authorities\", authorities = \"inside\", name = \"real.example\" }",
            "[real.example] []",
        ),
        ("{ verify = \"authorities-any-name\", authorities = \"inside\" }", "[] []"),
        ("{ certificate = \"balancer\", name = \"real.example\" }", "[real.example] [CN=balancer]"),
    ] {
        balancer.reload(&text_of(rule))?;
        let page = bed.curl("a.example", "")?;
        ensure!(page.starts_with("web") && page.contains(said), "{rule}: {page}");
    }
    for rule in [
        "{ verify = \"authorities\", authorities = \"inside\", name = \"other.example\" }",
        "{ verify = \"system\", name = \"real.example\" }",
        "{ verify = \"authorities\", authorities = \"inside\" }",
    ] {
        balancer.reload(&text_of(rule))?;
        let page = bed.curl("a.example", "")?;
        if page.starts_with("web") {
            bail!("{rule}: {page}");
        }
    }
    bed.close(balancer)
}

/// What testssl.sh may say beyond "low": of itself (an openssl without GOST), of the test's authority
/// (it publishes no revocation list), and of the real servers' pages.
const ALLOWED: &[&str] = &["engine_problem", "cert_revocation", "security_headers"];

/// testssl.sh finds nothing in high mode that is worse than "low".
fn testssl(_: Scale) -> Result<()> {
    let bed = Bed::asked()?;
    let own = bed.authority.sign("a", ECDSA, "DNS:a.example")?;
    let mut balancer = begin(&bed.host, &web("l7-http", ", alpn = [\"http/1.1\"]"))?;
    import(&balancer, "portal", &own)?;
    balancer.wait_up()?;
    let told = bed.client.folder().join("testssl.json");
    let line = format!(
        "testssl --quiet --color 0 --warnings batch --nodns none --openssl-timeout 5 --add-ca {} \
         --jsonfile {} --ip {VIP} a.example:443 >testssl.out 2>&1",
        bed.authority.root().display(),
        told.display()
    );
    bed.client.try_shell(&line, Duration::from_secs(300))?;
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&told)?)?;
    let found = found.as_array().context("a list")?;
    let worse = |finding: &&Value| {
        let severity = finding["severity"].as_str().unwrap_or_default();
        let is_allowed = ALLOWED.iter().any(|id| finding["id"] == **id);
        !matches!(severity, "OK" | "INFO" | "LOW" | "DEBUG") && !is_allowed
    };
    let worse: Vec<_> = found.iter().filter(worse).map(Value::to_string).collect();
    ensure!(worse.is_empty(), "{}", worse.join("\n"));
    ensure!(found.len() > 100, "testssl says little: {found:?}");
    bed.close(balancer)
}
