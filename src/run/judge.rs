//! Judges candidates partition by partition, or while they are told: differences become counts, divergences and actions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::channel;

use super::Halt;
use super::at_risk::{self, AtRisk};
use super::causes::{Differing, Names, explain};
use super::compare::Work;
use super::desk::{Desk, Relieved};
use super::examples::Examples;
use super::gather::Partitioned;
use super::lag::LagCounts;
use super::merge::Told;
use super::recheck::Second;
use super::tally::Tally;
use crate::audit::decision::Decided;
use crate::audit::{Books, Recorder};
use crate::causes::{Explained, Suspects};
use crate::classify::{Bench, Divergence, Scale, judge, judge_by_rules, kind_of};
use crate::contract::{Kind, Severity};
use crate::diff::resolve::{Again, Difference, Resolved, Rows};
use crate::digest::Encoded;
use crate::normalise::Binding;
use crate::plan::Action;
use crate::sides::{Side, Sides};

impl Work<'_> {
    /// Judges the partitions in parallel, a few ahead of the one that is recorded, so that what is judged never piles up.
    pub(super) fn resolve(
        &self,
        differing: Differing<'_, '_>,
        by_file: &Sides<Vec<u64>>,
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        self.batch.begin_notes(&self.inputs.binding)?;
        let mut scale = Scale::new(self.batch.contract, &self.inputs.binding).with_pace(self.pace(tally)?);
        if let Some(second) = differing.second {
            let projection = &self.batch.contract.sources.projection;
            scale = scale.with_pace_again(|first| second.pace(projection, first));
        }
        let settings = self.batch.settings;
        let desk = Desk::new(&settings.decisions, tally.privacy(), settings.started_at, recorder.keeps());
        let kept = differing.kept;
        let bytes_of = |partition| kept.iter().map(|(_, side)| side.bytes(partition)).sum::<u64>();
        let bytes: Vec<u64> = (0..kept.authority.partitions()).map(bytes_of).collect();
        let progress = self.batch.progress;
        progress.begin(&self.batch.contract.name, "looking for causes", bytes.iter().sum());
        let foretold = match differing.told {
            Some(told) => told.foretold().filter(|_| self.foretells(&scale, differing, recorder)),
            None if self.foretells(&scale, differing, recorder) => {
                self.foretold(kept, &scale, tally.agree(), tally.examples())?
            }
            None => None,
        };
        let common = (tally.agree(), tally.complete());
        let suspects = self.suspects(differing, foretold.as_ref(), &scale, common, by_file)?;
        let mut explained = suspects.counts();
        let files = tally.file_names();
        if let Some(judged) = foretold.and_then(|foretold| foretold.come_true(&suspects)) {
            progress.end();
            for mut judged in judged {
                explained.add(std::mem::take(&mut judged.explained));
                tally.record(judged, recorder).map_err(Halt::Record)?;
            }
            tally.causes(suspects.tell(&explained, self.batch.contract, &self.inputs.binding, &files));
            return Ok(());
        }
        let policy = Policy {
            scale: &scale,
            complete: tally.complete(),
            keeps: recorder.keeps(),
            desk: &desk,
            suspects: &suspects,
            second: differing.second,
        };
        progress.begin(&self.batch.contract.name, "judging", bytes.iter().sum());
        self.judge_all(kept, &bytes, policy, &mut explained, (&mut *tally, &mut *recorder))?;
        progress.end();
        if let Some(told) = differing.told {
            self.judge_told(told, policy, &mut explained, (tally, recorder))?;
        }
        tally.causes(suspects.tell(&explained, self.batch.contract, &self.inputs.binding, &files));
        Ok(())
    }

    /// Judges the partitions, a few ahead of the one that is recorded, but no more than there is room for: to judge them takes
    /// several times their bytes.
    fn judge_all(
        &self,
        gathered: &Sides<Partitioned<'_>>,
        bytes: &[u64],
        policy: Policy<'_>,
        explained: &mut Explained,
        (tally, recorder): (&mut Tally<'_>, &mut dyn Recorder),
    ) -> Result<(), Halt> {
        let room = self.budget.limit() / 4;
        let mut partitions = (0..bytes.len()).filter(|&partition| bytes[partition] > 0).peekable();
        self.batch.threads.in_place_scope(|scope| {
            let mut begun = VecDeque::new();
            let mut begin = |begun: &mut VecDeque<_>, tally: &Tally<'_>, mut taken: u64| {
                taken += begun.iter().map(|(partition, _)| bytes[*partition]).sum::<u64>();
                while begun.len() <= self.batch.settings.threads
                    && let Some(partition) = partitions.next_if(|next| taken == 0 || taken + bytes[*next] <= room)
                {
                    taken += bytes[partition];
                    let (examples, (sender, receiver)) = (tally.examples(), channel());
                    scope.spawn(move |_| {
                        // Whoever waits for it may have given up.
                        _ = sender.send(self.judge(gathered, partition, policy, examples));
                    });
                    begun.push_back((partition, receiver));
                }
            };
            begin(&mut begun, tally, 0);
            while let Some((partition, first)) = begun.pop_front() {
                self.reader(Side::Authority).go_on()?;
                // Where nothing was sent it has panicked, which goes on at the end of the scope.
                let Ok(judged) = first.recv() else { break };
                begin(&mut begun, tally, bytes[partition]);
                let mut judged = judged?;
                explained.add(std::mem::take(&mut judged.explained));
                tally.record(judged, recorder).map_err(Halt::Record)?;
                self.batch.progress.advance(0, bytes[partition]);
                begin(&mut begun, tally, 0);
            }
            Ok(())
        })
    }

    /// Judges what is told while the sources are merged once more. Nothing of it is kept, so it is recorded in any order.
    fn judge_told(
        &self,
        told: &Told<'_>,
        policy: Policy<'_>,
        explained: &mut Explained,
        (tally, recorder): (&mut Tally<'_>, &mut dyn Recorder),
    ) -> Result<(), Halt> {
        let examples = tally.examples();
        let new = || Judged::new(&self.inputs.binding, examples.below(), policy.suspects);
        let of_spans =
            self.tell_again(told, new, |judged, rows, resolved| self.judge_rows(rows, resolved, policy, judged))?;
        for mut judged in of_spans {
            explained.add(std::mem::take(&mut judged.explained));
            tally.record(judged, recorder).map_err(Halt::Record)?;
        }
        Ok(())
    }

    fn judge(
        &self,
        gathered: &Sides<Partitioned<'_>>,
        partition: usize,
        policy: Policy<'_>,
        examples: Examples,
    ) -> Result<Judged, Halt> {
        let taken = gathered.as_ref().try_map(|side, rows| rows.rows(self.reader(side), partition))?;
        let (rows, resolved) = self.resolved(policy.second, partition, taken)?;
        let mut judged = Judged::new(&self.inputs.binding, examples, policy.suspects);
        self.judge_rows(&rows, &resolved, policy, &mut judged)?;
        Ok(judged)
    }

    /// Adds to `judged` what some rows come to.
    fn judge_rows(
        &self,
        rows: &Sides<Rows>,
        resolved: &Resolved,
        policy: Policy<'_>,
        judged: &mut Judged,
    ) -> Result<(), Halt> {
        let binding = &self.inputs.binding;
        let bench = Bench { contract: self.batch.contract, binding, rows, scale: policy.scale };
        self.batch.note(bench, &resolved.differences)?;
        if policy.by_difference() && !policy.keeps && !self.batch.settings.draft_plan {
            judged.count(bench, resolved, policy.suspects);
            return Ok(());
        }
        if policy.by_difference() {
            judged.count_differences(bench, resolved);
        }
        let (explained, causes) = explain(policy.suspects, bench, &resolved.differences);
        self.judge_lines(bench, resolved, policy, causes, judged)?;
        judged.add(resolved, explained);
        Ok(())
    }

    /// Adds to `judged` what each line comes to, by rules and decisions.
    fn judge_lines(
        &self,
        bench: Bench<'_>,
        resolved: &Resolved,
        policy: Policy<'_>,
        mut causes: Names,
        judged: &mut Judged,
    ) -> Result<(), Halt> {
        let Judged { counts, at_risk, examples, lag, findings, .. } = judged;
        let by_difference = policy.by_difference();
        let worth = at_risk::attribute(bench.contract, bench.binding);
        let draft_plan = self.batch.settings.draft_plan;
        let mut encoded = Encoded::default();
        let mut booked = resolved.first.iter();
        let ended = judge_by_rules(bench, &resolved.differences, |difference, mut divergences| {
            causes.name(&mut divergences);
            let ruled = policy.desk.rule(bench, difference, &mut divergences, &mut encoded);
            if !by_difference {
                counts.judged(booked.next().unwrap_or(difference), difference, &divergences);
                // What is in flight drifts no contract anyway, so that no decision can relieve it further.
                let in_flight = divergences.first().is_some_and(|first| first.kind == Kind::InFlight);
                let mut nothing = Relieved::default();
                let relieved = if in_flight { &mut nothing } else { &mut counts.relieved };
                ruled.count(&divergences, &mut counts.decided, relieved);
                if bench.again(difference) != Some(Again::Settled) {
                    lag.note(bench, difference, &divergences);
                }
            }
            if let (Some(worth), Some(first)) = (worth, divergences.first()) {
                at_risk.add(bench, worth, difference, first.kind);
            }
            let open = divergences.iter().enumerate().filter(|(index, _)| !ruled.away(*index));
            open.for_each(|(_, divergence)| examples.offer(divergence));
            let drafted = || ruled.draft(bench, difference, &divergences, policy.complete);
            let actions = if draft_plan { drafted() } else { Vec::new() };
            if policy.keeps || draft_plan {
                findings.push((if policy.keeps { divergences } else { Vec::new() }, actions));
            }
        });
        ended.map_err(Halt::Contract)
    }
}

