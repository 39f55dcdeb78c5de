//! What is read of a row besides its attributes: its markers, and whether it is a tombstone. It is carried with a candidate
//! row in columns after the compared ones; after these, where a side has several files, the file that it lies in.
//!
//! A tombstone is known for every row in every reading, because it changes the row's digest.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type};

use super::Halt;
use super::input::{Input, Inputs};
use super::reader::Reader;
use crate::contract::Source;
use crate::diff::resolve::Rows;
use crate::digest::{Buffers, RowDigest};
use crate::normalise::{CanonicalBatch, Clock, Flag, Greatest, Marker, Marks};
use crate::sides::Side;
use crate::sql::Predicate;

/// What is carried, of one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    /// Columns that are carried as they were read, as indices in the columns of a scan; they follow the compared ones.
    pub(super) columns: Vec<usize>,
    version: Option<Carrier>,
    updated: Option<Carrier>,
    /// Its answers are carried as a last column.
    deleted: Option<Deleted>,
}

/// A marker, and its place among the carried columns.
#[derive(Clone, Debug)]
struct Carrier {
    place: usize,
    marker: Marker,
}

/// What tells tombstones.
#[derive(Clone, Debug)]
pub(super) enum Deleted {
    /// A boolean column, as an index in the columns of a scan.
    Column(usize, Flag),
    /// A predicate over the source's own columns.
    Predicate(Predicate),
}

impl Deleted {
    /// What `deleted` of a source says, and the columns that it needs; indices are those of the schema.
    pub(super) fn of(source: &Source, written: &str, schema: &Schema) -> Result<(Vec<usize>, Self), Halt> {
        let said = |what: String| Halt::Contract(format!("source `{}`, deleted: {what}", source.name));
        // A name that there is goes before the predicate that it might also be.
        if let Ok(index) = schema.index_of(written) {
            let flag = Flag::bind(source, schema.field(index)).map_err(said)?;
            return Ok((vec![index], Self::Column(index, flag)));
        }
        let predicate = Predicate::parse(written).map_err(said)?;
        let find = |name: &String| {
            schema.index_of(name).map_err(|_| {
                let have: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                said(format!("no column `{name}` (columns are: {})", have.join(", ")))
            })
        };
        let columns = predicate.columns().iter().map(find).collect::<Result<_, _>>()?;
        Ok((columns, Self::Predicate(predicate)))
    }

    /// Which rows of a batch are tombstones; `column` gives a column of it by its index.
    pub(super) fn mask(
        &self,
        source: &str,
        rows: &RecordBatch,
        column: impl FnOnce(usize) -> ArrayRef,
    ) -> Result<BooleanArray, Halt> {
        let said = |what: String| Halt::Contract(format!("source `{source}`, deleted: {what}"));
        match self {
            Self::Column(index, flag) => flag
                .read(&column(*index))
                .map_err(|value| said(format!("`{value}` is no boolean, expected true or false\nhint: name the texts in `csv.true` and `csv.false`, or write a predicate"))),
            Self::Predicate(predicate) => predicate.mask(rows).map_err(said),
        }
    }
}

/// What the source's options ask for, before the columns of a scan are known: indices are those of the schema.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    version: Option<(usize, Marker)>,
    updated: Option<(usize, Marker)>,
    deleted: Option<(Vec<usize>, Deleted)>,
}

