//! Turns the batches of a source into canonical batches: for each compared attribute one column whose layout is fixed by
//! the attribute's comparison before the first row is read, with every option of the contract applied up to `round`.
//!
//! Two values are equal under the contract (tolerance aside) exactly where their canonical values are equal. A value that
//! cannot be brought into the comparison is a fault: never dropped, never equal to anything on the other side.
//! It never reads files, never pairs rows and never judges.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{nullif, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use crate::contract::{Contract, Options, Source, Tolerance};
use crate::sides::{Side, Sides};

mod bind;
mod bytes;
mod cell;
mod column;
mod composed;
mod distance;
mod ground;
mod json;
mod marker;
mod nested;
mod number;
mod numeric;
mod owned;
mod reading;
mod rules;
mod temporal;
mod text;
mod time;
mod view;

pub use bind::bind;
pub use composed::{composed_column, composed_field, member_at};
pub use ground::describe;
pub use marker::{Clock, Flag, Greatest, Mark, Marker, Marks};
pub use number::{ExactSum, Number};
pub use owned::{local_time, owned_value};
pub use reading::{
    Reading, Readings, as_compared, collapsed, in_form, is_local, spelled_number, without_case, without_ends,
};
pub use rules::SideRules;

use column::Converted;

/// A contract that has met the schemas of its two sides.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The compared attributes: first those of the key in key order, then the others in a fixed order
    /// (declared ones in the order of the file, then the authority's columns in their order).
    pub attributes: Vec<BoundAttribute>,
    /// How many of them form the key. 0: rows are a multiset, identified by all attributes.
    pub key_count: usize,
    /// Columns that cannot be compared, each a `schema` divergence.
    pub schema: Vec<SchemaDifference>,
    /// Names of columns that were left out by `ignore`, `only` or `compare = "declared"`, per side.
    pub left_out: Sides<Vec<String>>,
}

impl Binding {
    /// The same attributes without the options that change what a value looks like (trim, case, spaces, unicode,
    /// null_equals, translate, round).
    #[must_use]
    pub fn as_it_stands(&self) -> Self {
        let mut plain = self.clone();
        for attribute in &mut plain.attributes {
            attribute.rules = attribute.rules.as_ref().map(|_, rules| std::sync::Arc::new(rules.as_it_stands()));
        }
        plain
    }
}

/// One attribute and how its two columns are brought together.
#[derive(Clone, Debug)]
pub struct BoundAttribute {
    /// Its name.
    pub name: String,
    /// Where it lies on each side: the top-level column's index in the schema, then members of structs.
    pub columns: Sides<ColumnPath>,
    /// What both sides become.
    pub comparison: Comparison,
    /// The contract's options.
    pub options: Options,
    /// Compared by value beside the digest.
    pub tolerance: Option<Tolerance>,
    /// How each side's values are read, prepared from the options and the sources.
    pub rules: Sides<Arc<SideRules>>,
}

/// Where a column lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPath {
    /// Index in the source's schema.
    pub index: usize,
    /// Members of structs below it.
    pub members: Vec<String>,
}

/// A column that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDifference {
    /// The attribute's name.
    pub attribute: String,
    /// Its type on each side, for people; None where the side has no such column.
    pub types: Sides<Option<String>>,
    /// Why it is not compared.
    pub reason: SchemaReason,
}

/// Why a column is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaReason {
    /// One side has no such column.
    MissingColumn,
    /// The types have no common ground.
    Incomparable,
    /// A timestamp without zone against an instant, and nothing says which zone.
    ZoneUnknown,
}