/// What all rows are judged by.
#[derive(Clone, Copy)]
struct Policy<'a> {
    scale: &'a Scale,
    complete: Sides<bool>,
    /// Whether the recorder is to be told each divergence.
    keeps: bool,
    desk: &'a Desk,
    suspects: &'a Suspects,
    /// What a second look made of it.
    second: Option<&'a Second<'a>>,
}

impl Policy<'_> {
    /// Whether what differs tells its severity without being told line by line.
    fn by_difference(&self) -> bool {
        self.scale.by_difference() && self.desk.is_empty()
    }
}

/// Makes only those divergences that are taken as examples.
fn exemplify(bench: Bench<'_>, differences: &[Difference], examples: &mut Examples) {
    let mut key = String::new();
    for difference in differences {
        let kind = kind_of(difference);
        let leading = bench.leading_number(difference);
        let could = |severity| match leading {
            Some((member, number)) => examples.could_take_from(kind, severity, member, number),
            None => examples.could_take(kind, severity),
        };
        if !bench.scale.severities(difference).any(could) {
            continue;
        }
        bench.write_key_of(difference, &mut key);
        let mut lines = bench.scale.severities(difference).zip(bench.scale.attributes(difference));
        if lines.any(|(severity, attribute)| examples.would_take(kind, severity, Some(&key), attribute)) {
            judge(bench, difference).iter().for_each(|divergence| examples.offer(divergence));
        }
    }
}

