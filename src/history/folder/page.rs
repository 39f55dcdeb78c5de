//! What `report.html` shows besides the audit, gathered while a run is recorded: some divergences and repairs of every sort,
//! since when they are known, and earlier runs. It holds a bounded number of them and changes nothing that was found.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::RunFolder;
use crate::audit::gallery::Gallery;
use crate::audit::{Audit, Recurrence, Sighting, Verdict};
use crate::classify::Divergence;
use crate::history::ledger::Ledger;
use crate::history::manifest::FileRecord;
use crate::history::trail::Trail;
use crate::history::trend::{Point, Worth, trends};
use crate::history::watch::Unwatched;
use crate::plan::Action;
use crate::report::html::{self, Extras, LedgerEnd, PageFile, PastRun, Unknown};

/// So many earlier runs of a contract are shown.
const RUNS: usize = 23;

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    galleries: BTreeMap<String, Gallery>,
    sightings: BTreeMap<[u8; 32], Sighting>,
    past: BTreeMap<String, Vec<PastRun>>,
}

impl Gathered {
    pub(super) fn divergence(&mut self, contract: &str, divergence: &Divergence) {
        self.gallery(contract).divergence(divergence);
    }

    pub(super) fn action(&mut self, action: &Action) {
        self.gallery(&action.contract).action(action);
    }

    fn gallery(&mut self, contract: &str) -> &mut Gallery {
        if !self.galleries.contains_key(contract) {
            self.galleries.insert(contract.to_owned(), Gallery::default());
            let all = self.galleries.len();
            self.galleries.values_mut().for_each(|gallery| gallery.make_room(all));
        }
        self.galleries.get_mut(contract).expect("it was there or is now")
    }

    /// The fingerprints of what is shown of a contract.
    pub(super) fn shown(&self, contract: &str) -> BTreeSet<[u8; 32]> {
        let gallery = self.galleries.get(contract).into_iter();
        gallery.flat_map(Gallery::sorts).flat_map(|(_, _, lines)| lines).map(|line| line.fingerprint).collect()
    }

    /// Takes those sightings that only the page shows.
    pub(super) fn sighted(&mut self, recurrence: &mut Recurrence, examples: &BTreeSet<[u8; 32]>) {
        let all = std::mem::take(&mut recurrence.examples);
        let (kept, others) = all.into_iter().partition(|(fingerprint, _)| examples.contains(fingerprint));
        recurrence.examples = kept;
        self.sightings.extend::<BTreeMap<_, _>>(others);
    }

    /// Earlier runs of the contracts, as far as they can be read: a page without them is better than none.
    pub(super) fn past(&mut self, trail: &Trail, audit: &Audit) {
        // Every `diff` has the same name, whatever it compares.
        if audit.command != "run" {
            return;
        }
        let names: Vec<String> = audit.contracts.iter().map(|contract| contract.name.clone()).collect();
        let Ok((trends, _)) = trends(trail, &names, RUNS, &Unwatched) else { return };
        self.past = trends
            .into_iter()
            .map(|(name, trend)| (name, trend.points.iter().map(past_run).collect::<Vec<_>>()))
            .filter(|(_, runs)| !runs.is_empty())
            .collect();
    }
}

fn past_run(point: &Point) -> PastRun {
    let whole = point.whole();
    PastRun {
        run_id: point.run_id.clone(),
        at: point.recorded_at,
        verdict: point.verdict.clone(),
        version: whole.map(|contract| contract.version.clone()),
        keys: match (point.worth(), whole) {
            (Worth::Pruned, _) => Err(Unknown::Pruned),
            (Worth::Narrowed, _) => Err(Unknown::Narrowed),
            (Worth::Whole, Some(found)) if found.verdict == Verdict::Unverified => Err(Unknown::Unverified),
            (Worth::Whole, Some(found)) => Ok(found.keys.values().sum()),
            (Worth::Damaged, _) | (Worth::Whole, None) => Err(Unknown::Damaged),
        },
    }
}

impl RunFolder {
    /// Writes the page, which names the files that are there by then.
    pub(super) fn write_page(&mut self, audit: &Audit, files: &[FileRecord]) -> io::Result<FileRecord> {
        let Gathered { galleries, sightings, past } = std::mem::take(&mut self.page);
        let named = files.iter().map(|file| PageFile { name: &file.name, bytes: file.bytes, blake3: &file.blake3 });
        let mut named: Vec<PageFile<'_>> = named.collect();
        named.sort_by_key(|file| file.name);
        let ledger = Ledger::read(&self.reports)?.end().map(|(lines, digest)| LedgerEnd { lines, digest });
        let extras = Extras { galleries, sightings, past, files: named, ledger };
        self.write(crate::history::runs::PAGE, |out| html::render(audit, &extras, out))
    }
}
