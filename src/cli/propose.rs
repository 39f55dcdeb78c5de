//! Proposes keys for `diff`: columns that are unique and never NULL on both sides, and whose values meet.
//!
//! It reads a bounded number of rows from each side and says so. It only proposes: a key is the user's decision, because
//! a wrong one turns every row into a missing and an orphan, or pairs rows that have nothing to do with each other.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rustc_hash::{FxBuildHasher, FxHasher};

use super::Diff;
use super::failure::Failure;
use crate::contract::{self, DiffRequest};
use crate::sides::Sides;
use crate::source::{self, OpenOptions, Opened, Piece};

const ROWS_MAX: usize = 100_000;
const PROPOSALS_MAX: usize = 5;
/// Beyond it there are too many pairs to try; the columns with most different values are tried.
const PAIRED_COLUMNS_MAX: usize = 16;

/// The error of a `diff` without key, with what could be one.
pub(super) fn keys(options: &Diff) -> Failure {
    let mut failure =
        Failure::new("diff: which columns identify a row is not said, expected `--key COLUMNS` or `--no-key`");
    match samples(options) {
        Ok(samples) => failure.problems[0].hint = Some(hint(&samples)),
        // What keeps the tables from being opened is the next thing that the user would meet.
        Err(opening) => failure.problems.extend(opening.problems),
    }
    failure
}