/// What one partition gave, or one span of sources that are merged once more: judged but not yet recorded.
pub(super) struct Judged {
    pub(super) agree: u64,
    pub(super) out_of_scope: Sides<u64>,
    pub(super) counts: Counts,
    pub(super) at_risk: AtRisk,
    pub(super) examples: Examples,
    pub(super) lag: LagCounts,
    /// What is to be told, in order: all, where the recorder keeps it, or only what has actions.
    pub(super) findings: Vec<(Vec<Divergence>, Vec<Action>)>,
    /// What the named causes explain.
    pub(super) explained: Explained,
}

impl Judged {
    /// Nothing yet.
    pub(super) fn new(binding: &Binding, examples: Examples, suspects: &Suspects) -> Self {
        Self {
            agree: 0,
            out_of_scope: Sides::default(),
            counts: Counts::new(binding.attributes.len()),
            at_risk: AtRisk::default(),
            examples,
            lag: LagCounts::default(),
            findings: Vec::new(),
            explained: suspects.counts(),
        }
    }

    /// Adds rows of which nothing is wanted but counts and examples, and whose differences tell their severity.
    pub(super) fn count(&mut self, bench: Bench<'_>, resolved: &Resolved, suspects: &Suspects) {
        self.count_differences(bench, resolved);
        let (explained, _) = explain(suspects, bench, &resolved.differences);
        if self.examples.wanted() {
            exemplify(bench, &resolved.differences, &mut self.examples);
        }
        self.add(resolved, explained);
    }