impl Wanted {
    /// Finds the columns that the options of a source name. Without a key there are no pairs, and markers say nothing.
    pub(super) fn of(source: &Source, schema: &Schema, keyed: bool) -> Result<Self, Halt> {
        let said = |option: &str, what: String| Halt::Contract(format!("source `{}`, {option}: {what}", source.name));
        let find = |name: &str, option: &str| {
            schema.index_of(name).map_err(|_| {
                let have: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                said(option, format!("no column `{name}` (columns are: {})", have.join(", ")))
            })
        };
        let marker = |name: &Option<String>, option: &str, times_only: bool| {
            let Some(name) = name else { return Ok::<_, Halt>(None) };
            let index = find(name, option)?;
            let marker = Marker::bind(source, schema.field(index), times_only).map_err(|what| said(option, what))?;
            Ok(Some((index, marker)))
        };
        let mut wanted = Self {
            version: marker(&source.version_column, "version_column", false)?,
            updated: marker(&source.updated_at, "updated_at", true)?,
            deleted: None,
        };
        if let Some(written) = &source.deleted {
            if !keyed {
                let what =
                    "a tombstone needs a key, and the contract has none\nhint: leave deleted rows out with `filter`";
                return Err(said("deleted", what.to_owned()));
            }
            wanted.deleted = Some(Deleted::of(source, written, schema)?);
        }
        Ok(if keyed { wanted } else { Self::default() })
    }

    /// The columns that must be read for it, as indices in the schema.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let markers = [&self.version, &self.updated].into_iter().flatten().map(|(index, _)| *index);
        markers.chain(self.deleted.iter().flat_map(|(columns, _)| columns.iter().copied()))
    }

    /// The same in a scan of these columns.
    pub(super) fn within(self, within: impl Fn(&usize) -> usize) -> Carried {
        let mut carried = Carried::default();
        let mut carry = |wanted: Option<(usize, Marker)>| {
            let (index, marker) = wanted?;
            carried.columns.push(within(&index));
            Some(Carrier { place: carried.columns.len() - 1, marker })
        };
        let (version, updated) = (carry(self.version), carry(self.updated));
        let deleted = self.deleted.map(|(_, deleted)| match deleted {
            Deleted::Column(index, flag) => Deleted::Column(within(&index), flag),
            predicate @ Deleted::Predicate(_) => predicate,
        });
        Carried { version, updated, deleted, ..carried }
    }
}

impl Carried {
    /// Whether anything is asked for.
    pub(super) fn any(&self) -> bool {
        !self.columns.is_empty() || self.deleted.is_some()
    }

    /// The same in a scan of other columns, where `within` tells each one's place.
    pub(super) fn moved(&mut self, within: impl Fn(usize) -> usize) {
        self.columns.iter_mut().for_each(|column| *column = within(*column));
        if let Some(Deleted::Column(column, _)) = &mut self.deleted {
            *column = within(*column);
        }
    }

    /// What tells tombstones, where the side has any.
    pub(super) fn deletes(&self) -> Option<&Deleted> {
        self.deleted.as_ref()
    }
}

/// What a scan saw of the markers of a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct MarkerFacts {
    /// The greatest versions.
    pub(super) version: Greatest,
    /// The latest changes.
    pub(super) updated: Greatest,
    /// Values of `version_column` that are no markers.
    pub(super) unknown_versions: u64,
    /// Values of `updated_at` that are no times.
    pub(super) unknown_updates: u64,
    /// Values of `updated_at` whose zone nothing says.
    pub(super) local_updates: u64,
}

impl MarkerFacts {
    /// Takes another's in.
    pub(super) fn join(&mut self, other: &Self) {
        self.version.join(other.version);
        self.updated.join(other.updated);
        self.unknown_versions += other.unknown_versions;
        self.unknown_updates += other.unknown_updates;
        self.local_updates += other.local_updates;
    }
}

