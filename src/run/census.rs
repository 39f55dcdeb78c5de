//! Counts all rows of the sources once more, reading no more columns than must be: only where what differs leaves open whether
//! it all lies in one place, or whether the missing keys follow one another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, BooleanArray, RecordBatch};

use super::Halt;
use super::compare::Work;
use super::reader::Reader;
use super::scan::UnitFacts;
use crate::causes::{Census, Counted, Question};
use crate::normalise::{Binding, columns_read, normalise};
use crate::sides::{Side, Sides};
use crate::source::Piece;
use crate::sql::Predicate;

/// What is read of a side to be counted.
struct Look {
    attributes: Vec<usize>,
    /// These attributes alone.
    binding: Binding,
    /// The columns that are read, as indices in the schema.
    columns: Vec<usize>,
    /// Those that are counted, as indices in `columns`.
    counted: Vec<usize>,
}

impl Work<'_> {
    /// Counts what a question asks, and tells how many rows lie in each file, of which so many were read. Sides that could not be
    /// read whole are read as they were before, so that the same rows are counted. Under `--where` rows count that are in scope by
    /// themselves: those that their partner alone brings into it are fewer, and make nothing likelier than it is.
    pub(super) fn census(
        &self,
        question: &Question,
        complete: Sides<bool>,
        by_file: &Sides<Vec<u64>>,
    ) -> Result<(Census, Sides<Vec<u64>>), Halt> {
        let looks = Sides::from_fn(|side| self.look(question, side, *complete.get(side)));
        let narrowed = self.inputs.row_filter.is_some();
        let is_asked =
            |side: &Side| !looks.get(*side).attributes.is_empty() || (narrowed && !by_file.get(*side).is_empty());
        let sides: Vec<Side> = Side::BOTH.into_iter().filter(is_asked).collect();
        let in_files = by_file.as_ref().map(|_, rows| if narrowed { vec![0; rows.len()] } else { rows.clone() });
        let counted = Mutex::new((Census::default(), in_files));
        let settled = AtomicBool::new(false);
        let count = |side, unit: usize| {
            if settled.load(Ordering::Relaxed) {
                return Ok(());
            }
            let of_unit = self.reader(side).count(unit, question, looks.get(side))?;
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            let file = self.inputs.sides.get(side).opened.file_of.get(unit).filter(|_| narrowed);
            if let Some(rows) = file.and_then(|file| counted.1.get_mut(side).get_mut(*file)) {
                *rows += of_unit.rows(side);
            }
            counted.0.add(&of_unit);
            if question.is_settled(&counted.0) {
                settled.store(true, Ordering::Relaxed);
            }
            Ok(())
        };
        self.inputs.as_whole(|| self.again(self.units_of(&sides), count))?;
        Ok(counted.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, question: &Question, side: Side, complete: bool) -> Look {
        let attributes: Vec<usize> = question.attributes(side).into_iter().collect();
        let mut binding = self.inputs.binding.clone();
        binding.attributes = attributes.iter().map(|index| binding.attributes[*index].clone()).collect();
        let input = self.inputs.sides.get(side);
        let wanted = columns_read(&binding, side);
        // A composed side, tombstones, rows that cannot be read and those in scope are known by other columns too.
        let plain = complete
            && input.carried.deletes().is_none()
            && self.inputs.owners.is_none()
            && self.inputs.row_filter.is_none();
        let mut columns = if plain { wanted.clone() } else { input.columns.clone() };
        let filter = input.filter.iter().flat_map(Predicate::columns);
        columns.extend(filter.filter_map(|name| input.opened.schema.index_of(name).ok()));
        columns.sort_unstable();
        columns.dedup();
        let counted = wanted.iter().filter_map(|index| columns.binary_search(index).ok()).collect();
        Look { attributes, binding, columns, counted }
    }

    /// Rows in each file of a side that has several, where every row lives.
    pub(super) fn rows_by_file(&self, units: &Sides<Vec<UnitFacts>>) -> Sides<Vec<u64>> {
        Sides::from_fn(|side| {
            let input = self.inputs.sides.get(side);
            // One file is no place, and a database has none.
            if input.carried.deletes().is_some() || input.opened.files.len() < 2 {
                return Vec::new();
            }
            let mut rows = vec![0; input.opened.files.len()];
            for (facts, file) in units.get(side).iter().zip(&input.opened.file_of) {
                rows[*file] += facts.read;
            }
            rows
        })
    }
}

impl Reader<'_> {
    /// Which rows of a batch, as a scan reads it, are in scope by themselves; None: all.
    fn scope_of(&self, rows: &RecordBatch) -> Result<Option<BooleanArray>, Halt> {
        if self.inputs.row_filter.is_none() {
            return Ok(None);
        }
        let compared = self.taken(rows)?;
        self.scope(&compared, &normalise(&self.inputs.binding, self.side, &compared))
    }

    fn count(&self, unit: usize, question: &Question, look: &Look) -> Result<Census, Halt> {
        let mut census = Census::default();
        self.each_piece(unit, &look.columns, |piece| {
            let Piece::Rows(rows) = piece else { return Ok(()) };
            let kept = self.kept(&rows)?;
            let deleted = self.input().carried.deletes().map(|deleted| self.tombstones(deleted, &rows)).transpose()?;
            let counted = rows.project(&look.counted).expect("these columns are among those read");
            let batch = normalise(&look.binding, self.side, &counted);
            let lives = |row: usize| {
                let kept = kept.as_ref().is_none_or(|kept| kept.is_valid(row) && kept.value(row));
                kept && !deleted.as_ref().is_some_and(|deleted| deleted.is_valid(row) && deleted.value(row))
            };
            let scope = self.scope_of(&rows)?;
            let is_in_scope = |row: usize| scope.as_ref().is_none_or(|scope| scope.value(row));
            let counted = Counted {
                lives: (kept.is_some() || deleted.is_some()).then_some(&lives),
                is_in_scope: scope.is_some().then_some(&is_in_scope),
            };
            question.count(self.side, (&look.binding, &look.attributes), &batch, counted, &mut census);
            Ok(())
        })?;
        Ok(census)
    }
}
