//! Three-way parity: the old copy (`baseline`) is held against the same authority as the projection, and what is found of both
//! is held side by side. The contract's books, verdict and divergences stay those of authority and projection; of the old copy
//! only what kept it from being compared concerns the verdict.
//!
//! The authority is opened once for both, in one state, and read once: while its rows are read for the projection they leave
//! their records for the old copy too (`pairing`). Every file is looked at again after the last row.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::examples::shortened;
use super::input::{Inputs, freshness, open_beside, read_alike};
use super::pairing::Pairing;
use super::recall::Recall;
use super::tally::{Taken, Tally};
use super::{Batch, Halt, Settings, Tuning};
use crate::audit::decision::Decisions;
use crate::audit::{self, Recorder, Status, ThreeWay, ThreeWayExample, Verdict};
use crate::classify::{Bench, Divergence};
use crate::contract::Contract;
use crate::diff::resolve::Difference;
use crate::normalise::{Binding, Comparison};
use crate::plan::Action;
use crate::spill::SpillFile;

mod lines;
mod note;
mod weigh;

use lines::Lines;
pub(super) use note::Notes;

/// A contract's old copy, opened and bound.
pub(super) struct Baseline {
    /// The agreement with the old copy in the projection's place.
    contract: Contract,
    inputs: Inputs,
    projection: Notes,
    old: Notes,
    /// Attributes of the projection that are not compared with the old copy.
    unseen: Vec<String>,
    /// Whether every attribute is compared in both alike, so that the authority's rows have the same digests.
    alike: bool,
}

/// The old copy of a contract that has one; the problem is for people.
pub(super) type Opened = Option<Result<Box<Baseline>, String>>;

/// Opens the old copy. The authority's owners are those of the comparison with the projection.
pub(super) fn open_baseline(batch: &Batch<'_>, inputs: &mut Inputs, tally: &mut Tally<'_>) -> Opened {
    let (contract, settings) = (batch.contract, batch.settings);
    contract.baseline.as_ref()?;
    if contract.row_filter.is_some() {
        tally.warn("`--where` chooses among the rows of two sides, so the baseline is not compared".to_owned());
        return None;
    }
    let opened = bound(contract, inputs, (&settings.tuning, settings.started_at), &settings.spill_folder);
    Some(opened.map(|mut old| {
        read_alike(inputs, &mut old.inputs);
        Box::new(old)
    }))
}

/// What `check --sources` does for the old copy: opens and binds it, and tells its warnings.
pub(super) fn check(contract: &Contract, inputs: &Inputs) -> Result<Vec<String>, String> {
    let Some(baseline) = &contract.baseline else { return Ok(Vec::new()) };
    let named = |said: String| format!("baseline `{}`: {said}", baseline.source.name);
    // Owners that have moved by then are looked at with the projection.
    let opened = bound(contract, inputs, (&Tuning::default(), Timestamp::MAX), Path::new(""));
    let opened =
        opened.map_err(|problem| problem.lines().map(str::to_owned).map(named).collect::<Vec<_>>().join("\n"))?;
    let warnings = opened.inputs.sides.projection.opened.warnings.iter().cloned();
    let unseen = opened.unseen.iter().map(|name| format!("attribute `{name}` is not compared: it has no such column"));
    Ok(warnings.chain(unseen).map(named).collect())
}

fn bound(
    contract: &Contract,
    inputs: &Inputs,
    (tuning, now): (&Tuning, Timestamp),
    spill_folder: &Path,
) -> Result<Baseline, String> {
    let Some(old) = contract.at(inputs.instant.at).with_baseline() else {
        return Err("there is no baseline".to_owned());
    };
    let opened = open_beside(inputs, &old, tuning, now)
        .map_err(|halts| halts.iter().map(said).collect::<Vec<_>>().join("\n"))?;
    let (new, other) = (&inputs.binding, &opened.binding);
    same_keys(new, other)?;
    let named = |binding: &Binding, name: &str| binding.attributes.iter().any(|attribute| attribute.name == name);
    let unseen = new.attributes.iter().map(|attribute| attribute.name.clone()).filter(|name| !named(other, name));
    Ok(Baseline {
        unseen: unseen.collect(),
        alike: compared(new).eq(compared(other)),
        projection: Notes::new(new, other, spill_folder),
        old: Notes::new(other, new, spill_folder),
        contract: old,
        inputs: opened,
    })
}