impl Reader<'_> {
    /// The compared columns of a batch as it was read, and after them what is carried.
    pub(super) fn taken(&self, rows: &RecordBatch) -> Result<RecordBatch, Halt> {
        let input = self.input();
        let wanted: Vec<usize> = input.compared.iter().chain(&input.carried.columns).copied().collect();
        let taken = rows.project(&wanted).expect("these columns are among those read");
        match &input.carried.deleted {
            Some(deleted) => {
                let field = Field::new("deleted", DataType::Boolean, false);
                Ok(with_column(&taken, field, Arc::new(self.tombstones(deleted, rows)?)))
            }
            None => Ok(taken),
        }
    }

    /// Which rows of a batch, as a scan reads it, are tombstones.
    pub(super) fn tombstones(&self, deleted: &Deleted, rows: &RecordBatch) -> Result<BooleanArray, Halt> {
        let source = &self.batch.contract.sources.get(self.side).name;
        deleted.mask(source, rows, |index| Arc::clone(rows.column(index)))
    }

    /// Which rows of a taken batch are tombstones; None where the side has none.
    pub(super) fn deleted<'b>(&self, taken: &'b RecordBatch) -> Option<&'b BooleanArray> {
        self.input().carried.deleted.as_ref()?;
        taken.columns().get(width(self.input()) - 1).map(AsArray::as_boolean)
    }

    /// Digests the rows of a taken batch, whose compared columns are these.
    pub(super) fn digest(
        &self,
        taken: &RecordBatch,
        canonical: &CanonicalBatch,
        buffers: &mut Buffers,
        each: impl FnMut(usize, RowDigest),
    ) {
        match self.deleted(taken) {
            Some(deleted) => {
                self.digester().digest_with_tombstones(canonical, |row| deleted.value(row), buffers, each);
            }
            None => self.digester().digest(canonical, buffers, each),
        }
    }

    /// Notes the markers of a taken batch.
    pub(super) fn note_markers(&self, taken: &RecordBatch, facts: &mut MarkerFacts) {
        let carried = &self.input().carried;
        if let Some(version) = self.marks(carried.version.as_ref(), taken) {
            version.values.iter().flatten().for_each(|mark| facts.version.add(*mark));
            facts.unknown_versions += version.unknown;
        }
        if let Some(updated) = self.marks(carried.updated.as_ref(), taken) {
            for mark in updated.values.iter().flatten() {
                facts.updated.add(*mark);
                facts.local_updates += u64::from(mark.clock == Clock::Local);
            }
            facts.unknown_updates += updated.unknown;
        }
    }

    fn marks(&self, carrier: Option<&Carrier>, taken: &RecordBatch) -> Option<Marks> {
        let carrier = carrier?;
        Some(carrier.marker.read(taken.column(self.input().compared.len() + carrier.place)))
    }

    /// Adds what is carried with a taken batch to rows that are judged.
    pub(super) fn add_carried(&self, taken: &RecordBatch, rows: &mut Rows) {
        if let Some(deleted) = self.deleted(taken) {
            rows.deleted.push(deleted.values().iter().collect());
        }
        let carried = &self.input().carried;
        rows.version.extend(self.marks(carried.version.as_ref(), taken).map(|marks| marks.values));
        rows.updated.extend(self.marks(carried.updated.as_ref(), taken).map(|marks| marks.values));
        if let Some(files) = taken.columns().get(width(self.input())) {
            rows.files.push(files.as_primitive::<UInt32Type>().values().to_vec());
        }
    }

    /// The file of a unit, where the side has several.
    pub(super) fn file_of(&self, unit: usize) -> Option<u32> {
        let opened = &self.input().opened;
        let several = opened.files.len() > 1;
        several.then(|| opened.file_of.get(unit).and_then(|file| u32::try_from(*file).ok())).flatten()
    }
}

/// A taken batch with the file that its rows come from, as a last column.
pub(super) fn with_file(taken: &RecordBatch, file: u32) -> RecordBatch {
    let files = UInt32Array::from(vec![file; taken.num_rows()]);
    with_column(taken, Field::new("file", DataType::UInt32, false), Arc::new(files))
}

/// How many columns a taken batch has.
fn width(input: &Input) -> usize {
    input.compared.len() + input.carried.columns.len() + usize::from(input.carried.deleted.is_some())
}

fn with_column(batch: &RecordBatch, field: Field, column: ArrayRef) -> RecordBatch {
    let fields: Vec<_> = batch.schema().fields().iter().cloned().chain([Arc::new(field)]).collect();
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("the column is as long as the batch")
}

impl Inputs {
    /// Whether either side has markers or tombstones. What earlier runs left knows nothing of them.
    pub(super) fn carries(&self) -> bool {
        Side::BOTH.iter().any(|side| self.sides.get(*side).carried.any())
    }
}
