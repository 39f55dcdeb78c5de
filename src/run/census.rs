//! Counts all rows of the sources once more, reading no more columns than must be: only where what differs leaves open whether
//! it all lies in one place, or whether the missing keys follow one another.

use std::sync::{Mutex, PoisonError};

use arrow::array::Array;

use super::Halt;
use super::compare::Work;
use super::scan::{Reader, UnitFacts};
use crate::causes::{Census, Question};
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
    /// Counts what a question asks. Sides that could not be read whole are read as they were before, so that the same rows are
    /// counted.
    pub(super) fn census(&self, question: &Question, complete: Sides<bool>) -> Result<Census, Halt> {
        let looks = Sides::from_fn(|side| self.look(question, side, *complete.get(side)));
        let sides: Vec<Side> =
            looks.iter().filter(|(_, look)| !look.attributes.is_empty()).map(|(side, _)| side).collect();
        let census = Mutex::new(Census::default());
        let count = |side, unit| {
            let of_unit = self.reader(side).count(unit, question, looks.get(side))?;
            census.lock().unwrap_or_else(PoisonError::into_inner).add(&of_unit);
            Ok(())
        };
        self.inputs.as_whole(|| self.again(self.units_of(&sides), count))?;
        Ok(census.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, question: &Question, side: Side, complete: bool) -> Look {
        let attributes: Vec<usize> = question.attributes(side).into_iter().collect();
        let mut binding = self.inputs.binding.clone();
        binding.attributes = attributes.iter().map(|index| binding.attributes[*index].clone()).collect();
        let input = self.inputs.sides.get(side);
        let wanted = columns_read(&binding, side);
        // A composed side, tombstones and rows that cannot be read are known by other columns too.
        let plain = complete && input.carried.deletes().is_none() && self.inputs.owners.is_none();
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
            question.count(self.side, (&look.binding, &look.attributes), &batch, lives, &mut census);
            Ok(())
        })?;
        Ok(census)
    }
}
