//! The page over all runs: the newest first, each with its verdict and a way to its page. It shows what it is told, of a bounded
//! number of runs, and says how many there are besides.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::escape::{count, counted};
use super::charts::{Bar, minute, share};

/// The runs of a folder of reports.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The newest ones, the newest first.
    pub runs: Vec<Listed>,
    /// How many runs the ledger holds.
    pub all: usize,
    /// In what the ledger is not as it was written.
    pub complaints: Vec<String>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id, which is its folder's name.
    pub run_id: String,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// How it ended.
    pub verdict: String,
    /// Each contract and how it ended.
    pub contracts: Vec<(String, String)>,
    /// Keys that diverged in all contracts, where its folder tells.
    pub keys: Option<u64>,
    /// Whether its folder has a page.
    pub page: bool,
    /// What became of its folder, where it is not as it was.
    pub note: Option<&'static str>,
    /// Whether `--where` left out a part of the keys, as far as its folder tells.
    pub narrowed: bool,
}

/// So many contracts of a run are named.
const NAMED: usize = 12;

pub(super) fn view(listing: &Listing) -> Value {
    let most = listing.runs.iter().filter_map(|run| run.keys).max().unwrap_or(0);
    // A run over some keys does not speak for the copies.
    let newest = listing.runs.iter().find(|run| !run.narrowed).or(listing.runs.first());
    let since = listing.runs.iter().take_while(|run| run.narrowed).count() as u64;
    json!({
        "verdict": newest.map_or("unverified", |run| run.verdict.as_str()),
        "newest": newest.map(|run| json!({"run": run.run_id, "at": run.at.map(minute), "narrowed": run.narrowed})),
        "narrowed_since": newest.filter(|run| !run.narrowed && since > 0).map(|_| counted(since, "later run")),
        "runs": listing.runs.iter().map(|run| row(run, most)).collect::<Vec<_>>(),
        "shown": counted(listing.runs.len() as u64, "run"),
        "all": counted(listing.all as u64, "run"),
        "older": listing.all.saturating_sub(listing.runs.len()),
        "complaints": listing.complaints,
    })
}

fn row(run: &Listed, most: u64) -> Value {
    let of = |verdict: &str| run.contracts.iter().filter(|(_, ended)| ended == verdict).count() as u64;
    let parts: Vec<String> = ["agreed", "drifted", "unverified"]
        .into_iter()
        .filter(|verdict| of(verdict) > 0)
        .map(|verdict| format!("{} {verdict}", count(of(verdict))))
        .collect();
    let mut named: Vec<&(String, String)> = run.contracts.iter().filter(|(_, ended)| ended != "agreed").collect();
    named.sort_by_key(|(_, ended)| std::cmp::Reverse(ended.as_str()));
    let contracts: Vec<Value> =
        named.iter().take(NAMED).map(|(name, verdict)| json!({"name": name, "verdict": verdict})).collect();
    let width = run.keys.map_or(0.0, |keys| if keys == 0 { 0.0 } else { (share(keys, most) * 100.0).max(1.0) });
    json!({
        "run": run.run_id,
        "link": run.page.then(|| format!("{}/report.html", run.run_id)),
        "at": run.at.map(minute),
        "verdict": run.verdict,
        "sum": parts.join(", "),
        "contracts": contracts,
        "more": named.len().saturating_sub(NAMED),
        "keys": run.keys.map(count),
        "bar": Bar::new([0.0, 0.0, width, 1.0], run.verdict.clone(), String::new()),
        "note": run.note,
        "narrowed": run.narrowed,
    })
}
