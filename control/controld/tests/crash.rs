//! Control killed at every system call of an apply, and a disk that is full.

mod lab;

use lab::{CONFIG, Lab, http, inside, real_server};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn weighing(weight: u16) -> String {
    CONFIG.replace("\"10.0.0.11\"\n\n  [[", &format!("\"10.0.0.11\"\n  weight = {weight}\n\n  [["))
}

fn weight(lab: &Lab) -> u16 {
    let snapshot = lab.plane.running();
    snapshot.services[0].backends.iter().find(|b| b.name == "one").expect("it is there").weight
}

fn put(lab: &Lab, weight: u16) -> Option<http::Answer> {
    let body = json!({"text": weighing(weight)}).to_string();
    http::call_with(&lab.socket(), "PUT", "/api/v1/config", "", body.as_bytes())
}

fn revision(lab: &Lab) -> (u64, String) {
    let answer = lab.get("/api/v1/config").json();
    let text = answer["text"].as_str().expect("a text");
    (answer["revision"].as_u64().expect("a number"), text.to_owned())
}

#[test]
fn killed_at_every_system_call_of_an_apply() {
    inside("killed_at_every_system_call_of_an_apply", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let mut lab = Lab::ready(CONFIG);
        let calls = calls_of_an_apply(&lab);
        let (mut old, mut new, mut whole) = (0, 0, 0);
        for (name, most) in &calls {
            for n in 1..=*most {
                match killed_at(&mut lab, name, n) {
                    End::Old => old += 1,
                    End::New => new += 1,
                    // Not every apply waits as often for the other threads.
                    End::Whole => whole += 1,
                }
            }
        }
        println!("killed {} times, {old} times the old one, {new} the new", old + new);
        let all: u32 = calls.values().sum();
        assert!(old > 20 && new > 20 && whole < all / 2, "{old} old, {new} new, {whole} whole");
    });
}

/// What was in force after control was killed.
enum End {
    Old,
    New,
    /// It was not killed: the apply makes fewer of these calls than before.
    Whole,
}

/// Kills control at this call of an apply, and looks at what its successor goes on with.
fn killed_at(lab: &mut Lab, name: &str, n: u32) -> End {
    let place = format!("{name} {n}");
    let before = revision(lab);
    let wanted = 1 + weight(lab) % 200;
    let tracer = tracer(lab.pid(), &format!("inject={name}:signal=KILL:when={n}"), "/dev/null");
    let answer = put(lab, wanted);
    if answer.is_some() {
        lab.kill();
    } else {
        lab.bury();
    }
    end(tracer);
    lab.start();
    lab::eventually("control is ready", || lab.get("/api/v1/status").json()["ready"] == true);
    let after = revision(lab);
    if after != before {
        // Revisions that were kept and not applied have taken numbers too.
        assert!(after.0 > before.0, "{place}: {} after {}", after.0, before.0);
        assert_eq!(after.1, weighing(wanted), "{place}");
    }
    assert_eq!(fs::read_to_string(&lab.config).expect("the file"), after.1, "{place}");
    let runs = |text: &str| text == weighing(weight(lab)) || (text == CONFIG && weight(lab) == 100);
    lab::eventually("the data plane runs it", || runs(&after.1));
    match answer {
        Some(answer) => {
            assert_eq!((answer.status, after != before), (200, true), "{place}: {answer:?}");
            End::Whole
        }
        None if after != before => End::New,
        None => End::Old,
    }
}

/// Names of system calls, and how often one thread makes each of them at most.
fn calls_of_an_apply(lab: &Lab) -> BTreeMap<String, u32> {
    let record = lab.dir.join("calls");
    let tracer = tracer(lab.pid(), "trace=all", record.to_str().expect("a path"));
    assert_eq!(put(lab, 7).map(|answer| answer.status), Some(200));
    end(tracer);
    let mut calls = BTreeMap::<_, u32>::new();
    for line in fs::read_to_string(record).expect("a record").lines() {
        // "123 write(5, ..."; the other half of a call is "123 <... write resumed>".
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && name != "restart_syscall" {
            *calls.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((name, _), count) in calls {
        let of_all: &mut u32 = most.entry(name).or_default();
        *of_all = count.max(*of_all);
    }
    most
}

/// Traces the process. The number of a call is its number among those of that name in its thread.
fn tracer(pid: u32, what: &str, record: &str) -> Child {
    let mut tracer = Command::new("strace")
        .args(["-f", "-o", record, "-e", what, "-p", &pid.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace runs");
    let mut said = BufReader::new(tracer.stderr.take().expect("a pipe")).lines();
    let attached = said.any(|line| line.is_ok_and(|line| line.contains("attached")));
    assert!(attached, "strace does not attach");
    // It may say more; nobody needs to read it.
    std::thread::spawn(move || said.for_each(drop));
    tracer
}

fn end(mut tracer: Child) {
    // By SIGTERM, so that what it has recorded reaches the file, and threads are let go.
    let _ = Command::new("kill").arg(tracer.id().to_string()).status();
    tracer.wait().expect("it ends");
}

#[test]
fn a_full_disk_refuses_the_apply_and_leaves_what_runs() {
    inside("a_full_disk_refuses_the_apply_and_leaves_what_runs", || {
        let _servers = (real_server("10.0.0.11"), real_server("10.0.0.12"));
        let lab = Lab::ready_on_a_disk_of(2 << 20, CONFIG);
        let (mut refused, mut applied) = (0, 0);
        for free in 0..12 {
            let ballast = fill(&lab.dir, free);
            let before = (revision(&lab), weight(&lab));
            let answer = put(&lab, 10 + free as u16).expect("control answers");
            if answer.status == 200 {
                applied += 1;
                assert_eq!(
                    (revision(&lab).1, weight(&lab)),
                    (weighing(10 + free as u16), 10 + free as u16)
                );
            } else {
                refused += 1;
                assert_eq!(answer.status, 503, "{free} blocks free: {answer:?}");
                let said = answer.json()["error"].to_string();
                assert!(said.contains("No space left on device"), "{said}");
                assert_eq!((revision(&lab), weight(&lab)), before, "{free} blocks free");
            }
            fs::remove_file(ballast).expect("it was there");
        }
        assert!(refused > 0 && applied > 0, "{refused} refused, {applied} applied");
        // With room again, everything is as ever.
        assert_eq!(put(&lab, 99).expect("control answers").status, 200);
        assert_eq!((revision(&lab).1, weight(&lab)), (weighing(99), 99));
    });
}

/// Fills the disk but for so many blocks.
fn fill(dir: &Path, free: u64) -> std::path::PathBuf {
    let ballast = dir.join("ballast");
    let mut length = 0;
    let file = fs::File::create(&ballast).expect("a file");
    while std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4_096], length).is_ok() {
        length += 4_096;
    }
    file.set_len(length.saturating_sub(free * 4_096)).expect("it shrinks");
    ballast
}
