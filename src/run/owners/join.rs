//! One source that is joined: the owner of some attributes, or what is looked into. Its rows are read once, before the
//! comparison, and kept by key with the values that are wanted.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt8Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt8Type};

use super::super::derive::Derivation;
use super::super::{Batch, Halt};
use super::other::{Facts, KeyOf, Matching, Other, names};
use super::store::{Filling, Found, Key, Store};
use crate::audit::{OwnerBooks, OwnerRole};
use crate::normalise::{FaultReason, composed_column, member_at};
use crate::sides::Side;
use crate::spill::SpillFile;

/// A source that is joined.
pub(super) struct Join {
    pub(super) other: Other,
    pub(super) role: OwnerRole,
    pub(super) matching: Matching,
    pub(super) wanted: Vec<Wanted>,
    /// What was read, when it was.
    loaded: OnceLock<Loaded>,
}

struct Loaded {
    store: Store,
    facts: Facts,
    null_key: u64,
}

/// A value that is wanted of each row.
pub(super) struct Wanted {
    pub(super) attribute: String,
    what: What,
    /// Its field as it is kept.
    pub(super) field: Field,
}

enum What {
    Column { index: usize, members: Vec<String> },
    Derived { derivation: Box<Derivation>, columns: Vec<usize> },
}

impl Wanted {
    /// A column of the source; None where it has no such column.
    pub(super) fn column(attribute: &str, path: &[String], other: &mut Other) -> Option<Self> {
        let (first, members) = path.split_first()?;
        let mut field = other.opened.schema.field_with_name(first).ok()?.clone();
        for member in members {
            let DataType::Struct(fields) = field.data_type() else { return None };
            field = fields.find(member)?.1.as_ref().clone();
        }
        let index = other.take(first, "column").ok()?;
        let what = What::Column { index, members: members.to_vec() };
        Some(Self { attribute: attribute.to_owned(), what, field: kept(&field) })
    }

    /// A derivation over columns of the source.
    pub(super) fn derived(attribute: &str, written: &str, other: &mut Other) -> Result<Self, Halt> {
        let said = |said| Halt::Contract(format!("attribute `{attribute}`, derive: {said}"));
        let derivation = Derivation::new(written, &other.source, &other.opened.schema).map_err(said)?;
        let mut columns = Vec::new();
        for name in derivation.columns() {
            columns.push(other.take(name, "derive")?);
        }
        let field = kept(derivation.field());
        let what = What::Derived { derivation: Box::new(derivation), columns };
        Ok(Self { attribute: attribute.to_owned(), what, field })
    }

    fn values(&self, other: &Other, batch: &RecordBatch) -> Result<(ArrayRef, Vec<u8>), Halt> {
        let said = |said: String| Halt::Contract(format!("attribute `{}`: {said}", self.attribute));
        let (values, codes) = match &self.what {
            What::Column { index, members } => {
                let column = other.only(batch, &[*index]);
                let values = member_at(column.column(0), members);
                let values = values.ok_or_else(|| {
                    said(format!("no column `{}` (columns are: {})", members.join("."), names(&other.opened.schema)))
                })?;
                let codes = vec![0; values.len()];
                (values, codes)
            }
            What::Derived { derivation, columns } => {
                derivation.evaluate(&other.only(batch, columns)).map_err(|text| said(format!("derive: {text}")))?
            }
        };
        Ok((as_kept(&values, &self.field).map_err(said)?, codes))
    }
}

/// A field as its values are kept: with plain texts of any length, which can be taken apart and put together.
pub(super) fn kept(field: &Field) -> Field {
    fn plain(data_type: &DataType) -> DataType {
        match data_type {
            DataType::Utf8 | DataType::Utf8View => DataType::LargeUtf8,
            DataType::Binary | DataType::BinaryView => DataType::LargeBinary,
            DataType::Dictionary(_, values) => plain(values),
            other => other.clone(),
        }
    }
    field.clone().with_data_type(plain(field.data_type())).with_nullable(true)
}

/// Values in the type that they are kept in.
pub(super) fn as_kept(values: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    if values.data_type() == field.data_type() {
        return Ok(Arc::clone(values));
    }
    cast(values, field.data_type()).map_err(|error| error.to_string())
}

impl Join {
    pub(super) fn new(other: Other, role: OwnerRole, matching: Matching, wanted: Vec<Wanted>) -> Self {
        Self { other, role, matching, wanted, loaded: OnceLock::new() }
    }