    fn count_differences(&mut self, bench: Bench<'_>, resolved: &Resolved) {
        for difference in &resolved.differences {
            self.counts.difference(difference, bench.scale.severities(difference));
        }
    }

    /// Adds what no difference tells.
    fn add(&mut self, resolved: &Resolved, explained: Explained) {
        for (side, tombstones) in resolved.tombstones.iter() {
            self.counts.books.get_mut(side).tombstone += tombstones;
        }
        self.explained.add(explained);
        self.agree += resolved.agree;
        for (side, rows) in resolved.out_of_scope.iter() {
            *self.out_of_scope.get_mut(side) += rows;
        }
    }
}

/// Counts of what differs, which add up in any order.
pub(super) struct Counts {
    pub(super) books: Sides<Books>,
    pub(super) keys: BTreeMap<Kind, u64>,
    pub(super) severities: BTreeMap<Severity, u64>,
    pub(super) keys_by_severity: BTreeMap<Severity, u64>,
    /// Of those the ones that are in flight, which never drift a contract.
    pub(super) excused: BTreeMap<Severity, u64>,
    /// By the attribute's place in the binding.
    pub(super) attributes: Vec<u64>,
    pub(super) decided: Decided,
    pub(super) relieved: Relieved,
}

impl Counts {
    /// Nothing yet, of so many attributes.
    pub(super) fn new(attributes: usize) -> Self {
        Self {
            books: Sides::default(),
            keys: BTreeMap::new(),
            severities: BTreeMap::new(),
            keys_by_severity: BTreeMap::new(),
            excused: BTreeMap::new(),
            attributes: vec![0; attributes],
            decided: Decided::default(),
            relieved: Relieved::default(),
        }
    }

    /// Counts a difference and its lines.
    pub(super) fn difference(&mut self, difference: &Difference, severities: impl Iterator<Item = Severity>) {
        self.book(difference);
        self.mismatches(difference);
        self.count(kind_of(difference), severities);
    }

    /// Counts a difference by what it was judged; its rows lie in the books as what they were first.
    fn judged(&mut self, first: &Difference, difference: &Difference, divergences: &[Divergence]) {
        self.book(first);
        self.mismatches(difference);
        if let Some(first) = divergences.first() {
            self.count(first.kind, divergences.iter().map(|divergence| divergence.severity));
        }
    }

    fn book(&mut self, difference: &Difference) {
        match difference {
            Difference::Unpaired { side, .. } => self.books.get_mut(*side).unpaired += 1,
            Difference::NullKey { side, .. } => self.books.get_mut(*side).null_key += 1,
            Difference::DuplicateKey { counts, .. } => {
                for (side, count) in counts.iter() {
                    self.books.get_mut(side).duplicate += count;
                }
            }
            Difference::Tombstone { .. } | Difference::Differ { .. } => {
                for side in Side::BOTH {
                    self.books.get_mut(side).differ += 1;
                }
            }
        }
    }

    fn mismatches(&mut self, difference: &Difference) {
        if let Difference::Differ { attributes, .. } = difference {
            attributes.iter().for_each(|&attribute| self.attributes[attribute] += 1);
        }
    }

    /// Counts one key and its lines.
    pub(super) fn count(&mut self, kind: Kind, severities: impl Iterator<Item = Severity>) {
        *self.keys.entry(kind).or_default() += 1;
        let mut worst = None;
        for severity in severities {
            *self.severities.entry(severity).or_default() += 1;
            worst = worst.max(Some(severity));
        }
        if let Some(worst) = worst {
            *self.keys_by_severity.entry(worst).or_default() += 1;
            *self.excused.entry(worst).or_default() += u64::from(kind == Kind::InFlight);
        }
    }
}
