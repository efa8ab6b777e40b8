use crate::{LONG, SHORT, fault, ours, run, says, target};
use probe::{Command, Probe, Target};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

fn command(program: &str, arguments: &[&str]) -> Target {
    let command = Command {
        program: program.into(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        environment: vec![("FULCRUM_RIP".into(), "192.0.2.7".into())],
    };
    target("192.0.2.7:80".parse().unwrap(), Probe::Command(command))
}

fn shell(script: &str) -> Target {
    command("/bin/bash", &["-c", script])
}

/// Why this script says that its target is down, after the program's name.
async fn why(script: &str, patience: Duration) -> String {
    let reason = fault(&shell(script), patience).await;
    reason.strip_prefix("192.0.2.7:80: /bin/bash").expect("address, program").trim().to_string()
}

#[tokio::test]
async fn exit_code_0_is_up() {
    run(&command("/bin/true", &[]), LONG).await.unwrap();
    run(&shell("echo all is well; exit 0"), LONG).await.unwrap();
}

#[tokio::test]
async fn another_exit_is_a_fault_with_the_first_line_as_the_reason() {
    assert_eq!(why("exit 3", LONG).await, ": exit code 3");
    assert_eq!(why("echo; echo disk full; echo more; exit 1", LONG).await, ": disk full");
    assert_eq!(why("echo no answer >&2; exit 1", LONG).await, ": no answer");
    assert_eq!(why("kill -9 $$", LONG).await, ": ended by signal 9");
}

#[tokio::test]
async fn the_environment_is_the_commands_alone() {
    let script = "env | cut -d= -f1 | sort | tr '\\n' ' '; echo $FULCRUM_RIP $PWD; exit 1";
    assert_eq!(why(script, LONG).await, ": FULCRUM_RIP PATH PWD SHLVL _ 192.0.2.7 /");
    assert_eq!(why("read line || echo no input; exit 1", LONG).await, ": no input");
}

#[tokio::test]
async fn what_cannot_be_run_is_our_fault() {
    let reason = ours(&command("/nonexistent/program", &[]), LONG).await;
    says(
        &reason,
        &["192.0.2.7:80 cannot be checked from here: /nonexistent/program cannot be run"],
    );
    says(&ours(&command("/etc/passwd", &[]), LONG).await, &["Permission denied"]);
    says(&ours(&command("bin/true", &[]), LONG).await, &["bin/true is no absolute path"]);
    ours(&command("/bin/true", &["a\0b"]), LONG).await;
}

#[tokio::test]
async fn endless_output_is_neither_kept_nor_waited_for() {
    assert_eq!(why("echo why; yes | head -c 10000000; exit 1", LONG).await, ": why");
    says(&why("yes", SHORT).await, &["was killed: no end within 500 ms"]);
}

/// Where scripts connect to (`exec 9<>/dev/tcp/...`). All processes that hold the connection are
/// gone when it ends.
struct Lifeline(TcpListener);

impl Lifeline {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn hold(&self) -> String {
        format!("exec 9<>/dev/tcp/127.0.0.1/{}", self.0.local_addr().unwrap().port())
    }

    async fn begun(&self) -> TcpStream {
        tokio::time::timeout(LONG, self.0.accept()).await.expect("it must begin").unwrap().0
    }
}

async fn gone(mut lifeline: TcpStream) {
    let read = tokio::time::timeout(LONG, lifeline.read_u8()).await;
    assert!(read.expect("all processes must be gone").is_err());
}

#[tokio::test]
async fn the_whole_group_is_killed_when_the_patience_ends() {
    let lifeline = Lifeline::new().await;
    let script = format!("{}; trap '' TERM; sleep 1000 & sleep 1000; true", lifeline.hold());
    let reason = why(&script, SHORT * 4).await;
    assert_eq!(reason, "was killed: no end within 2 s");
    gone(lifeline.begun().await).await;
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let lifeline = Lifeline::new().await;
    // It holds the output open as well, which nobody waits for.
    run(&shell(&format!("{}; sleep 1000 & exit 0", lifeline.hold())), LONG).await.unwrap();
    gone(lifeline.begun().await).await;
}

#[tokio::test]
async fn who_closes_the_output_may_go_on() {
    let lifeline = Lifeline::new().await;
    let script = format!("exec >&- 2>&-; {}; read -u 9; exit 0", lifeline.hold());
    let probe = tokio::spawn(async move { run(&shell(&script), LONG).await });
    let stream = lifeline.begun().await;
    assert!(!probe.is_finished());
    drop(stream);
    probe.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_probe_ends_its_command() {
    let lifeline = Lifeline::new().await;
    let script = format!("{}; sleep 1000 & sleep 1000; true", lifeline.hold());
    let probe = tokio::spawn(async move { run(&shell(&script), LONG).await });
    let stream = lifeline.begun().await;
    probe.abort();
    gone(stream).await;
}

/// In a process of its own: turns are the process's, and other tests want theirs.
#[test]
fn no_more_than_64_run_at_once() {
    crate::namespace::inside("command::no_more_than_64_run_at_once", async {
        let lifeline = Lifeline::new().await;
        let script = format!("{}; read -u 9; exit 0", lifeline.hold());
        let begin = || {
            tokio::spawn({
                let target = shell(&script);
                async move { run(&target, LONG).await }
            })
        };
        let probes: Vec<_> = (0..64).map(|_| begin()).collect();
        let mut streams = Vec::new();
        for _ in 0..64 {
            streams.push(lifeline.begun().await);
        }
        let reason = ours(&command("/bin/true", &[]), SHORT).await;
        says(&reason, &["64 other commands kept /bin/true waiting"]);
        // Who gets a turn too late is not blamed either.
        let late = tokio::spawn(async { ours(&shell("sleep 1000"), SHORT * 5).await });
        tokio::time::sleep(SHORT * 2).await;
        drop(streams);
        says(&late.await.unwrap(), &["64 other commands kept /bin/bash waiting"]);
        for probe in probes {
            probe.await.unwrap().unwrap();
        }
        run(&command("/bin/true", &[]), LONG).await.unwrap();
    });
}
