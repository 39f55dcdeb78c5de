//! `reconcile audit prove`, `audit export`, and `audit verify --proof`. What is proved is `history`'s business.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::super::failure::{self, Failure};
use super::super::{
    AuditVerify, ExitStatus, Export, Format, Global, Prove, Reports, configuration, interrupt, signing,
};
use crate::console::Console;
use crate::history::{self, Against, Consistency, Continued, End, Extras, Included, Proof, PublicKeys};
use crate::report::escape::counted;

pub(in super::super) fn prove(options: &Prove, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let reports = configuration::reports(&Reports { reports: options.reports.clone() }, global)?;
    let failed = |error| Failure::of_runs(&reports, "nothing can be proved", &error);
    let (text, what) = match (&options.run, options.since) {
        (Some(run), _) => {
            let proof = history::prove(&reports, run, options.line).map_err(failed)?;
            (proof.text(), format!("run {} by line {}", proof.run_id, proof.sequence))
        }
        (None, since) => {
            // Without a run clap asks for the line.
            let proof = history::prove_continued(&reports, since.unwrap_or_default(), options.line).map_err(failed)?;
            (proof.text(), format!("line {} by line {}", proof.first.sequence, proof.second.sequence))
        }
    };
    let text = text.map_err(|error| Failure::new(failure::plain(&error)))?;
    let Some(out) = &options.out else {
        console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
        return Ok(ExitStatus::Agreed);
    };
    let written = OpenOptions::new().write(true).create_new(true).open(out);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::path(out, "cannot be written", &error))?;
    console.note(&format!("the proof of {what} is in {}", failure::shown(out)));
    Ok(ExitStatus::Agreed)
}

pub(super) fn check(
    file: &Path,
    keys: PublicKeys,
    options: &AuditVerify,
    global: &Global,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let failed = |error| Failure::path(file, "cannot be verified", &error);
    let root = options.root.as_ref().map(|root| root.to_lowercase());
    let against = Against { keys, root: root.as_deref(), folder: options.run.as_deref() };
    if let Some(proof) = Consistency::read(file).map_err(failed)? {
        if options.run.is_some() {
            return Err(Failure::new(format!("--run: {} proves two lines, not a run", failure::shown(file))));
        }
        return say(&continued(proof.check(&against)), file, global, console);
    }
    let proof = Proof::read(file).map_err(failed)?;
    say(&included(proof.check(&against).map_err(failed)?), file, global, console)
}

/// What a proof proves, ready to be said.
struct Proved {
    document: Value,
    sentence: String,
    problems: Vec<String>,
    notes: Vec<String>,
}

fn included(found: Included) -> Proved {
    let proof = found.proof;
    let sentence =
        format!("run {} is in the ledger: Merkle root {} of line {}", proof.run_id, proof.merkle_root, proof.sequence);
    let document = json!({
        "format_version": 1,
        "run_id": proof.run_id,
        "manifest": proof.manifest,
        "merkle_root": proof.merkle_root,
        "sequence": proof.sequence,
        "proved": found.problems.is_empty(),
        "problems": found.problems,
        "notes": found.notes,
    });
    Proved { document, sentence, problems: found.problems, notes: found.notes }
}

fn continued(found: Continued) -> Proved {
    let Consistency { first, second, .. } = found.proof;
    let sentence = format!(
        "line {} continues line {}: its {} with the {} of line {}; Merkle roots {} and {}",
        second.sequence,
        first.sequence,
        if second.tree_size == 1 { "1 run begins".to_owned() } else { format!("{} runs begin", second.tree_size) },
        first.tree_size,
        first.sequence,
        first.merkle_root,
        second.merkle_root
    );
    let end = |end: &End| json!({ "sequence": end.sequence, "runs": end.tree_size, "merkle_root": end.merkle_root });
    let document = json!({
        "format_version": 1,
        "first": end(&first),
        "second": end(&second),
        "proved": found.problems.is_empty(),
        "problems": found.problems,
        "notes": found.notes,
    });
    Proved { document, sentence, problems: found.problems, notes: found.notes }
}

fn say(proved: &Proved, file: &Path, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    for note in &proved.notes {
        console.note(note);
    }
    let text = match global.format {
        Format::Json => format!("{:#}\n", proved.document),
        Format::Ndjson => format!("{}\n", proved.document),
        Format::Text | Format::Markdown => {
            let shown = failure::shown(file);
            let mut text: String =
                proved.problems.iter().map(|problem| format!("does not hold: {shown}: {problem}\n")).collect();
            if proved.problems.is_empty() {
                text.push_str(&format!("{shown}: {}\n", proved.sentence));
            }
            text
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(if proved.problems.is_empty() { ExitStatus::Agreed } else { ExitStatus::Drifted })
}

pub(in super::super) fn export(
    options: &Export,
    global: &Global,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let keys =
        PublicKeys::read(&options.keys).map_err(|error| Failure::new(format!("--key: {}", failure::plain(&error))))?;
    let configured = configuration::present(global, options.reports.is_some())?;
    let reports = configuration::reports(&Reports { reports: options.reports.clone() }, global)?;
    // The secret key is opened only where nobody named the public one.
    let signer = if keys.is_empty() { signing::of_file(global, options.reports.is_some())? } else { None };
    let run = history::run_folder(&reports, &options.run)
        .map_err(|error| Failure::of_runs(&reports, "nothing can be exported", &error))?;
    let run = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let out = options.out.clone().unwrap_or_else(|| format!("evidence-{run}.tar").into());
    let folder = configured.map(|configured| configured.file.parent().map(Path::to_path_buf).unwrap_or_default());
    let extras = Extras { keys: keys.with(signer.as_deref()), contract_folder: folder, line: options.line };
    let bars = interrupt::told(console)?;
    bars.begin("", "exporting", if bars.are_told() { 3 * history::size(&reports.join(&run)) } else { 0 });
    let exported = history::export(&reports, &run, &out, &extras, &|bytes| bars.advance(0, bytes))
        .map_err(|error| Failure::of_runs(&reports, "nothing can be exported", &error))?;
    bars.finish();
    for note in &exported.notes {
        console.warning(note, None);
    }
    let shown = failure::shown(&out);
    let document = json!({
        "format_version": 1,
        "run_id": exported.run_id,
        "archive": shown,
        "files": exported.names,
        "left_out": exported.notes,
    });
    let text = match global.format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => {
            format!(
                "{shown}: run {} with {}; VERIFY.md in it says how to verify it\n",
                exported.run_id,
                counted(exported.names.len() as u64, "file")
            )
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}
