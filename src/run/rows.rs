//! Reads one side of a contract from beginning to end, all its columns, with the key of each row: for a repaired copy of a
//! file. It compares nothing.

use arrow::array::RecordBatch;
use jiff::Timestamp;

use super::Tuning;
use super::input::open;
use super::privacy::Privacy;
use crate::classify::{Bench, Scale};
use crate::contract::Contract;
use crate::diff::resolve::{RowAt, Rows};
use crate::normalise::{Binding, columns_read, normalise};
use crate::sides::{Side, Sides};
use crate::source::{self, Piece};

/// A batch of the projection's rows with their keys as JSON text; None for a row that `filter` leaves out.
pub type Keyed<'a> = &'a mut dyn FnMut(&Binding, &RecordBatch, &[Option<Box<str>>]) -> Result<(), String>;

/// Calls for each batch of the projection's rows, all its columns, in the order of the source; once without rows first, so that
/// the columns are known where there are none. How many files it lies in.
///
/// # Errors
/// Why not all rows could be read, or what the call said, as a sentence part.
pub fn projection_rows(contract: &Contract, each: Keyed<'_>) -> Result<usize, String> {
    let privacy = Privacy::new(contract, None);
    read(contract, each).map_err(|said| privacy.scrubbed(&contract.secrets.redact(&said)).into_owned())
}

fn read(contract: &Contract, each: Keyed<'_>) -> Result<usize, String> {
    let side = Side::Projection;
    let inputs = open(contract, &Tuning::default(), Timestamp::now())
        .map_err(|halts| halts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let input = inputs.sides.get(side);
    let columns: Vec<usize> = (0..input.opened.schema.fields().len()).collect();
    each(&inputs.binding, &RecordBatch::new_empty(input.opened.schema.clone()), &[])?;
    let scale = Scale::new(contract, &inputs.binding);
    let bound = columns_read(&inputs.binding, side);
    for unit in &input.opened.units {
        for piece in unit.read(&columns).map_err(|error| error.to_string())? {
            let batch = match piece.map_err(|error| error.to_string())? {
                Piece::Rows(batch) => batch,
                Piece::Unreadable(range) => {
                    let rows = if range.rows == 1 { "1 row".to_owned() } else { format!("{} rows", range.rows) };
                    return Err(format!("{rows} could not be read, so the copy would lack what is in there"));
                }
            };
            let kept = match &input.filter {
                Some(predicate) => {
                    let carried = batch.project(&input.columns).map_err(|error| error.to_string())?;
                    Some(predicate.mask(&carried).map_err(|said| format!("filter: {said}"))?)
                }
                None => None,
            };
            let compared = batch.project(&bound).map_err(|error| error.to_string())?;
            let canonical = normalise(&inputs.binding, side, &compared);
            let mut rows = Sides::<Rows>::default();
            *rows.get_mut(side) = Rows { raw: vec![compared], canonical: vec![canonical], ..Rows::default() };
            let bench = Bench { contract, binding: &inputs.binding, rows: &rows, scale: &scale };
            let is_kept = |row: usize| kept.as_ref().is_none_or(|kept| kept.value(row));
            let key = |row: usize| is_kept(row).then(|| bench.key(side, RowAt { batch: 0, row }));
            let keys: Vec<Option<Box<str>>> = (0..batch.num_rows()).map(key).collect();
            each(&inputs.binding, &batch, &keys)?;
        }
    }
    source::unchanged(&input.opened).map_err(|error| error.to_string())?;
    Ok(input.opened.files.len())
}
