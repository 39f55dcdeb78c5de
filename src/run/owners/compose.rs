//! A side whose rows carry more columns than its files: what is derived, joined, looked up, or mapped. Its parts are those of
//! the files, in the same numbering, so that everything that follows reads it as any other source.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};

use super::super::Halt;
use super::super::derive::Derivation;
use super::crossing::{Crossing, Part};
use super::join::{Join, as_kept, kept};
use super::other::KeyOf;
use crate::normalise::{composed_column, composed_field};
use crate::sides::Side;
use crate::source::{Error, Piece, Pieces, Unit};
use crate::sql::Predicate;

/// What is added to a side's columns.
pub(super) struct Plan {
    pub(super) side: Side,
    /// The columns of the files, then those that are added.
    pub(super) schema: SchemaRef,
    /// How many columns the files have.
    pub(super) own: usize,
    pub(super) extras: Vec<Extra>,
    /// The side's `filter`: rows that it leaves out ask for nothing that is counted.
    pub(super) filter: Option<(Predicate, Vec<usize>)>,
}

/// One column that is added.
pub(super) enum Extra {
    Derived {
        derivation: Box<Derivation>,
        columns: Vec<usize>,
        field: Field,
        attribute: String,
    },
    Joined {
        join: Arc<Join>,
        index: usize,
        field: Field,
    },
    /// The part of the key at `index`, which stands in `column` where the side has it.
    Mapped {
        crossing: Arc<Crossing>,
        index: usize,
        column: Option<usize>,
        field: Field,
    },
}

impl Extra {
    pub(super) fn field(&self) -> &Field {
        let (Self::Derived { field, .. } | Self::Joined { field, .. } | Self::Mapped { field, .. }) = self;
        field
    }

    /// A derivation over the side's own columns.
    pub(super) fn derived(name: &str, attribute: &str, derivation: Derivation, columns: Vec<usize>) -> Self {
        let field = composed_field(name, &kept(derivation.field()));
        Self::Derived { derivation: Box::new(derivation), columns, field, attribute: attribute.to_owned() }
    }

    /// The columns of the side's files that it needs.
    fn needs(&self, side: Side) -> Vec<usize> {
        match self {
            Self::Derived { columns, .. } => columns.clone(),
            Self::Joined { join, .. } => join.matching.columns(Side::Authority),
            Self::Mapped { crossing, column, .. } => {
                let mut columns = crossing.matching.get(side).columns(Side::Authority);
                columns.extend(*column);
                columns
            }
        }
    }
}

/// A part of a composed side.
pub(super) struct Composed {
    pub(super) inner: Arc<dyn Unit>,
    pub(super) plan: Arc<Plan>,
}

impl Composed {
    /// The columns of the files that a reading of these columns needs.
    fn needed(&self, columns: &[usize]) -> Vec<usize> {
        let plan = &self.plan;
        let mut needed: Vec<usize> = columns.iter().copied().filter(|column| *column < plan.own).collect();
        let extras = columns.iter().filter_map(|column| plan.extras.get(column.checked_sub(plan.own)?));
        let before = needed.len();
        extras.for_each(|extra| needed.extend(extra.needs(plan.side)));
        if needed.len() > before || before < columns.len() {
            needed.extend(plan.filter.iter().flat_map(|(_, columns)| columns));
        }
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    fn pieces<'a>(&'a self, columns: &[usize], needed: Vec<usize>, inner: Pieces<'a>) -> Pieces<'a> {
        let asked = columns.iter().filter_map(|column| self.plan.extras.get(column.checked_sub(self.plan.own)?));
        let at_once = asked.map(|extra| if let Extra::Joined { join, .. } = extra { join.at_once() } else { 0 }).max();
        Box::new(Composing {
            unit: self,
            columns: columns.to_vec(),
            needed,
            inner,
            at_once: at_once.unwrap_or_default(),
            ready: VecDeque::new(),
            failed: None,
        })
    }
}

impl Unit for Composed {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn memory(&self, columns: &[usize]) -> u64 {
        2 * self.inner.memory(&self.needed(columns))
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let needed = self.needed(columns);
        let inner = self.inner.read(&needed)?;
        Ok(self.pieces(columns, needed, inner))
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let needed = self.needed(columns);
        let inner = self.inner.read_rows(&needed, rows)?;
        Some(inner.map(|inner| self.pieces(columns, needed, inner)))
    }
}

/// A reading of a composed part.
struct Composing<'a> {
    unit: &'a Composed,
    columns: Vec<usize>,
    needed: Vec<usize>,
    inner: Pieces<'a>,
    /// Bytes of rows that are composed together.
    at_once: u64,
    ready: VecDeque<Piece>,
    failed: Option<Error>,
}

impl Iterator for Composing<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(piece) = self.ready.pop_front() {
            return Some(Ok(piece));
        }
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        for piece in self.inner.by_ref() {
            match piece {
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
                Ok(piece) => {
                    if let Piece::Rows(rows) = &piece {
                        bytes += rows.get_array_memory_size() as u64;
                    }
                    pieces.push(piece);
                }
            }
            if bytes >= self.at_once {
                break;
            }
        }
        match self.composed(pieces) {
            Ok(pieces) => self.ready = pieces,
            Err(halt) => {
                let problem = halt.to_string();
                return Some(Err(Error { place: self.unit.place(), problem, hint: None }));
            }
        }
        match self.ready.pop_front() {
            Some(piece) => Some(Ok(piece)),
            None => self.failed.take().map(Err),
        }
    }
}

