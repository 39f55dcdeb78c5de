//! Counts what was judged, tells the recorder of it, and masks whatever is personal on the way.

use std::collections::BTreeMap;
use std::io;

use super::super::Halt;
use super::super::examples::Examples;
use super::super::judge::{Counts, Judged};
use super::Tally;
use crate::audit::Recorder;
use crate::classify::{Divergence, judge_schema, judge_unreadable, rule};
use crate::contract::Kind;
use crate::plan::{Action, Safety};
use crate::sides::Side;

impl Tally<'_> {
    /// How many of the rows that could not be read a summary names.
    const UNREADABLE_SHOWN: usize = 3;

    /// Records the columns that are not compared.
    pub(in super::super) fn schema(&mut self, recorder: &mut dyn Recorder) -> Result<(), Halt> {
        let schema = std::mem::take(&mut self.schema);
        let judged = schema.iter().map(|difference| judge_schema(self.contract, difference)).collect();
        self.tell_all(judged, recorder)
    }

    /// Records the rows that could not be read.
    pub(in super::super) fn unreadable(&mut self, recorder: &mut dyn Recorder) -> Result<(), Halt> {
        let mut judged = Vec::new();
        for (side, range) in std::mem::take(&mut self.unreadable) {
            let secrets = &self.contract.secrets;
            let (place, problem) = (secrets.redact(&range.place), secrets.redact(&range.problem));
            let (place, problem) = (self.privacy.path(&place), self.privacy.scrubbed(&problem));
            if self.first_unreadable.len() < Self::UNREADABLE_SHOWN {
                self.first_unreadable.push(format!("{side}: {place}: {problem}"));
            }
            let divergence = judge_unreadable(self.contract, side, &place, &problem);
            *self.keys.entry(Kind::Unreadable).or_default() += range.rows - 1;
            judged.push(divergence);
            if judged.len() == Self::TOLD_AT_ONCE {
                self.tell_all(std::mem::take(&mut judged), recorder)?;
            }
        }
        self.tell_all(judged, recorder)
    }

    /// No examples yet, of which those will be kept that could still be among this contract's.
    pub(in super::super) fn examples(&self) -> Examples {
        self.examples.below()
    }

    /// Records what one partition gave.
    pub(in super::super) fn record(&mut self, judged: Judged, recorder: &mut dyn Recorder) -> io::Result<()> {
        for side in Side::BOTH {
            self.books.get_mut(side).agree += judged.agree;
        }
        self.leave_out(judged.out_of_scope);
        self.add(judged.counts);
        self.at_risk.merge(&judged.at_risk);
        self.examples.take(judged.examples);
        self.lag.join(judged.lag);
        for (divergences, actions) in judged.findings {
            for divergence in &divergences {
                recorder.divergence(&self.contract.name, &self.privacy.divergence(divergence))?;
            }
            for action in actions {
                let clear = recorder.reveals().then(|| action.clone());
                let written = self.privacy().action(action);
                clear.iter().for_each(|clear| recorder.revealed(&written, clear));
                self.act(&written, recorder)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, counts: Counts) {
        for (side, more) in counts.books.iter() {
            let books = self.books.get_mut(side);
            books.unpaired += more.unpaired;
            books.null_key += more.null_key;
            books.tombstone += more.tombstone;
            books.duplicate += more.duplicate;
            books.differ += more.differ;
        }
        add(&mut self.keys, counts.keys);
        add(&mut self.severities, counts.severities);
        add(&mut self.keys_by_severity, counts.keys_by_severity);
        add(&mut self.relieved, counts.relieved);
        self.decided.add(counts.decided);
        add(&mut self.excused, counts.excused);
        for ((_, count), more) in self.attributes.iter_mut().zip(counts.attributes.into_iter().skip(self.key_count)) {
            *count += more;
        }
    }

    /// How many lines that stand by themselves are judged by rules at once.
    const TOLD_AT_ONCE: usize = 1024;

    fn tell_all(&mut self, mut judged: Vec<Divergence>, recorder: &mut dyn Recorder) -> Result<(), Halt> {
        rule(self.contract, &mut judged.iter_mut().collect::<Vec<_>>()).map_err(Halt::Contract)?;
        judged.iter().try_for_each(|divergence| self.tell(divergence, recorder)).map_err(Halt::Record)
    }

    fn tell(&mut self, divergence: &Divergence, recorder: &mut dyn Recorder) -> io::Result<()> {
        let mut counts = Counts::new(0);
        counts.count(divergence.kind, std::iter::once(divergence.severity));
        self.add(counts);
        if recorder.keeps() {
            recorder.divergence(&self.contract.name, &self.privacy.divergence(divergence))?;
        }
        self.examples.offer(divergence);
        Ok(())
    }

    fn act(&mut self, action: &Action, recorder: &mut dyn Recorder) -> io::Result<()> {
        match action.safety {
            Safety::Safe => self.plan.safe += 1,
            Safety::Review => self.plan.review += 1,
            Safety::Manual => self.plan.manual += 1,
        }
        self.actions += 1;
        let most = self.contract.repair.max_actions.unwrap_or(u64::MAX);
        if self.actions <= most { recorder.action(action) } else { Ok(()) }
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (key, count) in more {
        *counts.entry(key).or_default() += count;
    }
}
