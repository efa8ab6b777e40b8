//! What the command says of itself and of its file: the schema, completion, the manual.

mod common;

use common::{Folder, fulcrum};
use std::fs;
use std::process::{Command, Output};

/// Every command, as the help lists them.
fn commands() -> Vec<String> {
    let help = good(fulcrum().arg("--help").output().unwrap());
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names: Vec<String> =
        names.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    assert!(names.len() > 20 && names.contains(&"real-server".into()), "{names:?}");
    names
}

fn good(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_schema_is_that_of_the_reader() {
    let printed = good(fulcrum().arg("schema").output().unwrap());
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema, config::schema());
    assert!(printed.ends_with("}\n"), "a file ends with a line");
}

#[test]
fn every_shell_learns_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = good(fulcrum().args(["completion", shell]).output().unwrap());
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        assert!(script.contains("confirm-within"), "{shell}: options");
    }
    let output = fulcrum().args(["completion", "tcsh"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("[possible values: bash, zsh, fish]"), "{text}");
}

#[test]
fn bash_completes_with_the_script() {
    let folder = Folder::new();
    let script = good(fulcrum().args(["completion", "bash"]).output().unwrap());
    let script = folder.write("fulcrum.bash", &script);
    for (words, expected) in [
        ("fulcrum real-s", "real-server"),
        ("fulcrum token add x --role op", "operator"),
        ("fulcrum check --str", "--strict"),
    ] {
        let ask = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _fulcrum fulcrum \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
             echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        let answer = good(Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap());
        assert_eq!(answer.trim(), expected, "{words}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = Folder::new();
    good(fulcrum().arg("man").arg(folder.path()).output().unwrap());
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    let first = page("fulcrum.1");
    for command in commands().iter().filter(|command| *command != "help") {
        let text = page(&format!("fulcrum-{command}.1"));
        let title = format!(".TH fulcrum-{command} 1");
        assert!(text.contains(&title) && text.contains(".SH DESCRIPTION"), "{text}");
        let mention = format!("fulcrum\\-{}", command.replace('-', "\\-"));
        assert!(first.contains(&mention), "{first}{mention}");
    }
    assert!(page("fulcrum-check.1").contains("Warnings count as errors"));
    assert!(page("fulcrum-token-add.1").contains("\\-\\-expires\\-in"));
    assert!(!folder.path().join("fulcrum-help.1").exists() && !first.contains("help(1)"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    let missing = folder.path().join("none");
    let output = fulcrum().arg("man").arg(&missing).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(missing.to_str().unwrap()) && text.contains("name a folder"), "{text}");
}
