//! What the first look at candidates brought out, held for the judgement where memory allows. It never decides anything:
//! what is not held is brought out again, and is the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, RecordBatch};
use rustc_hash::FxHashMap;

use super::Halt;
use super::compare::Work;
use super::gather::Partitioned;
use crate::diff::Budget;
use crate::diff::resolve::{Difference, ResolveRules, Resolved, Rows, resolve};
use crate::normalise::Mark;
use crate::sides::{Side, Sides};

/// Partitions that were looked at and not yet judged.
pub(super) struct Looked<'b> {
    budget: &'b Budget,
    held: Mutex<FxHashMap<usize, Held>>,
}

/// One of them.
struct Held {
    /// The rows, where they are held too.
    rows: Option<Sides<Rows>>,
    resolved: Resolved,
    bytes: u64,
}

impl<'b> Looked<'b> {
    /// Nothing yet; what is held is taken from the budget.
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self { budget, held: Mutex::default() }
    }

    /// Whether a partition is held with its rows.
    pub(super) fn has(&self, partition: usize) -> bool {
        self.lock().get(&partition).is_some_and(|held| held.rows.is_some())
    }

    /// Holds what a look brought out: with its rows, else without them, else not at all.
    pub(super) fn hold(
        &self,
        partition: usize,
        gathered: &Sides<Partitioned<'_>>,
        rows: Sides<Rows>,
        resolved: Resolved,
    ) {
        let own = resolved.differences.len() as u64 * size_of::<Difference>() as u64;
        let whole = own + rows.iter().map(|(_, rows)| bytes_of(rows)).sum::<u64>();
        if self.budget.take(whole) {
            self.lock().insert(partition, Held { rows: Some(rows), resolved, bytes: whole });
            for (_, gathered) in gathered.iter() {
                gathered.drop(partition);
            }
        } else if self.budget.take(own) {
            self.lock().insert(partition, Held { rows: None, resolved, bytes: own });
        }
    }

    /// Shows the rows of a partition and what they come to, which stay where they are.
    pub(super) fn show(
        &self,
        work: &Work<'_>,
        gathered: &Sides<Partitioned<'_>>,
        partition: usize,
        see: impl FnOnce(&Sides<Rows>, &Resolved),
    ) -> Result<(), Halt> {
        // It is out while it is seen, so that others need not wait.
        let held = self.lock().remove(&partition);
        if let Some(held @ Held { rows: Some(_), .. }) = held {
            if let Some(rows) = &held.rows {
                see(rows, &held.resolved);
            }
            self.lock().insert(partition, held);
            return Ok(());
        }
        if let Some(held) = held {
            self.lock().insert(partition, held);
        }
        let rows = gathered.as_ref().try_map(|side, gathered| gathered.look(work.reader(side), partition))?;
        let rules = ResolveRules { null_keys_match: work.batch.contract.null_keys_match };
        see(&rows, &resolve(&work.inputs.binding, rules, &rows));
        Ok(())
    }

    /// The rows of a partition and what they come to, which are the caller's from here.
    pub(super) fn take(
        &self,
        work: &Work<'_>,
        gathered: &Sides<Partitioned<'_>>,
        partition: usize,
    ) -> Result<(Sides<Rows>, Resolved), Halt> {
        let held = self.lock().remove(&partition);
        if let Some(held) = &held {
            self.budget.give(held.bytes);
        }
        let (rows, resolved) = held.map_or((None, None), |held| (held.rows, Some(held.resolved)));
        let again = || {
            let reader = |side: Side| work.reader(side);
            gathered.as_ref().try_map(|side, gathered| gathered.take(reader(side), partition))
        };
        let rows = rows.map_or_else(again, Ok)?;
        let rules = ResolveRules { null_keys_match: work.batch.contract.null_keys_match };
        let resolved = resolved.unwrap_or_else(|| resolve(&work.inputs.binding, rules, &rows));
        Ok((rows, resolved))
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<usize, Held>> {
        // Whoever panicked while it was locked left a whole map.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of memory that rows take, and somewhat more where columns share theirs.
fn bytes_of(rows: &Rows) -> u64 {
    let raw = rows.raw.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
    let columns = rows.canonical.iter().flat_map(|batch| &batch.columns);
    let canonical = columns.map(|column| column.values.get_array_memory_size() + size_of_val(&*column.faults));
    let marks = |marks: &[Vec<Option<Mark>>]| marks.iter().map(|marks| size_of_val(&**marks)).sum::<usize>();
    let others = rows.order.iter().map(|order| size_of_val(&**order)).sum::<usize>()
        + rows.in_scope.iter().chain(&rows.deleted).map(Vec::len).sum::<usize>()
        + rows.files.iter().map(|files| size_of_val(&**files)).sum::<usize>()
        + marks(&rows.version)
        + marks(&rows.updated)
        + rows.more.len() * 64;
    (raw + canonical.sum::<usize>() + others) as u64
}