/// What both sides of an attribute become. It fixes the layout of the canonical column.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Both sides are all NULL. `NullArray`.
    Null,
    /// `BooleanArray`.
    Boolean,
    /// Integers and decimals scaled to `scale`: `Int64Array` where `precision` ≤ 18, `Decimal128Array` ≤ 38, else `Decimal256Array`.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Integers of at most 64 bits on both sides, both within `i64`: `Int64Array`.
    Integer,
    /// `Float64Array`, with one NaN and no negative zero.
    Float,
    /// Any number at its exact value: `BinaryArray` of `number::Number`'s canonical bytes.
    Number,
    /// `StringArray`, `LargeStringArray` or `StringViewArray`.
    Text,
    /// `BinaryArray`, `LargeBinaryArray`, `BinaryViewArray` or `FixedSizeBinaryArray`.
    Binary,
    /// `Date32Array`.
    Date,
    /// Since midnight, in nanoseconds: `Int64Array`.
    Time,
    /// Local, since 1970-01-01T00:00:00, in nanoseconds: `Decimal128Array` (whose scale means nothing).
    Timestamp,
    /// Since 1970-01-01T00:00:00Z, in nanoseconds: `Decimal128Array` (whose scale means nothing).
    Instant,
    /// In nanoseconds: `Decimal128Array` (whose scale means nothing).
    Duration,
    /// Months, days and nanoseconds, each by itself: `BinaryArray` of 16 bytes.
    Interval,
    /// `FixedSizeBinaryArray` of 16 bytes.
    Uuid,
    /// `BinaryArray` of canonical JSON (documented in `normalise/json.rs`); `LargeBinaryArray` where a batch passes 2 GiB,
    /// as with the other comparisons whose layout is `BinaryArray`.
    Json,
    /// Lists, structs and maps: `BinaryArray` of an injective encoding (documented in `normalise/nested.rs`).
    Nested(Box<Nested>),
}

/// The shape of a nested comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Nested {
    /// Elements in order.
    List(Comparison),
    /// Members by name, sorted; one that a side's type lacks is NULL there.
    Struct(Vec<(String, Comparison)>),
    /// Entries without order.
    Map(Comparison, Comparison),
}

/// Why a value has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultReason {
    /// A text that does not parse.
    Unparseable,
    /// A value that the type cannot hold exactly.
    OutOfType,
    /// A local time that its zone does not have, or has twice.
    AmbiguousTime,
    /// The attribute's owner has no row of this key.
    OwnerLacksKey,
    /// The attribute's owner has several rows of this key.
    OwnerKeyTwice,
    /// The source that is looked into has no such row.
    LookupLacksKey,
    /// The source that is looked into has several such rows.
    LookupKeyTwice,
    /// The crosswalk does not know the key.
    UnmappedKey,
    /// The crosswalk maps the key to several, or several to it.
    AmbiguousKey,
    /// A derivation has no value for the row.
    NotDerivable,
}

/// One value without canonical form; the canonical column is NULL there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Row within the batch.
    pub row: u32,
    /// Why.
    pub reason: FaultReason,
    /// The value as it stands.
    pub shown: Box<str>,
}

/// One attribute of one batch, canonical.
#[derive(Clone, Debug)]
pub struct CanonicalColumn {
    /// In the layout that the comparison fixes.
    pub values: ArrayRef,
    /// Sorted by row.
    pub faults: Vec<Fault>,
}

impl CanonicalColumn {
    /// The fault of one value, if it has one.
    #[must_use]
    pub fn fault(&self, row: usize) -> Option<&Fault> {
        let found = self.faults.binary_search_by(|fault| (fault.row as usize).cmp(&row)).ok()?;
        self.faults.get(found)
    }
}

/// One batch, canonical: a column for each attribute of the binding.
#[derive(Clone, Debug)]
pub struct CanonicalBatch {
    /// Number of rows.
    pub rows: usize,
    /// In the binding's order.
    pub columns: Vec<CanonicalColumn>,
}

/// Brings the columns of one side's batch into their comparisons. `batch` holds the top-level columns that
/// `columns_read(binding, side)` lists, in that order.
#[must_use]
pub fn normalise(binding: &Binding, side: Side, batch: &RecordBatch) -> CanonicalBatch {
    let read = columns_read(binding, side);
    let columns = binding.attributes.iter().map(|attribute| {
        let rules = attribute.rules.get(side);
        let Some(array) = leaf(attribute.columns.get(side), &read, batch) else {
            // Not the column that was bound: nothing of it may agree.
            let everything = column::all_there(batch.num_rows());
            return finish(Converted::unreadable(&attribute.comparison, &everything), |_| String::new());
        };
        let array = without_null_equals(array, rules);
        let converted = converted(&array, &attribute.comparison, rules);
        let mut column = finish(converted, |row| shown(&array, rules, row).unwrap_or_default());
        composed::mark(attribute.columns.get(side), &read, batch, &mut column);
        column
    });
    CanonicalBatch { rows: batch.num_rows(), columns: columns.collect() }
}