fn hint(samples: &Sides<Sample>) -> String {
    let proposals = propose(samples);
    let whole = samples.authority.whole && samples.projection.whole;
    if proposals.is_empty() {
        let shared = samples.authority.columns.iter().any(|column| samples.projection.column(&column.name).is_some());
        return if shared {
            "no column and no pair of columns is unique and without NULL on both sides; `--no-key` compares rows as a \
             multiset"
                .to_owned()
        } else {
            format!(
                "the sides share no column name; say which belong together with `--map attribute=projection_column` \
                 (authority has: {}; projection has: {})",
                samples.authority.names(),
                samples.projection.names()
            )
        };
    }
    let scope = if whole { "all rows".to_owned() } else { format!("the first {ROWS_MAX} rows of each side") };
    proposals
        .iter()
        .map(|proposal| {
            let met = if proposal.common == 0 {
                "but none of the values read are on both sides".to_owned()
            } else {
                format!("{} values are on both sides", proposal.common)
            };
            format!("`--key {}` is unique and never NULL in {scope}, {met}", argument(&proposal.columns))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Columns as they are given to `--key` on a shell's command line.
fn argument(columns: &[String]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|name| {
            if name.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", name.replace('"', "\"\""))
            } else {
                name.clone()
            }
        })
        .collect();
    let list = fields.join(",");
    let plain = |character: char| character.is_alphanumeric() || "_-.,:/@%+".contains(character);
    if list.chars().all(plain) { list } else { format!("'{}'", list.replace('\'', r"'\''")) }
}

/// Some rows of one side, each value as a digest.
struct Sample {
    columns: Vec<SampledColumn>,
    whole: bool,
}

struct SampledColumn {
    /// The attribute's name: in the projection the one that `--map` gives it.
    name: String,
    /// One for each row; of no use where `suitable` is false.
    values: Vec<u64>,
    /// Without NULL, and of a type that can identify a row.
    suitable: bool,
}

impl Sample {
    fn column(&self, name: &str) -> Option<&SampledColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Columns that could be the key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proposal {
    columns: Vec<String>,
    /// How many of the values that were read are on both sides.
    common: usize,
}

/// Single columns first; pairs only where no single column will do.
fn propose(samples: &Sides<Sample>) -> Vec<Proposal> {
    let usable: Vec<(&SampledColumn, &SampledColumn)> = samples
        .authority
        .columns
        .iter()
        .filter(|column| column.suitable && !column.values.is_empty())
        .filter_map(|column| Some((column, samples.projection.column(&column.name).filter(|other| other.suitable)?)))
        .collect();
    let mut proposals: Vec<Proposal> = usable.iter().filter_map(|column| proposal(&[*column])).collect();
    if proposals.is_empty() {
        let varied = most_varied(usable);
        for (index, first) in varied.iter().enumerate() {
            proposals.extend(varied[index + 1..].iter().filter_map(|second| proposal(&[*first, *second])));
        }
    }
    // The sort is stable: where as many values meet, the order of the columns stays.
    proposals.sort_by_key(|proposal| std::cmp::Reverse(proposal.common));
    if proposals.first().is_some_and(|best| best.common > 0) {
        proposals.retain(|proposal| proposal.common > 0);
    }
    proposals.truncate(PROPOSALS_MAX);
    proposals
}

fn most_varied<'a>(
    mut columns: Vec<(&'a SampledColumn, &'a SampledColumn)>,
) -> Vec<(&'a SampledColumn, &'a SampledColumn)> {
    if columns.len() > PAIRED_COLUMNS_MAX {
        let distinct = |column: &SampledColumn| column.values.iter().collect::<HashSet<_, FxBuildHasher>>().len();
        columns.sort_by_cached_key(|(authority, _)| std::cmp::Reverse(distinct(authority)));
        columns.truncate(PAIRED_COLUMNS_MAX);
    }
    columns
}

fn proposal(columns: &[(&SampledColumn, &SampledColumn)]) -> Option<Proposal> {
    let authority = unique(&columns.iter().map(|column| column.0).collect::<Vec<_>>())?;
    let projection = unique(&columns.iter().map(|column| column.1).collect::<Vec<_>>())?;
    let common = authority.iter().filter(|value| projection.contains(value)).count();
    Some(Proposal { columns: columns.iter().map(|column| column.0.name.clone()).collect(), common })
}

/// The values of the rows under these columns, if no two rows have the same.
fn unique(columns: &[&SampledColumn]) -> Option<HashSet<u64, FxBuildHasher>> {
    let rows = columns.first()?.values.len();
    let mut seen = HashSet::with_capacity_and_hasher(rows, FxBuildHasher);
    for row in 0..rows {
        let mut hasher = FxHasher::default();
        for column in columns {
            column.values[row].hash(&mut hasher);
        }
        if !seen.insert(hasher.finish()) {
            return None;
        }
    }
    Some(seen)
}

fn samples(options: &Diff) -> Result<Sides<Sample>, Failure> {
    let request = DiffRequest {
        authority: options.authority.clone(),
        projection: options.projection.clone(),
        ..DiffRequest::default()
    };
    let sources = contract::for_diff(&request)?.sources;
    let mut problems = Vec::new();
    let mut samples = sources.map(|_, source| {
        source::open(&source, &OpenOptions::default())
            .and_then(|opened| sample(&opened))
            .map_err(|error| problems.extend(Failure::from(error).problems))
            .ok()
    });
    for column in samples.projection.iter_mut().flat_map(|sample| &mut sample.columns) {
        if let Some(pair) = options.map.iter().find(|pair| pair.column == column.name) {
            column.name.clone_from(&pair.attribute);
        }
    }
    match (samples.authority.take(), samples.projection.take()) {
        (Some(authority), Some(projection)) => Ok(Sides { authority, projection }),
        _ => Err(Failure { problems }),
    }
}

/// Reads from one unit after the other until there are rows enough.
fn sample(opened: &Opened) -> Result<Sample, source::Error> {
    let mut sample = empty(&opened.schema);
    let all: Vec<usize> = (0..opened.schema.fields().len()).collect();
    let mut rows = 0;
    for unit in &opened.units {
        for piece in unit.read(&all)? {
            // A row that cannot be read cannot speak against a key; the comparison itself will count it.
            if let Piece::Rows(batch) = piece? {
                if rows == ROWS_MAX && batch.num_rows() > 0 {
                    sample.whole = false;
                    return Ok(sample);
                }
                let taken = batch.num_rows().min(ROWS_MAX - rows);
                sample.whole &= taken == batch.num_rows();
                rows += taken;
                add(&mut sample, &batch.slice(0, taken));
                if !sample.whole {
                    return Ok(sample);
                }
            }
        }
    }
    Ok(sample)
}

fn empty(schema: &SchemaRef) -> Sample {
    let columns = schema
        .fields()
        .iter()
        .map(|field| SampledColumn {
            name: field.name().clone(),
            values: Vec::new(),
            suitable: can_identify(field.data_type()),
        })
        .collect();
    Sample { columns, whole: true }
}

/// Floats are unique by accident and equal by accident; truth values and nested values identify nothing.
fn can_identify(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Boolean | DataType::Null)
        && !data_type.is_nested()
}

fn add(sample: &mut Sample, batch: &RecordBatch) {
    let options = FormatOptions::default();
    for (column, array) in sample.columns.iter_mut().zip(batch.columns()) {
        if !column.suitable {
            continue;
        }
        // `logical_null_count` also sees NULLs behind a dictionary.
        let formatter =
            if array.logical_null_count() == 0 { ArrayFormatter::try_new(array, &options).ok() } else { None };
        let Some(formatter) = formatter else {
            column.suitable = false;
            column.values = Vec::new();
            continue;
        };
        column.values.reserve(array.len());
        for row in 0..array.len() {
            let text = formatter.value(row).to_string();
            let mut hasher = FxHasher::default();
            plain_number(&text).hash(&mut hasher);
            column.values.push(hasher.finish());
        }
    }
}

/// `7.00` of a decimal and `7` of an integer are one key.
fn plain_number(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction))
            if whole.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
                && fraction.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests;
