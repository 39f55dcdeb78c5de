//! docs/quickstart.md, line by line: each command is run in a copy of what a new user has, and prints what the page shows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Workspace, root, tree};

/// A command of the page and the lines that are shown below it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands of the blocks `console`: behind `$ `, and further lines of one behind `> `.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut within = false;
    for line in page.lines() {
        if line.starts_with("```") {
            within = line == "```console";
        } else if !within {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), shown: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) if step.shown.is_empty() => step.command.extend(["\n", more]),
                _ => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// One script of all steps, so that folders and statuses carry over; before and after each it prints a line of its own.
fn script(steps: &[Step]) -> String {
    let step =
        |(number, step): (usize, &Step)| format!("echo {MARK}{number}\n(exit $status)\n{}\nstatus=$?\n", step.command);
    let lines: String = steps.iter().enumerate().map(step).collect();
    format!("exec 2>&1\nstatus=0\n{lines}echo {MARK}{}\n", steps.len())
}

const MARK: &str = "=== step ";

/// What is shown and was not printed, in its order. Lines of `…` stand for any, and so does `…` within a line.
fn missing<'s>(step: &'s Step, printed: &str) -> Option<&'s str> {
    let mut lines = printed.lines().map(str::trim_end);
    step.shown.iter().map(String::as_str).filter(|shown| *shown != "…" && !shown.is_empty()).find(|shown| {
        let parts: Vec<&str> = shown.trim_end().split('…').collect();
        !lines.any(|line| fits(line, &parts))
    })
}

/// Whether a line begins with the first part, ends with the last, and has the others between in their order.
fn fits(line: &str, parts: &[&str]) -> bool {
    let [first, inner @ .., last] = parts else { return parts.first().is_some_and(|only| *only == line) };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in inner {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What a new user has: the repository's fixtures and contract file, and the binary where the shell finds it.
fn repository() -> Workspace {
    let workspace = Workspace::new();
    for name in tree(&root().join("fixtures")).iter().filter(|name| !name.starts_with("scenarios")) {
        let path = root().join("fixtures").join(name);
        if path.is_file() {
            workspace.bytes(&format!("fixtures/{name}"), &fs::read(path).unwrap());
        }
    }
    workspace.bytes("reconcile.toml", &fs::read(root().join("reconcile.toml")).unwrap());
    workspace
}

#[test]
fn every_command_of_the_quick_start_prints_what_the_page_shows() {
    let page = fs::read_to_string(root().join("docs/quickstart.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() >= 15, "{} commands", steps.len());
    let workspace = repository();
    let folder = Path::new(env!("CARGO_BIN_EXE_reconcile")).parent().unwrap();
    let path = std::env::join_paths(
        [folder.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = Command::new("sh")
        .args(["-c", &script(&steps)])
        .current_dir(workspace.path())
        .env("PATH", path.unwrap())
        .env_remove("NO_COLOR")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed: Vec<&str> = said.split(MARK).skip(1).map(|part| part.split_once('\n').unwrap_or_default().1).collect();
    assert_eq!(printed.len(), steps.len() + 1, "{said}");
    let complaints: Vec<String> = steps
        .iter()
        .zip(printed)
        .filter_map(|(step, printed)| {
            Some(format!(
                "$ {}\nshown, and not printed: {}\nprinted:\n{printed}",
                step.command,
                missing(step, printed)?
            ))
        })
        .collect();
    assert!(complaints.is_empty(), "docs/quickstart.md:\n{}", complaints.join("\n"));
}

#[test]
fn the_steps_of_a_page_are_found_and_held_to_what_is_shown() {
    let page = "```console\n$ cat > x <<END\n> a\n> END\n$ cat x\na\n…\nb … d\n```\n```sh\n$ no\n```\n";
    let found = steps(page);
    assert_eq!(found[0].command, "cat > x <<END\na\nEND");
    assert_eq!(found[1].shown, ["a", "…", "b … d"]);
    assert_eq!(found.len(), 2);
    assert_eq!(missing(&found[1], "z\na\nq\nb c d\n"), None);
    assert_eq!(missing(&found[1], "b c d\na\n"), Some("b … d"), "the order counts");
    assert_eq!(missing(&found[1], "ab\nb c d\n"), Some("a"), "a whole line is shown");
    assert!(fits("total 3 of 4", &["total ", " of ", ""]) && !fits("total 3", &["total ", " of ", ""]));
}
