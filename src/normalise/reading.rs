//! Canonical values one by one, for those who look for a pattern in what differs: numbers as exact decimals, times in
//! nanoseconds, texts as they compare. It only reads; what cannot be held exactly in 38 digits is not read as a number.

use std::borrow::Cow;

use crate::contract::{ExactDecimal, Options, Trim, UnicodeForm};
use crate::sides::Side;

use super::cell::{Cell, Cells, number};
use super::number::Number;
use super::time::DAY;
use super::{BoundAttribute, CanonicalColumn, Comparison, Fault, FaultReason, text};

/// A canonical value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    /// NULL.
    Null,
    /// A value without canonical form, as it stands.
    Fault(&'a str),
    /// No value at all: its owner has none, or none could be derived.
    Nothing,
    /// A number, its coefficient not divisible by ten.
    Number(ExactDecimal),
    /// A date, time, timestamp or instant, in nanoseconds.
    Time(i128),
    /// A text.
    Text(&'a str),
    /// A boolean.
    Boolean(bool),
    /// Everything else, as bytes that are equal where the values are.
    Bytes(&'a [u8]),
    /// A number that is not read.
    Other,
}

/// A canonical column whose layout was looked at once.
pub struct Readings<'a> {
    comparison: &'a Comparison,
    cells: Cells<'a>,
    faults: &'a [Fault],
}

impl<'a> Readings<'a> {
    /// Looks at the layout.
    #[must_use]
    pub fn new(comparison: &'a Comparison, column: &'a CanonicalColumn) -> Self {
        Self { comparison, cells: Cells::new(column.values.as_ref()), faults: &column.faults }
    }

    /// The value of a row.
    #[must_use]
    pub fn at(&self, row: usize) -> Reading<'a> {
        match (self.comparison, self.cells.get(row)) {
            (_, Cell::Null) => self.fault(row).unwrap_or(Reading::Null),
            (_, Cell::Boolean(value)) => Reading::Boolean(value),
            (Comparison::Text, Cell::Bytes(bytes)) => std::str::from_utf8(bytes).map_or(Reading::Other, Reading::Text),
            (Comparison::Date, Cell::Day(days)) => Reading::Time(i128::from(days) * DAY),
            (Comparison::Time, Cell::Int(value)) => Reading::Time(i128::from(value)),
            (Comparison::Timestamp | Comparison::Instant, Cell::Wide(value)) => Reading::Time(value),
            (Comparison::Decimal { .. } | Comparison::Integer | Comparison::Float | Comparison::Number, cell) => {
                number(self.comparison, cell).and_then(|number| number.exact()).map_or(Reading::Other, Reading::Number)
            }
            (_, Cell::Bytes(bytes)) => Reading::Bytes(bytes),
            _ => Reading::Other,
        }
    }

    fn fault(&self, row: usize) -> Option<Reading<'a>> {
        if self.faults.is_empty() {
            return None;
        }
        let found = self.faults.binary_search_by(|fault| (fault.row as usize).cmp(&row)).ok()?;
        let fault = &self.faults[found];
        Some(match fault.reason {
            FaultReason::Unparseable | FaultReason::OutOfType | FaultReason::AmbiguousTime => {
                Reading::Fault(&fault.shown)
            }
            _ => Reading::Nothing,
        })
    }
}

/// Whether a side's values of an attribute are times without a zone: by their type, or as texts that may say none.
#[must_use]
pub fn is_local(attribute: &BoundAttribute, side: Side) -> bool {
    let times = matches!(attribute.comparison, Comparison::Timestamp | Comparison::Instant);
    times && matches!(attribute.rules.get(side).own, Some(Comparison::Timestamp | Comparison::Text))
}

/// The number that a text spells, in at most 38 digits.
#[must_use]
pub fn spelled_number(text: &str) -> Option<ExactDecimal> {
    let first = text.bytes().find(|byte| !matches!(byte, b'-' | b'+' | b'.'))?;
    if !first.is_ascii_digit() || text.len() > 64 {
        return None;
    }
    Number::parse(text, '.')?.exact()
}

/// A text under `case = "ignore"`.
#[must_use]
pub fn without_case(text: &str) -> Cow<'_, str> {
    text::fold_case(Cow::Borrowed(text))
}

/// A text under `spaces = "collapse"`.
#[must_use]
pub fn collapsed(text: &str) -> String {
    text::collapse(text)
}

/// A text under `trim`.
#[must_use]
pub fn without_ends(text: &str, trim: Trim) -> &str {
    text::trimmed(text, trim)
}

/// A text under `unicode`.
#[must_use]
pub fn in_form(text: &str, form: UnicodeForm) -> Cow<'_, str> {
    text::normal_form(text, form)
}

/// A text under all options that make unlike texts equal, in their order.
#[must_use]
pub fn as_compared(text: &str, options: &Options) -> String {
    text::TextRules::new(options, false).fold(text).into_owned()
}