impl Composing<'_> {
    fn composed(&self, pieces: Vec<Piece>) -> Result<VecDeque<Piece>, Halt> {
        let batches: Vec<&RecordBatch> =
            pieces.iter().filter_map(|piece| if let Piece::Rows(rows) = piece { Some(rows) } else { None }).collect();
        let Some(first) = batches.first() else { return Ok(pieces.into()) };
        let whole = match batches.as_slice() {
            [one] => (*one).clone(),
            several => concat_batches(&first.schema(), several.iter().copied()).map_err(said)?,
        };
        let whole = self.compose(&whole)?;
        let mut start = 0;
        let cut = |piece| match piece {
            Piece::Rows(rows) => {
                let rows = whole.slice(start, rows.num_rows());
                start += rows.num_rows();
                Piece::Rows(rows)
            }
            unreadable @ Piece::Unreadable(_) => unreadable,
        };
        Ok(pieces.into_iter().map(cut).collect())
    }

    /// The columns that are asked for, of rows that hold those that are needed.
    fn compose(&self, rows: &RecordBatch) -> Result<RecordBatch, Halt> {
        let plan = &self.unit.plan;
        let kept = self.kept(rows)?;
        let counts = |row: usize| kept.as_ref().is_none_or(|kept| kept.value(row));
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.columns.len()];
        for position in 0..self.columns.len() {
            let column = self.columns[position];
            if columns[position].is_some() {
                continue;
            }
            let Some(extra) = column.checked_sub(plan.own).and_then(|index| plan.extras.get(index)) else {
                columns[position] = Some(Arc::clone(rows.column(self.within(column))));
                continue;
            };
            match extra {
                Extra::Derived { derivation, columns: own, field, attribute } => {
                    let (values, codes) = derivation
                        .evaluate(&self.only(rows, own))
                        .map_err(|said| Halt::Contract(format!("attribute `{attribute}`, derive: {said}")))?;
                    let values = as_kept(&values, &super::join::kept(derivation.field())).map_err(Halt::Contract)?;
                    columns[position] = Some(composed_column(field, values, codes, None));
                }
                Extra::Mapped { crossing, .. } => {
                    let keys = self.only(rows, &crossing.matching.get(plan.side).columns(Side::Authority));
                    let (places, parts): (Vec<usize>, Vec<Part<'_>>) = self.of_key(rows).into_iter().unzip();
                    let composed = crossing.compose(plan.side, &keys, &parts, &counts)?;
                    for (place, column) in places.into_iter().zip(composed) {
                        columns[place] = Some(column);
                    }
                }
                Extra::Joined { join, .. } => {
                    let keys: Vec<KeyOf> =
                        join.matching.keys(Side::Authority, &self.only(rows, &join.matching.columns(Side::Authority)));
                    let (places, fields): (Vec<usize>, Vec<_>) = self.of_join(join).into_iter().unzip();
                    let composed = join.compose(&keys, &counts, &fields)?;
                    for (place, column) in places.into_iter().zip(composed) {
                        columns[place] = Some(column);
                    }
                }
            }
        }
        let fields: Vec<Field> = self.columns.iter().map(|column| plan.schema.field(*column).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let columns = columns.into_iter().flatten().collect();
        RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), columns, &options)
            .map_err(said)
    }

    /// The places of all columns of one join among those that are asked for, and what they are.
    fn of_join(&self, join: &Arc<Join>) -> Vec<(usize, (usize, &Field))> {
        let plan = &self.unit.plan;
        let extras = self.columns.iter().enumerate().filter_map(|(place, column)| {
            match plan.extras.get(column.checked_sub(plan.own)?)? {
                Extra::Joined { join: of, index, field } if Arc::ptr_eq(of, join) => Some((place, (*index, field))),
                _ => None,
            }
        });
        extras.collect()
    }

    /// The places of the parts of the mapped key among the columns that are asked for, and what they are.
    fn of_key<'r>(&'r self, rows: &'r RecordBatch) -> Vec<(usize, Part<'r>)> {
        let plan = &self.unit.plan;
        let extras = self.columns.iter().enumerate().filter_map(|(place, column)| {
            match plan.extras.get(column.checked_sub(plan.own)?)? {
                Extra::Mapped { index, column, field, .. } => {
                    let own = column.map(|column| rows.column(self.within(column)));
                    Some((place, Part { index: *index, own, field }))
                }
                _ => None,
            }
        });
        extras.collect()
    }

    fn within(&self, column: usize) -> usize {
        self.needed.binary_search(&column).expect("a column that is needed is read")
    }

    fn only(&self, rows: &RecordBatch, columns: &[usize]) -> RecordBatch {
        let within: Vec<usize> = columns.iter().map(|column| self.within(*column)).collect();
        rows.project(&within).expect("these columns are there")
    }

    /// Which rows the side's `filter` keeps.
    fn kept(&self, rows: &RecordBatch) -> Result<Option<BooleanArray>, Halt> {
        let Some((filter, columns)) = &self.unit.plan.filter else { return Ok(None) };
        let is_read = columns.iter().all(|column| self.needed.binary_search(column).is_ok());
        if !is_read {
            return Ok(None);
        }
        filter.mask(&self.only(rows, columns)).map(Some).map_err(|said| Halt::Contract(format!("filter: {said}")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn said(error: arrow::error::ArrowError) -> Halt {
    Halt::Contract(format!("the columns of several sources cannot be put together: {error}"))
}
