//! Certificates under control: kept, shown without their keys, warned of, and what is in use stays.

mod lab;

use lab::{CONFIG, Lab, http, inside, real_server};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const SERVICE: &str = r#"
[[service]]
name = "PORTAL"
mode = "l7-tcp"
address = "10.0.0.101"
ports = "443"
check = { type = "on" }
tls = { certificates = ["portal"] }
  [[service.real_server]]
  name = "one"
  address = "10.0.0.11"
  port = 80
"#;

fn ask(lab: &Lab, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let answer = http::call(&lab.socket(), method, path, body.as_bytes()).expect("an answer");
    (answer.status, answer.json())
}

const PORTAL: &str = "/api/v1/certificates/portal";

#[test]
fn a_certificate_is_made_kept_shown_and_not_removed_while_in_use() {
    inside("a_certificate_is_made_kept_shown_and_not_removed_while_in_use", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        let new = json!({"names": ["a.example", "192.0.2.7"], "days": 20.0});
        let (status, made) = ask(&lab, "POST", &format!("{PORTAL}/self-signed"), &new);
        assert_eq!(status, 200, "{made}");
        let about = &made["about"];
        assert_eq!(about["certificate"]["names"], json!(["a.example"]));
        assert_eq!(about["certificate"]["addresses"], json!(["192.0.2.7"]));
        assert_eq!((&about["used_by"], &about["request_waits"]), (&json!([]), &json!(false)));
        assert!(about["warnings"].to_string().contains("expires in "), "{about}");
        let file = lab.dir.join("state/certificates/portal.kept");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.contains("PRIVATE KEY"));

        let text = format!("{CONFIG}{SERVICE}");
        let body = json!({"text": text, "message": "", "confirm_within_s": null});
        let (status, applied) = ask(&lab, "PUT", "/api/v1/config", &body);
        assert_eq!(
            (status, applied["findings"].to_string().contains("portal: expires")),
            (200, true),
            "{applied}"
        );
        let (status, refused) = ask(&lab, "DELETE", PORTAL, &Value::Null);
        assert_eq!((status, &refused["error"]), (409, &json!("portal is in use by PORTAL")));
        let shown = lab.get(PORTAL).json();
        assert_eq!(shown["about"]["used_by"], json!(["PORTAL"]));
        let fingerprint = about["certificate"]["fingerprint"].clone();

        lab.kill();
        lab.start();
        let shown = lab.get(PORTAL).json();
        assert_eq!(shown["about"]["certificate"]["fingerprint"], fingerprint);
        assert!(shown["chain"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE"));
        for path in ["/api/v1/certificates", PORTAL, "/api/v1/audit", "/api/v1/events"] {
            assert!(!lab.get(path).json().to_string().contains("PRIVATE"), "{path}");
        }
        let written = lab.get("/api/v1/audit").json().to_string();
        assert!(written.contains("POST /api/v1/certificates/portal/self-signed"), "{written}");
    });
}

#[test]
fn what_is_wrong_with_an_upload_is_said_and_changes_nothing() {
    inside("what_is_wrong_with_an_upload_is_said_and_changes_nothing", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let put = |files: Value| ask(&lab, "PUT", PORTAL, &json!({"files": files}));
        let chain = {
            let new = json!({"names": ["a.example"]});
            ask(&lab, "POST", &format!("{PORTAL}/self-signed"), &new);
            lab.get(PORTAL).json()["chain"].clone()
        };
        for (files, status, error) in [
            (
                json!([{"name": "a.pem", "text": chain}]),
                422,
                "a.pem: there is no private key in it",
            ),
            (json!([{"name": "a.pem", "text": ""}]), 422, "a.pem: it is empty"),
            (json!([{"name": "a.pfx", "base64": "MAA="}]), 422, "a.pfx: not a certificate or key"),
            (
                json!([{"name": "a.pem", "base64": "%"}]),
                400,
                "a file's base64 is not Base64 (RFC 4648)",
            ),
            (json!([{"name": "a.pem"}]), 400, "a file has not one of text and base64"),
        ] {
            let (got, said) = put(files);
            assert_eq!(got, status, "{said}");
            assert!(said["error"].as_str().unwrap().starts_with(error), "{said}");
            assert!(!said["remedy"].as_str().unwrap().is_empty());
        }
        assert_eq!(lab.get(PORTAL).json()["chain"], chain, "what was there stays");
        let (status, said) = ask(
            &lab,
            "POST",
            "/api/v1/certificates/a%2Fb/self-signed",
            &json!({"names": ["a.example"]}),
        );
        assert_eq!(
            (status, said["error"].as_str().unwrap().contains("is no name")),
            (400, true),
            "{said}"
        );
        assert_eq!(ask(&lab, "DELETE", "/api/v1/certificates/gone", &Value::Null).0, 404);
        assert_eq!(ask(&lab, "DELETE", PORTAL, &Value::Null).0, 200);
        assert_eq!(lab.get("/api/v1/certificates").json(), json!({"certificates": []}));
    });
}

#[test]
fn a_file_is_held_against_the_certificates_that_there_are() {
    inside("a_file_is_held_against_the_certificates_that_there_are", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let text = json!({"text": format!("{CONFIG}{SERVICE}")});
        let found = || -> Vec<String> {
            let (status, checked) = ask(&lab, "POST", "/api/v1/config/check", &text);
            assert_eq!((status, &checked["usable"]), (200, &json!(true)), "{checked}");
            let all = checked["findings"].as_array().unwrap().iter();
            all.map(|f| {
                format!("{} {}", f["pointer"].as_str().unwrap(), f["what"].as_str().unwrap())
            })
            .collect()
        };
        let at = "/service/1/tls/certificates";
        assert_eq!(found(), [format!("{at} there is no certificate portal")]);
        let new = json!({"names": ["a.example"]});
        let (_, made) = ask(&lab, "POST", &format!("{PORTAL}/request"), &new);
        assert!(made["request"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST"));
        assert_eq!(found(), [format!("{at} the request of portal waits for its certificate")]);
        ask(&lab, "POST", &format!("{PORTAL}/self-signed"), &new);
        assert!(found().is_empty());
    });
}
