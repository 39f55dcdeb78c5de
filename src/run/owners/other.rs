//! A source besides the two sides: what is read of it, and how rows of a side find its rows.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use rayon::prelude::*;

use super::super::carried::Deleted;
use super::super::scan::greatest_instant;
use super::super::{Batch, Halt, Tuning};
use super::store::Key;
use crate::contract::{Attribute, CapturedAt, Compare, Contract, LogicalType, Options, Origin, Source};
use crate::diff::resolve::{ResolveRules, Standing, standing};
use crate::digest::{Encoded, Lanes, encode, hash_rows};
use crate::normalise::{
    BindError, BindRequest, Binding, BoundAttribute, CanonicalBatch, Comparison, FaultReason, bind, columns_read,
    normalise,
};
use crate::sides::{Side, Sides};
use crate::source::{self, OpenOptions, Opened, Piece, Unreadable};
use crate::sql::Predicate;

/// A source that is read besides the two sides.
pub(super) struct Other {
    pub(super) source: Arc<Source>,
    pub(super) opened: Opened,
    /// The columns that are read, as indices in its schema, ascending.
    columns: Vec<usize>,
    filter: Option<Predicate>,
    /// `captured_at = { column }`, as an index in its schema.
    captured: Option<usize>,
    /// What tells its tombstones, by indices in its schema: rows that it has no longer.
    deleted: Option<Deleted>,
}

/// What reading it gave, besides its rows.
#[derive(Default)]
pub(super) struct Facts {
    /// Rows after `filter` that are no tombstones.
    pub(super) rows: u64,
    pub(super) captured: Option<i64>,
    pub(super) unreadable: Vec<Unreadable>,
}

impl Other {
    /// Opens a source, or takes it as it was opened before; `as_json` are the columns that are compared under `type = "json"`.
    pub(super) fn open(
        source: &Arc<Source>,
        as_json: Vec<String>,
        tuning: &Tuning,
        before: Option<Opened>,
    ) -> Result<Self, Halt> {
        let options = OpenOptions { as_json, batch_rows: tuning.batch_rows, ..OpenOptions::default() };
        let anew = || source::open(source, &options).map_err(|error| failed(source, &error));
        let opened = before.map_or_else(anew, Ok)?;
        let said = |said| Halt::Contract(format!("source `{}`, filter: {said}", source.name));
        // The filter of a database was applied there.
        let filter = source.filter_here().map(Predicate::parse).transpose().map_err(said)?;
        let mut other =
            Self { source: Arc::clone(source), opened, columns: Vec::new(), filter, captured: None, deleted: None };
        let filtered: Vec<String> = other.filter.iter().flat_map(|filter| filter.columns().to_vec()).collect();
        for name in filtered {
            other.take(&name, "filter")?;
        }
        if let CapturedAt::Column(name) = &source.captured_at {
            other.captured = Some(other.take(name, "captured_at")?);
        }
        if let Some(written) = &source.deleted {
            let (columns, deleted) = Deleted::of(source, written, &other.opened.schema)?;
            columns.into_iter().for_each(|index| other.read_too(index));
            other.deleted = Some(deleted);
        }
        Ok(other)
    }

    /// Has a column read, and tells its index in the schema.
    pub(super) fn take(&mut self, name: &str, purpose: &str) -> Result<usize, Halt> {
        let Ok(index) = self.opened.schema.index_of(name) else {
            return Err(Halt::Contract(format!(
                "source `{}`, {purpose}: no column `{name}` (columns are: {})",
                self.source.name,
                names(&self.opened.schema)
            )));
        };
        self.read_too(index);
        Ok(index)
    }

    fn read_too(&mut self, index: usize) {
        if let Err(place) = self.columns.binary_search(&index) {
            self.columns.insert(place, index);
        }
    }

    /// Only some of the columns of a batch that was read.
    pub(super) fn only(&self, batch: &RecordBatch, columns: &[usize]) -> RecordBatch {
        let within = |index: &usize| self.columns.binary_search(index).expect("a column that is needed is read");
        batch.project(&columns.iter().map(within).collect::<Vec<_>>()).expect("these columns are there")
    }

    /// Bytes that reading one part takes, of those that take the most.
    pub(super) fn memory(&self) -> u64 {
        self.opened.units.iter().map(|unit| unit.memory(&self.columns)).max().unwrap_or_default()
    }

    /// Bytes of all its parts.
    pub(super) fn bytes(&self) -> u64 {
        self.opened.units.iter().map(|unit| unit.bytes()).sum()
    }

