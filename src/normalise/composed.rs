//! Columns that were put together from several sources: each value with the reason why there is none, where its owner has
//! none. Whoever composes makes them with this file; `bind` and `normalise` read them, and a marked row is a fault, which equals
//! nothing across, NULL neither.
//!
//! Such a column is a struct of the value, a code (0: there is a value, or NULL), and, where the value is a key that could not
//! be mapped, what stands there instead for people.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray, UInt8Array};
use arrow::datatypes::{DataType, Field, FieldRef, UInt8Type};

use super::column::member;
use super::{CanonicalColumn, ColumnPath, Fault, FaultReason};

/// The mark of such a field, in its metadata.
const MARK: &str = "reconcile.composed";
pub(super) const VALUE: &str = "reconcile.value";
const CODE: &str = "reconcile.code";
const SHOWN: &str = "reconcile.shown";

impl FaultReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Unparseable,
        Self::OutOfType,
        Self::AmbiguousTime,
        Self::OwnerLacksKey,
        Self::OwnerKeyTwice,
        Self::LookupLacksKey,
        Self::LookupKeyTwice,
        Self::UnmappedKey,
        Self::AmbiguousKey,
        Self::NotDerivable,
    ];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unparseable => "unparseable",
            Self::OutOfType => "out_of_type",
            Self::AmbiguousTime => "ambiguous_time",
            Self::OwnerLacksKey => "owner_lacks_key",
            Self::OwnerKeyTwice => "owner_key_twice",
            Self::LookupLacksKey => "lookup_lacks_key",
            Self::LookupKeyTwice => "lookup_key_twice",
            Self::UnmappedKey => "unmapped_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::NotDerivable => "not_derivable",
        }
    }

    /// Its number in digests and composed columns; never 0.
    #[must_use]
    pub fn code(self) -> u8 {
        let position = Self::ALL.iter().position(|reason| *reason == self).unwrap_or_default();
        u8::try_from(position + 1).expect("there are few reasons")
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// The field of a composed column whose values are as `value` says.
#[must_use]
pub fn composed_field(name: &str, value: &Field) -> Field {
    let value = value.clone().with_name(VALUE).with_nullable(true);
    let members = vec![
        Arc::new(value),
        Arc::new(Field::new(CODE, DataType::UInt8, false)),
        Arc::new(Field::new(SHOWN, DataType::Utf8, true)),
    ];
    let metadata = [(MARK.to_owned(), "1".to_owned())].into();
    Field::new(name, DataType::Struct(members.into()), false).with_metadata(metadata)
}

/// A composed column. Where a row has a code its value must be NULL.
#[must_use]
pub fn composed_column(field: &Field, values: ArrayRef, codes: Vec<u8>, shown: Option<StringArray>) -> ArrayRef {
    let DataType::Struct(members) = field.data_type() else { unreachable!("a composed field is a struct") };
    let shown = shown.unwrap_or_else(|| StringArray::new_null(codes.len()));
    let columns: Vec<ArrayRef> = vec![values, Arc::new(UInt8Array::from(codes)), Arc::new(shown)];
    Arc::new(StructArray::new(members.clone(), columns, None))
}

/// A struct's member, or the column itself where no members are named.
#[must_use]
pub fn member_at(column: &ArrayRef, members: &[String]) -> Option<ArrayRef> {
    members.iter().try_fold(Arc::clone(column), |array, name| member(&array, name))
}

/// The field of the values, where a field is composed.
pub(super) fn value_field(field: &Field) -> Option<FieldRef> {
    field.metadata().get(MARK)?;
    let DataType::Struct(members) = field.data_type() else { return None };
    members.first().cloned()
}

/// Makes faults of the rows that a composed column marks.
pub(super) fn mark(path: &ColumnPath, read: &[usize], batch: &RecordBatch, column: &mut CanonicalColumn) {
    // What was spilled comes back without its metadata, so the members tell.
    if path.members.first().is_none_or(|member| member != VALUE) {
        return;
    }
    let Ok(position) = read.binary_search(&path.index) else { return };
    let Some(parts) = batch.columns().get(position).and_then(|column| column.as_struct_opt()) else { return };
    let codes = parts.column_by_name(CODE).and_then(|codes| codes.as_primitive_opt::<UInt8Type>());
    let shown = parts.column_by_name(SHOWN).and_then(|shown| shown.as_string_opt::<i32>());
    let (Some(codes), Some(shown)) = (codes, shown) else { return };
    let before = column.faults.len();
    for (row, reason) in
        codes.values().iter().enumerate().filter_map(|(row, code)| Some((row, FaultReason::of_code(*code)?)))
    {
        let shown = if shown.is_valid(row) { shown.value(row) } else { "" };
        let row = u32::try_from(row).expect("a batch has fewer rows than a u32 counts");
        column.faults.push(Fault { row, reason, shown: shown.into() });
    }
    if before > 0 && column.faults.len() > before {
        column.faults.sort_by_key(|fault| fault.row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_code_and_name() {
        for reason in FaultReason::ALL {
            assert_eq!(FaultReason::of_code(reason.code()), Some(reason));
            assert!(!reason.name().is_empty());
        }
        assert_eq!(FaultReason::of_code(0), None);
        // The first three are in digests that earlier versions wrote.
        assert_eq!(
            [FaultReason::Unparseable, FaultReason::OutOfType, FaultReason::AmbiguousTime].map(FaultReason::code),
            [1, 2, 3]
        );
    }
}
