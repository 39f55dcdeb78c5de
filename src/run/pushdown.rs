//! Checksum push-down: where a database serves a side, segments of the key are counted and summed where the rows lie, and
//! only those that are not equal are read, and compared by the engine like everything else.
//!
//! ```text
//!   both sides open and bound ──► may it be?  ──► is it sooner? ──► sums of segments, in each side's snapshot
//!                                   │ no            │ no              │ by a statement, or by our own kernel
//!                                   ▼               ▼                 ▼
//!                              all rows are read, and the report says why      equal: counted as agreeing, never read
//!                                                                              else: cut finer, then read
//! ```
//!
//! It judges nothing: rows of equal segments agree, all others go the usual way. It never leaves an attribute out: where one
//! has no text that all systems write alike, all rows are read. Whatever is said of every row (markers, totals, invariants)
//! keeps it from being used.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::input::Inputs;
use super::tally::Tally;
use super::{Batch, Halt, spans};
use crate::audit::Checksums;
use crate::contract::{CapturedAt, Contract, LogicalType, PushDown};
use crate::database::Native;
use crate::normalise::{BoundAttribute, Comparison};
use crate::segment::{self, Form, covers, statement, uncovered};
use crate::sides::{Side, Sides};
use crate::source::{Opened, Remote, Unit};

mod decide;
mod fickle;
mod kept;
mod search;

use kept::{Choice, Chosen, Kept};
use search::{Found, Search};

/// Ranges or segments that one statement names; SQLite nests conditions, and no deeper than a thousand.
const NAMED: usize = 500;

/// Proves what it can by checksums, and leaves of each side only the rows that are still to be read. Tells whether it did.
pub(super) fn push_down(batch: &Batch<'_>, inputs: &mut Inputs, tally: &mut Tally<'_>) -> Result<bool, Halt> {
    let Some(wish) = wish(batch.contract) else { return Ok(false) };
    if batch.part().is_some() {
        // Segments are cut otherwise, and an earlier run has read some.
        return Ok(read_all(tally, "the run goes on from another, and reads what that one left".to_owned()));
    }
    let said = match proved(batch, inputs, wish).and_then(|found| stood(inputs, found)) {
        Ok(Ok(found)) => found,
        Ok(Err(because)) => return Ok(read_all(tally, because)),
        Err(Halt::Source { side, error }) => {
            tally.warn(format!("{side}: checksums could not be computed, all rows are read: {error}"));
            return Ok(read_all(tally, "the database could not compute them".to_owned()));
        }
        Err(halt) => return Err(halt),
    };
    let (Found { checksums, extent, chosen, agree, .. }, picked) = said;
    narrow(inputs, (extent, checksums.proved), &chosen, picked);
    tally.proved(checksums);
    tally.left_to_another(spans::summed(batch, inputs, agree));
    Ok(true)
}

/// What was found, with the rows that databases are to give; or why all rows are read.
fn stood(inputs: &Inputs, found: Result<Found, String>) -> Result<Result<(Found, Sides<Picks>), String>, Halt> {
    let found = match found {
        Ok(found) => found,
        Err(because) => return Ok(Err(because)),
    };
    let tables = tables(inputs).expect("the tables were asked");
    let picks = tables.as_ref().map(|side, table| {
        let input = inputs.sides.get(side);
        let (table, remote) = (table.as_ref()?, remote(&input.opened)?);
        let conditions = table.conditions(&found.chosen, NAMED).into_iter();
        Some(conditions.map(|condition| remote.pick(condition, Some(&input.columns))).collect())
    });
    Ok(fickle::changed(inputs, &found, &picks)?.map_or(Ok((found, picks)), |because| Err(because.to_owned())))
}

/// The rows of a side that its database is to give, in parts; None where no database serves it.
type Picks = Option<Vec<Box<dyn Unit>>>;

fn read_all(tally: &mut Tally<'_>, because: String) -> bool {
    tally.checksums(Checksums::unused(because));
    false
}

/// What the sources of a contract say about push-down; None where none is a database, or one forbids it.
pub(super) fn wish(contract: &Contract) -> Option<PushDown> {
    let wishes: Vec<PushDown> =
        contract.sources.iter().filter_map(|(_, source)| Some(source.database()?.limits.pushdown)).collect();
    if wishes.is_empty() || wishes.contains(&PushDown::Never) {
        return None;
    }
    Some(if wishes.contains(&PushDown::Always) { PushDown::Always } else { PushDown::Auto })
}

