//! `reconcile audit prove`, `audit export`, and `audit verify --proof`. What is proved is `history`'s business.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::super::failure::{self, Failure};
use super::super::{AuditVerify, ExitStatus, Export, Format, Global, Prove, Reports, configuration, signing};
use crate::console::Console;
use crate::history::{self, Against, Extras, Proof, PublicKeys};

pub(in super::super) fn prove(options: &Prove, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let reports = configuration::reports(&Reports { reports: options.reports.clone() }, global)?;
    let proof = history::prove(&reports, &options.run, options.line)
        .map_err(|error| Failure::path(&reports, "nothing can be proved", &error))?;
    let text = proof.text().map_err(|error| Failure::new(failure::plain(&error)))?;
    let Some(out) = &options.out else {
        console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
        return Ok(ExitStatus::Agreed);
    };
    let written = OpenOptions::new().write(true).create_new(true).open(out);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::path(out, "cannot be written", &error))?;
    console.note(&format!(
        "the proof of run {} by line {} is in {}",
        proof.run_id,
        proof.sequence,
        failure::shown(out)
    ));
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
    let proof = Proof::read(file).map_err(failed)?;
    let root = options.root.as_ref().map(|root| root.to_lowercase());
    let against = Against { keys, root: root.as_deref(), folder: options.run.as_deref() };
    let proved = proof.check(&against).map_err(failed)?;
    for note in &proved.notes {
        console.note(note);
    }
    let (run_id, sequence) = (&proved.proof.run_id, proved.proof.sequence);
    let document = json!({
        "format_version": 1,
        "run_id": run_id,
        "manifest": proved.proof.manifest,
        "merkle_root": proved.proof.merkle_root,
        "sequence": sequence,
        "proved": proved.problems.is_empty(),
        "problems": proved.problems,
        "notes": proved.notes,
    });
    let text = match global.format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => {
            let shown = failure::shown(file);
            let mut text: String =
                proved.problems.iter().map(|problem| format!("does not hold: {shown}: {problem}\n")).collect();
            if proved.problems.is_empty() {
                let root = &proved.proof.merkle_root;
                text.push_str(&format!(
                    "{shown}: run {run_id} is in the ledger: Merkle root {root} of line {sequence}\n"
                ));
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
        .map_err(|error| Failure::path(&reports, "nothing can be exported", &error))?;
    let run = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let out = options.out.clone().unwrap_or_else(|| format!("evidence-{run}.tar").into());
    let folder = configured.map(|configured| configured.file.parent().map(Path::to_path_buf).unwrap_or_default());
    let extras = Extras { keys: keys.with(signer.as_deref()), contract_folder: folder, line: options.line };
    let exported = history::export(&reports, &run, &out, &extras)
        .map_err(|error| Failure::path(&reports, "nothing can be exported", &error))?;
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
                "{shown}: run {} with {} files; VERIFY.md in it says how to verify it\n",
                exported.run_id,
                exported.names.len()
            )
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}
