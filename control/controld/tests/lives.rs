//! Control between a data plane, real servers and an operator, through their deaths.

mod lab;

use api::{BackendState, Snapshot};
use lab::plane::{online, state};
use lab::{CONFIG, Lab, action, companion, eventually, inside, no_companion, real_server};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn ids(snapshot: &Snapshot) -> BTreeMap<(String, String), (u16, u32)> {
    let of_service = |s: &api::Service| {
        let (name, id) = (s.name.clone(), s.id);
        let all = s.backends.iter().chain(&s.fallback);
        all.map(move |b| ((name.clone(), b.name.clone()), (id, b.id))).collect::<Vec<_>>()
    };
    snapshot.services.iter().flat_map(of_service).collect()
}

#[test]
fn a_dead_real_server_leaves_the_rotation_and_comes_back() {
    inside("a_dead_real_server_leaves_the_rotation_and_comes_back", || {
        let (_one, two) = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        drop(two);
        let down = lab.plane.wait("two is down", |s| state(s, "two") == BackendState::Down);
        assert_eq!(state(&down, "one"), BackendState::Online);
        let shown = lab.shown("two");
        assert_eq!((&shown["observed"], &shown["requested"]), (&"down".into(), &"online".into()));
        assert!(shown["reason"].as_str().is_some_and(|r| r.contains("10.0.0.12:80")), "{shown}");
        let _two = real_server("10.0.0.12");
        let up = lab.plane.wait("two is back", |s| online(s) == 2);
        assert!(up.generation > down.generation);
        assert_eq!(ids(&up), ids(&down));
    });
}

#[test]
fn a_request_outlives_the_control_process() {
    inside("a_request_outlives_the_control_process", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        let answer = lab.post(&action("one", "drain"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let running = lab.plane.running();
        assert_eq!(answer.json()["generation"], running.generation);
        assert_eq!(state(&running, "one"), BackendState::Drain);
        lab.kill();
        lab.start();
        lab.plane.wait_for_hello(2);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        assert_eq!(state(&lab.plane.running(), "one"), BackendState::Drain);
        assert_eq!(lab.post(&action("one", "halt")).status, 200);
        assert_eq!(state(&lab.plane.running(), "one"), BackendState::Halt);
        assert_eq!(lab.post(&action("one", "online")).status, 200);
        lab.plane.wait("both are online", |s| online(s) == 2);
    });
}

#[test]
fn a_successor_of_control_takes_nothing_away() {
    inside("a_successor_of_control_takes_nothing_away", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        let (before, seen) = (lab.plane.running(), lab.plane.history().len());
        for _ in 0..3 {
            lab.kill();
            lab.start();
        }
        lab.plane.wait_for_hello(4);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        for snapshot in &lab.plane.history()[seen..] {
            assert_eq!(online(snapshot), 2, "a real server was taken away: {snapshot:#?}");
            assert_eq!(ids(snapshot), ids(&before));
        }
    });
}

#[test]
fn a_client_that_hangs_up_leaves_the_conversation_whole() {
    inside("a_client_that_hangs_up_leaves_the_conversation_whole", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        for path in [action("one", "drain"), action("one", "online")] {
            lab.plane.hold();
            let client = lab::http::begin(&lab.socket(), "POST", &path, b"");
            lab.plane.wait_for_request();
            drop(client);
            // The server sees that the client is gone while the answer is still out.
            std::thread::sleep(Duration::from_millis(300));
            lab.plane.release();
        }
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        let settled = lab.plane.running().generation;
        assert_eq!(lab.post(&action("two", "drain")).status, 200);
        assert!(lab.plane.running().generation <= settled + 2, "generations race");
    });
}

#[test]
fn a_data_plane_that_comes_back_is_met_again() {
    inside("a_data_plane_that_comes_back_is_met_again", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        lab.plane.kill();
        lab.plane.revive();
        // Nobody asks anything: control has to look by itself.
        lab.plane.wait_for_hello(2);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        assert_eq!(lab.get("/api/v1/status").json()["dataplane"]["pid"], 1_001);
    });
}

#[test]
fn our_own_outage_is_no_real_servers_fault() {
    inside("our_own_outage_is_no_real_servers_fault", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let seen = lab.plane.history().len();
        lab.plane.kill();
        no_companion();
        // Longer than checks need to lose patience.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(1) {
            assert_ne!(lab.shown("one")["observed"], "down", "{}", lab.shown("one"));
        }
        companion();
        lab.plane.revive();
        lab.plane.wait_for_hello(2);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
        lab.plane.wait("both are online", |s| online(s) == 2);
        for snapshot in &lab.plane.history()[seen..] {
            assert_eq!(online(snapshot), 2, "a real server was taken away: {snapshot:#?}");
        }
    });
}

#[test]
fn a_bad_file_changes_nothing_and_a_good_one_is_taken() {
    inside("a_bad_file_changes_nothing_and_a_good_one_is_taken", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let before = lab.plane.running();
        std::fs::write(&lab.config, CONFIG.replace("l4-nat", "l4-nut")).unwrap();
        lab.signal("HUP");
        assert_eq!(lab.post(&action("two", "drain")).status, 200);
        assert_eq!(ids(&lab.plane.running()), ids(&before));
        let without: String =
            CONFIG.split("  [[service.real_server]]\n  name = \"two\"").take(1).collect();
        std::fs::write(&lab.config, without).unwrap();
        lab.signal("HUP");
        let after = lab.plane.wait("two is gone", |s| s.services[0].backends.len() == 1);
        let one = ("WEB".to_owned(), "one".to_owned());
        assert_eq!(ids(&after)[&one], ids(&before)[&one]);
    });
}

#[test]
fn a_removed_service_takes_its_address_with_it() {
    inside("a_removed_service_takes_its_address_with_it", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        let has = |address: &str| {
            let mut ip = std::process::Command::new("ip");
            let shown = ip.args(["address", "show", "dev", "eth0"]).output().unwrap();
            String::from_utf8_lossy(&shown.stdout).contains(address)
        };
        assert!(has("10.0.0.100/32") && has("10.0.0.10/24"));
        std::fs::write(&lab.config, CONFIG.replace("10.0.0.100", "10.0.0.101")).unwrap();
        lab.signal("HUP");
        eventually("the new address is there", || has("10.0.0.101/32"));
        eventually("the old address is gone", || !has("10.0.0.100/32"));
    });
}

#[test]
fn a_refusal_is_shown_and_the_next_snapshot_may_do() {
    inside("a_refusal_is_shown_and_the_next_snapshot_may_do", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready(CONFIG);
        lab.plane.refuse(Some("it cannot be so"));
        let answer = lab.post(&action("one", "drain"));
        assert_eq!(answer.status, 503);
        assert!(answer.json()["error"].as_str().unwrap().contains("it cannot be so"));
        let status = lab.get("/api/v1/status").json();
        assert_eq!(status["ready"], false, "{status}");
        lab.plane.refuse(None);
        lab.plane.wait("one drains", |s| state(s, "one") == BackendState::Drain);
        eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
    });
}

#[test]
fn a_clean_stop_removes_the_socket() {
    inside("a_clean_stop_removes_the_socket", || {
        let mut lab = Lab::new(CONFIG);
        lab.start();
        lab.signal("TERM");
        eventually("it ends", || lab.ended().is_some());
        assert_eq!(lab.ended(), Some(true));
        assert!(!lab.socket().exists());
    });
}