/// What was proved, or why all rows are read.
fn proved(batch: &Batch<'_>, inputs: &Inputs, wish: PushDown) -> Result<Result<Found, String>, Halt> {
    if let Some(because) = needs_every_row(batch, inputs) {
        return Ok(Err(because));
    }
    let tables = match tables(inputs) {
        Ok(tables) => tables,
        Err(because) => return Ok(Err(because)),
    };
    if wish == PushDown::Auto
        && let Some(because) = reads(batch, inputs)?
    {
        return Ok(Err(because.to_owned()));
    }
    match Search::new(batch, inputs, &tables)? {
        Ok(search) => search.run(),
        Err(because) => Ok(Err(because.to_owned())),
    }
}

/// What the contract says of every row, so that every row is read.
pub(super) fn needs_every_row(batch: &Batch<'_>, inputs: &Inputs) -> Option<String> {
    let contract = batch.contract;
    let controls = &contract.controls;
    let marked = contract.sources.iter().find_map(|(side, source)| {
        let options = [
            ("version_column", source.version_column.is_some()),
            ("updated_at", source.updated_at.is_some()),
            ("deleted", source.deleted.is_some()),
            ("captured_at", matches!(source.captured_at, CapturedAt::Column(_))),
        ];
        let (name, _) = options.into_iter().find(|(_, given)| *given)?;
        Some(format!("`{name}` of the {side} is looked at in every row"))
    });
    let several = inputs.sides.iter().find(|(_, input)| input.opened.files.len() > 1);
    let reasons = [
        (inputs.binding.key_count == 0, "without a key nothing tells segments apart"),
        (inputs.row_filter.is_some(), "`--where` is about every row"),
        (inputs.owners.is_some(), "the authority is composed of several sources"),
        (contract.baseline.is_some(), "the baseline is compared with every row"),
        (!controls.totals.is_empty(), "totals are of every row"),
        (!controls.invariants.is_empty(), "invariants are about every row"),
    ];
    let reason = reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason.to_owned());
    let files = || several.map(|(side, _)| format!("the {side} has several files, which are told apart"));
    reason.or(marked).or_else(files)
}

/// The databases among the sides, as statements name them; or why they cannot be asked.
fn tables(inputs: &Inputs) -> Result<Sides<Option<statement::Table>>, String> {
    for attribute in &inputs.binding.attributes {
        if let Some(because) = uncovered(attribute) {
            return Err(format!("attribute `{}`: {because}", attribute.name));
        }
    }
    inputs.sides.as_ref().try_map(|side, input| match remote(&input.opened) {
        None if input.opened.files.is_empty() => Err(format!(
            "the {side} was read at once, because it is small or empty, or because its database would not answer twice alike"
        )),
        None => Ok(None),
        Some(remote) => {
            let one = |attribute: &BoundAttribute| column(attribute, side, &input.opened, remote);
            let columns = inputs.binding.attributes.iter().map(one).collect::<Result<_, String>>()?;
            Ok(Some(statement::Table {
                system: remote.system(),
                from: remote.from(),
                filter: remote.filter(),
                columns,
                key_count: inputs.binding.key_count,
            }))
        }
    })
}

/// The database of an opened source, if it can be asked.
pub(super) fn remote(opened: &Opened) -> Option<&dyn Remote> {
    opened.units.first().and_then(|unit| unit.remote())
}

/// An attribute's column in a database, if its values have one text there and here.
fn column(
    attribute: &BoundAttribute,
    side: Side,
    opened: &Opened,
    remote: &dyn Remote,
) -> Result<statement::Column, String> {
    let index = attribute.columns.get(side).index;
    let no = |why: &str| format!("attribute `{}`: {why}", attribute.name);
    let (sql, native) = remote
        .column(index)
        .filter(|(_, native)| covers(*native, &attribute.comparison))
        .ok_or_else(|| no(&format!("systems write its type in the {side} in different ways")))?;
    if !holds(attribute, native, opened.schema.field(index).data_type()) {
        return Err(no(&format!("its type may not hold every value of the {side}")));
    }
    let form = Form::of(&attribute.comparison).ok_or_else(|| no("it has no text"))?;
    Ok(statement::Column { sql, native, form })
}

/// Whether every value of a column has a canonical one, so that equal values are never a fault.
fn holds(attribute: &BoundAttribute, native: Native, column: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType as T;
    let digits = match column {
        T::Int8 | T::UInt8 => Some((3, 0)),
        T::Int16 | T::UInt16 => Some((5, 0)),
        T::Int32 | T::UInt32 => Some((10, 0)),
        T::Int64 => Some((19, 0)),
        T::UInt64 => Some((20, 0)),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale))),
        _ => None,
    };
    match (&attribute.comparison, attribute.options.logical_type) {
        (Comparison::Decimal { precision, scale }, _) => digits.is_some_and(|(whole, fraction)| {
            whole <= i32::from(*precision) - i32::from(*scale) && fraction <= i32::from(*scale)
        }),
        (Comparison::Integer, None) => {
            matches!(native, Native::Integer) && digits.is_some_and(|(whole, _)| whole <= 19)
        }
        (Comparison::Integer, Some(logical)) => {
            logical == LogicalType::Integer { bits: 64, signed: true } && *column != T::UInt64
        }
        (Comparison::Number, Some(_)) => false,
        _ => true,
    }
}

