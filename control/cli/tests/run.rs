//! `fulcrum run` over stubs: shell scripts that say on stderr what happens to them.

mod common;

use common::run::{Run, with_stubs};
use common::{Folder, GOOD};
use rustix::process::Signal;
use std::fs;
use std::sync::Arc;

#[test]
fn all_get_their_arguments() {
    let mut run = Run::start(with_stubs());
    let lines = run.wait_for_all();
    let folder = run.folder.path().display();
    let plane = format!(
        "dataplane started: --runtime-dir {folder}/run --port=eth0=af_packet:lb0 --workers=1 \
         --table-entries=1000000 --idle=adaptive --mtu=1500"
    );
    let control = format!(
        "control started: --runtime-dir {folder}/run --state-dir {folder}/state \
         --config {folder}/lb.toml"
    );
    let proxy = format!("l7 started: --takeover --socket {folder}/run/l7.sock");
    let all = [plane, proxy, control];
    assert!(all.iter().all(|line| lines.contains(line)), "{lines:#?}");
    run.signal(Signal::TERM);
    assert_eq!(run.end().1, Some(0));
}

#[test]
fn control_stops_first_and_nothing_is_left() {
    for signal in [Signal::TERM, Signal::INT] {
        let run = Run::started();
        for name in ["dataplane.sock", "l7.sock", "control.sock"] {
            run.folder.write(&format!("run/{name}"), "");
        }
        run.signal(signal);
        let folder = run.folder.clone();
        let (lines, code) = run.end();
        let ends: Vec<&String> = lines.iter().filter(|line| line.ends_with(" TERM")).collect();
        assert_eq!(ends, ["control TERM", "l7 TERM", "dataplane TERM"]);
        assert_eq!(code, Some(0));
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn what_a_successor_takes_over_outlives_a_stop() {
    let run = Run::started();
    let table = run.folder.write("run/table", "[]");
    run.signal(Signal::TERM);
    let folder = run.folder.clone();
    let (_, code) = run.end();
    assert_eq!(code, Some(0));
    assert!(table.exists());
    assert_eq!(fs::read_dir(folder.path().join("run")).unwrap().count(), 1);
}

#[test]
fn whichever_dies_is_started_again_alone() {
    let mut run = Run::started();
    let programs = ["dataplane", "l7", "control"];
    for program in programs {
        run.tell(program, "die");
        let lines = run.wait_for(&format!("{program} started: "));
        assert!(lines.iter().any(|line| line.contains("starting it again in 0 ms")), "{lines:#?}");
        let others: Vec<_> = programs.iter().filter(|other| **other != program).collect();
        let other = |line: &String| others.iter().any(|other| line.starts_with(**other));
        assert!(!lines.iter().any(other), "{lines:#?}");
    }
    run.signal(Signal::TERM);
    assert_eq!(run.end().1, Some(0));
}

#[test]
fn one_that_dies_again_and_again_waits_longer_each_time() {
    let folder = with_stubs();
    let broken = folder.write("bin/fulcrum-control.broken", "");
    let mut run = Run::start(folder);
    for wait in [0, 100, 200, 400] {
        run.wait_for(&format!(
            "fulcrum-control ended by itself (exit status: 3); starting it again in {wait} ms"
        ));
    }
    fs::remove_file(broken).unwrap();
    run.wait_for("control started: ");
    run.signal(Signal::TERM);
    assert_eq!(run.end().1, Some(0));
}

#[test]
fn a_stop_while_one_waits_to_be_started_is_clean() {
    let folder = with_stubs();
    folder.write("bin/fulcrum-dataplane.broken", "");
    let mut run = Run::start(folder);
    run.wait_for("starting it again in 800 ms");
    run.signal(Signal::TERM);
    assert_eq!(run.end().1, Some(0));
}

#[test]
fn one_that_does_not_stop_is_killed_and_the_other_still_stops() {
    let folder = with_stubs();
    folder.write("bin/fulcrum-control.deaf", "");
    let mut run = Run::start(folder);
    run.wait_for_all();
    run.signal(Signal::TERM);
    run.wait_for("control DEAF");
    run.wait_for("fulcrum-control does not stop and is killed");
    run.wait_for("dataplane TERM");
    assert_eq!(run.end().1, Some(1));
}

#[test]
fn a_hangup_is_for_control_alone() {
    let mut run = Run::started();
    run.signal(Signal::HUP);
    run.wait_for("control HUP");
    run.folder.write("lb.toml", &GOOD.replace("af_packet:lb0", "af_packet:lb1"));
    run.signal(Signal::HUP);
    let mut lines = run.wait_for("takes effect when `fulcrum run` is started again");
    run.signal(Signal::TERM);
    let (rest, code) = run.end();
    lines.extend(rest);
    assert!(!lines.iter().any(|line| line == "dataplane HUP"), "{lines:#?}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_second_one_is_refused_until_the_first_is_gone() {
    let run = Run::started();
    let pid = run.child.id();
    refused(run.folder.clone(), &[&format!("another `fulcrum run` (process {pid}) already uses ")]);
    // Killed, it cannot clean up; the lock is the kernel's.
    let folder = run.folder.clone();
    drop(run);
    assert!(folder.path().join("run/lock").exists());
    let third = Run::started_in(folder);
    third.signal(Signal::TERM);
    assert_eq!(third.end().1, Some(0));
}

#[test]
fn a_wrong_file_starts_nothing() {
    let folder = with_stubs();
    folder.write("lb.toml", &GOOD.replace("weight = 100", "wieght = 100"));
    refused(folder.clone(), &["nothing was started", "lb.toml:20:1: error: ", "write: weight"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = with_stubs();
    fs::remove_file(folder.path().join("bin/fulcrum-control")).unwrap();
    refused(folder.clone(), &["fulcrum-control is not in ", "FULCRUM_LIBEXEC"]);
    assert!(!folder.path().join("run").exists());
}

#[track_caller]
fn refused(folder: Arc<Folder>, parts: &[&str]) {
    let (lines, code) = Run::start(folder).end();
    let text = lines.join("\n");
    assert_eq!(code, Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains(" started: "), "{text}");
}
