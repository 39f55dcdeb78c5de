//! Lists, structs and maps: their elements are made canonical column-wise by the same rules as any column, then packed
//! row by row. A fault in any element is a fault of the whole value. It never flattens and never reorders a list.
//!
//! # Canonical bytes
//!
//! Two values are equal exactly where these bytes are equal, because the comparison of every element is fixed.
//!
//! ```text
//! list     count (u64) | elements in order
//! struct   members in the order of their names; one that the side's type lacks is NULL
//! map      count (u64) | entries (key, value) sorted by their own bytes
//!
//! element  00                                            NULL
//!          01 | fixed width, big endian                  numbers, dates, times, booleans
//!          01 | length (u64) | bytes                     texts, binaries, nested values, …
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Field, FieldRef};

use super::cell::{Cells, pack};
use super::column::{Bytes, Converted, each_valid};
use super::rules::SideRules;
use super::{Comparison, FaultReason, Nested, convert};

/// Brings a column of lists, structs or maps into its nested comparison. None for columns that are something else.
pub(super) fn to_nested(array: &ArrayRef, nested: &Nested, rules: &SideRules) -> Option<Converted> {
    match nested {
        Nested::List(element) => {
            let (field, values, ranges) = list(array)?;
            let child = Child::new(&values, element, &rules.inside(&field));
            Some(lists(array, &child, &ranges))
        }
        Nested::Struct(members) => structs(array, members, rules),
        Nested::Map(key, value) => maps(array, key, value, rules),
    }
}

/// The elements of a column, canonical.
struct Child {
    converted: Converted,
}

impl Child {
    fn new(values: &ArrayRef, comparison: &Comparison, rules: &SideRules) -> Self {
        Self { converted: convert(values, comparison, rules) }
    }

    fn cells(&self) -> Cells<'_> {
        Cells::new(&self.converted.values)
    }

    /// The first fault among elements.
    fn fault(&self, start: usize, length: usize) -> Result<(), FaultReason> {
        let faults = &self.converted.faults;
        let at = faults.partition_point(|(row, _)| *row < start);
        match faults.get(at) {
            Some((row, reason)) if *row < start + length => Err(*reason),
            _ => Ok(()),
        }
    }
}

/// Where a row's elements lie: start and length.
type Ranges = Vec<(usize, usize)>;

/// The element field, the elements, and where those of each row lie. Rows that are NULL have a range that says nothing.
fn list(array: &ArrayRef) -> Option<(FieldRef, ArrayRef, Ranges)> {
    match array.data_type() {
        DataType::List(field) => Some(offset_list::<i32>(array, field)),
        DataType::LargeList(field) => Some(offset_list::<i64>(array, field)),
        DataType::ListView(field) => Some(view_list::<i32>(array, field)),
        DataType::LargeListView(field) => Some(view_list::<i64>(array, field)),
        DataType::FixedSizeList(field, size) => {
            let size = usize::try_from(*size).ok()?;
            let lists = array.as_fixed_size_list();
            let ranges = (0..lists.len()).map(|row| (row * size, size)).collect();
            Some((Arc::clone(field), Arc::clone(lists.values()), ranges))
        }
        _ => None,
    }
}

fn slice_of(offsets: &[impl OffsetSizeTrait], values: &ArrayRef) -> (ArrayRef, Ranges) {
    let first = offsets.first().map_or(0, |offset| offset.as_usize());
    let last = offsets.last().map_or(0, |offset| offset.as_usize());
    let ranges = offsets.windows(2).map(|pair| (pair[0].as_usize() - first, pair[1].as_usize() - pair[0].as_usize()));
    (values.slice(first, last - first), ranges.collect())
}

fn offset_list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> (FieldRef, ArrayRef, Ranges) {
    let lists = array.as_list::<O>();
    let (values, ranges) = slice_of(lists.value_offsets(), lists.values());
    (Arc::clone(field), values, ranges)
}

fn view_list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> (FieldRef, ArrayRef, Ranges) {
    let lists = array.as_list_view::<O>();
    let offsets = lists.value_offsets().iter().map(|offset| offset.as_usize());
    let ranges = offsets.zip(lists.value_sizes()).map(|(offset, size)| (offset, size.as_usize())).collect();
    (Arc::clone(field), Arc::clone(lists.values()), ranges)
}

fn lists(array: &ArrayRef, child: &Child, ranges: &[(usize, usize)]) -> Converted {
    let mut out = Bytes::new(array.len());
    let cells = child.cells();
    each_valid(array.nulls(), array.len(), |row| {
        let (start, length) = ranges[row];
        out.write(row, |bytes| {
            child.fault(start, length)?;
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
            (start..start + length).for_each(|element| pack(cells.get(element), bytes));
            Ok(())
        });
    });
    out.finish()
}

fn structs(array: &ArrayRef, members: &[(String, Comparison)], rules: &SideRules) -> Option<Converted> {
    let parent = array.as_struct_opt()?;
    let lacking: ArrayRef = Arc::new(NullArray::new(array.len()));
    let child = |(name, comparison): &(String, Comparison)| {
        let found = parent.fields().iter().position(|field| field.name() == name);
        let (field, values) = match found {
            Some(index) => (Arc::clone(&parent.fields()[index]), parent.column(index)),
            None => (Arc::new(Field::new(name, DataType::Null, true)), &lacking),
        };
        Child::new(values, comparison, &rules.inside(&field))
    };
    let children: Vec<Child> = members.iter().map(child).collect();
    let cells: Vec<Cells<'_>> = children.iter().map(Child::cells).collect();
    let mut out = Bytes::new(array.len());
    each_valid(parent.nulls(), parent.len(), |row| {
        out.write(row, |bytes| {
            children.iter().try_for_each(|child| child.fault(row, 1))?;
            for cells in &cells {
                pack(cells.get(row), bytes);
            }
            Ok(())
        });
    });
    Some(out.finish())
}

fn maps(array: &ArrayRef, key: &Comparison, value: &Comparison, rules: &SideRules) -> Option<Converted> {
    let parent = array.as_map_opt()?;
    let (keys, ranges) = slice_of(parent.value_offsets(), parent.keys());
    let (values, _) = slice_of(parent.value_offsets(), parent.values());
    let entry_fields = parent.entries().fields();
    let keys = Child::new(&keys, key, &rules.inside(&entry_fields[0]));
    let values = Child::new(&values, value, &rules.inside(&entry_fields[1]));
    let (key_cells, value_cells) = (keys.cells(), values.cells());
    let mut out = Bytes::new(array.len());
    each_valid(parent.nulls(), parent.len(), |row| {
        let (start, length) = ranges[row];
        out.write(row, |bytes| {
            keys.fault(start, length)?;
            values.fault(start, length)?;
            let entry = |at: usize| {
                let mut entry = Vec::new();
                pack(key_cells.get(at), &mut entry);
                pack(value_cells.get(at), &mut entry);
                entry
            };
            let mut entries: Vec<Vec<u8>> = (start..start + length).map(entry).collect();
            entries.sort_unstable();
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
            for entry in &entries {
                bytes.extend_from_slice(entry);
            }
            Ok(())
        });
    });
    Some(out.finish())
}