/// The column, or member of a struct, that an attribute reads.
fn leaf(path: &ColumnPath, read: &[usize], batch: &RecordBatch) -> Option<ArrayRef> {
    let position = read.binary_search(&path.index).ok()?;
    let top = batch.columns().get(position)?;
    path.members.iter().try_fold(Arc::clone(top), |array, member| column::member(&array, member))
}

fn finish(converted: Converted, show: impl Fn(usize) -> String) -> CanonicalColumn {
    let fault = |(row, reason): &(usize, FaultReason)| Fault {
        row: u32::try_from(*row).expect("a batch has fewer rows than a u32 counts"),
        reason: *reason,
        shown: show(*row).into(),
    };
    CanonicalColumn { faults: converted.faults.iter().map(fault).collect(), values: converted.values }
}

/// Values that are not text and whose written form `null_equals` lists are NULL; text is looked at when it is read.
fn without_null_equals(array: ArrayRef, rules: &SideRules) -> ArrayRef {
    let data_type = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    if !rules.text.has_null_equals() || data_type.is_string() || data_type.is_nested() || data_type.is_null() {
        return array;
    }
    let mut stands_for_null = vec![false; array.len()];
    bytes::each_written(&array, rules, |row, written| {
        stands_for_null[row] = written.is_ok_and(|text| rules.text.stands_for_null(&text));
    });
    nullif(&array, &stands_for_null.into()).unwrap_or(array)
}

/// One column under its comparison, translated first where that is asked of values that are not text.
fn converted(array: &ArrayRef, comparison: &Comparison, rules: &SideRules) -> Converted {
    let Some(after) = &rules.translated else { return convert(array, comparison, rules) };
    if array.data_type().is_null() {
        return Converted::nulls(comparison, array.len());
    }
    let written = bytes::written(array, rules);
    let mut converted = convert(&written.values, comparison, after);
    if !written.faults.is_empty() {
        converted.faults.extend(written.faults);
        converted.faults.sort_unstable();
    }
    converted
}

/// Brings one column into a comparison. It looks at the type once; rows are walked by the modules below.
fn convert(array: &ArrayRef, comparison: &Comparison, rules: &SideRules) -> Converted {
    if array.data_type().is_null() {
        return Converted::nulls(comparison, array.len());
    }
    if let Some(unfolded) = column::unfold(array) {
        return column::convert_unfolded(comparison, unfolded, |values| convert(values, comparison, rules));
    }
    let converted = match comparison {
        Comparison::Null => None,
        Comparison::Boolean => Some(bytes::to_boolean(array, rules)),
        Comparison::Decimal { .. } | Comparison::Integer | Comparison::Float | Comparison::Number => {
            numeric::convert(array, comparison, rules)
        }
        Comparison::Text => Some(bytes::to_text(array, rules)),
        Comparison::Binary => Some(bytes::to_binary(array, rules)),
        Comparison::Date
        | Comparison::Time
        | Comparison::Timestamp
        | Comparison::Instant
        | Comparison::Duration
        | Comparison::Interval => temporal::convert(array, comparison, rules),
        Comparison::Uuid => Some(bytes::to_uuid(array, rules)),
        Comparison::Json => Some(bytes::to_json(array, rules)),
        Comparison::Nested(nested) => nested::to_nested(array, nested, rules),
    };
    converted.unwrap_or_else(|| Converted::unreadable(comparison, array))
}