    /// Reads it, batch by batch after `filter`, in any order.
    pub(super) fn read(
        &self,
        own: &Batch<'_>,
        each: impl Fn(&RecordBatch) -> Result<(), Halt> + Sync,
    ) -> Result<Facts, Halt> {
        own.progress.begin(&own.contract.name, &format!("reading {}", self.source.name), self.bytes());
        let facts = Mutex::new(Vec::new());
        let one = |number: usize| {
            let unit = &self.opened.units[number];
            let mut of_unit = Facts::default();
            for piece in unit.read(&self.columns).map_err(|error| failed(&self.source, &error))? {
                if let Some(signal) = own.stop.requested() {
                    return Err(Halt::Interrupted(signal));
                }
                match piece.map_err(|error| failed(&self.source, &error))? {
                    Piece::Unreadable(unreadable) => of_unit.unreadable.push(unreadable),
                    Piece::Rows(rows) => {
                        own.progress.advance(rows.num_rows() as u64, 0);
                        self.rows(&rows, &mut of_unit, &each)?;
                    }
                }
            }
            own.progress.advance(0, unit.bytes());
            facts.lock().unwrap_or_else(PoisonError::into_inner).push((number, of_unit));
            Ok(())
        };
        let ended =
            own.threads.install(|| (0..self.opened.units.len()).into_par_iter().with_max_len(1).try_for_each(one));
        own.progress.end();
        ended?;
        let mut facts = facts.into_inner().unwrap_or_else(PoisonError::into_inner);
        facts.sort_by_key(|(number, _)| *number);
        let mut all = Facts::default();
        for (_, facts) in facts {
            all.rows += facts.rows;
            all.captured = all.captured.max(facts.captured);
            all.unreadable.extend(facts.unreadable);
        }
        Ok(all)
    }

    fn rows(
        &self,
        rows: &RecordBatch,
        facts: &mut Facts,
        each: &impl Fn(&RecordBatch) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let said = |said| Halt::Contract(format!("source `{}`, filter: {said}", self.source.name));
        let mut kept = self.filter.as_ref().map(|filter| filter.mask(rows)).transpose().map_err(said)?;
        if let Some(captured) = self.captured {
            let column = self.only(rows, &[captured]);
            let greatest = greatest_instant(&self.source, column.column(0).as_ref(), kept.as_ref())?;
            facts.captured = facts.captured.max(greatest);
        }
        if let Some(deleted) = &self.deleted {
            let column = |index| Arc::clone(self.only(rows, &[index]).column(0));
            let deleted = deleted.mask(&self.source.name, rows, column)?;
            let lives = |row: usize| {
                let kept = kept.as_ref().is_none_or(|kept| kept.is_valid(row) && kept.value(row));
                kept && !(deleted.is_valid(row) && deleted.value(row))
            };
            kept = Some((0..rows.num_rows()).map(lives).map(Some).collect());
        }
        let rows = match &kept {
            Some(mask) => &filter_record_batch(rows, mask).expect("the mask is as long as the batch"),
            None => rows,
        };
        facts.rows += rows.num_rows() as u64;
        each(rows)
    }
}

/// What went wrong with a source, with its name before it.
pub(super) fn failed(source: &Source, error: &source::Error) -> Halt {
    let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    Halt::Contract(format!("source `{}`: {error}{hint}", source.name))
}

/// The columns of a schema, for messages.
pub(super) fn names(schema: &Schema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

/// The columns that an attribute of type json reads at a source.
pub(super) fn json_column(attribute: &Attribute, path: &[String]) -> Option<String> {
    let is_json = attribute.options.logical_type == Some(LogicalType::Json);
    path.first().filter(|_| is_json).cloned()
}

/// One column of a join.
pub(super) struct Pair {
    /// What it is called in messages.
    pub(super) name: String,
    /// The side's column, and the other source's.
    pub(super) own: Vec<String>,
    pub(super) other: Vec<String>,
    pub(super) options: Options,
    /// What two texts are compared as, where the options do not say.
    pub(super) texts_are: Option<LogicalType>,
}

/// What a row's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyOf {
    Key(Key),
    /// NULL is in it, and NULL pairs with nothing.
    Null,
    Faulted(FaultReason),
}

impl KeyOf {
    pub(super) fn key(self) -> Option<Key> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }
}

/// Rows that are encoded together stay in the cache.
const STRETCH: usize = 1024;

/// How rows of a side find rows of another source: by equal keys, as the contract calls values equal.
pub(super) struct Matching {
    binding: Binding,
    rules: ResolveRules,
}

impl Matching {
    /// Binds the columns of a side (here the authority) and of another source (here the projection).
    pub(super) fn new(
        contract: &Contract,
        sources: Sides<(&Arc<Source>, &Schema)>,
        pairs: Vec<Pair>,
        null_keys_match: bool,
    ) -> Result<Self, Halt> {
        let mut joining = contract.clone();
        joining.sources = sources.as_ref().map(|_, (source, _)| Arc::clone(source));
        joining.key = pairs.iter().map(|pair| pair.name.clone()).collect();
        let is_text = |schema: &Schema, path: &[String]| {
            path.len() == 1 && schema.field_with_name(&path[0]).is_ok_and(|field| field.data_type().is_string())
        };
        let (own, other) = (sources.authority.1, sources.projection.1);
        let texts = |pair: &Pair| is_text(own, &pair.own) && is_text(other, &pair.other);
        joining.attributes = pairs.into_iter().map(|pair| attribute(texts(&pair), pair)).collect();
        (joining.compare, joining.crosswalk, joining.numeric_tolerance) = (Compare::Declared, None, None);
        joining.only.clear();
        joining.ignore.clear();
        let schemas = sources.as_ref().map(|_, (_, schema)| *schema);
        let binding = bind(BindRequest { contract: &joining, schemas }).map_err(|errors| {
            let said: Vec<String> = errors.iter().map(|error| in_words(error, &joining)).collect();
            Halt::Contract(said.join("\n"))
        })?;
        Ok(Self { binding, rules: ResolveRules { null_keys_match } })
    }

