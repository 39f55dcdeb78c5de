//! One look: opens both sides anew, asks for the keys that still differ, and keeps their rows. A database is asked by key where
//! its columns allow it, else its table is read whole; a file that has not changed since the first reading is not read
//! again, and one that was replaced is read whole. Rows of other keys are let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rayon::prelude::*;

use super::super::Halt;
use super::super::compare::Work;
use super::super::gather::{Gathered, Partitioned, Pending};
use super::super::input::{Inputs, open_side};
use super::super::reader::Reader;
use super::ask::Asking;
use super::keys::{Keys, each_identity};
use crate::classify::Pace;
use crate::contract::{Contract, Source, System};
use crate::diff::resolve::Rows;
use crate::normalise::normalise;
use crate::sides::{Side, Sides};
use crate::source::{self, OpenOptions, Opened, Piece, Unit};

/// What a look saw.
pub(super) enum Seen<'s> {
    /// The rows of the keys that were asked for.
    Rows(Box<Last<'s>>),
    /// Nothing that could be held against the first reading, and why.
    Nothing(String),
}

/// The rows of a look.
pub(super) struct Last<'s> {
    inputs: Inputs,
    gathered: Sides<Partitioned<'s>>,
    /// The side's files are those of the first reading, whose rows hold.
    unchanged: Sides<bool>,
    pub(super) read_at: Sides<Option<Timestamp>>,
    /// When it began.
    began: Timestamp,
}

impl Last<'_> {
    /// Whether a side that lies in files was read again.
    pub(super) fn replaced(&self) -> bool {
        self.inputs.sides.iter().any(|(side, input)| !input.opened.files.is_empty() && !self.unchanged.get(side))
    }

    /// What its rows are judged by, where those of the first reading were by `first`. What does not tell its instant excuses nothing.
    pub(super) fn pace(&self, projection: &Source, first: &Pace) -> Pace {
        let told = source::captured_at(projection, &self.inputs.sides.projection.opened).ok().flatten();
        let kept = first.captured_at.filter(|_| self.unchanged.projection);
        let captured_at = told.map(Timestamp::as_nanosecond).or(kept);
        Pace { captured_at, began: self.began.as_nanosecond(), ..*first }
    }

    /// The rows of a partition: those of the look, and of a side that has not changed those of the first reading.
    pub(super) fn rows(
        &self,
        work: &Work<'_>,
        partition: usize,
        first: impl Fn(Side) -> Result<Rows, Halt>,
    ) -> Result<Sides<Rows>, Halt> {
        self.gathered.as_ref().try_map(|side, gathered| {
            if *self.unchanged.get(side) {
                // Whoever is looked at again was in scope, whatever its row is now.
                return Ok(Rows { in_scope: Vec::new(), ..first(side)? });
            }
            gathered.rows(Reader { batch: work.batch, inputs: &self.inputs, side }, partition)
        })
    }
}

