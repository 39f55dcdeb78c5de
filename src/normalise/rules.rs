//! What one side of an attribute needs to know to become canonical: its field, its zone, its text options and spellings.
//! Prepared once when the contract meets the schemas; reading rows changes nothing in it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use jiff::tz::TimeZone;

use crate::contract::{LogicalType, Options};

use super::Comparison;
use super::text::{Spelling, TextRules};

/// How one side's values of an attribute are read.
#[derive(Clone, Debug)]
pub struct SideRules {
    /// The column, or the struct's member, that holds the values.
    pub(super) field: Field,
    /// What the column would become if it met only itself: how its values are written as text.
    pub(super) own: Option<Comparison>,
    /// Of local times.
    pub(super) zone: Option<TimeZone>,
    /// The options that act on text.
    pub(super) text: TextRules,
    /// How texts stand for other values.
    pub(super) spelling: Spelling,
    /// The contract's `type`, whose range is checked.
    pub(super) logical: Option<LogicalType>,
    /// Decimal places.
    pub(super) round: Option<u32>,
    /// Where values that are not text are translated: how the translated texts are read.
    pub(super) translated: Option<Arc<SideRules>>,
}

impl SideRules {
    /// Rules that take a field as it stands.
    pub(super) fn plain(field: &Field) -> Self {
        Self {
            field: field.clone(),
            own: None,
            zone: None,
            text: TextRules::default(),
            spelling: Spelling::default(),
            logical: None,
            round: None,
            translated: None,
        }
    }

    /// The contract's options for a field. `translates` where this side's values are translated.
    pub(super) fn new(field: &Field, options: &Options, csv: &crate::contract::CsvOptions, translates: bool) -> Self {
        let text = TextRules::new(options, translates);
        let spelling = Spelling::new(csv, &text);
        Self { text, spelling, logical: options.logical_type, round: options.round, ..Self::plain(field) }
    }

    /// The same rules without the options that change what a value looks like.
    pub(super) fn as_it_stands(&self) -> Self {
        Self { text: TextRules::default(), round: None, translated: None, ..self.clone() }
    }

    /// The rules for values inside a list, struct or map: text options and zones hold there, type and round do not.
    pub(super) fn inside(&self, field: &Field) -> Self {
        Self { field: field.clone(), own: None, logical: None, round: None, translated: None, ..self.clone() }
    }

    /// The rules for texts that stand for this side's translated values.
    pub(super) fn after_translation(&self) -> Self {
        Self {
            field: Field::new(self.field.name(), DataType::Utf8, true),
            text: self.text.only_translate(),
            spelling: Spelling::default(),
            translated: None,
            ..self.clone()
        }
    }
}
