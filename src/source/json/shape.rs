//! Learns the types of JSON values from all of them together, and names the Arrow types that hold them exactly.
//!
//! Merging is a union, so that the result depends only on the rows and their order, never on threads or cuts.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::flat::{Member, Number, Value};
use super::record::{elements, members};
use crate::notation::{Notation, field};

/// A nested object with more names than this is a dictionary rather than a struct, and stays JSON.
const STRUCT_MEMBERS_MAX: usize = 1000;

/// All that was seen in one place of the documents.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Tree {
    boolean: bool,
    text: bool,
    number: Option<NumberShape>,
    list: Option<Box<Tree>>,
    object: Option<Box<Members>>,
}

/// The names seen in objects, in the order of first appearance.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Members {
    entries: Vec<(Box<str>, Tree)>,
    index: FxHashMap<Box<str>, usize>,
}

/// The numbers seen in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NumberShape {
    /// Digits before the point.
    whole: u32,
    /// Digits after the point.
    scale: u32,
    /// All are written as integers that 64 bits hold.
    is_int64: bool,
}

/// How a column or an element is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing but NULL.
    Null,
    /// true and false.
    Boolean,
    /// Integers of 64 bits.
    Int64,
    /// At most 38 digits: precision and scale.
    Decimal128(u8, i8),
    /// At most 76 digits: precision and scale.
    Decimal256(u8, i8),
    /// Numbers as they are written.
    Number,
    /// Texts.
    Text,
    /// Values of several types, as JSON.
    Json,
    /// Any member, as JSON in which absent and null differ.
    Member,
    /// Arrays.
    List(Box<Shape>),
    /// Objects.
    Struct(Vec<(Box<str>, Shape)>),
}