    /// What texts must be read as to be compared as these columns are.
    pub(super) fn types(&self) -> Vec<Option<LogicalType>> {
        let of = |attribute: &BoundAttribute| match attribute.comparison {
            Comparison::Integer | Comparison::Decimal { .. } | Comparison::Number => Some(LogicalType::Decimal(None)),
            Comparison::Float => Some(LogicalType::Float64),
            Comparison::Boolean => Some(LogicalType::Boolean),
            Comparison::Date => Some(LogicalType::Date),
            Comparison::Time => Some(LogicalType::Time),
            Comparison::Timestamp => Some(LogicalType::Timestamp),
            Comparison::Instant => Some(LogicalType::TimestampTz),
            Comparison::Duration => Some(LogicalType::Duration),
            Comparison::Uuid => Some(LogicalType::Uuid),
            Comparison::Json => Some(LogicalType::Json),
            Comparison::Binary => Some(LogicalType::Binary),
            Comparison::Null | Comparison::Text | Comparison::Interval | Comparison::Nested(_) => None,
        };
        self.binding.attributes.iter().map(of).collect()
    }

    /// The columns that it reads of a side's schema.
    pub(super) fn columns(&self, side: Side) -> Vec<usize> {
        columns_read(&self.binding, side)
    }

    /// The key of each row; the batch holds `columns`.
    pub(super) fn keys(&self, side: Side, batch: &RecordBatch) -> Vec<KeyOf> {
        let canonical = self.canonical(side, batch);
        let (mut encoded, mut lanes) = (Encoded::default(), Lanes::default());
        let mut keys = Vec::with_capacity(canonical.rows);
        for start in (0..canonical.rows).step_by(STRETCH) {
            encode(&canonical.columns, side, start..canonical.rows.min(start + STRETCH), &mut encoded);
            hash_rows(&encoded, &mut lanes);
            for row in 0..encoded.rows() {
                let (half, _) = lanes.digest(row).split_first_chunk().expect("a digest has 32 bytes");
                keys.push(match standing(&self.binding, self.rules, &canonical, start + row) {
                    Standing::Keyed => KeyOf::Key(Key::from_be_bytes(*half)),
                    Standing::Null => KeyOf::Null,
                    Standing::Faulted(reason) => KeyOf::Faulted(reason),
                });
            }
        }
        keys
    }

    /// The rows as they are compared.
    pub(super) fn canonical(&self, side: Side, batch: &RecordBatch) -> CanonicalBatch {
        normalise(&self.binding, side, batch)
    }

    /// An attribute of a row as text, for people.
    pub(super) fn text(&self, canonical: &CanonicalBatch, attribute: usize, row: usize) -> Option<String> {
        let column = &canonical.columns[attribute];
        let text = || crate::normalise::canonical_text(&self.binding.attributes[attribute].comparison, column, row);
        column.fault(row).map(|fault| fault.shown.to_string()).or_else(text)
    }

    /// All attributes of a row as one text: the only one, or a JSON array.
    pub(super) fn whole_text(&self, canonical: &CanonicalBatch, row: usize) -> Option<String> {
        let count = self.binding.attributes.len();
        if count == 1 {
            return self.text(canonical, 0, row);
        }
        let texts: Vec<Option<String>> = (0..count).map(|attribute| self.text(canonical, attribute, row)).collect();
        Some(serde_json::json!(texts).to_string())
    }
}

fn attribute(texts: bool, pair: Pair) -> Attribute {
    // What is translated, or near, is so toward the projection.
    let told = pair.options.logical_type.or(pair.texts_are.filter(|_| texts));
    let options = Options { translate: None, tolerance: None, logical_type: told, ..pair.options };
    Attribute {
        name: pair.name,
        column: pair.own,
        origin: Origin::default(),
        projected_as: pair.other,
        options,
        severity: None,
        repair: None,
        pii: None,
    }
}

fn in_words(error: &BindError, joining: &Contract) -> String {
    let source = |side: Side| &joining.sources.get(side).name;
    match error {
        BindError::NoKeyColumn { side, attribute, column, have } => {
            let other = source(*side);
            let hint = if *side == Side::Projection {
                format!("\nhint: say what it is called there: [attribute.{attribute}] column = {{ {other} = \"…\" }}")
            } else {
                String::new()
            };
            format!(
                "source `{other}`: no column `{column}` for `{attribute}`, by which it is joined (columns are: {}){hint}",
                have.join(", ")
            )
        }
        BindError::IncomparableKey { attribute, authority, projection } => format!(
            "sources `{}` and `{}` cannot be joined by `{attribute}`: it is {authority} there, {projection} here: no common ground",
            source(Side::Authority),
            source(Side::Projection)
        ),
        other => format!("joining source `{}`: {other}", source(Side::Projection)),
    }
}
