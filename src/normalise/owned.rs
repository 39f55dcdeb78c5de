//! The owner's value as it is written into a copy: exact, and before whatever makes unlike values alike (unicode, spaces,
//! trim, case, null_equals, round). `translate` holds, because it says what the copy writes instead. It compares nothing.

use arrow::array::RecordBatch;
use jiff::Timestamp;

use super::cell::{cell, text};
use super::{Binding, BoundAttribute, Comparison, columns_read, convert, leaf, reading, shown};
use crate::contract::Options;
use crate::sides::Side;

/// The owner's value of an attribute that the copy ought to hold, in place of the canonical text, where the two differ. None
/// where the canonical text is what is to be written.
#[must_use]
pub fn owned_value(binding: &Binding, attribute: usize, batch: &RecordBatch, row: usize) -> Option<String> {
    let attribute = &binding.attributes[attribute];
    if !loses(&attribute.options) {
        return None;
    }
    let read = columns_read(binding, Side::Authority);
    let rules = attribute.rules.get(Side::Authority);
    let array = leaf(attribute.columns.get(Side::Authority), &read, batch)?.slice(row, 1);
    let stands = shown(&array, rules, 0)?;
    if let Some(translated) = translated(&attribute.options, &stands) {
        return (attribute.comparison == Comparison::Text).then_some(translated);
    }
    let plain = convert(&array, &attribute.comparison, &rules.as_it_stands());
    if !plain.faults.is_empty() {
        return None;
    }
    text(&attribute.comparison, cell(&plain.values, 0))
}

/// The local time that a copy without zones holds for an instant; None where the copy has zones, or holds texts that may say
/// one, or where its zone has that local time twice.
#[must_use]
pub fn local_time(attribute: &BoundAttribute, instant: &str) -> Option<String> {
    let rules = attribute.rules.get(Side::Projection);
    if attribute.comparison != Comparison::Instant || rules.own != Some(Comparison::Timestamp) {
        return None;
    }
    let zone = rules.zone.clone()?;
    let at: Timestamp = instant.parse().ok()?;
    let local = at.to_zoned(zone.clone()).datetime();
    (!zone.to_ambiguous_zoned(local).is_ambiguous()).then(|| local.to_string())
}

fn loses(options: &Options) -> bool {
    options.unicode.is_some()
        || options.collapse_spaces
        || options.trim.is_some()
        || options.ignore_case
        || !options.null_equals.is_empty()
        || options.round.is_some()
}

/// What the map says of a text, whose keys are treated as the text is.
fn translated(options: &Options, stands: &str) -> Option<String> {
    let map = options.translate.as_ref()?;
    let treated = |text: &str| {
        let mut text =
            options.unicode.map_or_else(|| text.to_owned(), |form| reading::in_form(text, form).into_owned());
        if options.collapse_spaces {
            text = reading::collapsed(&text);
        }
        if let Some(trim) = options.trim {
            text = String::from(reading::without_ends(&text, trim));
        }
        if options.ignore_case { reading::without_case(&text).into_owned() } else { text }
    };
    let wanted = treated(stands);
    if options.null_equals.iter().any(|null| treated(null) == wanted) {
        return None;
    }
    map.iter().find(|(from, _)| treated(from) == wanted).map(|(_, to)| to.clone())
}
