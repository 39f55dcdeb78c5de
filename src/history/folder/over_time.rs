//! Holds a run against the one before, before it is published: what is new, recurs or is resolved, which contracts are
//! overdue. It never changes what was found.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io;

use super::RunFolder;
use crate::audit::{Audit, ContractAudit, Recurrence, Sighting, Verdict};
use crate::contract::Kind;
use crate::history::fingerprints::Sorted;
use crate::history::place::{Digested, at};
use crate::history::previous::{self, Open, Previous};
use crate::history::standing::{Cadence, standings};
use crate::history::trail::Trail;
use crate::report::json::hex;
use crate::report::recurrence::{Line, RecurrenceWriter, Status};

impl RunFolder {
    /// Holds the run against the ones before it: writes `recurrence.parquet`, and tells the audit what is worth a word.
    /// `cadences` are those of every contract of the file.
    ///
    /// # Errors
    /// What kept the ledger from being read or the file from being written.
    pub fn over_time(&mut self, audit: &mut Audit, cadences: &[Cadence]) -> io::Result<()> {
        let narrowed = audit.settings.contains_key("where");
        let trail = Trail::open(&self.reports)?;
        let trusted = trail.as_ref().filter(|trail| trail.broken().is_empty());
        if trail.is_some() && trusted.is_none() {
            let unknown = "what is new, recurs or is resolved is not said, because the ledger is broken";
            audit.warnings.push(unknown.to_owned());
        }
        let mut before = Vec::with_capacity(audit.contracts.len());
        for contract in &mut audit.contracts {
            let mut warnings = Vec::new();
            before.push(match trusted.filter(|_| !narrowed) {
                Some(trail) => previous::find(trail, &audit.command, contract, &mut warnings)?,
                None => Previous::Nothing,
            });
            contract.warnings.extend(warnings);
        }
        if let Some(trail) = trusted {
            self.page.past(trail, audit);
        }
        self.standing = standings(trail.as_ref(), audit, cadences)?;
        audit.warnings.extend(self.standing.iter().filter_map(|standing| standing.complaint(audit.command == "run")));
        // Whoever publishes takes the ledger's lock, which the trail shares.
        drop(trail);

        let mut writer = RecurrenceWriter::new(Digested::create(&self.staging.folder, previous::FILE)?)?;
        let (run_id, started_at) = (audit.run_id.clone(), audit.started_at.to_string());
        for (contract, before) in audit.contracts.iter_mut().zip(before) {
            // What was not compared to its end or not as a whole tells nothing of what is gone.
            if narrowed || contract.verdict == Verdict::Unverified {
                continue;
            }
            let first = Line {
                fingerprint: String::new(),
                status: Status::New,
                first_run: run_id.clone(),
                first_seen: started_at.clone(),
                runs: 1,
            };
            let now = self.fingerprints.sorted(&contract.name)?;
            let examples = contract.examples.iter().map(|example| example.fingerprint).collect::<BTreeSet<_>>();
            let shown: BTreeSet<_> = examples.union(&self.page.shown(&contract.name)).copied().collect();
            held_against(contract, before, now, &first, (&shown, &mut writer))?;
            if let Some(recurrence) = &mut contract.recurrence {
                self.page.sighted(recurrence, &examples);
            }
            writer.end_contract()?;
        }
        self.recurrence = Some(writer.finish()?.finish(&self.unsynced)?);
        Ok(())
    }
}

