//! Why a command could not do what it was asked, with every problem at once. It never prints: the console does.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::console::Console;
use crate::contract::{Errors, Problem};
use crate::history::NoSuchRun;
pub(super) use crate::history::plain;
use crate::source;

/// Everything that kept a command from its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// At least one.
    pub(super) problems: Vec<Problem>,
}

/// What to do where there is no run of such a name.
pub(super) const HOW_RUNS_ARE_NAMED: &str = "a run is named by its id, the start of one, `latest`, or the path of its folder; `reconcile \
                                             history --format markdown` lists them";

impl Failure {
    /// One problem that has no place in a file; the message names its place first.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { problems: vec![problem(message.into(), None)] }
    }

    /// The same with advice.
    pub(super) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problems: vec![problem(message.into(), Some(hint.into()))] }
    }

    /// What kept a result from reaching stdout.
    pub(super) fn stdout(error: &io::Error) -> Self {
        Self::new(format!("stdout: cannot be written: {}", plain(error)))
    }

    /// What kept a folder or file from being used.
    pub(super) fn path(path: &Path, what: &str, error: &io::Error) -> Self {
        Self::new(path_message(path, what, error))
    }

    /// What kept a run from being used. Before the first run there is no folder of reports, which is no fault of anything.
    pub(super) fn of_runs(reports: &Path, what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound && reports.try_exists().is_ok_and(|there| !there) {
            return Self::with_hint(
                format!("{}: is not there, so there are no runs", shown(reports)),
                "the first `reconcile run` makes it; `--reports DIR` names another folder",
            );
        }
        let failure = Self::path(reports, what, error);
        if NoSuchRun::is(error) { failure.advised(HOW_RUNS_ARE_NAMED) } else { failure }
    }

    /// The same of one run whose files are read.
    pub(super) fn of_run(reports: &Path, what: &str, error: &io::Error) -> Self {
        let failure = Self::of_runs(reports, what, error);
        let broken = [io::ErrorKind::InvalidData, io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof];
        let told = failure.problems.iter().any(|one| one.hint.is_some() || one.message.contains("audit verify"));
        if broken.contains(&error.kind()) && !told {
            return failure.advised(
                "the run is not as it was written: `reconcile audit verify` says in what; take its folder from a copy, or run \
                 again",
            );
        }
        failure
    }

    /// With advice for the last problem.
    pub(super) fn advised(mut self, advice: &str) -> Self {
        if let Some(last) = self.problems.last_mut() {
            last.hint = Some(advice.to_owned());
        }
        self
    }

    /// The document that stands on stdout under `--format json` where there is no result.
    pub(super) fn document(&self) -> Value {
        let lines: Vec<String> = self.problems.iter().map(line).collect();
        json!({
            "format_version": 1,
            "verdict": "unverified",
            "error": lines.join("\n"),
            "problems": self.problems.iter().map(as_json).collect::<Vec<_>>(),
            "contracts": [],
        })
    }
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Self { problems: errors.0 }
    }
}

impl From<source::Error> for Failure {
    fn from(error: source::Error) -> Self {
        Self { problems: vec![problem(format!("{}: {}", error.place, error.problem), error.hint)] }
    }
}

/// What an operation on a path met. An error that already names the path is not given the path twice.
pub(super) fn path_message(path: &Path, what: &str, error: &io::Error) -> String {
    let (shown, said) = (shown(path), plain(error));
    if said.contains(&shown) { said } else { format!("{shown}: {what}: {said}") }
}

/// One problem on one line, the place first.
pub(super) fn line(problem: &Problem) -> String {
    let mut line = String::new();
    if let Some(file) = &problem.file {
        line.push_str(&shown(file));
        if let Some((row, column)) = problem.position {
            line.push_str(&format!(":{row}:{column}"));
        }
        line.push_str(": ");
    }
    if let Some(about) = &problem.about {
        line.push_str(about);
        line.push_str(": ");
    }
    line.push_str(&problem.message);
    line
}

/// Says a problem, with the line of the file that it is about.
pub(super) fn say(problem: &Problem, console: &mut Console) {
    console.fault(&line(problem), &excerpt(problem), problem.hint.as_deref());
}

/// The same of what is only worth a word.
pub(super) fn say_warning(problem: &Problem, console: &mut Console) {
    console.caution(&line(problem), &excerpt(problem), problem.hint.as_deref());
}

fn excerpt(problem: &Problem) -> Vec<&str> {
    problem.excerpt.iter().flat_map(|excerpt| [excerpt.line.as_str(), &excerpt.mark]).collect()
}

/// One problem as data.
pub(super) fn as_json(problem: &Problem) -> Value {
    json!({
        "file": problem.file.as_deref().map(shown),
        "line": problem.position.map(|(line, _)| line),
        "column": problem.position.map(|(_, column)| column),
        "about": problem.about,
        "message": problem.message,
        "hint": problem.hint,
    })
}

/// A path as the user would write it: relative where it lies below the working directory.
pub(super) fn shown(path: &Path) -> String {
    let relative: Option<PathBuf> = std::env::current_dir()
        .ok()
        .and_then(|folder| path.strip_prefix(folder).ok().map(Path::to_path_buf))
        .filter(|relative| !relative.as_os_str().is_empty());
    relative.as_deref().unwrap_or(path).display().to_string()
}

/// The advice to say the nearest name, where one is near.
pub(super) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let distance_max = (word.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

fn problem(message: String, hint: Option<String>) -> Problem {
    Problem { message, hint, ..Problem::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_place_first() {
        let problem = Problem {
            file: Some("reconcile.toml".into()),
            position: Some((14, 3)),
            about: Some("contract \"orders\"".to_owned()),
            message: "severity `critcal` is not one of critical, high".to_owned(),
            ..Problem::default()
        };
        assert_eq!(
            line(&problem),
            "reconcile.toml:14:3: contract \"orders\": severity `critcal` is not one of critical, high"
        );
    }

    #[test]
    fn the_document_of_a_failure_is_a_summary_without_contracts() {
        let document = Failure::with_hint("`x`: is not there", "make it").document();
        assert_eq!(document["format_version"], 1);
        assert_eq!(document["verdict"], "unverified");
        assert_eq!(document["error"], "`x`: is not there");
        assert_eq!(document["contracts"], json!([]));
        assert_eq!(document["problems"][0]["hint"], "make it");
    }

    #[test]
    fn a_near_name_is_proposed_and_a_far_one_is_not() {
        let names = ["missing", "orphan", "mismatch"];
        assert_eq!(nearest("mising", names).as_deref(), Some("did you mean `missing`?"));
        assert_eq!(nearest("Orphan", names).as_deref(), Some("did you mean `orphan`?"));
        assert_eq!(nearest("weather", names), None);
    }

    #[test]
    fn an_error_of_the_system_is_a_sentence_part() {
        let error = io::Error::from_raw_os_error(13);
        assert_eq!(plain(&error), "permission denied");
        assert_eq!(
            path_message(Path::new("somewhere"), "cannot be written", &error),
            "somewhere: cannot be written: permission denied"
        );
        let named = io::Error::other("somewhere/ledger.ndjson: line 3 is not JSON");
        assert_eq!(
            path_message(Path::new("somewhere"), "cannot be read", &named),
            "somewhere/ledger.ndjson: line 3 is not JSON"
        );
    }
}