    /// Reads all of it, in at most so many bytes of memory; tells how many it holds.
    pub(super) fn load(&self, own: &Batch<'_>, limit: u64) -> Result<u64, Halt> {
        let spill = SpillFile::new(&own.settings.spill_folder);
        let fields: Vec<Field> = self
            .wanted
            .iter()
            .flat_map(|wanted| [wanted.field.clone(), Field::new("code", DataType::UInt8, true)])
            .collect();
        let filling = Filling::new(&fields, self.other.bytes(), limit, spill);
        let null_key = std::sync::atomic::AtomicU64::new(0);
        let columns = self.matching.columns(Side::Projection);
        let facts = self.other.read(own, |rows| {
            let keys = self.matching.keys(Side::Projection, &self.other.only(rows, &columns));
            let keyed: Vec<u32> =
                (0_u32..).zip(&keys).filter(|(_, key)| key.key().is_some()).map(|(row, _)| row).collect();
            null_key.fetch_add((keys.len() - keyed.len()) as u64, std::sync::atomic::Ordering::Relaxed);
            let rows =
                if keyed.len() == keys.len() { rows.clone() } else { super::super::scan::take_rows(rows, keyed) };
            let keys: Vec<Key> = keys.into_iter().filter_map(KeyOf::key).collect();
            let mut values: Vec<ArrayRef> = Vec::new();
            for wanted in &self.wanted {
                let (value, codes) = wanted.values(&self.other, &rows)?;
                values.extend([value, Arc::new(UInt8Array::from(codes)) as ArrayRef]);
            }
            filling.add(&keys, values)
        })?;
        let store = own.threads.install(|| filling.filled())?;
        let held = store.held();
        // Nobody else loads it.
        _ = self.loaded.set(Loaded { store, facts, null_key: null_key.into_inner() });
        Ok(held)
    }

    fn loaded(&self) -> Result<&Loaded, Halt> {
        let not_yet =
            || Halt::Contract(format!("source `{}` was not read before it was joined", self.other.source.name));
        self.loaded.get().ok_or_else(not_yet)
    }

    /// How many bytes of rows should ask together.
    pub(super) fn at_once(&self) -> u64 {
        self.loaded.get().map_or(0, |loaded| loaded.store.at_once())
    }

    /// The composed columns of what is wanted, for rows of these keys, under these fields.
    pub(super) fn compose(
        &self,
        keys: &[KeyOf],
        counts: &dyn Fn(usize) -> bool,
        fields: &[(usize, &Field)],
    ) -> Result<Vec<ArrayRef>, Halt> {
        let asked: Vec<Option<Key>> = keys.iter().map(|key| key.key()).collect();
        let (found, values) = self.loaded()?.store.ask(&asked, counts)?;
        let (lacks, twice) = match self.role {
            OwnerRole::Lookup => (FaultReason::LookupLacksKey, FaultReason::LookupKeyTwice),
            OwnerRole::Owner | OwnerRole::Crosswalk => (FaultReason::OwnerLacksKey, FaultReason::OwnerKeyTwice),
        };
        let composed = fields.iter().map(|&(index, field)| {
            let own = values[2 * index + 1].as_primitive::<UInt8Type>();
            let code = |(row, key): (usize, &KeyOf)| match (key, found[row]) {
                (KeyOf::Null, _) => 0,
                (KeyOf::Faulted(reason), _) => reason.code(),
                (_, Found::Nothing) => lacks.code(),
                (_, Found::Several) => twice.code(),
                (_, Found::Row) => own.value(row),
            };
            let codes = keys.iter().enumerate().map(code).collect();
            composed_column(field, Arc::clone(&values[2 * index]), codes, None)
        });
        Ok(composed.collect())
    }

    /// What was read; None before.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.loaded.get().map(|loaded| &loaded.facts)
    }

    /// Its rows, when all rows of the authority have asked (`joined`), or when they have not.
    pub(super) fn books(&self, joined: bool) -> Result<OwnerBooks, Halt> {
        let Some(loaded) = self.loaded.get() else { return Ok(OwnerBooks::default()) };
        let unreadable: u64 = loaded.facts.unreadable.iter().map(|range| range.rows).sum();
        let (null_key, read) = (loaded.null_key, loaded.facts.rows + unreadable);
        if !joined {
            let unjoined = loaded.facts.rows - null_key;
            return Ok(OwnerBooks { read, null_key, unreadable, unjoined, ..OwnerBooks::default() });
        }
        let (joined, unknown, duplicate) = loaded.store.accounts()?;
        Ok(OwnerBooks { read, joined, unknown, duplicate, null_key, unreadable, unjoined: 0 })
    }
}