/// Merges the fingerprints of now with those that the run before left open. `first` is the line of one that is new; of those that
/// are shown it is kept since when they are known.
fn held_against(
    contract: &mut ContractAudit,
    before: Previous,
    mut now: Sorted<'_>,
    first: &Line,
    (shown, writer): (&BTreeSet<[u8; 32]>, &mut RecurrenceWriter<Digested>),
) -> io::Result<()> {
    let (since, mut then) = match before {
        Previous::Run { run_id, left } => {
            let open = Open::new(&left, &contract.name, true).map_err(at(previous::FILE.as_ref()))?;
            (Some(run_id), Some(open))
        }
        Previous::Lost(why) => {
            contract
                .warnings
                .push(format!("{why}: what is new or resolved since is not known, its history starts anew"));
            (None, None)
        }
        Previous::Nothing => (None, None),
    };
    // A column that cannot be compared hides what was found in it before.
    let gone = if contract.keys.contains_key(&Kind::Schema) { Status::Unseen } else { Status::Resolved };
    let mut recurrence = Recurrence { since: since.clone().unwrap_or_default(), ..Recurrence::default() };
    let mut next_now = now.next()?;
    let mut next_then = then.as_mut().map(Open::next).transpose()?.flatten();
    while next_now.is_some() || next_then.is_some() {
        let found = next_now.as_ref().map(hex);
        let order = match (&found, &next_then) {
            (Some(found), Some(line)) => found.cmp(&line.fingerprint),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let line = match order {
            Ordering::Less => Line { fingerprint: found.unwrap_or_default(), ..first.clone() },
            Ordering::Equal | Ordering::Greater => {
                let mut line = next_then.take().expect("there is one, or the order would be another");
                let found = order == Ordering::Equal;
                line.status = if found { Status::Recurring } else { gone };
                line.runs += u64::from(found);
                next_then = then.as_mut().map(Open::next).transpose()?.flatten();
                line
            }
        };
        if let (Some(fingerprint), false) = (next_now, order == Ordering::Greater) {
            let example = shown.contains(&fingerprint).then_some(fingerprint);
            add(&mut recurrence, &line, example)?;
            next_now = now.next()?;
        } else {
            add(&mut recurrence, &line, None)?;
        }
        writer.write(&contract.name, &line)?;
    }
    contract.recurrence = since.map(|_| recurrence);
    Ok(())
}

fn add(recurrence: &mut Recurrence, line: &Line, example: Option<[u8; 32]>) -> io::Result<()> {
    match line.status {
        Status::New => recurrence.new += 1,
        Status::Resolved => recurrence.resolved += 1,
        Status::Unseen => recurrence.unseen += 1,
        Status::Recurring => {
            recurrence.recurring += 1;
            // A run id sorts by time.
            let older = recurrence.oldest.as_ref().is_none_or(|oldest| line.first_run < oldest.first_run);
            if older || example.is_some() {
                let sighting = sighting(line)?;
                if let Some(fingerprint) = example {
                    recurrence.examples.insert(fingerprint, sighting.clone());
                }
                if older {
                    recurrence.oldest = Some(sighting);
                }
            }
        }
    }
    Ok(())
}

fn sighting(line: &Line) -> io::Result<Sighting> {
    let first_seen = line.first_seen.parse().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: `{}` is not an instant", previous::FILE, line.first_seen),
        )
    })?;
    Ok(Sighting { first_run: line.first_run.clone(), first_seen, runs: line.runs })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::audit::Recorder as _;
    use crate::report::sample;

    /// One run of the sample's contract with these divergences; its lines as status, first run and runs by fingerprint.
    fn run(reports: &Path, number: usize, found: &[u8], verdict: Verdict) -> BTreeMap<String, (Status, String, u64)> {
        let mut audit = sample::small(&format!("20260301T020000Z-{number:04}"));
        audit.contracts[0].verdict = verdict;
        let (mut folder, _) = RunFolder::begin(reports, &audit.run_id).expect("it begins");
        let name = audit.contracts[0].name.clone();
        for key in found {
            let mut divergence = sample::divergences().swap_remove(0);
            divergence.fingerprint = *blake3::hash(&[*key]).as_bytes();
            folder.divergence(&name, &divergence).expect("it is written");
        }
        folder.over_time(&mut audit, &[]).expect("it is held against the runs before");
        let published = folder.publish(&audit).expect("it is published");
        let mut open =
            Open::new(&File::open(published.join(previous::FILE)).expect("a file"), &name, false).expect("it opens");
        let mut lines = BTreeMap::new();
        while let Some(line) = open.next().expect("it can be read") {
            lines.insert(line.fingerprint, (line.status, line.first_run, line.runs));
        }
        lines
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn runs_tell_what_a_plain_map_tells(
            runs in prop::collection::vec((prop::collection::vec(0..12_u8, 0..16), any::<bool>()), 1..5),
        ) {
            let reports = tempfile::tempdir().expect("a temporary folder");
            let mut open: BTreeMap<String, (String, u64)> = BTreeMap::new();
            for (number, (found, verified)) in runs.iter().enumerate() {
                let verdict = if *verified { Verdict::Agreed } else { Verdict::Unverified };
                let seen = run(reports.path(), number, found, verdict);
                if !verified {
                    prop_assert!(seen.is_empty());
                    continue;
                }
                let run_id = format!("20260301T020000Z-{number:04}");
                let now: BTreeSet<String> = found.iter().map(|key| hex(blake3::hash(&[*key]).as_bytes())).collect();
                let mut expected = BTreeMap::new();
                for (fingerprint, (first, runs)) in std::mem::take(&mut open) {
                    if !now.contains(&fingerprint) {
                        expected.insert(fingerprint, (Status::Resolved, first, runs));
                        continue;
                    }
                    expected.insert(fingerprint.clone(), (Status::Recurring, first.clone(), runs + 1));
                    open.insert(fingerprint, (first, runs + 1));
                }
                for fingerprint in now {
                    open.entry(fingerprint.clone()).or_insert_with(|| {
                        expected.insert(fingerprint, (Status::New, run_id.clone(), 1));
                        (run_id.clone(), 1)
                    });
                }
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