/// The top-level columns (indices in the side's schema, ascending, without repeats) that a comparison needs.
#[must_use]
pub fn columns_read(binding: &Binding, side: Side) -> Vec<usize> {
    let mut columns: Vec<usize> =
        binding.attributes.iter().map(|attribute| attribute.columns.get(side).index).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// One side's value of one attribute as text for people and plans, from the batch as it was read ("as it stands": before
/// options, so that the operator sees what is there); None for NULL.
#[must_use]
pub fn show(binding: &Binding, side: Side, attribute: usize, batch: &RecordBatch, row: usize) -> Option<String> {
    let attribute = &binding.attributes[attribute];
    let array = leaf(attribute.columns.get(side), &columns_read(binding, side), batch)?;
    shown(&array, attribute.rules.get(side), row)
}

/// The same for many rows of one attribute, in any order; calls for each that is not NULL with its index among `rows`.
pub fn show_each(
    binding: &Binding,
    side: Side,
    attribute: usize,
    batch: &RecordBatch,
    rows: &[usize],
    mut call: impl FnMut(usize, &str),
) {
    let attribute = &binding.attributes[attribute];
    let Some(array) = leaf(attribute.columns.get(side), &columns_read(binding, side), batch) else { return };
    let numbers = UInt64Array::from_iter_values(rows.iter().map(|&row| row as u64));
    // More than an array holds comes of long values only, which are taken one by one.
    match take(&array, &numbers, None) {
        Ok(taken) => bytes::each_written(&taken, attribute.rules.get(side), |index, written| {
            if let Ok(text) = written {
                call(index, &text);
            }
        }),
        Err(_) => {
            for (index, &row) in rows.iter().enumerate() {
                if let Some(text) = shown(&array, attribute.rules.get(side), row) {
                    call(index, &text);
                }
            }
        }
    }
}

fn shown(array: &ArrayRef, rules: &SideRules, row: usize) -> Option<String> {
    let mut text = None;
    bytes::each_written(&array.slice(row, 1), rules, |_, written| {
        text = written.ok().map(std::borrow::Cow::into_owned);
    });
    text
}

/// The values of a column as exact numbers, as an attribute of `type = "decimal"` reads them from a source: None for NULL, and why
/// there is no number. None for a type that is neither number nor text.
#[must_use]
pub fn numbers(source: &Source, field: &Field, array: &ArrayRef) -> Option<Vec<Result<Option<Number>, FaultReason>>> {
    let texts = field.data_type().is_string() || field.data_type().is_null();
    let own = bind::own(field);
    let is_numeric = own.as_ref().is_some_and(bind::is_number);
    if !is_numeric && !texts && own != Some(Comparison::Text) {
        return None;
    }
    let decimal = Some(crate::contract::LogicalType::Decimal(None));
    let options = Options { logical_type: decimal, ..Options::default() };
    let rules = SideRules { own, ..SideRules::new(field, &options, &source.csv, false) };
    let converted = convert(array, &Comparison::Number, &rules);
    let mut numbers: Vec<_> =
        (0..array.len()).map(|row| Ok(cell::number(&Comparison::Number, cell::cell(&converted.values, row)))).collect();
    converted.faults.iter().for_each(|&(row, reason)| numbers[row] = Err(reason));
    Some(numbers)
}

/// A canonical value as JSON: integers as numbers with all their digits, booleans, nulls; decimals, floats, times, binary,
/// text and the rest as text. Keys are written with it, so it is the same from either side.
#[must_use]
pub fn canonical_json(comparison: &Comparison, column: &CanonicalColumn, row: usize) -> serde_json::Value {
    use serde_json::Value;
    let cell = cell::cell(&column.values, row);
    if let cell::Cell::Boolean(value) = cell {
        return Value::Bool(value);
    }
    let integer = match comparison {
        // Twenty digits without a point is what 64-bit integers of either sign become.
        Comparison::Integer | Comparison::Number | Comparison::Decimal { precision: 20, scale: 0 } => {
            cell::number(comparison, cell).and_then(|number| number.to_scaled(0))
        }
        _ => None,
    };
    let narrow = integer.and_then(|integer| {
        i64::try_from(integer).map(Value::from).or_else(|_| u64::try_from(integer).map(Value::from)).ok()
    });
    narrow.or_else(|| cell::text(comparison, cell).map(Value::String)).unwrap_or(Value::Null)
}

/// Writes a canonical value as JSON text, as `canonical_json` makes it.
pub fn write_canonical_json(comparison: &Comparison, column: &CanonicalColumn, row: usize, out: &mut String) {
    use std::fmt::Write as _;
    let written = match small_integer(comparison, column, row) {
        Some(number) => write!(out, "{number}"),
        None => write!(out, "{}", canonical_json(comparison, column, row)),
    };
    written.expect("a string takes all");
}

/// A canonical integer that is held in 64 bits; None for NULL, and for all else.
#[must_use]
pub fn small_integer(comparison: &Comparison, column: &CanonicalColumn, row: usize) -> Option<i64> {
    let values = column.values.as_primitive_opt::<Int64Type>().filter(|_| *comparison == Comparison::Integer)?;
    values.is_valid(row).then(|| values.value(row))
}

/// A canonical value as text: what the other side ought to hold (after translate, trim, …); None for NULL.
#[must_use]
pub fn canonical_text(comparison: &Comparison, column: &CanonicalColumn, row: usize) -> Option<String> {
    cell::text(comparison, cell::cell(&column.values, row))
}

/// A canonical value as a number, where it is one; None for NULL, a fault, and what is no number.
#[must_use]
pub fn canonical_number(comparison: &Comparison, column: &CanonicalColumn, row: usize) -> Option<Number> {
    cell::number(comparison, cell::cell(&column.values, row))
}

/// Writes some attributes of a canonical row as a JSON object, each as `write_canonical_json` does; a fault as it stands.
pub fn write_named(binding: &Binding, batch: &CanonicalBatch, attributes: &[usize], row: usize, out: &mut String) {
    out.push('{');
    for (place, &index) in attributes.iter().enumerate() {
        let (attribute, column) = (&binding.attributes[index], &batch.columns[index]);
        if place > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(attribute.name.as_str()).to_string());
        out.push(':');
        match column.fault(row) {
            Some(fault) => out.push_str(&serde_json::Value::from(&*fault.shown).to_string()),
            None => write_canonical_json(&attribute.comparison, column, row, out),
        }
    }
    out.push('}');
}

