//! `reconcile apply --out FILE`: a repaired copy of a projection that is one file, beside the original, which is never touched. It
//! is there whole or not at all, and is compared before it is said to be right.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::ExitStatus;
use super::super::failure::Failure;
use super::choose::Picked;
use super::shown::{self, Line};
use super::{Call, again};
use crate::apply::Outcome;
use crate::apply::copy::{Copy, Repairs};
use crate::apply::given::Action;
use crate::apply::work::Chosen;
use crate::console::Console;
use crate::contract::{Contract, Format, Location, Source};
use crate::history::Proved;
use crate::run::projection_rows;

pub(super) fn run(
    call: &Call<'_>,
    proved: &Proved,
    mut picked: Picked<'_>,
    out: &Path,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let at = |problem: &str| Failure::new(format!("{}: {problem}", out.display()));
    let Some(first) = picked.chosen.first() else {
        return Err(at("the plan holds no action for a copy, so none is written"));
    };
    let contract = first.contract;
    if picked.chosen.iter().any(|one| one.contract.name != contract.name) {
        return Err(Failure::with_hint(
            format!("{}: the plan is of several contracts, and a copy is of one projection", out.display()),
            "name one with --contract",
        ));
    }
    let path = original(contract).map_err(|why| at(&why))?;
    let format = format_of(&contract.sources.projection, &path).map_err(|why| at(&why))?;
    if out.exists() {
        return Err(at("is there already, and nothing is written over"));
    }
    as_in_the_run(proved, contract, &path).map_err(|why| at(&why))?;
    let chosen = again::in_clear(call, proved, std::mem::take(&mut picked.chosen))?;
    let (writable, by_hand): (Vec<usize>, Vec<usize>) =
        (0..chosen.len()).partition(|&place| is_written(&chosen[place].action));
    let actions: Vec<&Action> = writable.iter().map(|&place| &chosen[place].action).collect();
    let mut repairs = Repairs::new(contract, &actions);
    write(contract, &mut repairs, format, (&path, out)).map_err(|why| at(&why))?;
    let mut lines: BTreeMap<usize, Line> = by_hand
        .iter()
        .map(|&place| (place, Line::manual(&chosen[place].action, &chosen[place].action.reason)))
        .collect();
    let mut outcomes = Vec::new();
    for place in writable {
        let action = &chosen[place].action;
        let outcome = if repairs.was_met(action) {
            Outcome::Done
        } else {
            Outcome::Skipped("no row of this key is in the file".to_owned())
        };
        lines.insert(place, Line::came(action, &outcome));
        outcomes.push((place, outcome));
    }
    let skipped = outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Done);
    let mut status = if skipped || picked.left > 0 { ExitStatus::Drifted } else { ExitStatus::Agreed };
    status = status.max(compared(call, &chosen, &outcomes, out, console));
    shown::print(call, &proved.audit.run_id, &picked, lines, status, console)
}

fn is_written(action: &Action) -> bool {
    matches!(action.op.as_str(), "insert" | "update" | "delete") && action.safety != "manual"
}