fn compared(binding: &Binding) -> impl Iterator<Item = (&str, &Comparison)> {
    binding.attributes.iter().map(|attribute| (attribute.name.as_str(), &attribute.comparison))
}

/// Both copies must mean the same by a key, else no row of one could be told to be that of the other.
fn same_keys(new: &Binding, old: &Binding) -> Result<(), String> {
    let keys = new.attributes.iter().zip(&old.attributes).take(new.key_count);
    for (one, other) in keys {
        let (one_class, other_class) = (note::class(&one.comparison), note::class(&other.comparison));
        if one_class != other_class {
            return Err(format!(
                "key `{}` is compared as {} with the projection and as {} with the baseline\nhint: give the attribute a `type`",
                one.name,
                one_class.name(),
                other_class.name()
            ));
        }
    }
    Ok(())
}

fn said(halt: &Halt) -> String {
    let text = Tally::said(halt);
    text.strip_prefix("projection: ").map_or(text.clone(), str::to_owned)
}

/// Compares the projection and its old copy, if there is one, with one authority, and holds what is found of both side by side.
/// An authority of one source is read once for both; one that is composed of several is read for each, in the same state.
pub(super) fn compare_both(
    own: &Batch<'_>,
    (inputs, recall): (&Inputs, Option<&Recall>),
    opened: &Opened,
    tally: &mut Tally<'_>,
    recorder: &mut dyn Recorder,
) -> Result<(), Halt> {
    let mut first = *own;
    let old = match opened {
        None => return first.composed(inputs, recall, tally, recorder),
        Some(Ok(old)) => old,
        Some(Err(problem)) => {
            first.composed(inputs, recall, tally, recorder)?;
            tally.has_baseline(own.contract);
            return Err(named(own.contract, Halt::Contract(problem.clone())));
        }
    };
    let settings = Settings {
        cache: None,
        examples: 0,
        draft_plan: false,
        decisions: Arc::new(Decisions::default()),
        ..own.settings.clone()
    };
    let contract = old.inputs.contract.as_ref().unwrap_or(&old.contract);
    let mut second = Batch { contract, settings: &settings, notes: Some(&old.old), ..*own };
    first.notes = Some(&old.projection);
    let is_composed = inputs.owners.is_some() || old.inputs.owners.is_some();
    let found = if is_composed {
        first.composed(inputs, recall, tally, recorder)?;
        tally.has_baseline(own.contract);
        second.budget = first.budget;
        old.compare(&second, None, own.settings.examples, tally)
    } else {
        // Every thread works for both at once.
        let working = Settings::THREAD * own.threads.current_num_threads() as u64;
        let both = own.budget.saturating_sub(working / 2).max(own.budget / 4);
        second.budget = both / 2;
        let (budget, spill) = (second.spill_budget(), SpillFile::new(&settings.spill_folder));
        let pairing = Pairing::new(&second, &old.inputs, None, (&budget, &spill), true);
        let mut first = Batch { beside: Some(&pairing), budget: both / 2, ..first };
        first.composed(inputs, recall, tally, recorder)?;
        tally.has_baseline(own.contract);
        old.compare(&second, Some(pairing), own.settings.examples, tally)
    };
    found.map_err(|halt| named(own.contract, halt))
}

/// What kept the old copy from being compared, with its name.
fn named(contract: &Contract, halt: Halt) -> Halt {
    match halt {
        Halt::Interrupted(_) | Halt::Record(_) | Halt::Baseline(..) => halt,
        other => {
            let name = contract.baseline.as_ref().map_or("", |baseline| &baseline.source.name);
            Halt::Baseline(name.to_owned(), said(&other))
        }
    }
}

impl Baseline {
    /// Bytes that reading one part takes.
    pub(super) fn memory(&self) -> u64 {
        self.inputs.memory()
    }

