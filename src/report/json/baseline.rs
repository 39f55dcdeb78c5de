//! The old copy and how the projection stands to it, on the wire.

use serde::{Deserialize, Serialize};

use super::{BooksRecord, captured_at};
use crate::audit::{Baseline, Status, ThreeWay, ThreeWayExample};
use crate::contract::Kind;

/// The old copy in `summary.json`. The counts are null where it was not compared to the end.
#[derive(Debug, Serialize)]
pub(super) struct BaselineSummary<'a> {
    source: &'a str,
    captured_at: Option<String>,
    rows: u64,
    regressions: Option<u64>,
    inherited: Option<u64>,
    changed: Option<u64>,
    healed: Option<u64>,
    in_flight: Option<u64>,
    untold: Option<u64>,
    unseen: &'a [String],
    examples: Vec<ThreeWayExampleRecord>,
    books: BooksRecord,
}

impl<'a> BaselineSummary<'a> {
    pub(super) fn of(baseline: &'a Baseline) -> Self {
        let found = baseline.parity.as_ref();
        let examples = found.map_or(&[][..], |found| &found.examples);
        Self {
            source: &baseline.input.source,
            captured_at: captured_at(&baseline.input),
            rows: baseline.books.read,
            regressions: found.map(|found| found.regressions),
            inherited: found.map(|found| found.inherited),
            changed: found.map(|found| found.changed),
            healed: found.map(|found| found.healed),
            in_flight: found.map(|found| found.in_flight),
            untold: found.map(|found| found.untold),
            unseen: found.map_or(&[], |found| &found.unseen),
            examples: examples.iter().map(ThreeWayExampleRecord::of).collect(),
            books: BooksRecord::of(&baseline.books),
        }
    }
}

/// The two copies side by side, in the manifest.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ThreeWayRecord {
    regressions: u64,
    inherited: u64,
    changed: u64,
    healed: u64,
    in_flight: u64,
    untold: u64,
    unseen: Vec<String>,
    examples: Vec<ThreeWayExampleRecord>,
}

impl ThreeWayRecord {
    pub(crate) fn of(found: &ThreeWay) -> Self {
        Self {
            regressions: found.regressions,
            inherited: found.inherited,
            changed: found.changed,
            healed: found.healed,
            in_flight: found.in_flight,
            untold: found.untold,
            unseen: found.unseen.clone(),
            examples: found.examples.iter().map(ThreeWayExampleRecord::of).collect(),
        }
    }

    pub(crate) fn into_facts(self, kind: fn(&str) -> Result<Kind, String>) -> Result<ThreeWay, String> {
        Ok(ThreeWay {
            regressions: self.regressions,
            inherited: self.inherited,
            changed: self.changed,
            healed: self.healed,
            in_flight: self.in_flight,
            untold: self.untold,
            unseen: self.unseen,
            examples: self.examples.into_iter().map(|one| one.into_facts(kind)).collect::<Result<_, _>>()?,
        })
    }
}

/// One of them. A kind is null where that copy is right, and so is its value.
#[derive(Debug, Deserialize, Serialize)]
struct ThreeWayExampleRecord {
    status: String,
    key: Option<Box<str>>,
    attribute: Option<Box<str>>,
    projection_kind: Option<String>,
    baseline_kind: Option<String>,
    authority_value: Option<Box<str>>,
    projection_value: Option<Box<str>>,
    baseline_value: Option<Box<str>>,
}

impl ThreeWayExampleRecord {
    fn of(example: &ThreeWayExample) -> Self {
        let name = |kind: Option<Kind>| kind.map(|kind| kind.name().to_owned());
        Self {
            status: example.status.name().to_owned(),
            key: example.key.clone(),
            attribute: example.attribute.clone(),
            projection_kind: name(example.projection_kind),
            baseline_kind: name(example.baseline_kind),
            authority_value: example.authority_value.clone(),
            projection_value: example.projection_value.clone(),
            baseline_value: example.baseline_value.clone(),
        }
    }

    fn into_facts(self, kind: fn(&str) -> Result<Kind, String>) -> Result<ThreeWayExample, String> {
        let status = Status::ALL.into_iter().find(|status| status.name() == self.status);
        Ok(ThreeWayExample {
            status: status.ok_or_else(|| format!("`{}` is not a status of a divergence", self.status))?,
            key: self.key,
            attribute: self.attribute,
            projection_kind: self.projection_kind.as_deref().map(kind).transpose()?,
            baseline_kind: self.baseline_kind.as_deref().map(kind).transpose()?,
            authority_value: self.authority_value,
            projection_value: self.projection_value,
            baseline_value: self.baseline_value,
        })
    }
}
