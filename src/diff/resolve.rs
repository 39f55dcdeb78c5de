//! Tells candidates apart by their values: which rows pair, which attributes of a pair differ, which rows stand alone.
//!
//! It goes by exact key bytes and canonical values, never by tags, so a collision cannot mislead it. It never judges.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, i256};

use crate::digest::{Buffers, Digester, Encoded, encode};
use crate::normalise::{Binding, CanonicalBatch, CanonicalColumn, FaultReason, within};
use crate::sides::{Side, Sides};

/// Candidate rows of one side, some batches of them.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// As they were read.
    pub raw: Vec<RecordBatch>,
    /// The same, canonical.
    pub canonical: Vec<CanonicalBatch>,
    /// Whether `--where` holds for each; empty where it is not given.
    pub in_scope: Vec<Vec<bool>>,
}

/// A row among candidates: batch, and row within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAt {
    /// Index of the batch.
    pub batch: usize,
    /// Row within it.
    pub row: usize,
}

/// A raw fact about rows, which `classify` judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A row without partner: its key (or, without a key, a copy of it) is not across.
    Unpaired {
        /// Where the row is.
        side: Side,
        /// Which row.
        row: RowAt,
        /// Why its key cannot pair, if that is the reason.
        fault: Option<FaultReason>,
    },
    /// A pair in which attributes differ.
    Differ {
        /// The two rows.
        rows: Sides<RowAt>,
        /// The attributes, ascending.
        attributes: Vec<usize>,
    },
    /// A key that occurs more than once on a side.
    DuplicateKey {
        /// How often on each.
        counts: Sides<u64>,
        /// A row that has it.
        side: Side,
        /// Which row.
        row: RowAt,
    },
    /// A row with NULL in its key.
    NullKey {
        /// Where the row is.
        side: Side,
        /// Which row.
        row: RowAt,
    },
}

/// What became of the candidates.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// In the order of key digest, key, and side: it depends on nothing but the rows.
    pub differences: Vec<Difference>,
    /// Pairs that agree after all (rows of either side).
    pub agree: u64,
    /// Rows that are out of scope.
    pub out_of_scope: Sides<u64>,
}

/// How candidates are resolved.
#[derive(Clone, Copy, Debug)]
pub struct ResolveRules {
    /// NULLs in a key pair with each other.
    pub null_keys_match: bool,
}

/// Sort order of a key: digest, then bytes.
type Key = (u64, Vec<u8>);

/// Resolves the candidates whose key tags lie in one partition.
#[must_use]
pub fn resolve(binding: &Binding, rules: ResolveRules, rows: &Sides<Rows>) -> Resolved {
    let mut groups: BTreeMap<Key, Sides<Vec<RowAt>>> = BTreeMap::new();
    let mut alone: Vec<(Key, Difference)> = Vec::new();
    let mut resolved = Resolved::default();
    for (side, of_side) in rows.iter() {
        for (batch, canonical) in of_side.canonical.iter().enumerate() {
            let keys = keys_of(binding, side, canonical);
            for (row, key) in keys.into_iter().enumerate() {
                let at = RowAt { batch, row };
                match standing(binding, rules, canonical, row) {
                    Standing::Null => alone.push((key, Difference::NullKey { side, row: at })),
                    Standing::Faulted(reason) => {
                        alone.push((key, Difference::Unpaired { side, row: at, fault: Some(reason) }));
                    }
                    Standing::Keyed => groups.entry(key).or_default().get_mut(side).push(at),
                }
            }
        }
    }
    let mut found = alone;
    for (key, group) in groups {
        if out_of_scope(rows, &group) {
            resolved.out_of_scope.authority += group.authority.len() as u64;
            resolved.out_of_scope.projection += group.projection.len() as u64;
        } else if binding.key_count == 0 {
            resolved.agree += group.authority.len().min(group.projection.len()) as u64;
            found.extend(surplus(&group).map(|difference| (key.clone(), difference)));
        } else {
            match settle(binding, rows, &group) {
                Some(difference) => found.push((key, difference)),
                None => resolved.agree += 1,
            }
        }
    }
    found.sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| rank(first).cmp(&rank(second))));
    resolved.differences = found.into_iter().map(|(_, difference)| difference).collect();
    resolved
}

/// Equal keys occur in `found` only for rows that stand alone, whose order within a side shows nowhere.
fn rank(difference: &Difference) -> Side {
    match difference {
        Difference::Unpaired { side, .. }
        | Difference::NullKey { side, .. }
        | Difference::DuplicateKey { side, .. } => *side,
        Difference::Differ { .. } => Side::Authority,
    }
}

/// The first eight bytes of the BLAKE3 of every row's key, without a key of the whole row: the order of what is found.
#[must_use]
pub fn key_order(binding: &Binding, side: Side, canonical: &CanonicalBatch) -> Vec<u64> {
    let columns = key_columns(binding, canonical);
    let mut tags = Vec::with_capacity(canonical.rows);
    let digester = Digester { key_count: 0, side, tag_bits: 64 };
    let batch = CanonicalBatch { rows: canonical.rows, columns: columns.to_vec() };
    digester.digest(&batch, &mut Buffers::default(), |_, digest| tags.push(digest.key_tag));
    tags
}

/// Sort key and identity of every row: without a key the whole row.
fn keys_of(binding: &Binding, side: Side, canonical: &CanonicalBatch) -> Vec<Key> {
    let columns = key_columns(binding, canonical);
    let tags = key_order(binding, side, canonical);
    let mut encoded = Encoded::default();
    encode(columns, side, 0..canonical.rows, &mut encoded);
    tags.into_iter().enumerate().map(|(row, tag)| (tag, encoded.row(row).to_vec())).collect()
}