    /// Compares the old copy; `pairing` is what the authority left when it was read for the projection.
    fn compare(
        &self,
        batch: &Batch<'_>,
        pairing: Option<Pairing<'_>>,
        most: usize,
        tally: &mut Tally<'_>,
    ) -> Result<(), Halt> {
        let complete = tally.complete();
        if !(complete.authority && complete.projection) {
            // What could not be read says enough, and would be told of both copies.
            return Ok(());
        }
        let mut second = Tally::new(batch.contract, batch.settings);
        second.opened(&self.inputs, Taken { recall: None, first: Some(tally) }, batch.progress);
        if let Some(pairing) = pairing.filter(Pairing::is_sound) {
            second.schema(&mut Nobody)?;
            pairing.compare(&mut second, &mut Nobody)?;
            freshness(batch, &self.inputs, &mut second)?;
        } else {
            Batch { ..*batch }.composed(&self.inputs, None, &mut second, &mut Nobody)?;
        }
        tally.same_authority(&second, self.alike).map_err(Halt::Contract)?;
        let privacy = second.privacy();
        let audit = second.finished();
        tally.baseline_read(&audit);
        if audit.verdict == Verdict::Unverified {
            return Err(Halt::Contract(audit.error.unwrap_or(audit.because).replace("projection: ", "")));
        }
        let masked = |divergence: Divergence| {
            let once = tally.privacy().divergence(&divergence).into_owned();
            // What is personal in one of the comparisons only is so in both.
            let masked = if once == divergence { privacy.divergence(&divergence).into_owned() } else { once };
            shortened(&masked)
        };
        let parity = self.weighed(most.min(Settings::USUAL_EXAMPLES), masked).map_err(Halt::Spill)?;
        tally.three_way(parity);
        Ok(())
    }

    /// How many examples of each status are kept.
    const EXAMPLES: usize = 5;

    fn weighed(&self, most: usize, masked: impl Fn(Divergence) -> Divergence) -> io::Result<ThreeWay> {
        let (new, old) = (self.projection.lines(), self.old.lines());
        let mut parity = ThreeWay { unseen: self.unseen.clone(), ..ThreeWay::default() };
        let mut kept: BTreeMap<Status, Vec<_>> = BTreeMap::new();
        weigh::weigh(new.sorted()?, old.sorted()?, |status, one, other| {
            parity.count(status);
            let some = kept.entry(status).or_default();
            if some.len() < most.min(Self::EXAMPLES) {
                some.push((one, other));
            }
        })?;
        let text = |lines: &Lines, line: Option<lines::Line>| -> io::Result<Option<Divergence>> {
            line.map(|line| Ok(masked(note::read(&lines.text(&line)?)))).transpose()
        };
        for (status, some) in kept {
            for (one, other) in some {
                parity.examples.extend(example(status, text(new, one)?, text(old, other)?));
            }
        }
        Ok(parity)
    }
}

fn example(status: Status, new: Option<Divergence>, old: Option<Divergence>) -> Option<ThreeWayExample> {
    let (projection_kind, baseline_kind) = (new.as_ref().map(|one| one.kind), old.as_ref().map(|one| one.kind));
    let projection_value = new.as_ref().and_then(|one| one.values.projection.clone());
    let baseline_value = old.as_ref().and_then(|one| one.values.projection.clone());
    let first = new.or(old)?;
    Some(ThreeWayExample {
        status,
        key: first.key,
        attribute: first.attribute.as_deref().map(Box::from),
        projection_kind,
        baseline_kind,
        authority_value: first.values.authority,
        projection_value,
        baseline_value,
    })
}

/// Keeps nothing: the divergences of the old copy are counted side by side with others, and not written.
struct Nobody;

impl Recorder for Nobody {
    fn keeps(&self) -> bool {
        false
    }

    fn divergence(&mut self, _: &str, _: &Divergence) -> io::Result<()> {
        Ok(())
    }

    fn action(&mut self, _: &Action) -> io::Result<()> {
        Ok(())
    }
}

impl Batch<'_> {
    /// Begins to note what differs.
    pub(super) fn begin_notes(&self, binding: &Binding) -> Result<(), Halt> {
        self.notes.map_or(Ok(()), |notes| notes.begin(self.contract, binding)).map_err(Halt::Spill)
    }

    /// Notes what differs, where there is an old copy to be held against.
    pub(super) fn note(&self, bench: Bench<'_>, differences: &[Difference]) -> Result<(), Halt> {
        self.notes.map_or(Ok(()), |notes| notes.note(bench, differences)).map_err(Halt::Spill)
    }
}

/// What audit knows of it before it is compared.
pub(super) fn unread(contract: &Contract, context: Option<String>, location: String) -> Option<audit::Baseline> {
    let source = &contract.baseline.as_ref()?.source;
    let input = audit::InputFacts { source: source.name.clone(), context, location, ..audit::InputFacts::default() };
    Some(audit::Baseline { input, books: audit::Books::default(), parity: None })
}