/// Whether two canonical values, not both equal in the digest, are equal within the tolerance. Two NULLs are equal (which
/// the digest knows already), NULL and a value never near, a fault near nothing.
#[must_use]
pub fn within(
    tolerance: &Tolerance,
    comparison: &Comparison,
    columns: Sides<&CanonicalColumn>,
    rows: Sides<usize>,
) -> bool {
    distance::within(tolerance, comparison, columns, rows)
}

/// The attributes of a canonical batch as plain Arrow columns under the attributes' names, for `--where`: text as Utf8,
/// integers as Int64, decimals as Decimal128, other numbers as Float64, times in microseconds (instants in UTC), binary as
/// Binary, and what SQL has no type for (UUIDs, JSON, nested values) as its text. A fault is NULL.
#[must_use]
pub fn attribute_view(binding: &Binding, batch: &CanonicalBatch) -> RecordBatch {
    view::attribute_view(binding, batch)
}

/// Why a contract cannot meet its schemas at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BindError {
    /// A key attribute has no column, or its columns have no common ground.
    #[error("{side}: no column `{column}` for key attribute `{attribute}` (columns are: {})", have.join(", "))]
    NoKeyColumn {
        /// Where.
        side: Side,
        /// The key attribute.
        attribute: String,
        /// The column that was looked for.
        column: String,
        /// The columns there are.
        have: Vec<String>,
    },
    /// The key's columns cannot be compared.
    #[error("key attribute `{attribute}`: authority has {authority}, projection has {projection}: no common ground")]
    IncomparableKey {
        /// The key attribute.
        attribute: String,
        /// The authority's type.
        authority: String,
        /// The projection's type.
        projection: String,
    },
    /// A declared attribute's column is on neither side.
    #[error("attribute `{attribute}`: its column is on neither side (authority has: {}; projection has: {})", authority.join(", "), projection.join(", "))]
    NoColumn {
        /// The attribute.
        attribute: String,
        /// Columns there.
        authority: Vec<String>,
        /// Columns there.
        projection: Vec<String>,
    },
    /// A side has two columns of one name.
    #[error("{side}: two columns are named `{column}`")]
    TwoColumns {
        /// Where.
        side: Side,
        /// The name.
        column: String,
    },
    /// A tolerance on an attribute whose comparison has no distance.
    #[error("attribute `{attribute}`: a tolerance needs numbers or times, these are {comparison}")]
    NoDistance {
        /// The attribute.
        attribute: String,
        /// What its comparison is.
        comparison: String,
    },
    /// Nothing is left to compare, so that any two tables would agree.
    #[error("no column is compared: without a key and without attributes any two tables of equal length would agree")]
    NothingCompared,
    /// Another option that does not fit the columns.
    #[error("attribute `{attribute}`: {problem}")]
    Option {
        /// The attribute.
        attribute: String,
        /// What does not fit, as a sentence part.
        problem: String,
    },
}

/// What `bind` is given.
#[derive(Clone, Copy, Debug)]
pub struct BindRequest<'a> {
    /// The contract.
    pub contract: &'a Contract,
    /// The two schemas as the sources tell them.
    pub schemas: Sides<&'a Schema>,
}

#[cfg(test)]
mod tests;
