//! What the declarations promise: help, value names, flags, examples that parse.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;
use crate::console::{Console, Wishes};

fn every_command() -> Vec<clap::Command> {
    fn walk(command: &clap::Command, found: &mut Vec<clap::Command>) {
        found.push(command.clone());
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            walk(subcommand, found);
        }
    }
    let mut root = Arguments::command();
    root.build();
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
}

fn parsed(words: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(words.split_whitespace())
}

#[test]
fn the_declaration_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_of_the_specification_is_there() {
    let names: BTreeSet<String> = every_command().iter().map(|command| command.get_name().to_owned()).collect();
    for name in [
        "run",
        "diff",
        "check",
        "contracts",
        "init",
        "explain",
        "parity",
        "plan",
        "apply",
        "review",
        "history",
        "report",
        "audit",
        "verify",
        "prune",
        "schema",
        "completions",
        "man",
    ] {
        assert!(names.contains(name), "no command `{name}`");
    }
}

#[test]
fn every_command_and_every_option_has_help() {
    for command in every_command() {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && about.len() <= 90, "{name}: its first line is empty or long: {about}");
        assert!(!about.ends_with('.') || name == "reconcile", "{name}: full stop");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name} --{}: no help", argument.get_id());
        }
        let served = !about.ends_with("(not in this version)");
        if served && !command.has_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Examples:\n  reconcile "), "{name}: no examples");
        }
    }
}

#[test]
fn value_names_are_capitals_and_short_flags_are_unique() {
    for command in every_command() {
        let mut shorts = BTreeSet::new();
        for argument in command.get_arguments() {
            if let Some(short) = argument.get_short() {
                assert!(shorts.insert(short), "{}: -{short} twice", command.get_name());
            }
            for value in
                argument.get_value_names().into_iter().flatten().filter(|_| argument.get_action().takes_values())
            {
                assert!(!value.chars().any(char::is_lowercase), "{}: value name {value}", command.get_name());
            }
        }
    }
}

#[test]
fn every_example_parses() {
    let mut examples = 0;
    for command in every_command() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in
            after.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("reconcile "))
        {
            let words = shell_words(line);
            Arguments::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
            examples += 1;
        }
    }
    assert!(examples > 30, "only {examples} examples were found");
}

/// The words of one command as a shell would cut them, up to a pipe, a redirection or a comment.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(character), true),
            (None, ' ') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (None, '|' | '>' | '#') => break,
            _ => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[test]
fn the_help_of_run_and_diff_says_every_exit_status() {
    for name in ["reconcile", "run", "diff"] {
        let command = every_command().into_iter().find(|command| command.get_name() == name).unwrap();
        let after = command.get_after_help().unwrap().to_string();
        for status in ExitStatus::ALL {
            assert!(after.contains(&format!("{:>3}  {}", status.code(), status.sentence())), "{name}: {status:?}");
        }
    }
}

#[test]
fn global_options_are_taken_before_and_after_the_command() {
    for words in ["reconcile --format json --quiet run", "reconcile run --format json --quiet"] {
        let arguments = parsed(words).unwrap();
        assert!(arguments.global.quiet, "{words}");
        assert_eq!(arguments.global.format, Format::Json, "{words}");
    }
    let arguments = Arguments::try_parse_from(["reconcile", "run", "--memory-limit", "512 MB"]).unwrap();
    assert_eq!(arguments.global.memory_limit, Some(512_000_000));
}

#[test]
fn bad_usage_is_refused_with_status_two() {
    let cases = [
        ("reconcile", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("reconcile frobnicate", ErrorKind::InvalidSubcommand),
        ("reconcile diff a.csv", ErrorKind::MissingRequiredArgument),
        ("reconcile diff a b --key id --no-key", ErrorKind::ArgumentConflict),
        ("reconcile diff a b --key id --type price", ErrorKind::ValueValidation),
        ("reconcile run --format yaml", ErrorKind::InvalidValue),
        ("reconcile run --quiet --verbose", ErrorKind::ArgumentConflict),
        ("reconcile audit prune", ErrorKind::MissingRequiredArgument),
    ];
    for (words, kind) in cases {
        let error = parsed(words).unwrap_err();
        assert_eq!(error.kind(), kind, "{words}");
        assert_eq!(error.exit_code(), 2, "{words}");
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Exit status, stdout, stderr.
fn executed(words: &str) -> (u8, String, String) {
    let arguments = parsed(words).unwrap();
    let (out, talk) = (Shared::default(), Shared::default());
    let mut console = Console::of_streams(Box::new(out.clone()), Box::new(talk.clone()), Wishes::default());
    let status = execute::execute_on(&arguments, &mut console);
    drop(console);
    (status.code(), out.text(), talk.text())
}

#[test]
fn too_many_threads_are_refused_in_one_sentence() {
    assert_eq!(
        executed("reconcile explain --threads 900"),
        (2, String::new(), "error: --threads: value is too large (900), at most 256 is allowed\n".to_owned())
    );
}

#[test]
fn a_plan_that_is_not_there_is_refused_and_stdout_stays_valid() {
    let (status, out, talk) = executed("reconcile apply no-such-run --format json");
    assert_eq!(status, 2);
    assert!(
        talk.contains("the plan of run `no-such-run` cannot be applied") || talk.contains("no run `no-such-run`"),
        "{talk}"
    );
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["verdict"], "unverified");
}

#[test]
fn a_failure_is_a_document_on_one_line_under_ndjson() {
    let (status, out, _) = executed("reconcile explain weather --format ndjson");
    assert_eq!(status, 2);
    assert_eq!(out.lines().count(), 1);
    assert!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["error"].as_str().unwrap().contains("weather"));
}

#[test]
fn generated_texts_hold_every_command() {
    let (status, script, _) = executed("reconcile completions bash");
    assert_eq!(status, 0);
    let (status, page, _) = executed("reconcile man");
    assert_eq!(status, 0);
    let folder = tempfile::tempdir().unwrap();
    let (status, ..) = executed(&format!("reconcile man --out {}", folder.path().display()));
    assert_eq!(status, 0);
    for name in [
        "run",
        "diff",
        "check",
        "contracts",
        "explain",
        "report",
        "audit",
        "plan",
        "review",
        "schema",
        "completions",
        "man",
    ] {
        assert!(script.contains(name), "completions lack {name}");
        assert!(page.contains(name), "the manual page lacks {name}");
        assert!(folder.path().join(format!("reconcile-{name}.1")).is_file(), "no page of {name}");
    }
}

#[test]
fn the_documentation_names_every_command_option_and_status() {
    let documentation = include_str!("../../docs/commands.md");
    let text = documentation.replace('\n', " ");
    for status in ExitStatus::ALL {
        assert!(text.contains(status.sentence()), "docs/commands.md lacks: {}", status.sentence());
    }
    for command in every_command() {
        let name = command.get_name();
        assert!(
            text.contains(&format!("{name}`")) || text.contains(&format!("{name} ")),
            "docs/commands.md lacks {name}"
        );
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            if !matches!(option, "help" | "version") {
                assert!(text.contains(&format!("--{option}")), "docs/commands.md lacks --{option} of {name}");
            }
        }
    }
}
