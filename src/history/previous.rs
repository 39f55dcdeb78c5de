//! The run that a run is held against: the last in which the contract was compared to its end and as a whole, and the
//! fingerprints that it left open. It never guesses: where nothing can be held against, it says why.

use std::fs::File;
use std::io;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::statistics::Statistics;

use super::trail::{Entry, Facts, Kept, Trail};
use crate::audit::ContractAudit;
use crate::report::recurrence::{Line, Status};

/// The file of a run folder that tells what is new, recurs or is resolved.
pub(super) const FILE: &str = "recurrence.parquet";

/// What a contract is held against.
pub(super) enum Previous {
    /// It was never compared before.
    Nothing,
    /// It was, but nothing can be held against it: why.
    Lost(String),
    /// A run, and the fingerprints that it left.
    Run { run_id: String, left: File },
}

/// Finds it, and says what the contract's version has to do with it.
pub(super) fn find(
    trail: &Trail,
    command: &str,
    contract: &ContractAudit,
    warnings: &mut Vec<String>,
) -> io::Result<Previous> {
    for entry in trail.of_contract(&contract.name) {
        if entry.verdict_of(&contract.name) == Some("unverified") {
            continue;
        }
        match entry.read()? {
            // What `diff` compared is only told by its digest, which a run that is gone no longer tells.
            Facts::Pruned if command == "diff" => {}
            Facts::Pruned => {
                let why = format!("run `{}`, in which it was compared last, was pruned", entry.run_id());
                return Ok(Previous::Lost(why));
            }
            Facts::Damaged(problem) => return Ok(Previous::Lost(problem)),
            Facts::Whole(kept) => {
                let Some(then) = kept.compared(&contract.name).filter(|_| kept.audit.command == command) else {
                    continue;
                };
                if command == "diff" && then.contract_digest != contract.contract_digest {
                    continue;
                }
                return Ok(held_against(entry, &kept, then, contract, warnings));
            }
        }
    }
    Ok(Previous::Nothing)
}

fn held_against(
    entry: Entry<'_>,
    kept: &Kept,
    then: &ContractAudit,
    now: &ContractAudit,
    warnings: &mut Vec<String>,
) -> Previous {
    let run_id = entry.run_id().to_owned();
    if major(&then.version) != major(&now.version) {
        warnings.push(format!(
            "version {} has another major than {} of run `{run_id}`: its history starts anew",
            now.version, then.version
        ));
        return Previous::Nothing;
    }
    if then.version == now.version && then.contract_digest != now.contract_digest {
        let also = match env!("CARGO_PKG_VERSION") {
            version if version == kept.tool_version => String::new(),
            version => format!(" (so has reconcile, from {} to {version}, which may be why)", kept.tool_version),
        };
        warnings.push(format!(
            "its meaning has changed since run `{run_id}`, but its version is still {}{also}: a change of meaning is a new \
             major version; what is new or resolved may be so by the contract, not by the data",
            now.version
        ));
    }
    let lost = |why: String| Previous::Lost(format!("of run `{run_id}`, {why}"));
    match entry.open(kept, FILE) {
        Ok(Some(left)) => match check(&left, &now.name) {
            Ok(()) => Previous::Run { run_id, left },
            Err(error) => lost(format!("{FILE} cannot be read: {error}")),
        },
        Ok(None) => lost(format!("{FILE} is not there, because an earlier version wrote it")),
        Err(error) => lost(error.to_string()),
    }
}

/// The major number of a version.
pub(super) fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// Reads it once to its end, so that nothing surprises whoever merges it.
fn check(left: &File, contract: &str) -> io::Result<()> {
    let mut open = Open::new(left, contract, false)?;
    let mut last: Option<String> = None;
    while let Some(line) = open.next()? {
        if last.is_some_and(|last| last >= line.fingerprint) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its lines are not in order"));
        }
        last = Some(line.fingerprint);
    }
    Ok(())
}

/// The lines of one contract, in the order of their fingerprints.
pub(super) struct Open {
    contract: String,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    row: usize,
    /// Those that were resolved are passed over.
    unresolved: bool,
    /// At most so many lines will be told.
    pub(super) most: u64,
}

impl Open {
    pub(super) fn new(file: &File, contract: &str, unresolved: bool) -> io::Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?).map_err(io::Error::other)?;
        let fields = builder.schema().fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        if names != ["contract", "fingerprint", "status", "first_run", "first_seen", "runs"] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has other columns"));
        }
        // A contract's lines stand in row groups of their own.
        let may_hold = |statistics: Option<&Statistics>| match statistics {
            Some(Statistics::ByteArray(known)) => known
                .min_opt()
                .zip(known.max_opt())
                .is_none_or(|(least, most)| least.data() <= contract.as_bytes() && contract.as_bytes() <= most.data()),
            _ => true,
        };
        let groups = builder.metadata().row_groups().iter().enumerate();
        let (groups, lines): (Vec<usize>, Vec<i64>) = groups
            .filter(|(_, group)| may_hold(group.column(0).statistics()))
            .map(|(index, group)| (index, group.num_rows()))
            .unzip();
        let most = lines.into_iter().filter_map(|lines| u64::try_from(lines).ok()).sum();
        let reader = builder.with_row_groups(groups).with_batch_size(4096).build().map_err(io::Error::other)?;
        Ok(Self { contract: contract.to_owned(), reader, batch: None, row: 0, unresolved, most })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.num_rows()) else {
                self.row = 0;
                self.batch = self.reader.next().transpose().map_err(io::Error::other)?;
                if self.batch.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let row = self.row;
            self.row += 1;
            let line = line(batch, row)?;
            let wanted = text(batch, 0, row)? == self.contract && !(self.unresolved && line.status == Status::Resolved);
            if wanted {
                return Ok(Some(line));
            }
        }
    }
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> io::Result<&str> {
    let texts = batch.column(column).as_string_opt::<i32>();
    let text = texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
    text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a text is missing"))
}

fn line(batch: &RecordBatch, row: usize) -> io::Result<Line> {
    let name = text(batch, 2, row)?;
    let status = Status::ALL.into_iter().find(|status| status.name() == name);
    let runs = batch.column(5).as_primitive_opt::<UInt64Type>().filter(|runs| runs.is_valid(row));
    let (Some(status), Some(runs)) = (status, runs) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{name}` is no status")));
    };
    Ok(Line {
        fingerprint: text(batch, 1, row)?.to_owned(),
        status,
        first_run: text(batch, 3, row)?.to_owned(),
        first_seen: text(batch, 4, row)?.to_owned(),
        runs: runs.value(row),
    })
}
