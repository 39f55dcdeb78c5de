//! `reconcile audit`: proves that runs and ledger are unchanged, and removes old runs. How is `history`'s business.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::failure::{self, Failure};
use super::{AuditVerify, ExitStatus, Format, Global, Prune, configuration, interrupt, outcome, signing};
use crate::console::Console;
use crate::history::{self, PublicKeys, Retention, Verification};

pub(super) mod options;
pub(super) mod proof;
pub(super) mod reproduce;

pub(super) fn verify(options: &AuditVerify, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let keys =
        PublicKeys::read(&options.keys).map_err(|error| Failure::new(format!("--key: {}", failure::plain(&error))))?;
    if let Some(file) = &options.proof {
        return proof::check(file, keys, options, global, console);
    }
    let reports = configuration::reports(&options.reports, global)?;
    let bars = interrupt::told(console)?;
    bars.begin("", "verifying", if bars.are_told() { history::size(&reports) } else { 0 });
    let mut found = history::verify_signed_from(&reports, &keys, options.signed_from, &|bytes| bars.advance(0, bytes))
        .map_err(|error| unverifiable(&reports, &error))?;
    bars.finish();
    found.notes.extend(found.signatures.note());
    for note in &found.notes {
        console.note(note);
    }
    let mut document = json!({
        "format_version": 1,
        "unchanged": found.unchanged,
        "changed": found.changed,
        "notes": found.notes,
    });
    if !keys.is_empty() {
        document["signatures"] = json!(found.signatures.by_key);
    }
    let text = match global.format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => sentences(&failure::shown(&reports), &found),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(if found.changed.is_empty() { ExitStatus::Agreed } else { ExitStatus::Drifted })
}

/// A folder without a ledger is most often the wrong folder.
fn unverifiable(reports: &Path, error: &io::Error) -> Failure {
    let what = "cannot be verified";
    if error.kind() != io::ErrorKind::NotFound {
        return Failure::path(reports, what, error);
    }
    Failure::with_hint(
        failure::path_message(reports, what, error),
        "name the folder of the runs with --reports; the first `reconcile run` makes the ledger, and one that was there \
         must be restored",
    )
}

fn sentences(reports: &str, found: &Verification) -> String {
    let mut text: String = found.changed.iter().map(|changed| format!("changed: {changed}\n")).collect();
    let runs = if found.unchanged == 1 { "1 run".to_owned() } else { format!("{} runs", found.unchanged) };
    let sum = match found.changed.len() {
        0 => format!("{reports}: {runs} unchanged\n"),
        1 => format!("{reports}: {runs} unchanged, 1 change found\n"),
        changes => format!("{reports}: {runs} unchanged, {changes} changes found\n"),
    };
    text.push_str(&sum);
    for (key, count) in found.signatures.by_key.iter().filter(|_| found.signatures.proved) {
        let hold = if *count == 1 { "1 signature holds".to_owned() } else { format!("{count} signatures hold") };
        text.push_str(&format!("{reports}: {hold}, by key {key}\n"));
    }
    text
}

pub(super) fn prune(options: &Prune, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let reports = configuration::reports(&options.reports, global)?;
    let retention = Retention { keep_runs: options.keep_runs, keep_days: options.keep_days, dry_run: options.dry_run };
    let signer = signing::of_file(global, options.reports.reports.is_some())?;
    let bars = interrupt::told(console)?;
    let removed = history::prune(&reports, retention, Timestamp::now(), signer.as_ref(), &bars)
        .map_err(|error| Failure::of_runs(&reports, "cannot be pruned", &error))?;
    bars.finish();
    if !removed.is_empty() && !options.dry_run {
        outcome::renew_index(Some(&reports), console);
    }
    let document = json!({"format_version": 1, "dry_run": options.dry_run, "removed": removed});
    let text = match global.format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => {
            let mut text: String = removed.iter().map(|run| format!("{run}\n")).collect();
            let runs = if removed.len() == 1 { "1 run".to_owned() } else { format!("{} runs", removed.len()) };
            let done = if options.dry_run { "would be removed" } else { "removed" };
            text.push_str(&format!("{}: {runs} {done}\n", failure::shown(&reports)));
            text
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_named_before_the_sum() {
        let found = Verification {
            unchanged: 3,
            changed: vec!["run 2026: `report.md` has other bytes".to_owned()],
            ..Verification::default()
        };
        assert_eq!(
            sentences("reports", &found),
            "changed: run 2026: `report.md` has other bytes\nreports: 3 runs unchanged, 1 change found\n"
        );
        assert_eq!(
            sentences("reports", &Verification { unchanged: 1, ..Verification::default() }),
            "reports: 1 run unchanged\n"
        );
    }
}