impl Members {
    /// Adds the members of one sound object.
    pub(super) fn absorb(&mut self, members: &[(Cow<'_, str>, &RawValue)]) {
        for (position, (name, value)) in members.iter().enumerate() {
            // Objects of one source mostly have their members in one order.
            let guess = self.entries.get(position).is_some_and(|(known, _)| **known == **name);
            let index = if guess { position } else { self.index_of(name) };
            self.entries[index].1.absorb(value.get());
        }
    }

    /// Adds the members of one flat object; `entries` are those of the known names.
    pub(super) fn absorb_flat(&mut self, entries: &[usize], members: &[Member]) {
        for member in members {
            let tree = &mut self.entries[entries[member.name]].1;
            match &member.value {
                Value::Null => {}
                Value::Boolean => tree.boolean = true,
                Value::Text => tree.text = true,
                Value::Number(number) => {
                    let shape = NumberShape::of_flat(*number);
                    tree.number = Some(tree.number.map_or(shape, |known| known.merged(shape)));
                }
            }
        }
    }

    /// The entries of names.
    pub(super) fn entries_of<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> Vec<usize> {
        names.map(|name| self.index_of(name)).collect()
    }

    fn index_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        self.entries.push((name.into(), Tree::default()));
        self.index.insert(name.into(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Adds what was seen in later objects.
    pub(in crate::source) fn merge(&mut self, later: Self) {
        for (name, tree) in later.entries {
            let index = self.index_of(&name);
            self.entries[index].1.merge(tree);
        }
    }

    /// Names and what was seen under them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.entries.iter().map(|(name, tree)| (&**name, tree))
    }
}

impl Tree {
    /// Adds one sound value.
    fn absorb(&mut self, raw: &str) {
        match raw.bytes().next() {
            Some(b'n') | None => {}
            Some(b't' | b'f') => self.boolean = true,
            Some(b'"') => self.text = true,
            Some(b'[') => {
                let item = self.list.get_or_insert_default();
                let mut values = Vec::new();
                // A value whose syntax was checked takes apart; if it did not, it would be said when it is read.
                if elements(raw, &mut values).is_ok() {
                    for value in values {
                        item.absorb(value.get());
                    }
                }
            }
            Some(b'{') => {
                let object = self.object.get_or_insert_default();
                let mut inner = Vec::new();
                if members(raw, &mut inner).is_ok() && object.entries.len() <= STRUCT_MEMBERS_MAX {
                    object.absorb(&inner);
                }
            }
            Some(_) => {
                let shape = NumberShape::of(raw);
                self.number = Some(self.number.map_or(shape, |known| known.merged(shape)));
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.boolean |= later.boolean;
        self.text |= later.text;
        self.number = match (self.number, later.number) {
            (Some(known), Some(new)) => Some(known.merged(new)),
            (known, new) => known.or(new),
        };
        if let Some(item) = later.list {
            self.list.get_or_insert_default().merge(*item);
        }
        if let Some(object) = later.object {
            self.object.get_or_insert_default().merge(*object);
        }
    }

    /// How values of this kind are built.
    pub(super) fn shape(&self) -> Shape {
        let kinds = [self.boolean, self.text, self.number.is_some(), self.list.is_some(), self.object.is_some()];
        if kinds.iter().filter(|seen| **seen).count() > 1 {
            return Shape::Json;
        }
        if let Some(number) = self.number {
            return number.shape();
        }
        if let Some(item) = &self.list {
            return Shape::List(Box::new(item.shape()));
        }
        if let Some(object) = &self.object {
            if object.entries.len() > STRUCT_MEMBERS_MAX {
                return Shape::Json;
            }
            return Shape::Struct(object.entries.iter().map(|(name, tree)| (name.clone(), tree.shape())).collect());
        }
        match (self.boolean, self.text) {
            (true, _) => Shape::Boolean,
            (_, true) => Shape::Text,
            (false, false) => Shape::Null,
        }
    }
}

impl NumberShape {
    fn of(raw: &str) -> Self {
        let is_int64 = raw.parse::<i64>().is_ok();
        let Some(Decimal { digits, exponent, .. }) = Decimal::of(raw) else {
            return Self { whole: u32::MAX, scale: 0, is_int64 };
        };
        let digits = u32::try_from(digits.trim_start_matches('0').len()).unwrap_or(u32::MAX);
        let magnitude = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
        match (digits, exponent) {
            (0, 0..) => Self { whole: 1, scale: 0, is_int64 },
            // Of zero the written places are kept only where they are few, since they carry no value.
            (0, _) => Self { whole: 1, scale: magnitude.min(1), is_int64 },
            (_, 0..) => Self { whole: digits.saturating_add(magnitude), scale: 0, is_int64 },
            _ => Self { whole: digits.saturating_sub(magnitude), scale: magnitude, is_int64 },
        }
    }

    fn of_flat(number: Number) -> Self {
        let Number { digits, whole, places, .. } = number;
        let is_int64 = places == 0;
        if digits == 0 {
            return Self { whole: 1, scale: places.min(1), is_int64 };
        }
        Self { whole, scale: places, is_int64 }
    }

    fn merged(self, other: Self) -> Self {
        Self {
            whole: self.whole.max(other.whole),
            scale: self.scale.max(other.scale),
            is_int64: self.is_int64 && other.is_int64,
        }
    }

    fn shape(self) -> Shape {
        if self.is_int64 {
            return Shape::Int64;
        }
        let precision = self.whole.saturating_add(self.scale).max(1);
        match (u8::try_from(precision), i8::try_from(self.scale)) {
            (Ok(precision @ ..=38), Ok(scale)) => Shape::Decimal128(precision, scale),
            (Ok(precision @ 39..=76), Ok(scale)) => Shape::Decimal256(precision, scale),
            _ => Shape::Number,
        }
    }
}

/// A number as it is written: digits without sign and point, times a power of ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// Below zero.
    pub(super) is_negative: bool,
    /// All digits.
    pub(super) digits: String,
    /// Of ten.
    pub(super) exponent: i64,
}

impl Decimal {
    /// Takes a JSON number apart; None where its exponent is beyond all use. Zero has the exponent of its places.
    pub(super) fn of(raw: &str) -> Option<Self> {
        let (is_negative, rest) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, power) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, "0"),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let is_zero = digits.bytes().all(|digit| digit == b'0');
        let power = if is_zero { 0 } else { power.parse::<i64>().ok()? };
        let exponent = power.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Some(Self { is_negative, digits, exponent })
    }

    /// The digits of this number times ten to `scale`, with sign; it has no places beyond, except for a zero.
    pub(super) fn scaled(&self, scale: i8) -> String {
        let digits = self.digits.trim_start_matches('0');
        if digits.is_empty() {
            return "0".to_owned();
        }
        let zeros = usize::try_from(i64::from(scale).saturating_add(self.exponent)).unwrap_or(0);
        let sign = if self.is_negative { "-" } else { "" };
        format!("{sign}{digits}{}", "0".repeat(zeros))
    }
}

impl Shape {
    /// The Arrow field of this shape.
    pub(super) fn field(&self, name: &str) -> Field {
        match self {
            Self::Number | Self::Int64 | Self::Decimal128(..) | Self::Decimal256(..) => {
                field(name, self.data_type(), Notation::Number)
            }
            Self::Json => field(name, DataType::Utf8, Notation::Json),
            Self::Member => field(name, DataType::Utf8, Notation::JsonMember),
            _ => Field::new(name, self.data_type(), true),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
            Self::Number | Self::Text | Self::Json | Self::Member => DataType::Utf8,
            Self::List(item) => DataType::List(Arc::new(item.field("item"))),
            Self::Struct(members) => {
                DataType::Struct(members.iter().map(|(name, shape)| shape.field(name)).collect::<Vec<_>>().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::flat::Flat;
    use super::super::record::object;
    use super::*;

    proptest! {
        #[test]
        fn a_flat_number_has_the_shape_of_its_text(raw in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,9})?") {
            let text = format!("{{\"a\":{raw}}}");
            let mut known = Vec::new();
            object(text.as_bytes(), &mut known).unwrap();
            let mut flat = Flat::new();
            flat.learn(&known);
            let members = flat.members(&text).expect("a short number is flat");
            let Value::Number(number) = members[0].value else { panic!("{raw} is a number") };
            prop_assert_eq!(NumberShape::of_flat(number), NumberShape::of(&raw), "{}", raw);
        }
    }
}
