//! `index.html`, beside the run folders: the newest runs with their verdicts and their pages, as far as ledger and manifests
//! tell. It is derived and proves nothing; it is renewed after each run, and whoever opens it sees it whole.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use super::place::at;
use super::trail::{Entry, Facts, Trail};
use crate::report::html::{Listed, Listing, render_index};

/// Its name.
pub(super) const INDEX: &str = "index.html";
/// While it is written.
pub(super) const INDEX_ASIDE: &str = ".index.html.partial";
/// The page of a run.
pub const PAGE: &str = "report.html";
/// So many runs are shown.
const SHOWN: usize = 200;
/// Of so many of them the manifests are read; of the others the ledger alone tells.
const READ: usize = 30;

/// Writes the page over all runs anew. Only one process does at a time, each from what the ledger holds by then.
///
/// # Errors
/// What kept the runs from being read or the page from being written; then it is what it was.
pub fn renew_index(reports: &Path) -> io::Result<()> {
    let trail = Trail::alone(reports)?;
    let listing = listing(&trail, reports)?;
    let aside = reports.join(INDEX_ASIDE);
    let file = File::create(&aside).map_err(at(&aside))?;
    let mut out = BufWriter::new(file);
    render_index(&listing, &mut out)?;
    // Not synced: the next run writes it anew whatever a power cut left.
    out.into_inner().map_err(|error| at(&aside)(error.into_error()))?;
    let target = reports.join(INDEX);
    fs::rename(&aside, &target).map_err(at(&target))
}

fn listing(trail: &Trail, reports: &Path) -> io::Result<Listing> {
    let mut complaints = trail.complaints();
    let mut runs: Vec<Listed> = Vec::new();
    for (place, entry) in trail.runs().rev().take(SHOWN).enumerate() {
        // The newest that speaks for all keys stands above the others, however many narrowed ones came after it.
        let facts = if place < READ || runs.iter().all(|run| run.narrowed) { Some(entry.read()?) } else { None };
        if let Some(Facts::Damaged(problem)) = &facts {
            complaints.push(problem.clone());
        }
        runs.push(listed(entry, facts.as_ref(), reports));
    }
    Ok(Listing { runs, all: trail.runs().count(), complaints })
}

fn listed(entry: Entry<'_>, facts: Option<&Facts>, reports: &Path) -> Listed {
    let contracts =
        entry.contracts().map(|name| (name.to_owned(), entry.verdict_of(name).unwrap_or_default().to_owned()));
    let keys = match facts {
        Some(Facts::Whole(kept)) => {
            Some(kept.audit.contracts.iter().map(|contract| contract.keys.values().sum::<u64>()).sum())
        }
        _ => None,
    };
    let folder = reports.join(entry.run_id());
    let note = match facts {
        Some(Facts::Pruned) => Some("its folder was pruned"),
        Some(Facts::Damaged(_)) => Some("its folder is not as it was written"),
        Some(Facts::Whole(_)) => None,
        None => (!folder.is_dir()).then_some("its folder is gone"),
    };
    Listed {
        run_id: entry.run_id().to_owned(),
        at: entry.recorded_at(),
        verdict: entry.verdict().to_owned(),
        contracts: contracts.collect(),
        keys,
        page: folder.join(PAGE).is_file(),
        note,
        narrowed: matches!(facts, Some(Facts::Whole(kept)) if kept.narrowed().is_some()),
    }
}
