//! From the words of a command line to the command's own file, and from its outcome to an exit status. It decides nothing
//! about contracts or rows.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;

use super::failure::{self, Failure};
use super::{
    Arguments, Audit, Command, ExitStatus, Format, Global, Review, apply, audit, browse, check, contracts, diff,
    explain, generate, history, init, parity, plan, report, review, run,
};
use crate::console::{Console, Wishes};

const THREADS_MAX: u64 = 256;

/// Reads the command line. What clap has to say (help, version, bad usage) is said, and the status is returned instead.
///
/// # Errors
/// The status to end with at once.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, ExitStatus> {
    let words: Vec<OsString> = words.into_iter().collect();
    Arguments::try_parse_from(&words).map_err(|error| {
        // Help and version go to stdout, bad usage to stderr. A closed stream is no reason to say more.
        let _ = error.print();
        if !error.use_stderr() {
            return ExitStatus::Agreed;
        }
        let mut console = Console::of_process(Wishes::default());
        // What comes after the first empty line is usage, which a reader of the document has no use for.
        let said = error.to_string();
        let paragraph: Vec<&str> = said.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let message = paragraph.join(" ").trim_start_matches("error: ").to_owned();
        let failure = Failure::new(message);
        // The reader of stdout was promised a document whatever happens.
        let _ = write_document(&failure, format_asked_for(&words), &mut console);
        ExitStatus::Unverified
    })
}

/// Carries out a command on the process's own streams.
#[must_use]
pub fn execute(arguments: &Arguments) -> ExitStatus {
    let global = &arguments.global;
    let mut console = Console::of_process(Wishes {
        color: global.color,
        quiet: global.quiet,
        verbose: global.verbose,
        no_progress: global.no_progress,
    });
    execute_on(arguments, &mut console)
}

/// Carries out a command on any streams.
pub(super) fn execute_on(arguments: &Arguments, console: &mut Console) -> ExitStatus {
    // A panic is a defect, which the hook has already said; it must neither pass for a result nor break the promise that
    // stdout is a valid document.
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(arguments, console)));
    let defect = outcome.is_err();
    let outcome = outcome.unwrap_or_else(|_| Err(Failure::new("this is a defect of reconcile, not of your data")));
    let outcome = outcome.and_then(|status| {
        console.flush().map_err(|error| Failure::stdout(&error))?;
        Ok(status)
    });
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            if !defect {
                for problem in &failure.problems {
                    failure::say(problem, console);
                }
            }
            // Where stdout itself is what failed, nothing more can be said there.
            let _ = write_document(&failure, arguments.global.format, console);
            ExitStatus::Unverified
        }
    }
}

fn dispatch(arguments: &Arguments, console: &mut Console) -> Result<ExitStatus, Failure> {
    let global = &arguments.global;
    check_threads(global)?;
    match &arguments.command {
        Command::Run(options) => run::run(options, global, console),
        Command::Diff(options) => diff::run(options, global, console),
        Command::Check(options) => check::run(options, global, console),
        Command::Contracts(options) => contracts::run(options, global, console),
        Command::Explain(options) => explain::run(options, global, console),
        Command::Report(options) => report::run(options, global, console),
        Command::Browse(options) => browse::run(options, global, console),
        Command::Audit(Audit::Verify(options)) => audit::verify(options, global, console),
        Command::Audit(Audit::Prove(options)) => audit::proof::prove(options, global, console),
        Command::Audit(Audit::Export(options)) => audit::proof::export(options, global, console),
        Command::Audit(Audit::Reproduce(options)) => audit::reproduce::run(options, global, console),
        Command::Audit(Audit::Prune(options)) => audit::prune(options, global, console),
        Command::Schema => generate::schema(console),
        Command::Completions(options) => generate::completions(options, console),
        Command::Man(options) => generate::man(options, console),
        Command::Init(options) => init::run(options, global, console),
        Command::Parity(options) => parity::run(options, global, console),
        Command::Plan(options) => plan::run(options, global, console),
        Command::Apply(options) => apply::run(options, global, console),
        Command::Review(Review::Export(options)) => review::export(options, global, console),
        Command::Review(Review::Import(options)) => review::import(options, global, console),
        Command::History(options) => history::run(options, global, console),
    }
}

fn check_threads(global: &Global) -> Result<(), Failure> {
    match global.threads {
        Some(threads) if threads > THREADS_MAX => {
            Err(Failure::new(format!("--threads: value is too large ({threads}), at most {THREADS_MAX} is allowed")))
        }
        _ => Ok(()),
    }
}

/// Under the formats of machines, stdout holds a document also where there is no result.
pub(super) fn write_document(failure: &Failure, format: Format, console: &mut Console) -> std::io::Result<()> {
    let document = failure.document();
    match format {
        Format::Json => writeln!(console.out(), "{document:#}")?,
        Format::Ndjson => writeln!(console.out(), "{document}")?,
        Format::Text | Format::Markdown => {}
    }
    console.flush()
}

/// What `--format` said, on a command line that clap refused for another reason.
fn format_asked_for(words: &[OsString]) -> Format {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let asked = words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix("--format") {
        Some("") => words.get(index + 1).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    match asked {
        Some("json") => Format::Json,
        Some("ndjson") => Format::Ndjson,
        _ => Format::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_refused_command_line_is_found() {
        let cases: [(&[&str], Format); 4] = [
            (&["reconcile", "run", "--format", "json", "--bogus"], Format::Json),
            (&["reconcile", "--format=ndjson", "run", "--bogus"], Format::Ndjson),
            (&["reconcile", "run", "--format"], Format::Text),
            (&["reconcile", "run", "--bogus"], Format::Text),
        ];
        for (words, expected) in cases {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(format_asked_for(&words), expected, "{words:?}");
        }
    }
}
