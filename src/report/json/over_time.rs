//! How a contract stands to the run before, in `summary.json`: docs/formats.md describes it.

use serde::Serialize;

use crate::audit::{Recurrence, Sighting};

#[derive(Serialize)]
pub(super) struct RecurrenceSummary<'a> {
    since: &'a str,
    new: u64,
    recurring: u64,
    resolved: u64,
    unseen: u64,
    oldest: Option<SightingSummary<'a>>,
}

#[derive(Serialize)]
struct SightingSummary<'a> {
    first_run: &'a str,
    first_seen: String,
    runs: u64,
}

impl<'a> RecurrenceSummary<'a> {
    pub(super) fn of(recurrence: &'a Recurrence) -> Self {
        let Recurrence { since, new, recurring, resolved, unseen, oldest, .. } = recurrence;
        let sighting = |sighting: &'a Sighting| SightingSummary {
            first_run: &sighting.first_run,
            first_seen: sighting.first_seen.to_string(),
            runs: sighting.runs,
        };
        Self {
            since,
            new: *new,
            recurring: *recurring,
            resolved: *resolved,
            unseen: *unseen,
            oldest: oldest.as_ref().map(sighting),
        }
    }
}
