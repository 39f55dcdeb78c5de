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
            held_against(contract, before, now, &first, &mut writer)?;
            writer.end_contract()?;
        }
        self.recurrence = Some(writer.finish()?.finish()?);
        Ok(())
    }
}

/// Merges the fingerprints of now with those that the run before left open. `first` is the line of one that is new.
fn held_against(
    contract: &mut ContractAudit,
    before: Previous,
    mut now: Sorted<'_>,
    first: &Line,
    writer: &mut RecurrenceWriter<Digested>,
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
    let shown: BTreeSet<[u8; 32]> = contract.examples.iter().map(|example| example.fingerprint).collect();
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