/// Why all rows are read, where the contract leaves it to the program.
fn reads(batch: &Batch<'_>, inputs: &Inputs) -> Result<Option<&'static str>, Halt> {
    if batch.contract.parity.is_some() {
        return Ok(Some("a cutover gate rests on rows that were read"));
    }
    if batch.settings.signed {
        return Ok(Some("signed evidence rests on rows that were read"));
    }
    let is_fickle = |opened: &Opened| remote(opened).is_some_and(Remote::is_fickle);
    if inputs.sides.iter().any(|(_, input)| is_fickle(&input.opened)) {
        return Ok(Some("nobody knows what asking a view or query twice costs"));
    }
    let bytes = |opened: &Opened| opened.units.iter().map(|unit| unit.bytes()).sum::<u64>();
    let remotes = inputs.sides.iter().filter_map(|(side, input)| Some((side, &input.opened, remote(&input.opened)?)));
    let mut costs = Vec::new();
    for (side, opened, remote) in remotes {
        let rows: u64 = opened.units.iter().map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum();
        let bytes = bytes(opened);
        let link = if decide::is_small(bytes) && !remote.is_local() {
            // Small tables are read whatever the link is.
            Some(decide::Link { round_trip: std::time::Duration::ZERO, bytes_per_second: f64::MAX })
        } else {
            decide::measure(remote).map_err(|error| Halt::Source { side, error })?
        };
        costs.push(decide::Cost { rows, bytes, statements: rows / search::STATEMENT_ROWS + 4, link });
    }
    Ok(decide::reads(&costs))
}

/// Leaves of each side the rows in some ranges of the leading number, and those that have none; so many others agree.
/// `conditions` choose them in a database.
pub(super) fn leave(
    inputs: &mut Inputs,
    (extent, proved): ((i64, i64), u64),
    ranges: Vec<(i64, i64)>,
    conditions: impl Fn(Side, &[(i64, i64)]) -> Vec<String>,
) {
    let picked = inputs.sides.as_ref().map(|side, input| {
        let remote = remote(&input.opened)?;
        let conditions = conditions(side, &ranges).into_iter();
        Some(conditions.map(|condition| remote.pick(condition, Some(&input.columns))).collect())
    });
    narrow(inputs, (extent, proved), &segment::Chosen::Ranges(ranges), picked);
}

/// Leaves of each side the rows that are read.
fn narrow(
    inputs: &mut Inputs,
    (extent, proved): ((i64, i64), u64),
    chosen: &segment::Chosen,
    mut picked: Sides<Picks>,
) {
    let binding = inputs.binding.clone();
    let whole = Arc::new(AtomicBool::new(false));
    for side in Side::BOTH {
        let input = inputs.sides.get_mut(side);
        let opened = &mut input.opened;
        let units: Vec<Arc<dyn Unit>> = if let Some(picks) = picked.get_mut(side).take() {
            let remote = remote(opened).expect("what was picked has a database");
            let mut all = Some(remote.pick("1 = 1".to_owned(), None));
            let size = left(opened, proved, picks.len() as u64);
            let unit = |picked: Box<dyn Unit>| -> Arc<dyn Unit> {
                Arc::new(Chosen { picked, size, all: all.take(), whole: Arc::clone(&whole) })
            };
            picks.into_iter().map(unit).collect()
        } else {
            let choice = Choice::new(&binding, side, extent, chosen).expect("the key has a text");
            let choice = Arc::new(choice);
            let units = std::mem::take(&mut opened.units).into_iter();
            let unit = |inner: Arc<dyn Unit>| -> Arc<dyn Unit> {
                Arc::new(Kept { inner, choice: Arc::clone(&choice), whole: Arc::clone(&whole) })
            };
            units.map(unit).collect()
        };
        opened.file_of.truncate(units.len());
        opened.file_of.resize(units.len(), 0);
        opened.units = units;
    }
    inputs.whole = Some(whole);
}

/// Rows and bytes of each of so many parts that are left of a side, about: so that there are partitions enough for them.
fn left(opened: &Opened, proved: u64, parts: u64) -> (u64, u64) {
    let bytes: u64 = opened.units.iter().map(|unit| unit.bytes()).sum();
    let rows: u64 = opened.units.iter().map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum();
    let left = rows.saturating_sub(proved).max(1);
    let bytes = u128::from(bytes) * u128::from(left) / u128::from(rows.max(1));
    (left / parts.max(1), u64::try_from(bytes).unwrap_or(u64::MAX) / parts.max(1))
}