/// The touched keys of the copy, held against the authority.
fn compared(
    call: &Call<'_>,
    chosen: &[Chosen<'_>],
    outcomes: &[(usize, Outcome)],
    out: &Path,
    console: &mut Console,
) -> ExitStatus {
    let touched: Vec<&Chosen<'_>> = chosen.iter().collect();
    let of_copy = |contract: &Contract| {
        let mut contract = contract.clone();
        let mut source = Source::clone(&contract.sources.projection);
        source.location = Location::Files { written: out.display().to_string(), path: out.to_owned() };
        contract.sources.projection = Arc::new(source);
        contract
    };
    match again::compare_as(call, &touched, outcomes, &of_copy) {
        Ok((_, 0)) => ExitStatus::Agreed,
        Ok((_, diverge)) => {
            console.warning(
                &format!("{}: {diverge} of the keys that were written still diverge in the copy", out.display()),
                None,
            );
            ExitStatus::Drifted
        }
        Err(why) => {
            console.warning(&format!("{}: the copy could not be compared: {why}", out.display()), None);
            ExitStatus::Drifted
        }
    }
}

/// The one file of the projection.
fn original(contract: &Contract) -> Result<PathBuf, String> {
    match &contract.sources.projection.location {
        Location::Files { path, .. } if path.is_file() => Ok(path.clone()),
        Location::Files { written, .. } => {
            Err(format!("the projection ({written}) is not one file, of which a copy could be made"))
        }
        other => Err(format!("the projection ({}) is no file", other.shown())),
    }
}

fn format_of(source: &Source, path: &Path) -> Result<Format, String> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let by_name = match extension.as_deref() {
        Some("csv") => Some(Format::Csv),
        Some("tsv") => Some(Format::Tsv),
        Some("parquet") => Some(Format::Parquet),
        _ => None,
    };
    match source.format.or(by_name) {
        Some(format @ (Format::Csv | Format::Tsv | Format::Parquet)) => Ok(format),
        _ => Err("copies are written of CSV and Parquet files that are not compressed as a whole".to_owned()),
    }
}

/// The plan is of the file as the run saw it.
fn as_in_the_run(proved: &Proved, contract: &Contract, path: &Path) -> Result<(), String> {
    let audited = proved.audit.contracts.iter().find(|one| one.name == contract.name);
    let files = audited.map_or(&[][..], |one| &one.inputs.projection.files);
    let mut hasher = blake3::Hasher::new();
    File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ())).map_err(|error| error.to_string())?;
    match files {
        [file] if file.blake3 == hasher.finalize().to_hex().as_str() => Ok(()),
        [file] if file.blake3.is_empty() => {
            Err("the run did not digest the projection, so its plan may be of another file".to_owned())
        }
        [_] => Err("the projection is not what it was in the run: run it again".to_owned()),
        _ => Err("the projection was several files in the run".to_owned()),
    }
}

/// The types that a Parquet file says it has.
fn schema_of(path: &Path) -> Result<SchemaRef, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    Ok(Arc::clone(reader.schema()))
}

/// Writes the copy aside and gives it its name and the original's permissions at the end.
fn write(
    contract: &Contract,
    repairs: &mut Repairs<'_>,
    format: Format,
    (original, out): (&Path, &Path),
) -> Result<(), String> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = tempfile::NamedTempFile::new_in(folder).map_err(|error| error.to_string())?;
    let file = aside.reopen().map_err(|error| error.to_string())?;
    let mut file = Some(BufWriter::new(file));
    let csv = &contract.sources.projection.csv;
    let mut copy: Option<Copy<BufWriter<File>>> = None;
    projection_rows(contract, &mut |binding, batch, keys| {
        if let Some(file) = file.take() {
            repairs.learn(binding, &batch.schema());
            let delimiter = csv.delimiter.unwrap_or(if format == Format::Tsv { b'\t' } else { b',' });
            copy = Some(match format {
                Format::Parquet => Copy::parquet(file, schema_of(original)?)?,
                _ => Copy::text(file, csv, delimiter)?,
            });
        }
        let repaired = repairs.batch(batch, keys)?;
        copy.as_mut().map_or(Ok(()), |copy| copy.write(&repaired))
    })?;
    let mut copy = copy.ok_or("the projection was not read")?;
    let added = repairs.added()?;
    copy.write(&added)?;
    let file = copy.finish()?.into_inner().map_err(|error| error.to_string())?;
    file.sync_all().map_err(|error| error.to_string())?;
    let permissions = std::fs::metadata(original).map_err(|error| error.to_string())?.permissions();
    std::fs::set_permissions(aside.path(), permissions).map_err(|error| error.to_string())?;
    aside.persist_noclobber(out).map_err(|error| error.error.to_string())?;
    Ok(())
}