impl Work<'_> {
    /// Reads the keys that still differ once more. Of the first reading are the rows, and which sides had some.
    pub(super) fn look_again<'s>(
        &self,
        (first, had): (&Sides<Partitioned<'s>>, Sides<bool>),
        keys: &Keys,
    ) -> Result<Seen<'s>, Halt> {
        let began = self.batch.now();
        let sources = &self.batch.contract.sources;
        let unchanged =
            self.inputs.sides.as_ref().map(|side, input| source::is_unchanged(sources.get(side), &input.opened));
        if unchanged.authority && unchanged.projection {
            return Ok(Seen::Nothing("the files of both sides are what they were".to_owned()));
        }
        let opened = self.inputs.sides.as_ref().try_map(|side, input| match unchanged.get(side) {
            true => Ok::<_, Halt>(input.opened.without_rows()),
            false => self.open_again(side, keys),
        })?;
        for (side, input) in self.inputs.sides.iter() {
            let now = opened.get(side);
            if now.schema != input.opened.schema {
                return Ok(Seen::Nothing(format!("the columns of the {side} are others than when it was first read")));
            }
            if now.files.len() != input.opened.files.len() {
                return Ok(Seen::Nothing(format!("the {side} has other files than when it was first read")));
            }
        }
        let read_at = opened.as_ref().map(|_, opened| opened.snapshot.as_ref().map(|snapshot| snapshot.taken_at));
        let inputs = self.inputs.anew(self.batch.contract, opened)?;
        let gathered = first.as_ref().map(|_, partitioned| partitioned.anew());
        let units = |side: Side| (0..inputs.sides.get(side).opened.units.len()).map(move |unit| (side, unit));
        let units: Vec<(Side, usize)> = Side::BOTH.into_iter().flat_map(units).collect();
        let read = Sides::<AtomicU64>::default();
        self.batch.threads.install(|| {
            units.into_par_iter().with_max_len(1).try_for_each(|(side, unit)| {
                let reader = Reader { batch: self.batch, inputs: &inputs, side };
                self.read_keys(reader, unit, keys, (gathered.get(side), read.get(side)))
            })
        })?;
        // A database that was asked by key may well have none of them.
        let is_whole = |side: Side| sources.get(side).database().is_none() && !unchanged.get(side);
        let emptied = |side: &Side| is_whole(*side) && *had.get(*side) && read.get(*side).load(Ordering::Relaxed) == 0;
        if let Some(side) = Side::BOTH.into_iter().find(emptied) {
            return Ok(Seen::Nothing(format!("the {side} has no rows any more")));
        }
        for (side, input) in inputs.sides.iter() {
            source::unchanged(&input.opened).map_err(|error| Halt::Source { side, error })?;
        }
        let gathered = gathered.map(|side, gathered| gathered.partitioned_as(first.get(side)));
        Ok(Seen::Rows(Box::new(Last { inputs, gathered, unchanged, read_at, began })))
    }

    /// Keeps the rows of a unit whose keys still differ.
    fn read_keys(
        &self,
        reader: Reader<'_>,
        unit: usize,
        keys: &Keys,
        (gathered, read): (&Gathered<'_>, &AtomicU64),
    ) -> Result<(), Halt> {
        let mut pending = Pending::of(reader, unit);
        reader.each_piece(unit, &reader.input().columns, |piece| {
            let rows = match piece {
                Piece::Rows(rows) => rows,
                Piece::Unreadable(range) => {
                    let rows = if range.rows == 1 { "1 row".to_owned() } else { format!("{} rows", range.rows) };
                    let problem = format!("{rows} could not be read: {}", range.problem);
                    return Err(reader.failed(source::Error { place: range.place, problem, hint: None }));
                }
            };
            let kept = reader.kept(&rows)?;
            let (compared, _) = reader.taken_rows(&rows, kept.as_ref())?;
            read.fetch_add(compared.num_rows() as u64, Ordering::Relaxed);
            let canonical = normalise(&reader.inputs.binding, reader.side, &compared);
            let mut wanted: Vec<u32> = Vec::new();
            each_identity(self, reader.side, &canonical, |row, identity| {
                if keys.wants(identity) {
                    wanted.push(u32::try_from(row).expect("a batch has fewer than 2³² rows"));
                }
            });
            gathered.catch(reader, &compared, wanted, &mut pending)
        })?;
        gathered.keep(&mut pending)
    }

    /// Opens a side anew, with no more rows than must be read for the keys that still differ.
    fn open_again(&self, side: Side, keys: &Keys) -> Result<Opened, Halt> {
        let (contract, tuning) = (self.batch.contract, &self.batch.settings.tuning);
        let whole = || open_side(contract, side, tuning, &OpenOptions::default());
        let Some(database) = contract.sources.get(side).database() else { return whole() };
        let first = &self.inputs.sides.get(side).opened;
        // Without a condition every row is read, which is slower and the same.
        let narrowed = |known: &Opened| {
            let asking = Asking::of(&self.inputs.binding, side, known, database.system)?;
            let condition = asking.condition(keys.texts()?.into_iter())?;
            Some(open_side(&narrowed(contract, side, &condition), side, tuning, &OpenOptions::default()))
        };
        if database.system == System::Mysql {
            // What a column holds decides its type there, so that few rows may tell another one.
            return match narrowed(first).transpose()? {
                Some(opened) if opened.schema == first.schema => Ok(opened),
                _ => whole(),
            };
        }
        let mut opened = whole()?;
        let Some(remote) = opened.units.first().and_then(|unit| unit.remote()) else { return Ok(opened) };
        let asking = Asking::of(&self.inputs.binding, side, &opened, database.system);
        let conditions = asking.and_then(|asking| {
            let keys = keys.texts()?.into_iter();
            // A view or query may make rows up anew for each statement; a row of a loose collation may be of two lists.
            if remote.is_fickle() || asking.is_loose() {
                Some(vec![asking.condition(keys)?])
            } else {
                asking.conditions(keys)
            }
        });
        if let Some(conditions) = conditions {
            let columns = &self.inputs.sides.get(side).columns;
            let unit = |condition: String| remote.pick(condition, Some(columns)).into();
            let units: Vec<Arc<dyn Unit>> = conditions.into_iter().map(unit).collect();
            opened.file_of.clear();
            opened.units = units;
        }
        Ok(opened)
    }
}

/// The contract with fewer rows on one side.
fn narrowed(contract: &Contract, side: Side, condition: &str) -> Contract {
    let mut contract = contract.clone();
    let source = contract.sources.get_mut(side);
    let filter = match &source.filter {
        Some(filter) => format!("({filter}\n) AND ({condition})"),
        None => condition.to_owned(),
    };
    *source = Arc::new(Source { filter: Some(filter), ..Source::clone(source) });
    contract
}