fn key_columns<'a>(binding: &Binding, canonical: &'a CanonicalBatch) -> &'a [CanonicalColumn] {
    if binding.key_count == 0 { &canonical.columns } else { &canonical.columns[..binding.key_count] }
}

/// Whether a row can pair by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Keyed,
    /// A key attribute is NULL.
    Null,
    /// A key attribute (without a key: any) has no canonical form.
    Faulted(FaultReason),
}

/// Whether a row can pair by its key.
#[must_use]
pub fn standing(binding: &Binding, rules: ResolveRules, canonical: &CanonicalBatch, row: usize) -> Standing {
    let columns = key_columns(binding, canonical);
    if let Some(reason) = columns.iter().find_map(|column| fault_at(column, row)) {
        return Standing::Faulted(reason);
    }
    let null = |column: &CanonicalColumn| column.values.data_type() == &DataType::Null || column.values.is_null(row);
    if binding.key_count > 0 && !rules.null_keys_match && columns.iter().any(null) {
        return Standing::Null;
    }
    Standing::Keyed
}

/// The fault of one value, if it has one.
#[must_use]
pub fn fault_at(column: &CanonicalColumn, row: usize) -> Option<FaultReason> {
    let found = column.faults.binary_search_by(|fault| (fault.row as usize).cmp(&row)).ok()?;
    Some(column.faults[found].reason)
}

fn out_of_scope(rows: &Sides<Rows>, group: &Sides<Vec<RowAt>>) -> bool {
    let satisfied = |side: Side| {
        let scope = &rows.get(side).in_scope;
        scope.is_empty() && !rows.get(side).canonical.is_empty()
            || group.get(side).iter().any(|at| scope[at.batch][at.row])
    };
    !Side::BOTH.into_iter().any(satisfied)
}

/// Without a key, each copy that one side has more of stands alone.
fn surplus(group: &Sides<Vec<RowAt>>) -> impl Iterator<Item = Difference> {
    let pairs = group.authority.len().min(group.projection.len());
    Side::BOTH.into_iter().flat_map(move |side| {
        group.get(side)[pairs..].iter().map(move |&row| Difference::Unpaired { side, row, fault: None })
    })
}

fn settle(binding: &Binding, rows: &Sides<Rows>, group: &Sides<Vec<RowAt>>) -> Option<Difference> {
    match (group.authority.as_slice(), group.projection.as_slice()) {
        (&[authority], &[projection]) => {
            let pair = Sides { authority, projection };
            let attributes = differing(binding, rows, pair);
            (!attributes.is_empty()).then_some(Difference::Differ { rows: pair, attributes })
        }
        (&[row], []) => Some(Difference::Unpaired { side: Side::Authority, row, fault: None }),
        ([], &[row]) => Some(Difference::Unpaired { side: Side::Projection, row, fault: None }),
        (authority, projection) => {
            let side = if authority.is_empty() { Side::Projection } else { Side::Authority };
            let row = group.get(side)[0];
            let counts = Sides { authority: authority.len() as u64, projection: projection.len() as u64 };
            Some(Difference::DuplicateKey { counts, side, row })
        }
    }
}

fn differing(binding: &Binding, rows: &Sides<Rows>, pair: Sides<RowAt>) -> Vec<usize> {
    let attributes = binding.attributes.iter().enumerate().skip(binding.key_count);
    let column = |side: Side, index: usize| &rows.get(side).canonical[pair.get(side).batch].columns[index];
    let at = Sides { authority: pair.authority.row, projection: pair.projection.row };
    attributes
        .filter(|(index, attribute)| {
            let columns = Sides::from_fn(|side| column(side, *index));
            if equal(columns, at) {
                return false;
            }
            let tolerated =
                attribute.tolerance.as_ref().is_some_and(|bound| within(bound, &attribute.comparison, columns, at));
            !tolerated
        })
        .map(|(index, _)| index)
        .collect()
}

/// One canonical value, whatever array holds it.
#[derive(PartialEq)]
enum Cell<'a> {
    Null,
    Boolean(bool),
    Date(i32),
    Integer(i64),
    Float(u64),
    Wide(i128),
    Widest(i256),
    Bytes(&'a [u8]),
}

fn equal(columns: Sides<&CanonicalColumn>, rows: Sides<usize>) -> bool {
    if fault_at(columns.authority, rows.authority).is_some() || fault_at(columns.projection, rows.projection).is_some()
    {
        return false;
    }
    cell(columns.authority.values.as_ref(), rows.authority) == cell(columns.projection.values.as_ref(), rows.projection)
}

fn cell(values: &dyn Array, row: usize) -> Cell<'_> {
    if values.data_type() == &DataType::Null || values.is_null(row) {
        return Cell::Null;
    }
    match values.data_type() {
        DataType::Boolean => Cell::Boolean(values.as_boolean().value(row)),
        DataType::Date32 => Cell::Date(values.as_primitive::<Date32Type>().value(row)),
        DataType::Int64 => Cell::Integer(values.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(values.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => Cell::Wide(values.as_primitive::<Decimal128Type>().value(row)),
        DataType::Decimal256(..) => Cell::Widest(values.as_primitive::<Decimal256Type>().value(row)),
        DataType::Utf8 => Cell::Bytes(values.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Cell::Bytes(values.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => Cell::Bytes(values.as_string_view().value(row).as_bytes()),
        DataType::Binary => Cell::Bytes(values.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Cell::Bytes(values.as_binary::<i64>().value(row)),
        DataType::BinaryView => Cell::Bytes(values.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Cell::Bytes(values.as_fixed_size_binary().value(row)),
        other => unreachable!("`normalise` makes no canonical column of type {other}"),
    }
}
