//! How a contract stood to the run before, as `manifest.json` writes it. It never counts.

use serde::{Deserialize, Serialize};

use super::{digest, instant};
use crate::audit::{Recurrence, Sighting};
use crate::report::json::hex;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RecurrenceRecord {
    since: String,
    new: u64,
    recurring: u64,
    resolved: u64,
    #[serde(default)]
    unseen: u64,
    oldest: Option<SightingRecord>,
    /// Those of the examples that recur.
    examples: Vec<ExampleRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SightingRecord {
    first_run: String,
    first_seen: String,
    runs: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct ExampleRecord {
    fingerprint: String,
    #[serde(flatten)]
    sighting: SightingRecord,
}

impl RecurrenceRecord {
    pub(super) fn of(recurrence: &Recurrence) -> Self {
        let Recurrence { since, new, recurring, resolved, unseen, oldest, examples } = recurrence;
        let example = |(fingerprint, sighting)| ExampleRecord {
            fingerprint: hex(fingerprint),
            sighting: SightingRecord::of(sighting),
        };
        Self {
            since: since.clone(),
            new: *new,
            recurring: *recurring,
            resolved: *resolved,
            unseen: *unseen,
            oldest: oldest.as_ref().map(SightingRecord::of),
            examples: examples.iter().map(example).collect(),
        }
    }

    pub(super) fn into_facts(self) -> Result<Recurrence, String> {
        let example = |record: ExampleRecord| Ok((digest(&record.fingerprint)?, record.sighting.into_facts()?));
        Ok(Recurrence {
            since: self.since,
            new: self.new,
            recurring: self.recurring,
            resolved: self.resolved,
            unseen: self.unseen,
            oldest: self.oldest.map(SightingRecord::into_facts).transpose()?,
            examples: self.examples.into_iter().map(example).collect::<Result<_, String>>()?,
        })
    }
}

impl SightingRecord {
    fn of(sighting: &Sighting) -> Self {
        let Sighting { first_run, first_seen, runs } = sighting;
        Self { first_run: first_run.clone(), first_seen: first_seen.to_string(), runs: *runs }
    }

    fn into_facts(self) -> Result<Sighting, String> {
        Ok(Sighting { first_run: self.first_run, first_seen: instant(&self.first_seen)?, runs: self.runs })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;
    use crate::report::sample;

    #[test]
    fn it_comes_back_as_it_was_and_old_manifests_have_none() {
        let mut audit = sample::audit();
        let sighting = |runs| Sighting {
            first_run: "20260201T020000Z-0001".to_owned(),
            first_seen: sample::instant("2026-02-01T02:00:00.5Z"),
            runs,
        };
        let without = serde_json::to_string(&Manifest::of(&audit, vec![])).expect("JSON");
        assert!(!without.contains("recurrence"), "{without}");
        audit.contracts[1].recurrence = Some(Recurrence {
            since: "20260228T020000Z-0001".to_owned(),
            new: 1,
            recurring: 3,
            resolved: 2,
            unseen: 4,
            oldest: Some(sighting(9)),
            examples: [(sample::divergences()[2].fingerprint, sighting(2))].into(),
        });
        let text = serde_json::to_vec(&Manifest::of(&audit, vec![])).expect("JSON");
        let read = Manifest::parse(&text).and_then(Manifest::into_audit).expect("a manifest");
        assert_eq!(read.contracts[1].recurrence, audit.contracts[1].recurrence);
        assert_eq!(read.contracts[0].recurrence, None);
    }
}
